package maps

import (
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/cilium/ebpf"

	"github.com/skep-bpf/skep/internal/mem"
)

// TestConcurrentQueue has programs put in and take off at once. Every value comes
// out once, whole, and those of one program in its order.
func TestConcurrentQueue(t *testing.T) {
	const each = 20000
	for _, typ := range []ebpf.MapType{ebpf.Queue, ebpf.Stack} {
		m := newTestMap(t, &ebpf.MapSpec{Type: typ, ValueSize: 24, MaxEntries: 100}).(Queue)
		var producers, consumers sync.WaitGroup
		for p := range uint64(2) {
			producers.Go(func() {
				value := make([]byte, 24)
				for i := range uint64(each) {
					fillValue(value, p<<40|i<<8)
					for m.Update(nil, value, 0) != nil {
						runtime.Gosched()
					}
				}
			})
		}
		seen := make([]map[uint64]bool, 2)
		done := make(chan struct{})
		for c := range seen {
			seen[c] = map[uint64]bool{}
			region, err := mem.New("program", 4096)
			if err != nil {
				t.Fatal(err)
			}
			defer region.Close()
			consumers.Go(func() {
				var last [2]uint64
				for {
					if m.PopElem(region.Addr()) != 0 {
						select {
						case <-done:
							return
						default:
							runtime.Gosched()
							continue
						}
					}
					value := region.Bytes()[:24]
					v := binary.NativeEndian.Uint64(value)
					if tornValue(value) || seen[c][v] {
						t.Errorf("%s: % x is torn, or comes twice", typ, value)
						return
					}
					if p := v >> 40; typ == ebpf.Queue && v < last[p] {
						t.Errorf("%s: %#x after %#x", typ, v, last[p])
					} else {
						last[p] = v
					}
					seen[c][v] = true
				}
			})
		}
		producers.Wait()
		close(done)
		consumers.Wait()
		// A consumer stops when it finds nothing after the producers have ended.
		if n := len(seen[0]) + len(seen[1]); n != 2*each {
			t.Errorf("%s: %d values of %d came out", typ, n, 2*each)
		}
		for v := range seen[0] {
			if seen[1][v] {
				t.Errorf("%s: %#x came out twice", typ, v)
			}
		}
	}
}

// TestBloom counts how often a filter that is full is wrong: never about a value
// that is in it, and seldom about others.
func TestBloom(t *testing.T) {
	for _, c := range []struct {
		hashes uint64
		wrong  float64 // (1/2)^hashes, times what rounding the size up leaves
	}{{0, 0.05}, {1, 0.55}, {3, 0.15}, {15, 0.001}} {
		const n = 5000
		m := newTestMap(t, &ebpf.MapSpec{Type: ebpf.BloomFilter, ValueSize: 12, MaxEntries: n, MapExtra: c.hashes})
		value := make([]byte, 12)
		for i := range uint64(n) {
			binary.NativeEndian.PutUint64(value[4:], i*8)
			if err := m.Update(nil, value, 0); err != nil {
				t.Fatal(err)
			}
		}
		wrong := 0
		for i := range uint64(2 * n) {
			binary.NativeEndian.PutUint64(value[4:], i*8)
			switch err := m.Lookup(nil, value, 0); {
			case i < n && err != nil:
				t.Fatalf("value %d is in the filter: %v", i, err)
			case i >= n && err == nil:
				wrong++
			case err != nil && !errors.Is(err, ebpf.ErrKeyNotExist):
				t.Fatal(err)
			}
		}
		if float64(wrong) > c.wrong*n {
			t.Errorf("%d hashes: wrong about %d of %d values", c.hashes, wrong, n)
		}
	}
}

// FuzzDamagedQueue changes words of a queue as another process could, and uses it:
// it must not leave its memory nor hang.
func FuzzDamagedQueue(f *testing.F) {
	f.Add(uint64(1), uint8(10))
	f.Add(uint64(2), uint8(200))
	spinTime = time.Millisecond
	f.Cleanup(func() { spinTime = time.Second })
	f.Fuzz(func(t *testing.T, seed uint64, damage uint8) {
		types := []ebpf.MapType{ebpf.Queue, ebpf.Stack}
		m := newTestMap(t, &ebpf.MapSpec{Type: types[seed%2], ValueSize: 8, MaxEntries: 7}).(*queue)
		r := rand.New(rand.NewPCG(seed, 1))
		value := make([]byte, 8)
		for range int(damage) + 1 {
			for range 10 {
				m.Update(nil, value, ebpf.MapUpdateFlags(r.IntN(3)))
				m.Lookup(nil, value, 0)
				m.LookupAndDelete(nil, value, 0)
			}
			*mem.At[uint32](m.region.Addr() + 4*r.Uint64N(4)) = []uint32{0, 1, 6, 7, 8, 1 << 31, 1<<32 - 1, r.Uint32()}[r.IntN(8)]
		}
	})
}

func BenchmarkQueue(b *testing.B) {
	m := newTestMap(b, &ebpf.MapSpec{Type: ebpf.Queue, ValueSize: 8, MaxEntries: 100}).(Queue)
	_, addr := programKey(b)
	for b.Loop() {
		m.PushElem(addr, 0)
		m.PopElem(addr)
	}
}

func BenchmarkBloom(b *testing.B) {
	m := newTestMap(b, &ebpf.MapSpec{Type: ebpf.BloomFilter, ValueSize: 8, MaxEntries: 10240}).(Queue)
	value, addr := programKey(b)
	for *value = range uint64(10240) {
		m.PushElem(addr, 0)
	}
	for b.Loop() {
		*value = (*value + 7919) % 10240
		m.PeekElem(addr)
	}
}
