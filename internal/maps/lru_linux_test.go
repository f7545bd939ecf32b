package maps

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
)

// newKernelCache loads a program that looks the key in its context up in an LRU
// map, and puts it in if it is not there. It returns 1 if it was.
func newKernelCache(t *testing.T, spec *ebpf.MapSpec) func(key uint64) bool {
	t.Helper()
	m, err := ebpf.NewMap(spec)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	p, err := ebpf.NewProgram(&ebpf.ProgramSpec{Type: ebpf.RawTracepoint, License: "GPL", Instructions: asm.Instructions{
		asm.LoadMem(asm.R1, asm.R1, 0, asm.DWord),
		asm.StoreMem(asm.R10, -8, asm.R1, asm.DWord),
		asm.LoadMapPtr(asm.R1, m.FD()),
		asm.Mov.Reg(asm.R2, asm.R10),
		asm.Add.Imm(asm.R2, -8),
		asm.FnMapLookupElem.Call(),
		asm.JNE.Imm(asm.R0, 0, "hit"),
		asm.LoadMapPtr(asm.R1, m.FD()),
		asm.Mov.Reg(asm.R2, asm.R10),
		asm.Add.Imm(asm.R2, -8),
		asm.Mov.Reg(asm.R3, asm.R2),
		asm.Mov.Imm(asm.R4, 0),
		asm.FnMapUpdateElem.Call(),
		asm.Return(),
		asm.Mov.Imm(asm.R0, 1).WithSymbol("hit"),
		asm.Return(),
	}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	return func(key uint64) bool {
		r, err := p.Run(&ebpf.RunOptions{Context: [1]uint64{key}})
		if err != nil || r > 1 {
			t.Fatalf("key %d: %d, %v", key, int32(r), err)
		}
		return r == 1
	}
}

// TestLRUHitsLikeKernel uses LRU maps as caches, here and in the kernel, with the
// same keys. What goes out when can differ, for both orders are rough, but no
// update is refused, and as many look-ups as in the kernel find their key, less
// four of a hundred at most.
func TestLRUHitsLikeKernel(t *testing.T) {
	skipWithoutBPF(t)
	const n, steps = 1000, 20000
	for name, next := range map[string]func(r *rand.Rand, i uint64) uint64{
		"zipf":    func(r *rand.Rand, _ uint64) uint64 { return uint64(math.Pow(20*n, r.Float64())) },
		"working": func(r *rand.Rand, i uint64) uint64 { return i/4000*10000 + r.Uint64N(n/2) },
		"hot + scan": func(r *rand.Rand, i uint64) uint64 {
			if i%2 == 0 {
				return r.Uint64N(n / 4)
			}
			return 10000 + i
		},
	} {
		for _, typ := range []ebpf.MapType{ebpf.LRUHash, ebpf.LRUCPUHash} {
			spec := &ebpf.MapSpec{Type: typ, KeySize: 8, ValueSize: 8, MaxEntries: n}
			kernel := newKernelCache(t, spec)
			m := newTestMap(t, spec)
			key, addr := programKey(t)
			r := rand.New(rand.NewPCG(6, 6))
			ours, theirs := 0, 0
			for i := range uint64(steps) {
				*key = next(r, i)
				if kernel(*key) {
					theirs++
				}
				if m.LookupElem(0, addr) != 0 {
					ours++
				} else if e := m.UpdateElem(0, addr, addr, 0); e != 0 {
					t.Fatal(e)
				}
			}
			if ours < theirs-steps/25 {
				t.Errorf("%s, %s: %d of %d keys were found here, %d in the kernel", typ, name, ours, steps, theirs)
			}
			if ours < steps/5 || ours > steps-n/2 {
				t.Errorf("%s, %s: %d of %d keys were found: too few or too many to tell", typ, name, ours, steps)
			}
			t.Logf("%s, %s: %d of %d keys were found here, %d in the kernel", typ, name, ours, steps, theirs)
		}
	}
}
