package interp

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/cilium/ebpf/asm"

	"github.com/skep-bpf/skep/internal/image"
	"github.com/skep-bpf/skep/internal/mem"
)

// TestFastIsChecked runs random programs in both modes: same result, same stack.
func TestFastIsChecked(t *testing.T) {
	for seed := range uint64(3000) {
		compare(t, seed)
	}
}

func FuzzFastIsChecked(f *testing.F) {
	f.Add(uint64(1))
	f.Fuzz(func(t *testing.T, seed uint64) { compare(t, seed) })
}

func compare(t *testing.T, seed uint64) {
	t.Helper()
	p := randomProgram(t, seed)
	b := newBench(t)
	var want string
	for i, m := range modes {
		stack := mem.Slice(b.runner.Stack.Addr, int(b.runner.Stack.Size))
		clear(stack)
		r0, err := b.compile(p, nil, m.options).Run(b.call, b.runner.Context.Addr)
		got := fmt.Sprintf("r0 %#x, error %v, stack %x", r0, err, stack)
		if i == 0 {
			want = got
		} else if got != want {
			t.Fatalf("seed %d: fast gives %s\n%s gives %s", seed, want, m.name, got)
		}
	}
}

// A generator writes a random program that ends and stays inside its stack, with
// forms as clang writes them, so that sequences are fused. r9 counts the rounds
// of loops.
type generator struct {
	*rand.Rand
	insns []image.Insn
}

// randomProgram is the program of a seed: a main function and two others.
func randomProgram(tb testing.TB, seed uint64) *image.Program {
	g := &generator{Rand: rand.New(rand.NewPCG(seed, 2))}
	var starts, calls []int
	for function := range 3 {
		starts = append(starts, len(g.insns))
		for r := range uint8(10) {
			if function == 0 || r == 0 || r > 5 {
				g.load64(r, interesting(g.Rand))
			}
		}
		blocks := 1 + g.IntN(6)
		for range blocks {
			switch g.IntN(4) {
			case 0:
				// A loop of a few rounds.
				g.op(asm.Mov.Op(asm.ImmSource), 9, 0, 0, int32(1+g.IntN(4)))
				top := len(g.insns)
				g.block()
				g.op(asm.Add.Op(asm.ImmSource), 9, 0, 0, -1)
				g.op(asm.JNE.Op(asm.ImmSource), 9, 0, top-len(g.insns)-1, 0)
			case 1:
				// Two branches that meet.
				branch := len(g.insns)
				g.jump()
				g.block()
				skip := len(g.insns)
				g.op(asm.Ja.Op(asm.ImmSource), 0, 0, 0, 0)
				g.insns[branch].Off = int16(len(g.insns) - branch - 1)
				g.block()
				g.insns[skip].Off = int16(len(g.insns) - skip - 1)
			default:
				g.block()
			}
			if function < 2 && g.IntN(3) == 0 {
				calls = append(calls, len(g.insns))
				g.insns = append(g.insns, image.Insn{Op: uint8(asm.JumpClass) | uint8(asm.Call), Src: uint8(asm.PseudoCall), Imm: int32(function + 1)})
			}
		}
		for r := uint8(1); r < 10; r++ {
			g.op(asm.Add.Op(asm.RegSource), 0, r, 0, 0)
		}
		g.op(asm.Return().OpCode, 0, 0, 0, 0)
	}
	for _, i := range calls {
		g.insns[i].Imm = int32(starts[g.insns[i].Imm] - i - 1)
	}
	return &image.Program{Name: fmt.Sprintf("seed %d", seed), Insns: g.insns}
}

func (g *generator) op(op asm.OpCode, dst, src uint8, off int, imm int32) {
	g.insns = append(g.insns, image.Insn{Op: uint8(op), Dst: dst, Src: src, Off: int16(off), Imm: imm})
}

func (g *generator) load64(dst uint8, v uint64) {
	g.op(asm.LoadImmOp(asm.DWord), dst, 0, 0, int32(v))
	g.insns = append(g.insns, image.Insn{Imm: int32(v >> 32)})
}

// register is one that may be written: not r9 and r10.
func (g *generator) register() uint8 { return uint8(g.IntN(9)) }

func (g *generator) immediate() int32 { return int32(interesting(g.Rand)) }

// block is straight-line code.
func (g *generator) block() {
	for range 1 + g.IntN(10) {
		switch g.IntN(5) {
		case 0:
			g.memory()
		case 1:
			g.sequence()
		default:
			g.alu()
		}
	}
}

func (g *generator) alu() {
	ops := []asm.ALUOp{
		asm.Add, asm.Sub, asm.Mul, asm.Div, asm.Mod, asm.SDiv, asm.SMod, asm.Or, asm.And, asm.Xor,
		asm.LSh, asm.RSh, asm.ArSh, asm.Mov, asm.MovSX8, asm.MovSX16, asm.Neg,
	}
	name := ops[g.IntN(len(ops))]
	off := 0
	switch name {
	case asm.SDiv:
		name, off = asm.Div, 1
	case asm.SMod:
		name, off = asm.Mod, 1
	case asm.MovSX8:
		name, off = asm.Mov, 8
	case asm.MovSX16:
		name, off = asm.Mov, 16
	}
	op := name.Op(asm.ImmSource)
	if name != asm.Neg && (off >= 8 || g.IntN(2) == 0) {
		op = name.Op(asm.RegSource)
	}
	if g.IntN(2) == 0 {
		op = narrow(op)
	}
	g.op(op, g.register(), g.register(), off, g.immediate())
}

