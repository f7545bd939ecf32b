package maps

import (
	"encoding/binary"
	"errors"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/cilium/ebpf"

	"github.com/skep-bpf/skep/internal/mem"
)

func outerSpecs() []*ebpf.MapSpec {
	pattern := &ebpf.MapSpec{Type: ebpf.Array, KeySize: 4, ValueSize: 8, MaxEntries: 2}
	return []*ebpf.MapSpec{
		{Type: ebpf.ArrayOfMaps, KeySize: 4, MaxEntries: 4, InnerMap: pattern},
		{Type: ebpf.HashOfMaps, KeySize: 4, MaxEntries: 4, InnerMap: pattern},
	}
}

// innerValue looks up, as a program does, what is in an inner map.
func innerValue(outer Map, addr uint64) (uint64, bool) {
	h := outer.LookupElem(0, addr)
	if h == 0 {
		return 0, false
	}
	m := ByHandle(h)
	if m == nil {
		return 0, false
	}
	return *mem.At[uint64](m.LookupElem(0, addr)), true
}

// TestOuterKeepsInner closes inner maps that are in a map of maps, replaces them
// and closes the map of maps: each lives exactly as long as somebody has it.
func TestOuterKeepsInner(t *testing.T) {
	for _, spec := range outerSpecs() {
		outer := newTestMap(t, spec)
		key, addr := programKey(t)
		make1 := func(v uint64) (Map, uint32) {
			m, err := New(spec.InnerMap, 2)
			if err != nil {
				t.Fatal(err)
			}
			if err := m.Update(key32(0), key64(v), 0); err != nil {
				t.Fatal(err)
			}
			return m, ID(m)
		}
		a, idA := make1(1)
		b, idB := make1(2)
		*key = 0
		for _, id := range []uint32{idA, idA, idB, idA} {
			if err := outer.Update(key32(0), key32(id), 0); err != nil {
				t.Fatal(err)
			}
		}
		if err := errors.Join(a.Close(), b.Close()); err != nil {
			t.Fatal(err)
		}
		if ByID(idB) != nil || ByID(idA) == nil {
			t.Errorf("%s: the map that was taken out is there: %v; the one that is in: %v", spec.Type, ByID(idB) != nil, ByID(idA) != nil)
		}
		if v, ok := innerValue(outer, addr); !ok || v != 1 {
			t.Errorf("%s: the value is %d, %v", spec.Type, v, ok)
		}
		if err := a.Lookup(key32(0), make([]byte, 8), 0); !errors.Is(err, errClosed) {
			t.Errorf("%s: Go looks up in a map that it closed: %v", spec.Type, err)
		}
		value := make([]byte, 4)
		if err := outer.Lookup(key32(0), value, 0); err != nil || binary.NativeEndian.Uint32(value) != idA {
			t.Errorf("%s: number %v, %v; want %d", spec.Type, value, err, idA)
		}
		if err := outer.Update(key32(0), key32(idB), 0); !errors.Is(err, syscall.EBADF) {
			t.Errorf("%s: a map that is gone was put in: %v", spec.Type, err)
		}
		if err := outer.Close(); err != nil {
			t.Fatal(err)
		}
		if ByID(idA) != nil {
			t.Errorf("%s: the inner map is there after the outer one was closed", spec.Type)
		}
	}
}

// TestOuterConcurrent changes a map of maps while programs look up through it.
func TestOuterConcurrent(t *testing.T) {
	for _, spec := range outerSpecs() {
		outer := newTestMap(t, spec)
		key, addr := programKey(t)
		*key = 0
		var stop atomic.Bool
		var wg sync.WaitGroup
		for range 2 {
			wg.Go(func() {
				for !stop.Load() {
					m, err := New(spec.InnerMap, 2)
					if err != nil {
						t.Error(err)
						return
					}
					m.Update(key32(0), key64(42), 0)
					if err := outer.Update(key32(0), key32(ID(m)), 0); err != nil {
						t.Error(err)
					}
					m.Close()
					runtime.Gosched()
				}
			})
		}
		seen := 0
		for end := time.Now().Add(10 * time.Second); seen < 20000 && time.Now().Before(end); {
			if seen%1000 == 0 {
				runtime.Gosched()
			}
			h := outer.LookupElem(0, addr)
			if m := ByHandle(h); m != nil {
				// A map that was taken out just now reads as zeros.
				if v := *mem.At[uint64](m.LookupElem(0, addr)); v != 42 && v != 0 {
					t.Fatalf("%s: value %d", spec.Type, v)
				} else if v == 42 {
					seen++
				}
			}
		}
		stop.Store(true)
		wg.Wait()
		if seen < 20000 {
			t.Errorf("%s: %d values seen: too few to tell", spec.Type, seen)
		}
	}
}

