package verify

import (
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/btf"

	"github.com/skep-bpf/skep/internal/abi"
	"github.com/skep-bpf/skep/internal/image"
)

const (
	// maxProcessed and maxWaiting are the kernel's limits of complexity
	// (BPF_COMPLEXITY_LIMIT_INSNS, BPF_COMPLEXITY_LIMIT_JMP_SEQ).
	maxProcessed = 1_000_000
	maxWaiting   = 8192
)

// A verifier judges one program. It walks every path depth-first and keeps
// states on the way, so that a path that arrives with nothing new can stop.
//
// Subprograms, global ones too, are walked anew at every call, with what is
// known of their arguments there: that judges exactly the calls that can happen.
type verifier struct {
	img   *image.Image
	p     *image.Program
	o     *Options
	typ   *abi.ProgramType
	maps  []mapInfo
	types []btf.Type // what kernelPtr registers point to
	task  btf.Type   // task_struct, nil before it was asked for

	// What the instructions say by themselves.
	second     []bool // the second slot of a 64-bit load
	checkpoint []bool // jumps come here: a place to keep states
	subs       []subprogram
	subOf      []int
	live       []regSet
	demand     demand

	// The walk.
	cur     *state
	insn    int // where cur is
	waiting []*state
	kept    [][]*kept // by instruction
	path    []int32   // where each conditional jump on the way led
	pool    pool
	nextID  uint32
	ids     []idPair       // of comparisons
	uses    map[uint32]int // of forgetSingles

	jumps      int // walked over all paths
	keptJumps  int // jumps when a state was last kept
	keptInsns  int
	stats      Stats
	facts      []InsnFact
	otherLoads []bool // instructions that load through other pointers than a kernelPtr
	context    int    // bytes of the context that are accessed
}

// A kept state is one that paths are compared with.
type kept struct {
	*state // nil once it was dropped
	// parent is the kept state before it on its path.
	parent *kept
	// open is the number of paths from here that are not walked to their end:
	// until it is 0, nothing is proved.
	open int
	// hits and misses say whether it was worth keeping.
	hits, misses int
}

func newVerifier(img *image.Image, p *image.Program, o *Options) *verifier {
	n := len(p.Insns)
	return &verifier{
		img: img, p: p, o: o, typ: abi.ProgramTypeOf(p.Type),
		second: make([]bool, n+1), checkpoint: make([]bool, n+1),
		kept: make([][]*kept, n), facts: make([]InsnFact, n), otherLoads: make([]bool, n),
		uses: map[uint32]int{},
	}
}

// run judges the program.
func (v *verifier) run() *Error {
	v.insn = -1
	n := len(v.p.Insns)
	if n == 0 {
		return v.fail(CodeMalformed, "the program has no instructions")
	}
	if n > maxProcessed {
		return v.fail(CodeTooComplex, "the program has %d instructions; the limit is %d", n, maxProcessed)
	}
	for _, check := range []func() *Error{v.wellFormed, v.flow, v.supported, v.resolveMaps} {
		if err := check(); err != nil {
			return err
		}
	}
	v.liveRegisters()
	v.initDemand()
	v.cur = v.entry()
	if err := v.explore(); err != nil {
		return err
	}
	return v.stackDepth()
}

// supported refuses program types whose rules are not known.
func (v *verifier) supported() *Error {
	v.insn = -1
	if v.typ == nil {
		return v.fail(CodeUnsupported, "program type %v is not known", v.p.Type)
	}
	if v.typ.Context.Size == 0 {
		return v.fail(CodeUnsupported, "programs of type %s are not known yet", v.typ.Name)
	}
	return nil
}

// entry is the state at the start: R1 is the context, R10 the frame pointer.
func (v *verifier) entry() *state {
	s := new(state)
	f := v.pool.frame()
	f.callsite = -1
	f.regs[1] = reg{kind: contextPtr, v: w64.Const(0)}
	f.regs[10] = reg{kind: stackPtr, v: w64.Const(0)}
	s.frames[0] = f
	return s
}

// A walk is what a step of the walk leads to.
type walk uint8

const (
	goOn    walk = iota // at cur.insn
	endPath             // nothing follows
)

func (v *verifier) explore() *Error {
	for {
		next := goOn
		v.insn = v.cur.insn
		if v.checkpoint[v.insn] {
			var err *Error
			if next, err = v.visit(); err != nil {
				return err
			}
		}
		if next == goOn {
			v.stats.Processed++
			if v.stats.Processed > maxProcessed {
				return v.fail(CodeTooComplex, "more than %d instructions over all paths", maxProcessed)
			}
			if v.o.Log != nil {
				v.log()
			}
			v.facts[v.insn].Reached = true
			var err *Error
			if next, err = v.step(); err != nil {
				return err
			}
		}
		if next == endPath && !v.resume() {
			return nil
		}
	}
}

// resume closes the current path and takes up a waiting one. It reports false
// if there is none.
func (v *verifier) resume() bool {
	for k := v.cur.seen; k != nil; k = k.parent {
		if k.open--; k.open > 0 {
			break
		}
	}
	n := len(v.waiting)
	if n == 0 {
		return false
	}
	v.pool.free(v.cur)
	v.cur = v.waiting[n-1]
	v.waiting = v.waiting[:n-1]
	v.path = append(v.path[:v.cur.path], int32(v.cur.insn))
	return true
}

