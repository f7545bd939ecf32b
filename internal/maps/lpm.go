package maps

import (
	"fmt"
	"math/bits"
	"runtime"
	"sync/atomic"
	"syscall"
	"unsafe"

	"github.com/cilium/ebpf"

	"github.com/skep-bpf/skep/internal/abi"
	"github.com/skep-bpf/skep/internal/mem"
)

// A key of an LPM trie is a 32-bit length in bits and the bytes of an address,
// the first bit that counts highest (struct bpf_lpm_trie_key).
const (
	prefixHeader = 4
	maxPrefix    = 256 // bytes of an address
)

// maxPrefixValue is the largest value (LPM_VAL_SIZE_MAX in
// kernel/bpf/lpm_trie.c).
const maxPrefixValue = 4<<20 - maxPrefix - 24

// trie is BPF_MAP_TYPE_LPM_TRIE. Layout, all links are indices:
//
//	header   one page, see trieHeader
//	nodes    node 0 is not used, 0 means none; see trieNode
//
// It is a binary trie without nodes that have one way only: a node is an element,
// or the fork of two others. A child's prefix begins with its parent's and goes on
// with the bit that says which child it is.
//
// Readers take no lock: as in a table, they start again if seq was odd or has
// changed; there is one seq for the whole trie. An update puts a new node in place
// of the old one.
type trie struct {
	base
	header    *trieHeader
	nodes     uint64      // address of node 0
	stride    uint64      // bytes of a node
	valueOff  uint64      // from a node to its value
	dataSize  int         // bytes of an address
	maxPrefix uint32      // the same in bits
	last      uint32      // the highest node
	lost      atomic.Bool // nodes are neither free nor linked
}

type trieHeader struct {
	seq   uint32 // odd while a writer is there
	stuck uint32 // the seq that somebody has waited for in vain
	root  uint32
	count uint32 // elements
	_     [48]byte
	free  freeList // of nodes
}

// trieNode is followed by the address, rounded up to 8 bytes, and the value.
type trieNode struct {
	child  [2]uint32
	fork   uint32 // 1 if it is no element
	prefix uint32 // length in bits; with the address behind it, it is the key
}

const trieNodeSize = uint64(unsafe.Sizeof(trieNode{}))

func newTrie(spec *ebpf.MapSpec, cpus int) (Map, error) {
	if err := checkFlags(spec, abi.MapNoPrealloc|abi.MapNUMANode|flagsAccess); err != nil {
		return nil, err
	}
	switch {
	case spec.Flags&abi.MapNoPrealloc == 0:
		return nil, fmt.Errorf("an LPM trie needs the flag BPF_F_NO_PREALLOC: %w", syscall.EINVAL)
	case spec.MaxEntries == 0:
		return nil, fmt.Errorf("max_entries is 0: %w", syscall.EINVAL)
	case spec.KeySize <= prefixHeader || spec.KeySize > prefixHeader+maxPrefix:
		return nil, fmt.Errorf("key size %d of an LPM trie must be %d to %d: %w", spec.KeySize, prefixHeader+1, prefixHeader+maxPrefix, syscall.EINVAL)
	case spec.ValueSize == 0 || spec.ValueSize > maxPrefixValue:
		return nil, fmt.Errorf("value size %d of an LPM trie must be 1 to %d: %w", spec.ValueSize, maxPrefixValue, syscall.EINVAL)
	case spec.MaxEntries > maxHashEntries:
		return nil, fmt.Errorf("max_entries %d is too big: %w", spec.MaxEntries, syscall.E2BIG)
	}
	t := &trie{base: base{spec: spec}, dataSize: int(spec.KeySize) - prefixHeader}
	t.maxPrefix = uint32(t.dataSize) * 8
	t.valueOff = trieNodeSize + round8(uint64(t.dataSize))
	t.stride = t.valueOff + round8(uint64(spec.ValueSize))
	// Elements have at most one fork less. A writer holds up to two nodes more.
	last := 2*uint64(spec.MaxEntries) + 2*uint64(spareElements(cpus))
	t.last = uint32(min(last, 1<<32-1))
	var err error
	if t.region, err = newRegion(spec, tableHeaderSize+t.stride*uint64(t.last+1)); err != nil {
		return nil, err
	}
	t.header = mem.At[trieHeader](t.region.Addr())
	t.nodes = t.region.Addr() + tableHeaderSize
	return t, nil
}

