package interp

import (
	"fmt"
	"math"
	"math/big"
	"testing"

	"github.com/cilium/ebpf/asm"
)

// edges are the operands that instructions are tested with.
var edges = []uint64{
	0, 1, 2, 7, 31, 32, 33, 63, 64, 65, 0x7f, 0x80, 0xff, 0x7fff, 0x8000, 0xffff,
	math.MaxInt32, 1 << 31, math.MaxUint32, 1 << 32, 0x1234_5678_9abc_def0,
	math.MaxInt64, 1 << 63, 1<<63 + 1, 0xffff_ffff_8000_0000, math.MaxUint64 - 6, math.MaxUint64,
}

// number is x as an integer of bits bits.
func number(x uint64, bits uint, signed bool) *big.Int {
	n := new(big.Int).SetUint64(x)
	n.And(n, mask(bits))
	if signed && n.Bit(int(bits)-1) == 1 {
		n.Sub(n, new(big.Int).Lsh(big.NewInt(1), bits))
	}
	return n
}

func mask(bits uint) *big.Int {
	one := big.NewInt(1)
	return new(big.Int).Sub(new(big.Int).Lsh(one, bits), one)
}

// arithmetic is RFC 9669's tables in integers without a width.
var arithmetic = map[asm.ALUOp]struct {
	signed bool
	apply  func(x, y *big.Int, bits uint) *big.Int
}{
	asm.Add:  {false, func(x, y *big.Int, _ uint) *big.Int { return x.Add(x, y) }},
	asm.Sub:  {false, func(x, y *big.Int, _ uint) *big.Int { return x.Sub(x, y) }},
	asm.Mul:  {false, func(x, y *big.Int, _ uint) *big.Int { return x.Mul(x, y) }},
	asm.Or:   {false, func(x, y *big.Int, _ uint) *big.Int { return x.Or(x, y) }},
	asm.And:  {false, func(x, y *big.Int, _ uint) *big.Int { return x.And(x, y) }},
	asm.Xor:  {false, func(x, y *big.Int, _ uint) *big.Int { return x.Xor(x, y) }},
	asm.Mov:  {false, func(_, y *big.Int, _ uint) *big.Int { return y }},
	asm.Div:  {false, quotient},
	asm.Mod:  {false, remainder},
	asm.SDiv: {true, quotient},
	asm.SMod: {true, remainder},
	asm.LSh:  {false, func(x, y *big.Int, bits uint) *big.Int { return x.Lsh(x, count(y, bits)) }},
	asm.RSh:  {false, func(x, y *big.Int, bits uint) *big.Int { return x.Rsh(x, count(y, bits)) }},
	asm.ArSh: {true, func(x, y *big.Int, bits uint) *big.Int { return x.Rsh(x, count(y, bits)) }},
}

func quotient(x, y *big.Int, _ uint) *big.Int {
	if y.Sign() == 0 {
		return y
	}
	return x.Quo(x, y)
}

func remainder(x, y *big.Int, _ uint) *big.Int {
	if y.Sign() == 0 {
		return x
	}
	return x.Rem(x, y)
}

func count(y *big.Int, bits uint) uint {
	return uint(new(big.Int).And(y, big.NewInt(int64(bits-1))).Uint64())
}

