package kview

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// system makes the system calls themselves, because x/sys/unix allocates for
// each path. It holds what they fill: memory that is passed to call must be on
// the heap.
type system struct {
	statx  unix.Statx_t
	statfs unix.Statfs_t
	poll   unix.PollFd
	zero   unix.Timespec
	how    unix.OpenHow
	entry  [64]byte
	info   pidfdInfo
}

// pidfdInfo is struct pidfd_info of linux/pidfd.h in its first size.
type pidfdInfo struct {
	mask, cgroup    uint64
	pid, tgid, ppid uint32
	ruid, rgid      uint32
	euid, egid      uint32
	suid, sgid      uint32
	fsuid, fsgid    uint32
	exitCode        int32
}

const (
	pidfdThread     = unix.O_EXCL                                           // PIDFD_THREAD, from Linux 6.9 on
	pidfdGetInfo    = 3<<30 | unsafe.Sizeof(pidfdInfo{})<<16 | 0xff<<8 | 11 // PIDFD_GET_INFO, from Linux 6.13 on
	pidfdInfoPid    = 1 << 0
	pidfdInfoCreds  = 1 << 1
	pidfdInfoNeeded = pidfdInfoPid | pidfdInfoCreds
)

//go:uintptrescapes
func call(nr, a, b, c, d, e uintptr) (uintptr, error) {
	for {
		r, _, errno := unix.Syscall6(nr, a, b, c, d, e, 0)
		switch errno {
		case 0:
			return r, nil
		case unix.EINTR:
		default:
			return 0, errno
		}
	}
}

func (s *system) open(path *byte) (int, error) { return s.openWith(path, unix.O_RDONLY) }

// openPlace opens a place without access to it.
func (s *system) openPlace(path *byte) (int, error) { return s.openWith(path, unix.O_PATH) }

func (s *system) openWith(path *byte, flags uintptr) (int, error) {
	fd, err := call(unix.SYS_OPENAT, ^uintptr(99), uintptr(unsafe.Pointer(path)), flags|unix.O_CLOEXEC, 0, 0)
	return int(fd), err
}

func (s *system) close(fd int) { _ = unix.Close(fd) }

// readAt reads once, from offset off.
func (s *system) readAt(fd int, p []byte, off int) (int, error) {
	n, err := call(unix.SYS_PREAD64, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p)), uintptr(off), 0)
	return int(n), err
}

func (s *system) readLink(dir int, path *byte, p []byte) (int, error) {
	n, err := call(unix.SYS_READLINKAT, uintptr(dir), uintptr(unsafe.Pointer(path)), uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p)), 0)
	return int(n), err
}

// stat asks about the file that a link of /proc leads to, without asking the
// server of its file system.
func (s *system) stat(dir int, link *byte, st *fileStat) error {
	return s.statWith(dir, link, 0, st)
}

// statCached asks about what a path below dir leads to, if the kernel knows the
// way by heart and no part of it is a symbolic link. So no file system is asked
// for a name: one that the target itself serves (FUSE) would wait for the target.
func (s *system) statCached(dir int, path *byte, st *fileStat) error {
	s.how = unix.OpenHow{
		Flags:   unix.O_PATH | unix.O_NOFOLLOW | unix.O_CLOEXEC,
		Resolve: resolveCached | unix.RESOLVE_NO_SYMLINKS,
	}
	fd, err := call(unix.SYS_OPENAT2, uintptr(dir), uintptr(unsafe.Pointer(path)), uintptr(unsafe.Pointer(&s.how)), unix.SizeofOpenHow, 0)
	if err != nil {
		return err
	}
	defer s.close(int(fd))
	return s.statWith(int(fd), &empty[0], unix.AT_EMPTY_PATH, st)
}

const resolveCached = 0x20 // RESOLVE_CACHED, from Linux 5.12 on

var empty = []byte{0}

func (s *system) statWith(dir int, path *byte, flags uintptr, st *fileStat) error {
	flags |= unix.AT_NO_AUTOMOUNT | unix.AT_STATX_DONT_SYNC
	x := &s.statx
	_, err := call(unix.SYS_STATX, uintptr(dir), uintptr(unsafe.Pointer(path)), flags, unix.STATX_BASIC_STATS|unix.STATX_MNT_ID, uintptr(unsafe.Pointer(x)))
	if err != nil {
		return err
	}
	*st = fileStat{
		dev:  kernelDev(x.Dev_major, x.Dev_minor),
		rdev: kernelDev(x.Rdev_major, x.Rdev_minor),
		ino:  x.Ino, size: int64(x.Size), mode: x.Mode,
		nlink: x.Nlink, uid: x.Uid, gid: x.Gid,
		atime: x.Atime.Sec, mtime: x.Mtime.Sec, ctime: x.Ctime.Sec,
		atimeNs: x.Atime.Nsec, mtimeNs: x.Mtime.Nsec, ctimeNs: x.Ctime.Nsec,
	}
	if x.Mask&unix.STATX_MNT_ID != 0 {
		st.mount = int32(x.Mnt_id)
	}
	return nil
}

