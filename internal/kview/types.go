package kview

// The types of the persona: Go structs laid out as C lays them out. The tag c
// is the member's name in C (a second name after a comma is another member at
// the same place), typedef the name of the member's type where it has one. A
// member without c is not part of the BTF. The tag fill names the group of a
// field that is filled when a program looks at it (see task.go, file.go and
// inode.go); a field without it is set when its object is made.

// Ptr is a pointer to a T: an address as programs see it.
type Ptr[T any] struct {
	_    [0]*T
	Addr uint64
}

// ID is kuid_t and kgid_t.
type ID struct {
	Val uint32 `c:"val" typedef:"uid_t"`
}

type TaskStruct struct {
	Flags         uint32           `c:"flags" fill:"stat"`
	Pid           int32            `c:"pid" typedef:"pid_t"`
	Tgid          int32            `c:"tgid" typedef:"pid_t"`
	RealParent    Ptr[TaskStruct]  `c:"real_parent" fill:"parent"`
	Parent        Ptr[TaskStruct]  `c:"parent" fill:"parent"`
	GroupLeader   Ptr[TaskStruct]  `c:"group_leader"`
	ThreadPid     Ptr[Pid]         `c:"thread_pid"`
	StartTime     uint64           `c:"start_time" typedef:"u64" fill:"start"`     // ns of CLOCK_MONOTONIC
	StartBoottime uint64           `c:"start_boottime" typedef:"u64" fill:"start"` // ns of CLOCK_BOOTTIME
	Comm          [16]uint8        `c:"comm" char:"1" fill:"comm"`
	FS            Ptr[FsStruct]    `c:"fs"`
	Files         Ptr[FilesStruct] `c:"files"`
}

// Upid is 16 bytes, as programs step through numbers[] by the size that they
// were compiled with.
type Upid struct {
	Nr int32 `c:"nr"`
	_  uint32
	_  uint64
}

// Pid has room for the deepest nesting of pid namespaces (MAX_PID_NS_LEVEL).
type Pid struct {
	Level   uint32   `c:"level" fill:"pid"`
	Numbers [33]Upid `c:"numbers" flexible:"1" fill:"pid"`
}

type FilesStruct struct {
	Fdt Ptr[Fdtable] `c:"fdt"`
}

type Fdtable struct {
	MaxFds uint32         `c:"max_fds" fill:"max_fds"`
	Fd     Ptr[Ptr[File]] `c:"fd"`
}

type FsStruct struct {
	Root Path `c:"root" fill:"root"`
	Pwd  Path `c:"pwd" fill:"pwd"`
}

type Path struct {
	Mnt    Ptr[Vfsmount] `c:"mnt"`
	Dentry Ptr[Dentry]   `c:"dentry"`
}

type File struct {
	FInode Ptr[Inode] `c:"f_inode"`
	FFlags uint32     `c:"f_flags" fill:"fdinfo"`
	FPos   int64      `c:"f_pos" typedef:"loff_t" fill:"fdinfo"`
	FPath  Path       `c:"f_path"`
}

// HlistBlNode is in a list if Pprev is not NULL.
type HlistBlNode struct {
	Pprev Ptr[Ptr[HlistBlNode]] `c:"pprev"`
}

type Qstr struct {
	Len  uint32     `c:"len" typedef:"u32"`
	Name Ptr[uint8] `c:"name"`
}

type Dentry struct {
	DHash   HlistBlNode     `c:"d_hash"` // pprev is NULL when the name is gone (d_unhashed)
	DParent Ptr[Dentry]     `c:"d_parent"`
	DName   Qstr            `c:"d_name"`
	DInode  Ptr[Inode]      `c:"d_inode"`
	DSb     Ptr[SuperBlock] `c:"d_sb"`
	DIname  [40]uint8       `c:"d_iname"` // holds names shorter than 40 bytes
}

type Inode struct {
	IMode    uint16          `c:"i_mode" typedef:"umode_t" fill:"stat"`
	IUID     ID              `c:"i_uid" typedef:"kuid_t" fill:"stat"`
	IGID     ID              `c:"i_gid" typedef:"kgid_t" fill:"stat"`
	ISb      Ptr[SuperBlock] `c:"i_sb"`
	IIno     uint64          `c:"i_ino" fill:"ino"`
	INlink   uint32          `c:"i_nlink,__i_nlink" fill:"stat"`
	IRdev    uint32          `c:"i_rdev" typedef:"dev_t" fill:"stat"`
	ISize    int64           `c:"i_size" typedef:"loff_t" fill:"stat"`
	IAtime   int64           `c:"i_atime_sec" typedef:"time64_t" fill:"stat"`
	IMtime   int64           `c:"i_mtime_sec" typedef:"time64_t" fill:"stat"`
	ICtime   int64           `c:"i_ctime_sec" typedef:"time64_t" fill:"stat"`
	IAtimeNs uint32          `c:"i_atime_nsec" typedef:"u32" fill:"stat"`
	IMtimeNs uint32          `c:"i_mtime_nsec" typedef:"u32" fill:"stat"`
	ICtimeNs uint32          `c:"i_ctime_nsec" typedef:"u32" fill:"stat"`
	_        uint32
}

type SuperBlock struct {
	SDev   uint32              `c:"s_dev" typedef:"dev_t"` // major<<20 | minor
	SType  Ptr[FileSystemType] `c:"s_type"`
	SMagic uint64              `c:"s_magic"`
	SRoot  Ptr[Dentry]         `c:"s_root"`
}

type FileSystemType struct {
	Name     Ptr[uint8] `c:"name"`
	nameData [32]uint8
}

type Vfsmount struct {
	MntRoot Ptr[Dentry]     `c:"mnt_root"`
	MntSb   Ptr[SuperBlock] `c:"mnt_sb"`
}

type Mount struct {
	MntParent     Ptr[Mount]  `c:"mnt_parent"`
	MntMountpoint Ptr[Dentry] `c:"mnt_mountpoint"`
	Mnt           Vfsmount    `c:"mnt"`
	MntID         int32       `c:"mnt_id"`
}
