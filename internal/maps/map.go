// Package maps holds the map types, one file each. A map's memory lies outside
// the Go heap; programs touch values in place, Go copies them in and out.
package maps

import (
	"fmt"

	"github.com/cilium/ebpf"

	"github.com/skep-bpf/skep/internal/mem"
)

// A Map is one map. All methods are safe for concurrent use.
//
// The program side takes and gives addresses (internal/mem) and negative errno
// values, as helpers do. The Go side takes slices and gives errors: the
// sentinels of cilium/ebpf where it has one (ebpf.ErrKeyNotExist,
// ebpf.ErrKeyExist, ebpf.ErrNotSupported), else a wrapped errno as the kernel
// gives it (E2BIG, EINVAL, EPERM).
type Map interface {
	// Spec is what the map was made from. It must not be changed.
	Spec() *ebpf.MapSpec
	// Ranges is the memory that programs may touch directly: values, records.
	Ranges() []mem.Range
	// Close frees the memory. No program may use the map any more.
	Close() error

	// LookupElem gives the address of the value at cpu, or 0.
	LookupElem(cpu int, key uint64) uint64
	// UpdateElem stores the value: 0 or -errno.
	UpdateElem(cpu int, key, value, flags uint64) int64
	// DeleteElem removes the key: 0 or -errno.
	DeleteElem(key uint64) int64

	// Lookup copies the value out. value is ValueSize bytes, or for per-CPU maps
	// ValueSize rounded up to 8 for every possible CPU.
	Lookup(key, value []byte, flags ebpf.MapLookupFlags) error
	// Update copies the value in; sizes as Lookup.
	Update(key, value []byte, flags ebpf.MapUpdateFlags) error
	// Delete removes the key.
	Delete(key []byte) error
	// LookupAndDelete copies the value out and removes the key in one step; arrays
	// and ring buffers give ebpf.ErrNotSupported.
	LookupAndDelete(key, value []byte, flags ebpf.MapLookupFlags) error
	// NextKey copies the key after key into next; key nil starts. At the end it
	// gives ebpf.ErrKeyNotExist. If key is gone, iteration starts again.
	NextKey(key, next []byte) error
	// Freeze ends all writing from Go (BPF_MAP_FREEZE).
	Freeze() error

	shared() *base
}

// Direct is a map whose values programs may address by the map's value pointer
// (BPF_PSEUDO_MAP_VALUE): arrays.
type Direct interface {
	Map
	// ValueAddr is the address of byte off of the values, false past their end.
	ValueAddr(off uint32) (uint64, bool)
}

// Ring is a ring buffer as programs and readers see it.
type Ring interface {
	Map
	// Reserve gives the address of size fresh bytes, or 0.
	Reserve(size, flags uint64) uint64
	// Submit and Discard end a reservation.
	Submit(record, flags uint64)
	Discard(record, flags uint64)
	// Output copies a record in: 0 or -errno.
	Output(data, size, flags uint64) int64
	// Query answers BPF_RB_AVAIL_DATA and its siblings.
	Query(flags uint64) uint64

	// ReadRecord appends the next record to p. remaining is the number of bytes
	// left to read after it. ok is false if there is none.
	ReadRecord(p []byte) (record []byte, remaining int, ok bool)
	// Wait blocks until a record may be there, the deadline has passed
	// (os.ErrDeadlineExceeded) or the map or reader was closed (os.ErrClosed).
	Wait(w *Waiter) error
	// Dropped counts the records that did not fit.
	Dropped() uint64
}

// Queue is a map without keys as programs see it: a queue, a stack, or a bloom
// filter, whose PeekElem asks whether the value is in it.
type Queue interface {
	Map
	// PushElem puts the value in: 0 or -errno.
	PushElem(value, flags uint64) int64
	// PopElem copies the next value out and takes it off: 0 or -errno.
	PopElem(value uint64) int64
	// PeekElem copies the next value out: 0 or -errno.
	PeekElem(value uint64) int64
}

// Perf is a perf event array as programs and readers see it.
type Perf interface {
	Map
	// Output copies a sample into the ring at the index in flags, which must be
	// that of cpu; BPF_F_CURRENT_CPU stands for it. 0 or -errno.
	Output(cpu int, data, size, flags uint64) int64
	// OpenPerf makes a ring of so many bytes for each CPU, and a reader of them.
	OpenPerf(bytes int, options PerfOptions) (*PerfReader, error)
}

