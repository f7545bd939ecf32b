package maps

import (
	"math/bits"
	"math/rand/v2"
	"sync/atomic"
	"unsafe"

	"github.com/cilium/ebpf"

	"github.com/skep-bpf/skep/internal/mem"
)

// table is the hash table under all maps with hashed keys. Several runners, Go
// and, in time, other processes use it at once; lookups take no lock.
//
// Layout, all links are indices:
//
//	header          one page, see tableHeader
//	buckets         2^n lines
//	elements        element 0 is not used, 0 means none; elements 1 … are
//	                key and value, each rounded up to 8 bytes, the key's end zeroed
//	overflow lines  line 0 is not used, 0 means none
//	values          per-CPU tables only, whose elements are just keys: for each CPU
//	                a block in whole cache lines with its value of every element
//	used            LRU tables only: a byte for each element, see lru.go
//
// A bucket is a line, continued by overflow lines when more than eight of its
// keys are there. A line is one cache line, see tableLine. bucket = hash & mask,
// tag = hash>>48 | 1.
//
// A reader loads seq of the bucket's first line, retries while it is odd, walks
// the chain, and starts again if seq has changed meanwhile. A writer makes seq
// odd with a compare-and-swap, changes the chain, and makes it even again. An
// update puts the new value into a fresh element and links that in place of the
// old one, as the kernel does, so that a value never changes under a lookup that
// runs at the same time, but by programs that write to it in place. The old
// element is reused at once, as in the kernel for preallocated maps: an address
// that a program got from a lookup can come to hold another key's value.
//
// Elements stay where they are in their chain for as long as the key is there,
// so that an iteration never misses a key that is present throughout.
//
// Memory is used as elements are: what was never linked is never touched.
type table struct {
	header     *tableHeader
	buckets    uint64 // address of bucket 0
	mask       uint64 // number of buckets - 1
	elements   uint64 // address of element 0
	stride     uint64 // bytes of an element
	keyEnd     uint64 // from an element to the last word of its key
	overflow   uint64 // address of overflow line 0
	seed       uint64
	keySize    int
	valueSize  int
	maxEntries uint32
	last       uint32      // the highest element
	lastLine   uint32      // the highest overflow line
	lost       atomic.Bool // elements are neither free nor linked

	cpus        int    // 0 if it is not a per-CPU table
	values      uint64 // address of the value of element 0, that of CPU 0
	valueStride uint64 // bytes from one element's value to the next one's
	block       uint64 // bytes from one CPU's values to the next CPU's
	used        uint64 // address of the byte of element 0, 0 if it is not an LRU table
}

// A shape is what a table is for.
type shape struct {
	maxEntries         uint32
	keySize, valueSize int
	spare              int  // elements beyond max_entries: each writer holds one until it has linked it
	cpus               int  // a value for each of so many CPUs; 0 for one value
	lru                bool // a full table gives up elements that were not used for long
}

// tableHeader is the first page. What is written often lies on lines of its own.
type tableHeader struct {
	seed  uint64
	_     [56]byte
	count uint32 // elements linked or about to be
	_     [60]byte
	free  freeList // of elements
	_     [48]byte
	lines freeList // of overflow lines
	_     [48]byte
	hand  uint32 // LRU tables: where the search for an element to give up goes on
}

// tableLine is a bucket or one of its overflow lines: 64 bytes.
type tableLine struct {
	seq      uint32    // odd while a writer is at the chain; bucket only
	stuck    uint32    // the seq that somebody has waited for in vain; bucket only
	tags     [2]uint64 // eight 16-bit tags, the first lowest; 0 is an empty slot
	elements [slots]uint32
	next     uint32 // overflow line
	_        uint32
}

func (l *tableLine) lock() bool { return lock(&l.seq, &l.stuck) }
func (l *tableLine) unlock()    { unlock(&l.seq) }

// slots is the number of elements that one line links.
const slots = 8

const tableHeaderSize = 4096

// bucketFill is the number of elements for each bucket of a full table, at
// most: one bucket in fifty overflows then.
const bucketFill = 4

