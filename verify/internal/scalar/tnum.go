package scalar

import "math/bits"

// A Tnum is a number of which some bits are known: a bit of Mask is unknown, the
// other bits are those of Value. Value has no bit of Mask. The operations are
// those of "Sound, Precise, and Fast Abstract Interpretation with Tristate
// Numbers" (CGO 2022).
type Tnum struct {
	Value, Mask uint64
}

func tnumConst(x uint64) Tnum { return Tnum{x, 0} }

// tnumRange is the smallest tnum that holds all of min..max.
func tnumRange(min, max uint64) Tnum {
	n := bits.Len64(min ^ max)
	mask := ^(^uint64(0) << n)
	return Tnum{min &^ mask, mask}
}

// Contains reports whether x is one of the numbers.
func (t Tnum) Contains(x uint64) bool { return (x^t.Value)&^t.Mask == 0 }

// max is the number with every unknown bit set.
func (t Tnum) max() uint64 { return t.Value | t.Mask }

// includes reports whether every number of o is one of t.
func (t Tnum) includes(o Tnum) bool {
	return o.Mask&^t.Mask == 0 && (o.Value^t.Value)&^t.Mask == 0
}

// and keeps the bits of mask.
func (t Tnum) and(mask uint64) Tnum { return Tnum{t.Value & mask, t.Mask & mask} }

// meet is what both say. ok is false if they contradict each other.
func (t Tnum) meet(o Tnum) (m Tnum, ok bool) {
	if (t.Value^o.Value)&^(t.Mask|o.Mask) != 0 {
		return Tnum{}, false
	}
	mask := t.Mask & o.Mask
	return Tnum{(t.Value | o.Value) &^ mask, mask}, true
}

// join holds the numbers of both.
func (t Tnum) join(o Tnum) Tnum {
	mask := t.Mask | o.Mask | (t.Value ^ o.Value)
	return Tnum{t.Value &^ mask, mask}
}

func (t Tnum) add(o Tnum) Tnum {
	// A bit is unknown where the carries of the smallest and of the largest sum
	// differ, or where an operand's is.
	masks := t.Mask + o.Mask
	values := t.Value + o.Value
	mask := ((masks + values) ^ values) | t.Mask | o.Mask
	return Tnum{values &^ mask, mask}
}

func (t Tnum) sub(o Tnum) Tnum {
	diff := t.Value - o.Value
	mask := ((diff + t.Mask) ^ (diff - o.Mask)) | t.Mask | o.Mask
	return Tnum{diff &^ mask, mask}
}

// mul adds up, for every bit of t that may be set, what o contributes there:
// known products apart from the uncertainty.
func (t Tnum) mul(o Tnum) Tnum {
	product := t.Value * o.Value
	var unknown Tnum
	for v, m := t.Value, t.Mask; v|m != 0; v, m = v>>1, m>>1 {
		switch {
		case v&1 != 0:
			unknown = unknown.add(Tnum{0, o.Mask})
		case m&1 != 0:
			unknown = unknown.add(Tnum{0, o.Value | o.Mask})
		}
		o.Value, o.Mask = o.Value<<1, o.Mask<<1
	}
	return tnumConst(product).add(unknown)
}

func (t Tnum) bitAnd(o Tnum) Tnum {
	v := t.Value & o.Value
	return Tnum{v, t.max() & o.max() &^ v}
}

func (t Tnum) bitOr(o Tnum) Tnum {
	v := t.Value | o.Value
	return Tnum{v, (t.Mask | o.Mask) &^ v}
}

func (t Tnum) bitXor(o Tnum) Tnum {
	mask := t.Mask | o.Mask
	return Tnum{(t.Value ^ o.Value) &^ mask, mask}
}