func (t *trie) Ranges() []mem.Range {
	return []mem.Range{{Addr: t.nodes, Size: t.stride * uint64(t.last+1)}}
}

// node is node i, nil for an index that is none.
func (t *trie) node(i uint32) *trieNode {
	if i == 0 || i > t.last {
		return nil
	}
	return mem.At[trieNode](t.nodes + uint64(i)*t.stride)
}

func (t *trie) value(i uint32) uint64 { return t.nodes + uint64(i)*t.stride + t.valueOff }

// address is the address of a node, in whole words.
func (n *trieNode) address() unsafe.Pointer { return unsafe.Add(unsafe.Pointer(n), trieNodeSize) }

// bit is bit i of a node's address.
func (n *trieNode) bit(i uint32) uint32 {
	w := atomic.LoadUint64((*uint64)(unsafe.Add(n.address(), i/64*8)))
	return uint32(w>>(i%64&^7+7-i%8)) & 1
}

// A prefix is the key of an operation.
type prefix struct {
	bits  uint32
	data  unsafe.Pointer
	whole uint32 // words of data that are whole
	tail  uint64 // the bytes behind them
}

func (t *trie) prefix(key unsafe.Pointer) prefix {
	p := prefix{bits: load32(key, 0), data: unsafe.Add(key, prefixHeader), whole: uint32(t.dataSize / 8)}
	for i := t.dataSize - 1; i >= t.dataSize&^7; i-- {
		p.tail = p.tail<<8 | uint64(*(*byte)(unsafe.Add(p.data, i)))
	}
	return p
}

func (p *prefix) word(i uint32) uint64 {
	if i < p.whole {
		return load64(p.data, int(i)*8)
	}
	return p.tail
}

func (p *prefix) bit(i uint32) uint32 { return uint32(p.word(i/64)>>(i%64&^7+7-i%8)) & 1 }

// match is the number of bits that begin both p and a node's prefix of that
// length.
func (p *prefix) match(n *trieNode, length uint32) uint32 {
	limit := min(length, p.bits)
	for i := uint32(0); i*64 < limit; i++ {
		if d := p.word(i) ^ atomic.LoadUint64((*uint64)(unsafe.Add(n.address(), i*8))); d != 0 {
			return min(limit, i*64+uint32(bits.LeadingZeros64(bits.ReverseBytes64(d))))
		}
	}
	return limit
}

// patience is how often a reader starts again before it locks writers out.
const patience = 16

// lookup gives the element with the longest prefix of a key, 0 if there is none.
func (t *trie) lookup(key unsafe.Pointer) (uint32, mem.Errno) {
	p := t.prefix(key)
	if p.bits > t.maxPrefix {
		return 0, mem.ENOENT
	}
	for range patience {
		if seq := atomic.LoadUint32(&t.header.seq); seq&1 == 0 {
			found := t.longest(&p)
			if atomic.LoadUint32(&t.header.seq) == seq {
				if found == 0 {
					return 0, mem.ENOENT
				}
				return found, 0
			}
		}
	}
	if !t.lock() {
		return 0, mem.EBUSY
	}
	found := t.longest(&p)
	t.unlock()
	if found == 0 {
		return 0, mem.ENOENT
	}
	return found, 0
}

