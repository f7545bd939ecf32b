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

// maxHashElement bounds key and value size of a hash together, so that the
// kernel can hold an element in one allocation (htab_map_alloc_check in
// kernel/bpf/hashtab.c: KMALLOC_MAX_SIZE less the element's header).
const maxHashElement = 4<<20 - 48

// maxHashEntries bounds max_entries of a hash (htab_map_alloc).
const maxHashEntries = 1 << 31

// hash is BPF_MAP_TYPE_HASH and, with a table that gives up elements when it is
// full, BPF_MAP_TYPE_LRU_HASH. Layout: see table.
type hash struct {
	base
	table
	valueBytes int // of a value to and from Go
}

func newHash(spec *ebpf.MapSpec, cpus int) (Map, error) {
	h := new(hash)
	if err := h.init(spec, cpus); err != nil {
		return nil, err
	}
	return h, nil
}

// init makes the table of a hash of any kind.
func (h *hash) init(spec *ebpf.MapSpec, cpus int) error {
	if err := checkHash(spec); err != nil {
		return err
	}
	s := shape{
		maxEntries: spec.MaxEntries,
		keySize:    int(spec.KeySize),
		valueSize:  int(spec.ValueSize),
		spare:      spareElements(cpus),
		lru:        isLRU(spec.Type),
	}
	if PerCPU(spec.Type) {
		s.cpus = cpus
	}
	size := h.layout(s)
	region, err := newRegion(spec, size)
	if err != nil {
		return err
	}
	h.base = base{spec: spec, region: region}
	h.valueBytes = ValueBytes(spec, cpus)
	h.place(region.Addr(), spec.Flags&abi.MapZeroSeed != 0)
	return nil
}

// spareElements is one for each runner and some for Go.
func spareElements(cpus int) int { return cpus + 8 }

func isLRU(t ebpf.MapType) bool { return t == ebpf.LRUHash || t == ebpf.LRUCPUHash }

// checkHash is what the kernel checks of a hash's attributes.
func checkHash(spec *ebpf.MapSpec) error {
	perCPU, lru := PerCPU(spec.Type), isLRU(spec.Type)
	allowed := uint32(abi.MapNoPrealloc | abi.MapZeroSeed | flagsAccess)
	if lru {
		allowed |= abi.MapNoCommonLRU
	}
	if !perCPU && spec.Flags&abi.MapNoCommonLRU == 0 {
		allowed |= abi.MapNUMANode
	}
	if err := checkFlags(spec, allowed); err != nil {
		return err
	}
	switch {
	case lru && spec.Flags&abi.MapNoPrealloc != 0:
		return fmt.Errorf("BPF_F_NO_PREALLOC is not for LRU maps: %w", ebpf.ErrNotSupported)
	case spec.MaxEntries == 0:
		return fmt.Errorf("max_entries is 0: %w", syscall.EINVAL)
	case spec.KeySize == 0:
		return fmt.Errorf("key size is 0: %w", syscall.EINVAL)
	case spec.ValueSize == 0:
		return fmt.Errorf("value size is 0: %w", syscall.EINVAL)
	case uint64(spec.KeySize)+uint64(spec.ValueSize) >= maxHashElement:
		return fmt.Errorf("key size %d and value size %d are too big: %w", spec.KeySize, spec.ValueSize, syscall.E2BIG)
	case perCPU && round8(uint64(spec.ValueSize)) > maxPerCPUValue:
		return errPerCPUValue(spec)
	case spec.MaxEntries > maxHashEntries:
		return fmt.Errorf("max_entries %d is too big: %w", spec.MaxEntries, syscall.E2BIG)
	}
	return nil
}

// Ranges are the values. Keys, which lie between those of maps that are not
// per-CPU, come with them.
func (h *hash) Ranges() []mem.Range {
	if h.cpus > 0 {
		return []mem.Range{{Addr: h.values, Size: h.block * uint64(h.cpus)}}
	}
	return []mem.Range{{Addr: h.elements, Size: h.overflow - h.elements}}
}

func (h *hash) LookupElem(_ int, key uint64) uint64 {
	e := h.lookup(mem.Pointer(key))
	if e == 0 {
		return 0
	}
	h.touch(e)
	return h.value(e, 0)
}

func (h *hash) UpdateElem(_ int, key, value, flags uint64) int64 {
	return -int64(h.update(mem.Pointer(key), mem.Pointer(value), flags))
}

func (h *hash) DeleteElem(key uint64) int64 { return -int64(h.remove(mem.Pointer(key), nil)) }

func (h *hash) Lookup(key, value []byte, flags ebpf.MapLookupFlags) error {
	if err := h.mayLookup(flags); err != nil {
		return err
	}
	if err := h.checkKey(key); err != nil {
		return err
	}
	if err := checkValue(value, h.valueBytes); err != nil {
		return err
	}
	errno := h.read(data(key), value)
	runtime.KeepAlive(h)
	return hashError(errno)
}

func (h *hash) Update(key, value []byte, flags ebpf.MapUpdateFlags) error {
	if err := h.mayWrite(); err != nil {
		return err
	}
	if err := h.checkKey(key); err != nil {
		return err
	}
	if err := checkValue(value, h.valueBytes); err != nil {
		return err
	}
	errno := h.update(data(key), data(value), uint64(flags))
	runtime.KeepAlive(h)
	return hashError(errno)
}

func (h *hash) Delete(key []byte) error {
	if err := h.mayWrite(); err != nil {
		return err
	}
	if err := h.checkKey(key); err != nil {
		return err
	}
	errno := h.remove(data(key), nil)
	runtime.KeepAlive(h)
	return hashError(errno)
}

func (h *hash) LookupAndDelete(key, value []byte, flags ebpf.MapLookupFlags) error {
	if err := h.mayLookupAndDelete(flags); err != nil {
		return err
	}
	if err := h.checkKey(key); err != nil {
		return err
	}
	if err := checkValue(value, h.valueBytes); err != nil {
		return err
	}
	errno := h.remove(data(key), value)
	runtime.KeepAlive(h)
	return hashError(errno)
}

func (h *hash) NextKey(key, next []byte) error {
	if err := h.mayRead(); err != nil {
		return err
	}
	if err := h.checkKey(next); err != nil {
		return err
	}
	var from unsafe.Pointer
	if key != nil {
		if err := h.checkKey(key); err != nil {
			return err
		}
		from = data(key)
	}
	errno := h.next(from, next)
	runtime.KeepAlive(h)
	return hashError(errno)
}

// hashError is the Go side's error of what a table gives.
func hashError(e mem.Errno) error {
	switch e {
	case 0:
		return nil
	case mem.ENOENT:
		return errNotExist
	case mem.EEXIST:
		return errExist
	case mem.E2BIG:
		return errFull
	case mem.ENOSPC:
		return errNoSpace
	case mem.EINVAL:
		return errFlags
	case mem.EBUSY:
		return errBusy
	}
	return errNoMemory
}
