package scalar

import (
	"fmt"
	"math/big"
	"math/bits"
	"math/rand/v2"
	"testing"
)

var opNames = [...]string{"add", "sub", "mul", "div", "sdiv", "mod", "smod", "and", "or", "xor", "lsh", "rsh", "arsh"}
var condNames = [...]string{"eq", "ne", "gt", "ge", "lt", "le", "sgt", "sge", "slt", "sle", "set", "unset"}

// stride leaves out pairs of values where a sample is enough.
var stride = 1

// exact is an operation in unbounded integers, written from RFC 9669 and not
// from the code under test.
func exact(w Width, op Op, x, y uint64) uint64 {
	ux, uy := new(big.Int).SetUint64(x), new(big.Int).SetUint64(y)
	signed := func(u *big.Int) *big.Int {
		if u.Bit(int(w)-1) == 1 {
			return new(big.Int).Sub(u, new(big.Int).Lsh(big.NewInt(1), uint(w)))
		}
		return u
	}
	sx, sy := signed(ux), signed(uy)
	z := new(big.Int)
	n := uint(y % uint64(w))
	switch op {
	case Add:
		z.Add(ux, uy)
	case Sub:
		z.Sub(ux, uy)
	case Mul:
		z.Mul(ux, uy)
	case Div:
		if y != 0 {
			z.Quo(ux, uy)
		}
	case SDiv:
		if y != 0 {
			z.Quo(sx, sy)
		}
	case Mod:
		z = ux
		if y != 0 {
			z = new(big.Int).Rem(ux, uy)
		}
	case SMod:
		z = ux
		if y != 0 {
			z = new(big.Int).Rem(sx, sy)
		}
	case And:
		z.And(ux, uy)
	case Or:
		z.Or(ux, uy)
	case Xor:
		z.Xor(ux, uy)
	case Lsh:
		z.Lsh(ux, n)
	case Rsh:
		z.Rsh(ux, n)
	case Arsh:
		z.Rsh(sx, n)
	}
	modulus := new(big.Int).Lsh(big.NewInt(1), uint(w))
	return z.Mod(z, modulus).Uint64()
}

func holds(w Width, c Cond, x, y uint64) bool {
	sx, sy := w.signed(x), w.signed(y)
	switch c {
	case Eq:
		return x == y
	case Ne:
		return x != y
	case Gt:
		return x > y
	case Ge:
		return x >= y
	case Lt:
		return x < y
	case Le:
		return x <= y
	case Sgt:
		return sx > sy
	case Sge:
		return sx >= sy
	case Slt:
		return sx < sy
	case Sle:
		return sx <= sy
	case Set:
		return x&y != 0
	}
	return x&y == 0
}

// members are the numbers of a value of a narrow width.
func members(w Width, v Value) []uint64 {
	var xs []uint64
	for x := uint64(0); x <= w.mask(); x++ {
		if w.Contains(&v, x) {
			xs = append(xs, x)
		}
	}
	return xs
}

// everyValue gives all non-empty values of a width that differ in one part from
// knowing nothing, and a sample of those that differ in several.
func everyValue(w Width, sample int, r *rand.Rand) []Value {
	seen := map[Value]bool{}
	var vs []Value
	put := func(v Value) {
		if v, ok := w.deduce(v); ok && !seen[v] && len(members(w, v)) > 0 {
			seen[v] = true
			vs = append(vs, v)
		}
	}
	h := w / 2
	var tnums []Tnum
	for m := uint64(0); m <= w.mask(); m++ {
		for v := uint64(0); v <= w.mask(); v++ {
			if v&m == 0 {
				tnums = append(tnums, Tnum{v, m})
			}
		}
	}
	ranges := func(w Width) []Range {
		rs := []Range{w.full()}
		for a := uint64(0); a <= w.mask(); a++ {
			for b := a; b <= w.mask(); b++ {
				r := w.full()
				r.Umin, r.Umax = a, b
				rs = append(rs, r)
				s := w.full()
				s.Smin, s.Smax = w.smin()+int64(a), w.smin()+int64(b)
				rs = append(rs, s)
			}
		}
		return rs
	}
	whole, half := ranges(w), ranges(h)
	any := w.Unknown()
	for _, t := range tnums {
		put(Value{t, any.R, any.H})
	}
	for _, r := range whole {
		put(Value{any.Bits, r, any.H})
	}
	for _, r := range half {
		put(Value{any.Bits, any.R, r})
	}
	for range sample {
		put(Value{tnums[r.IntN(len(tnums))],
			whole[r.IntN(len(whole))].meet(whole[r.IntN(len(whole))]),
			half[r.IntN(len(half))].meet(half[r.IntN(len(half))])})
	}
	return vs
}

