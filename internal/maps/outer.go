package maps

import (
	"encoding/binary"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"

	"github.com/cilium/ebpf"

	"github.com/skep-bpf/skep/internal/abi"
	"github.com/skep-bpf/skep/internal/mem"
)

// A map of maps holds the numbers of its inner maps, and keeps them: one lives on
// after its Close for as long as it is in. Only Go changes it. A look-up by a
// program gives a handle (see ByHandle).
//
// An inner map that Go takes out while a program still uses it is freed: what the
// program reads of it then is zeros, what it writes is lost. Who resolves handles
// keeps the maps reachable for the run, so that this is memory still.

// checkInner is what the kernel checks of the pattern for inner maps
// (bpf_map_meta_alloc in kernel/bpf/map_in_map.c).
func checkInner(spec *ebpf.MapSpec) error {
	inner := spec.InnerMap
	switch {
	case inner == nil:
		return fmt.Errorf("a map of type %s needs a pattern for its inner maps: %w", spec.Type, syscall.EBADF)
	case HoldsMaps(inner.Type):
		return fmt.Errorf("an inner map can't be a map of maps: %w", syscall.EINVAL)
	case inner.Type == ebpf.ProgramArray:
		return fmt.Errorf("an inner map can't be a prog array: %w", ebpf.ErrNotSupported)
	}
	return nil
}

// HoldsMaps reports whether the values of a map of that type are maps.
func HoldsMaps(t ebpf.MapType) bool { return t == ebpf.ArrayOfMaps || t == ebpf.HashOfMaps }

// inner holds the map of a number for a map of maps. It refuses one that differs
// from the pattern in what the verifier relies on (bpf_map_meta_equal).
func inner(outer *ebpf.MapSpec, value []byte) (Map, error) {
	id := binary.NativeEndian.Uint32(value)
	m := ByID(id)
	if m == nil {
		return nil, &mapError{fmt.Sprintf("there is no map with the number %d", id), nil, syscall.EBADF}
	}
	got, want := m.Spec(), outer.InnerMap
	differs := func(what string, got, want any) error {
		return &mapError{fmt.Sprintf("the %s of the inner map is %v, that of the pattern %v", what, got, want), nil, syscall.EINVAL}
	}
	switch {
	case got.Type != want.Type:
		return nil, differs("type", got.Type, want.Type)
	case got.KeySize != want.KeySize:
		return nil, differs("key size", got.KeySize, want.KeySize)
	case got.ValueSize != want.ValueSize:
		return nil, differs("value size", got.ValueSize, want.ValueSize)
	case got.Flags != want.Flags:
		return nil, differs("flags", got.Flags, want.Flags)
	case got.Type == ebpf.Array && got.Flags&abi.MapInnerMap == 0 && got.MaxEntries != want.MaxEntries:
		return nil, differs("max_entries", got.MaxEntries, want.MaxEntries)
	}
	if !m.shared().hold() {
		return nil, &mapError{"the inner map is closed", nil, syscall.EBADF}
	}
	return m, nil
}

// drop lets the map of a number go, if there is one.
func drop(id uint32) {
	if m := ByID(id); m != nil {
		m.shared().drop()
	}
}

// arrayOfMaps is BPF_MAP_TYPE_ARRAY_OF_MAPS. Layout: max_entries numbers of maps
// in 32 bits each.
type arrayOfMaps struct {
	base
	elements   uint64 // address of element 0
	maxEntries uint32
	mu         sync.Mutex // held by who changes the map
}

func newArrayOfMaps(spec *ebpf.MapSpec, _ int) (Map, error) {
	if err := checkHandleArray(spec, abi.MapNUMANode|abi.MapRdonly|abi.MapWronly); err != nil {
		return nil, err
	}
	if err := checkInner(spec); err != nil {
		return nil, err
	}
	region, err := newRegion(spec, 4*uint64(spec.MaxEntries))
	if err != nil {
		return nil, err
	}
	return &arrayOfMaps{base: base{spec: spec, region: region}, elements: region.Addr(), maxEntries: spec.MaxEntries}, nil
}

func (a *arrayOfMaps) element(i uint32) *uint32 {
	return mem.At[uint32](a.elements + 4*uint64(i))
}

// Programs don't see the numbers.
func (a *arrayOfMaps) Ranges() []mem.Range { return nil }

func (a *arrayOfMaps) LookupElem(_ int, key uint64) uint64 {
	i := *mem.At[uint32](key)
	if i >= a.maxEntries {
		return 0
	}
	if id := atomic.LoadUint32(a.element(i)); id != 0 {
		return handle(id)
	}
	return 0
}

func (a *arrayOfMaps) UpdateElem(int, uint64, uint64, uint64) int64 { return -int64(mem.EINVAL) }
func (a *arrayOfMaps) DeleteElem(uint64) int64                      { return -int64(mem.EINVAL) }

