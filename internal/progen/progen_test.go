package progen

import (
	"slices"
	"testing"

	"github.com/cilium/ebpf/asm"
)

// The same seed gives the same program, another seed another one.
func TestGenerateIsDeterministic(t *testing.T) {
	for seed := range uint64(200) {
		img, p := Generate(seed)
		_, again := Generate(seed)
		if !slices.Equal(p.Insns, again.Insns) || !slices.Equal(p.Subprograms, again.Subprograms) || p.Type != again.Type {
			t.Fatalf("seed %d gives two programs", seed)
		}
		if _, other := Generate(seed + 1); slices.Equal(p.Insns, other.Insns) {
			t.Errorf("seeds %d and %d give the same program", seed, seed+1)
		}
		if img.Programs[p.Name] != p {
			t.Errorf("seed %d: the program is not in its image", seed)
		}
		for _, m := range p.Maps {
			if img.Maps[m] == nil {
				t.Errorf("seed %d: map %s is missing", seed, m)
			}
		}
		if back := Decode(Encode(p.Insns)); !slices.Equal(back, p.Insns) {
			t.Errorf("seed %d: %v becomes %v", seed, p.Insns, back)
		}
	}
}

// All that programs are made of comes up: every class, calls of helpers and of
// subprograms, loops, atomics, records.
func TestGenerateIsVaried(t *testing.T) {
	seen := map[string]int{}
	for seed := range uint64(200) {
		_, p := Generate(seed)
		for i := 0; i < len(p.Insns); i++ {
			in := p.Insns[i]
			seen[asm.Class(in.Op&7).String()]++
			switch {
			case in.Op == 0x18:
				i++
			case in.Op == 0x85 && in.Src == 0:
				seen[asm.BuiltinFunc(in.Imm).String()]++
			case in.Op == 0x85:
				seen["subprogram"]++
			case in.Op&7 == 3 && in.Op&0xe0 == 0xc0:
				seen["atomic"]++
			case (in.Op&7 == 5 || in.Op&7 == 6) && in.Off < 0:
				seen["loop"]++
			}
		}
	}
	for _, want := range []string{"LdClass", "LdXClass", "StClass", "StXClass", "ALUClass", "ALU64Class", "JumpClass", "Jump32Class",
		"subprogram", "atomic", "loop", "FnMapLookupElem", "FnMapDeleteElem", "FnRingbufReserve", "FnRingbufSubmit",
		"FnRingbufDiscard", "FnProbeReadKernel", "FnProbeReadKernelStr", "FnGetPrandomU32"} {
		if seen[want] < 10 {
			t.Errorf("%s comes up %d times: %v", want, seen[want], seen)
		}
	}
}
