package scalar

import "math/bits"

// Neg is -v on a whole register.
func (w Width) Neg(v *Value) Value {
	zero := w.Const(0)
	return w.Binary(Sub, &zero, v)
}

// NegHalf is -v on the lower half; the upper half of the result is 0.
func (w Width) NegHalf(v *Value) Value {
	zero := w.Const(0)
	return w.BinaryHalf(Sub, &zero, v)
}

// ZeroExtend keeps the low from bits, from at most the width.
func (w Width) ZeroExtend(v *Value, from Width) Value {
	switch {
	case from >= w:
		return *v
	case from == w/2:
		return w.zeroExtend(w.lower(v))
	}
	mask := w.Const(from.mask())
	return w.Binary(And, v, &mask)
}

// SignExtend copies bit from-1 into all bits above.
func (w Width) SignExtend(v *Value, from Width) Value {
	if from >= w {
		return *v
	}
	if x, ok := v.IsConst(); ok {
		return w.Const(uint64(from.signed(x)))
	}
	low := v.Bits.and(from.mask())
	out := w.Unknown()
	out.Bits = Tnum{uint64(from.signed(low.Value)), uint64(from.signed(low.Mask))}.and(w.mask())
	out.R.Smin, out.R.Smax = from.smin(), from.smax()
	switch {
	case from == w/2:
		out.R.Smin, out.R.Smax = v.H.Smin, v.H.Smax
	case v.R.Smin >= from.smin() && v.R.Smax <= from.smax():
		out.R.Smin, out.R.Smax = v.R.Smin, v.R.Smax
	}
	return w.settle(out)
}

// SignExtendHalf is SignExtend within the lower half; the upper half of the
// result is 0.
func (w Width) SignExtendHalf(v *Value, from Width) Value {
	x := w.SignExtend(v, from)
	return w.ZeroExtend(&x, w/2)
}

// Swap reverses the order of the low n bytes and clears the others. n is 2, 4
// or 8; the width is 64.
func Swap(v *Value, n int) Value {
	shift := 64 - 8*n
	out := W64.Unknown()
	out.Bits = Tnum{bits.ReverseBytes64(v.Bits.Value) >> shift, bits.ReverseBytes64(v.Bits.Mask) >> shift}
	return W64.settle(out)
}
