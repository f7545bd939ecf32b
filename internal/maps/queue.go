package maps

import (
	"fmt"
	"runtime"
	"syscall"
	"unsafe"

	"github.com/cilium/ebpf"

	"github.com/skep-bpf/skep/internal/abi"
	"github.com/skep-bpf/skep/internal/mem"
)

// queue is BPF_MAP_TYPE_QUEUE and BPF_MAP_TYPE_STACK. Layout: one page, see
// queueHeader, then max_entries values, each rounded up to 8 bytes. The elements
// are count values from first on, which go on at the start after the last place.
type queue struct {
	base
	header     *queueHeader
	values     uint64 // address of place 0
	stride     uint64 // bytes of a place
	maxEntries uint32
	stack      bool
}

type queueHeader struct {
	seq   uint32 // odd while somebody is there
	stuck uint32 // the seq that somebody has waited for in vain
	first uint32 // place of the oldest element
	count uint32
}

func newQueue(spec *ebpf.MapSpec, _ int) (Map, error) {
	if err := checkKeyless(spec); err != nil {
		return nil, err
	}
	if err := checkFlags(spec, abi.MapNUMANode|flagsAccess); err != nil {
		return nil, err
	}
	if spec.ValueSize > maxQueueValue {
		return nil, fmt.Errorf("value size %d is too big: %w", spec.ValueSize, syscall.E2BIG)
	}
	stride := round8(uint64(spec.ValueSize))
	region, err := newRegion(spec, tableHeaderSize+stride*uint64(spec.MaxEntries))
	if err != nil {
		return nil, err
	}
	return &queue{
		base:       base{spec: spec, region: region},
		header:     mem.At[queueHeader](region.Addr()),
		values:     region.Addr() + tableHeaderSize,
		stride:     stride,
		maxEntries: spec.MaxEntries,
		stack:      spec.Type == ebpf.Stack,
	}, nil
}

// maxQueueValue is the largest value of a queue (KMALLOC_MAX_SIZE).
const maxQueueValue = 4 << 20

// checkKeyless is what the kernel checks of maps that have no keys.
func checkKeyless(spec *ebpf.MapSpec) error {
	switch {
	case spec.MaxEntries == 0:
		return fmt.Errorf("max_entries is 0: %w", syscall.EINVAL)
	case spec.KeySize != 0:
		return fmt.Errorf("a map of type %s has no keys, but key size %d was given: %w", spec.Type, spec.KeySize, syscall.EINVAL)
	case spec.ValueSize == 0:
		return fmt.Errorf("value size is 0: %w", syscall.EINVAL)
	}
	return nil
}

// Programs get copies of the elements.
func (q *queue) Ranges() []mem.Range { return nil }

func (q *queue) PushElem(value, flags uint64) int64 {
	return -int64(q.push(mem.Pointer(value), flags))
}

func (q *queue) PopElem(value uint64) int64 {
	return -int64(q.top(mem.Slice(value, int(q.spec.ValueSize)), true))
}

func (q *queue) PeekElem(value uint64) int64 {
	return -int64(q.top(mem.Slice(value, int(q.spec.ValueSize)), false))
}

func (q *queue) place(i uint64) unsafe.Pointer {
	return mem.Pointer(q.values + i%uint64(q.maxEntries)*q.stride)
}

// push puts a value in. With BPF_EXIST the oldest makes room in a full map.
func (q *queue) push(value unsafe.Pointer, flags uint64) mem.Errno {
	if flags != uint64(ebpf.UpdateAny) && flags != uint64(ebpf.UpdateExist) {
		return mem.EINVAL
	}
	h := q.header
	if !lock(&h.seq, &h.stuck) {
		return mem.EBUSY
	}
	defer unlock(&h.seq)
	if h.count >= q.maxEntries {
		if flags != uint64(ebpf.UpdateExist) {
			return mem.E2BIG
		}
		h.first = uint32((uint64(h.first) + 1) % uint64(q.maxEntries))
		h.count = q.maxEntries - 1
	}
	copyIn(q.place(uint64(h.first)+uint64(h.count)), value, int(q.spec.ValueSize))
	h.count++
	return 0
}

// top copies out the oldest value of a queue or the newest of a stack, and takes
// it off. An empty map gives zeros.
func (q *queue) top(value []byte, off bool) mem.Errno {
	h := q.header
	if !lock(&h.seq, &h.stuck) {
		clear(value)
		return mem.EBUSY
	}
	defer unlock(&h.seq)
	count := min(h.count, q.maxEntries)
	if count == 0 {
		clear(value)
		return mem.ENOENT
	}
	i := uint64(h.first)
	if q.stack {
		i += uint64(count) - 1
	}
	copyOut(value, q.place(i))
	if off {
		h.count = count - 1
		if !q.stack {
			h.first = uint32((i + 1) % uint64(q.maxEntries))
		}
	}
	return 0
}

// Programs have no keys to look up, update or delete.

func (q *queue) LookupElem(int, uint64) uint64                { return 0 }
func (q *queue) UpdateElem(int, uint64, uint64, uint64) int64 { return -int64(mem.EINVAL) }
func (q *queue) DeleteElem(uint64) int64                      { return -int64(mem.EINVAL) }

// Lookup copies the value that is next out. key is empty.
func (q *queue) Lookup(key, value []byte, flags ebpf.MapLookupFlags) error {
	if err := q.mayLookup(flags); err != nil {
		return err
	}
	return q.copyTop(key, value, false)
}

// LookupAndDelete takes it off, too.
func (q *queue) LookupAndDelete(key, value []byte, flags ebpf.MapLookupFlags) error {
	if err := q.mayLookupAndDelete(flags); err != nil {
		return err
	}
	return q.copyTop(key, value, true)
}

func (q *queue) copyTop(key, value []byte, off bool) error {
	if err := q.checkKey(key); err != nil {
		return err
	}
	if err := checkValue(value, int(q.spec.ValueSize)); err != nil {
		return err
	}
	errno := q.top(value, off)
	runtime.KeepAlive(q)
	return hashError(errno)
}

// Update puts a value in. key is empty.
func (q *queue) Update(key, value []byte, flags ebpf.MapUpdateFlags) error {
	if err := q.mayWrite(); err != nil {
		return err
	}
	if err := q.checkKey(key); err != nil {
		return err
	}
	if err := checkValue(value, int(q.spec.ValueSize)); err != nil {
		return err
	}
	errno := q.push(data(value), uint64(flags))
	runtime.KeepAlive(q)
	return hashError(errno)
}

func (q *queue) Delete([]byte) error {
	if err := q.mayWrite(); err != nil {
		return err
	}
	return errKeyless
}

func (q *queue) NextKey([]byte, []byte) error {
	if err := q.mayRead(); err != nil {
		return err
	}
	return errKeyless
}