// ProgArray is a prog array as tail calls see it.
type ProgArray interface {
	Map
	// Program is the program at an index, nil if there is none.
	Program(index uint32) Program
	// Own says that programs of a type use the map, before they run. It is false if
	// it has programs of another type.
	Own(TailType) bool
}

// CgroupArray is a cgroup array as helpers see it.
type CgroupArray interface {
	Map
	// Cgroup is the id of the cgroup at an index: E2BIG behind the end, EAGAIN if
	// there is none.
	Cgroup(index uint32) (id uint64, errno mem.Errno)
}

// types has the constructor of each map type that there is.
var types = map[ebpf.MapType]func(spec *ebpf.MapSpec, cpus int) (Map, error){
	ebpf.Array:          newArray,
	ebpf.Hash:           newHash,
	ebpf.LRUHash:        newHash,
	ebpf.PerCPUArray:    newPerCPUArray,
	ebpf.PerCPUHash:     newPerCPUHash,
	ebpf.LRUCPUHash:     newPerCPUHash,
	ebpf.RingBuf:        newRing,
	ebpf.LPMTrie:        newTrie,
	ebpf.Queue:          newQueue,
	ebpf.Stack:          newQueue,
	ebpf.BloomFilter:    newBloom,
	ebpf.PerfEventArray: newPerfArray,
	ebpf.ProgramArray:   newProgArray,
	ebpf.ArrayOfMaps:    newArrayOfMaps,
	ebpf.CGroupArray:    newCgroupArray,
	ebpf.HashOfMaps:     newHashOfMaps,
}

// PerCPU reports whether a map of that type has a value for each CPU.
func PerCPU(t ebpf.MapType) bool {
	switch t {
	case ebpf.PerCPUArray, ebpf.PerCPUHash, ebpf.LRUCPUHash, ebpf.PerCPUCGroupStorage:
		return true
	}
	return false
}

// ValueBytes is the size of a value as the Go side of a map takes it: ValueSize,
// or for per-CPU maps ValueSize rounded up to 8 for every possible CPU.
func ValueBytes(spec *ebpf.MapSpec, cpus int) int {
	if PerCPU(spec.Type) {
		return int(round8(uint64(spec.ValueSize))) * cpus
	}
	return int(spec.ValueSize)
}

// complete is a copy of a spec with what an object may leave open, as cilium/ebpf
// does it.
func complete(spec *ebpf.MapSpec, cpus int) *ebpf.MapSpec {
	spec = spec.Copy()
	if HoldsMaps(spec.Type) && spec.ValueSize == 0 {
		spec.ValueSize = 4
	}
	if spec.Type == ebpf.PerfEventArray {
		if spec.KeySize == 0 {
			spec.KeySize = 4
		}
		if spec.ValueSize == 0 {
			spec.ValueSize = 4
		}
		if n := uint32(cpus); spec.MaxEntries == 0 || spec.MaxEntries > n {
			spec.MaxEntries = n
		}
	}
	return spec
}

// New makes the map of a spec, its initial contents filled in, but for those of
// maps of maps and prog arrays, which are names: the caller puts them in. cpus is the
// number of possible CPUs. A spec that the kernel would refuse gives its errno
// wrapped; a type that is not there yet gives ebpf.ErrNotSupported. Errors leave
// it to the caller to name the map.
func New(spec *ebpf.MapSpec, cpus int) (Map, error) {
	if cpus < 1 {
		return nil, fmt.Errorf("%d CPUs: there must be at least one", cpus)
	}
	if spec.Extra != nil && spec.Extra.Len() > 0 {
		return nil, fmt.Errorf("%d bytes of the map's definition are not understood: %w", spec.Extra.Len(), ebpf.ErrNotSupported)
	}
	make := types[spec.Type]
	if make == nil {
		return nil, fmt.Errorf("map type %s: %w", spec.Type, ebpf.ErrNotSupported)
	}
	if err := checkSpec(spec); err != nil {
		return nil, err
	}
	m, err := make(complete(spec, cpus), cpus)
	if err != nil {
		return nil, err
	}
	if m.shared().id, err = made.add(&m); err != nil {
		m.Close()
		return nil, err
	}
	if err := fill(m, cpus); err != nil {
		m.Close()
		return nil, err
	}
	return m, nil
}
