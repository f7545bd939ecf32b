package maps

import (
	"encoding/binary"
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/cilium/ebpf"

	"github.com/skep-bpf/skep/internal/mem"
)

// The benchmarks name the side that asks: program takes addresses, go takes
// slices.

func benchSpecs() []*ebpf.MapSpec {
	return []*ebpf.MapSpec{
		{Type: ebpf.Array, KeySize: 4, ValueSize: 8, MaxEntries: 1024},
		{Type: ebpf.PerCPUArray, KeySize: 4, ValueSize: 8, MaxEntries: 1024},
		{Type: ebpf.Hash, KeySize: 4, ValueSize: 8, MaxEntries: 10240},
		{Type: ebpf.Hash, KeySize: 8, ValueSize: 8, MaxEntries: 10240},
		{Type: ebpf.Hash, KeySize: 16, ValueSize: 64, MaxEntries: 10240},
		{Type: ebpf.Hash, KeySize: 280, ValueSize: 360, MaxEntries: 10240},
		{Type: ebpf.LRUHash, KeySize: 8, ValueSize: 8, MaxEntries: 10240},
		{Type: ebpf.PerCPUHash, KeySize: 8, ValueSize: 8, MaxEntries: 10240},
		{Type: ebpf.LRUCPUHash, KeySize: 8, ValueSize: 8, MaxEntries: 10240},
	}
}

// benchMap makes a map that is three quarters full, and memory of a program with
// its keys, which take stride bytes each.
func benchMap(b *testing.B, spec *ebpf.MapSpec) (m Map, keys *mem.Region, stride, n uint64) {
	b.Helper()
	m, err := New(spec, 2)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { m.Close() })
	n, stride = uint64(spec.MaxEntries)*3/4, uint64(spec.KeySize)
	if keys, err = mem.New("keys", int(n*stride+uint64(spec.ValueSize))); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { keys.Close() })
	value := make([]byte, ValueBytes(spec, 2))
	for i := range n {
		k := keys.Bytes()[i*stride:][:stride]
		binary.NativeEndian.PutUint32(k, uint32(i))
		if err := m.Update(k, value, ebpf.UpdateAny); err != nil {
			b.Fatal(err)
		}
	}
	return m, keys, stride, n
}

func benchName(spec *ebpf.MapSpec) string {
	return fmt.Sprintf("%s-%d-%d", spec.Type, spec.KeySize, spec.ValueSize)
}

// order walks the keys in an order that caches can't foresee.
func order(i, n uint64) uint64 { return i * 7919 % n }

var sink uint64

func BenchmarkLookup(b *testing.B) {
	for _, spec := range benchSpecs() {
		b.Run("program/"+benchName(spec), func(b *testing.B) {
			m, keys, stride, n := benchMap(b, spec)
			i := uint64(0)
			for b.Loop() {
				sink += m.LookupElem(0, keys.Addr()+order(i, n)*stride)
				i++
			}
		})
		b.Run("go/"+benchName(spec), func(b *testing.B) {
			m, keys, stride, n := benchMap(b, spec)
			value := make([]byte, ValueBytes(spec, 2))
			i := uint64(0)
			for b.Loop() {
				if err := m.Lookup(keys.Bytes()[order(i, n)*stride:][:stride], value, 0); err != nil {
					b.Fatal(err)
				}
				i++
			}
		})
	}
}

func BenchmarkUpdate(b *testing.B) {
	for _, spec := range benchSpecs() {
		b.Run("program/"+benchName(spec), func(b *testing.B) {
			m, keys, stride, n := benchMap(b, spec)
			value := keys.Addr() + n*stride
			i := uint64(0)
			for b.Loop() {
				if r := m.UpdateElem(0, keys.Addr()+order(i, n)*stride, value, 0); r != 0 {
					b.Fatal(r)
				}
				i++
			}
		})
		b.Run("go/"+benchName(spec), func(b *testing.B) {
			m, keys, stride, n := benchMap(b, spec)
			value := make([]byte, ValueBytes(spec, 2))
			i := uint64(0)
			for b.Loop() {
				if err := m.Update(keys.Bytes()[order(i, n)*stride:][:stride], value, ebpf.UpdateAny); err != nil {
					b.Fatal(err)
				}
				i++
			}
		})
	}
}

func BenchmarkDeleteInsert(b *testing.B) {
	m, keys, stride, n := benchMap(b, &ebpf.MapSpec{Type: ebpf.Hash, KeySize: 8, ValueSize: 8, MaxEntries: 10240})
	value := keys.Addr() + n*stride
	i := uint64(0)
	for b.Loop() {
		k := keys.Addr() + order(i, n)*stride
		if r := m.DeleteElem(k) | m.UpdateElem(0, k, value, 1); r != 0 {
			b.Fatal(r)
		}
		i++
	}
}

func BenchmarkParallel(b *testing.B) {
	spec := &ebpf.MapSpec{Type: ebpf.Hash, KeySize: 8, ValueSize: 8, MaxEntries: 10240}
	for _, op := range []string{"lookup", "update"} {
		b.Run(op, func(b *testing.B) {
			m, keys, stride, n := benchMap(b, spec)
			var start atomic.Uint64
			b.RunParallel(func(pb *testing.PB) {
				i := start.Add(100_003)
				for pb.Next() {
					k := keys.Addr() + order(i, n)*stride
					if op == "lookup" {
						m.LookupElem(0, k)
					} else {
						m.UpdateElem(0, k, keys.Addr()+n*stride, 0)
					}
					i++
				}
			})
		})
	}
}

func BenchmarkNextKey(b *testing.B) {
	m, _, stride, _ := benchMap(b, &ebpf.MapSpec{Type: ebpf.Hash, KeySize: 8, ValueSize: 8, MaxEntries: 10240})
	key := make([]byte, stride)
	for b.Loop() {
		if m.NextKey(key, key) != nil {
			clear(key)
		}
	}
}

func BenchmarkRing(b *testing.B) {
	for _, size := range []uint64{16, 256} {
		newBenchRing := func(b *testing.B) *ring {
			m, err := New(&ebpf.MapSpec{Type: ebpf.RingBuf, MaxEntries: 1 << 20}, 2)
			if err != nil {
				b.Fatal(err)
			}
			b.Cleanup(func() { m.Close() })
			return m.(*ring)
		}
		b.Run(fmt.Sprintf("reserve-submit-read/%d", size), func(b *testing.B) {
			r := newBenchRing(b)
			var p []byte
			for b.Loop() {
				r.Submit(r.Reserve(size, 0), 0)
				p, _, _ = r.ReadRecord(p[:0])
			}
		})
		b.Run(fmt.Sprintf("reserve-submit/%d", size), func(b *testing.B) {
			r := newBenchRing(b)
			for b.Loop() {
				p := r.Reserve(size, 0)
				if p == 0 {
					*r.consumer = r.producer.position
					continue
				}
				r.Submit(p, 0)
			}
		})
	}
}