// memory accesses the current frame.
func (g *generator) memory() {
	sizes := []asm.Size{asm.Byte, asm.Half, asm.Word, asm.DWord}
	size := sizes[g.IntN(4)]
	off := -8 * (1 + g.IntN(mem.StackSize/8))
	base, at := uint8(10), off
	if g.IntN(2) == 0 {
		// By a register of its own.
		base, at = g.register(), off+8
		g.op(asm.Mov.Op(asm.RegSource), base, 10, 0, 0)
		g.op(asm.Add.Op(asm.ImmSource), base, 0, 0, -8)
	}
	value := g.register()
	for value == base {
		value = g.register()
	}
	switch g.IntN(5) {
	case 0:
		g.op(asm.StoreImmOp(size), base, 0, at, g.immediate())
	case 1:
		g.op(asm.StoreMemOp(size), base, value, at, 0)
	case 2:
		size = sizes[2+g.IntN(2)]
		all := []asm.AtomicOp{
			asm.AddAtomic, asm.OrAtomic, asm.AndAtomic, asm.XorAtomic, asm.FetchAdd, asm.FetchOr,
			asm.FetchAnd, asm.FetchXor, asm.Xchg, asm.CmpXchg,
		}
		g.op(asm.OpCode(asm.StXClass).SetMode(asm.AtomicMode).SetSize(size), base, value, at, int32(all[g.IntN(len(all))]>>8))
	case 3:
		if size != asm.DWord {
			g.op(asm.LoadMemSXOp(size), value, base, at, 0)
			break
		}
		fallthrough
	default:
		g.op(asm.LoadMemOp(size), value, base, at, 0)
	}
	if base != 10 {
		// An address differs from run to run of the test: it must not stay.
		g.load64(base, interesting(g.Rand))
	}
}

// sequence writes what is fused and touches no memory.
func (g *generator) sequence() {
	a, b, c := g.register(), g.register(), g.register()
	shift := int32(g.IntN(63) + 1)
	wide := func(op asm.OpCode) asm.OpCode { return op }
	if g.IntN(2) == 0 {
		wide, shift = narrow, shift&31
	}
	imm, reg := asm.ImmSource, asm.RegSource
	switch g.IntN(4) {
	case 0:
		g.op(wide(asm.Mov.Op(reg)), a, b, 0, 0)
		g.op(wide(asm.RSh.Op(imm)), a, 0, 0, shift)
		g.op(wide(asm.LSh.Op(imm)), b, 0, 0, shift)
		g.op(wide(asm.Or.Op(reg)), b, a, 0, 0)
	case 1:
		g.op(wide(asm.Mov.Op(reg)), a, b, 0, 0)
		g.op(wide(asm.LSh.Op(imm)), a, 0, 0, shift)
		g.op(wide(asm.Xor.Op(reg)), b, a, 0, 0)
	case 2:
		g.op(wide(asm.Mul.Op(imm)), a, 0, 0, g.immediate())
		g.op(wide(asm.Add.Op(reg)), b, a, 0, 0)
		g.op(wide(asm.Mov.Op(reg)), c, b, 0, 0)
	case 3:
		g.op(asm.Mov.Op(reg), a, b, 0, 0)
		g.op(asm.Mov.Op(reg), c, a, 0, 0)
	}
}

// jump is a conditional jump whose distance is set later.
func (g *generator) jump() {
	ops := []asm.JumpOp{
		asm.JEq, asm.JNE, asm.JGT, asm.JGE, asm.JLT, asm.JLE, asm.JSGT, asm.JSGE, asm.JSLT, asm.JSLE, asm.JSet,
	}
	op := ops[g.IntN(len(ops))].Op([]asm.Source{asm.ImmSource, asm.RegSource}[g.IntN(2)])
	if g.IntN(2) == 0 {
		op = narrow(op)
	}
	g.op(op, g.register(), g.register(), 0, g.immediate())
}

// FuzzChecked runs any bytes as a program in the checked mode: whatever it does,
// it ends in a result or a trap.
func FuzzChecked(f *testing.F) {
	for seed := range uint64(20) {
		var raw []byte
		for _, in := range randomProgram(f, seed).Insns {
			raw = append(raw, in.Op, in.Dst|in.Src<<4)
			raw = binary.LittleEndian.AppendUint16(raw, uint16(in.Off))
			raw = binary.LittleEndian.AppendUint32(raw, uint32(in.Imm))
		}
		f.Add(raw)
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		b := newBench(t, testMaps(t)...)
		p := &image.Program{Name: "fuzz", Insns: slots(t, raw[:len(raw)&^7]), Maps: testMapNames}
		code, err := Compile(p, nil, b.call.Maps, Options{Checked: true, Budget: 10_000})
		if err != nil {
			return
		}
		if _, err := code.Run(b.call, b.runner.Context.Addr); err != nil {
			if _, ok := err.(*Trap); !ok {
				t.Fatalf("%T: %v", err, err)
			}
		}
	})
}
