package interp

import (
	"errors"
	"runtime"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"

	"github.com/skep-bpf/skep/internal/abi"
	"github.com/skep-bpf/skep/internal/image"
	"github.com/skep-bpf/skep/internal/maps"
	"github.com/skep-bpf/skep/internal/mem"
	"github.com/skep-bpf/skep/verify"
)

// The maps of the tests, in the order of their indices.
var testMapNames = []string{"array", "hash", "ring", "rodata"}

func testMaps(tb testing.TB) []maps.Map {
	tb.Helper()
	var out []maps.Map
	for _, spec := range []*ebpf.MapSpec{
		{Name: "array", Type: ebpf.Array, KeySize: 4, ValueSize: 16, MaxEntries: 4},
		{Name: "hash", Type: ebpf.Hash, KeySize: 8, ValueSize: 32, MaxEntries: 8},
		{Name: "ring", Type: ebpf.RingBuf, MaxEntries: 4096},
		{Name: "rodata", Type: ebpf.Array, KeySize: 4, ValueSize: 8, MaxEntries: 1, Flags: abi.MapRdonlyProg,
			Contents: []ebpf.MapKV{{Key: uint32(0), Value: []byte("text\x00end")}}},
	} {
		m, err := maps.New(spec, 1)
		if err != nil {
			tb.Fatal(err)
		}
		tb.Cleanup(func() { m.Close() })
		out = append(out, m)
	}
	return out
}

func mapFD(dst asm.Register, i int) asm.Instruction {
	return asm.Instruction{OpCode: asm.LoadImmOp(asm.DWord), Dst: dst, Src: asm.PseudoMapFD, Constant: int64(i)}
}

func mapValue(dst asm.Register, i int, off uint32) asm.Instruction {
	return asm.Instruction{OpCode: asm.LoadImmOp(asm.DWord), Dst: dst, Src: asm.PseudoMapValue, Constant: int64(i) | int64(off)<<32}
}

// apart is a context that does not begin where the stack ends.
func (b *bench) apart() uint64 { return b.runner.Context.Addr + 128 }

