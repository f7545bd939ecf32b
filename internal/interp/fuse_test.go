package interp

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/cilium/ebpf/asm"

	"github.com/skep-bpf/skep/internal/abi"
	"github.com/skep-bpf/skep/internal/helper"
	"github.com/skep-bpf/skep/internal/image"
	"github.com/skep-bpf/skep/internal/mem"
)

// TestSequences runs every fused operation against the single operations that it
// stands for: on random registers, immediates and memory, jumps taken and not.
func TestSequences(t *testing.T) {
	seen := map[op]bool{}
	for _, list := range patterns {
		for _, p := range list {
			if seen[p.op] {
				t.Errorf("two patterns have operation %d", p.op)
			}
			seen[p.op] = true
			rng := rand.New(rand.NewPCG(uint64(p.op), 1))
			for range 100 {
				testSequence(t, &p, rng)
			}
		}
	}
	if len(seen) == 0 {
		t.Fatal("there are no patterns")
	}
}

// registers of the machine that a sequence uses, by letter.
var registerOf = map[byte]uint8{'a': 3, 'b': 7, 'c': 1, 'd': 0}

func testSequence(t *testing.T, p *pattern, rng *rand.Rand) {
	t.Helper()
	b := newBench(t)
	var start [11]uint64
	for r := range 10 {
		start[r] = interesting(rng)
	}
	start[10] = b.runner.Stack.Addr + b.runner.Stack.Size
	// Small operands make conditional jumps go both ways.
	small := rng.IntN(2) == 0
	if small {
		for r := range 10 {
			start[r] &= 1
		}
	}

	// A register that is used as an address must hold one. What it is made of in
	// the sequence is an immediate load or its first value, plus other registers.
	address := b.runner.Context.Addr + 256
	type origin struct {
		lddw int // slot that sets it, -1 for its first value, -2 if it is not known
		plus uint64
	}
	origins := map[byte]*origin{}
	of := func(v byte) *origin {
		if origins[v] == nil {
			origins[v] = &origin{lddw: -1}
		}
		return origins[v]
	}
	code := make([]insn, 0, 12)
	for _, s := range p.steps {
		in := insn{op: s.op, imm: int32(interesting(rng)), off: int16(rng.IntN(16) * 8)}
		if s.dst != 0 {
			in.dst = registerOf[s.dst]
		}
		if s.src != 0 {
			in.src = registerOf[s.src]
		}
		if small {
			in.imm &= 1
		}
		at := len(code)
		switch s.op {
		case opCall:
			in.imm = 0
		case opLddw:
			*of(s.dst) = origin{lddw: at}
			in.setImm64(interesting(rng))
		case opAdd64Reg:
			if o := origins[s.src]; o == nil || o.lddw < 0 {
				of(s.dst).plus += start[registerOf[s.src]]
			}
		case opLoad8, opLoad16, opLoad32, opLoad64:
			settle(of(s.src).lddw, address-of(s.src).plus, registerOf[s.src], &start, code)
			delete(origins, s.dst)
			*of(s.dst) = origin{lddw: -2}
		case opStore8Reg, opStore16Reg, opStore32Reg, opStore64Reg:
			settle(of(s.dst).lddw, address-of(s.dst).plus, registerOf[s.dst], &start, code)
		}
		code = append(code, in)
		if s.op == opLddw {
			code = append(code, insn{op: opTrap})
		}
	}
	// Three ways to go on, each with an exit of its own: what exits is told apart
	// by r9, which no sequence has a letter for.
	ends := len(code)
	for i := range code {
		code[i].jump0(i, ends)
	}
	for n := range 3 {
		code = append(code, insn{op: opAdd64Imm, dst: 9, imm: int32(n + 1)}, insn{op: opExit})
	}

	fused := append([]insn(nil), code...)
	fuse(fused)
	if fused[0].op != p.op {
		t.Fatalf("%+v is not fused into operation %d but %d", p.steps, p.op, fused[0].op)
	}
	want := execute(b, code, start, small)
	if got := execute(b, fused, start, small); got != want {
		t.Fatalf("operation %d (%+v) gives\n%s\nits steps give\n%s", p.op, p.steps, got, want)
	}
}

// jump0 lets a jump go to one of the exits.
func (in *insn) jump0(i, ends int) {
	switch in.op {
	case opJa:
		in.jump = int32((ends + 2 - i) * insnSize)
	case opLddw, opCall:
	default:
		in.jump = int32((ends + 4 - i) * insnSize)
	}
}

// settle makes a register hold an address: by the immediate load at slot lddw or
// by its first value.
func settle(lddw int, addr uint64, reg uint8, start *[11]uint64, code []insn) {
	if lddw >= 0 {
		code[lddw].setImm64(addr)
	} else if lddw == -1 {
		start[reg] = addr
	}
}

// execute runs insns with the given registers in front, and tells registers and
// memory after it. zero says what is in memory before.
func execute(b *bench, insns []insn, start [11]uint64, zero bool) string {
	b.Helper()
	context := mem.Slice(b.runner.Context.Addr, 1024)
	for i := range context {
		context[i] = byte(i * 7)
		if zero {
			context[i] = 0
		}
	}
	var set []insn
	for r, v := range start[:10] {
		in := insn{op: opLddw, dst: uint8(r)}
		in.setImm64(v)
		set = append(set, in, insn{op: opTrap})
	}
	// After the exit's own code every register goes to the context.
	code := append(set, insns...)
	for i := range code {
		if code[i].op == opExit {
			code[i] = insn{op: opJa, jump: int32((len(code) - i) * insnSize)}
		}
	}
	save := []insn{{op: opStore64Reg, dst: 10, src: 0, off: -8}, {op: opLddw, dst: 0}, {op: opTrap}}
	save[1].setImm64(b.runner.Context.Addr + 512)
	code = append(code, save...)
	for r := uint8(1); r < 10; r++ {
		code = append(code, insn{op: opStore64Reg, dst: 0, src: r, off: int16(r) * 8})
	}
	code = append(code, insn{op: opLoad64, dst: 1, src: 10, off: -8},
		insn{op: opStore64Reg, dst: 0, src: 1}, insn{op: opExit}, insn{op: opTrap, imm: int32(PastEnd)})
	c := &Code{
		program:    &image.Program{Name: "sequence"},
		insns:      code,
		helpers:    []helper.Func{func(_ *helper.Call, r1, r2, r3, r4, r5 uint64) uint64 { return r1 ^ r2<<1 ^ r3<<2 ^ r4<<3 ^ r5<<4 }},
		prototypes: []*abi.Helper{abi.HelperByID(asm.FnKtimeGetNs)},
	}
	if _, err := c.Run(b.call, 0); err != nil {
		b.Fatal(err)
	}
	return fmt.Sprintf("%x", context)
}

// interesting is a random number, often one of the edges.
func interesting(rng *rand.Rand) uint64 {
	if rng.IntN(2) == 0 {
		return edges[rng.IntN(len(edges))]
	}
	return rng.Uint64() >> rng.IntN(64)
}
