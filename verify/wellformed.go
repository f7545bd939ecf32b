package verify

import (
	"github.com/cilium/ebpf/asm"

	"github.com/skep-bpf/skep/internal/image"
	"github.com/skep-bpf/skep/verify/internal/scalar"
)

// wellFormed checks that every slot is an instruction of RFC 9669 whose unused
// fields are 0.
func (v *verifier) wellFormed() *Error {
	insns := v.p.Insns
	for i := 0; i < len(insns); i++ {
		v.insn = i
		in := insns[i]
		if in.Dst > 10 || in.Src > 10 {
			return v.fail(CodeMalformed, "register R%d does not exist", max(in.Dst, in.Src))
		}
		var err *Error
		switch classOf(in) {
		case asm.LdClass:
			if err = v.checkLoadImm(i); err == nil {
				v.second[i+1] = true
				i++
			}
		case asm.LdXClass:
			err = v.checkLoad(in)
		case asm.StClass:
			if err = v.checkMode(in, asm.MemMode); err == nil && in.Src != 0 {
				err = v.reserved()
			}
		case asm.StXClass:
			err = v.checkStore(in)
		case asm.ALUClass, asm.ALU64Class:
			err = v.checkALU(in)
		case asm.JumpClass, asm.Jump32Class:
			err = v.checkJump(in)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (v *verifier) unknownOpcode() *Error {
	return v.fail(CodeMalformed, "opcode %#02x is not in RFC 9669", v.p.Insns[v.insn].Op)
}

func (v *verifier) reserved() *Error {
	return v.fail(CodeMalformed, "opcode %#02x is used with a field that must be 0", v.p.Insns[v.insn].Op)
}

func (v *verifier) writesFrame(in image.Insn) *Error {
	if in.Dst == 10 {
		return v.fail(CodeMalformed, "R10, the frame pointer, is written; it may only be read")
	}
	return nil
}

func (v *verifier) checkLoadImm(i int) *Error {
	in := v.p.Insns[i]
	switch asm.Mode(in.Op & modeMask) {
	case asm.AbsMode, asm.IndMode:
		return v.fail(CodeUnsupported, "the old packet loads (opcode %#02x) are not known yet", in.Op)
	}
	if in.Op != opLoadImm64 {
		return v.unknownOpcode()
	}
	if i+1 >= len(v.p.Insns) {
		return v.fail(CodeMalformed, "the program ends in the middle of a 64-bit load")
	}
	next := v.p.Insns[i+1]
	if in.Off != 0 || next.Op != 0 || next.Dst != 0 || next.Src != 0 || next.Off != 0 {
		return v.reserved()
	}
	if in.Src != 0 && asm.Register(in.Src) != asm.PseudoMapValue && next.Imm != 0 {
		return v.reserved()
	}
	return v.writesFrame(in)
}

// checkMode checks a load or store that is not atomic.
func (v *verifier) checkMode(in image.Insn, modes ...asm.Mode) *Error {
	for _, m := range modes {
		if asm.Mode(in.Op&modeMask) == m {
			return nil
		}
	}
	return v.unknownOpcode()
}

func (v *verifier) checkLoad(in image.Insn) *Error {
	if err := v.checkMode(in, asm.MemMode, asm.MemSXMode); err != nil {
		return err
	}
	if asm.Mode(in.Op&modeMask) == asm.MemSXMode && sizeOf(in) == 8 {
		return v.unknownOpcode()
	}
	if in.Imm != 0 {
		return v.reserved()
	}
	return v.writesFrame(in)
}

func (v *verifier) checkStore(in image.Insn) *Error {
	if asm.Mode(in.Op&modeMask) != asm.AtomicMode {
		if err := v.checkMode(in, asm.MemMode); err != nil {
			return err
		}
		if in.Imm != 0 {
			return v.reserved()
		}
		return nil
	}
	if size := sizeOf(in); size != 4 && size != 8 {
		return v.unknownOpcode()
	}
	switch in.Imm {
	case atomicAdd, atomicOr, atomicAnd, atomicXor:
		return nil
	case atomicAdd | atomicFetch, atomicOr | atomicFetch, atomicAnd | atomicFetch, atomicXor | atomicFetch, atomicXchg:
		if in.Src == 10 {
			return v.fail(CodeMalformed, "R10, the frame pointer, is written; it may only be read")
		}
		return nil
	case atomicCmpxchg:
		return nil
	case atomicLoadAcquire, atomicStoreRelease:
		return v.fail(CodeUnsupported, "load-acquire and store-release are not known yet")
	}
	return v.fail(CodeMalformed, "atomic operation %#x is not in RFC 9669", in.Imm)
}

func (v *verifier) checkALU(in image.Insn) *Error {
	wide := classOf(in) == asm.ALU64Class
	width := 32
	if wide {
		width = 64
	}
	if err := v.writesFrame(in); err != nil {
		return err
	}
	switch code := in.Op & codeMask; code {
	case aluNeg:
		if fromRegister(in) || in.Src != 0 || in.Off != 0 || in.Imm != 0 {
			return v.reserved()
		}
	case aluSwap:
		if in.Src != 0 || in.Off != 0 || wide && fromRegister(in) {
			return v.reserved()
		}
		if in.Imm != 16 && in.Imm != 32 && in.Imm != 64 {
			return v.fail(CodeMalformed, "a byte swap of %d bits; there are those of 16, 32 and 64", in.Imm)
		}
	case aluMov:
		if !fromRegister(in) {
			if in.Src != 0 || in.Off != 0 {
				return v.reserved()
			}
			return nil
		}
		if in.Imm != 0 {
			if in.Off == 1 {
				return v.fail(CodeUnsupported, "address-space casts (arenas) are not known yet")
			}
			return v.reserved()
		}
		if in.Off != 0 && in.Off != 8 && in.Off != 16 && (in.Off != 32 || !wide) {
			return v.fail(CodeMalformed, "a move with sign extension from %d bits", in.Off)
		}
	default:
		op := binaryOps[code>>4]
		if !op.known {
			return v.unknownOpcode()
		}
		if in.Off != 0 && (in.Off != 1 || op.signed == op.unsigned) {
			return v.reserved()
		}
		if fromRegister(in) {
			if in.Imm != 0 {
				return v.reserved()
			}
			return nil
		}
		if in.Src != 0 {
			return v.reserved()
		}
		switch op.unsigned {
		case scalar.Div, scalar.Mod:
			if in.Imm == 0 {
				return v.fail(CodeMalformed, "a division by the constant 0")
			}
		case scalar.Lsh, scalar.Rsh, scalar.Arsh:
			if in.Imm < 0 || int(in.Imm) >= width {
				return v.fail(CodeMalformed, "a shift of a %d-bit number by %d", width, in.Imm)
			}
		}
	}
	return nil
}

func (v *verifier) checkJump(in image.Insn) *Error {
	switch in.Op {
	case opJa:
		if in.Dst != 0 || in.Src != 0 || in.Imm != 0 {
			return v.reserved()
		}
	case opJa32:
		if in.Dst != 0 || in.Src != 0 || in.Off != 0 {
			return v.reserved()
		}
	case opExit:
		if in.Dst != 0 || in.Src != 0 || in.Off != 0 || in.Imm != 0 {
			return v.reserved()
		}
	case opCall:
		if asm.Register(in.Src) > asm.PseudoKfuncCall || in.Dst != 0 || in.Off != 0 && asm.Register(in.Src) != asm.PseudoKfuncCall {
			return v.reserved()
		}
	case opCall | sourceMask:
		return v.fail(CodeUnsupported, "calls through a register are not known yet")
	case opMayGoto:
		return v.fail(CodeUnsupported, "may_goto is not known yet")
	default:
		if !conditions[in.Op>>4].known {
			return v.unknownOpcode()
		}
		if fromRegister(in) && in.Imm != 0 || !fromRegister(in) && in.Src != 0 {
			return v.reserved()
		}
	}
	return nil
}
