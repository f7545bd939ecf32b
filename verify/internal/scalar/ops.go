package scalar

import "math/bits"

// Op is a binary operation of RFC 9669, section 4.1.
type Op uint8

const (
	Add Op = iota
	Sub
	Mul
	Div
	SDiv
	Mod
	SMod
	And
	Or
	Xor
	Lsh
	Rsh
	Arsh
)

// A part is a number of one width: a register or the lower half of one.
type part struct {
	t Tnum
	r Range
}

func (w Width) lower(v *Value) part { return part{v.Bits.and((w / 2).mask()), v.H} }

// Binary is a op b on whole registers.
func (w Width) Binary(op Op, a, b *Value) Value {
	if x, ok := a.IsConst(); ok {
		if y, ok := b.IsConst(); ok {
			return w.Const(w.eval(op, x, y))
		}
	}
	p := w.apply(op, part{a.Bits, a.R}, part{b.Bits, b.R})
	v := Value{p.t, p.r, (w / 2).full()}
	switch op {
	case Add, Sub, Mul, And, Or, Xor:
		// The lower half of the result comes from the lower halves alone.
		v.H = (w / 2).apply(op, w.lower(a), w.lower(b)).r
	}
	return w.settle(v)
}

// BinaryHalf is a op b on the lower halves; the upper half of the result is 0.
func (w Width) BinaryHalf(op Op, a, b *Value) Value {
	h := w / 2
	if x, ok := w.HalfConst(a); ok {
		if y, ok := w.HalfConst(b); ok {
			return w.Const(h.eval(op, x, y))
		}
	}
	return w.zeroExtend(h.apply(op, w.lower(a), w.lower(b)))
}

// zeroExtend makes a whole register of a lower half.
func (w Width) zeroExtend(p part) Value {
	return w.settle(Value{p.t, Range{p.r.Umin, p.r.Umax, int64(p.r.Umin), int64(p.r.Umax)}, p.r})
}

// settle is deduce for results that can't be empty. A contradiction could only
// come from operands without any number, on a path that no run takes; anything
// is then true, and nothing is the safest to say.
func (w Width) settle(v Value) Value {
	if v, ok := w.deduce(v); ok {
		return v
	}
	return w.Unknown()
}

// eval is the operation on numbers.
func (w Width) eval(op Op, x, y uint64) uint64 {
	shift := y & uint64(w-1)
	var z uint64
	switch op {
	case Add:
		z = x + y
	case Sub:
		z = x - y
	case Mul:
		z = x * y
	case Div:
		if y != 0 {
			z = x / y
		}
	case SDiv:
		switch {
		case y == 0:
		case y == w.mask(): // -1: the smallest number has no opposite
			z = -x
		default:
			z = uint64(w.signed(x) / w.signed(y))
		}
	case Mod:
		z = x
		if y != 0 {
			z = x % y
		}
	case SMod:
		switch {
		case y == 0:
			z = x
		case y == w.mask():
		default:
			z = uint64(w.signed(x) % w.signed(y))
		}
	case And:
		z = x & y
	case Or:
		z = x | y
	case Xor:
		z = x ^ y
	case Lsh:
		z = x << shift
	case Rsh:
		z = x >> shift
	case Arsh:
		z = uint64(w.signed(x) >> shift)
	}
	return z & w.mask()
}

