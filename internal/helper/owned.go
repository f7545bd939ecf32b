package helper

import (
	"github.com/skep-bpf/skep/internal/maps"
	"github.com/skep-bpf/skep/internal/mem"
)

// owned is memory of the engine that belongs to the program, and the ring if it
// is one's data.
type owned struct {
	mem.Range
	ring maps.Ring
}

// owned is what the program's registers may point to besides its stack and
// context: the memory of its maps.
func (c *Call) owned() []owned {
	if c.ranges == nil {
		for _, m := range c.Maps {
			c.ranges = appendOwned(c.ranges, m)
		}
		for _, m := range c.inner {
			c.ranges = appendOwned(c.ranges, m)
		}
	}
	return c.ranges
}

func appendOwned(to []owned, m maps.Map) []owned {
	ring, _ := m.(maps.Ring)
	for _, r := range m.Ranges() {
		to = append(to, owned{r, ring})
	}
	return to
}

// owns reports whether the n bytes at addr are the program's own.
func (c *Call) owns(addr, n uint64) bool {
	if c.Runner.Stack.Contains(addr, n) || c.Runner.Context.Contains(addr, n) {
		return true
	}
	for _, o := range c.owned() {
		if o.Contains(addr, n) {
			return true
		}
	}
	return false
}