func (t *trie) longest(p *prefix) (found uint32) {
	i := atomic.LoadUint32(&t.header.root)
	for least := uint32(0); ; {
		n := t.node(i)
		if n == nil {
			return found
		}
		length := atomic.LoadUint32(&n.prefix)
		// Prefixes get longer on the way down; if they don't, somebody changes them.
		if length < least || length > t.maxPrefix || p.match(n, length) < length {
			return found
		}
		if atomic.LoadUint32(&n.fork) == 0 {
			found = i
		}
		if length == t.maxPrefix {
			return found
		}
		least = length + 1
		i = atomic.LoadUint32(&n.child[p.bit(length)])
	}
}

// A place is where a prefix belongs in the trie.
type place struct {
	slot   *uint32   // the link to node
	node   *trieNode // nil if the slot is empty
	length uint32    // of node's prefix
	match  uint32    // bits of it that the prefix has
	parent *uint32   // the link to the node that slot is in, nil at the root
	side   uint32    // which child of it
}

// find goes down to where a prefix is or should be. path, if it is not nil, takes
// the indices of the nodes above, and how many.
func (t *trie) find(p *prefix, path *[maxPrefix*8 + 1]uint32) (at place, depth int) {
	at.slot = &t.header.root
	for least := uint32(0); ; {
		i := atomic.LoadUint32(at.slot)
		n := t.node(i)
		if n == nil {
			at.node = nil
			return at, depth
		}
		at.node = n
		at.length = atomic.LoadUint32(&n.prefix)
		if at.length < least || at.length > t.maxPrefix {
			at.node = nil // damaged
			return at, depth
		}
		at.match = p.match(n, at.length)
		if at.match < at.length || at.length == p.bits {
			return at, depth
		}
		if path != nil {
			path[depth] = i
		}
		depth++
		least = at.length + 1
		at.side = p.bit(at.length)
		at.parent, at.slot = at.slot, &n.child[at.side]
	}
}

// exact reports whether the place holds the prefix as an element.
func (at *place) exact(p *prefix) bool {
	return at.node != nil && at.length == p.bits && at.match == p.bits && atomic.LoadUint32(&at.node.fork) == 0
}

func (t *trie) lock() bool { return lock(&t.header.seq, &t.header.stuck) }
func (t *trie) unlock()    { unlock(&t.header.seq) }

// take takes a free node. It is 0 if there is none: then memory is damaged, for a
// full trie leaves some.
func (t *trie) take() (uint32, *trieNode) {
	var s spin
	for {
		if i := t.header.free.pop(t.last, links{t.nodes, t.stride}); i != 0 || t.lost.Load() {
			return i, t.node(i)
		}
		if !s.again() {
			t.lost.Store(true)
		}
	}
}

func (t *trie) give(i uint32) {
	if i != 0 {
		t.header.free.push(i, links{t.nodes, t.stride})
	}
}

func (t *trie) update(key, value unsafe.Pointer, flags uint64) mem.Errno {
	p := t.prefix(key)
	if flags > uint64(ebpf.UpdateExist) || p.bits > t.maxPrefix {
		return mem.EINVAL
	}
	e, n := t.take()
	fork, f := t.take()
	if e == 0 || fork == 0 {
		t.give(e)
		t.give(fork)
		return mem.ENOMEM
	}
	*n, *f = trieNode{prefix: p.bits}, trieNode{fork: 1}
	for i := range uint32(t.dataSize+7) / 8 {
		*(*uint64)(unsafe.Add(n.address(), i*8)) = p.word(i)
	}
	copyIn(mem.Pointer(t.value(e)), value, int(t.spec.ValueSize))
	if !t.lock() {
		t.give(e)
		t.give(fork)
		return mem.EBUSY
	}
	unused, errno := t.insert(&p, e, fork, flags)
	t.unlock()
	if errno != 0 {
		t.give(e)
		t.give(fork)
	}
	for _, i := range unused {
		t.give(i)
	}
	return errno
}

