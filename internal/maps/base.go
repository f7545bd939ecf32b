package maps

import (
	"fmt"
	"os"
	"sync/atomic"
	"syscall"

	"github.com/cilium/ebpf"

	"github.com/skep-bpf/skep/internal/abi"
	"github.com/skep-bpf/skep/internal/mem"
)

// flagsAccess says who may read and write a map.
const flagsAccess = abi.MapRdonly | abi.MapWronly | abi.MapRdonlyProg | abi.MapWronlyProg

// base is what all map types share: the spec, the memory, and whether Go may
// still use it.
type base struct {
	spec   *ebpf.MapSpec
	region *mem.Region // nil if it has no memory that programs share

	closed atomic.Bool
	frozen atomic.Bool

	id      uint32       // in made
	holders atomic.Int32 // maps of maps that it is in, and -1 when it is closed
}

func (b *base) Spec() *ebpf.MapSpec { return b.spec }
func (b *base) shared() *base       { return b }

func (b *base) Close() error {
	if b.closed.Swap(true) {
		return nil
	}
	return b.drop()
}

// hold keeps the map's memory until drop, unless it is gone.
func (b *base) hold() bool {
	for {
		n := b.holders.Load()
		if n < 0 {
			return false
		}
		if b.holders.CompareAndSwap(n, n+1) {
			return true
		}
	}
}

func (b *base) drop() error {
	if b.holders.Add(-1) >= 0 {
		return nil
	}
	made.remove(b.id)
	if b.region == nil {
		return nil
	}
	return b.region.Close()
}

func (b *base) Freeze() error {
	if err := b.mayWrite(); err != nil {
		return err
	}
	b.frozen.Store(true)
	return nil
}

// mayLookup, mayLookupAndDelete, mayRead and mayWrite say whether Go may use the
// map. Each caller then checks the sizes of key and value, and leaves the rest to
// the map type.

func (b *base) mayLookup(flags ebpf.MapLookupFlags) error {
	if flags&^ebpf.LookupLock != 0 {
		return errFlags
	}
	if err := b.mayRead(); err != nil {
		return err
	}
	if flags != 0 {
		return errFlags // there is no spin lock in the value
	}
	return nil
}

func (b *base) mayLookupAndDelete(flags ebpf.MapLookupFlags) error {
	if flags&^ebpf.LookupLock != 0 {
		return errFlags
	}
	if err := b.mayWrite(); err != nil {
		return err
	}
	return b.mayLookup(flags)
}

// noLookupAndDelete is LookupAndDelete of maps whose elements do not come and go.
func (b *base) noLookupAndDelete(flags ebpf.MapLookupFlags) error {
	if err := b.mayLookupAndDelete(flags); err != nil {
		return err
	}
	return errNotSupported
}

func (b *base) mayRead() error {
	switch {
	case b.closed.Load():
		return errClosed
	case b.spec.Flags&abi.MapWronly != 0:
		return errWriteOnly
	}
	return nil
}

func (b *base) mayWrite() error {
	switch {
	case b.closed.Load():
		return errClosed
	case b.spec.Flags&abi.MapRdonly != 0:
		return errReadOnly
	case b.frozen.Load():
		return errFrozen
	}
	return nil
}

// checkKey and checkValue refuse slices of another size than the map's.

func (b *base) checkKey(key []byte) error {
	if len(key) != int(b.spec.KeySize) {
		return fmt.Errorf("key has %d bytes, the map's have %d: %w", len(key), b.spec.KeySize, syscall.EINVAL)
	}
	return nil
}

func checkValue(value []byte, size int) error {
	if len(value) != size {
		return fmt.Errorf("value has %d bytes, the map's have %d: %w", len(value), size, syscall.EINVAL)
	}
	return nil
}

