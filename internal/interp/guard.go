package interp

import (
	"math"
	"slices"

	"github.com/cilium/ebpf"

	"github.com/skep-bpf/skep/internal/abi"
	"github.com/skep-bpf/skep/internal/helper"
	"github.com/skep-bpf/skep/internal/mem"
)

// A guard knows what a program owns during one run. The checked loop asks it
// before each access. With Options.Checked unset it only counts.
type guard struct {
	call     *helper.Call
	checked  bool
	executed uint64
	budget   uint64
	reason   Reason // why the last question was answered with no

	ctx     uint64
	owned   []ownedRange
	records []mem.Range // ring-buffer records between reserve and submit
	top     uint64      // end of frame 0
}

type ownedRange struct {
	mem.Range
	readOnly bool
}

func newGuard(c *Code, call *helper.Call, ctx uint64) *guard {
	g := &guard{
		call:    call,
		checked: c.options.Checked,
		budget:  c.options.Budget,
		ctx:     ctx,
		top:     call.Runner.Stack.Addr + call.Runner.Stack.Size,
	}
	if g.budget == 0 {
		g.budget = math.MaxUint64
	}
	size := c.options.ContextSize
	if slot := call.Runner.Context; size == 0 && !c.verified && slot.Contains(ctx, 1) {
		size = slot.Addr + slot.Size - ctx
	}
	g.owned = append(g.owned, ownedRange{mem.Range{Addr: ctx, Size: size}, false})
	for _, m := range c.maps {
		readOnly := m.Spec().Flags&abi.MapRdonlyProg != 0
		// Programs reach a ring's memory only through the records they reserve.
		if m.Spec().Type == ebpf.RingBuf {
			continue
		}
		for _, r := range m.Ranges() {
			g.owned = append(g.owned, ownedRange{r, readOnly})
		}
	}
	return g
}

// owns reports whether the program may access n bytes at addr. r10 says which
// frames are live: the current one and those above it.
func (g *guard) owns(r10, addr, n uint64, write bool) bool {
	bottom := r10 - mem.StackSize
	if (mem.Range{Addr: bottom, Size: g.top - bottom}).Contains(addr, n) {
		return true
	}
	for i := range g.owned {
		if g.owned[i].Contains(addr, n) {
			return !write || !g.owned[i].readOnly
		}
	}
	for _, r := range g.records {
		if r.Contains(addr, n) {
			return true
		}
	}
	return false
}

func (g *guard) readable(r *[16]uint64, addr, n uint64) bool {
	g.reason = BadRead
	return !g.checked || g.owns(r[10], addr, n, false)
}

func (g *guard) writable(r *[16]uint64, addr, n uint64) bool {
	g.reason = BadWrite
	return !g.checked || g.owns(r[10], addr, n, true)
}

func (g *guard) atomic(r *[16]uint64, addr, n uint64) bool {
	if g.checked && addr%n != 0 {
		g.reason = Misaligned
		return false
	}
	return g.writable(r, addr, n)
}

// enter checks the arguments of a helper against its prototype. addr is the
// argument that it refuses.
func (g *guard) enter(h *abi.Helper, r *[16]uint64) (addr uint64, ok bool) {
	if !g.checked {
		return 0, true
	}
	g.reason = BadArgument
	var spec *ebpf.MapSpec
	for i, arg := range h.Args {
		v := r[i+1]
		switch arg {
		case abi.ArgMapPtr:
			m := g.call.Map(v)
			if m == nil {
				return v, false
			}
			spec = m.Spec()
		case abi.ArgMapKey, abi.ArgMapValue, abi.ArgMapValueOut:
			if spec == nil {
				return v, false
			}
			n := spec.ValueSize
			if arg == abi.ArgMapKey {
				n = spec.KeySize
			}
			ok = g.owns(r[10], v, uint64(n), arg == abi.ArgMapValueOut)
		case abi.ArgMem, abi.ArgMemOrNull, abi.ArgMemOut:
			n := g.size(h, r, i)
			ok = n == 0 || v == 0 && arg == abi.ArgMemOrNull || g.owns(r[10], v, n, arg == abi.ArgMemOut)
		case abi.ArgLongOut:
			ok = g.owns(r[10], v, 8, true)
		case abi.ArgIntOut:
			ok = g.owns(r[10], v, 4, true)
		case abi.ArgContext:
			ok = v == g.ctx
		case abi.ArgRingbufRecord:
			ok = slices.ContainsFunc(g.records, func(rec mem.Range) bool { return rec.Addr == v })
		case abi.ArgConstString:
			ok = g.ownsString(r[10], v)
		default:
			ok = true
		}
		if !ok && arg != abi.ArgMapPtr {
			return v, false
		}
	}
	return 0, true
}

// size is the value of the size argument that belongs to memory argument i: the
// next one that is a size.
func (g *guard) size(h *abi.Helper, r *[16]uint64, i int) uint64 {
	for j := i + 1; j < len(h.Args); j++ {
		if h.Args[j] == abi.ArgSize || h.Args[j] == abi.ArgSizeOrZero {
			return r[j+1]
		}
	}
	return math.MaxUint64
}

// ownsString reports whether a NUL-terminated string lies in owned memory.
func (g *guard) ownsString(r10, addr uint64) bool {
	for ; g.owns(r10, addr, 1, false); addr++ {
		if load8(addr) == 0 {
			return true
		}
	}
	return false
}

// leave follows what a helper has taken and given.
func (g *guard) leave(h *abi.Helper, r *[16]uint64, ret uint64) {
	if !g.checked {
		return
	}
	for i, arg := range h.Args {
		switch arg {
		case abi.ArgRingbufRecord:
			g.records = slices.DeleteFunc(g.records, func(rec mem.Range) bool { return rec.Addr == r[i+1] })
		case abi.ArgAllocSize:
			if ret != 0 {
				g.records = append(g.records, mem.Range{Addr: ret, Size: r[i+1]})
			}
		}
	}
}

// end reports whether the program has given back what it took.
func (g *guard) end() (addr uint64, ok bool) {
	g.reason = RecordKept
	if g.checked && len(g.records) > 0 {
		return g.records[0].Addr, false
	}
	return 0, true
}