// insert links node e into a locked trie, by a fork if it needs one, and gives
// the nodes that are free then.
func (t *trie) insert(p *prefix, e, fork uint32, flags uint64) (unused [2]uint32, errno mem.Errno) {
	at, _ := t.find(p, nil)
	n := t.node(e)
	replaces := at.exact(p)
	switch {
	case replaces && flags == uint64(ebpf.UpdateNoExist):
		return unused, mem.EEXIST
	case replaces:
	case flags == uint64(ebpf.UpdateExist):
		return unused, mem.ENOENT
	case t.header.count >= t.spec.MaxEntries:
		return unused, mem.ENOSPC
	default:
		t.header.count++
	}
	old := atomic.LoadUint32(at.slot)
	switch {
	case at.node == nil:
		store32(at.slot, e)
	case at.match == at.length: // it has the same prefix
		n.child = at.node.child
		store32(at.slot, e)
		return [2]uint32{old, fork}, 0
	case at.match == p.bits: // it belongs below
		n.child[at.node.bit(p.bits)] = old
		store32(at.slot, e)
	default:
		f := t.node(fork)
		f.prefix = at.match
		copyIn(f.address(), n.address(), int(round8(uint64(t.dataSize))))
		side := p.bit(at.match)
		f.child[side], f.child[1-side] = e, old
		store32(at.slot, fork)
		return unused, 0
	}
	return [2]uint32{fork}, 0
}

func (t *trie) remove(key unsafe.Pointer) mem.Errno {
	p := t.prefix(key)
	if p.bits > t.maxPrefix {
		return mem.EINVAL
	}
	if !t.lock() {
		return mem.EBUSY
	}
	at, _ := t.find(&p, nil)
	if !at.exact(&p) {
		t.unlock()
		return mem.ENOENT
	}
	t.header.count--
	var unused [2]uint32
	i, n := atomic.LoadUint32(at.slot), at.node
	switch {
	case n.child[0] != 0 && n.child[1] != 0:
		store32(&n.fork, 1)
	case n.child[0]|n.child[1] != 0:
		store32(at.slot, n.child[0]|n.child[1])
		unused[0] = i
	default:
		store32(at.slot, 0)
		unused[0] = i
		// A fork of one way is none.
		if at.parent == nil {
			break
		}
		above := atomic.LoadUint32(at.parent)
		if parent := t.node(above); parent != nil && parent.fork != 0 {
			store32(at.parent, parent.child[1-at.side])
			unused[1] = above
		}
	}
	t.unlock()
	for _, i := range unused {
		t.give(i)
	}
	return 0
}

// next copies the key that follows one into out: children come before their
// parents, those with bit 0 first, as in the kernel. If the key is not there, or
// nil, it is the first.
func (t *trie) next(key unsafe.Pointer, out []byte) mem.Errno {
	var p prefix
	if key != nil {
		if p = t.prefix(key); p.bits > t.maxPrefix {
			key = nil
		}
	}
	for range patience {
		if seq := atomic.LoadUint32(&t.header.seq); seq&1 == 0 {
			errno := t.copyNext(key, &p, out)
			if atomic.LoadUint32(&t.header.seq) == seq {
				return errno
			}
		}
	}
	if !t.lock() {
		return mem.EBUSY
	}
	defer t.unlock()
	return t.copyNext(key, &p, out)
}

func (t *trie) copyNext(key unsafe.Pointer, p *prefix, out []byte) mem.Errno {
	var n *trieNode
	if key == nil {
		n = t.first(atomic.LoadUint32(&t.header.root))
	} else {
		n = t.after(p)
	}
	if n == nil {
		return mem.ENOENT
	}
	length := atomic.LoadUint32(&n.prefix)
	copy(out[:prefixHeader], unsafe.Slice((*byte)(unsafe.Pointer(&length)), prefixHeader))
	copyOut(out[prefixHeader:], n.address())
	return 0
}

// first is the node below i that comes first.
func (t *trie) first(i uint32) *trieNode {
	n := t.node(i)
	for range t.maxPrefix + 1 {
		if n == nil {
			break
		}
		below := t.node(atomic.LoadUint32(&n.child[0]))
		if below == nil {
			below = t.node(atomic.LoadUint32(&n.child[1]))
		}
		if below == nil {
			break
		}
		n = below
	}
	return n
}