// apply is the operation on sets of numbers.
func (w Width) apply(op Op, x, y part) part {
	out := part{Tnum{0, w.mask()}, w.full()}
	switch op {
	case Add:
		out.t = x.t.add(y.t).and(w.mask())
		out.r = w.addRange(x.r, y.r)
	case Sub:
		out.t = x.t.sub(y.t).and(w.mask())
		out.r = w.subRange(x.r, y.r)
	case Mul:
		out.t = x.t.mul(y.t).and(w.mask())
		out.r = w.mulRange(x.r, y.r)
	case Div:
		out.r.Umax = x.r.Umax
		if y.r.Umin > 0 { // else the result may be that of a division by 0: 0
			out.r.Umin, out.r.Umax = x.r.Umin/y.r.Umax, x.r.Umax/y.r.Umin
		}
	case Mod:
		out.r.Umax = x.r.Umax // of a division by 0, too: x
		if y.r.Umin > 0 {
			if x.r.Umax < y.r.Umin {
				return x
			}
			out.r.Umax = min(x.r.Umax, y.r.Umax-1)
		}
		if c, ok := y.constant(); ok && c != 0 && c&(c-1) == 0 {
			out.t = x.t.and(c - 1)
		}
	case SDiv:
		w.sdivRange(&out.r, x.r, y.r)
	case SMod:
		// The sign is that of x, or the result is 0; it is no larger than x.
		out.r.Smin, out.r.Smax = min(0, x.r.Smin), max(0, x.r.Smax)
		if y.r.Smin > 0 && y.r.Smax != w.smin() {
			out.r.Smin, out.r.Smax = max(out.r.Smin, 1-y.r.Smax), min(out.r.Smax, y.r.Smax-1)
		}
	case And:
		out.t = x.t.bitAnd(y.t)
		out.r.Umax = min(x.r.Umax, y.r.Umax)
		if x.r.Smax < 0 && y.r.Smax < 0 {
			out.r.Smax = min(x.r.Smax, y.r.Smax)
		}
	case Or:
		out.t = x.t.bitOr(y.t)
		out.r.Umin = max(x.r.Umin, y.r.Umin)
		if x.r.Smax < 0 {
			out.r.Smin = x.r.Smin
		}
		if y.r.Smax < 0 {
			out.r.Smin = max(out.r.Smin, y.r.Smin)
		}
	case Xor:
		out.t = x.t.bitXor(y.t)
	case Lsh, Rsh, Arsh:
		return w.shift(op, x, y)
	}
	return out
}

func (p part) constant() (uint64, bool) { return p.t.Value, p.t.Mask == 0 }

// addRange keeps bounds where all sums wrap around or none does.
func (w Width) addRange(x, y Range) Range {
	r := w.full()
	lo, hi := w.addCarry(x.Umin, y.Umin), w.addCarry(x.Umax, y.Umax)
	if lo == hi {
		r.Umin, r.Umax = (x.Umin+y.Umin)&w.mask(), (x.Umax+y.Umax)&w.mask()
	}
	slo, shi := w.signedCarry(x.Smin, y.Smin), w.signedCarry(x.Smax, y.Smax)
	if slo == shi {
		r.Smin, r.Smax = w.signed(uint64(x.Smin+y.Smin)), w.signed(uint64(x.Smax+y.Smax))
	}
	return r
}

// addCarry is how often x+y passes the largest number.
func (w Width) addCarry(x, y uint64) int {
	sum, carry := bits.Add64(x, y, 0)
	if carry != 0 || sum > w.mask() {
		return 1
	}
	return 0
}

// signedCarry is the direction in which x+y leaves the width.
func (w Width) signedCarry(x, y int64) int {
	sum := x + y
	switch {
	case x > 0 && y > 0 && (sum < 0 || sum > w.smax()):
		return 1
	case x < 0 && y < 0 && (sum >= 0 || sum < w.smin()):
		return -1
	}
	return 0
}

// subRange is addRange for differences.
func (w Width) subRange(x, y Range) Range {
	r := w.full()
	if (x.Umin < y.Umax) == (x.Umax < y.Umin) {
		r.Umin, r.Umax = (x.Umin-y.Umax)&w.mask(), (x.Umax-y.Umin)&w.mask()
	}
	if w.signedBorrow(x.Smin, y.Smax) == w.signedBorrow(x.Smax, y.Smin) {
		r.Smin, r.Smax = w.signed(uint64(x.Smin-y.Smax)), w.signed(uint64(x.Smax-y.Smin))
	}
	return r
}

// signedBorrow is the direction in which x-y leaves the width.
func (w Width) signedBorrow(x, y int64) int {
	diff := x - y
	switch {
	case x >= 0 && y < 0 && (diff < 0 || diff > w.smax()):
		return 1
	case x < 0 && y > 0 && (diff >= 0 || diff < w.smin()):
		return -1
	}
	return 0
}

