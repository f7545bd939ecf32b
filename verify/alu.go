package verify

import (
	"github.com/cilium/ebpf/asm"

	"github.com/skep-bpf/skep/internal/image"
	"github.com/skep-bpf/skep/verify/internal/scalar"
)

// alu is an arithmetic instruction (RFC 9669, section 4.1 and 4.2).
func (v *verifier) alu(in image.Insn) *Error {
	wide := classOf(in) == asm.ALU64Class
	dst := &v.cur.top().regs[in.Dst]
	code := in.Op & codeMask
	if code == aluMov {
		return v.move(in, dst, wide)
	}
	if _, err := v.read(in.Dst); err != nil {
		return err
	}
	if code == aluNeg || code == aluSwap {
		return v.unary(in, dst, wide)
	}

	var src *reg
	imm := constReg(uint64(int64(in.Imm)))
	if fromRegister(in) {
		r, err := v.read(in.Src)
		if err != nil {
			return err
		}
		src = r
	} else {
		src = &imm
	}
	op := binaryOps[code>>4].unsigned
	if in.Off == 1 {
		op = binaryOps[code>>4].signed
	}
	if dst.isPointer() || src.isPointer() {
		return v.pointerALU(op, wide, dst, src)
	}
	var out reg
	if wide {
		out = numberReg(w64.Binary(op, &dst.v, &src.v))
		// What is a copy of another register stays one plus a constant.
		if c, ok := src.v.IsConst(); ok && dst.id != 0 && (op == scalar.Add || op == scalar.Sub) {
			if op == scalar.Sub {
				c = -c
			}
			if _, known := out.v.IsConst(); !known {
				out.id, out.delta = dst.id, dst.delta+c
			}
		}
	} else {
		out = numberReg(w64.BinaryHalf(op, &dst.v, &src.v))
	}
	*dst = out
	return nil
}

func (v *verifier) move(in image.Insn, dst *reg, wide bool) *Error {
	if !fromRegister(in) {
		if wide {
			*dst = constReg(uint64(int64(in.Imm)))
		} else {
			*dst = constReg(uint64(uint32(in.Imm)))
		}
		return nil
	}
	src, err := v.read(in.Src)
	if err != nil {
		return err
	}
	if wide && in.Off == 0 {
		if src.kind == number && src.id == 0 && src.v.Bits.Mask != 0 {
			src.id = v.newID()
		}
		*dst = *src
		return nil
	}
	if src.isOwn() {
		return v.fail(CodePointerArith, "part of %s is moved: a pointer is copied as a whole", v.describe(src))
	}
	value := src.v
	if src.isPointer() {
		value = w64.Unknown()
	}
	from := scalar.Width(in.Off)
	var out reg
	switch {
	case wide:
		out = numberReg(w64.SignExtend(&value, from))
	case in.Off != 0:
		out = numberReg(w64.SignExtendHalf(&value, from))
	default:
		out = numberReg(w64.ZeroExtend(&value, 32))
	}
	// An extension that changes nothing makes a copy.
	if src.kind == number && out.v == src.v && src.v.Bits.Mask != 0 && unchanged(&src.v, wide, in.Off) {
		if src.id == 0 {
			src.id = v.newID()
		}
		out.id, out.delta = src.id, src.delta
	}
	*dst = out
	return nil
}

// unchanged reports whether a move with extension leaves every number of the
// value as it is: from the low off bits with sign, or from 32 bits.
func unchanged(x *scalar.Value, wide bool, off int16) bool {
	if !wide && off == 0 {
		return x.R.Umax <= 1<<32-1
	}
	limit := int64(1) << (off - 1)
	return x.R.Smin >= -limit && x.R.Smax < limit && (wide || x.R.Smin >= 0)
}

func (v *verifier) unary(in image.Insn, dst *reg, wide bool) *Error {
	if dst.isOwn() {
		return v.fail(CodePointerArith, "a pointer is turned into another number: %s", v.describe(dst))
	}
	value := dst.v
	if dst.isPointer() {
		value = w64.Unknown()
	}
	var out scalar.Value
	switch {
	case in.Op&codeMask == aluNeg && wide:
		out = w64.Neg(&value)
	case in.Op&codeMask == aluNeg:
		out = w64.NegHalf(&value)
	case wide || fromRegister(in):
		// bswap, or to big-endian: programs run on little-endian machines.
		out = scalar.Swap(&value, int(in.Imm)/8)
	default:
		out = w64.ZeroExtend(&value, scalar.Width(in.Imm))
	}
	*dst = numberReg(out)
	return nil
}

// maxOffset bounds what may be subtracted from a pointer, and sizes of memory
// (the kernel's BPF_MAX_VAR_OFF and BPF_MAX_VAR_SIZ).
const maxOffset = 1 << 29

// pointerALU is arithmetic with a pointer on one side or both.
func (v *verifier) pointerALU(op scalar.Op, wide bool, dst, src *reg) *Error {
	if dst.isPointer() && src.isPointer() {
		if op == scalar.Sub && wide && dst.kind == src.kind && dst.object == src.object && dst.frame == src.frame {
			*dst = unknownReg() // a distance within the same kind of memory
			return nil
		}
		return v.fail(CodePointerArith, "%s and %s are combined", v.describe(dst), v.describe(src))
	}
	p, n := dst, src
	if src.isPointer() {
		p, n = src, dst
	}
	switch {
	case !wide:
		return v.fail(CodePointerArith, "32-bit arithmetic on %s", v.describe(p))
	case op != scalar.Add && (op != scalar.Sub || p == src):
		return v.fail(CodePointerArith, "arithmetic on %s: only a number can be added or subtracted", v.describe(p))
	case op == scalar.Sub && p.kind == stackPtr: // the kernel's rule; compilers add
		return v.fail(CodePointerArith, "a number is subtracted from %s: only addition is possible", v.describe(p))
	case p.orNull:
		return v.fail(CodeNullPointer, "%s is moved; it must be compared with NULL first", v.describe(p))
	case p.kind == mapPtr:
		return v.fail(CodePointerArith, "%s is moved: it points to a map, not to a value", v.describe(p))
	}
	out := *p
	out.v = w64.Binary(op, &p.v, &n.v)
	for _, r := range [2]scalar.Range{n.v.R, out.v.R} {
		if r.Smin <= -maxOffset || r.Smin >= maxOffset {
			return v.fail(CodePointerArith, "a number that has no sufficient lower bound is added to %s: it is %s",
				v.describe(p), offsets(n.v.R.Smin, n.v.R.Smax))
		}
	}
	if out.v.Bits.Mask != 0 && p.kind == contextPtr {
		return v.fail(CodePointerArith, "a number that is not known is added to the context")
	}
	*dst = out
	return nil
}