// TestTraps has the accesses that the checked mode refuses, each with one just
// inside the border that it allows.
func TestTraps(t *testing.T) {
	const r0, r1, r2, r3, r4, r6 = asm.R0, asm.R1, asm.R2, asm.R3, asm.R4, asm.R6
	zero := asm.Mov.Imm(r0, 0)
	key := []asm.Instruction{
		asm.StoreImm(asm.RFP, -8, 0, asm.Word), asm.StoreImm(asm.RFP, -4, 0, asm.Word),
		asm.Mov.Reg(r2, asm.RFP), asm.Add.Imm(r2, -8),
	}
	reserve := []asm.Instruction{
		mapFD(r1, 2), asm.Mov.Imm(r2, 24), asm.Mov.Imm(r3, 0), asm.FnRingbufReserve.Call(),
		asm.Mov.Reg(r6, r0),
	}
	submit := []asm.Instruction{asm.Mov.Reg(r1, r6), asm.Mov.Imm(r2, 0), asm.FnRingbufSubmit.Call()}
	join := func(parts ...any) []asm.Instruction {
		var out []asm.Instruction
		for _, p := range parts {
			switch p := p.(type) {
			case asm.Instruction:
				out = append(out, p)
			case []asm.Instruction:
				out = append(out, p...)
			}
		}
		return append(out, zero, asm.Return())
	}
	lookup := func(i int) []asm.Instruction {
		return append(append([]asm.Instruction{}, key...), mapFD(r1, i), asm.FnMapLookupElem.Call())
	}
	for _, c := range []struct {
		name    string
		reason  Reason // 0 if it is allowed
		program []asm.Instruction
	}{
		{"stack top", 0, join(asm.StoreMem(asm.RFP, -8, r1, asm.DWord))},
		{"above the stack", BadWrite, join(asm.StoreMem(asm.RFP, -7, r1, asm.DWord))},
		{"stack bottom", 0, join(asm.StoreMem(asm.RFP, -512, r1, asm.DWord))},
		{"below the frame", BadWrite, join(asm.StoreMem(asm.RFP, -513, r1, asm.Byte))},
		{"below the frame, read", BadRead, join(asm.LoadMem(r0, asm.RFP, -520, asm.DWord))},
		{"context", 0, join(asm.LoadMem(r0, r1, 56, asm.DWord))},
		{"past the context", BadRead, join(asm.LoadMem(r0, r1, 57, asm.DWord))},
		{"before the context", BadRead, join(asm.LoadMemSX(r0, r1, -1, asm.Byte))},
		{"null", BadRead, join(asm.Mov.Imm(r2, 0), asm.LoadMem(r0, r2, 0, asm.Word))},
		{"map handle", BadRead, join(mapFD(r2, 0), asm.LoadMem(r0, r2, 0, asm.Word))},

		{"array value", 0, join(lookup(0), asm.StoreMem(r0, 8, r0, asm.DWord))},
		{"past the array", BadWrite, join(lookup(0), asm.StoreMem(r0, 64, r0, asm.DWord))},
		{"direct value", 0, join(mapValue(r2, 0, 56), asm.LoadMem(r0, r2, 0, asm.DWord))},
		{"past the direct value", BadRead, join(mapValue(r2, 0, 56), asm.LoadMem(r0, r2, 1, asm.DWord))},
		{"read-only value", 0, join(mapValue(r2, 3, 0), asm.LoadMem(r0, r2, 0, asm.DWord))},
		{"read-only value, written", BadWrite, join(mapValue(r2, 3, 0), asm.StoreImm(r2, 0, 1, asm.Byte))},

		{"atomic", 0, join(asm.AddAtomic.Mem(asm.RFP, r1, asm.DWord, -8))},
		{"misaligned atomic", Misaligned, join(asm.AddAtomic.Mem(asm.RFP, r1, asm.DWord, -12))},
		{"misaligned 32-bit atomic", Misaligned, join(asm.FetchXor.Mem(asm.RFP, r1, asm.Word, -6))},
		{"atomic in a read-only value", BadWrite, join(mapValue(r2, 3, 0), asm.Xchg.Mem(r2, r2, asm.DWord, 0))},

		{"key above the stack", BadArgument, join(mapFD(r1, 0), asm.Mov.Reg(r2, asm.RFP), asm.Add.Imm(r2, -3), asm.FnMapLookupElem.Call())},
		{"no map", BadArgument, join(key, asm.Mov.Imm(r1, 0), asm.FnMapLookupElem.Call())},
		{"map that there is not", BadArgument, join(key, mapFD(r1, 0), asm.Add.Imm(r1, 8*4), asm.FnMapLookupElem.Call())},
		{"update", 0, join(key, mapFD(r1, 1), asm.Mov.Reg(r3, asm.RFP), asm.Add.Imm(r3, -32), asm.Mov.Imm(r4, 0), asm.FnMapUpdateElem.Call())},
		{"update from above the stack", BadArgument, join(key, mapFD(r1, 1), asm.Mov.Reg(r3, asm.RFP), asm.Add.Imm(r3, -24), asm.Mov.Imm(r4, 0), asm.FnMapUpdateElem.Call())},
		{"comm", 0, join(asm.Mov.Reg(r1, asm.RFP), asm.Add.Imm(r1, -16), asm.Mov.Imm(r2, 16), asm.FnGetCurrentComm.Call())},
		{"comm past the stack", BadArgument, join(asm.Mov.Reg(r1, asm.RFP), asm.Add.Imm(r1, -16), asm.Mov.Imm(r2, 17), asm.FnGetCurrentComm.Call())},
		{"comm into a read-only value", BadArgument, join(mapValue(r1, 3, 0), asm.Mov.Imm(r2, 8), asm.FnGetCurrentComm.Call())},
		{"huge size", BadArgument, join(asm.Mov.Reg(r1, asm.RFP), asm.Add.Imm(r1, -16), asm.Mov.Imm(r2, -1), asm.FnGetCurrentComm.Call())},

		{"record", 0, join(reserve, asm.StoreMem(r6, 16, r6, asm.DWord), submit)},
		{"past the record", BadWrite, join(reserve, asm.StoreMem(r6, 17, r6, asm.DWord), submit)},
		{"record kept", RecordKept, join(reserve)},
		{"record used after submit", BadWrite, join(reserve, submit, asm.StoreMem(r6, 0, r6, asm.DWord))},
		{"record submitted twice", BadArgument, join(reserve, submit, submit)},
		{"inside of a record submitted", BadArgument, join(reserve, asm.Mov.Reg(r1, r6), asm.Add.Imm(r1, 8), asm.Mov.Imm(r2, 0), asm.FnRingbufSubmit.Call())},

		{"endless", BudgetSpent, []asm.Instruction{asm.Ja.Label("self").WithSymbol("self"), asm.Return()}},
		{"past the end", PastEnd, []asm.Instruction{zero}},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBench(t, testMaps(t)...)
			p := assemble(t, c.program...)
			p.Maps = testMapNames
			code := b.compile(p, nil, Options{Checked: true, Budget: 1000, ContextSize: 64})
			_, err := code.Run(b.call, b.apart())
			var trap *Trap
			switch {
			case err == nil && c.reason == 0:
			case !errors.As(err, &trap):
				t.Fatalf("error %v, want %q", err, c.reason)
			case trap.Reason != c.reason:
				t.Fatalf("%v, want %q", trap, c.reason)
			}
		})
	}
}

