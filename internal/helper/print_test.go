package helper

import (
	"testing"

	"github.com/skep-bpf/skep/internal/mem"
)

// FuzzTracePrintk prints by any format: the line is no longer than it may be and
// agrees with the length that is given.
func FuzzTracePrintk(f *testing.F) {
	for _, s := range []string{"plain\n", "%d %5u %-08llx|%c", "%s and %20s%%", "%pI6 %pi4 %pB", "%pks%pus", "%+ 0-99999999999d", "%", "%p%", "%l", "%\xff", "\xe9"} {
		f.Add([]byte(s+"\x00"), uint64(1), ^uint64(0), uint64(0x10000))
	}
	page := make([]byte, 4096)
	for i := range page {
		page[i] = byte(i)
	}
	c := newCall(f, 0)
	c.Runner.Env.Memory = user{page}
	f.Fuzz(func(t *testing.T, format []byte, r3, r4, r5 uint64) {
		format = format[:min(len(format), 2000)]
		lines, length := 0, 0
		c.Runner.Env.Print = func(line []byte) { lines, length = lines+1, len(line) }
		addr := c.Runner.Context.Addr
		copy(mem.Slice(addr, len(format)), format)
		got := int64(tracePrintk(c, addr, uint64(len(format)), r3, r4, r5))
		switch {
		case got >= 0:
			if lines != 1 || length > printLine-1 || int64(length) > got {
				t.Errorf("length %d, %d lines, the last of %d bytes", got, lines, length)
			}
		case got != -int64(mem.EINVAL) && got != -int64(mem.ENOSPC) || lines != 0:
			t.Errorf("error %d, %d lines", got, lines)
		}
	})
}
