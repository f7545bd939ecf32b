package maps

import (
	"sync/atomic"

	"github.com/skep-bpf/skep/internal/mem"
)

// freeList is a lock-free stack of indices 1 … last in shared memory. Those that
// were never used are not on it: used counts the others.
type freeList struct {
	head uint64 // index of the first, with a count of changes above it
	used uint32
	_    uint32
}

// links says where a free index has the next one: a word in each of equal parts
// of memory.
type links struct{ first, stride uint64 }

func (l links) of(i uint32) *uint32 { return mem.At[uint32](l.first + uint64(i)*l.stride) }

// pop takes an index, 0 if there is none.
func (f *freeList) pop(last uint32, l links) uint32 {
	for {
		head := atomic.LoadUint64(&f.head)
		i := uint32(head)
		if i == 0 || i > last {
			break
		}
		// Another may take i meanwhile and overwrite the link: then the count of
		// changes is another one too.
		next := atomic.LoadUint32(l.of(i))
		if atomic.CompareAndSwapUint64(&f.head, head, (head>>32+1)<<32|uint64(next)) {
			return i
		}
	}
	for {
		used := atomic.LoadUint32(&f.used)
		if used >= last {
			return 0
		}
		if atomic.CompareAndSwapUint32(&f.used, used, used+1) {
			return used + 1
		}
	}
}

// push gives an index back.
func (f *freeList) push(i uint32, l links) {
	for {
		head := atomic.LoadUint64(&f.head)
		store32(l.of(i), uint32(head))
		if atomic.CompareAndSwapUint64(&f.head, head, (head>>32+1)<<32|uint64(i)) {
			return
		}
	}
}
