package interp

import (
	"fmt"
	"testing"

	"github.com/cilium/ebpf/asm"
)

// TestLoadsAndStores writes each edge to the stack in each width and reads it
// back in each width, zero- and sign-extended.
func TestLoadsAndStores(t *testing.T) {
	const background = 0x1122_3344_5566_7788
	sizes := []asm.Size{asm.Byte, asm.Half, asm.Word, asm.DWord}
	b := newBench(t)
	for _, x := range edges {
		for _, stored := range sizes {
			bits := uint(stored.Sizeof()) * 8
			for _, loaded := range sizes {
				width := uint(loaded.Sizeof()) * 8
				for _, immediate := range []bool{false, true} {
					value := x
					store := asm.StoreMem(asm.RFP, -16, asm.R6, stored)
					if immediate {
						value = uint64(int32(x))
						store = asm.Instruction{OpCode: asm.StoreImmOp(stored), Dst: asm.RFP, Offset: -16, Constant: int64(int32(x))}
					}
					low := mask(bits).Uint64()
					want := value&low | background&^low
					program := func(load asm.Instruction) []asm.Instruction {
						return []asm.Instruction{
							asm.LoadImm(asm.R6, background, asm.DWord),
							asm.StoreMem(asm.RFP, -16, asm.R6, asm.DWord),
							asm.LoadImm(asm.R6, int64(x), asm.DWord),
							store,
							load,
							asm.Return(),
						}
					}
					what := fmt.Sprintf("%#x stored in %d bits (immediate %v), loaded in %d", x, bits, immediate, width)
					b.want(number(want, width, false).Uint64(), what,
						program(asm.LoadMem(asm.R0, asm.RFP, -16, loaded))...)
					if loaded != asm.DWord {
						n := number(want, width, true)
						b.want(n.And(n, mask(64)).Uint64(), what+", signed",
							program(asm.LoadMemSX(asm.R0, asm.RFP, -16, loaded))...)
					}
				}
			}
		}
	}
}

// atomicCases give what is in memory after an operation with operand y where x
// was.
var atomicCases = []struct {
	op    asm.AtomicOp
	after func(x, y uint64) uint64
	fetch bool
}{
	{asm.AddAtomic, func(x, y uint64) uint64 { return x + y }, false},
	{asm.OrAtomic, func(x, y uint64) uint64 { return x | y }, false},
	{asm.AndAtomic, func(x, y uint64) uint64 { return x & y }, false},
	{asm.XorAtomic, func(x, y uint64) uint64 { return x ^ y }, false},
	{asm.FetchAdd, func(x, y uint64) uint64 { return x + y }, true},
	{asm.FetchOr, func(x, y uint64) uint64 { return x | y }, true},
	{asm.FetchAnd, func(x, y uint64) uint64 { return x & y }, true},
	{asm.FetchXor, func(x, y uint64) uint64 { return x ^ y }, true},
	{asm.Xchg, func(_, y uint64) uint64 { return y }, true},
}

// TestAtomics runs each operation, and looks at the memory, at the register that
// may have got the old value, and at the neighbouring memory.
func TestAtomics(t *testing.T) {
	for _, c := range atomicCases {
		for _, size := range []asm.Size{asm.Word, asm.DWord} {
			bits := uint(size.Sizeof()) * 8
			low := mask(bits).Uint64()
			t.Run(fmt.Sprintf("%v%d", c.op, bits), func(t *testing.T) {
				b := newBench(t)
				for _, x := range edges {
					for _, y := range edges {
						program := func(result ...asm.Instruction) []asm.Instruction {
							return append([]asm.Instruction{
								asm.LoadImm(asm.R6, int64(x), asm.DWord),
								asm.LoadImm(asm.R7, int64(y), asm.DWord),
								asm.StoreMem(asm.RFP, -8, asm.R6, asm.DWord),
								c.op.Mem(asm.RFP, asm.R7, size, -8),
							}, append(result, asm.Return())...)
						}
						what := fmt.Sprintf("%v%d %#x %#x", c.op, bits, x, y)
						b.want(c.after(x, y)&low|x&^low, what+": memory",
							program(asm.LoadMem(asm.R0, asm.RFP, -8, asm.DWord))...)
						register := y
						if c.fetch {
							register = x & low
						}
						b.want(register, what+": register", program(asm.Mov.Reg(asm.R0, asm.R7))...)
					}
				}
			})
		}
	}
}

func TestCompareAndExchange(t *testing.T) {
	for _, size := range []asm.Size{asm.Word, asm.DWord} {
		bits := uint(size.Sizeof()) * 8
		low := mask(bits).Uint64()
		b := newBench(t)
		for _, x := range edges {
			for _, expected := range edges {
				const y = 0xfedc_ba98_7654_3210
				program := func(result ...asm.Instruction) []asm.Instruction {
					return append([]asm.Instruction{
						asm.LoadImm(asm.R6, int64(x), asm.DWord),
						asm.LoadImm(asm.R7, -0x123456789abcdf0, asm.DWord),
						asm.LoadImm(asm.R0, int64(expected), asm.DWord),
						asm.StoreMem(asm.RFP, -8, asm.R6, asm.DWord),
						asm.CmpXchg.Mem(asm.RFP, asm.R7, size, -8),
					}, append(result, asm.Return())...)
				}
				after := x
				if x&low == expected&low {
					after = y&low | x&^low
				}
				what := fmt.Sprintf("%d bits: %#x where %#x was expected", bits, x, expected)
				b.want(x&low, what+": r0", program()...)
				b.want(after, what+": memory", program(asm.LoadMem(asm.R0, asm.RFP, -8, asm.DWord))...)
			}
		}
	}
}
