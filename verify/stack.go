package verify

import (
	"github.com/skep-bpf/skep/verify/internal/scalar"
)

// A span is bytes of a stack frame: [low, high), counted down from the frame
// pointer, so that byte low is the last in memory.
type span struct{ low, high int }

// stackSpan are the bytes that size bytes at off from a stack pointer may touch,
// with all of its offsets. exact says that there is only one offset.
func (v *verifier) stackSpan(p *reg, off, size int) (s span, exact bool, err *Error) {
	first, last := reach(p, off)
	if first < -stackSize || last+int64(size) > 0 {
		return s, false, v.fail(CodeStackBounds, "an access of %s at offset %s from the frame pointer; the stack is -%d..-1",
			amount(size), offsets(first, last), stackSize)
	}
	s = span{-int(last) - size, -int(first)}
	if d := v.subDepth(p.frame); *d < s.high {
		*d = s.high
	}
	return s, first == last, nil
}

// subDepth is where the stack depth of the subprogram of a frame is kept.
func (v *verifier) subDepth(frame uint8) *int {
	at := v.insn
	if int(frame) < v.cur.depth {
		at = v.cur.frames[frame+1].callsite
	}
	return &v.subs[v.subOf[at]].depth
}

// aligned reports whether every offset of p plus off is a multiple of size.
func aligned(p *reg, off, size int) bool {
	low := uint64(size - 1)
	return p.v.Bits.Mask&low == 0 && (p.v.Bits.Value+uint64(off))&low == 0
}

// loadStack is a load of size bytes through a stack pointer. As in the kernel,
// stack accesses are aligned, for what is stored is found again by its place.
func (v *verifier) loadStack(p *reg, off, size int) (reg, *Error) {
	s, exact, err := v.stackSpan(p, off, size)
	if err != nil {
		return reg{}, err
	}
	if !aligned(p, off, size) {
		return reg{}, v.misalignedStack(p, off, size)
	}
	f := v.cur.frames[p.frame]
	v.noteRead(f, s, false)
	if !exact {
		if err := v.readable(f, s, "a load"); err != nil {
			return reg{}, err
		}
		return numberReg(w64.Between(0, ^uint64(0)>>(64-8*size))), nil
	}
	if sp := f.spillAt(s.low); sp != nil && sp.low() == s.low && sp.high() == s.high {
		if sp.reg.kind == number && sp.reg.id == 0 && sp.reg.v.Bits.Mask != 0 {
			sp.reg.id = v.newID()
		}
		return sp.reg, nil
	}
	return v.assemble(f, s)
}

func (v *verifier) misalignedStack(p *reg, off, size int) *Error {
	return v.fail(CodeMisaligned, "an access of %s at offset %s from the frame pointer; stack accesses are aligned to their size",
		amount(size), offsets(reach(p, off)))
}

// assemble is the number in s, made of what its bytes hold.
func (v *verifier) assemble(f *frame, s span) (reg, *Error) {
	if sp := f.spillAt(s.low); sp != nil && sp.low() <= s.low && sp.high() >= s.high && sp.reg.kind == number {
		// Part of a larger number: the lowest byte of it is at sp.high()-1.
		shift := w64.Const(uint64(8 * (sp.high() - s.high)))
		part := w64.Binary(scalar.Rsh, &sp.reg.v, &shift)
		return numberReg(w64.ZeroExtend(&part, scalar.Width(8*(s.high-s.low)))), nil
	}
	var known, mask uint64 // of the number, byte by byte from the lowest
	for i := s.high - 1; i >= s.low; i-- {
		shift := 8 * (s.high - 1 - i)
		switch f.at(i) {
		case unwritten:
			return reg{}, v.uninitializedStack(i)
		case data:
			mask |= 0xff << shift
		case spilled:
			sp := f.spillAt(i)
			if sp.reg.isPointer() {
				return reg{}, v.fail(CodePointerLeak, "a load of %s from offset %d of the stack, where %s is stored: a pointer is loaded as a whole",
					amount(s.high-s.low), -s.high, v.describe(&sp.reg))
			}
			b := 8 * (sp.high() - 1 - i)
			known |= sp.reg.v.Bits.Value >> b & 0xff << shift
			mask |= sp.reg.v.Bits.Mask >> b & 0xff << shift
		}
	}
	return numberReg(w64.FromBits(known, mask)), nil
}

func (v *verifier) uninitializedStack(i int) *Error {
	return v.fail(CodeUninitialized, "the stack is read at offset %d from the frame pointer, where not every way here has written", -i-1)
}

// readable checks that all bytes of s hold numbers, for someone who reads them
// without asking what they are. The addresses of kernel objects count as numbers.
func (v *verifier) readable(f *frame, s span, who string) *Error {
	for i := s.high - 1; i >= s.low; i-- {
		switch f.at(i) {
		case unwritten:
			return v.uninitializedStack(i)
		case spilled:
			if sp := f.spillAt(i); sp.reg.isOwn() {
				return v.fail(CodePointerLeak, "%s takes the stack at offset %d, where %s is stored", who, -sp.high(), v.describe(&sp.reg))
			}
		}
	}
	return nil
}

// storeStack is a store of the low size bytes of value through a stack pointer.
func (v *verifier) storeStack(p *reg, off, size int, value *reg) *Error {
	s, exact, err := v.stackSpan(p, off, size)
	if err != nil {
		return err
	}
	if !aligned(p, off, size) {
		return v.misalignedStack(p, off, size)
	}
	f := v.cur.frames[p.frame]
	v.noteStore(f, s)
	if value.isPointer() {
		switch {
		case size != 8:
			return v.fail(CodePointerLeak, "a store of %s of %s: a pointer is stored as a whole", amount(size), v.describe(value))
		case !exact:
			return v.fail(CodePointerLeak, "%s is stored at a stack offset that is not known", v.describe(value))
		case value.kind == stackPtr && f != v.cur.top():
			return v.fail(CodePointerLeak, "a pointer to the stack is stored in the frame of the caller, which outlives it")
		}
	}
	if !exact {
		v.blur(f, s)
		return nil
	}
	stored := *value
	if stored.kind == number && size < 8 {
		stored.v = w64.ZeroExtend(&value.v, scalar.Width(8*size))
		if stored.v != value.v {
			stored.id, stored.delta = 0, 0
		}
	}
	switch {
	case stored.isZero():
		f.overwrite(s.low, s.high, zero)
	case stored.kind == number && size < 8 && stored.id == 0 && stored.v.Bits.Mask == ^uint64(0)>>(64-8*size):
		f.overwrite(s.low, s.high, data) // nothing is known
	default:
		if stored.kind == number && stored.id == 0 && stored.v.Bits.Mask != 0 {
			// The register and its copy in the stack are linked.
			stored.id = v.newID()
			if stored.v == value.v {
				value.id = stored.id
			}
		}
		f.overwrite(s.low, s.high, spilled)
		f.spills = append(f.spills, spill{at: int16(s.high), size: uint8(size), reg: stored})
	}
	return nil
}

// blur is a store somewhere into s: bytes that were written hold something else
// then, those that were not may still not be.
func (v *verifier) blur(f *frame, s span) {
	f.grow(s.high)
	for i := s.low; i < s.high; i++ {
		if f.bytes[i] != unwritten {
			f.overwrite(i, i+1, data)
		}
	}
}
