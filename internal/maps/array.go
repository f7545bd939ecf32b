package maps

import (
	"encoding/binary"
	"fmt"
	"math"
	"runtime"
	"syscall"
	"unsafe"

	"github.com/cilium/ebpf"

	"github.com/skep-bpf/skep/internal/abi"
	"github.com/skep-bpf/skep/internal/mem"
)

// array is BPF_MAP_TYPE_ARRAY. Layout: max_entries values, one after the other,
// each rounded up to 8 bytes.
type array struct {
	base
	values     uint64 // address of value 0
	stride     uint64 // bytes from one value to the next
	maxEntries uint32
}

func newArray(spec *ebpf.MapSpec, _ int) (Map, error) {
	if err := checkArray(spec, abi.MapNUMANode|abi.MapMmapable|abi.MapInnerMap|flagsAccess); err != nil {
		return nil, err
	}
	stride := round8(uint64(spec.ValueSize))
	region, err := newRegion(spec, stride*uint64(spec.MaxEntries))
	if err != nil {
		return nil, err
	}
	return &array{
		base:       base{spec: spec, region: region},
		values:     region.Addr(),
		stride:     stride,
		maxEntries: spec.MaxEntries,
	}, nil
}

// checkArray is what the kernel checks of an array's attributes
// (array_map_alloc_check in kernel/bpf/arraymap.c).
func checkArray(spec *ebpf.MapSpec, flags uint32) error {
	switch {
	case spec.MaxEntries == 0:
		return fmt.Errorf("max_entries is 0: %w", syscall.EINVAL)
	case spec.KeySize != 4:
		return fmt.Errorf("key size %d of an array must be 4: %w", spec.KeySize, syscall.EINVAL)
	case spec.ValueSize == 0:
		return fmt.Errorf("value size is 0: %w", syscall.EINVAL)
	}
	if err := checkFlags(spec, flags); err != nil {
		return err
	}
	if spec.ValueSize > math.MaxInt32 {
		return fmt.Errorf("value size %d is too big: %w", spec.ValueSize, syscall.E2BIG)
	}
	return nil
}

func (a *array) Ranges() []mem.Range {
	return []mem.Range{{Addr: a.values, Size: uint64(a.region.Size())}}
}

func (a *array) ValueAddr(off uint32) (uint64, bool) {
	return a.values + uint64(off), uint64(off) < uint64(a.region.Size())
}

func (a *array) LookupElem(_ int, key uint64) uint64 {
	i := *mem.At[uint32](key)
	if i >= a.maxEntries {
		return 0
	}
	return a.values + uint64(i)*a.stride
}

func (a *array) UpdateElem(_ int, key, value, flags uint64) int64 {
	i := *mem.At[uint32](key)
	if e := checkArrayUpdate(i, a.maxEntries, flags); e != 0 {
		return -int64(e)
	}
	a.store(i, mem.Pointer(value))
	return 0
}

func (a *array) DeleteElem(uint64) int64 { return -int64(mem.EINVAL) }

func (a *array) store(i uint32, value unsafe.Pointer) {
	copyIn(mem.Pointer(a.values+uint64(i)*a.stride), value, int(a.spec.ValueSize))
}

func (a *array) Lookup(key, value []byte, flags ebpf.MapLookupFlags) error {
	i, err := lookupIndex(&a.base, key, flags)
	if err != nil {
		return err
	}
	if err := checkValue(value, int(a.spec.ValueSize)); err != nil {
		return err
	}
	copyOut(value, mem.Pointer(a.values+uint64(i)*a.stride))
	runtime.KeepAlive(a)
	return nil
}

func (a *array) Update(key, value []byte, flags ebpf.MapUpdateFlags) error {
	i, err := updateIndex(&a.base, key, flags)
	if err != nil {
		return err
	}
	if err := checkValue(value, int(a.spec.ValueSize)); err != nil {
		return err
	}
	a.store(i, data(value))
	runtime.KeepAlive(a)
	return nil
}

func (a *array) Delete(key []byte) error        { return deleteIndex(&a.base, key) }
func (a *array) NextKey(key, next []byte) error { return nextIndex(&a.base, key, next) }

func (a *array) LookupAndDelete(_, _ []byte, flags ebpf.MapLookupFlags) error {
	return a.noLookupAndDelete(flags)
}

// checkArrayUpdate checks an update as the kernel does, in its order.
func checkArrayUpdate(i, maxEntries uint32, flags uint64) mem.Errno {
	switch {
	case flags&^uint64(ebpf.UpdateLock) > uint64(ebpf.UpdateExist):
		return mem.EINVAL
	case i >= maxEntries:
		return mem.E2BIG
	case flags&uint64(ebpf.UpdateNoExist) != 0:
		return mem.EEXIST // every element of an array is there from the start
	case flags != 0 && flags != uint64(ebpf.UpdateExist):
		return mem.EINVAL // there is no spin lock in the value
	}
	return 0
}

// lookupIndex, updateIndex, deleteIndex and nextIndex are the Go side's checks
// of all maps whose keys are indices.

func lookupIndex(b *base, key []byte, flags ebpf.MapLookupFlags) (uint32, error) {
	if err := b.mayLookup(flags); err != nil {
		return 0, err
	}
	if err := b.checkKey(key); err != nil {
		return 0, err
	}
	i := binary.NativeEndian.Uint32(key)
	if i >= b.spec.MaxEntries {
		return 0, errNotExist
	}
	return i, nil
}

func updateIndex(b *base, key []byte, flags ebpf.MapUpdateFlags) (uint32, error) {
	if err := b.mayWrite(); err != nil {
		return 0, err
	}
	if err := b.checkKey(key); err != nil {
		return 0, err
	}
	if flags&ebpf.UpdateLock != 0 {
		return 0, errFlags
	}
	i := binary.NativeEndian.Uint32(key)
	switch checkArrayUpdate(i, b.spec.MaxEntries, uint64(flags)) {
	case mem.EINVAL:
		return 0, errFlags
	case mem.E2BIG:
		return 0, errIndex
	case mem.EEXIST:
		return 0, errExist
	}
	return i, nil
}

func deleteIndex(b *base, key []byte) error {
	if err := b.mayWrite(); err != nil {
		return err
	}
	if err := b.checkKey(key); err != nil {
		return err
	}
	return errArrayDelete
}

func nextIndex(b *base, key, next []byte) error {
	if err := b.mayRead(); err != nil {
		return err
	}
	if err := b.checkKey(next); err != nil {
		return err
	}
	i := uint32(0)
	if key != nil {
		if err := b.checkKey(key); err != nil {
			return err
		}
		// An index that is out of range starts again.
		if last := binary.NativeEndian.Uint32(key); last < b.spec.MaxEntries {
			i = last + 1
		}
		if i == b.spec.MaxEntries {
			return errNotExist
		}
	}
	binary.NativeEndian.PutUint32(next, i)
	return nil
}