// TestArithmetic runs every arithmetic operation of both widths and both forms
// on all pairs of edges against integers without a width.
func TestArithmetic(t *testing.T) {
	for op, a := range arithmetic {
		t.Run(op.String(), func(t *testing.T) {
			b := newBench(t)
			for _, bits := range []uint{64, 32} {
				for _, x := range edges {
					for _, y := range edges {
						reg := op.Op(asm.RegSource)
						imm := op.Op(asm.ImmSource)
						if bits == 32 {
							reg, imm = narrow(reg), narrow(imm)
						}
						expect := func(y uint64) uint64 {
							n := a.apply(number(x, bits, a.signed), number(y, bits, a.signed), bits)
							return n.And(n, mask(bits)).Uint64()
						}
						b.want(expect(y), fmt.Sprintf("%v %#x %#x", reg, x, y),
							asm.LoadImm(asm.R6, int64(x), asm.DWord),
							asm.LoadImm(asm.R7, int64(y), asm.DWord),
							asm.Instruction{OpCode: reg, Dst: asm.R6, Src: asm.R7},
							asm.Mov.Reg(asm.R0, asm.R6),
							asm.Return(),
						)
						b.want(expect(uint64(int32(y))), fmt.Sprintf("%v %#x %d", imm, x, int32(y)),
							asm.LoadImm(asm.R6, int64(x), asm.DWord),
							asm.Instruction{OpCode: imm, Dst: asm.R6, Constant: int64(int32(y))},
							asm.Mov.Reg(asm.R0, asm.R6),
							asm.Return(),
						)
					}
					if op == asm.Mov {
						continue
					}
					reg := op.Op(asm.RegSource)
					if bits == 32 {
						reg = narrow(reg)
					}
					n := a.apply(number(x, bits, a.signed), number(x, bits, a.signed), bits)
					b.want(n.And(n, mask(bits)).Uint64(), fmt.Sprintf("%v %#x with itself", reg, x),
						asm.LoadImm(asm.R0, int64(x), asm.DWord),
						asm.Instruction{OpCode: reg, Dst: asm.R0, Src: asm.R0},
						asm.Return(),
					)
				}
			}
		})
	}
}

// narrow is the 32-bit form of an operation.
func narrow(op asm.OpCode) asm.OpCode {
	switch op.Class() {
	case asm.ALU64Class:
		return op - asm.OpCode(asm.ALU64Class) + asm.OpCode(asm.ALUClass)
	case asm.JumpClass:
		return op - asm.OpCode(asm.JumpClass) + asm.OpCode(asm.Jump32Class)
	}
	panic(fmt.Sprintf("%v has no 32-bit form", op))
}

// want runs a program in both modes.
func (b *bench) want(want uint64, what string, insns ...asm.Instruction) {
	b.Helper()
	if got := b.run(assemble(b, insns...)); got != want {
		b.Fatalf("%s gives %#x, want %#x", what, got, want)
	}
}

// TestUnary runs negation, sign extension and byte swaps.
func TestUnary(t *testing.T) {
	extend := func(bits, width uint) func(x uint64) *big.Int {
		return func(x uint64) *big.Int {
			n := number(x, bits, true)
			return n.And(n, mask(width))
		}
	}
	negate := func(bits uint) func(x uint64) *big.Int {
		return func(x uint64) *big.Int {
			n := number(x, bits, false)
			return n.And(n.Neg(n), mask(bits))
		}
	}
	swap := func(bits uint) func(x uint64) *big.Int {
		return func(x uint64) *big.Int {
			raw := number(x, bits, false).FillBytes(make([]byte, bits/8))
			n := new(big.Int)
			for i := range raw {
				n.Or(n, new(big.Int).Lsh(big.NewInt(int64(raw[i])), uint(i)*8))
			}
			return n
		}
	}
	truncate := func(bits uint) func(x uint64) *big.Int {
		return func(x uint64) *big.Int { return number(x, bits, false) }
	}
	r := asm.R0
	neg := asm.Neg.Op(asm.ImmSource)
	for _, c := range []struct {
		name string
		insn asm.Instruction
		want func(x uint64) *big.Int
	}{
		{"neg64", asm.Instruction{OpCode: neg, Dst: r}, negate(64)},
		{"neg32", asm.Instruction{OpCode: narrow(neg), Dst: r}, negate(32)},
		{"movsx8to64", asm.Instruction{OpCode: asm.MovSX8.Op(asm.RegSource), Dst: r, Src: r}, extend(8, 64)},
		{"movsx16to64", asm.Instruction{OpCode: asm.MovSX16.Op(asm.RegSource), Dst: r, Src: r}, extend(16, 64)},
		{"movsx32to64", asm.Instruction{OpCode: asm.MovSX32.Op(asm.RegSource), Dst: r, Src: r}, extend(32, 64)},
		{"movsx8to32", asm.Instruction{OpCode: narrow(asm.MovSX8.Op(asm.RegSource)), Dst: r, Src: r}, extend(8, 32)},
		{"movsx16to32", asm.Instruction{OpCode: narrow(asm.MovSX16.Op(asm.RegSource)), Dst: r, Src: r}, extend(16, 32)},
		{"le16", asm.HostTo(asm.LE, r, asm.Half), truncate(16)},
		{"le32", asm.HostTo(asm.LE, r, asm.Word), truncate(32)},
		{"le64", asm.HostTo(asm.LE, r, asm.DWord), truncate(64)},
		{"be16", asm.HostTo(asm.BE, r, asm.Half), swap(16)},
		{"be32", asm.HostTo(asm.BE, r, asm.Word), swap(32)},
		{"be64", asm.HostTo(asm.BE, r, asm.DWord), swap(64)},
		{"bswap16", asm.BSwap(r, asm.Half), swap(16)},
		{"bswap32", asm.BSwap(r, asm.Word), swap(32)},
		{"bswap64", asm.BSwap(r, asm.DWord), swap(64)},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBench(t)
			for _, x := range edges {
				b.want(c.want(x).Uint64(), fmt.Sprintf("%s %#x", c.name, x),
					asm.LoadImm(r, int64(x), asm.DWord), c.insn, asm.Return())
			}
		})
	}
}

