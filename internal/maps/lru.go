package maps

import (
	"sync/atomic"

	"github.com/skep-bpf/skep/internal/mem"
)

// An LRU table gives up an element to make room for a new one. It keeps the order
// of use only roughly, as the kernel does, so that a lookup costs next to nothing:
// a byte for each element says whether a program has used it, and a hand goes
// round over all elements. It takes the byte away from those that have it, and
// gives up the first one that has none (the CLOCK algorithm). A new element lies
// where the hand has just been, or where it comes last; it gets its byte by the
// first use after it was put in. Look-ups from Go don't count as use, for a tool
// that shows a map must not change what it keeps.
//
// There is one such order for all CPUs. BPF_F_NO_COMMON_LRU asks for one each, so
// that CPUs don't wait for each other: here they don't anyway.

// touch notes that a program uses an element.
func (t *table) touch(e uint32) {
	if t.used != 0 {
		if p := mem.At[byte](t.used + uint64(e)); *p == 0 {
			*p = 1
		}
	}
}

// untouch notes that no program has used an element.
func (t *table) untouch(e uint32) {
	if t.used != 0 {
		*mem.At[byte](t.used + uint64(e)) = 0
	}
}

// evict makes room in a full LRU table, if another has not made any meanwhile. It
// is false if there is none to be had.
func (t *table) evict() bool {
	if t.used == 0 {
		return false
	}
	// All elements that are counted may just be on their way in or out.
	var s spin
	for atomic.LoadUint32(&t.header.count) >= t.maxEntries {
		if t.evictOldest() {
			return true
		}
		if !s.again() {
			return false
		}
	}
	return true
}

// evictOldest gives up one element. It is false if it found none.
func (t *table) evictOldest() bool {
	// In the first round all can be in use, in the second again, if programs look
	// up meanwhile; in the third any will do.
	n := uint64(t.last)
	for i := range 3 * n {
		e := atomic.AddUint32(&t.header.hand, 1)%t.last + 1
		if p := mem.At[byte](t.used + uint64(e)); *p != 0 && i < 2*n {
			*p = 0
			continue
		}
		if t.removeElement(e) {
			return true
		}
	}
	return false
}

// removeElement deletes the key that element e holds. It is false if e is free or
// about to be linked.
func (t *table) removeElement(e uint32) bool {
	// The key may be another's by the time the chain is locked: then e is not in
	// the chain, or it is under the key that it has now.
	key := t.key(e)
	first, tags := t.chain(key)
	if !first.lock() {
		return false
	}
	l, slot, found := t.find(first, tags, key)
	if found != e {
		first.unlock()
		return false
	}
	t.drop(first, l, slot)
	return true
}