// TestCallerFrames lets a function use its own and its callers' frames, and
// nothing below.
func TestCallerFrames(t *testing.T) {
	for _, c := range []struct {
		name   string
		access asm.Instruction
		reason Reason
	}{
		{"caller's frame", asm.StoreMem(asm.R1, 0, asm.R1, asm.DWord), 0},
		{"own frame", asm.StoreMem(asm.RFP, -512, asm.R1, asm.DWord), 0},
		{"above the stack", asm.StoreMem(asm.R1, 8, asm.R1, asm.DWord), BadWrite},
		{"next frame", asm.StoreMem(asm.RFP, -513, asm.R1, asm.Byte), BadWrite},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBench(t)
			code := b.compile(assemble(t,
				asm.Mov.Reg(asm.R1, asm.RFP),
				asm.Add.Imm(asm.R1, -8),
				asm.Call.Label("f"),
				asm.Return(),
				c.access.WithSymbol("f"),
				asm.Mov.Imm(asm.R0, 0),
				asm.Return(),
			), nil, Options{Checked: true})
			_, err := code.Run(b.call, b.apart())
			var trap *Trap
			if errors.As(err, &trap) && trap.Reason == c.reason || err == nil && c.reason == 0 {
				return
			}
			t.Errorf("error %v, want %q", err, c.reason)
		})
	}
}

// TestTrapTells looks at what a trap says.
func TestTrapTells(t *testing.T) {
	b := newBench(t)
	p := assemble(t,
		asm.Mov.Imm(asm.R0, 0),
		asm.LoadMem(asm.R0, asm.RFP, 8, asm.Word),
		asm.Return(),
	)
	p.Name = "tell"
	p.Lines = []image.Line{{Insn: 1, File: "tell.bpf.c", Line: 7, Text: "x = *p;"}}
	_, err := b.compile(p, nil, Options{Checked: true}).Run(b.call, b.apart())
	var trap *Trap
	if !errors.As(err, &trap) {
		t.Fatalf("error %v", err)
	}
	if trap.Insn != 1 || trap.Source != &p.Lines[0] || trap.Addr != b.runner.Stack.Addr+b.runner.Stack.Size+8 {
		t.Errorf("%+v", trap)
	}
	t.Log(trap)
}

// TestFault lets unverified code touch memory that is not there, in the fast
// mode: an error of the run.
func TestFault(t *testing.T) {
	if runtime.GOARCH == "wasm" {
		t.Skip(noFaults)
	}
	b := newBench(t)
	for _, addr := range []int64{0, 0x10, 0x00ff_0000_0000_0000, 1 << 46} {
		_, err := b.compile(assemble(t,
			asm.LoadImm(asm.R1, addr, asm.DWord),
			asm.LoadMem(asm.R0, asm.R1, 0, asm.DWord),
			asm.Return(),
		), nil, Options{}).Run(b.call, 0)
		var trap *Trap
		if !errors.As(err, &trap) || trap.Reason != Fault {
			t.Errorf("%#x: error %v", addr, err)
		}
	}
}

