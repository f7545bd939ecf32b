package maps

import (
	"fmt"
	"runtime"
	"syscall"

	"github.com/cilium/ebpf"

	"github.com/skep-bpf/skep/internal/mem"
)

// maxPerCPUValue is the largest value of a per-CPU map, rounded up to 8
// (PCPU_MIN_UNIT_SIZE in include/linux/percpu.h).
const maxPerCPUValue = 32 << 10

func errPerCPUValue(spec *ebpf.MapSpec) error {
	return fmt.Errorf("value size %d of a per-CPU map is above %d: %w", spec.ValueSize, maxPerCPUValue, syscall.E2BIG)
}

// cacheLine is what two CPUs should not share.
const cacheLine = 64

// perCPUArray is BPF_MAP_TYPE_PERCPU_ARRAY. Layout: a block for each CPU, in
// whole cache lines, of max_entries values, each rounded up to 8 bytes.
type perCPUArray struct {
	base
	values     uint64 // address of value 0 of CPU 0
	stride     uint64 // bytes from one value of a CPU to the next
	block      uint64 // bytes from one CPU's values to the next CPU's
	maxEntries uint32
	cpus       int
}

func newPerCPUArray(spec *ebpf.MapSpec, cpus int) (Map, error) {
	if err := checkArray(spec, flagsAccess); err != nil {
		return nil, err
	}
	stride := round8(uint64(spec.ValueSize))
	if stride > maxPerCPUValue {
		return nil, errPerCPUValue(spec)
	}
	block := (stride*uint64(spec.MaxEntries) + cacheLine - 1) &^ (cacheLine - 1)
	region, err := newRegion(spec, block*uint64(cpus))
	if err != nil {
		return nil, err
	}
	return &perCPUArray{
		base:       base{spec: spec, region: region},
		values:     region.Addr(),
		stride:     stride,
		block:      block,
		maxEntries: spec.MaxEntries,
		cpus:       cpus,
	}, nil
}

func (a *perCPUArray) Ranges() []mem.Range {
	return []mem.Range{{Addr: a.values, Size: uint64(a.region.Size())}}
}

// value is the address of value i of a CPU, 0 for a CPU that there is not.
func (a *perCPUArray) value(cpu int, i uint32) uint64 {
	if uint(cpu) >= uint(a.cpus) {
		return 0
	}
	return a.values + uint64(cpu)*a.block + uint64(i)*a.stride
}

func (a *perCPUArray) LookupElem(cpu int, key uint64) uint64 {
	i := *mem.At[uint32](key)
	if i >= a.maxEntries {
		return 0
	}
	return a.value(cpu, i)
}

func (a *perCPUArray) UpdateElem(cpu int, key, value, flags uint64) int64 {
	i := *mem.At[uint32](key)
	if e := checkArrayUpdate(i, a.maxEntries, flags); e != 0 {
		return -int64(e)
	}
	dst := a.value(cpu, i)
	if dst == 0 {
		return -int64(mem.EINVAL)
	}
	copyIn(mem.Pointer(dst), mem.Pointer(value), int(a.spec.ValueSize))
	return 0
}

func (a *perCPUArray) DeleteElem(uint64) int64 { return -int64(mem.EINVAL) }

func (a *perCPUArray) Lookup(key, value []byte, flags ebpf.MapLookupFlags) error {
	i, err := lookupIndex(&a.base, key, flags)
	if err != nil {
		return err
	}
	if err := checkValue(value, int(a.stride)*a.cpus); err != nil {
		return err
	}
	for cpu := range a.cpus {
		copyOut(value[cpu*int(a.stride):][:a.stride], mem.Pointer(a.value(cpu, i)))
	}
	runtime.KeepAlive(a)
	return nil
}

func (a *perCPUArray) Update(key, value []byte, flags ebpf.MapUpdateFlags) error {
	i, err := updateIndex(&a.base, key, flags)
	if err != nil {
		return err
	}
	if err := checkValue(value, int(a.stride)*a.cpus); err != nil {
		return err
	}
	for cpu := range a.cpus {
		copyIn(mem.Pointer(a.value(cpu, i)), data(value[cpu*int(a.stride):]), int(a.stride))
	}
	runtime.KeepAlive(a)
	return nil
}

func (a *perCPUArray) Delete(key []byte) error        { return deleteIndex(&a.base, key) }
func (a *perCPUArray) NextKey(key, next []byte) error { return nextIndex(&a.base, key, next) }

func (a *perCPUArray) LookupAndDelete(_, _ []byte, flags ebpf.MapLookupFlags) error {
	return a.noLookupAndDelete(flags)
}