func TestHandles(t *testing.T) {
	m := newTestMap(t, outerSpecs()[0].InnerMap)
	if ByHandle(handle(ID(m))) != m {
		t.Error("the handle does not lead to its map")
	}
	for _, h := range []uint64{0, 1, handles, handle(ID(m)) + 1, handle(ID(m)) + 4, handle(1<<32 - 1), handle(1<<24 - 1), handles - 8, handles + 1<<35, ^uint64(0)} {
		if got := ByHandle(h); got != nil {
			t.Errorf("%#x leads to %v", h, got.Spec())
		}
	}
	m.Close()
	if ByHandle(handle(ID(m))) != nil {
		t.Error("the handle of a closed map leads to it")
	}
}

type testProgram TailType

func (p testProgram) TailType() TailType { return TailType(p) }

func TestProgArray(t *testing.T) {
	m := newTestMap(t, &ebpf.MapSpec{Type: ebpf.ProgramArray, KeySize: 4, ValueSize: 4, MaxEntries: 3}).(ProgArray)
	var ids []uint32
	for _, typ := range []ebpf.ProgramType{ebpf.XDP, ebpf.XDP, ebpf.Kprobe} {
		id, err := AddProgram(testProgram(typ))
		if err != nil {
			t.Fatal(err)
		}
		defer RemoveProgram(id)
		ids = append(ids, id)
	}
	if err := errors.Join(m.Update(key32(0), key32(ids[0]), 0), m.Update(key32(2), key32(ids[1]), 0)); err != nil {
		t.Fatal(err)
	}
	if err := m.Update(key32(1), key32(ids[2]), 0); !errors.Is(err, syscall.EINVAL) {
		t.Errorf("a program of another type was put in: %v", err)
	}
	if m.Own(TailType(ebpf.Kprobe)) || !m.Own(TailType(ebpf.XDP)) {
		t.Error("the map is not of the type of its programs")
	}
	value := make([]byte, 4)
	if err := m.Lookup(key32(2), value, 0); err != nil || binary.NativeEndian.Uint32(value) != ids[1] {
		t.Errorf("number %v, %v", value, err)
	}
	if m.Program(2) == nil || m.Program(1) != nil || m.Program(3) != nil || m.Program(1<<32-1) != nil {
		t.Error("there are programs where there should be none, or none where there should be one")
	}
	RemoveProgram(ids[1])
	if m.Program(2) == nil {
		t.Error("the map does not keep its program")
	}
	if err := m.Update(key32(1), key32(ids[1]), 0); !errors.Is(err, syscall.EBADF) {
		t.Errorf("a program that is gone was put in: %v", err)
	}
	if err := m.Delete(key32(2)); err != nil || m.Program(2) != nil {
		t.Errorf("the program is there after Delete: %v", err)
	}
}

func BenchmarkOuter(b *testing.B) {
	for _, spec := range outerSpecs() {
		b.Run(spec.Type.String(), func(b *testing.B) {
			outer, inner := newTestMap(b, spec), newTestMap(b, spec.InnerMap)
			_, addr := programKey(b)
			if err := outer.Update(key32(0), key32(ID(inner)), 0); err != nil {
				b.Fatal(err)
			}
			for b.Loop() {
				v, _ := innerValue(outer, addr)
				sink += v
			}
		})
	}
}
