package verify

import (
	"github.com/cilium/ebpf/asm"

	"github.com/skep-bpf/skep/internal/image"
	"github.com/skep-bpf/skep/verify/internal/scalar"
)

// branch is a conditional jump: the other side waits, this one goes on where the
// condition does not hold.
func (v *verifier) branch(in image.Insn) (walk, *Error) {
	dst, err := v.read(in.Dst)
	if err != nil {
		return endPath, err
	}
	imm := constReg(uint64(int64(in.Imm)))
	src := &imm
	if fromRegister(in) {
		if src, err = v.read(in.Src); err != nil {
			return endPath, err
		}
	}
	wide := classOf(in) == asm.JumpClass
	cond := conditions[in.Op>>4].cond
	to := v.target(v.insn)

	switch {
	case dst.kind == number && src.kind == number:
		return v.branchNumbers(cond, wide, dst, src, in, to)
	case dst.isPointer() && src.isZero() && wide && (cond == scalar.Eq || cond == scalar.Ne):
		if fromRegister(in) {
			v.noteDecided() // by the 0 that it holds
		}
		return v.branchNull(cond == scalar.Eq, dst, to)
	}
	// Nothing is learnt from comparing a pointer with anything else.
	if _, err := v.fork(to); err != nil {
		return endPath, err
	}
	return v.fallThrough(), nil
}

// fallThrough goes on behind the jump.
func (v *verifier) fallThrough() walk {
	v.cur.insn = v.insn + 1
	v.path = append(v.path, int32(v.cur.insn))
	return goOn
}

// jumpTo goes on at the jump's target.
func (v *verifier) jumpTo(to int) walk {
	v.cur.insn = to
	v.path = append(v.path, int32(to))
	return goOn
}

func (v *verifier) branchNumbers(cond scalar.Cond, wide bool, dst, src *reg, in image.Insn, to int) (walk, *Error) {
	refine := scalar.Width.RefineHalf
	if wide {
		refine = scalar.Width.Refine
	}
	takenDst, takenSrc, taken := refine(w64, cond, &dst.v, &src.v)
	elseDst, elseSrc, other := refine(w64, cond.Not(), &dst.v, &src.v)
	if !taken || !other {
		v.noteDecided()
	}
	learn := func(s *state, d, r scalar.Value) {
		regs := &s.top().regs
		linked := s.learn(&regs[in.Dst], d)
		if fromRegister(in) {
			linked = s.learn(&regs[in.Src], r) || linked
		}
		if linked {
			v.noteDecided()
		}
	}
	switch {
	case taken && other:
		s, err := v.fork(to)
		if err != nil {
			return endPath, err
		}
		learn(s, takenDst, takenSrc)
		learn(v.cur, elseDst, elseSrc)
		return v.fallThrough(), nil
	case taken:
		learn(v.cur, takenDst, takenSrc)
		return v.jumpTo(to), nil
	case other:
		learn(v.cur, elseDst, elseSrc)
		return v.fallThrough(), nil
	}
	return endPath, nil // no number is left: no run comes here
}

// learn narrows a number and all that are linked with it. It reports whether
// there are any.
func (s *state) learn(r *reg, to scalar.Value) (linked bool) {
	if r.v == to {
		return false
	}
	r.v = to
	id, delta := r.id, r.delta
	if id == 0 {
		return false
	}
	s.eachReg(func(o *reg) {
		if o == r || o.kind != number || o.id != id {
			return
		}
		linked = true
		v := to
		if o.delta != delta {
			c := w64.Const(o.delta - delta)
			v = w64.Binary(scalar.Add, &to, &c)
		}
		if m, ok := w64.Meet(&o.v, &v); ok {
			o.v = m
		}
	})
	return linked
}

// branchNull compares a pointer with NULL. equal says that the jump is taken
// where the pointer is NULL.
func (v *verifier) branchNull(equal bool, p *reg, to int) (walk, *Error) {
	if !p.orNull {
		if p.kind == kernelPtr { // it may be anything
			if _, err := v.fork(to); err != nil {
				return endPath, err
			}
			return v.fallThrough(), nil
		}
		if equal {
			return v.fallThrough(), nil
		}
		return v.jumpTo(to), nil
	}
	id := p.id
	s, err := v.fork(to)
	if err != nil {
		return endPath, err
	}
	s.resolveNull(id, equal)
	v.cur.resolveNull(id, !equal)
	return v.fallThrough(), nil
}

// resolveNull makes of all copies of a pointer that may be NULL one or the other.
// There is nothing to give back of a resource that was not got.
func (s *state) resolveNull(id uint32, null bool) {
	s.eachReg(func(r *reg) {
		if !r.orNull || r.id != id {
			return
		}
		if null {
			s.drop(r.reference)
			*r = constReg(0)
			return
		}
		r.orNull, r.id = false, 0
	})
}

// drop forgets a resource. It reports whether it was held.
func (s *state) drop(reference uint32) bool {
	for i, h := range s.held {
		if h.id == reference {
			s.held = append(s.held[:i], s.held[i+1:]...)
			return true
		}
	}
	return false
}
