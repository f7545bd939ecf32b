package maps

import (
	"errors"
	"sync"
	"sync/atomic"
)

// A registry gives things of this process numbers, by which maps refer to them. A
// number is not given twice, so that one that is kept too long leads nowhere. 0
// stands for nothing.
type registry[T any] struct {
	mu   sync.Mutex
	last uint32
	// parts are made as they are needed and stay where they are, so that get needs
	// no lock.
	parts [registryPart]atomic.Pointer[[registryPart]atomic.Pointer[T]]
}

const registryPart = 1 << 12

var errRegistryFull = errors.New("this process has made too many maps or programs: no number is left")

func (r *registry[T]) add(t *T) (uint32, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	id := r.last + 1
	if id/registryPart >= registryPart {
		return 0, errRegistryFull
	}
	part := &r.parts[id/registryPart]
	if part.Load() == nil {
		part.Store(new([registryPart]atomic.Pointer[T]))
	}
	part.Load()[id%registryPart].Store(t)
	r.last = id
	return id, nil
}

// get is nil for a number that stands for nothing.
func (r *registry[T]) get(id uint32) *T {
	if id/registryPart >= registryPart {
		return nil
	}
	part := r.parts[id/registryPart].Load()
	if part == nil {
		return nil
	}
	return part[id%registryPart].Load()
}

func (r *registry[T]) remove(id uint32) {
	if part := r.parts[id/registryPart].Load(); part != nil {
		part[id%registryPart].Store(nil)
	}
}

// made holds every map, from New until it is closed and in no map of maps.
var made registry[Map]

// handles is the first handle of a map by its number: what a look-up in a map of
// maps gives to a program. No memory of a process lies there (the address is not
// canonical), so that a handle used as an address traps.
const handles = 0x00fe_0000_0000_0000

// handle is what a register holds that points to the map of a number.
func handle(id uint32) uint64 { return handles + uint64(id)*8 }

// ByHandle is the map that a look-up in a map of maps gave a handle of, nil if it
// is none, or the map is gone.
func ByHandle(h uint64) Map {
	id := (h - handles) / 8
	if id >= 1<<32 || h%8 != 0 {
		return nil
	}
	return ByID(uint32(id))
}

// ByID is the map of a number, nil if there is none.
func ByID(id uint32) Map {
	if m := made.get(id); m != nil {
		return *m
	}
	return nil
}

// ID is the number of a map: the value by which it is put into a map of maps.
func ID(m Map) uint32 { return m.shared().id }

// A Program is what a prog array holds: programs of one type.
type Program interface {
	// TailType is the type that it must share with the programs that call it.
	TailType() TailType
}

var programs registry[Program]

// AddProgram gives a program a number: the value by which it is put into a prog
// array.
func AddProgram(p Program) (id uint32, err error) { return programs.add(&p) }

// RemoveProgram ends that. Prog arrays that hold the program keep it.
func RemoveProgram(id uint32) { programs.remove(id) }
