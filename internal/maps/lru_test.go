package maps

import (
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/cilium/ebpf"

	"github.com/skep-bpf/skep/internal/abi"
	"github.com/skep-bpf/skep/internal/mem"
)

// programKey is memory of a program with a key and a value.
func programKey(t testing.TB) (key *uint64, addr uint64) {
	t.Helper()
	region, err := mem.New("program", 4096)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { region.Close() })
	return mem.At[uint64](region.Addr()), region.Addr()
}

func newTestMap(t testing.TB, spec *ebpf.MapSpec) Map {
	t.Helper()
	m, err := New(spec, 2)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	return m
}

func lruSpecs() []*ebpf.MapSpec {
	return []*ebpf.MapSpec{
		{Type: ebpf.LRUHash, KeySize: 8, ValueSize: 8, MaxEntries: 100},
		{Type: ebpf.LRUHash, KeySize: 8, ValueSize: 8, MaxEntries: 1},
		{Type: ebpf.LRUHash, KeySize: 8, ValueSize: 8, MaxEntries: 64, Flags: abi.MapNoCommonLRU},
		{Type: ebpf.LRUCPUHash, KeySize: 8, ValueSize: 8, MaxEntries: 100},
	}
}

func countKeys(t testing.TB, m Map) (n int) {
	t.Helper()
	key, err := []byte(nil), error(nil)
	for {
		next := make([]byte, m.Spec().KeySize)
		if err = m.NextKey(key, next); err != nil {
			break
		}
		key = next
		n++
	}
	if !errors.Is(err, ebpf.ErrKeyNotExist) {
		t.Fatal(err)
	}
	return n
}

// TestLRUKeepsWhatIsUsed puts many times more keys into a map than it holds. It
// refuses none, keeps the newest, and those that are looked up now and then.
func TestLRUKeepsWhatIsUsed(t *testing.T) {
	for _, spec := range lruSpecs() {
		m := newTestMap(t, spec)
		key, addr := programKey(t)
		n := uint64(spec.MaxEntries)
		hot := n / 4
		for k := range 20 * n {
			*key = k
			if r := m.UpdateElem(0, addr, addr+8, uint64(ebpf.UpdateNoExist)); r != 0 {
				t.Fatalf("%v: key %d: %d", spec, k, r)
			}
			if k%(n/2+1) != 0 {
				continue
			}
			for h := range min(hot, k+1) {
				*key = h
				if m.LookupElem(1, addr) == 0 {
					t.Fatalf("%v: key %d, looked up every %d updates, is gone after %d", spec, h, n/2, k)
				}
			}
		}
		if c := countKeys(t, m); c != int(n) {
			t.Errorf("%v: %d elements after many updates", spec, c)
		}
		for k := 20*n - (n-hot)/2; k < 20*n; k++ {
			*key = k
			if m.LookupElem(0, addr) == 0 {
				t.Errorf("%v: key %d of %d is gone", spec, k, 20*n)
			}
		}
	}
}

// TestLRUAllInUse has every element in use when room is wanted.
func TestLRUAllInUse(t *testing.T) {
	m := newTestMap(t, &ebpf.MapSpec{Type: ebpf.LRUHash, KeySize: 8, ValueSize: 8, MaxEntries: 10})
	key, addr := programKey(t)
	for k := range uint64(100) {
		*key = k
		if r := m.UpdateElem(0, addr, addr+8, 0); r != 0 {
			t.Fatal(r)
		}
		for *key = range k + 1 {
			m.LookupElem(0, addr)
		}
	}
	if c := countKeys(t, m); c != 10 {
		t.Errorf("%d elements", c)
	}
}

// TestConcurrentLRU has programs update, look up and delete many more keys than
// there is room for. Values belong to their keys, no update is refused, and the
// count is right at the end.
func TestConcurrentLRU(t *testing.T) {
	for _, spec := range lruSpecs() {
		m := newTestMap(t, spec)
		var wg sync.WaitGroup
		for cpu := range 2 {
			region, err := mem.New("program", 4096)
			if err != nil {
				t.Fatal(err)
			}
			defer region.Close()
			wg.Go(func() {
				key, value := mem.At[uint64](region.Addr()), mem.At[uint64](region.Addr()+8)
				out := make([]byte, ValueBytes(spec, 2))
				r := rand.New(rand.NewPCG(uint64(cpu), 4))
				for range 30000 {
					*key = r.Uint64N(3 * uint64(spec.MaxEntries))
					*value = *key * 3
					switch r.IntN(4) {
					case 0:
						m.DeleteElem(region.Addr())
					case 1:
						if err := m.Lookup(key64(*key), out, 0); err != nil {
							break
						}
						for i := 0; i < len(out); i += 8 {
							if v := binary.NativeEndian.Uint64(out[i:]); v != *value && v != 0 {
								t.Errorf("%v: key %d has the value %d", spec, *key, v)
							}
						}
					default:
						if e := m.UpdateElem(cpu, region.Addr(), region.Addr()+8, 0); e != 0 {
							t.Errorf("%v: update: %d", spec, e)
						}
					}
				}
			})
		}
		wg.Wait()
		n := countKeys(t, m)
		if n > int(spec.MaxEntries) {
			t.Errorf("%v: %d elements", spec, n)
		}
		for k := range 3 * uint64(spec.MaxEntries) {
			if m.Delete(key64(k)) == nil {
				n--
			}
		}
		if c := tableOf(m).header.count; c != 0 || n != 0 {
			t.Errorf("%v: %d elements are counted in an empty map; %d were seen but could not be deleted", spec, c, n)
		}
		for k := range uint64(spec.MaxEntries) {
			if err := m.Update(key64(k), make([]byte, ValueBytes(spec, 2)), 0); err != nil {
				t.Fatal(err)
			}
		}
		if c := countKeys(t, m); c != int(spec.MaxEntries) {
			t.Errorf("%v: %d elements fit", spec, c)
		}
	}
}

func tableOf(m Map) *table {
	switch m := m.(type) {
	case *hash:
		return &m.table
	case *perCPUHash:
		return &m.table
	}
	return nil
}

// BenchmarkLRUUpdateFull puts new keys into a full map.
func BenchmarkLRUUpdateFull(b *testing.B) {
	m := newTestMap(b, &ebpf.MapSpec{Type: ebpf.LRUHash, KeySize: 8, ValueSize: 8, MaxEntries: 10240})
	key, addr := programKey(b)
	for b.Loop() {
		*key++
		if r := m.UpdateElem(0, addr, addr+8, 0); r != 0 {
			b.Fatal(r)
		}
	}
}
