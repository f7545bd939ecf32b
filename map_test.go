package skep_test

import (
	"errors"
	"testing"

	"github.com/cilium/ebpf"

	"github.com/skep-bpf/skep"
)

func loadMap(t *testing.T, spec *skep.MapSpec) skep.Map {
	t.Helper()
	coll, err := skep.Load(t.Context(), skep.User(), &skep.CollectionSpec{Maps: map[string]*skep.MapSpec{"m": spec}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { coll.Close() })
	return coll.Maps["m"]
}

func TestQueueFromGo(t *testing.T) {
	m := loadMap(t, &skep.MapSpec{Name: "m", Type: ebpf.Queue, ValueSize: 4, MaxEntries: 2})
	for _, v := range []uint32{7, 8} {
		if err := m.Put(nil, v); err != nil {
			t.Fatal(err)
		}
	}
	var v uint32
	if err := m.Lookup(nil, &v); err != nil || v != 7 {
		t.Errorf("the head is %d (%v), want 7", v, err)
	}
	for _, want := range []uint32{7, 8} {
		if err := m.LookupAndDelete(nil, &v); err != nil || v != want {
			t.Errorf("got %d (%v), want %d", v, err, want)
		}
	}
	if err := m.LookupAndDelete(nil, &v); !errors.Is(err, ebpf.ErrKeyNotExist) {
		t.Errorf("an empty queue gives %v", err)
	}
}

func TestBloomFilterFromGo(t *testing.T) {
	m := loadMap(t, &skep.MapSpec{Name: "m", Type: ebpf.BloomFilter, ValueSize: 4, MaxEntries: 100})
	if err := m.Put(nil, uint32(7)); err != nil {
		t.Fatal(err)
	}
	in, out := uint32(7), uint32(8)
	if err := m.Lookup(nil, &in); err != nil {
		t.Errorf("a value that was put in: %v", err)
	}
	if err := m.Lookup(nil, &out); !errors.Is(err, ebpf.ErrKeyNotExist) {
		t.Errorf("a value that was not put in: %v", err)
	}
}

func TestPerCPUHashFromGo(t *testing.T) {
	m := loadMap(t, &skep.MapSpec{Name: "m", Type: ebpf.PerCPUHash, KeySize: 4, ValueSize: 4, MaxEntries: 2})
	var cpus []uint32
	if err := m.Lookup(uint32(1), &cpus); !errors.Is(err, ebpf.ErrKeyNotExist) {
		t.Fatalf("an empty map gives %v", err)
	}
	n, err := ebpf.PossibleCPU()
	if err != nil {
		t.Skipf("needs the number of possible CPUs: %v", err)
	}
	want := make([]uint32, n)
	for i := range want {
		want[i] = uint32(10 + i)
	}
	if err := m.Put(uint32(1), want); err != nil {
		t.Fatal(err)
	}
	if err := m.Lookup(uint32(1), &cpus); err != nil || len(cpus) != n || cpus[n-1] != want[n-1] {
		t.Errorf("got %v (%v), want %v", cpus, err, want)
	}
}
