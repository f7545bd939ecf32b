package helper

import (
	"fmt"
	"strconv"
	"testing"
)

// FuzzParse parses any text: what is read is within it, and a number that Go reads
// too is the same.
func FuzzParse(f *testing.F) {
	for _, text := range []string{"", "0", "-1", " 0x1fz", "018", "18446744073709551616", "\xa0-7"} {
		f.Add([]byte(text), uint64(10))
		f.Add([]byte(text), uint64(0))
	}
	f.Fuzz(func(t *testing.T, text []byte, base uint64) {
		v, negative, n, errno := parse(text, base)
		if n < 0 || n > len(text) || (errno == 0) != (n > 0) {
			t.Fatalf("%q in base %d: %d bytes, %d", text, base, n, errno)
		}
		if errno != 0 || base == 0 || n > numberLength || isSpace(text[0]) || len(text) > 1 && text[1]|0x20 == 'x' || negative {
			return
		}
		want, err := strconv.ParseUint(string(text[:n]), int(base), 64)
		if err != nil || v != want {
			t.Errorf("%q in base %d: %d, want %d, %v", text[:n], base, v, want, err)
		}
		again, _, m, _ := parse(fmt.Append(nil, v), 10)
		if again != v || m != len(fmt.Sprint(v)) {
			t.Errorf("%d is read as %d", v, again)
		}
	})
}
