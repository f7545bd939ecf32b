package helper

import (
	"bytes"

	"github.com/skep-bpf/skep/internal/mem"
)

// The halves of the address space (x86-64 with 4-level page tables; no address
// between them is canonical).
const (
	userEnd     = 0x0000_7fff_ffff_f000 // TASK_SIZE_MAX
	kernelStart = 0xffff_8000_0000_0000
)

// pageSize is what memory comes and goes by.
const pageSize = 4096

// A space is memory that can be read without a fault.
type space struct {
	// check refuses addresses that are not of this space.
	check func(c *Call, addr, size uint64) mem.Errno
	// read fills p from addr and gives how many bytes from the start it could.
	read func(c *Call, p []byte, addr uint64) int
}

var (
	userSpace   = &space{checkUser, readUser}
	kernelSpace = &space{checkKernel, readKernel}
)

// checkUser refuses the kernel half, and what is kernel memory to the program
// although it lies elsewhere here: its own stack, context and maps.
func checkUser(c *Call, addr, size uint64) mem.Errno {
	if addr > userEnd || size > userEnd-addr || c.owns(addr, 1) {
		return mem.EFAULT
	}
	return 0
}

func readUser(c *Call, p []byte, addr uint64) int {
	if m := c.Runner.Env.Memory; m != nil {
		return m.ReadAt(p, addr)
	}
	return 0
}

// checkKernel lets through what checkUser refuses.
func checkKernel(c *Call, addr, _ uint64) mem.Errno {
	if addr < kernelStart && !c.owns(addr, 1) {
		return mem.ERANGE
	}
	return 0
}

func readKernel(c *Call, p []byte, addr uint64) int {
	// Nothing of the program's own lies in the kernel half, which is what most
	// reads are of.
	if addr >= kernelStart {
		for n := len(p); n > 0; n /= 2 {
			if c.Runner.Env.Kernel.ReadAt(p[:n], addr) {
				return n
			}
		}
		return 0
	}
	for n := len(p); n > 0; n /= 2 {
		if c.owns(addr, uint64(n)) {
			return copy(p[:n], mem.Slice(addr, n))
		}
	}
	return 0
}

// spaceOf tells by the address whose memory is meant, for the old helpers that
// serve both.
func (c *Call) spaceOf(addr uint64) *space {
	if addr >= userEnd || c.owns(addr, 1) {
		return kernelSpace
	}
	return userSpace
}

// readAll fills the size bytes at dst from src. If it can't, they become 0.
func (c *Call) readAll(s *space, dst, size, src uint64) uint64 {
	p := mem.Slice(dst, int(uint32(size)))
	errno := s.check(c, src, uint64(len(p)))
	if errno == 0 {
		if len(p) == 0 || s.read(c, p, src) == len(p) {
			return 0
		}
		errno = mem.EFAULT
	}
	clear(p)
	return errno.R0()
}

// readString fills dst from src up to a NUL or the end of dst, where it puts a
// NUL, and gives the length with the NUL. If it can't, dst becomes 0.
func (c *Call) readString(s *space, dst, size, src uint64) uint64 {
	p := mem.Slice(dst, int(uint32(size)))
	if len(p) == 0 {
		return 0
	}
	errno := s.check(c, src, uint64(len(p)))
	if errno == 0 {
		if n := c.copyString(s, p, src); n > 0 {
			return uint64(n)
		}
		errno = mem.EFAULT
	}
	clear(p)
	return errno.R0()
}

// copyString copies a string page by page, for it may end just before a page
// that is not there. It gives the length with the NUL, 0 for a fault.
func (c *Call) copyString(s *space, p []byte, src uint64) int {
	for n := 0; n < len(p); {
		addr := src + uint64(n)
		chunk := c.Buffer[:min(len(p)-n, int(pageSize-addr%pageSize))]
		chunk = chunk[:s.read(c, chunk, addr)]
		if len(chunk) == 0 {
			return 0
		}
		if i := bytes.IndexByte(chunk, 0); i >= 0 {
			length := n + copy(p[n:], chunk[:i+1])
			// The kernel copies a task's string by words, the last one with zeros
			// behind the NUL, unless not all of that word can be read or written.
			if end := (length + 7) &^ 7; s == userSpace && end <= len(p) && end-n <= len(chunk) {
				clear(p[length:end])
			}
			return length
		}
		n += copy(p[n:], chunk)
	}
	p[len(p)-1] = 0
	return len(p)
}

func probeRead(c *Call, dst, size, src, _, _ uint64) uint64 {
	return c.readAll(c.spaceOf(src), dst, size, src)
}

func probeReadStr(c *Call, dst, size, src, _, _ uint64) uint64 {
	return c.readString(c.spaceOf(src), dst, size, src)
}

func probeReadUser(c *Call, dst, size, src, _, _ uint64) uint64 {
	return c.readAll(userSpace, dst, size, src)
}

// copyFromUser is for programs that may sleep, which makes no difference here: a
// page that is not there comes either way.
func copyFromUser(c *Call, dst, size, src, _, _ uint64) uint64 {
	return c.readAll(userSpace, dst, size, src)
}

func probeReadUserStr(c *Call, dst, size, src, _, _ uint64) uint64 {
	return c.readString(userSpace, dst, size, src)
}

func probeReadKernel(c *Call, dst, size, src, _, _ uint64) uint64 {
	return c.readAll(kernelSpace, dst, size, src)
}

func probeReadKernelStr(c *Call, dst, size, src, _, _ uint64) uint64 {
	return c.readString(kernelSpace, dst, size, src)
}
