package image

import (
	"math"

	"github.com/cilium/ebpf/asm"
)

// Opcodes that linking itself writes or looks for (RFC 9669, section 4 and 5.4).
const (
	opCall      = uint8(asm.JumpClass) | uint8(asm.Call)
	opLoadImm64 = uint8(asm.LdClass) | uint8(asm.DWord) | uint8(asm.ImmMode)
)

// encode writes l.insns into slots.
func (l *linker) encode() error {
	for i := range l.insns {
		if err := l.encodeOne(i); err != nil {
			return err
		}
	}
	return nil
}

func (l *linker) encodeOne(i int) error {
	ins := l.insns[i] // a copy
	if l.poisoned[i] {
		// As libbpf does, both slots of a 64-bit load: each is an instruction of
		// its own then, well-formed and refused if it is reached.
		for range ins.Width() {
			l.emit(Insn{Op: opCall, Imm: BadRelocation})
		}
		return nil
	}
	var err error
	switch name := ins.Reference(); {
	case ins.IsLoadFromMap():
		err = l.loadMap(i, &ins)
	case ins.IsKfuncCall():
		err = l.callKfunc(i, &ins)
	case name == "":
	case ins.OpCode.IsDWordLoad() && ins.Src == 0:
		err = l.loadExtern(i, &ins)
	case ins.IsFunctionReference() && ins.Constant == -1:
		ins.Constant, err = l.distance(i, name, math.MinInt32, math.MaxInt32, "calls the function")
	case ins.OpCode.Class() == asm.Jump32Class && ins.OpCode.JumpOp() == asm.Ja && ins.Constant == -1:
		ins.Constant, err = l.distance(i, name, math.MinInt32, math.MaxInt32, "jumps to")
	case ins.OpCode.Class().IsJump() && ins.Offset == -1:
		var far int64
		far, err = l.distance(i, name, math.MinInt16, math.MaxInt16, "jumps to")
		ins.Offset = int16(far)
	}
	if err != nil {
		return err
	}
	return l.encodeRaw(i, ins)
}

// distance is what a jump or call from instruction i to a symbol holds.
func (l *linker) distance(i int, name string, low, high int64, verb string) (int64, error) {
	to, ok := l.symbols[name]
	if !ok {
		return 0, l.fail(i, ErrUndefined, "%s %s, which is not defined", verb, name)
	}
	far := int64(to) - int64(l.slots[i]) - 1
	if far < low || far > high {
		return 0, l.fail(i, ErrTooLarge, "%s %s, %d instructions away; the instruction reaches %d", verb, name, far, high)
	}
	return far, nil
}

// encodeRaw writes an instruction whose references are resolved. asm.OpCode holds
// in its upper bits what the wire format keeps in the offset (signed division,
// sign-extending moves; RFC 9669, section 4.1) and in the immediate (atomic
// operations; section 5.3).
func (l *linker) encodeRaw(i int, ins asm.Instruction) error {
	off, imm := ins.Offset, ins.Constant
	var ext int16
	if class := ins.OpCode.Class(); class.IsALU() {
		switch ins.OpCode.ALUOp() {
		case asm.SDiv:
			ins.OpCode, ext = ins.OpCode.SetALUOp(asm.Div), 1
		case asm.SMod:
			ins.OpCode, ext = ins.OpCode.SetALUOp(asm.Mod), 1
		case asm.MovSX8:
			ins.OpCode, ext = ins.OpCode.SetALUOp(asm.Mov), 8
		case asm.MovSX16:
			ins.OpCode, ext = ins.OpCode.SetALUOp(asm.Mov), 16
		case asm.MovSX32:
			ins.OpCode, ext = ins.OpCode.SetALUOp(asm.Mov), 32
		}
		if ext != 0 && off != 0 {
			return l.fail(i, ErrMalformed, "%v has the offset %d, which its encoding needs", ins.OpCode, off)
		}
	} else if op := ins.OpCode.AtomicOp(); op != asm.InvalidAtomic {
		ins.OpCode &= 0xff
		imm |= int64(op >> 8)
	}
	if ins.OpCode > 0xff {
		return l.fail(i, ErrMalformed, "opcode %#x is none", uint32(ins.OpCode))
	}
	if ins.Dst > 15 || ins.Src > 15 {
		return l.fail(i, ErrMalformed, "registers %d and %d do not fit 4 bits", ins.Dst, ins.Src)
	}
	slot := Insn{Op: uint8(ins.OpCode), Dst: uint8(ins.Dst), Src: uint8(ins.Src), Off: off | ext, Imm: int32(imm)}
	if ins.OpCode.IsDWordLoad() {
		l.emit(slot, Insn{Imm: int32(imm >> 32)})
		return nil
	}
	if imm < math.MinInt32 || imm > math.MaxUint32 {
		return l.fail(i, ErrMalformed, "immediate %d does not fit 32 bits", imm)
	}
	l.emit(slot)
	return nil
}

func (l *linker) emit(slots ...Insn) { l.out.Insns = append(l.out.Insns, slots...) }