// layout lays out a table and gives the size of its memory.
func (t *table) layout(s shape) (size uint64) {
	buckets := uint64(1) << bits.Len64(uint64(s.maxEntries-1)/bucketFill)
	const line = uint64(unsafe.Sizeof(tableLine{}))
	wholeLines := func(n uint64) uint64 { return (n + line - 1) &^ (line - 1) }
	t.mask = buckets - 1
	t.keySize, t.valueSize = s.keySize, s.valueSize
	keyBytes, valueBytes := round8(uint64(s.keySize)), round8(uint64(s.valueSize))
	t.keyEnd = keyBytes - 8
	t.maxEntries = s.maxEntries
	t.last = s.maxEntries + uint32(s.spare)
	// An overflow line that is not empty has an element, so there are never more
	// of them than elements.
	t.lastLine = s.maxEntries
	t.cpus = s.cpus
	t.stride = keyBytes
	if s.cpus == 0 {
		t.stride += valueBytes
	}
	t.buckets = tableHeaderSize
	t.elements = t.buckets + buckets*line
	t.overflow = wholeLines(t.elements + t.stride*uint64(t.last+1))
	end := t.overflow + line*uint64(t.lastLine+1)
	if s.cpus == 0 {
		t.values, t.valueStride = t.elements+keyBytes, t.stride
	} else {
		t.values, t.valueStride = end, valueBytes
		t.block = wholeLines(valueBytes * uint64(t.last+1))
		end += t.block * uint64(s.cpus)
	}
	if s.lru {
		t.used = end
		end += uint64(t.last + 1)
	}
	return end
}

// place puts a table that was laid out into its memory. A seed of 0 is
// BPF_F_ZERO_SEED.
func (t *table) place(addr uint64, zeroSeed bool) {
	t.header = mem.At[tableHeader](addr)
	t.buckets += addr
	t.elements += addr
	t.overflow += addr
	t.values += addr
	if t.used != 0 {
		t.used += addr
	}
	if !zeroSeed {
		t.seed = rand.Uint64()
	}
	t.header.seed = t.seed
}

func (t *table) key(e uint32) unsafe.Pointer {
	return mem.Pointer(t.elements + uint64(e)*t.stride)
}

// value is the address of an element's value, of a per-CPU table that of a CPU.
func (t *table) value(e uint32, cpu int) uint64 {
	return t.values + uint64(cpu)*t.block + uint64(e)*t.valueStride
}

// copyValue copies a value out, of a per-CPU table those of all CPUs.
func (t *table) copyValue(value []byte, e uint32) {
	if t.cpus == 0 {
		copyOut(value, mem.Pointer(t.value(e, 0)))
		return
	}
	for cpu := range t.cpus {
		copyOut(value[cpu*int(t.valueStride):][:t.valueStride], mem.Pointer(t.value(e, cpu)))
	}
}

// chain gives the first line of a key's bucket and the tag to look for, in all
// four lanes.
func (t *table) chain(key unsafe.Pointer) (*tableLine, uint64) {
	h := hashKey(key, t.keySize, t.seed)
	return t.bucket(h & t.mask), (h>>48 | 1) * lanes
}

func (t *table) bucket(i uint64) *tableLine { return mem.At[tableLine](t.buckets + i*64) }

// after is the line that follows in a chain, nil at its end.
func (t *table) after(l *tableLine) *tableLine { return t.line(atomic.LoadUint32(&l.next)) }

func (t *table) line(i uint32) *tableLine {
	if i == 0 || i > t.lastLine {
		return nil
	}
	return mem.At[tableLine](t.overflow + uint64(i)*64)
}

// lanes has the lowest bit of each of four 16-bit lanes.
const lanes = 0x0001_0001_0001_0001

// same marks the lanes of w that equal those of pattern by their highest bit.
// A lane above one that is equal may be marked wrongly.
func same(w, pattern uint64) uint64 {
	x := w ^ pattern
	return (x - lanes) &^ x & (lanes << 15)
}

// find looks for a key in a chain. It is right only if nobody changed the chain
// meanwhile: the caller holds it, or checks seq of its first line afterwards.
func (t *table) find(l *tableLine, tags uint64, key unsafe.Pointer) (at *tableLine, slot int, e uint32) {
	first := l
	seq := atomic.LoadUint32(&first.seq)
	for range uint64(t.lastLine) + 1 {
		for w := range l.tags {
			for m := same(atomic.LoadUint64(&l.tags[w]), tags); m != 0; m &= m - 1 {
				slot := w*4 + bits.TrailingZeros64(m)>>4
				e := atomic.LoadUint32(&l.elements[slot%slots])
				if e-1 < t.last && t.equal(key, t.key(e)) {
					return l, slot, e
				}
			}
		}
		// A chain that is changed can lead anywhere, in circles too.
		if l = t.after(l); l == nil || atomic.LoadUint32(&first.seq) != seq {
			break
		}
	}
	return nil, 0, 0
}

// equal compares a key with a stored one.
func (t *table) equal(key, stored unsafe.Pointer) bool {
	if t.keySize == 8 {
		return load64(key, 0) == atomic.LoadUint64((*uint64)(stored))
	}
	return equalBytes(key, stored, t.keySize)
}

