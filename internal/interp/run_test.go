package interp

import (
	"bytes"
	"encoding/binary"
	"slices"
	"testing"

	"github.com/cilium/ebpf/asm"

	"github.com/skep-bpf/skep/internal/helper"
	"github.com/skep-bpf/skep/internal/image"
	"github.com/skep-bpf/skep/internal/maps"
	"github.com/skep-bpf/skep/internal/mem"
	"github.com/skep-bpf/skep/verify"
)

// A reason is why a test can't run here.
type reason string

const (
	noShared  reason = "the shared conformance vectors are absent"
	noBPF     reason = "bpf() is not permitted here, or there is none"
	oneThread reason = "js/wasm has one thread"
	noFaults  reason = "js/wasm has no memory faults"
)

// modes are the two loops.
var modes = []struct {
	name    string
	options Options
}{
	{"fast", Options{}},
	{"checked", Options{Checked: true, Budget: 10_000_000}},
}

// slots decodes 8-byte instructions.
func slots(tb testing.TB, raw []byte) []image.Insn {
	tb.Helper()
	if len(raw)%8 != 0 {
		tb.Fatalf("%d bytes are no whole instructions", len(raw))
	}
	var out []image.Insn
	for ; len(raw) > 0; raw = raw[8:] {
		out = append(out, image.Insn{
			Op:  raw[0],
			Dst: raw[1] & 15,
			Src: raw[1] >> 4,
			Off: int16(binary.LittleEndian.Uint16(raw[2:])),
			Imm: int32(binary.LittleEndian.Uint32(raw[4:])),
		})
	}
	return out
}

// assemble makes a program of cilium/ebpf's instructions.
func assemble(tb testing.TB, insns ...asm.Instruction) *image.Program {
	tb.Helper()
	insns = slices.Clone(insns)
	var calls []image.Insn
	for i := range insns {
		// Marshal takes the immediate before it looks for the atomic operation, and
		// refuses helpers off Linux.
		if op := insns[i].OpCode.AtomicOp(); op != asm.InvalidAtomic {
			insns[i].Constant = int64(op >> 8)
		}
		if insns[i].IsBuiltinCall() {
			calls = append(calls, image.Insn{Op: uint8(insns[i].OpCode), Imm: int32(insns[i].Constant)})
			insns[i].OpCode = placeholder
		}
	}
	var b bytes.Buffer
	if err := asm.Instructions(insns).Marshal(&b, binary.LittleEndian); err != nil {
		tb.Fatal(err)
	}
	p := &image.Program{Name: tb.Name(), Insns: slots(tb, b.Bytes())}
	for i := range p.Insns {
		if p.Insns[i].Op == uint8(placeholder) {
			p.Insns[i], calls = calls[0], calls[1:]
		}
	}
	return p
}

// placeholder is an operation that no test has: a load from a packet.
var placeholder = asm.LoadAbsOp(asm.Byte)

// A bench is a runner with a program's call on it.
type bench struct {
	testing.TB
	runner *mem.Runner
	call   *helper.Call
}

func newBench(tb testing.TB, ms ...maps.Map) *bench {
	tb.Helper()
	runner, err := mem.NewRunner(0)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { runner.Close() })
	return &bench{tb, runner, &helper.Call{Runner: runner, Maps: ms}}
}

func (b *bench) compile(p *image.Program, facts *verify.Facts, o Options) *Code {
	b.Helper()
	code, err := Compile(p, facts, b.call.Maps, o)
	if err != nil {
		b.Fatal(err)
	}
	return code
}

// run runs a program once in each mode and gives the result, which must be the
// same.
func (b *bench) run(p *image.Program) uint64 {
	b.Helper()
	var results []uint64
	for _, m := range modes {
		got, err := b.compile(p, nil, m.options).Run(b.call, b.runner.Context.Addr)
		if err != nil {
			b.Fatalf("%s: %v", m.name, err)
		}
		results = append(results, got)
	}
	if results[0] != results[1] {
		b.Fatalf("fast gives %#x, checked %#x", results[0], results[1])
	}
	return results[0]
}
