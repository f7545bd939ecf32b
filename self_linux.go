package skep

import (
	"os"

	"golang.org/x/sys/unix"
)

// self is the calling thread and its process.
func self() (tid, tgid int) { return unix.Gettid(), os.Getpid() }

// selfMemory is the memory of this process, read as that of another one: an
// address that is not mapped is a short read and not a fault.
type selfMemory struct{}

func (selfMemory) ReadAt(p []byte, addr uint64) int {
	if len(p) == 0 {
		return 0
	}
	local := []unix.Iovec{{Base: &p[0], Len: uint64(len(p))}}
	remote := []unix.RemoteIovec{{Base: uintptr(addr), Len: len(p)}}
	n, err := unix.ProcessVMReadv(os.Getpid(), local, remote, 0)
	if err != nil {
		return 0
	}
	return n
}