// TestJumps runs every condition of both widths and forms on all pairs of edges.
func TestJumps(t *testing.T) {
	signed := map[asm.JumpOp]bool{asm.JSGT: true, asm.JSGE: true, asm.JSLT: true, asm.JSLE: true}
	for op, holds := range map[asm.JumpOp]func(x, y *big.Int) bool{
		asm.JEq:  func(x, y *big.Int) bool { return x.Cmp(y) == 0 },
		asm.JNE:  func(x, y *big.Int) bool { return x.Cmp(y) != 0 },
		asm.JGT:  func(x, y *big.Int) bool { return x.Cmp(y) > 0 },
		asm.JGE:  func(x, y *big.Int) bool { return x.Cmp(y) >= 0 },
		asm.JLT:  func(x, y *big.Int) bool { return x.Cmp(y) < 0 },
		asm.JLE:  func(x, y *big.Int) bool { return x.Cmp(y) <= 0 },
		asm.JSGT: func(x, y *big.Int) bool { return x.Cmp(y) > 0 },
		asm.JSGE: func(x, y *big.Int) bool { return x.Cmp(y) >= 0 },
		asm.JSLT: func(x, y *big.Int) bool { return x.Cmp(y) < 0 },
		asm.JSLE: func(x, y *big.Int) bool { return x.Cmp(y) <= 0 },
		asm.JSet: func(x, y *big.Int) bool { return x.And(x, y).Sign() != 0 },
	} {
		t.Run(op.String(), func(t *testing.T) {
			b := newBench(t)
			for _, bits := range []uint{64, 32} {
				reg, imm := op.Reg(asm.R6, asm.R7, "yes"), op.Imm
				if bits == 32 {
					reg, imm = op.Reg32(asm.R6, asm.R7, "yes"), op.Imm32
				}
				for _, x := range edges {
					for _, y := range edges {
						expect := func(y uint64) uint64 {
							if holds(number(x, bits, signed[op]), number(y, bits, signed[op])) {
								return 1
							}
							return 0
						}
						rest := []asm.Instruction{
							asm.Mov.Imm(asm.R0, 0),
							asm.Return(),
							asm.Mov.Imm(asm.R0, 1).WithSymbol("yes"),
							asm.Return(),
						}
						b.want(expect(y), fmt.Sprintf("%v%d %#x %#x", op, bits, x, y), append([]asm.Instruction{
							asm.LoadImm(asm.R6, int64(x), asm.DWord),
							asm.LoadImm(asm.R7, int64(y), asm.DWord),
							reg,
						}, rest...)...)
						b.want(expect(uint64(int32(y))), fmt.Sprintf("%v%d %#x %d", op, bits, x, int32(y)), append([]asm.Instruction{
							asm.LoadImm(asm.R6, int64(x), asm.DWord),
							imm(asm.R6, int32(y), "yes"),
						}, rest...)...)
					}
				}
			}
		})
	}
}
