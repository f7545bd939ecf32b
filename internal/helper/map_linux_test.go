package helper

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/perf"

	"github.com/skep-bpf/skep/internal/maps"
	"github.com/skep-bpf/skep/internal/mem"
)

// TestMapHelpersLikeKernel updates, deletes and looks up from programs, with
// flags good and bad, until maps are full and empty again.
func TestMapHelpersLikeKernel(t *testing.T) {
	s := newSides(t)
	const key, value = 0, 64
	flags := []uint64{0, 1, 2, 3, 4, 5, 6, 7, 8, 1 << 32, ^uint64(0)}
	for _, index := range []uint64{hashMap, arrayMap, perCPUMap, perCPUHashMap, lruMap, trieMap} {
		memory := make([]byte, memory)
		for i := range memory[value : value+64] {
			memory[value+i] = byte(i)
		}
		for _, k := range []uint32{0, 5, 1, 2, 1, 1 << 31, 7, 0} {
			binary.NativeEndian.PutUint32(memory[key:], k)
			for _, f := range flags {
				s.run(t, asm.FnMapUpdateElem, memory, handleOf(index), ptr(key), ptr(value), num(f))
				memory[value]++
				s.lookup(t, index, memory, key)
			}
			if k != 5 {
				continue
			}
			for range 2 {
				s.run(t, asm.FnMapDeleteElem, memory, handleOf(index), ptr(key))
				s.lookup(t, index, memory, key)
			}
		}
	}
}

// lookup compares what a program sees of the key in memory: the first 8 bytes of
// its value, or -1.
func (s *sides) lookup(t *testing.T, index uint64, memory []byte, key uint64) {
	t.Helper()
	s.lookupBy(t, asm.FnMapLookupElem, index, memory, key, 0)
}

// lookupBy is lookup by a helper with a third argument.
func (s *sides) lookupBy(t *testing.T, id asm.BuiltinFunc, index uint64, memory []byte, key, third uint64) {
	t.Helper()
	if err := s.kernel[memoryMap].Put(uint32(0), memory); err != nil {
		t.Fatal(err)
	}
	want := s.runProgram(t, asm.Instructions{
		asm.LoadMapPtr(asm.R1, s.kernel[index].FD()),
		asm.LoadMapValue(asm.R2, s.kernel[memoryMap].FD(), uint32(key)),
		asm.LoadImm(asm.R3, int64(third), asm.DWord),
		id.Call(),
		asm.JNE.Imm(asm.R0, 0, "there"),
		asm.LoadImm(asm.R0, -1, asm.DWord),
		asm.Ja.Label("done"),
		asm.LoadMem(asm.R0, asm.R0, 0, asm.DWord).WithSymbol("there"),
		asm.Mov.Reg(asm.R0, asm.R0).WithSymbol("done"),
	}, len(memory))
	copy(mem.Slice(s.start, len(memory)), memory)
	got := ^uint64(0)
	if p := For(id)(s.call, MapHandle(int(index)), s.start+key, third, 0, 0); p != 0 {
		got = *mem.At[uint64](p)
	}
	if got != want {
		t.Errorf("map %d, key % x: the value starts with %#x here, %#x in the kernel", index, memory[key:][:8], got, want)
	}
}

// TestPerCPUElemLikeKernel looks up the values of CPUs that there are, and of
// others.
func TestPerCPUElemLikeKernel(t *testing.T) {
	s := newSides(t)
	memory := make([]byte, memory)
	for _, index := range []uint64{perCPUMap, perCPUHashMap} {
		for _, k := range []uint32{1, 0} {
			binary.NativeEndian.PutUint32(memory, k)
			memory[64] = byte(k + 7)
			s.run(t, asm.FnMapUpdateElem, memory, handleOf(index), ptr(0), ptr(64), num(0))
			for _, cpu := range []uint64{0, uint64(s.call.Runner.CPU), 1, 2, 63, 1 << 20, 1<<32 - 1, 1 << 32, ^uint64(0)} {
				s.lookupBy(t, asm.FnMapLookupPercpuElem, index, memory, 0, cpu)
			}
		}
	}
}

// TestQueueHelpersLikeKernel puts in and takes off, from empty to full.
func TestQueueHelpersLikeKernel(t *testing.T) {
	s := newSides(t)
	memory := make([]byte, memory)
	r := rand.New(rand.NewPCG(1, 3))
	flags := []uint64{0, 0, 0, 2, 2, 1, 3, 4, 1 << 32, ^uint64(0)}
	for step := range 300 {
		for i := range memory[:16] {
			memory[i] = byte(r.Uint32())
		}
		index := []uint64{queueMap, stackMap}[r.IntN(2)]
		switch n := r.IntN(8); {
		case n < 2 || n < 5 && step/50%2 == 0:
			s.run(t, asm.FnMapPushElem, memory, handleOf(index), ptr(0), num(pick(r, flags)))
		case n < 6:
			s.run(t, asm.FnMapPopElem, memory, handleOf(index), ptr(0))
		default:
			s.run(t, asm.FnMapPeekElem, memory, handleOf(index), ptr(0))
		}
	}
}

