package interp

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"strconv"
	"testing"

	"github.com/cilium/ebpf/asm"

	"github.com/skep-bpf/skep/internal/image"
	"github.com/skep-bpf/skep/internal/mem"
)

// A vector is one case of the RFC 9669 conformance suite.
type vector struct {
	Name   string
	Insns  string
	Mem    string
	Result string
}

// TestConformance runs every case but callx (an indirect helper call, which
// RFC 9669 keeps in a group of its own) in both modes.
func TestConformance(t *testing.T) {
	text, err := os.ReadFile("../../../shared/conformance/vectors.json")
	if errors.Is(err, fs.ErrNotExist) {
		t.Skip(noShared)
	} else if err != nil {
		t.Fatal(err)
	}
	var file struct{ Cases []vector }
	if err := json.Unmarshal(text, &file); err != nil {
		t.Fatal(err)
	}
	ran := 0
	for _, v := range file.Cases {
		if v.Name == "callx" {
			continue
		}
		ran++
		t.Run(v.Name, func(t *testing.T) { v.run(t) })
	}
	if ran != 312 {
		t.Errorf("ran %d cases, not 312", ran)
	}
}

func (v *vector) run(t *testing.T) {
	want, err := strconv.ParseUint(v.Result, 0, 64)
	if err != nil {
		t.Fatal(err)
	}
	code, err := hex.DecodeString(v.Insns)
	if err != nil {
		t.Fatal(err)
	}
	data, err := hex.DecodeString(v.Mem)
	if err != nil {
		t.Fatal(err)
	}
	// The suite passes the size in r2, which no program type does.
	size := image.Insn{Op: uint8(asm.Mov.Op(asm.ImmSource)), Dst: 2, Imm: int32(len(data))}
	program := &image.Program{Name: v.Name, Insns: append([]image.Insn{size}, slots(t, code)...)}
	for _, m := range modes {
		b := newBench(t)
		m.options.ContextSize = uint64(len(data))
		c := b.compile(program, nil, m.options)
		var ctx uint64
		if len(data) > 0 {
			ctx = b.runner.Context.Addr
			copy(mem.Slice(ctx, len(data)), data)
		}
		got, err := c.Run(b.call, ctx)
		if err != nil {
			t.Fatalf("%s: %v", m.name, err)
		}
		if got != want {
			t.Errorf("%s: r0 = %#x, want %#x", m.name, got, want)
		}
	}
}
