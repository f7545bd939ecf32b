package scalar

// deduce lets each part of a value learn from the others. ok is false if no
// number agrees with all of them.
func (w Width) deduce(v Value) (out Value, ok bool) {
	if v.Bits.Mask == 0 {
		c := w.Const(v.Bits.Value)
		return c, v.R.includes(c.R) && v.H.includes(c.H)
	}
	h := w / 2
	// What one round learns may teach another part more. The third round
	// hardly ever finds anything; whatever is left is imprecise, never wrong.
	for range 3 {
		before := v
		w.fromBits(&v.R, v.Bits)
		h.fromBits(&v.H, v.Bits.and(h.mask()))
		w.signs(&v.R)
		h.signs(&v.H)
		if v.R.empty() || v.H.empty() {
			return v, false
		}
		w.halfFromWhole(&v)
		if v.H.empty() || !w.wholeFromHalf(&v) || v.R.empty() {
			return v, false
		}
		if v.Bits, ok = v.Bits.meet(tnumRange(v.R.Umin, v.R.Umax)); !ok {
			return v, false
		}
		low := tnumRange(v.H.Umin, v.H.Umax)
		low.Mask |= w.mask() &^ h.mask()
		if v.Bits, ok = v.Bits.meet(low); !ok {
			return v, false
		}
		if v == before {
			break
		}
	}
	return v, true
}

// fromBits bounds a number by its known bits.
func (w Width) fromBits(r *Range, t Tnum) {
	*r = r.meet(Range{
		Umin: t.Value,
		Umax: t.max(),
		Smin: w.signed(t.Value | t.Mask&w.sign()),
		Smax: w.signed(t.Value | t.Mask&^w.sign()),
	})
}

// signs lets the bounds with and without sign learn from each other. A range
// that crosses the border of the other reading is two pieces there; it still
// helps if the other range lies in one of them.
func (w Width) signs(r *Range) {
	lo, hi := uint64(r.Smin)&w.mask(), uint64(r.Smax)&w.mask()
	if lo <= hi {
		r.Umin, r.Umax = max(r.Umin, lo), min(r.Umax, hi)
	} else { // 0..hi and lo..max
		if r.Umin > hi {
			r.Umin = max(r.Umin, lo)
		}
		if r.Umax < lo {
			r.Umax = min(r.Umax, hi)
		}
	}
	first, last := w.signed(r.Umin), w.signed(r.Umax)
	if first <= last {
		r.Smin, r.Smax = max(r.Smin, first), min(r.Smax, last)
	} else { // first..smax and smin..last
		if r.Smin > last {
			r.Smin = max(r.Smin, first)
		}
		if r.Smax < first {
			r.Smax = min(r.Smax, last)
		}
	}
}

// halfFromWhole bounds the lower half where the whole moves through less than
// one turn of it.
func (w Width) halfFromWhole(v *Value) {
	h := w / 2
	turn := func(first, last uint64) {
		if last-first > h.mask() {
			return
		}
		lo, hi := first&h.mask(), last&h.mask()
		if lo <= hi {
			v.H.Umin, v.H.Umax = max(v.H.Umin, lo), min(v.H.Umax, hi)
		} else {
			if v.H.Umin > hi {
				v.H.Umin = max(v.H.Umin, lo)
			}
			if v.H.Umax < lo {
				v.H.Umax = min(v.H.Umax, hi)
			}
		}
		if slo, shi := h.signed(lo), h.signed(hi); slo <= shi {
			v.H.Smin, v.H.Smax = max(v.H.Smin, slo), min(v.H.Smax, shi)
		}
	}
	turn(v.R.Umin, v.R.Umax)
	turn(uint64(v.R.Smin), uint64(v.R.Smax))
	h.signs(&v.H)
}

// wholeFromHalf moves the bounds of the whole to the next numbers whose lower
// half is within its bounds. It reports false if there are none.
func (w Width) wholeFromHalf(v *Value) bool {
	h := w / 2
	step := h.mask() + 1
	lo, hi := v.H.Umin, v.H.Umax

	switch low := v.R.Umin & h.mask(); {
	case low < lo:
		v.R.Umin += lo - low
	case low > hi:
		if v.R.Umin-low > w.mask()-step {
			return false
		}
		v.R.Umin += step - low + lo
	}
	switch low := v.R.Umax & h.mask(); {
	case low > hi:
		v.R.Umax -= low - hi
	case low < lo:
		if v.R.Umax < step {
			return false
		}
		v.R.Umax -= step + low - hi
	}

	switch low := uint64(v.R.Smin) & h.mask(); {
	case low < lo:
		v.R.Smin += int64(lo - low)
	case low > hi:
		if v.R.Smin-int64(low) > w.smax()-int64(step) {
			return false
		}
		v.R.Smin += int64(step - low + lo)
	}
	switch low := uint64(v.R.Smax) & h.mask(); {
	case low > hi:
		v.R.Smax -= int64(low - hi)
	case low < lo:
		if v.R.Smax-int64(low) < w.smin()+int64(step) {
			return false
		}
		v.R.Smax -= int64(step + low - hi)
	}

	// A whole that is a small number is its lower half, read with sign.
	if v.R.Smin >= h.smin() && v.R.Smax <= h.smax() {
		v.R.Smin, v.R.Smax = max(v.R.Smin, v.H.Smin), min(v.R.Smax, v.H.Smax)
	}
	return true
}
