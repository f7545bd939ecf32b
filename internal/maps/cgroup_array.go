package maps

import (
	"encoding/binary"
	"fmt"
	"sync/atomic"
	"syscall"

	"github.com/cilium/ebpf"

	"github.com/skep-bpf/skep/internal/abi"
	"github.com/skep-bpf/skep/internal/mem"
)

// cgroupArray is BPF_MAP_TYPE_CGROUP_ARRAY: cgroups to ask whether a task is in
// one of them. Elements are ids of cgroups (version 2), 0 for none.
type cgroupArray struct {
	base
	elements []atomic.Uint64
}

func newCgroupArray(spec *ebpf.MapSpec, _ int) (Map, error) {
	if err := checkHandleArray(spec, abi.MapNUMANode|abi.MapRdonly|abi.MapWronly); err != nil {
		return nil, err
	}
	if spec.MaxEntries > maxHandles {
		return nil, fmt.Errorf("max_entries %d is too big: %w", spec.MaxEntries, syscall.ENOMEM)
	}
	return &cgroupArray{base: base{spec: spec}, elements: make([]atomic.Uint64, spec.MaxEntries)}, nil
}

func (a *cgroupArray) Cgroup(index uint32) (id uint64, errno mem.Errno) {
	if uint64(index) >= uint64(len(a.elements)) {
		return 0, mem.E2BIG
	}
	if id = a.elements[index].Load(); id == 0 {
		return 0, mem.EAGAIN
	}
	return id, 0
}

// Programs ask about the elements by helpers only.

func (a *cgroupArray) Ranges() []mem.Range                          { return nil }
func (a *cgroupArray) LookupElem(int, uint64) uint64                { return 0 }
func (a *cgroupArray) UpdateElem(int, uint64, uint64, uint64) int64 { return -int64(mem.EINVAL) }
func (a *cgroupArray) DeleteElem(uint64) int64                      { return -int64(mem.EINVAL) }

func (a *cgroupArray) Lookup(key, _ []byte, flags ebpf.MapLookupFlags) error {
	if err := a.mayLookup(flags); err != nil {
		return err
	}
	if err := a.checkKey(key); err != nil {
		return err
	}
	return errNotSupported
}

// Update puts in the cgroup whose directory the file descriptor in value is of.
func (a *cgroupArray) Update(key, value []byte, flags ebpf.MapUpdateFlags) error {
	i, err := handleIndex(&a.base, key, flags)
	if err != nil {
		return err
	}
	if err := checkValue(value, 4); err != nil {
		return err
	}
	id, err := cgroupOf(int(int32(binary.NativeEndian.Uint32(value))))
	if err != nil {
		return err
	}
	a.elements[i].Store(id)
	return nil
}

func (a *cgroupArray) Delete(key []byte) error {
	i, err := handleIndex(&a.base, key, 0)
	if err != nil {
		return err
	}
	if a.elements[i].Swap(0) == 0 {
		return errNotExist
	}
	return nil
}

func (a *cgroupArray) NextKey(key, next []byte) error { return nextIndex(&a.base, key, next) }

func (a *cgroupArray) LookupAndDelete(_, _ []byte, flags ebpf.MapLookupFlags) error {
	return a.noLookupAndDelete(flags)
}
