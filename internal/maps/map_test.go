package maps

import (
	"bytes"
	"encoding/binary"
	"errors"
	"os"
	"runtime"
	"slices"
	"sync"
	"syscall"
	"testing"

	"github.com/cilium/ebpf"

	"github.com/skep-bpf/skep/internal/abi"
	"github.com/skep-bpf/skep/internal/mem"
)

// testSpecs is one map of each type.
func testSpecs() []*ebpf.MapSpec {
	return []*ebpf.MapSpec{
		{Name: "array", Type: ebpf.Array, KeySize: 4, ValueSize: 12, MaxEntries: 3},
		{Name: "hash", Type: ebpf.Hash, KeySize: 4, ValueSize: 12, MaxEntries: 3},
		{Name: "percpu", Type: ebpf.PerCPUArray, KeySize: 4, ValueSize: 12, MaxEntries: 3},
		{Name: "ring", Type: ebpf.RingBuf, MaxEntries: 4096},
		{Name: "lru", Type: ebpf.LRUHash, KeySize: 4, ValueSize: 12, MaxEntries: 3},
		{Name: "percpu_hash", Type: ebpf.PerCPUHash, KeySize: 4, ValueSize: 12, MaxEntries: 3},
		{Name: "trie", Type: ebpf.LPMTrie, KeySize: 8, ValueSize: 12, MaxEntries: 3, Flags: abi.MapNoPrealloc},
		{Name: "queue", Type: ebpf.Queue, ValueSize: 12, MaxEntries: 3},
		{Name: "stack", Type: ebpf.Stack, ValueSize: 12, MaxEntries: 3},
		{Name: "bloom", Type: ebpf.BloomFilter, ValueSize: 12, MaxEntries: 3},
		{Name: "perf", Type: ebpf.PerfEventArray, KeySize: 4, ValueSize: 4, MaxEntries: 2},
		{Name: "cgroups", Type: ebpf.CGroupArray, KeySize: 4, ValueSize: 4, MaxEntries: 3},
		{Name: "progs", Type: ebpf.ProgramArray, KeySize: 4, ValueSize: 4, MaxEntries: 3},
		{Name: "array_of_maps", Type: ebpf.ArrayOfMaps, KeySize: 4, ValueSize: 4, MaxEntries: 3, InnerMap: &ebpf.MapSpec{Type: ebpf.Hash, KeySize: 4, ValueSize: 4, MaxEntries: 3}},
		{Name: "hash_of_maps", Type: ebpf.HashOfMaps, KeySize: 4, ValueSize: 4, MaxEntries: 3, InnerMap: &ebpf.MapSpec{Type: ebpf.Hash, KeySize: 4, ValueSize: 4, MaxEntries: 3}},
		{Name: "lru_percpu", Type: ebpf.LRUCPUHash, KeySize: 4, ValueSize: 12, MaxEntries: 3},
	}
}

func TestEveryTypeIsTested(t *testing.T) {
	for typ := range types {
		if !slices.ContainsFunc(testSpecs(), func(s *ebpf.MapSpec) bool { return s.Type == typ }) {
			t.Errorf("no test map of type %s", typ)
		}
	}
}

func TestUnsupported(t *testing.T) {
	for typ := range ebpf.MapType(60) {
		if types[typ] != nil {
			continue
		}
		if _, err := New(&ebpf.MapSpec{Type: typ, KeySize: 4, ValueSize: 4, MaxEntries: 1}, 1); !errors.Is(err, ebpf.ErrNotSupported) {
			t.Errorf("type %s: %v", typ, err)
		}
	}
	if _, err := New(&ebpf.MapSpec{Type: ebpf.Array, KeySize: 4, ValueSize: 4, MaxEntries: 1, Extra: bytes.NewReader([]byte{1})}, 1); !errors.Is(err, ebpf.ErrNotSupported) {
		t.Errorf("more than a map definition: %v", err)
	}
	for _, spec := range testSpecs() {
		if _, err := New(spec, 0); err == nil {
			t.Errorf("%s: made for no CPU", spec.Name)
		}
		spec.MapExtra = 1
		if spec.Type == ebpf.BloomFilter {
			spec.MapExtra = 16 // more hashes than there are
		}
		if _, err := New(spec, 1); !errors.Is(err, syscall.EINVAL) {
			t.Errorf("%s with map_extra: %v", spec.Name, err)
		}
	}
}