func equalBytes(key, stored unsafe.Pointer, n int) bool {
	if n == 4 {
		return load32(key, 0) == atomic.LoadUint32((*uint32)(stored))
	}
	if tso {
		return unsafe.String((*byte)(key), n) == unsafe.String((*byte)(stored), n)
	}
	for ; n >= 8; n -= 8 {
		if load64(key, 0) != atomic.LoadUint64((*uint64)(stored)) {
			return false
		}
		key, stored = unsafe.Add(key, 8), unsafe.Add(stored, 8)
	}
	if n == 0 {
		return true
	}
	last := atomic.LoadUint64((*uint64)(stored))
	return unsafe.String((*byte)(key), n) == unsafe.String((*byte)(unsafe.Pointer(&last)), n)
}

// lookup gives the element of a key, 0 if there is none.
func (t *table) lookup(key unsafe.Pointer) uint32 {
	first, tags := t.chain(key)
	var s spin
	for {
		if seq := atomic.LoadUint32(&first.seq); seq&1 == 0 {
			_, _, e := t.find(first, tags, key)
			if atomic.LoadUint32(&first.seq) == seq {
				return e
			}
		}
		if !s.unlocked(&first.seq, &first.stuck) {
			return 0
		}
	}
}

// read copies the value of a key out, whole.
func (t *table) read(key unsafe.Pointer, value []byte) mem.Errno {
	first, tags := t.chain(key)
	var s spin
	for {
		if seq := atomic.LoadUint32(&first.seq); seq&1 == 0 {
			_, _, e := t.find(first, tags, key)
			if e != 0 {
				t.copyValue(value, e)
			}
			if atomic.LoadUint32(&first.seq) == seq {
				if e == 0 {
					return mem.ENOENT
				}
				return 0
			}
		}
		if !s.unlocked(&first.seq, &first.stuck) {
			return mem.EBUSY
		}
	}
}

// update stores a value for a key, as bpf_map_update_elem does.
func (t *table) update(key, value unsafe.Pointer, flags uint64) mem.Errno {
	if flags > uint64(ebpf.UpdateExist) {
		return mem.EINVAL
	}
	// The element is filled before the lock is taken: a writer that waits for a
	// free one must hold up nobody.
	e := t.takeFor(key)
	if e == 0 {
		return mem.ENOMEM
	}
	copyIn(mem.Pointer(t.value(e, 0)), value, t.valueSize)

	first, tags := t.chain(key)
	for {
		if !first.lock() {
			t.give(e)
			return mem.EBUSY
		}
		old, errno := t.link(first, tags, key, e, flags)
		if errno == 0 && old != 0 {
			t.touch(e)
		}
		first.unlock()
		switch {
		case errno == mem.E2BIG && t.evict():
			continue
		case errno != 0:
			t.give(e)
		case old != 0:
			t.give(old)
		}
		return errno
	}
}

// takeFor takes a free element and puts a key into it.
func (t *table) takeFor(key unsafe.Pointer) uint32 {
	e := t.take()
	if e != 0 {
		t.untouch(e)
		k := t.key(e)
		*(*uint64)(unsafe.Add(k, t.keyEnd)) = 0
		copyIn(k, key, t.keySize)
	}
	return e
}

// link puts element e into a locked chain and gives the one that it replaces,
// 0 if the key is new.
func (t *table) link(first *tableLine, tags uint64, key unsafe.Pointer, e uint32, flags uint64) (old uint32, errno mem.Errno) {
	if l, slot, old := t.find(first, tags, key); old != 0 {
		if flags == uint64(ebpf.UpdateNoExist) {
			return 0, mem.EEXIST
		}
		store32(&l.elements[slot%slots], e)
		return old, 0
	}
	if flags == uint64(ebpf.UpdateExist) {
		return 0, mem.ENOENT
	}
	return 0, t.add(first, tags, e)
}

// add puts element e, whose key is not there, into a locked chain.
func (t *table) add(first *tableLine, tags uint64, e uint32) mem.Errno {
	if !t.count(1) {
		return mem.E2BIG
	}
	l, slot := t.hole(first)
	if l == nil {
		t.count(-1)
		return mem.ENOMEM
	}
	store32(&l.elements[slot%slots], e)
	setTag(l, slot, tags)
	return 0
}

// hole finds an empty slot in a locked chain, and makes the chain longer if it
// has none.
func (t *table) hole(l *tableLine) (*tableLine, int) {
	for range uint64(t.lastLine) + 1 {
		for w := range l.tags {
			if m := same(l.tags[w], 0); m != 0 {
				return l, w*4 + bits.TrailingZeros64(m)>>4
			}
		}
		next := t.after(l)
		if next == nil {
			i := t.header.lines.pop(t.lastLine, t.lineLinks())
			if i == 0 {
				return nil, 0
			}
			next = t.line(i)
			next.next = 0
			store32(&l.next, i)
			return next, 0
		}
		l = next
	}
	return nil, 0
}

