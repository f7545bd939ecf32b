package view

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// Bytes is a size for people: 17 B, 4.0 KiB, 1.2 GiB.
func Bytes(n uint64) string {
	if n < 1024 {
		return strconv.FormatUint(n, 10) + " B"
	}
	v := float64(n)
	for _, unit := range []string{"KiB", "MiB", "GiB", "TiB", "PiB"} {
		v /= 1024
		// 1023.95 would print as 1024.0.
		if v < 1023.95 {
			return fmt.Sprintf("%.1f %s", v, unit)
		}
	}
	return fmt.Sprintf("%.1f EiB", v/1024)
}

// Duration is a time for people, in three digits: 850ns, 12.3µs, 4.56ms, 1.23s,
// 2m03s.
func Duration(d time.Duration) string {
	switch {
	case d < 0:
		return "-" + Duration(-max(d, -math.MaxInt64)) // the smallest value has no negative
	case d < time.Microsecond:
		return strconv.FormatInt(int64(d), 10) + "ns"
	}
	for _, unit := range []struct {
		ns   float64
		name string
	}{{1e3, "µs"}, {1e6, "ms"}, {1e9, "s"}} {
		v := float64(d) / unit.ns
		switch {
		case v < 9.995:
			return fmt.Sprintf("%.2f%s", v, unit.name)
		case v < 99.95:
			return fmt.Sprintf("%.1f%s", v, unit.name)
		case v < 999.5 && unit.name != "s":
			return fmt.Sprintf("%.0f%s", v, unit.name)
		}
	}
	d = d.Round(time.Second)
	if d < time.Hour {
		return fmt.Sprintf("%dm%02ds", d/time.Minute, d%time.Minute/time.Second)
	}
	return fmt.Sprintf("%dh%02dm", d/time.Hour, d%time.Hour/time.Minute)
}

// Count is a number of things: 1 read, 2 reads.
func Count(n uint64, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

// CString is the text before the first NUL.
func CString(b []byte) string {
	s, _, _ := strings.Cut(string(b), "\x00")
	return s
}

// Printable is s with everything escaped that could move the cursor or change
// the terminal: names of files and commands are chosen by those who are watched.
func Printable(s string) string {
	if !strings.ContainsFunc(s, unprintable) {
		return s
	}
	var b strings.Builder
	for i, r := range s {
		if !unprintable(r) {
			b.WriteRune(r)
			continue
		}
		if r == utf8.RuneError {
			fmt.Fprintf(&b, `\x%02x`, s[i])
			continue
		}
		quoted := strconv.QuoteRuneToASCII(r)
		b.WriteString(quoted[1 : len(quoted)-1])
	}
	return b.String()
}

func unprintable(r rune) bool { return r == utf8.RuneError || !unicode.IsPrint(r) }
