package maps

import (
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/cilium/ebpf"

	"github.com/skep-bpf/skep/internal/abi"
	"github.com/skep-bpf/skep/internal/mem"
)

func trieSpec(address, entries uint32) *ebpf.MapSpec {
	return &ebpf.MapSpec{Type: ebpf.LPMTrie, KeySize: 4 + address, ValueSize: 8, MaxEntries: entries, Flags: abi.MapNoPrealloc}
}

func ipv4(length uint32, a, b, c, d byte) []byte {
	return append(binary.NativeEndian.AppendUint32(nil, length), a, b, c, d)
}

func TestLongestPrefix(t *testing.T) {
	m := newTestMap(t, trieSpec(4, 10))
	for i, k := range [][]byte{ipv4(0, 9, 9, 9, 9), ipv4(8, 10, 0, 0, 0), ipv4(24, 10, 1, 2, 0), ipv4(32, 10, 1, 2, 3), ipv4(9, 10, 128, 0, 0), ipv4(31, 192, 168, 0, 0)} {
		if err := m.Update(k, key64(uint64(i)), ebpf.UpdateNoExist); err != nil {
			t.Fatal(err)
		}
	}
	value := make([]byte, 8)
	for _, c := range []struct {
		key  []byte
		want uint64
	}{
		{ipv4(32, 1, 2, 3, 4), 0}, {ipv4(32, 10, 2, 2, 3), 1}, {ipv4(32, 10, 1, 2, 4), 2}, {ipv4(32, 10, 1, 2, 3), 3}, {ipv4(31, 10, 1, 2, 3), 2},
		{ipv4(23, 10, 1, 2, 3), 1}, {ipv4(32, 10, 255, 0, 0), 4}, {ipv4(8, 10, 255, 0, 0), 1}, {ipv4(7, 10, 0, 0, 0), 0}, {ipv4(32, 192, 168, 0, 1), 5}, {ipv4(32, 192, 168, 0, 2), 0},
	} {
		if err := m.Lookup(c.key, value, 0); err != nil || binary.NativeEndian.Uint64(value) != c.want {
			t.Errorf("%v: %v, %v; want %d", c.key, value, err, c.want)
		}
	}
	if err := m.Lookup(ipv4(33, 0, 0, 0, 0), value, 0); !errors.Is(err, ebpf.ErrKeyNotExist) {
		t.Errorf("a prefix of 33 bits: %v", err)
	}
}

// TestTrieFills fills a trie of every shape to the last element, over and over:
// there is always a node for the next one.
func TestTrieFills(t *testing.T) {
	const n = 50
	m := newTestMap(t, trieSpec(2, n))
	r := rand.New(rand.NewPCG(8, 8))
	for range 200 {
		var keys [][]byte
		for len(keys) < n {
			key := binary.NativeEndian.AppendUint32(nil, r.Uint32N(17))
			key = append(key, byte(r.Uint32()), byte(r.Uint32()))
			switch err := m.Update(key, key64(0), ebpf.UpdateNoExist); {
			case err == nil:
				keys = append(keys, key)
			case !errors.Is(err, ebpf.ErrKeyExist):
				t.Fatalf("element %d: %v", len(keys), err)
			}
		}
		for length := range uint32(17) {
			err := m.Update(append(binary.NativeEndian.AppendUint32(nil, length), 0x55, 0x55), key64(0), ebpf.UpdateNoExist)
			if !errors.Is(err, syscall.ENOSPC) && !errors.Is(err, ebpf.ErrKeyExist) {
				t.Fatalf("one more: %v", err)
			}
		}
		r.Shuffle(n, func(i, j int) { keys[i], keys[j] = keys[j], keys[i] })
		for _, k := range keys {
			if err := m.Delete(k); err != nil {
				t.Fatal(err)
			}
		}
	}
	if h := m.(*trie).header; h.root != 0 || h.count != 0 {
		t.Errorf("an empty trie has root %d and %d elements", h.root, h.count)
	}
}