// fork lets a copy of the current state wait at slot to. The caller may change
// the copy.
func (v *verifier) fork(to int) (*state, *Error) {
	if len(v.waiting) >= maxWaiting {
		return nil, v.fail(CodeTooComplex, "more than %d branches wait to be walked", maxWaiting)
	}
	s := v.pool.clone(v.cur)
	s.insn = to
	if s.seen != nil {
		s.seen.open++
	}
	s.path = len(v.path)
	v.waiting = append(v.waiting, s)
	return s, nil
}

// visit compares the current state with those that were kept here, and keeps it
// if none of them covers it.
func (v *verifier) visit() (walk, *Error) {
	here := v.kept[v.insn]
	inLoop := false
	for n := len(here) - 1; n >= 0; n-- {
		k := here[n]
		if !sameCalls(k.state, v.cur) {
			continue
		}
		if k.open > 0 {
			// The path has come through k itself, for paths are walked depth-first.
			inLoop = true
			if v.covers(k.state, v.cur, true) {
				return goOn, v.fail(CodeInfiniteLoop, "the loop is back at instruction %d with nothing changed", v.insn)
			}
			continue
		}
		if v.covers(k.state, v.cur, false) {
			k.hits++
			return endPath, nil
		}
	}
	// States that are close to each other hardly ever cover each other, least of
	// all those of a loop that is walked again and again.
	jumps, insns := v.jumps-v.keptJumps, v.stats.Processed-v.keptInsns
	if v.stats.States > 0 && (jumps < 2 || insns < 8 || inLoop && jumps < 20 && insns < 100) {
		return goOn, nil
	}
	v.dropUseless()
	v.keep()
	return goOn, nil
}

// dropUseless drops kept states that were compared often and in vain, also those
// whose paths are still walked: a loop that comes back does so soon.
func (v *verifier) dropUseless() {
	here := v.kept[v.insn]
	useful := here[:0]
	for _, k := range here {
		if sameCalls(k.state, v.cur) {
			if k.misses++; k.misses > 3*k.hits+3 {
				v.pool.free(k.state)
				k.state = nil
				continue
			}
		}
		useful = append(useful, k)
	}
	clear(here[len(useful):])
	v.kept[v.insn] = useful
}

// keep keeps a copy of the current state, without what is never read again.
func (v *verifier) keep() {
	v.keptJumps, v.keptInsns = v.jumps, v.stats.Processed
	v.stats.States++
	s := v.pool.clone(v.cur)
	for d, f := range s.frames[:s.depth+1] {
		live := v.live[s.insn]
		if d < s.depth {
			live = v.live[s.frames[d+1].callsite+1] & calleeSaved
		}
		for r := range 10 {
			if live&(1<<r) == 0 {
				f.regs[r] = reg{}
			}
		}
	}
	v.forgetSingles(s)
	k := &kept{state: s, parent: v.cur.seen, open: 1}
	s.seen = nil
	v.cur.seen = k
	v.kept[v.insn] = append(v.kept[v.insn], k)
}

func (v *verifier) newID() uint32 {
	v.nextID++
	return v.nextID
}

// step walks the instruction at cur.insn.
func (v *verifier) step() (walk, *Error) {
	in := v.p.Insns[v.insn]
	var err *Error
	switch classOf(in) {
	case asm.LdClass:
		err = v.loadImm(in)
		v.facts[v.insn+1].Reached = true
		v.cur.insn++
	case asm.LdXClass:
		err = v.load(in)
	case asm.StClass:
		value := constReg(uint64(int64(in.Imm)))
		err = v.store(in, &value)
	case asm.StXClass:
		if asm.Mode(in.Op&modeMask) == asm.AtomicMode {
			err = v.atomic(in)
			break
		}
		var value *reg
		if value, err = v.read(in.Src); err == nil {
			err = v.store(in, value)
		}
	case asm.ALUClass, asm.ALU64Class:
		err = v.alu(in)
	default:
		return v.jump(in)
	}
	v.cur.insn++
	return goOn, err
}

func (v *verifier) jump(in image.Insn) (walk, *Error) {
	v.jumps++
	switch in.Op {
	case opJa, opJa32:
		v.cur.insn = v.target(v.insn)
		return goOn, nil
	case opExit:
		return v.exit()
	case opCall:
		switch asm.Register(in.Src) {
		case asm.PseudoCall:
			v.callLocal(v.callee(v.insn))
			return goOn, nil
		case asm.PseudoKfuncCall:
			name := "?"
			if n := int(in.Imm); n >= 0 && n < len(v.p.Kfuncs) {
				name = v.p.Kfuncs[n]
			}
			return goOn, v.fail(CodeUnsupported, "kernel functions are not known yet: %s", name)
		}
		v.cur.insn++
		return goOn, v.callHelper(asm.BuiltinFunc(in.Imm))
	}
	return v.branch(in)
}

// read is the register n, which must have been written.
func (v *verifier) read(n uint8) (*reg, *Error) {
	r := &v.cur.top().regs[n]
	if r.kind == nothing {
		return nil, v.fail(CodeUninitialized, "R%d is read, but not every way here writes it", n)
	}
	return r, nil
}