// TestSizes gives keys and values of a wrong size.
func TestSizes(t *testing.T) {
	for _, spec := range testSpecs()[:3] {
		m, err := New(spec, 2)
		if err != nil {
			t.Fatal(err)
		}
		defer m.Close()
		key, value := make([]byte, 4), make([]byte, ValueBytes(spec, 2))
		if err := m.Update(key, value, 0); err != nil {
			t.Fatal(err)
		}
		for _, n := range []int{0, 3, 5} {
			bad := make([]byte, n)
			for op, err := range map[string]error{
				"lookup": m.Lookup(bad, value, 0), "update": m.Update(bad, value, 0), "delete": m.Delete(bad),
				"next key after": m.NextKey(bad, key), "next key into": m.NextKey(key, bad),
			} {
				if !errors.Is(err, syscall.EINVAL) {
					t.Errorf("%s: %s %d bytes: %v", spec.Name, op, n, err)
				}
			}
		}
		for _, n := range []int{0, len(value) - 1, len(value) + 1} {
			bad := make([]byte, n)
			if err := m.Lookup(key, bad, 0); !errors.Is(err, syscall.EINVAL) {
				t.Errorf("%s: lookup into %d bytes: %v", spec.Name, n, err)
			}
			if err := m.Update(key, bad, 0); !errors.Is(err, syscall.EINVAL) {
				t.Errorf("%s: update with %d bytes: %v", spec.Name, n, err)
			}
		}
	}
}

func TestContents(t *testing.T) {
	m, err := New(&ebpf.MapSpec{
		Name: ".rodata.str", Type: ebpf.Array, KeySize: 4, ValueSize: 5, MaxEntries: 1, Flags: abi.MapRdonlyProg,
		Contents: []ebpf.MapKV{{Key: uint32(0), Value: []byte("hello")}},
	}, 2)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	value := make([]byte, 5)
	if err := m.Lookup(key32(0), value, 0); err != nil || string(value) != "hello" {
		t.Errorf("constant data: %q, %v", value, err)
	}
	if err := m.Update(key32(0), value, 0); !errors.Is(err, syscall.EPERM) {
		t.Errorf("constant data can be changed: %v", err)
	}
	a, ok := m.(Direct).ValueAddr(1)
	if _, past := m.(Direct).ValueAddr(8); !ok || past || string(mem.Slice(a, 4)) != "ello" {
		t.Errorf("byte 1 is at %#x, %v; byte 8 is there: %v", a, ok, past)
	}

	type pair struct{ A, B uint16 }
	m, err = New(&ebpf.MapSpec{
		Name: "hash", Type: ebpf.Hash, KeySize: 4, ValueSize: 4, MaxEntries: 3,
		Contents: []ebpf.MapKV{{Key: "key1", Value: pair{1, 2}}, {Key: &pair{3, 4}, Value: uint32(7)}},
	}, 2)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	value = make([]byte, 4)
	if err := m.Lookup([]byte("key1"), value, 0); err != nil || binary.NativeEndian.Uint16(value[2:]) != 2 {
		t.Errorf("struct: % x, %v", value, err)
	}
	key := binary.NativeEndian.AppendUint16(binary.NativeEndian.AppendUint16(nil, 3), 4)
	if err := m.Lookup(key, value, 0); err != nil || binary.NativeEndian.Uint32(value) != 7 {
		t.Errorf("key by pointer: % x, %v", value, err)
	}

	m, err = New(&ebpf.MapSpec{
		Name: "percpu", Type: ebpf.PerCPUArray, KeySize: 4, ValueSize: 4, MaxEntries: 2,
		Contents: []ebpf.MapKV{{Key: uint32(1), Value: []uint32{5, 6}}},
	}, 3)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	value = make([]byte, 24)
	if err := m.Lookup(key32(1), value, 0); err != nil || !bytes.Equal(value, slices.Concat(key32(5), key32(0), key32(6), key32(0), key32(0), key32(0))) {
		t.Errorf("value for each CPU: % x, %v", value, err)
	}

	for _, bad := range []ebpf.MapKV{
		{Key: uint32(3), Value: uint32(1)}, {Key: uint64(0), Value: uint32(1)}, {Key: uint32(0), Value: "long text"}, {Key: uint32(0), Value: make(chan int)}, {Key: nil, Value: nil}, {Key: (*uint32)(nil), Value: uint32(1)},
	} {
		if m, err := New(&ebpf.MapSpec{Type: ebpf.Array, KeySize: 4, ValueSize: 4, MaxEntries: 3, Contents: []ebpf.MapKV{bad}}, 1); err == nil {
			m.Close()
			t.Errorf("contents %v were taken", bad)
		}
	}
	for _, bad := range []any{uint32(1), []uint32{1, 2, 3}, []string{"x"}} {
		if m, err := New(&ebpf.MapSpec{Type: ebpf.PerCPUArray, KeySize: 4, ValueSize: 4, MaxEntries: 3, Contents: []ebpf.MapKV{{Key: uint32(0), Value: bad}}}, 2); err == nil {
			m.Close()
			t.Errorf("per-CPU contents %v were taken", bad)
		}
	}
}