// Every operation on every pair of 4-bit values (whose halves have 2 bits).
func TestBinaryExhaustive(t *testing.T) {
	const w, h = Width(4), Width(2)
	r := rand.New(rand.NewPCG(1, 2))
	vs := everyValue(w, 600, r)
	ms := make([][]uint64, len(vs))
	for i, v := range vs {
		ms[i] = members(w, v)
	}
	for op := Add; op <= Arsh; op++ {
		var table, halves [16][16]uint64
		for x := range uint64(16) {
			for y := range uint64(16) {
				table[x][y] = exact(w, op, x, y)
				halves[x][y] = exact(h, op, x&3, y&3)
			}
		}
		for i := range vs {
			for j := range vs {
				if (i+j)%stride != 0 {
					continue
				}
				whole := w.Binary(op, &vs[i], &vs[j])
				half := w.BinaryHalf(op, &vs[i], &vs[j])
				for _, x := range ms[i] {
					for _, y := range ms[j] {
						if !w.Contains(&whole, table[x][y]) {
							t.Fatalf("%s: %d, %d gives %d, outside %+v of %+v and %+v", opNames[op], x, y, table[x][y], whole, vs[i], vs[j])
						}
						if !w.Contains(&half, halves[x][y]) {
							t.Fatalf("%s of halves: %d, %d gives %d, outside %+v of %+v and %+v", opNames[op], x, y, halves[x][y], half, vs[i], vs[j])
						}
					}
				}
			}
		}
	}
}

// Every comparison of every pair of 4-bit values keeps what takes the branch.
func TestRefineExhaustive(t *testing.T) {
	const w, h = Width(4), Width(2)
	vs := everyValue(w, 600, rand.New(rand.NewPCG(3, 4)))
	ms := make([][]uint64, len(vs))
	for i, v := range vs {
		ms[i] = members(w, v)
	}
	for c := Eq; c <= Unset; c++ {
		for i := range vs {
			for j := range vs {
				if (i+j)%stride != 0 {
					continue
				}
				a, b, ok := w.Refine(c, &vs[i], &vs[j])
				ah, bh, okh := w.RefineHalf(c, &vs[i], &vs[j])
				for _, x := range ms[i] {
					for _, y := range ms[j] {
						if holds(w, c, x, y) && (!ok || !w.Contains(&a, x) || !w.Contains(&b, y)) {
							t.Fatalf("%d %s %d: lost from %+v and %+v: %+v, %+v, %v", x, condNames[c], y, vs[i], vs[j], a, b, ok)
						}
						if holds(h, c, x&3, y&3) && (!okh || !w.Contains(&ah, x) || !w.Contains(&bh, y)) {
							t.Fatalf("%d %s %d in halves: lost from %+v and %+v: %+v, %+v, %v", x, condNames[c], y, vs[i], vs[j], ah, bh, okh)
						}
					}
				}
			}
		}
	}
}

// The other operations on 4-bit values, and on 8-bit ones around any number.
func TestUnaryExhaustive(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	for _, v := range everyValue(4, 500, r) {
		checkUnary(t, 4, v)
	}
	const w = Width(8)
	for range 5000 / stride {
		v := w.Const(r.Uint64())
		for range r.IntN(4) {
			v = v.Join(w.Const(r.Uint64()))
		}
		v.Bits.Mask |= r.Uint64() & r.Uint64() & w.mask()
		v.Bits.Value &^= v.Bits.Mask
		v, _ = w.deduce(v)
		checkUnary(t, w, v)
	}
}

func checkUnary(t *testing.T, w Width, v Value) {
	t.Helper()
	neg, negHalf := w.Neg(&v), w.NegHalf(&v)
	h := w / 2
	for _, x := range members(w, v) {
		if !w.Contains(&neg, -x&w.mask()) || !w.Contains(&negHalf, -x&h.mask()) {
			t.Fatalf("-%d outside %+v or %+v", x, neg, negHalf)
		}
		for from := Width(2); from <= w; from *= 2 {
			half := min(from, h)
			for name, c := range map[string]struct {
				v    Value
				want uint64
			}{
				"zero": {w.ZeroExtend(&v, from), x & from.mask()},
				"sign": {w.SignExtend(&v, from), uint64(from.signed(x)) & w.mask()},
				"half": {w.SignExtendHalf(&v, half), uint64(half.signed(x)) & h.mask()},
			} {
				if !w.Contains(&c.v, c.want) {
					t.Fatalf("%s extension of %d from %d bits: %d outside %+v of %+v", name, x, from, c.want, c.v, v)
				}
			}
		}
	}
}

