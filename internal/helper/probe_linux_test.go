package helper

import (
	"testing"
	"unsafe"

	"github.com/cilium/ebpf/asm"
	"golang.org/x/sys/unix"
)

// userPages maps two pages, the second of which is not there, and gives the
// address of the second.
func userPages(t *testing.T) (page []byte, hole uint64) {
	b, err := unix.Mmap(-1, 0, 2*pageSize, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Munmap(b) })
	if err := unix.Mprotect(b[pageSize:], unix.PROT_NONE); err != nil {
		t.Fatal(err)
	}
	return b[:pageSize], uint64(uintptr(unsafe.Pointer(&b[0]))) + pageSize
}

func TestProbeReadLikeKernel(t *testing.T) {
	s := newSides(t)
	page, hole := userPages(t)
	for i := range page {
		page[i] = byte(i%255) + 1
	}
	copy(page[100:], "hello\x00world, this goes on\x00")
	copy(page[pageSize-10:], "last one\x00!")
	start := hole - pageSize

	memory := make([]byte, memory)
	for i := range memory {
		memory[i] = 0xaa
	}
	copy(memory[8192:], "in the map\x00and more\x00")

	const dst = 64
	ids := []asm.BuiltinFunc{
		asm.FnProbeRead, asm.FnProbeReadUser, asm.FnProbeReadKernel,
		asm.FnProbeReadStr, asm.FnProbeReadUserStr, asm.FnProbeReadKernelStr,
	}
	sources := []argument{
		num(start + 100), num(start + 101), num(start + 106), num(start), num(hole - 10), num(hole - 9), num(hole - 1), num(hole - 20),
		num(hole), num(0), num(1), num(4096), num(userEnd - 8), num(userEnd - 1), num(userEnd), num(userEnd + 1), num(userEnd + 4095),
		num(0x0000_8000_0000_0000), num(0x0100_0000_0000_0000), num(kernelStart - 8), num(0xffff_ffff_ffff_f000), num(^uint64(0)), num(^uint64(0) - 7),
		ptr(8192), ptr(8195), ptr(8203),
	}
	sizes := []uint64{0, 1, 2, 5, 6, 7, 8, 9, 10, 11, 12, 16, 20, 21, 64, 300, 4096, 5000}
	for _, id := range ids {
		for _, src := range sources {
			for _, size := range sizes {
				if src.kind == pointer && size > 64 {
					continue // what lies behind the map's value is not the same on both sides
				}
				s.run(t, id, memory, ptr(dst), num(size), src)
			}
		}
	}
}
