package view

import (
	"fmt"
	"io"
	"math"
	"strings"
	"time"
	"unicode/utf8"
)

// A Histogram counts values by their binary logarithm: element i counts those in
// [2^i, 2^(i+1)), element 0 zeros too.
type Histogram []uint64

// Count is the number of values.
func (h Histogram) Count() (n uint64) {
	for _, v := range h {
		n += v
	}
	return n
}

// Add adds the counts of other, which is as long.
func (h Histogram) Add(other Histogram) {
	for i, v := range other {
		h[i] += v
	}
}

// Quantile is the value below which the share q (0 to 1) of all values lies.
// Inside the bucket that holds it, values are taken as evenly spread, so it is
// off by less than the bucket's width, a factor of two. It is 0 without values.
func (h Histogram) Quantile(q float64) float64 {
	rank := q * float64(h.Count())
	if rank <= 0 {
		return 0
	}
	before := 0.0
	for i, v := range h {
		n := float64(v)
		if n > 0 && before+n >= rank {
			return math.Ldexp(1+(rank-before)/n, i)
		}
		before += n
	}
	return 0
}

// Span is the range [lo, hi) of buckets that hold anything in one of hs.
func Span(hs ...Histogram) (lo, hi int) {
	lo = math.MaxInt
	for _, h := range hs {
		for i, v := range h {
			if v > 0 {
				lo, hi = min(lo, i), max(hi, i+1)
			}
		}
	}
	return min(lo, hi), hi
}

var blocks = []rune("▁▂▃▄▅▆▇█")

// Spark draws the buckets [lo, hi) in one character each: the highest one fills
// it, an empty one is a space, any other is at least the lowest block.
func (h Histogram) Spark(lo, hi int) string {
	top := uint64(1)
	for _, v := range h {
		top = max(top, v)
	}
	var b strings.Builder
	for i := lo; i < hi; i++ {
		switch {
		case i >= len(h) || h[i] == 0:
			b.WriteByte(' ')
		default:
			level := float64(h[i]) / float64(top) * float64(len(blocks))
			b.WriteRune(blocks[max(0, min(len(blocks), int(math.Ceil(level)))-1)])
		}
	}
	return b.String()
}

// Bound is the lower bound of bucket i in nanoseconds, for people.
func Bound(i int) string {
	if i >= 63 {
		return Duration(math.MaxInt64)
	}
	return Duration(time.Duration(1) << i)
}

// Block draws h, a distribution of nanoseconds, a line for each bucket.
func (h Histogram) Block(w io.Writer, o Options) error {
	const bar = 40
	lo, hi := Span(h)
	top, widest := uint64(1), 1
	for _, v := range h[lo:hi] {
		top = max(top, v)
		widest = max(widest, len(fmt.Sprint(v)))
	}
	for i := lo; i < hi; i++ {
		eighths := int(math.Ceil(float64(h[i]) / float64(top) * bar * 8))
		filled := strings.Repeat("█", eighths/8)
		if rest := eighths % 8; rest > 0 {
			filled += string([]rune("▏▎▍▌▋▊▉")[rest-1])
		}
		if _, err := fmt.Fprintf(w, "  %s .. %s  %*d  %s\n", padLeft(Bound(i), 6), padLeft(Bound(i+1), 6), widest, h[i], filled); err != nil {
			return err
		}
	}
	return nil
}

// padLeft fills s with spaces on its left up to width characters.
func padLeft(s string, width int) string {
	return strings.Repeat(" ", max(0, width-utf8.RuneCountInString(s))) + s
}

// padRight fills s with spaces on its right up to width characters.
func padRight(s string, width int) string {
	return s + strings.Repeat(" ", max(0, width-utf8.RuneCountInString(s)))
}
