package verify

import (
	"github.com/cilium/ebpf/asm"

	"github.com/skep-bpf/skep/internal/image"
)

// A subprogram is one function of the program.
type subprogram struct {
	start, end int // slots: [start, end)
	name       string
	// depth is the number of stack bytes that were found to be used.
	depth int
	// calls are the slots where it calls other subprograms, callers those where
	// it is called, exits those where it returns.
	calls, callers, exits []int
}

// next are the slots that may follow slot i within its subprogram.
func (v *verifier) next(i int) (to [2]int, n int) {
	in := v.p.Insns[i]
	switch {
	case in.Op == opLoadImm64:
		return [2]int{i + 2}, 1
	case in.Op == opExit:
		return to, 0
	case in.Op == opJa || in.Op == opJa32:
		return [2]int{v.target(i)}, 1
	case isBranch(in):
		return [2]int{i + 1, v.target(i)}, 2
	}
	return [2]int{i + 1}, 1
}

// isBranch reports whether in is a conditional jump.
func isBranch(in image.Insn) bool {
	c := classOf(in)
	return (c == asm.JumpClass || c == asm.Jump32Class) &&
		in.Op != opJa && in.Op != opJa32 && in.Op != opCall && in.Op != opExit
}

// target is where the jump in slot i leads.
func (v *verifier) target(i int) int {
	if in := v.p.Insns[i]; in.Op == opJa32 {
		return i + 1 + int(in.Imm)
	} else {
		return i + 1 + int(in.Off)
	}
}

func isLocalCall(in image.Insn) bool {
	return in.Op == opCall && asm.Register(in.Src) == asm.PseudoCall
}

// flow finds the subprograms, checks that control stays within each of them,
// and that every instruction can be reached.
func (v *verifier) flow() *Error {
	if err := v.subprograms(); err != nil {
		return err
	}
	for s := range v.subs {
		if err := v.checkJumps(&v.subs[s]); err != nil {
			return err
		}
	}
	if err := v.reachable(); err != nil {
		return err
	}
	return v.callDepth()
}

func (v *verifier) subprograms() *Error {
	n := len(v.p.Insns)
	for s, p := range v.p.Subprograms {
		v.insn = -1
		if s == 0 && p.Start != 0 || s > 0 && p.Start <= v.p.Subprograms[s-1].Start || p.Start >= n || v.second[p.Start] {
			return v.fail(CodeMalformed, "function %s starts at instruction %d, which can't be", p.Name, p.Start)
		}
		v.subs = append(v.subs, subprogram{start: p.Start, end: n, name: p.Name})
		if s > 0 {
			v.subs[s-1].end = p.Start
		}
	}
	if len(v.subs) == 0 {
		v.subs = []subprogram{{end: n, name: v.p.Name}}
	}
	v.subOf = make([]int, n)
	for s, p := range v.subs {
		for i := p.start; i < p.end; i++ {
			v.subOf[i] = s
		}
	}
	for i, in := range v.p.Insns {
		sub := &v.subs[v.subOf[i]]
		if in.Op == opExit && !v.second[i] {
			sub.exits = append(sub.exits, i)
		}
		if v.second[i] || !isLocalCall(in) {
			continue
		}
		v.insn = i
		to := v.callee(i)
		if to < 0 || to >= n || v.subs[v.subOf[to]].start != to {
			return v.fail(CodeJumpOutside, "the call leads to instruction %d, where no function starts", to)
		}
		sub.calls = append(sub.calls, i)
		called := &v.subs[v.subOf[to]]
		called.callers = append(called.callers, i)
	}
	return nil
}

func (v *verifier) checkJumps(s *subprogram) *Error {
	last := s.start
	for i := s.start; i < s.end; i++ {
		if v.second[i] {
			continue
		}
		v.insn, last = i, i
		in := v.p.Insns[i]
		if in.Op != opJa && in.Op != opJa32 && !isBranch(in) {
			continue
		}
		to := v.target(i)
		if to < s.start || to >= s.end {
			return v.fail(CodeJumpOutside, "the jump leads to instruction %d; the function has %d to %d", to, s.start, s.end-1)
		}
		if v.second[to] {
			return v.fail(CodeJumpOutside, "the jump leads into the middle of the 64-bit load at instruction %d", to-1)
		}
		v.checkpoint[to] = true
		v.checkpoint[i+1] = true // what follows a branch, or is no instruction
	}
	v.insn = last
	if op := v.p.Insns[last].Op; op != opExit && op != opJa && op != opJa32 {
		return v.fail(CodeJumpOutside, "the last instruction of function %s is neither a return nor a jump", s.name)
	}
	return nil
}

// reachable follows every edge, whatever the conditions are.
func (v *verifier) reachable() *Error {
	seen := make([]bool, len(v.p.Insns))
	todo := []int{0}
	put := func(i int) {
		if !seen[i] {
			seen[i] = true
			todo = append(todo, i)
		}
	}
	seen[0] = true
	for len(todo) > 0 {
		i := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		if v.second[i+1] {
			seen[i+1] = true
		}
		to, n := v.next(i)
		for _, t := range to[:n] {
			put(t)
		}
		switch in := v.p.Insns[i]; {
		case isLocalCall(in):
			put(v.callee(i))
			v.checkpoint[v.callee(i)] = true
		case in.Op == opLoadImm64 && asm.Register(in.Src) == asm.PseudoFunc:
			if to := v.callee(i); to >= 0 && to < len(seen) && v.subs[v.subOf[to]].start == to {
				put(to)
			}
		}
	}
	for i, ok := range seen {
		if !ok {
			v.insn = i
			return v.fail(CodeUnreachable, "no path leads to instruction %d", i)
		}
	}
	return nil
}