func key32(k uint32) []byte { return binary.NativeEndian.AppendUint32(nil, k) }

// TestPerCPU writes from programs on all CPUs at once, without atomics.
func TestPerCPU(t *testing.T) {
	for _, typ := range []ebpf.MapType{ebpf.PerCPUArray, ebpf.PerCPUHash, ebpf.LRUCPUHash} {
		t.Run(typ.String(), func(t *testing.T) { testPerCPU(t, typ) })
	}
}

func testPerCPU(t *testing.T, typ ebpf.MapType) {
	const cpus, rounds = 4, 10000
	m, err := New(&ebpf.MapSpec{Type: typ, KeySize: 4, ValueSize: 8, MaxEntries: 3}, cpus)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	if err := m.Update(key32(2), make([]byte, 8*cpus), ebpf.UpdateAny); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for cpu := range cpus {
		wg.Go(func() {
			region, err := mem.New("key", 4)
			if err != nil {
				t.Error(err)
				return
			}
			defer region.Close()
			*mem.At[uint32](region.Addr()) = 2
			for range rounds {
				*mem.At[uint64](m.LookupElem(cpu, region.Addr())) += uint64(cpu + 1)
			}
		})
	}
	wg.Wait()
	value := make([]byte, 8*cpus)
	if err := m.Lookup(key32(2), value, 0); err != nil {
		t.Fatal(err)
	}
	for cpu := range cpus {
		if n := binary.NativeEndian.Uint64(value[8*cpu:]); n != rounds*uint64(cpu+1) {
			t.Errorf("CPU %d counted %d", cpu, n)
		}
	}
	key, err := mem.New("key", 8)
	if err != nil {
		t.Fatal(err)
	}
	defer key.Close()
	for _, cpu := range []int{-1, cpus} {
		if a := m.LookupElem(cpu, key.Addr()); a != 0 {
			t.Errorf("CPU %d has a value", cpu)
		}
		if r := m.UpdateElem(cpu, key.Addr(), key.Addr(), 0); r != -int64(mem.EINVAL) {
			t.Errorf("update on CPU %d: %d", cpu, r)
		}
	}
}

// hasValues reports whether programs work on values in the map's memory.
func hasValues(m Map) bool {
	switch m.(type) {
	case Queue, Perf, ProgArray, CgroupArray, *arrayOfMaps, *hashOfMaps:
		return false
	}
	return true
}

