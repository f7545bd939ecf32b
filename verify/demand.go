package verify

import (
	"github.com/cilium/ebpf/asm"

	"github.com/skep-bpf/skep/internal/abi"
)

// needs is what the paths from one instruction need to know of its state.
type needs struct {
	// registers are those whose number may decide something: a branch, an
	// address, an argument that has bounds.
	registers regSet
	// stored are the bytes of the stack with such numbers.
	stored unitSet
	// read are the bytes of the stack that are read at all.
	read unitSet
}

// A demand is the backward analysis of what matters later. A number that is only
// counted up and stored away need not be the same when states are compared; the
// kernel gets there by marking registers as precise on the way back from a use.
//
// Part of it can't be seen in the instructions and is noted while paths are
// walked: which bytes a load reads through a pointer, which branches had one
// possible side. The sets only grow. Once all paths from a kept state have been
// walked, all that was noted on them is in the sets, and they hold for it.
//
// Why a state N may stop at a walked state O that agrees with it in what is
// needed: take any run from N. Step by step it does what some walked path from O
// does. Loads, stores and calls depend on kinds, which are compared for
// everything that is live, and on needed numbers. A branch with two possible
// sides was walked on both; one with a single side needs its operands. Where a
// needed number is narrowed by a branch, the other operand is needed, too.
type demand struct {
	in    []needs // per instruction: before it
	preds [][]int32
	todo  []int32
	queue []bool // in todo

	// What is noted.
	decided []bool    // branches with one side, or that narrowed linked registers
	loads   []unitSet // bytes that a load reads
	always  []unitSet // bytes whose numbers are needed: keys, what callees read
	reads   []unitSet // bytes that are read, whatever for
	stores  []unitSet // bytes that a store through another register than R10 writes
	outside []bool    // stores into the frame of a caller
	kills   []unitSet // bytes that a store through R10 overwrites as a whole
}

func (v *verifier) initDemand() {
	n := len(v.p.Insns)
	d := &v.demand
	d.in = make([]needs, n)
	d.preds = make([][]int32, n)
	d.queue = make([]bool, n)
	d.decided, d.outside = make([]bool, n), make([]bool, n)
	d.loads, d.always, d.reads = make([]unitSet, n), make([]unitSet, n), make([]unitSet, n)
	d.stores, d.kills = make([]unitSet, n), make([]unitSet, n)
	for i, in := range v.p.Insns {
		if v.second[i] {
			continue
		}
		to, m := v.next(i)
		for _, t := range to[:m] {
			d.preds[t] = append(d.preds[t], int32(i))
		}
		c := classOf(in)
		store := c == asm.StClass || c == asm.StXClass && asm.Mode(in.Op&modeMask) == asm.MemMode
		if low, high := -int(in.Off)-sizeOf(in), -int(in.Off); store && in.Dst == 10 && low >= 0 && high <= stackSize {
			d.stores[i] = units(low, high)
			if low%unitSize == 0 && high%unitSize == 0 {
				d.kills[i] = d.stores[i]
			}
		}
		d.put(i)
	}
}

func (d *demand) put(i int) {
	if !d.queue[i] {
		d.queue[i] = true
		d.todo = append(d.todo, int32(i))
	}
}

// grow adds to a noted set of instruction i.
func (d *demand) grow(set *unitSet, more unitSet, i int) {
	if s := set.or(more); s != *set {
		*set = s
		d.put(i)
	}
}

// needed is what the paths from instruction i need, as far as they were walked.
func (v *verifier) needed(i int) *needs {
	d := &v.demand
	for len(d.todo) > 0 {
		j := int(d.todo[len(d.todo)-1])
		d.todo = d.todo[:len(d.todo)-1]
		d.queue[j] = false
		if n := v.before(j); n != d.in[j] {
			d.in[j] = n
			for _, p := range d.preds[j] {
				d.put(int(p))
			}
			v.acrossCalls(j)
		}
	}
	return &d.in[i]
}

// acrossCalls carries what changed at instruction i into and out of subprograms.
func (v *verifier) acrossCalls(i int) {
	d := &v.demand
	sub := &v.subs[v.subOf[i]]
	if i == sub.start {
		for _, c := range sub.callers {
			d.put(c)
		}
	}
	if i > 0 && isLocalCall(v.p.Insns[i-1]) {
		for _, x := range v.subs[v.subOf[v.callee(i-1)]].exits {
			d.put(x)
		}
	}
}

