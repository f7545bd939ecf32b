package mem

import (
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Regions lie in a part of the address space that the kernel does not hand out
// by itself, so that an address of a traced process, which a program may read
// from there, is not by chance one of ours. next is the address to ask for.
var next atomic.Uint64

func init() { next.Store(0x4a00_0000_0000 + rand.Uint64N(1<<20)<<20) }

// New makes a region of size bytes. name shows up in /proc/PID/maps.
func New(name string, size int) (*Region, error) {
	page := os.Getpagesize()
	if size <= 0 || size > 1<<40 {
		return nil, fmt.Errorf("memory %q: size %d is out of range", name, size)
	}
	n := (size + page - 1) &^ (page - 1)
	fd, err := unix.MemfdCreate("skep:"+name, unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	if err != nil {
		return nil, fmt.Errorf("memory %q: memfd_create: %w", name, err)
	}
	if err := unix.Ftruncate(fd, int64(n)); err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("memory %q: %d bytes: %w", name, n, err)
	}
	// A mapping of a file that was shortened faults, so shortening is sealed off.
	if _, err := unix.FcntlInt(uintptr(fd), unix.F_ADD_SEALS, unix.F_SEAL_SHRINK|unix.F_SEAL_GROW); err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("memory %q: seal: %w", name, err)
	}
	// The page between two regions stays unmapped: what overruns one, faults.
	hint := next.Add(uint64(n+page)) - uint64(n+page)
	p, err := unix.MmapPtr(fd, 0, Pointer(hint), uintptr(n), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("memory %q: map %d bytes: %w", name, n, err)
	}
	return &Region{data: unsafe.Slice((*byte)(p), n), size: size, fd: fd}, nil
}

// Close gives the memory back. Its addresses hold unshared zeros from then on,
// until nothing refers to the region any more: so a call that still works on it
// in another goroutine ends without a fault.
func (r *Region) Close() error {
	if r.data == nil {
		return nil
	}
	p, n := unsafe.Pointer(unsafe.SliceData(r.data)), uintptr(len(r.data))
	_, err := unix.MmapPtr(-1, 0, p, n, unix.PROT_READ|unix.PROT_WRITE,
		unix.MAP_PRIVATE|unix.MAP_ANONYMOUS|unix.MAP_NORESERVE|unix.MAP_FIXED)
	if err == nil {
		runtime.AddCleanup(r, func(p unsafe.Pointer) { unix.MunmapPtr(p, n) }, p)
	}
	if e := unix.Close(r.fd); err == nil {
		err = e
	}
	r.data, r.fd = nil, -1
	return err
}
