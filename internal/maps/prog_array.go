package maps

import (
	"encoding/binary"
	"fmt"
	"sync"
	"sync/atomic"
	"syscall"

	"github.com/cilium/ebpf"

	"github.com/skep-bpf/skep/internal/abi"
	"github.com/skep-bpf/skep/internal/mem"
)

// progArray is BPF_MAP_TYPE_PROG_ARRAY: the programs that a tail call can go to.
// All of them, and those that call, are of one type.
type progArray struct {
	base
	elements []atomic.Pointer[tail]

	mu    sync.Mutex // held by who changes the map
	owner TailType   // of all programs, 0 before the first one
}

// TailType is what programs that call each other share. It is not 0.
type TailType ebpf.ProgramType

// A tail is an element.
type tail struct {
	program Program
	id      uint32
}

func newProgArray(spec *ebpf.MapSpec, _ int) (Map, error) {
	if err := checkHandleArray(spec, abi.MapNUMANode|abi.MapRdonly|abi.MapWronly); err != nil {
		return nil, err
	}
	if spec.MaxEntries > maxHandles {
		return nil, fmt.Errorf("max_entries %d is too big: %w", spec.MaxEntries, syscall.ENOMEM)
	}
	return &progArray{base: base{spec: spec}, elements: make([]atomic.Pointer[tail], spec.MaxEntries)}, nil
}

// maxHandles bounds an array whose elements lie in Go's heap.
const maxHandles = 1 << 24

// Program is the program at an index, nil if there is none.
func (a *progArray) Program(index uint32) Program {
	if uint64(index) >= uint64(len(a.elements)) {
		return nil
	}
	if t := a.elements[index].Load(); t != nil {
		return t.program
	}
	return nil
}

// Own says that programs of a type use the map. It is false if it has others.
func (a *progArray) Own(t TailType) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.own(t)
}

func (a *progArray) own(t TailType) bool {
	if a.owner == 0 {
		a.owner = t
	}
	return a.owner == t
}

// Programs reach the elements by tail calls only.

func (a *progArray) Ranges() []mem.Range                          { return nil }
func (a *progArray) LookupElem(int, uint64) uint64                { return 0 }
func (a *progArray) UpdateElem(int, uint64, uint64, uint64) int64 { return -int64(mem.EINVAL) }
func (a *progArray) DeleteElem(uint64) int64                      { return -int64(mem.EINVAL) }

// Lookup gives the number of the program.
func (a *progArray) Lookup(key, value []byte, flags ebpf.MapLookupFlags) error {
	i, err := lookupIndex(&a.base, key, flags)
	if err != nil {
		return err
	}
	if err := checkValue(value, 4); err != nil {
		return err
	}
	t := a.elements[i].Load()
	if t == nil {
		return errNotExist
	}
	binary.NativeEndian.PutUint32(value, t.id)
	return nil
}

// Update puts the program of a number in (see AddProgram).
func (a *progArray) Update(key, value []byte, flags ebpf.MapUpdateFlags) error {
	i, err := handleIndex(&a.base, key, flags)
	if err != nil {
		return err
	}
	if err := checkValue(value, 4); err != nil {
		return err
	}
	id := binary.NativeEndian.Uint32(value)
	p := programs.get(id)
	if p == nil {
		return &mapError{fmt.Sprintf("there is no program with the number %d", id), nil, syscall.EBADF}
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if t := (*p).TailType(); !a.own(t) {
		return &mapError{fmt.Sprintf("the program is of type %v, those that use the map of type %v", ebpf.ProgramType(t), ebpf.ProgramType(a.owner)), nil, syscall.EINVAL}
	}
	a.elements[i].Store(&tail{*p, id})
	return nil
}

func (a *progArray) Delete(key []byte) error {
	i, err := handleIndex(&a.base, key, 0)
	if err != nil {
		return err
	}
	if a.elements[i].Swap(nil) == nil {
		return errNotExist
	}
	return nil
}

func (a *progArray) NextKey(key, next []byte) error { return nextIndex(&a.base, key, next) }

func (a *progArray) LookupAndDelete(_, _ []byte, flags ebpf.MapLookupFlags) error {
	return a.noLookupAndDelete(flags)
}
