package interp

import (
	"errors"
	"strings"
	"testing"

	"github.com/cilium/ebpf/asm"

	"github.com/skep-bpf/skep/internal/image"
	"github.com/skep-bpf/skep/internal/mem"
)

// TestCalls nests calls as deep as allowed: each function adds its digit, uses
// its own frame, and must find r6 to r9 as they were.
func TestCalls(t *testing.T) {
	b := newBench(t)
	var insns []asm.Instruction
	names := "abcdefgh"
	for depth := range mem.MaxFrames {
		at := int64(depth + 1)
		body := []asm.Instruction{
			asm.Mov.Imm(asm.R6, int32(at)),
			asm.Mov.Imm(asm.R7, int32(at*10)),
			asm.Mov.Imm(asm.R8, int32(at*100)),
			asm.Mov.Imm(asm.R9, int32(at*1000)),
			asm.StoreMem(asm.RFP, -512, asm.R6, asm.DWord),
			asm.StoreMem(asm.RFP, -8, asm.R7, asm.DWord),
			asm.Mov.Imm(asm.R0, 0),
		}
		body[0] = body[0].WithSymbol(names[depth : depth+1])
		if depth < mem.MaxFrames-1 {
			body = append(body, asm.Call.Label(names[depth+1:depth+2]))
		}
		body = append(body,
			asm.Mul.Imm(asm.R0, 10),
			asm.Add.Reg(asm.R0, asm.R6),
			// What was saved is added as differences that are 0.
			asm.Mul.Imm(asm.R6, 10), asm.Sub.Reg(asm.R7, asm.R6), asm.Add.Reg(asm.R0, asm.R7),
			asm.Mul.Imm(asm.R6, 10), asm.Sub.Reg(asm.R8, asm.R6), asm.Add.Reg(asm.R0, asm.R8),
			asm.Mul.Imm(asm.R6, 10), asm.Sub.Reg(asm.R9, asm.R6), asm.Add.Reg(asm.R0, asm.R9),
			asm.LoadMem(asm.R1, asm.RFP, -512, asm.DWord), asm.Sub.Imm(asm.R1, int32(at)), asm.Add.Reg(asm.R0, asm.R1),
			asm.LoadMem(asm.R1, asm.RFP, -8, asm.DWord), asm.Sub.Imm(asm.R1, int32(at*10)), asm.Add.Reg(asm.R0, asm.R1),
			asm.Return(),
		)
		insns = append(insns, body...)
	}
	b.want(87654321, "eight functions", insns...)
}

func TestTooDeep(t *testing.T) {
	b := newBench(t)
	p := assemble(t, asm.Mov.Imm(asm.R0, 0), asm.Call.Label("f"), asm.Return(), asm.Call.Label("f").WithSymbol("f"), asm.Return())
	for _, m := range modes {
		_, err := b.compile(p, nil, m.options).Run(b.call, 0)
		var trap *Trap
		if !errors.As(err, &trap) || trap.Reason != TooDeep || trap.Insn != 3 {
			t.Errorf("%s: error %v", m.name, err)
		}
	}
}

// TestLongJump runs a jump with a 32-bit distance, forwards and back.
func TestLongJump(t *testing.T) {
	insns := []asm.Instruction{
		asm.Mov.Imm(asm.R0, 1),
		asm.LongJump("far"),
		asm.Add.Imm(asm.R0, 40).WithSymbol("back"),
		asm.Return(),
	}
	for range 40_000 {
		insns = append(insns, asm.Mov.Imm(asm.R0, 0))
	}
	insns = append(insns, asm.Add.Imm(asm.R0, 1).WithSymbol("far"), asm.LongJump("back"))
	newBench(t).want(42, "two long jumps", insns...)
}