// before is what is needed before instruction i.
func (v *verifier) before(i int) needs {
	d := &v.demand
	var out needs
	to, n := v.next(i)
	for _, t := range to[:n] {
		out.registers |= d.in[t].registers
		out.stored = out.stored.or(d.in[t].stored)
		out.read = out.read.or(d.in[t].read)
	}
	in := v.p.Insns[i]
	dst, src := regSet(1)<<in.Dst&allRegs, regSet(1)<<in.Src&allRegs
	need := needs{
		registers: out.registers,
		stored:    out.stored.andNot(d.kills[i]).or(d.always[i]),
		read:      out.read.andNot(d.kills[i]).or(d.reads[i]),
	}
	switch classOf(in) {
	case asm.LdClass:
		need.registers &^= dst
	case asm.LdXClass:
		if out.registers&dst != 0 {
			need.stored = need.stored.or(d.loads[i])
		}
		need.registers = need.registers&^dst | src
	case asm.StClass:
		need.registers |= dst
	case asm.StXClass:
		if asm.Mode(in.Op&modeMask) == asm.AtomicMode {
			need.registers |= dst | src // rarely a number that matters, and simpler
			if in.Imm == atomicCmpxchg {
				need.registers |= 1
			}
			break
		}
		need.registers |= dst
		if d.outside[i] || !out.stored.and(d.stores[i]).empty() {
			need.registers |= src
		}
	case asm.ALUClass, asm.ALU64Class:
		_, defines := v.registers(i)
		uses, _ := v.registers(i)
		if out.registers&defines == 0 {
			uses = 0
		}
		need.registers = need.registers&^defines | uses
	default:
		need.registers = v.beforeJump(i, out.registers)
	}
	return need
}

func (v *verifier) beforeJump(i int, out regSet) regSet {
	in := v.p.Insns[i]
	switch {
	case in.Op == opExit:
		sub := v.subOf[i]
		if sub == 0 {
			low, high := v.typ.ReturnRange(v.p.AttachType)
			if full := w64.Unknown().R; low > full.Smin || high < full.Smax {
				return 1
			}
		}
		for _, c := range v.subs[sub].callers {
			out |= v.demand.in[c+1].registers & 1
		}
		return out
	case in.Op == opJa || in.Op == opJa32:
		return out
	case isLocalCall(in):
		return out&^callerSaved | v.demand.in[v.callee(i)].registers&arguments
	case in.Op == opCall:
		return out&^callerSaved | v.neededArguments(i)
	}
	if uses, _ := v.registers(i); v.demand.decided[i] || out&uses != 0 {
		out |= uses
	}
	return out
}

// neededArguments are the arguments of a helper that are checked: all but those
// that may be any number.
func (v *verifier) neededArguments(i int) regSet {
	h := abi.HelperByID(asm.BuiltinFunc(v.p.Insns[i].Imm))
	if v.p.Insns[i].Src != 0 || h == nil {
		return arguments
	}
	var set regSet
	for n, a := range h.Args {
		if a != abi.ArgNone && a != abi.ArgAnything {
			set |= 1 << (n + 1)
		}
	}
	return set
}

// noteRead notes that bytes of a frame are read. Their numbers are needed if a
// load takes them to a register that is, or, with matter, in any case.
func (v *verifier) noteRead(f *frame, s span, matter bool) {
	d, u := &v.demand, units(s.low, s.high)
	if f == v.cur.top() {
		d.grow(&d.reads[v.insn], u, v.insn)
		if matter {
			d.grow(&d.always[v.insn], u, v.insn)
		} else if classOf(v.p.Insns[v.insn]) == asm.LdXClass {
			d.grow(&d.loads[v.insn], u, v.insn)
		}
		return
	}
	// To the frame of a caller it is the call that reads.
	for n, g := range v.cur.frames[:v.cur.depth] {
		if g == f {
			at := v.cur.frames[n+1].callsite
			d.grow(&d.reads[at], u, at)
			d.grow(&d.always[at], u, at)
		}
	}
}

// noteStore notes that the current instruction stores into a frame.
func (v *verifier) noteStore(f *frame, s span) {
	d := &v.demand
	if f == v.cur.top() {
		d.grow(&d.stores[v.insn], units(s.low, s.high), v.insn)
	} else if !d.outside[v.insn] {
		d.outside[v.insn] = true
		d.put(v.insn)
	}
}

// noteDecided notes that what follows the current branch depends on its numbers.
func (v *verifier) noteDecided() {
	if !v.demand.decided[v.insn] {
		v.demand.decided[v.insn] = true
		v.demand.put(v.insn)
	}
}