// magic is the magic number of the file system that path leads to. It may ask
// the server: see remoteMagics.
func (s *system) magic(path *byte) (uint64, error) {
	_, err := call(unix.SYS_STATFS, uintptr(unsafe.Pointer(path)), uintptr(unsafe.Pointer(&s.statfs)), 0, 0, 0)
	return uint64(s.statfs.Type), err
}

// xattr reads an extended attribute of the file that path leads to.
func (s *system) xattr(path, attribute *byte, p []byte) (int, error) {
	n, err := call(unix.SYS_GETXATTR, uintptr(unsafe.Pointer(path)), uintptr(unsafe.Pointer(attribute)), uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p)), 0)
	return int(n), err
}

// changed reports whether the mounts behind a descriptor of a mountinfo have
// changed since it last said so.
func (s *system) changed(fd int) bool {
	s.poll = unix.PollFd{Fd: int32(fd), Events: unix.POLLPRI}
	n, err := call(unix.SYS_PPOLL, uintptr(unsafe.Pointer(&s.poll)), 1, uintptr(unsafe.Pointer(&s.zero)), 0, 0)
	return err == nil && n > 0
}

// anyFrom reports whether a descriptor with number n or higher is open, by
// reading the directory /proc/TID/fd behind dir from there: the kernel numbers
// its entries so that the one of descriptor n is at offset n+2.
func (s *system) anyFrom(dir int, n uint32) (bool, error) {
	if _, err := call(unix.SYS_LSEEK, uintptr(dir), uintptr(n)+2, unix.SEEK_SET, 0, 0); err != nil {
		return false, err
	}
	r, err := call(unix.SYS_GETDENTS64, uintptr(dir), uintptr(unsafe.Pointer(&s.entry)), unsafe.Sizeof(s.entry), 0, 0)
	return r > 0, err
}

// openTask makes a pidfd of a thread.
func (s *system) openTask(tid int) (int, error) {
	fd, err := call(unix.SYS_PIDFD_OPEN, uintptr(tid), pidfdThread, 0, 0, 0)
	return int(fd), err
}

// task asks a pidfd who the task is. Kernels before 6.13 don't know.
func (s *system) task(pidfd int, info *taskInfo) error {
	s.info = pidfdInfo{mask: pidfdInfoNeeded}
	if _, err := call(unix.SYS_IOCTL, uintptr(pidfd), pidfdGetInfo, uintptr(unsafe.Pointer(&s.info)), 0, 0); err != nil {
		return err
	}
	if s.info.mask&pidfdInfoNeeded != pidfdInfoNeeded {
		return unix.ESRCH
	}
	*info = taskInfo{ppid: int32(s.info.ppid), uid: s.info.ruid, gid: s.info.rgid}
	return nil
}

// sharedMemory gives the devices of the kernel's own tmpfs, in which memfd,
// System V and anonymous shared memory live, and of its hugetlbfs for the same.
// The latter is of the usual size of huge pages, and 0 where there are none.
func sharedMemory() (shared, huge uint32, err error) {
	if shared, err = memfdDev(0); err != nil {
		return 0, 0, err
	}
	huge, _ = memfdDev(unix.MFD_HUGETLB)
	return shared, huge, nil
}

func memfdDev(flags int) (uint32, error) {
	fd, err := unix.MemfdCreate("skep:probe", unix.MFD_CLOEXEC|flags)
	if err != nil {
		return 0, err
	}
	defer unix.Close(fd)
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return 0, err
	}
	return kernelDev(unix.Major(st.Dev), unix.Minor(st.Dev)), nil
}

// handleLimit is how many descriptors of /proc a view may keep open.
func handleLimit() int {
	var l unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_NOFILE, &l) != nil {
		return minHandles
	}
	return int(min(max(l.Cur/4, minHandles), maxHandles))
}

// suspended is how long the system has slept: CLOCK_BOOTTIME runs ahead of
// CLOCK_MONOTONIC by it, in ns.
func suspended() int64 {
	var boot, mono unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_MONOTONIC, &mono)
	_ = unix.ClockGettime(unix.CLOCK_BOOTTIME, &boot)
	return boot.Nano() - mono.Nano()
}
