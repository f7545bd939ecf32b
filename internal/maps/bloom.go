package maps

import (
	"fmt"
	"math/bits"
	"math/rand/v2"
	"runtime"
	"sync/atomic"
	"syscall"
	"unsafe"

	"github.com/cilium/ebpf"

	"github.com/skep-bpf/skep/internal/abi"
	"github.com/skep-bpf/skep/internal/mem"
)

// The bits that a bloom filter sets for a value: map_extra, or so many
// (kernel/bpf/bloom_filter.c).
const (
	bloomHashes    = 5
	maxBloomHashes = 15
)

// bloom is BPF_MAP_TYPE_BLOOM_FILTER: a set that may say that a value is in it
// which is not, but never the other way. Layout: a power of two of bits. Bits are
// only ever set, so there is no lock.
type bloom struct {
	base
	words  uint64 // address of the bits
	mask   uint64 // number of bits - 1
	hashes int
	seed   uint64
}

func newBloom(spec *ebpf.MapSpec, _ int) (Map, error) {
	if spec.ValueSize > maxQueueValue {
		return nil, fmt.Errorf("value size %d is too big: %w", spec.ValueSize, syscall.E2BIG)
	}
	if err := checkKeyless(spec); err != nil {
		return nil, err
	}
	if spec.MapExtra > maxBloomHashes {
		return nil, fmt.Errorf("map_extra %#x of a bloom filter, its number of hashes, is above %d: %w", spec.MapExtra, maxBloomHashes, syscall.EINVAL)
	}
	if err := checkFlags(spec, abi.MapNUMANode|abi.MapZeroSeed|flagsAccess); err != nil {
		return nil, err
	}
	b := &bloom{base: base{spec: spec}, hashes: int(spec.MapExtra)}
	if b.hashes == 0 {
		b.hashes = bloomHashes
	}
	// Fewest values are wrong with n hashes / ln 2 bits for each; 7/5 is about
	// 1 / ln 2. The number of bits stays within 32 bits.
	n := uint64(spec.MaxEntries) * uint64(b.hashes) * 7 / 5
	b.mask = max(min(uint64(1)<<bits.Len64(n-1), 1<<32), 64) - 1
	var err error
	if b.region, err = newRegion(spec, (b.mask+1)/8); err != nil {
		return nil, err
	}
	b.words = b.region.Addr()
	if spec.Flags&abi.MapZeroSeed == 0 {
		b.seed = rand.Uint64()
	}
	return b, nil
}

// Programs don't see the bits.
func (b *bloom) Ranges() []mem.Range { return nil }

// word gives the word and the bit in it of hash i of a value. Two hashes are
// enough to make all others from (Kirsch and Mitzenmacher, 2006).
func (b *bloom) word(h1, h2 uint64, i int) (*uint64, uint64) {
	bit := (h1 + uint64(i)*h2) & b.mask
	return mem.At[uint64](b.words + bit/64*8), 1 << (bit % 64)
}

func (b *bloom) hash(value unsafe.Pointer) (h1, h2 uint64) {
	h := hashKey(value, int(b.spec.ValueSize), b.seed)
	return h, fold(h^fold2, fold3) | 1
}

func (b *bloom) push(value unsafe.Pointer, flags uint64) mem.Errno {
	if flags != uint64(ebpf.UpdateAny) {
		return mem.EINVAL
	}
	h1, h2 := b.hash(value)
	for i := range b.hashes {
		if w, bit := b.word(h1, h2, i); atomic.LoadUint64(w)&bit == 0 {
			atomic.OrUint64(w, bit)
		}
	}
	return 0
}

func (b *bloom) peek(value unsafe.Pointer) mem.Errno {
	h1, h2 := b.hash(value)
	for i := range b.hashes {
		if w, bit := b.word(h1, h2, i); atomic.LoadUint64(w)&bit == 0 {
			return mem.ENOENT
		}
	}
	return 0
}

func (b *bloom) PushElem(value, flags uint64) int64 {
	return -int64(b.push(mem.Pointer(value), flags))
}

// PeekElem says whether a value may be in the set: 0 or -ENOENT.
func (b *bloom) PeekElem(value uint64) int64 { return -int64(b.peek(mem.Pointer(value))) }

func (b *bloom) PopElem(uint64) int64                         { return -int64(mem.EOPNOTSUPP) }
func (b *bloom) LookupElem(int, uint64) uint64                { return 0 }
func (b *bloom) UpdateElem(int, uint64, uint64, uint64) int64 { return -int64(mem.EINVAL) }
func (b *bloom) DeleteElem(uint64) int64                      { return -int64(mem.EOPNOTSUPP) }

// Lookup asks whether value, which it does not change, may be in the set. key is
// empty.
func (b *bloom) Lookup(key, value []byte, flags ebpf.MapLookupFlags) error {
	if err := b.mayLookup(flags); err != nil {
		return err
	}
	if err := b.checkKey(key); err != nil {
		return err
	}
	if err := checkValue(value, int(b.spec.ValueSize)); err != nil {
		return err
	}
	errno := b.peek(data(value))
	runtime.KeepAlive(b)
	return hashError(errno)
}

// Update puts value into the set. key is empty.
func (b *bloom) Update(key, value []byte, flags ebpf.MapUpdateFlags) error {
	if err := b.mayWrite(); err != nil {
		return err
	}
	if err := b.checkKey(key); err != nil {
		return err
	}
	if err := checkValue(value, int(b.spec.ValueSize)); err != nil {
		return err
	}
	errno := b.push(data(value), uint64(flags))
	runtime.KeepAlive(b)
	return hashError(errno)
}

func (b *bloom) Delete([]byte) error {
	if err := b.mayWrite(); err != nil {
		return err
	}
	return errNoSuchOperation
}

func (b *bloom) NextKey([]byte, []byte) error {
	if err := b.mayRead(); err != nil {
		return err
	}
	return errNoSuchOperation
}

func (b *bloom) LookupAndDelete(_, _ []byte, flags ebpf.MapLookupFlags) error {
	return b.noLookupAndDelete(flags)
}