// after is the element that follows a prefix.
func (t *trie) after(p *prefix) *trieNode {
	var path [maxPrefix*8 + 1]uint32
	at, depth := t.find(p, &path)
	if !at.exact(p) {
		return t.first(atomic.LoadUint32(&t.header.root))
	}
	i := atomic.LoadUint32(at.slot)
	for depth > 0 {
		depth--
		parent := t.node(path[depth])
		if parent == nil {
			break
		}
		if other := atomic.LoadUint32(&parent.child[1]); atomic.LoadUint32(&parent.child[0]) == i && other != 0 {
			return t.first(other)
		}
		if atomic.LoadUint32(&parent.fork) == 0 {
			return parent
		}
		i = path[depth]
	}
	return nil
}

func (t *trie) LookupElem(_ int, key uint64) uint64 {
	e, _ := t.lookup(mem.Pointer(key))
	if e == 0 {
		return 0
	}
	return t.value(e)
}

func (t *trie) UpdateElem(_ int, key, value, flags uint64) int64 {
	return -int64(t.update(mem.Pointer(key), mem.Pointer(value), flags))
}

func (t *trie) DeleteElem(key uint64) int64 { return -int64(t.remove(mem.Pointer(key))) }

func (t *trie) Lookup(key, value []byte, flags ebpf.MapLookupFlags) error {
	if err := t.mayLookup(flags); err != nil {
		return err
	}
	if err := t.checkKey(key); err != nil {
		return err
	}
	if err := checkValue(value, int(t.spec.ValueSize)); err != nil {
		return err
	}
	errno := t.read(data(key), value)
	runtime.KeepAlive(t)
	return hashError(errno)
}

// read copies a value out, whole.
func (t *trie) read(key unsafe.Pointer, value []byte) mem.Errno {
	for range patience {
		seq := atomic.LoadUint32(&t.header.seq)
		e, errno := t.lookup(key)
		if errno != 0 {
			return errno
		}
		copyOut(value, mem.Pointer(t.value(e)))
		// The node may be another one's by now.
		if atomic.LoadUint32(&t.header.seq) == seq {
			return 0
		}
	}
	if !t.lock() {
		return mem.EBUSY
	}
	defer t.unlock()
	p := t.prefix(key)
	if p.bits > t.maxPrefix {
		return mem.ENOENT
	}
	e := t.longest(&p)
	if e == 0 {
		return mem.ENOENT
	}
	copyOut(value, mem.Pointer(t.value(e)))
	return 0
}

func (t *trie) Update(key, value []byte, flags ebpf.MapUpdateFlags) error {
	if err := t.mayWrite(); err != nil {
		return err
	}
	if err := t.checkKey(key); err != nil {
		return err
	}
	if err := checkValue(value, int(t.spec.ValueSize)); err != nil {
		return err
	}
	errno := t.update(data(key), data(value), uint64(flags))
	runtime.KeepAlive(t)
	return hashError(errno)
}

func (t *trie) Delete(key []byte) error {
	if err := t.mayWrite(); err != nil {
		return err
	}
	if err := t.checkKey(key); err != nil {
		return err
	}
	errno := t.remove(data(key))
	runtime.KeepAlive(t)
	return hashError(errno)
}

func (t *trie) LookupAndDelete(_, _ []byte, flags ebpf.MapLookupFlags) error {
	return t.noLookupAndDelete(flags)
}

func (t *trie) NextKey(key, next []byte) error {
	if err := t.mayRead(); err != nil {
		return err
	}
	if err := t.checkKey(next); err != nil {
		return err
	}
	var from unsafe.Pointer
	if key != nil {
		if err := t.checkKey(key); err != nil {
			return err
		}
		from = data(key)
	}
	errno := t.next(from, next)
	runtime.KeepAlive(t)
	return hashError(errno)
}
