package kview

import "strconv"

// fileStat is what statx tells about a file.
type fileStat struct {
	mount                     int32  // mount id, 0 if unknown
	dev, rdev                 uint32 // the kernel's encoding
	ino                       uint64
	size                      int64
	mode                      uint16
	nlink, uid, gid           uint32
	atime, mtime, ctime       int64
	atimeNs, mtimeNs, ctimeNs uint32
}

// taskInfo is what a pidfd tells about a task.
type taskInfo struct {
	ppid     int32
	uid, gid uint32 // real
}

// kernelDev is the kernel's own encoding of a device number (MKDEV).
func kernelDev(major, minor uint32) uint32 { return major<<20 | minor&(1<<20-1) }

// cwd in place of a directory's descriptor takes names from the root.
const cwd = -100

// A name is a NUL-terminated path, built without allocating.
type name struct{ b []byte }

func (n *name) start(s string) *name {
	n.b = append(n.b[:0], s...)
	return n
}

func (n *name) add(s string) *name {
	n.b = append(n.b, s...)
	return n
}

func (n *name) number(i int) *name {
	n.b = strconv.AppendInt(n.b, int64(i), 10)
	return n
}

// c ends the name. A name that has a NUL inside does not name anything.
func (n *name) c() *byte {
	n.b = append(n.b, 0)
	return &n.b[0]
}

// proc is the name /proc/PID/what.
func (n *name) proc(pid int, what string) *name {
	return n.start("/proc/").number(pid).add("/").add(what)
}