// mulRange keeps bounds where no product wraps around.
func (w Width) mulRange(x, y Range) Range {
	r := w.full()
	if hi, lo := bits.Mul64(x.Umax, y.Umax); hi == 0 && lo <= w.mask() {
		r.Umin, r.Umax = x.Umin*y.Umin, lo
	}
	smin, smax := w.smax(), w.smin()
	for _, a := range [2]int64{x.Smin, x.Smax} {
		for _, b := range [2]int64{y.Smin, y.Smax} {
			p, ok := w.signedProduct(a, b)
			if !ok {
				return r
			}
			smin, smax = min(smin, p), max(smax, p)
		}
	}
	r.Smin, r.Smax = smin, smax
	return r
}

// signedProduct is a*b; ok is false if it does not fit.
func (w Width) signedProduct(a, b int64) (p int64, ok bool) {
	p = a * b
	if a != 0 && (p/a != b || a == -1 && b == W64.smin()) {
		return 0, false
	}
	return p, p >= w.smin() && p <= w.smax()
}

// sdivRange bounds a division with sign: a quotient is nearer to 0 than x, and
// by 0 it is 0. Only the smallest number by -1 wraps around.
func (w Width) sdivRange(out *Range, x, y Range) {
	if x.Smin == w.smin() && y.Smin <= -1 && y.Smax >= -1 {
		return
	}
	if y.Smin <= 0 && y.Smax >= 0 {
		// Divisors around 0 include -1 or 1 only: both signs are possible. A
		// smallest x stays itself by 1.
		far := max(x.Smax, -max(x.Smin, w.smin()+1))
		out.Smin, out.Smax = min(-far, x.Smin), far
		return
	}
	smin, smax := w.smax(), w.smin()
	for _, a := range [2]int64{x.Smin, x.Smax} {
		for _, b := range [2]int64{y.Smin, y.Smax} {
			smin, smax = min(smin, a/b), max(smax, a/b)
		}
	}
	if x.Smin <= 0 && x.Smax >= 0 {
		smin, smax = min(smin, 0), max(smax, 0)
	}
	out.Smin, out.Smax = smin, smax
}

// shift joins the results of all amounts that are possible. RFC 9669 takes the
// amount modulo the width.
func (w Width) shift(op Op, x, y part) part {
	var out part
	first := true
	for k := uint64(0); k < uint64(w); k++ {
		if y.r.Umax < uint64(w) {
			if k < y.r.Umin || k > y.r.Umax || !y.t.Contains(k) {
				continue
			}
		} else if (k^y.t.Value)&^y.t.Mask&uint64(w-1) != 0 {
			continue
		}
		p := w.shiftBy(op, x, uint(k))
		if first {
			out, first = p, false
			continue
		}
		out = part{out.t.join(p.t), out.r.join(p.r)}
	}
	if first { // no amount agrees with y: a path that no run takes
		return part{Tnum{0, w.mask()}, w.full()}
	}
	return out
}

func (w Width) shiftBy(op Op, x part, k uint) part {
	p := part{r: w.full()}
	switch op {
	case Lsh:
		p.t = Tnum{x.t.Value << k, x.t.Mask << k}.and(w.mask())
		if x.r.Umax <= w.mask()>>k {
			p.r.Umin, p.r.Umax = x.r.Umin<<k, x.r.Umax<<k
		}
		if x.r.Smin >= w.smin()>>k && x.r.Smax <= w.smax()>>k {
			p.r.Smin, p.r.Smax = x.r.Smin<<k, x.r.Smax<<k
		}
	case Rsh:
		p.t = Tnum{x.t.Value >> k, x.t.Mask >> k}
		p.r.Umin, p.r.Umax = x.r.Umin>>k, x.r.Umax>>k
	case Arsh:
		// An unknown sign is copied into unknown bits.
		p.t = Tnum{uint64(w.signed(x.t.Value) >> k), uint64(w.signed(x.t.Mask) >> k)}.and(w.mask())
		p.r.Smin, p.r.Smax = x.r.Smin>>k, x.r.Smax>>k
	}
	return p
}