// TestRefused has programs that Compile refuses, with a part of what it says.
func TestRefused(t *testing.T) {
	exit := asm.Return()
	raw := func(insns ...image.Insn) []image.Insn { return append(insns, image.Insn{Op: uint8(exit.OpCode)}) }
	ja := uint8(asm.Ja.Op(asm.ImmSource))
	lddw := uint8(asm.LoadImmOp(asm.DWord))
	call := uint8(asm.JumpClass) | uint8(asm.Call)
	for _, c := range []struct {
		name, message string
		insns         []image.Insn
	}{
		{"nothing", "no instructions", nil},
		{"unknown operation", "instruction 0: unknown instruction 0xff", raw(image.Insn{Op: 0xff})},
		{"addition with an offset", "unknown instruction 0x07 (offset 1", raw(image.Insn{Op: 0x07, Off: 1})},
		{"move with a strange offset", "unknown instruction 0xbf (offset 7", raw(image.Insn{Op: 0xbf, Off: 7})},
		{"sign extension of an immediate", "unknown instruction 0xb7 (offset 8", raw(image.Insn{Op: 0xb7, Off: 8})},
		{"byte swap of 24 bits", "unknown instruction 0xdc", raw(image.Insn{Op: 0xdc, Imm: 24})},
		{"atomic subtraction", "unknown instruction 0xdb", raw(image.Insn{Op: 0xdb, Imm: 0x10})},
		{"8-bit atomic", "unknown instruction 0xd3", raw(image.Insn{Op: 0xd3})},
		{"sign-extending 64-bit load", "unknown instruction 0x99", raw(image.Insn{Op: 0x99, Src: 10})},
		{"packet load", "unknown instruction 0x20", raw(image.Insn{Op: 0x20})},
		{"indirect call", "unknown instruction 0x8d", raw(image.Insn{Op: 0x8d, Dst: 2})},
		{"register 11", "there is no register r11", raw(image.Insn{Op: 0xbf, Dst: 11})},
		{"source register 15", "there is no register r15", raw(image.Insn{Op: 0xbf, Src: 15})},
		{"frame pointer written", "writes the frame pointer", raw(image.Insn{Op: 0xb7, Dst: 10})},
		{"frame pointer loaded", "writes the frame pointer", raw(image.Insn{Op: 0x79, Dst: 10, Src: 1})},
		{"frame pointer exchanged", "writes the frame pointer", raw(image.Insn{Op: 0xdb, Src: 10, Imm: 0xe1})},
		{"jump out", "jumps to 7, outside", raw(image.Insn{Op: ja, Off: 6})},
		{"jump past the last", "jumps to 2, outside", raw(image.Insn{Op: ja, Off: 1})},
		{"jump before", "jumps to -1, outside", raw(image.Insn{Op: ja, Off: -2})},
		{"jump into a pair", "jumps to 2, the middle", raw(image.Insn{Op: ja, Off: 1}, image.Insn{Op: lddw}, image.Insn{})},
		{"half a pair", "without its second half", []image.Insn{{Op: lddw}}},
		{"pair with an operation", "second half", raw(image.Insn{Op: lddw}, image.Insn{Op: 0xb7})},
		{"no such map", "there is no map 4", raw(image.Insn{Op: lddw, Src: 1, Imm: 4}, image.Insn{})},
		{"negative map", "there is no map -1", raw(image.Insn{Op: lddw, Src: 2, Imm: -1}, image.Insn{})},
		{"address of a hash", "map hash, a Hash", raw(image.Insn{Op: lddw, Src: 2, Imm: 1}, image.Insn{})},
		{"past an array", "map array has no byte 64", raw(image.Insn{Op: lddw, Src: 2}, image.Insn{Imm: 64})},
		{"callback", "callbacks", raw(image.Insn{Op: lddw, Src: 4}, image.Insn{})},
		{"unknown pair", "kind 6", raw(image.Insn{Op: lddw, Src: 6}, image.Insn{})},
		{"unknown helper", "there is no helper 4711", raw(image.Insn{Op: call, Imm: 4711})},
		{"helper without a body", "helper bpf_tail_call has no body", raw(image.Insn{Op: call, Imm: int32(asm.FnTailCall)})},
		{"kernel function", "kernel function bpf_cast_to_kern_ctx", raw(image.Insn{Op: call, Src: 2})},
		{"unknown call", "unknown call of kind 3", raw(image.Insn{Op: call, Src: 3})},
		{"call out", "jumps to 9, outside", raw(image.Insn{Op: call, Src: 1, Imm: 8})},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := &image.Program{Name: "refused", Insns: c.insns, Maps: testMapNames, Kfuncs: []string{"bpf_cast_to_kern_ctx"}}
			_, err := Compile(p, nil, testMaps(t), Options{})
			if err == nil || !strings.Contains(err.Error(), c.message) || !strings.HasPrefix(err.Error(), "program refused: ") {
				t.Errorf("error %v, want %q", err, c.message)
			}
		})
	}
}