// checkSpec is what the kernel checks of maps of all types (map_create in
// kernel/bpf/syscall.c).
func checkSpec(spec *ebpf.MapSpec) error {
	if spec.Flags&abi.MapRdonly != 0 && spec.Flags&abi.MapWronly != 0 {
		return errNoAccess(abi.MapRdonly | abi.MapWronly)
	}
	if spec.MapExtra != 0 && spec.Type != ebpf.BloomFilter {
		return fmt.Errorf("map_extra %#x is not for maps of type %s: %w", spec.MapExtra, spec.Type, syscall.EINVAL)
	}
	return nil
}

// checkFlags refuses flags that a map type does not have, and a combination that
// leaves programs no access.
func checkFlags(spec *ebpf.MapSpec, allowed uint32) error {
	if f := spec.Flags &^ allowed; f != 0 {
		return fmt.Errorf("flags %#x are not for maps of type %s: %w", f, spec.Type, syscall.EINVAL)
	}
	if spec.Flags&abi.MapRdonlyProg != 0 && spec.Flags&abi.MapWronlyProg != 0 {
		return errNoAccess(abi.MapRdonlyProg | abi.MapWronlyProg)
	}
	return nil
}

func errNoAccess(both uint32) error {
	return fmt.Errorf("flags %#x: read-only and write-only at once: %w", both, syscall.EINVAL)
}

// newRegion makes the memory of a map. size is a uint64 so that callers need
// not check products of two 32-bit numbers.
func newRegion(spec *ebpf.MapSpec, size uint64) (*mem.Region, error) {
	if size > 1<<40 {
		return nil, fmt.Errorf("%d bytes are too much memory for a map: %w", size, syscall.ENOMEM)
	}
	return mem.New(spec.Name, int(size))
}

func round8(n uint64) uint64 { return (n + 7) &^ 7 }

// A mapError is an error of the Go side: a sentence, the sentinel of cilium/ebpf
// or package os if there is one, and the number that the kernel gives.
type mapError struct {
	text     string
	sentinel error
	errno    error
}

func (e *mapError) Error() string { return e.text }

func (e *mapError) Is(target error) bool { return target == e.sentinel || target == e.errno }

// The errors of the Go side are made once, so that a lookup of a missing key
// allocates nothing.
var (
	errClosed          = &mapError{"map is closed", os.ErrClosed, syscall.EBADF}
	errReadOnly        = &mapError{"map is read-only (BPF_F_RDONLY)", os.ErrPermission, syscall.EPERM}
	errWriteOnly       = &mapError{"map is write-only (BPF_F_WRONLY)", os.ErrPermission, syscall.EPERM}
	errFrozen          = &mapError{"map is frozen", os.ErrPermission, syscall.EPERM}
	errNotExist        = &mapError{"key does not exist", ebpf.ErrKeyNotExist, syscall.ENOENT}
	errExist           = &mapError{"key already exists", ebpf.ErrKeyExist, syscall.EEXIST}
	errFull            = &mapError{"map is full: it holds max_entries elements", nil, syscall.E2BIG}
	errNoSpace         = &mapError{"map is full: it holds max_entries elements", nil, syscall.ENOSPC}
	errIndex           = &mapError{"index is not below max_entries", nil, syscall.E2BIG}
	errFlags           = &mapError{"flags are not valid for this map and operation", nil, syscall.EINVAL}
	errKeyless         = &mapError{"map has no keys", nil, syscall.EINVAL}
	errNoSuchOperation = &mapError{"operation is not for maps of this type", ebpf.ErrNotSupported, syscall.EOPNOTSUPP}
	errArrayDelete     = &mapError{"elements of an array can't be deleted", nil, syscall.EINVAL}
	errNoMemory        = &mapError{"no free element: the map's memory is damaged", nil, syscall.ENOMEM}
	errBusy            = &mapError{"a writer holds the bucket and does not come back", nil, syscall.EBUSY}
	errNotSupported    = &mapError{"operation is not for maps of this type", ebpf.ErrNotSupported, nil}
)
