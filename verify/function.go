package verify

import "fmt"

// callLocal enters a subprogram: its frame has the arguments and nothing else.
// callDepth has seen to it that there is a frame.
func (v *verifier) callLocal(to int) {
	caller := v.cur.top()
	f := v.pool.frame()
	*f = frame{bytes: f.bytes[:0], spills: f.spills[:0], callsite: v.insn}
	copy(f.regs[1:6], caller.regs[1:6])
	for r := range 6 {
		caller.regs[r] = reg{}
	}
	v.cur.depth++
	f.regs[10] = reg{kind: stackPtr, frame: uint8(v.cur.depth), v: w64.Const(0)}
	v.cur.frames[v.cur.depth] = f
	v.cur.insn = to
}

// exit returns from a subprogram, or ends the program.
func (v *verifier) exit() (walk, *Error) {
	f := v.cur.top()
	result := f.regs[0]
	if v.cur.depth > 0 {
		if result.kind == stackPtr {
			return endPath, v.fail(CodePointerLeak, "the function returns a pointer to the stack")
		}
		v.cur.insn = f.callsite + 1
		v.cur.frames[v.cur.depth] = nil
		v.pool.frames = append(v.pool.frames, f)
		v.cur.depth--
		v.cur.top().regs[0] = result
		return goOn, nil
	}
	if len(v.cur.held) > 0 {
		h := v.cur.held[0]
		return endPath, v.fail(CodeReferenceLeak, "the record that was reserved at %s is neither submitted nor discarded", v.place(h.insn))
	}
	if result.kind == nothing {
		return endPath, v.fail(CodeMissingReturn, "the program ends without a return value: R0 is not set")
	}
	if result.isPointer() {
		return endPath, v.fail(CodePointerLeak, "the program returns %s: an address gets out", v.describe(&result))
	}
	low, high := v.typ.ReturnRange(v.p.AttachType)
	if b := result.v.R; b.Smin < low || b.Smax > high {
		return endPath, v.fail(CodeReturnRange, "the program returns %s; a %s program may return %s", offsets(b.Smin, b.Smax), v.typ.Name, offsets(low, high))
	}
	return endPath, nil
}

// place is an instruction in words.
func (v *verifier) place(insn int) string {
	if l := v.p.Source(insn); l != nil && l.Line > 0 {
		return fmt.Sprintf("line %d", l.Line)
	}
	return fmt.Sprintf("instruction %d", insn)
}
