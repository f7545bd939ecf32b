package scalar

import "math/bits"

// Cond is a comparison of RFC 9669, section 4.3.
type Cond uint8

const (
	Eq Cond = iota
	Ne
	Gt
	Ge
	Lt
	Le
	Sgt
	Sge
	Slt
	Sle
	Set   // x & y != 0
	Unset // x & y == 0
)

// Not is the comparison that holds exactly when c does not.
func (c Cond) Not() Cond {
	return [...]Cond{Eq: Ne, Ne: Eq, Gt: Le, Ge: Lt, Lt: Ge, Le: Gt, Sgt: Sle, Sge: Slt, Slt: Sge, Sle: Sgt, Set: Unset, Unset: Set}[c]
}

// Refine is what is known of a and b where the comparison of the whole registers
// holds. ok is false if it never does.
func (w Width) Refine(c Cond, a, b *Value) (x, y Value, ok bool) {
	p, q := part{a.Bits, a.R}, part{b.Bits, b.R}
	if !w.refine(c, &p, &q) {
		return *a, *b, false
	}
	x, y = *a, *b
	x.Bits, x.R, y.Bits, y.R = p.t, p.r, q.t, q.r
	if c == Eq {
		x.H = x.H.meet(y.H)
		y.H = x.H
	}
	if x, ok = w.deduce(x); !ok {
		return *a, *b, false
	}
	if y, ok = w.deduce(y); !ok {
		return *a, *b, false
	}
	return x, y, true
}

// RefineHalf is Refine for a comparison of the lower halves.
func (w Width) RefineHalf(c Cond, a, b *Value) (x, y Value, ok bool) {
	h := w / 2
	p, q := w.lower(a), w.lower(b)
	if !h.refine(c, &p, &q) {
		return *a, *b, false
	}
	upper := w.mask() &^ h.mask()
	x, y = *a, *b
	for _, s := range [2]struct {
		v *Value
		p part
	}{{&x, p}, {&y, q}} {
		s.v.H = s.p.r
		up := s.v.Bits.and(upper)
		s.v.Bits = Tnum{up.Value | s.p.t.Value, up.Mask | s.p.t.Mask}
		if *s.v, ok = w.deduce(*s.v); !ok {
			return *a, *b, false
		}
	}
	return x, y, true
}

// refine narrows both sides of a comparison that holds. It reports false if it
// can't hold.
func (w Width) refine(c Cond, x, y *part) bool {
	switch c {
	case Eq:
		t, ok := x.t.meet(y.t)
		if !ok {
			return false
		}
		x.t = t
		x.r = x.r.meet(y.r)
		*y = *x
	case Ne:
		cx, xok := x.constant()
		cy, yok := y.constant()
		if xok && yok && cx == cy {
			return false
		}
		if yok {
			w.exclude(&x.r, cy)
		}
		if xok {
			w.exclude(&y.r, cx)
		}
	case Lt:
		return w.less(x, y)
	case Gt:
		return w.less(y, x)
	case Le:
		x.r.Umax, y.r.Umin = min(x.r.Umax, y.r.Umax), max(x.r.Umin, y.r.Umin)
	case Ge:
		y.r.Umax, x.r.Umin = min(x.r.Umax, y.r.Umax), max(x.r.Umin, y.r.Umin)
	case Slt:
		return w.signedLess(x, y)
	case Sgt:
		return w.signedLess(y, x)
	case Sle:
		x.r.Smax, y.r.Smin = min(x.r.Smax, y.r.Smax), max(x.r.Smin, y.r.Smin)
	case Sge:
		y.r.Smax, x.r.Smin = min(x.r.Smax, y.r.Smax), max(x.r.Smin, y.r.Smin)
	case Set:
		// Where only one bit can be set in both, it is.
		switch both := x.t.max() & y.t.max(); bits.OnesCount64(both) {
		case 0:
			return false
		case 1:
			x.t = Tnum{x.t.Value | both, x.t.Mask &^ both}
			y.t = Tnum{y.t.Value | both, y.t.Mask &^ both}
		}
	case Unset:
		if x.t.Value&y.t.Value != 0 {
			return false
		}
		xv, yv := x.t.Value, y.t.Value
		x.t.Mask &^= yv
		y.t.Mask &^= xv
	}
	return !x.r.empty() && !y.r.empty()
}

func (w Width) less(x, y *part) bool {
	if y.r.Umax == 0 || x.r.Umin == w.mask() {
		return false
	}
	x.r.Umax, y.r.Umin = min(x.r.Umax, y.r.Umax-1), max(y.r.Umin, x.r.Umin+1)
	return !x.r.empty() && !y.r.empty()
}

func (w Width) signedLess(x, y *part) bool {
	if y.r.Smax == w.smin() || x.r.Smin == w.smax() {
		return false
	}
	x.r.Smax, y.r.Smin = min(x.r.Smax, y.r.Smax-1), max(y.r.Smin, x.r.Smin+1)
	return !x.r.empty() && !y.r.empty()
}

// exclude takes a number off the ends of a range.
func (w Width) exclude(r *Range, x uint64) {
	if r.Umin == x && x < w.mask() {
		r.Umin++
	}
	if r.Umax == x && x > 0 {
		r.Umax--
	}
	s := w.signed(x)
	if r.Smin == s && s < w.smax() {
		r.Smin++
	}
	if r.Smax == s && s > w.smin() {
		r.Smax--
	}
}

// Meet is the numbers that are in both. ok is false if there are none.
func (w Width) Meet(a, b *Value) (v Value, ok bool) {
	bits, ok := a.Bits.meet(b.Bits)
	if !ok {
		return *a, false
	}
	return w.deduce(Value{bits, a.R.meet(b.R), a.H.meet(b.H)})
}