// deduce loses no number, and what includes another value contains its numbers.
func TestDeduceAndOrder(t *testing.T) {
	const w = Width(4)
	vs := everyValue(w, 300, rand.New(rand.NewPCG(7, 8)))
	for i := range vs {
		d, ok := w.deduce(vs[i])
		if !ok {
			t.Fatalf("%+v is empty, but has %v", vs[i], members(w, vs[i]))
		}
		if a, b := fmt.Sprint(members(w, vs[i])), fmt.Sprint(members(w, d)); a != b {
			t.Fatalf("%+v: %s becomes %s", vs[i], a, b)
		}
		for j := range vs {
			if (i+j)%stride != 0 {
				continue
			}
			join := vs[i].Join(vs[j])
			for _, x := range members(w, vs[j]) {
				if vs[i].Includes(&vs[j]) && !w.Contains(&vs[i], x) {
					t.Fatalf("%+v includes %+v without %d", vs[i], vs[j], x)
				}
				if !w.Contains(&join, x) {
					t.Fatalf("join of %+v and %+v has no %d", vs[i], vs[j], x)
				}
			}
			if !join.Includes(&vs[i]) || !join.Includes(&vs[j]) {
				t.Fatalf("join of %+v and %+v includes not both", vs[i], vs[j])
			}
		}
	}
}

// interesting numbers: ends of ranges, powers of two and their neighbours.
func interesting(r *rand.Rand) uint64 {
	switch r.IntN(5) {
	case 0:
		return r.Uint64()
	case 1:
		return r.Uint64() >> r.IntN(64)
	case 2:
		return 1<<r.IntN(64) + uint64(r.IntN(5)) - 2
	case 3:
		return -(r.Uint64() >> r.IntN(64))
	}
	return uint64(r.IntN(130)) - 2
}

// around makes a value that holds x: the hull of a few numbers, with what is
// known of bits, bounds or both taken away again at random.
func around(r *rand.Rand, x uint64) Value {
	v := W64.Const(x)
	for range r.IntN(4) {
		y := interesting(r)
		switch r.IntN(3) {
		case 0: // near x
			y = x + uint64(r.IntN(512)) - 256
		case 1: // the same upper half
			y = x&^0xffffffff | y&0xffffffff
		}
		c := W64.Const(y)
		v = v.Join(c)
	}
	any := W64.Unknown()
	if r.IntN(3) == 0 {
		v.Bits = any.Bits
	}
	if r.IntN(3) == 0 {
		v.R.Umin, v.R.Umax = any.R.Umin, any.R.Umax
	}
	if r.IntN(3) == 0 {
		v.R.Smin, v.R.Smax = any.R.Smin, any.R.Smax
	}
	if r.IntN(3) == 0 {
		v.H = any.H
	}
	v, ok := W64.deduce(v)
	if !ok || !W64.Contains(&v, x) {
		panic(fmt.Sprintf("around %#x: %+v", x, v))
	}
	return v
}

// Random numbers and values of 64 bits around them.
func TestRandom64(t *testing.T) {
	r := rand.New(rand.NewPCG(9, 10))
	for range 1_000_000 / stride {
		x, y := interesting(r), interesting(r)
		if r.IntN(4) == 0 {
			y = x + uint64(r.IntN(5)) - 2
		}
		a, b := around(r, x), around(r, y)
		op := Op(r.IntN(int(Arsh) + 1))
		if v, want := W64.Binary(op, &a, &b), W64.eval(op, x, y); !W64.Contains(&v, want) {
			t.Fatalf("%s: %#x, %#x gives %#x, outside %+v of %+v and %+v", opNames[op], x, y, want, v, a, b)
		}
		if v, want := W64.BinaryHalf(op, &a, &b), Width(32).eval(op, x&0xffffffff, y&0xffffffff); !W64.Contains(&v, want) {
			t.Fatalf("%s of halves: %#x, %#x gives %#x, outside %+v of %+v and %+v", opNames[op], x, y, want, v, a, b)
		}
		c := Cond(r.IntN(int(Unset) + 1))
		if holds(64, c, x, y) {
			if p, q, ok := W64.Refine(c, &a, &b); !ok || !W64.Contains(&p, x) || !W64.Contains(&q, y) {
				t.Fatalf("%#x %s %#x: lost from %+v and %+v: %+v, %+v, %v", x, condNames[c], y, a, b, p, q, ok)
			}
		}
		if holds(32, c, x&0xffffffff, y&0xffffffff) {
			if p, q, ok := W64.RefineHalf(c, &a, &b); !ok || !W64.Contains(&p, x) || !W64.Contains(&q, y) {
				t.Fatalf("%#x %s %#x in halves: lost from %+v and %+v: %+v, %+v, %v", x, condNames[c], y, a, b, p, q, ok)
			}
		}
		size := 1 << (1 + r.IntN(3))
		if v, want := Swap(&a, size), bits.ReverseBytes64(x)>>(64-8*size); !W64.Contains(&v, want) {
			t.Fatalf("swap of %d bytes of %#x: %#x outside %+v of %+v", size, x, want, v, a)
		}
		from := Width(8 << r.IntN(3))
		if v := W64.SignExtend(&a, from); !W64.Contains(&v, uint64(from.signed(x))) {
			t.Fatalf("sign extension of %#x from %d outside %+v of %+v", x, from, v, a)
		}
	}
}