// TestRanges checks that what programs are given lies in the ranges.
func TestRanges(t *testing.T) {
	key, err := mem.New("key", 64)
	if err != nil {
		t.Fatal(err)
	}
	defer key.Close()
	for _, spec := range testSpecs() {
		m, err := New(spec, 2)
		if err != nil {
			t.Fatal(err)
		}
		defer m.Close()
		var got []mem.Range
		if !hasValues(m) {
			if m.Ranges() != nil {
				t.Errorf("%s: a program can touch %+v", spec.Name, m.Ranges())
			}
		} else if r, ok := m.(Ring); ok {
			for range 3 {
				got = append(got, mem.Range{Addr: r.Reserve(1000, 0), Size: 1000})
			}
		} else {
			for i := range uint32(3) {
				*mem.At[uint32](key.Addr()) = i
				if e := m.UpdateElem(1, key.Addr(), key.Addr(), 0); e != 0 {
					t.Fatal(e)
				}
				got = append(got, mem.Range{Addr: m.LookupElem(1, key.Addr()), Size: 12})
			}
		}
		for i, g := range got {
			if !slices.ContainsFunc(m.Ranges(), func(r mem.Range) bool { return r.Contains(g.Addr, g.Size) }) {
				t.Errorf("%s: %+v is not in %+v", spec.Name, g, m.Ranges())
			}
			for _, o := range got[:i] {
				if o.Contains(g.Addr, 1) || g.Contains(o.Addr, 1) {
					t.Errorf("%s: %+v and %+v overlap", spec.Name, g, o)
				}
			}
		}
	}
}

// TestClose uses maps while they are closed and afterwards.
func TestClose(t *testing.T) {
	for _, spec := range testSpecs() {
		m, err := New(spec, 2)
		if err != nil {
			t.Fatal(err)
		}
		use := func() error {
			key, value := make([]byte, spec.KeySize), make([]byte, ValueBytes(spec, 2))
			if r, ok := m.(Ring); ok {
				r.Output(0, 0, 0)
				r.ReadRecord(nil)
				return r.Wait(&Waiter{})
			}
			m.Delete(key)
			m.NextKey(nil, key)
			return errors.Join(m.Update(key, value, 0), m.Lookup(key, value, 0))
		}
		var wg sync.WaitGroup
		started := make(chan struct{}, 3)
		for range 3 {
			wg.Go(func() {
				started <- struct{}{}
				for use() == nil {
					runtime.Gosched()
				}
			})
		}
		for range 3 {
			<-started
		}
		if err := m.Close(); err != nil {
			t.Errorf("%s: %v", spec.Name, err)
		}
		wg.Wait()
		if err := m.Close(); err != nil {
			t.Errorf("%s: closing twice: %v", spec.Name, err)
		}
		if err := use(); !errors.Is(err, os.ErrClosed) {
			t.Errorf("%s: use after close: %v", spec.Name, err)
		}
		if spec.Type != ebpf.RingBuf {
			if err := m.Freeze(); !errors.Is(err, os.ErrClosed) {
				t.Errorf("%s: freeze after close: %v", spec.Name, err)
			}
		}
	}
}

// TestNoAllocation runs the operations of a program.
func TestNoAllocation(t *testing.T) {
	region, err := mem.New("program", 4096)
	if err != nil {
		t.Fatal(err)
	}
	defer region.Close()
	for _, spec := range testSpecs() {
		m, err := New(spec, 2)
		if err != nil {
			t.Fatal(err)
		}
		defer m.Close()
		key, value := make([]byte, spec.KeySize), make([]byte, ValueBytes(spec, 2))
		record := make([]byte, 0, 100)
		n := testing.AllocsPerRun(100, func() {
			if r, ok := m.(Ring); ok {
				r.Submit(r.Reserve(30, 0), 0)
				r.Output(region.Addr(), 20, 0)
				r.ReadRecord(record)
				r.ReadRecord(record)
				return
			}
			if p, ok := m.(Perf); ok {
				p.Output(0, region.Addr(), 30, perfCurrentCPU)
			}
			if q, ok := m.(Queue); ok {
				q.PushElem(region.Addr(), 0)
				q.PeekElem(region.Addr())
				q.PopElem(region.Addr())
			}
			if HoldsMaps(spec.Type) || spec.Type == ebpf.ProgramArray || spec.Type == ebpf.CGroupArray {
				m.LookupElem(0, region.Addr()) // Go's side finds names for its errors
				return
			}
			m.UpdateElem(0, region.Addr(), region.Addr()+64, 0)
			m.LookupElem(0, region.Addr())
			m.LookupAndDelete(key, value, 0)
			m.Lookup(key, value, 0)
			m.Update(key, value, 0)
			m.NextKey(nil, key)
			m.DeleteElem(region.Addr())
			m.Lookup(key, value, 0)
			m.Delete(key)
		})
		if n != 0 {
			t.Errorf("%s: %v allocations", spec.Name, n)
		}
	}
}
