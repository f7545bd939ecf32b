package helper

import (
	"encoding/binary"
	"testing"

	"github.com/cilium/ebpf/asm"

	"github.com/skep-bpf/skep/internal/mem"
)

// TestMapHelpersLikeKernel updates, deletes and looks up from programs, with
// flags good and bad, until maps are full and empty again.
func TestMapHelpersLikeKernel(t *testing.T) {
	s := newSides(t)
	const key, value = 0, 64
	flags := []uint64{0, 1, 2, 3, 4, 5, 6, 7, 8, 1 << 32, ^uint64(0)}
	for _, index := range []uint64{hashMap, arrayMap, perCPUMap} {
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
	want := s.runProgram(t, asm.Instructions{
		asm.LoadMapPtr(asm.R1, s.kernel[index].FD()),
		asm.LoadMapValue(asm.R2, s.kernel[memoryMap].FD(), uint32(key)),
		asm.FnMapLookupElem.Call(),
		asm.JNE.Imm(asm.R0, 0, "there"),
		asm.LoadImm(asm.R0, -1, asm.DWord),
		asm.Ja.Label("done"),
		asm.LoadMem(asm.R0, asm.R0, 0, asm.DWord).WithSymbol("there"),
		asm.Mov.Reg(asm.R0, asm.R0).WithSymbol("done"),
	}, len(memory))
	copy(mem.Slice(s.start, len(memory)), memory)
	got := ^uint64(0)
	if p := For(asm.FnMapLookupElem)(s.call, MapHandle(int(index)), s.start+key, 0, 0, 0); p != 0 {
		got = *mem.At[uint64](p)
	}
	if got != want {
		t.Errorf("map %d, key % x: the value starts with %#x here, %#x in the kernel", index, memory[key:][:8], got, want)
	}
}