// eval, which folds constants, agrees with exact arithmetic.
func TestEval(t *testing.T) {
	r := rand.New(rand.NewPCG(11, 12))
	for range 20_000 / stride {
		x, y := interesting(r), interesting(r)
		for _, w := range []Width{64, 32} {
			for op := Add; op <= Arsh; op++ {
				if got, want := w.eval(op, x&w.mask(), y&w.mask()), exact(w, op, x&w.mask(), y&w.mask()); got != want {
					t.Fatalf("%s of %d bits: %#x, %#x gives %#x, want %#x", opNames[op], w, x, y, got, want)
				}
			}
		}
	}
}

// What must be found out, so that the domain is not sound by knowing nothing.
func TestPrecision(t *testing.T) {
	u := W64.Unknown()
	c := func(x uint64) *Value { v := W64.Const(x); return &v }
	byteValue := W64.Between(0, 255)
	masked := W64.Binary(And, &u, c(0x3f))
	for name, p := range map[string]struct {
		got  Value
		want Value
	}{
		"and bounds":          {masked, W64.Between(0, 63)},
		"add":                 {W64.Binary(Add, &byteValue, c(10)), W64.Between(10, 265)},
		"sub goes negative":   {W64.Binary(Sub, &byteValue, c(10)), W64.SignedBetween(-10, 245)},
		"mul":                 {W64.Binary(Mul, &byteValue, c(3)), W64.Between(0, 765)},
		"div":                 {W64.Binary(Div, &byteValue, c(16)), W64.Between(0, 15)},
		"mod":                 {W64.Binary(Mod, &u, c(10)), W64.Between(0, 9)},
		"smod":                {W64.Binary(SMod, &u, c(10)), W64.SignedBetween(-9, 9)},
		"rsh":                 {W64.Binary(Rsh, &u, c(56)), W64.Between(0, 255)},
		"arsh":                {W64.Binary(Arsh, &u, c(60)), W64.SignedBetween(-8, 7)},
		"movsx":               {W64.SignExtend(&u, 8), W64.SignedBetween(-128, 127)},
		"32-bit result":       {W64.ZeroExtend(&u, 32), W64.Between(0, 0xffffffff)},
		"signed 32 to 64 bit": {W64.SignExtend(&u, 32), W64.SignedBetween(-1<<31, 1<<31-1)},
	} {
		if p.got.R != p.want.R {
			t.Errorf("%s: %+v, want %+v", name, p.got, p.want)
		}
	}
	if v, _, ok := W64.Refine(Lt, &u, c(16)); !ok || v.R.Umax != 15 || v.R.Smin != 0 {
		t.Errorf("x < 16: %+v", v)
	}
	if v, _, ok := W64.RefineHalf(Slt, &u, c(16)); !ok || v.H.Smax != 15 {
		t.Errorf("w < 16: %+v", v)
	}
	if _, _, ok := W64.Refine(Gt, &byteValue, c(255)); ok {
		t.Error("a byte above 255")
	}
	if _, _, ok := W64.Refine(Eq, &byteValue, c(256)); ok {
		t.Error("a byte of 256")
	}
}

func BenchmarkBinary(b *testing.B) {
	r := rand.New(rand.NewPCG(13, 14))
	x, y := around(r, 5), W64.Between(3, 200)
	for b.Loop() {
		x = W64.Binary(Add, &x, &y)
	}
}

func BenchmarkRefine(b *testing.B) {
	x, y := W64.Unknown(), W64.Between(3, 200)
	for b.Loop() {
		W64.Refine(Lt, &x, &y)
	}
}