// remove deletes a key. Its value goes to value, if that is not nil.
func (t *table) remove(key unsafe.Pointer, value []byte) mem.Errno {
	first, tags := t.chain(key)
	if !first.lock() {
		return mem.EBUSY
	}
	l, slot, e := t.find(first, tags, key)
	if e == 0 {
		first.unlock()
		return mem.ENOENT
	}
	if value != nil {
		t.copyValue(value, e)
	}
	t.drop(first, l, slot)
	return 0
}

// drop takes the element in a slot out of a locked chain, which it unlocks, and
// frees it.
func (t *table) drop(first, l *tableLine, slot int) {
	e := l.elements[slot%slots]
	setTag(l, slot, 0)
	store32(&l.elements[slot%slots], 0)
	var empty uint32
	if l != first && l.tags[0]|l.tags[1] == 0 {
		empty = t.unlink(first, l)
	}
	first.unlock()
	t.give(e)
	if empty != 0 {
		t.header.lines.push(empty, t.lineLinks())
	}
	t.count(-1)
}

// unlink takes an empty overflow line out of a locked chain and gives its index.
func (t *table) unlink(first, empty *tableLine) uint32 {
	for l := first; l != nil; l = t.after(l) {
		if i := l.next; t.line(i) == empty {
			store32(&l.next, empty.next)
			return i
		}
	}
	return 0
}

// next copies the key that follows one into out; from the start if key is nil or
// no longer there.
func (t *table) next(key unsafe.Pointer, out []byte) mem.Errno {
	bucket := uint64(0)
	if key != nil {
		var errno mem.Errno
		h := hashKey(key, t.keySize, t.seed)
		if bucket, errno = t.nextInBucket(h&t.mask, key, (h>>48|1)*lanes, out); errno != mem.ENOENT {
			return errno
		}
	}
	for ; bucket <= t.mask; bucket++ {
		if _, errno := t.nextInBucket(bucket, nil, 0, out); errno != mem.ENOENT {
			return errno
		}
	}
	return mem.ENOENT
}

// nextInBucket copies the key that follows one in its bucket, or the bucket's
// first. If there is none it says in which bucket to look on.
func (t *table) nextInBucket(bucket uint64, key unsafe.Pointer, tags uint64, out []byte) (uint64, mem.Errno) {
	first := t.bucket(bucket)
	var s spin
	for {
		if seq := atomic.LoadUint32(&first.seq); seq&1 == 0 {
			l, slot, on := first, 0, bucket+1
			if key != nil {
				if l, slot, _ = t.find(first, tags, key); l == nil {
					on = 0
				}
				slot++
			}
			e := t.occupied(l, slot)
			if e != 0 {
				copyOut(out, t.key(e))
			}
			if atomic.LoadUint32(&first.seq) == seq {
				if e == 0 {
					return on, mem.ENOENT
				}
				return 0, 0
			}
		}
		if !s.unlocked(&first.seq, &first.stuck) {
			return 0, mem.EBUSY
		}
	}
}

// occupied is the first element of a chain from a slot of a line on.
func (t *table) occupied(l *tableLine, slot int) uint32 {
	for range uint64(t.lastLine) + 1 {
		if l == nil {
			break
		}
		for ; slot < slots; slot++ {
			if tag := uint16(atomic.LoadUint64(&l.tags[slot/4]) >> (slot % 4 * 16)); tag == 0 {
				continue
			}
			if e := atomic.LoadUint32(&l.elements[slot]); e-1 < t.last {
				return e
			}
		}
		l, slot = t.after(l), 0
	}
	return 0
}

// setTag writes the tag of one slot of a locked chain.
func setTag(l *tableLine, slot int, tags uint64) {
	lane := uint64(0xffff) << (slot % 4 * 16)
	store64(&l.tags[slot/4%2], l.tags[slot/4%2]&^lane|tags&lane)
}

// count adds to the number of elements. It is false if the table is full.
func (t *table) count(n int32) bool {
	for {
		c := atomic.LoadUint32(&t.header.count)
		if n > 0 && c >= t.maxEntries {
			return false
		}
		if atomic.CompareAndSwapUint32(&t.header.count, c, c+uint32(n)) {
			return true
		}
	}
}

// take takes a free element, and waits while other writers hold all that there
// are. It is 0 if none comes back; then nobody waits a second time.
func (t *table) take() uint32 {
	var s spin
	for {
		if e := t.header.free.pop(t.last, t.elementLinks()); e != 0 || t.lost.Load() {
			return e
		}
		if !s.again() {
			t.lost.Store(true)
		}
	}
}

func (t *table) give(e uint32) { t.header.free.push(e, t.elementLinks()) }

// elementLinks and lineLinks say where a free element or line links the next one.

func (t *table) elementLinks() links { return links{t.elements, t.stride} }

func (t *table) lineLinks() links {
	return links{t.overflow + uint64(unsafe.Offsetof(tableLine{}.next)), uint64(unsafe.Sizeof(tableLine{}))}
}