// TestUnreached ends a run that comes to what the verifier held for unreachable.
func TestUnreached(t *testing.T) {
	b := newBench(t)
	p := assemble(t, asm.Mov.Imm(asm.R0, 1), asm.FnTailCall.Call(), asm.Return())
	facts := &verify.Facts{Insns: make([]verify.InsnFact, 3)}
	facts.Insns[0].Reached = true
	_, err := b.compile(p, facts, Options{}).Run(b.call, 0)
	var trap *Trap
	if !errors.As(err, &trap) || trap.Reason != Unreached || trap.Insn != 1 {
		t.Errorf("error %v", err)
	}
}

// TestKernelLoads reads through mem.Kernel where the facts say so.
func TestKernelLoads(t *testing.T) {
	const vbase = 0xffff_8880_0000_0000
	arena := make([]byte, 64)
	region, err := mem.New("kernel", len(arena))
	if err != nil {
		t.Fatal(err)
	}
	defer region.Close()
	for i := range region.Bytes() {
		region.Bytes()[i] = 0x80 + byte(i)
	}
	var missed []uint64
	kernel := &mem.Kernel{VBase: vbase, Base: region.Addr(), Size: uint64(region.Size()), Fault: func(p []byte, addr uint64) bool {
		missed = append(missed, addr)
		for i := range p {
			p[i] = 0xee
		}
		return addr == 0x1000
	}}
	for _, c := range []struct {
		addr uint64
		load asm.Instruction
		want uint64
	}{
		{vbase, asm.LoadMem(asm.R0, asm.R6, 0, asm.Byte), 0x80},
		{vbase, asm.LoadMem(asm.R0, asm.R6, 2, asm.Half), 0x8382},
		{vbase + 8, asm.LoadMem(asm.R0, asm.R6, -4, asm.Word), 0x87868584},
		{vbase, asm.LoadMem(asm.R0, asm.R6, 56, asm.DWord), 0xbfbebdbcbbbab9b8},
		{vbase, asm.LoadMemSX(asm.R0, asm.R6, 1, asm.Byte), 0xffff_ffff_ffff_ff81},
		{vbase, asm.LoadMemSX(asm.R0, asm.R6, 2, asm.Half), 0xffff_ffff_ffff_8382},
		{vbase, asm.LoadMemSX(asm.R0, asm.R6, 4, asm.Word), 0xffff_ffff_8786_8584},
		{vbase, asm.LoadMem(asm.R0, asm.R6, 57, asm.DWord), 0},
		{vbase, asm.LoadMem(asm.R0, asm.R6, -1, asm.Byte), 0},
		{0, asm.LoadMem(asm.R0, asm.R6, 0, asm.DWord), 0},
		{0x1000, asm.LoadMem(asm.R0, asm.R6, 0, asm.Half), 0xeeee},
		{0x1000, asm.LoadMemSX(asm.R0, asm.R6, 0, asm.Word), 0xffff_ffff_eeee_eeee},
	} {
		p := assemble(t, asm.LoadImm(asm.R6, int64(c.addr), asm.DWord), c.load, asm.Return())
		facts := &verify.Facts{Insns: []verify.InsnFact{{Reached: true}, {Reached: true}, {Reached: true, KernelLoad: true}, {Reached: true}}}
		for _, m := range modes {
			b := newBench(t)
			b.runner.Env.Kernel = kernel
			got, err := b.compile(p, facts, m.options).Run(b.call, 0)
			if err != nil || got != c.want {
				t.Errorf("%s: %v at %#x gives %#x, %v, want %#x", m.name, c.load, c.addr, got, err, c.want)
			}
			b.runner.Env.Kernel = nil
			if got, err := b.compile(p, facts, m.options).Run(b.call, 0); got != 0 || err != nil {
				t.Errorf("%s: %v without a kernel gives %#x, %v", m.name, c.load, got, err)
			}
		}
	}
	if len(missed) != 10 {
		t.Errorf("%d loads outside the arena: %#x", len(missed), missed)
	}
}
