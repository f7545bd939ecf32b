package verify

// A comparison decides whether one state covers another: whatever a run can do
// from the other, it can do from the one.
type comparison struct {
	// exact asks for equality: the other state can do no less either.
	exact bool
	// ids pairs the ids of the two states. What they link is compared by
	// position, so an id of one state must stand for a single id of the other.
	ids []idPair
}

type idPair struct{ old, new uint32 }

func (c *comparison) pair(old, new uint32) bool {
	if old == 0 || new == 0 {
		return old == new
	}
	for _, p := range c.ids {
		if p.old == old || p.new == new {
			return p.old == old && p.new == new
		}
	}
	c.ids = append(c.ids, idPair{old, new})
	return true
}

// covers reports whether a path that was walked from old needs no second walk
// from new (see demand): what is live must be of the same kind, and the numbers
// that are needed must lie within those of old. So everything that runs from new
// do was walked from old, and facts stay facts when paths are pruned.
func (v *verifier) covers(old, new *state, exact bool) bool {
	if old.depth != new.depth || len(old.held) != len(new.held) {
		return false
	}
	c := comparison{exact: exact, ids: v.ids[:0]}
	defer func() { v.ids = c.ids }()
	for d, f := range old.frames[:old.depth+1] {
		g := new.frames[d]
		// Where the frame is: at the state's instruction, or behind its call.
		at, live := old.insn, v.live[old.insn]
		if d < old.depth {
			at = old.frames[d+1].callsite
			live = v.live[at+1] & calleeSaved
		}
		need := needs{allRegs, allUnits, allUnits}
		if !exact {
			// The walk from old is over: what is needed later is known.
			need = *v.needed(at)
			if d < old.depth {
				need.registers = v.needed(at + 1).registers
			}
		}
		for r := range 10 {
			if live&(1<<r) != 0 && !c.reg(&f.regs[r], &g.regs[r], need.registers&(1<<r) != 0) {
				return false
			}
		}
		if !c.stack(f, g, &need) {
			return false
		}
	}
	for i := range old.held {
		if !c.pair(old.held[i].id, new.held[i].id) {
			return false
		}
	}
	return true
}

// sameCalls reports whether the states are in the same chain of calls.
func sameCalls(a, b *state) bool {
	if a.depth != b.depth {
		return false
	}
	for d := 1; d <= a.depth; d++ {
		if a.frames[d].callsite != b.frames[d].callsite {
			return false
		}
	}
	return true
}

// reg compares registers. needed says that a number may decide something.
func (c *comparison) reg(old, new *reg, needed bool) bool {
	if old.kind == nothing {
		// The walk from old did not read it, or it would have failed.
		return !c.exact || new.kind == nothing
	}
	if old.kind == number && new.kind == number && !needed {
		return true
	}
	if old.kind != new.kind || old.orNull != new.orNull || old.frame != new.frame || old.object != new.object {
		return false
	}
	if c.exact {
		if old.v != new.v {
			return false
		}
	} else if !old.v.Includes(&new.v) {
		return false
	}
	if !c.pair(old.reference, new.reference) {
		return false
	}
	if old.id == 0 && !c.exact {
		return true // a link more in new is only knowledge more
	}
	return old.delta == new.delta && c.pair(old.id, new.id)
}

func (c *comparison) stack(old, new *frame, need *needs) bool {
	n := len(old.bytes)
	if c.exact {
		n = max(n, len(new.bytes))
	}
	for i := 0; i < n; i++ {
		if !need.read.has(i) {
			continue
		}
		if !need.stored.has(i) && old.holdsNumber(i) {
			if !new.holdsNumber(i) {
				return false
			}
			continue
		}
		switch o, w := old.at(i), new.at(i); o {
		case unwritten:
			if c.exact && w != unwritten {
				return false
			}
		case data:
			if w == unwritten || c.exact && w != data {
				return false
			}
			if w == spilled && new.spillAt(i).reg.isPointer() {
				return false
			}
		case zero:
			if w == zero {
				continue
			}
			if w != spilled || c.exact {
				return false
			}
			if x, ok := new.spillAt(i).reg.v.IsConst(); !ok || x != 0 || new.spillAt(i).reg.kind != number {
				return false
			}
		case spilled:
			s := old.spillAt(i)
			if !c.spill(s, new) {
				return false
			}
			i = s.high() - 1
		}
	}
	return true
}

// holdsNumber reports whether byte i was written, and not with a pointer.
func (f *frame) holdsNumber(i int) bool {
	switch f.at(i) {
	case unwritten:
		return false
	case spilled:
		return f.spillAt(i).reg.kind == number
	}
	return true
}

// spill compares a spilled register with what is in its place in new.
func (c *comparison) spill(s *spill, new *frame) bool {
	if t := new.spillAt(s.low()); t != nil && t.low() == s.low() && t.size == s.size {
		return c.reg(&s.reg, &t.reg, true)
	}
	if c.exact || s.reg.kind != number || s.reg.id != 0 {
		return false
	}
	// Something else that is as good: zeros, or data where old knew nothing.
	zeros := true
	for i := s.low(); i < s.high(); i++ {
		switch new.at(i) {
		case zero:
		case data:
			zeros = false
		default:
			return false
		}
	}
	v := w64.Const(0)
	if !zeros {
		v = w64.Between(0, ^uint64(0)>>(64-8*int(s.size)))
	}
	return s.reg.v.Includes(&v)
}

// forgetSingles clears the ids of numbers that link nothing, so that they are
// not asked of states that are compared with s.
func (v *verifier) forgetSingles(s *state) {
	clear(v.uses)
	s.eachReg(func(r *reg) {
		if r.id != 0 {
			v.uses[r.id]++
		}
	})
	s.eachReg(func(r *reg) {
		if r.kind == number && r.id != 0 && v.uses[r.id] == 1 {
			r.id, r.delta = 0, 0
		}
	})
}
