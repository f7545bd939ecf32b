//go:build !linux

package mem

import (
	"fmt"
	"unsafe"
)

const pageSize = 4096

// New makes a region of size bytes. Where there is no memfd the memory comes
// from Go's heap: the collector never moves an object, and the region keeps it
// alive, so its address is as fixed as that of a mapping.
func New(name string, size int) (*Region, error) {
	if size <= 0 || size > 1<<30 {
		return nil, fmt.Errorf("memory %q: size %d is out of range", name, size)
	}
	n := (size + pageSize - 1) &^ (pageSize - 1)
	raw := make([]byte, n+pageSize)
	skip := -int(uintptr(unsafe.Pointer(unsafe.SliceData(raw)))) & (pageSize - 1)
	return &Region{data: raw[skip : skip+n], size: size, fd: -1}, nil
}

// Close does nothing: the memory goes when nothing refers to the region any more,
// so that a call that still works on it in another goroutine can end.
func (r *Region) Close() error { return nil }
