package interp

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"

	"github.com/skep-bpf/skep/internal/mem"
)

// TestKernelAgrees runs every operation that takes registers on pairs of edges
// in the running kernel too: x and y come in a packet, x, y and r0 after the
// operation go back in it.
func TestKernelAgrees(t *testing.T) {
	cases := map[string][]asm.Instruction{}
	for op := range arithmetic {
		reg := op.Op(asm.RegSource)
		for _, code := range []asm.OpCode{reg, narrow(reg)} {
			cases[code.String()] = []asm.Instruction{{OpCode: code, Dst: asm.R6, Src: asm.R7}}
		}
	}
	for _, op := range []asm.ALUOp{asm.MovSX8, asm.MovSX16, asm.MovSX32} {
		code := op.Op(asm.RegSource)
		cases[code.String()] = []asm.Instruction{{OpCode: code, Dst: asm.R6, Src: asm.R7}}
		if op != asm.MovSX32 {
			cases[narrow(code).String()] = []asm.Instruction{{OpCode: narrow(code), Dst: asm.R6, Src: asm.R7}}
		}
	}
	for _, size := range []asm.Size{asm.Half, asm.Word, asm.DWord} {
		for _, in := range []asm.Instruction{asm.HostTo(asm.LE, asm.R6, size), asm.HostTo(asm.BE, asm.R6, size), asm.BSwap(asm.R6, size)} {
			cases[fmt.Sprintf("%v %v", in.OpCode, size)] = []asm.Instruction{in}
		}
	}
	for _, op := range []asm.JumpOp{
		asm.JEq, asm.JNE, asm.JGT, asm.JGE, asm.JLT, asm.JLE, asm.JSGT, asm.JSGE, asm.JSLT, asm.JSLE, asm.JSet,
	} {
		for name, in := range map[string]asm.Instruction{
			"64": op.Reg(asm.R6, asm.R7, "meet"), "32": op.Reg32(asm.R6, asm.R7, "meet"),
		} {
			cases[op.String()+name] = []asm.Instruction{
				in, asm.Add.Imm(asm.R6, 1), asm.Add.Imm(asm.R7, 0).WithSymbol("meet"),
			}
		}
	}
	for _, size := range []asm.Size{asm.Word, asm.DWord} {
		ops := []asm.AtomicOp{asm.CmpXchg}
		for _, c := range atomicCases {
			ops = append(ops, c.op)
		}
		for _, op := range ops {
			cases[fmt.Sprintf("%v %v", op, size)] = []asm.Instruction{
				asm.Mov.Reg(asm.R0, asm.R7),
				asm.StoreMem(asm.RFP, -8, asm.R6, asm.DWord),
				op.Mem(asm.RFP, asm.R7, size, -8),
				asm.LoadMem(asm.R6, asm.RFP, -8, asm.DWord),
			}
		}
		for _, extend := range []bool{false, true} {
			load := asm.LoadMem(asm.R6, asm.RFP, -8, size)
			if extend && size != asm.DWord {
				load = asm.LoadMemSX(asm.R6, asm.RFP, -8, size)
			}
			cases[fmt.Sprintf("load %v %v", size, extend)] = []asm.Instruction{
				asm.StoreMem(asm.RFP, -8, asm.R7, asm.DWord), load,
			}
		}
	}
	for name, snippet := range cases {
		t.Run(name, func(t *testing.T) { kernelAgrees(t, snippet) })
	}
}

func kernelAgrees(t *testing.T, snippet []asm.Instruction) {
	const slot = 64
	body := func(front ...asm.Instruction) []asm.Instruction {
		out := append(front,
			asm.LoadMem(asm.R6, asm.R9, 0, asm.DWord),
			asm.LoadMem(asm.R7, asm.R9, 8, asm.DWord),
			asm.Mov.Imm(asm.R0, 0),
		)
		out = append(out, snippet...)
		return append(out,
			asm.StoreMem(asm.R9, 16, asm.R6, asm.DWord),
			asm.StoreMem(asm.R9, 24, asm.R7, asm.DWord),
			asm.StoreMem(asm.R9, 32, asm.R0, asm.DWord),
			asm.Mov.Imm(asm.R0, 0).WithSymbol("out"),
			asm.Return(),
		)
	}
	packet := body(
		asm.LoadMem(asm.R9, asm.R1, 76, asm.Word), // data
		asm.LoadMem(asm.R2, asm.R1, 80, asm.Word), // data_end
		asm.Mov.Reg(asm.R3, asm.R9),
		asm.Add.Imm(asm.R3, slot),
		asm.Mov.Imm(asm.R0, 0),
		asm.JGT.Reg(asm.R3, asm.R2, "out"),
	)
	for i := range packet {
		if op := packet[i].OpCode.AtomicOp(); op != asm.InvalidAtomic {
			packet[i].Constant = int64(op >> 8)
		}
	}
	kernel, err := ebpf.NewProgram(&ebpf.ProgramSpec{Type: ebpf.SchedCLS, License: "Dual BSD/GPL", Instructions: packet})
	if errors.Is(err, os.ErrPermission) || errors.Is(err, errors.ErrUnsupported) {
		t.Skip(noBPF)
	} else if err != nil {
		t.Fatalf("%+v", err)
	}
	defer kernel.Close()

	b := newBench(t)
	code := b.compile(assemble(t, body(asm.Mov.Reg(asm.R9, asm.R1))...), nil, Options{})
	context := mem.Slice(b.runner.Context.Addr, slot)
	for _, x := range edges {
		for _, y := range edges {
			in := make([]byte, slot)
			binary.LittleEndian.PutUint64(in, x)
			binary.LittleEndian.PutUint64(in[8:], y)
			_, want, err := kernel.Test(in)
			if err != nil {
				t.Fatal(err)
			}
			copy(context, in)
			if _, err := code.Run(b.call, b.runner.Context.Addr); err != nil {
				t.Fatal(err)
			}
			if string(context) != string(want[:slot]) {
				t.Fatalf("x %#x, y %#x: gives %x, the kernel %x", x, y, context[16:40], want[16:40])
			}
		}
	}
}