// Lookup gives the number of the inner map.
func (a *arrayOfMaps) Lookup(key, value []byte, flags ebpf.MapLookupFlags) error {
	i, err := lookupIndex(&a.base, key, flags)
	if err != nil {
		return err
	}
	if err := checkValue(value, 4); err != nil {
		return err
	}
	id := atomic.LoadUint32(a.element(i))
	runtime.KeepAlive(a)
	if id == 0 {
		return errNotExist
	}
	binary.NativeEndian.PutUint32(value, id)
	return nil
}

// Update puts the map of a number in (see ID).
func (a *arrayOfMaps) Update(key, value []byte, flags ebpf.MapUpdateFlags) error {
	i, err := handleIndex(&a.base, key, flags)
	if err != nil {
		return err
	}
	if err := checkValue(value, 4); err != nil {
		return err
	}
	if _, err := inner(a.spec, value); err != nil {
		return err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.closed.Load() {
		drop(binary.NativeEndian.Uint32(value))
		return errClosed
	}
	drop(atomic.SwapUint32(a.element(i), binary.NativeEndian.Uint32(value)))
	return nil
}

func (a *arrayOfMaps) Delete(key []byte) error {
	i, err := handleIndex(&a.base, key, 0)
	if err != nil {
		return err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	id := atomic.SwapUint32(a.element(i), 0)
	drop(id)
	if id == 0 {
		return errNotExist
	}
	return nil
}

func (a *arrayOfMaps) NextKey(key, next []byte) error { return nextIndex(&a.base, key, next) }

func (a *arrayOfMaps) LookupAndDelete(_, _ []byte, flags ebpf.MapLookupFlags) error {
	return a.noLookupAndDelete(flags)
}

func (a *arrayOfMaps) Close() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.closed.Load() {
		for i := range a.maxEntries {
			drop(atomic.SwapUint32(a.element(i), 0))
		}
	}
	return a.base.Close()
}

// hashOfMaps is BPF_MAP_TYPE_HASH_OF_MAPS: a hash whose values are numbers of maps.
type hashOfMaps struct {
	hash
	mu sync.Mutex // held by who changes the map
}

func newHashOfMaps(spec *ebpf.MapSpec, cpus int) (Map, error) {
	if spec.ValueSize != 4 {
		return nil, fmt.Errorf("value size %d of a map of type %s must be 4: %w", spec.ValueSize, spec.Type, syscall.EINVAL)
	}
	if err := checkHash(spec); err != nil {
		return nil, err
	}
	if err := checkInner(spec); err != nil {
		return nil, err
	}
	h := new(hashOfMaps)
	if err := h.init(spec, cpus); err != nil {
		return nil, err
	}
	return h, nil
}

// Programs don't see the numbers.
func (h *hashOfMaps) Ranges() []mem.Range { return nil }

func (h *hashOfMaps) LookupElem(cpu int, key uint64) uint64 {
	value := h.hash.LookupElem(cpu, key)
	if value == 0 {
		return 0
	}
	return handle(atomic.LoadUint32(mem.At[uint32](value)))
}

func (h *hashOfMaps) UpdateElem(int, uint64, uint64, uint64) int64 { return -int64(mem.EINVAL) }
func (h *hashOfMaps) DeleteElem(uint64) int64                      { return -int64(mem.EINVAL) }

// number is the number at a key, 0 if there is none.
func (h *hashOfMaps) number(key []byte) uint32 {
	var value [4]byte
	if h.read(data(key), value[:]) != 0 {
		return 0
	}
	return binary.NativeEndian.Uint32(value[:])
}

// Update puts the map of a number in (see ID).
func (h *hashOfMaps) Update(key, value []byte, flags ebpf.MapUpdateFlags) error {
	if err := h.mayWrite(); err != nil {
		return err
	}
	if err := h.checkKey(key); err != nil {
		return err
	}
	if err := checkValue(value, 4); err != nil {
		return err
	}
	if flags&ebpf.UpdateLock != 0 {
		return errFlags
	}
	if _, err := inner(h.spec, value); err != nil {
		return err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	old := h.number(key)
	if err := h.hash.Update(key, value, flags); err != nil {
		drop(binary.NativeEndian.Uint32(value))
		return err
	}
	drop(old)
	return nil
}

func (h *hashOfMaps) Delete(key []byte) error {
	if err := h.checkKey(key); err != nil {
		return err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	old := h.number(key)
	if err := h.hash.Delete(key); err != nil {
		return err
	}
	drop(old)
	return nil
}

func (h *hashOfMaps) LookupAndDelete(_, _ []byte, flags ebpf.MapLookupFlags) error {
	return h.noLookupAndDelete(flags)
}

func (h *hashOfMaps) Close() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.closed.Load() {
		var value [4]byte
		key := make([]byte, h.keySize)
		for h.next(nil, key) == 0 && h.remove(data(key), value[:]) == 0 {
			drop(binary.NativeEndian.Uint32(value[:]))
		}
	}
	return h.base.Close()
}