// TestBloomHelpersLikeKernel asks for values that are in a filter, and for some in
// an empty one, where none can be found by chance.
func TestBloomHelpersLikeKernel(t *testing.T) {
	s := newSides(t)
	memory := make([]byte, memory)
	for i := range byte(4) {
		memory[0] = i
		s.run(t, asm.FnMapPeekElem, memory, handleOf(bloomMap), ptr(0))
	}
	for i := range byte(4) {
		memory[0] = i
		for _, flags := range []uint64{1, 2, 3, 4, 1 << 32, 0} {
			s.run(t, asm.FnMapPushElem, memory, handleOf(bloomMap), ptr(0), num(flags))
		}
		s.run(t, asm.FnMapPeekElem, memory, handleOf(bloomMap), ptr(0))
	}
}

// TestPerfOutputLikeKernel fills and reads the rings of a perf event array on both
// sides, from nothing to full, and compares each record, losses included.
func TestPerfOutputLikeKernel(t *testing.T) {
	s := newSides(t)
	kernel, err := perf.NewReader(s.kernel[perfMap], 4096)
	if err != nil {
		t.Skip(noPerfEvents{err})
	}
	defer kernel.Close()
	kernel.SetDeadline(time.Unix(1, 0))
	ours, err := s.ours[perfMap].(maps.Perf).OpenPerf(4096, maps.PerfOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer ours.Close()

	r := rand.New(rand.NewPCG(2, 5))
	memory := make([]byte, memory)
	cpu := uint64(s.call.Runner.CPU)
	flags := []uint64{1<<32 - 1, 1<<32 - 1, 1<<32 - 1, cpu, cpu, cpu ^ 1, uint64(ebpf.MustPossibleCPU()), 1000, 1<<32 - 2, 1 << 32, ^uint64(0)}
	sizes := []uint64{0, 1, 3, 4, 5, 8, 12, 100, 500, 1000, 2000, 4072, 4075, 4076, 4080, 4084, 5000}
	samples, losses := 0, 0
	for step := range 400 {
		for i := range memory[:128] {
			memory[i] = byte(r.Uint32())
		}
		size := pick(r, sizes)
		if step%8 == 0 {
			kernel.Pause()
			ours.Pause()
		}
		s.run(t, asm.FnPerfEventOutput, memory, ctx(), handleOf(perfMap), num(pick(r, flags)), ptr(0), num(size))
		if step%8 == 0 {
			kernel.Resume()
			ours.Resume()
		}
		for r.IntN(3) == 0 {
			want, err := kernel.Read()
			var got maps.PerfRecord
			if ok := ours.ReadRecord(&got); ok != (err == nil) {
				t.Fatalf("step %d: a record here: %v, in the kernel: %v", step, ok, err)
			}
			if err != nil {
				if !errors.Is(err, os.ErrDeadlineExceeded) {
					t.Fatal(err)
				}
				break
			}
			// What fills a record up is whatever was there in the kernel; what remains is
			// what cilium/ebpf saw when it last looked.
			n := max(len(want.RawSample)-7, 0)
			if got.CPU != want.CPU || got.LostSamples != want.LostSamples || len(got.RawSample) != len(want.RawSample) || !bytes.Equal(got.RawSample[:n], want.RawSample[:n]) || got.Remaining < want.Remaining {
				t.Fatalf("step %d: %d bytes, %d lost, %d remaining on CPU %d here; %d, %d, %d, %d in the kernel", step,
					len(got.RawSample), got.LostSamples, got.Remaining, got.CPU, len(want.RawSample), want.LostSamples, want.Remaining, want.CPU)
			}
			if want.LostSamples > 0 {
				losses++
			} else {
				samples++
			}
		}
		if t.Failed() {
			t.Fatalf("in step %d", step)
		}
	}
	if samples < 50 || losses < 10 {
		t.Errorf("%d samples and %d losses: too few to tell", samples, losses)
	}
}

// noPerfEvents is why perf_event_output can't be compared with the kernel's.
type noPerfEvents struct{ err error }

func (e noPerfEvents) Error() string {
	return fmt.Sprintf("perf events can't be opened here: %v", e.err)
}

// TestMapInMapLikeKernel looks up through maps of maps, changes an inner map by its
// handle, and looks up keys of the outer map that have none.
func TestMapInMapLikeKernel(t *testing.T) {
	s := newSides(t)
	memory := make([]byte, memory)
	pattern := &ebpf.MapSpec{Type: ebpf.Hash, KeySize: 4, ValueSize: 8, MaxEntries: 4}
	for _, typ := range []ebpf.MapType{ebpf.ArrayOfMaps, ebpf.HashOfMaps} {
		spec := &ebpf.MapSpec{Type: typ, KeySize: 4, ValueSize: 4, MaxEntries: 2, InnerMap: pattern}
		outer, err := ebpf.NewMap(spec)
		if err != nil {
			t.Fatal(err)
		}
		defer outer.Close()
		inner, err := ebpf.NewMap(pattern)
		if err != nil {
			t.Fatal(err)
		}
		defer inner.Close()
		if err := outer.Put(uint32(1), inner); err != nil {
			t.Fatal(err)
		}
		ours, oursInner := newMap(t, spec), newMap(t, pattern)
		if err := ours.Update([]byte{1, 0, 0, 0}, binary.NativeEndian.AppendUint32(nil, maps.ID(oursInner)), 0); err != nil {
			t.Fatal(err)
		}
		c := newCall(t, s.call.Runner.CPU, append(s.ours[:len(s.ours):len(s.ours)], ours)...)
		outerHandle := MapHandle(len(s.ours))
		for step := range uint32(12) {
			binary.NativeEndian.PutUint32(memory, step%3)   // of the outer map
			binary.NativeEndian.PutUint32(memory[8:], step) // of the inner map
			binary.NativeEndian.PutUint64(memory[16:], uint64(step)+100)
			if err := s.kernel[memoryMap].Put(uint32(0), memory); err != nil {
				t.Fatal(err)
			}
			value := func(r asm.Register, at uint32) asm.Instruction {
				return asm.LoadMapValue(r, s.kernel[memoryMap].FD(), at)
			}
			want := s.runProgram(t, asm.Instructions{
				asm.LoadMapPtr(asm.R1, outer.FD()),
				value(asm.R2, 0),
				asm.FnMapLookupElem.Call(),
				asm.JNE.Imm(asm.R0, 0, "inner"),
				asm.LoadImm(asm.R0, -1, asm.DWord),
				asm.Ja.Label("done"),
				asm.Mov.Reg(asm.R6, asm.R0).WithSymbol("inner"),
				asm.Mov.Reg(asm.R1, asm.R0),
				value(asm.R2, 8),
				value(asm.R3, 16),
				asm.Mov.Imm(asm.R4, 0),
				asm.FnMapUpdateElem.Call(),
				asm.Mov.Reg(asm.R7, asm.R0),
				asm.Mov.Reg(asm.R1, asm.R6),
				value(asm.R2, 8),
				asm.FnMapLookupElem.Call(),
				asm.JEq.Imm(asm.R0, 0, "done"),
				asm.LoadMem(asm.R0, asm.R0, 0, asm.DWord),
				asm.Add.Reg(asm.R0, asm.R7),
				asm.Mov.Reg(asm.R0, asm.R0).WithSymbol("done"),
			}, len(memory))

			copy(mem.Slice(s.start, len(memory)), memory)
			c.Begin()
			got := ^uint64(0)
			if m := For(asm.FnMapLookupElem)(c, outerHandle, s.start, 0, 0, 0); m != 0 {
				updated := For(asm.FnMapUpdateElem)(c, m, s.start+8, s.start+16, 0, 0)
				got = 0
				if v := For(asm.FnMapLookupElem)(c, m, s.start+8, 0, 0, 0); v != 0 {
					got = *mem.At[uint64](v) + updated
					if !c.owns(v, 8) {
						t.Errorf("%s: the value of the inner map is not the program's", typ)
					}
				}
			}
			if got != want {
				t.Errorf("%s: step %d: %d here, %d in the kernel", typ, step, int64(got), int64(want))
			}
		}
		// A handle that is kept after its map is gone leads nowhere in the next run.
		h := For(asm.FnMapLookupElem)(c, outerHandle, outerKey(s, 1), 0, 0, 0)
		if c.Map(h) != oursInner {
			t.Fatalf("%s: the handle %#x does not lead to the inner map", typ, h)
		}
		ours.Close()
		oursInner.Close()
		if c.Map(h) == nil {
			t.Errorf("%s: the inner map is gone while a run may use it", typ)
		}
		c.Begin()
		if c.Map(h) != nil {
			t.Errorf("%s: the inner map is there in the next run", typ)
		}
	}
}

// outerKey puts a key where a program has it.
func outerKey(s *sides, key uint32) uint64 {
	*mem.At[uint32](s.start) = key
	return s.start
}
