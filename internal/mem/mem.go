// Package mem holds everything a BPF program can touch: memory outside the Go
// heap, at addresses that do not change while it lives, and the Runner and Env
// that a program runs with.
//
// Registers of a program hold real addresses of this memory. The one exception
// is kernel memory (see Kernel), which programs see at biased addresses.
package mem

import "unsafe"

// A Region is zeroed, page-aligned memory outside the Go heap. Its address is
// fixed until Close. On Linux it is a memfd, so that another process can map it.
type Region struct {
	data []byte // whole pages
	size int    // bytes asked for
	fd   int    // memfd, or -1 where the system has none
}

// Addr is the address of the first byte.
func (r *Region) Addr() uint64 { return uint64(uintptr(unsafe.Pointer(unsafe.SliceData(r.data)))) }

// Size is the number of bytes that were asked for.
func (r *Region) Size() int { return r.size }

// Bytes is the memory itself. It must not be used after Close.
func (r *Region) Bytes() []byte { return r.data[:r.size:r.size] }

// FD is the memfd behind the region, or -1 where there is none.
func (r *Region) FD() int { return r.fd }

// A Range is the span of addresses [Addr, Addr+Size).
type Range struct {
	Addr uint64
	Size uint64
}

// Contains reports whether the n bytes at addr lie inside the range.
func (r Range) Contains(addr, n uint64) bool {
	off := addr - r.Addr
	return off <= r.Size && n <= r.Size-off
}

// origin is nil. It is a variable because Go 1.26's compiler stops with an
// internal error where it sees a copy of constant size to nil plus an address.
var origin unsafe.Pointer

// Pointer turns an address of this package's memory into a pointer. It is nil
// plus the address: a conversion from uintptr would be reported by go vet and,
// under the race detector, checked as if it were arithmetic on a Go pointer.
//
//go:nocheckptr
func Pointer(addr uint64) unsafe.Pointer { return unsafe.Add(origin, addr) }

// At is the T at addr, which must lie in memory of this package.
func At[T any](addr uint64) *T { return (*T)(Pointer(addr)) }

// Slice is the n bytes at addr, which must lie in memory of this package.
func Slice(addr uint64, n int) []byte {
	if n == 0 {
		return nil
	}
	return unsafe.Slice((*byte)(Pointer(addr)), n)
}
