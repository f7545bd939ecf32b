package interp

import (
	"errors"
	"fmt"
	"unsafe"

	"github.com/cilium/ebpf/asm"

	"github.com/skep-bpf/skep/internal/abi"
	"github.com/skep-bpf/skep/internal/helper"
	"github.com/skep-bpf/skep/internal/image"
	"github.com/skep-bpf/skep/internal/maps"
	"github.com/skep-bpf/skep/verify"
)

// maxInsns bounds a program, far above what the verifier can judge, so that
// distances inside it fit a jump.
const maxInsns = 1 << 24

// The loops step by insnSize.
var _ [insnSize]byte = [unsafe.Sizeof(insn{})]byte{}

type compiler struct {
	program *image.Program
	facts   *verify.Facts
	code    *Code
	seconds []bool                  // by slot: the second one of a 64-bit immediate load
	helpers map[asm.BuiltinFunc]int // index into code.helpers
}

func (c *compiler) run() error {
	p := c.program
	switch {
	case len(p.Insns) == 0:
		return errors.New("it has no instructions")
	case len(p.Insns) > maxInsns:
		return fmt.Errorf("it has %d instructions, more than %d", len(p.Insns), maxInsns)
	case c.facts != nil && len(c.facts.Insns) != len(p.Insns):
		return fmt.Errorf("facts are about %d instructions, it has %d", len(c.facts.Insns), len(p.Insns))
	}
	c.seconds = make([]bool, len(p.Insns))
	for i := 0; i < len(p.Insns); i++ {
		if asm.OpCode(p.Insns[i].Op).IsDWordLoad() {
			if i++; i == len(p.Insns) {
				return fmt.Errorf("instruction %d: a 64-bit immediate load without its second half", i-1)
			}
			c.seconds[i] = true
		}
	}
	// One more instruction than the program has ends a run that leaves it, and
	// keeps ip inside the array after the last one.
	insns := make([]insn, len(p.Insns)+1)
	for i := range insns {
		switch {
		case i == len(p.Insns):
			insns[i] = insn{op: opTrap, imm: int32(PastEnd)}
		case c.seconds[i], c.facts != nil && !c.facts.Insns[i].Reached:
			insns[i] = insn{op: opTrap, imm: int32(Unreached)}
		default:
			in, err := c.decode(i)
			if err != nil {
				return fmt.Errorf("instruction %d: %w", i, err)
			}
			insns[i] = in
		}
	}
	c.code.insns = insns
	return nil
}

// decodeCall resolves what a call calls.
func (c *compiler) decodeCall(i int, out *insn) error {
	src := c.program.Insns[i]
	switch asm.Register(src.Src) {
	case 0:
		return c.decodeHelper(asm.BuiltinFunc(src.Imm), out)
	case asm.PseudoCall:
		out.op = opLocal
		c.code.calls = true
		return c.jumpTo(i, i+1+int(src.Imm), out)
	case asm.PseudoKfuncCall:
		name := fmt.Sprint(src.Imm)
		if k := int(src.Imm); k >= 0 && k < len(c.program.Kfuncs) {
			name = c.program.Kfuncs[k]
		}
		return fmt.Errorf("kernel function %s has no body here", name)
	default:
		return fmt.Errorf("unknown call of kind %d", src.Src)
	}
}

func (c *compiler) decodeHelper(id asm.BuiltinFunc, out *insn) error {
	out.op = opCall
	if n, ok := c.helpers[id]; ok {
		out.imm = int32(n)
		return nil
	}
	row := abi.HelperByID(id)
	if row == nil {
		return fmt.Errorf("there is no helper %d", id)
	}
	body := helper.For(id)
	if body == nil {
		return fmt.Errorf("helper %s has no body here", row.Name)
	}
	n := len(c.code.helpers)
	c.code.helpers = append(c.code.helpers, body)
	c.code.prototypes = append(c.code.prototypes, row)
	c.helpers[id] = n
	out.imm = int32(n)
	return nil
}

// decodeLddw resolves a 64-bit immediate load, whose source field says what the
// immediate is.
func (c *compiler) decodeLddw(i int, out *insn) error {
	lo, hi := c.program.Insns[i], c.program.Insns[i+1]
	if hi.Op != 0 {
		return errors.New("the second half of a 64-bit immediate load has an operation")
	}
	out.op, out.src = opLddw, 0
	switch asm.Register(lo.Src) {
	case 0:
		out.setImm64(uint64(uint32(lo.Imm)) | uint64(uint32(hi.Imm))<<32)
		return nil
	case asm.PseudoMapFD:
		if _, err := c.mapAt(lo.Imm); err != nil {
			return err
		}
		out.setImm64(helper.MapHandle(int(lo.Imm)))
		return nil
	case asm.PseudoMapValue:
		m, err := c.mapAt(lo.Imm)
		if err != nil {
			return err
		}
		name := c.program.Maps[lo.Imm]
		d, ok := m.(maps.Direct)
		if !ok {
			return fmt.Errorf("the values of map %s, a %s, have no fixed address", name, m.Spec().Type)
		}
		addr, ok := d.ValueAddr(uint32(hi.Imm))
		if !ok {
			return fmt.Errorf("map %s has no byte %d", name, uint32(hi.Imm))
		}
		out.setImm64(addr)
		return nil
	case asm.PseudoFunc:
		return errors.New("function pointers (callbacks) are not supported yet")
	default:
		return fmt.Errorf("unknown 64-bit immediate load of kind %d", lo.Src)
	}
}

func (c *compiler) mapAt(i int32) (maps.Map, error) {
	if i < 0 || int(i) >= len(c.code.maps) || int(i) >= len(c.program.Maps) {
		return nil, fmt.Errorf("there is no map %d", i)
	}
	return c.code.maps[i], nil
}
