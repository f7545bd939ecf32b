// Package scalar is the verifier's abstract domain of numbers: what is known of
// a register that holds no pointer.
//
// All of it is written for a register of any width, so that the tests can go
// through every case of narrow ones; programs have registers of 64 bits whose
// lower halves are numbers of their own (RFC 9669, the classes ALU and JMP32).
package scalar

// A Width is the number of bits of a number: of a whole register, or of half of
// one. It is a power of two from 2 to 64.
type Width uint

// W64 is the width of a register.
const W64 Width = 64

func (w Width) mask() uint64 { return ^uint64(0) >> (64 - w) }
func (w Width) sign() uint64 { return 1 << (w - 1) }
func (w Width) smin() int64  { return -1 << (w - 1) }
func (w Width) smax() int64  { return int64(w.sign() - 1) }

// signed is the number that the low w bits of x are in two's complement.
func (w Width) signed(x uint64) int64 { return int64(x<<(64-w)) >> (64 - w) }

// A Range bounds a number, read without and with sign.
type Range struct {
	Umin, Umax uint64
	Smin, Smax int64
}

func (w Width) full() Range { return Range{0, w.mask(), w.smin(), w.smax()} }

func (w Width) point(x uint64) Range {
	s := w.signed(x)
	return Range{x, x, s, s}
}

func (r Range) includes(o Range) bool {
	return r.Umin <= o.Umin && o.Umax <= r.Umax && r.Smin <= o.Smin && o.Smax <= r.Smax
}

func (r Range) join(o Range) Range {
	return Range{min(r.Umin, o.Umin), max(r.Umax, o.Umax), min(r.Smin, o.Smin), max(r.Smax, o.Smax)}
}

func (r Range) meet(o Range) Range {
	return Range{max(r.Umin, o.Umin), min(r.Umax, o.Umax), max(r.Smin, o.Smin), min(r.Smax, o.Smax)}
}

func (r Range) empty() bool { return r.Umin > r.Umax || r.Smin > r.Smax }

// A Value is a set of numbers: those that agree with all of its parts. The zero
// Value is the constant 0.
type Value struct {
	Bits Tnum  // what is known of single bits
	R    Range // bounds of the whole
	H    Range // bounds of the lower half, as a number of half the width
}

// Const is the one number x.
func (w Width) Const(x uint64) Value {
	x &= w.mask()
	h := w / 2
	return Value{tnumConst(x), w.point(x), h.point(x & h.mask())}
}

// Unknown is any number.
func (w Width) Unknown() Value {
	return Value{Tnum{0, w.mask()}, w.full(), (w / 2).full()}
}

// Between is the numbers from min to max, read without sign.
func (w Width) Between(min, max uint64) Value {
	v := w.Unknown()
	v.R.Umin, v.R.Umax = min, max
	v, _ = w.deduce(v)
	return v
}

// SignedBetween is the numbers from min to max, read with sign.
func (w Width) SignedBetween(min, max int64) Value {
	v := w.Unknown()
	v.R.Smin, v.R.Smax = min, max
	v, _ = w.deduce(v)
	return v
}

// IsConst reports whether the value is one number, and which.
func (v *Value) IsConst() (x uint64, ok bool) { return v.Bits.Value, v.Bits.Mask == 0 }

// IsUnknown reports whether nothing is known.
func (w Width) IsUnknown(v *Value) bool {
	return v.Bits.Mask == w.mask() && v.R == w.full() && v.H == (w/2).full()
}

// HalfConst reports whether the lower half is one number, and which.
func (w Width) HalfConst(v *Value) (x uint64, ok bool) {
	h := (w / 2).mask()
	return v.Bits.Value & h, v.Bits.Mask&h == 0
}

// Contains reports whether x is one of the numbers.
func (w Width) Contains(v *Value, x uint64) bool {
	h := w / 2
	half := x & h.mask()
	return x <= w.mask() && v.Bits.Contains(x) && w.inside(v.R, x) && h.inside(v.H, half)
}

func (w Width) inside(r Range, x uint64) bool {
	s := w.signed(x)
	return r.Umin <= x && x <= r.Umax && r.Smin <= s && s <= r.Smax
}

// Includes reports whether every number of o is one of v. It may say no where a
// closer look would say yes.
func (v *Value) Includes(o *Value) bool {
	return v.Bits.includes(o.Bits) && v.R.includes(o.R) && v.H.includes(o.H)
}

// Join holds the numbers of both.
func (v Value) Join(o Value) Value {
	return Value{v.Bits.join(o.Bits), v.R.join(o.R), v.H.join(o.H)}
}

// FromBits is the numbers with the bits of value, where those of unknown may be
// anything.
func (w Width) FromBits(value, unknown uint64) Value {
	v := w.Unknown()
	v.Bits = Tnum{value &^ unknown, unknown}
	return w.settle(v)
}
