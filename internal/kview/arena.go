package kview

import (
	"unsafe"

	"github.com/skep-bpf/skep/internal/mem"
)

// The addresses that programs see. The arena and the windows lie where x86-64
// has its direct map of memory and its vmalloc area, so that an address alone
// tells the kernel's side from the target's.
const (
	arenaStart  = 0xffff_8880_0000_0000
	tasksStart  = 0xffff_8890_0000_0000 // taskStride apart, by task.index
	filesStart  = 0xffff_88a0_0000_0000 // fileStride apart, by file.index
	inodesStart = 0xffff_88b0_0000_0000 // inodeStride apart, by index of the dentry
	fdsStart    = 0xffff_c900_0000_0000 // fd[] arrays, fdsStride apart, by task.index

	taskStride  = 1 << 12
	fileStride  = 1 << 6
	inodeStride = 1 << 7
	fdsStride   = 8 * maxFDs

	maxTasks    = 1 << 18
	maxFiles    = 1 << 16
	maxDentries = 1 << 18
	// maxFDs bounds the numbers of descriptors that have a slot.
	maxFDs = 1 << 24
)

// A slab is the arena's memory for objects of one type. They are taken in
// order, and when all are used up, from the start again: the oldest are
// overwritten first, so that a pointer that a program keeps in a map stays good
// as long as there is room. See View.flush for the caches.
type slab[T any] struct {
	real  uint64 // address of object 0
	shown uint64 // the same as programs see it
	count uint32
	next  uint32
}

func (s *slab[T]) size() uint64 { return uint64(unsafe.Sizeof(*new(T))) }

// place puts the slab at offset off of the region and gives the offset after it.
func (s *slab[T]) place(r *mem.Region, off uint64, count uint32) uint64 {
	*s = slab[T]{real: r.Addr() + off, shown: arenaStart + off, count: count}
	return off + (s.size()*uint64(count)+15)&^15
}

// take gives the next object, zeroed, its index and its address.
func (s *slab[T]) take() (obj *T, index uint32, addr uint64) {
	if s.next == s.count {
		s.next = 0
	}
	index = s.next
	s.next++
	off := uint64(index) * s.size()
	obj = mem.At[T](s.real + off)
	*obj = *new(T)
	return obj, index, s.shown + off
}

// addr is the address of object i as programs see it.
func (s *slab[T]) addr(i uint32) uint64 { return s.shown + uint64(i)*s.size() }

// at is object i.
func (s *slab[T]) at(i uint32) *T { return mem.At[T](s.real + uint64(i)*s.size()) }

// rewind starts from the oldest object if fewer than n are left before it, and
// says so.
func (s *slab[T]) rewind(n uint32) bool {
	if s.left() >= n {
		return false
	}
	s.next = 0
	return true
}

// left is the number of objects before the oldest is overwritten.
func (s *slab[T]) left() uint32 { return s.count - s.next }

// arena holds the objects that do not change.
type arena struct {
	region   *mem.Region
	dentries slab[Dentry]
	mounts   slab[Mount]
	supers   slab[SuperBlock]
	fsTypes  slab[FileSystemType]
	regs     slab[PtRegs]
	// names are strings that do not fit into their dentry, in pieces of 64 bytes.
	names slab[[64]byte]
}

const (
	countMounts  = 1 << 13
	countSupers  = 1 << 11
	countFSTypes = 1 << 11
	countRegs    = 1 << 8
	countNames   = 1 << 17
)

func newArena() (*arena, error) {
	const size = 48 << 20
	region, err := mem.New("kview", size)
	if err != nil {
		return nil, err
	}
	a := &arena{region: region}
	off := a.regs.place(region, 64, countRegs) // nothing is at offset 0: it would be a good NULL
	off = a.mounts.place(region, off, countMounts)
	off = a.supers.place(region, off, countSupers)
	off = a.fsTypes.place(region, off, countFSTypes)
	off = a.dentries.place(region, off, maxDentries)
	a.names.place(region, off, countNames)
	return a, nil
}

// One mount or one path takes up to pathLimit dentries and less names. As long as
// so many are kept free, what a single look-up makes is never overwritten by
// itself.
const (
	spare  = 2 * pathLimit
	enough = 4 * pathLimit
)

// scarce reports whether a look-up should come to its end.
func (a *arena) scarce() bool {
	return a.dentries.left() < spare || a.names.left() < spare
}

// rewind starts from the oldest objects in each slab that is nearly used up, and
// reports whether there was one.
func (a *arena) rewind() bool {
	full := a.dentries.rewind(enough)
	full = a.names.rewind(enough) || full
	full = a.mounts.rewind(2*maxNesting) || full
	full = a.supers.rewind(2*maxNesting) || full
	return a.fsTypes.rewind(2*maxNesting) || full
}

// pointer is where the memory of an address of the arena really is.
func (a *arena) pointer(addr uint64) unsafe.Pointer {
	return mem.Pointer(a.region.Addr() + addr - arenaStart)
}

// name stores a NUL-terminated string and gives its address.
func (a *arena) name(s string) uint64 {
	const piece = 64
	pieces := uint32(len(s)/piece + 1)
	a.names.rewind(pieces)
	i := a.names.next
	a.names.next += pieces
	b := mem.Slice(a.names.real+uint64(i)*piece, int(pieces)*piece)
	clear(b[copy(b, s):])
	return a.names.addr(i)
}