// TestConcurrentTrie looks up and walks while others change the trie. What is
// always there is always found, with a whole value.
func TestConcurrentTrie(t *testing.T) {
	const constant = 16
	spec := trieSpec(4, 1000)
	spec.ValueSize = 32
	m := newTestMap(t, spec)
	value := make([]byte, 32)
	for i := range byte(constant) {
		fillValue(value, uint64(i)<<32)
		if err := m.Update(ipv4(8, i, 0, 0, 0), value, 0); err != nil {
			t.Fatal(err)
		}
	}
	var stop atomic.Bool
	var wg sync.WaitGroup
	for w := range 2 {
		wg.Go(func() {
			r := rand.New(rand.NewPCG(uint64(w), 1))
			value := make([]byte, 32)
			for !stop.Load() {
				runtime.Gosched()
				top := r.Uint64N(constant)
				key := ipv4(9+r.Uint32N(24), byte(top), byte(r.Uint32()), byte(r.Uint32N(4)), byte(r.Uint32N(2)))
				if r.IntN(2) == 0 {
					m.Delete(key)
					continue
				}
				fillValue(value, top<<32|r.Uint64N(1<<20)<<6)
				if err := m.Update(key, value, 0); err != nil && !errors.Is(err, syscall.ENOSPC) {
					t.Error(err)
				}
			}
		})
	}
	r := rand.New(rand.NewPCG(3, 1))
	region, err := mem.New("program", 4096)
	if err != nil {
		t.Fatal(err)
	}
	defer region.Close()
	next := make([]byte, 8)
	walked := 0
	for end := time.Now().Add(300 * time.Millisecond); time.Now().Before(end); {
		top := r.Uint64N(constant)
		key := ipv4(32, byte(top), byte(r.Uint32()), byte(r.Uint32N(4)), byte(r.Uint32N(2)))
		if err := m.Lookup(key, value, 0); err != nil || tornValue(value) || binary.NativeEndian.Uint64(value)>>32 != top {
			t.Fatalf("%v: % x, %v", key, value, err)
		}
		copy(region.Bytes(), key)
		if m.LookupElem(0, region.Addr()) == 0 {
			t.Fatalf("a program does not find %v", key)
		}
		if m.NextKey(next, next) == nil {
			walked++
		} else {
			clear(next) // which is not there, so the walk starts again
		}
	}
	stop.Store(true)
	wg.Wait()
	if walked < 100 {
		t.Errorf("%d keys walked: too few to tell", walked)
	}
}

// FuzzDamagedTrie changes words of a trie as another process could, and uses it:
// it must not leave its memory nor hang.
func FuzzDamagedTrie(f *testing.F) {
	f.Add(uint64(1), uint8(10))
	f.Add(uint64(2), uint8(200))
	f.Add(uint64(1<<40), uint8(255))
	spinTime = time.Millisecond
	f.Cleanup(func() { spinTime = time.Second })
	f.Fuzz(func(t *testing.T, seed uint64, damage uint8) {
		const n = 60
		m := newTestMap(t, trieSpec(12, n)).(*trie)
		r := rand.New(rand.NewPCG(seed, 1))
		key, value := make([]byte, 16), make([]byte, 8)
		random := func() []byte {
			for i := range key {
				key[i] = byte(r.Uint32())
				for range 2 { // few bits, so that prefixes have much in common
					key[i] &= byte(r.Uint32())
				}
			}
			binary.NativeEndian.PutUint32(key, r.Uint32N(98))
			return key
		}
		for range int(damage) + 1 {
			for range 20 {
				m.Update(random(), value, ebpf.UpdateAny)
				m.Delete(random())
			}
			// Anything but a lock that nobody gives back.
			off := 4 + 4*r.Uint64N(uint64(tableHeaderSize+100*m.stride)/4)
			v := []uint32{0, 1, 2, n, 2*n + 1, 2*n + 100, 1 << 16, 1 << 31, 1<<32 - 1, r.Uint32()}[r.IntN(10)]
			*mem.At[uint32](m.region.Addr() + off) = v
			m.Lookup(random(), value, 0)
			clear(key)
			for range 3 * n {
				if m.NextKey(key, key) != nil {
					break
				}
			}
		}
	})
}

// BenchmarkTrie looks up addresses in tables of the size of a firewall's, and of
// a router's.
func BenchmarkTrie(b *testing.B) {
	for _, n := range []uint32{1000, 100000} {
		for _, size := range []uint32{4, 16} {
			spec := trieSpec(size, n)
			b.Run(benchName(spec)+"-"+map[uint32]string{1000: "1k", 100000: "100k"}[n], func(b *testing.B) {
				m := newTestMap(b, spec)
				keys := trieKeys(m, n)
				i := uint64(0)
				for b.Loop() {
					sink += m.LookupElem(0, keys.Addr()+order(i, uint64(n))*uint64(spec.KeySize))
					i++
				}
			})
		}
	}
}

// trieKeys fills a trie with random prefixes, and gives addresses within them.
func trieKeys(m interface {
	Update(key, value []byte, flags ebpf.MapUpdateFlags) error
	Spec() *ebpf.MapSpec
}, n uint32) *mem.Region {
	size := m.Spec().KeySize
	keys, err := mem.New("keys", int(n*size))
	if err != nil {
		panic(err)
	}
	r := rand.New(rand.NewPCG(1, 1))
	for i := range n {
		key := keys.Bytes()[i*size:][:size]
		for j := range key {
			key[j] = byte(r.Uint32())
		}
		binary.NativeEndian.PutUint32(key, 8*(size-4)/4+r.Uint32N(8*(size-4)/2))
		m.Update(key, make([]byte, 8), 0)
		binary.NativeEndian.PutUint32(key, 8*(size-4))
	}
	return keys
}
