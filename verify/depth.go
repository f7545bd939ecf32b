package verify

// callDepth refuses functions that call themselves, and chains of more calls
// than there are frames, whether or not they are ever taken.
func (v *verifier) callDepth() *Error {
	const walking = -1
	frames := make([]int, len(v.subs)) // of the longest chain that starts at each
	var below func(s int) *Error
	below = func(s int) *Error {
		frames[s] = walking
		most := 0
		for _, i := range v.subs[s].calls {
			to := v.subOf[v.callee(i)]
			if frames[to] == walking {
				return v.failAt(i, CodeStackDepth, "function %s calls itself", v.subs[to].name)
			}
			if frames[to] == 0 {
				if err := below(to); err != nil {
					return err
				}
			}
			if most = max(most, frames[to]); most >= maxFrames {
				return v.failAt(i, CodeStackDepth, "calls are nested deeper than %d functions", maxFrames)
			}
		}
		frames[s] = most + 1
		return nil
	}
	return below(0)
}

// stackDepth sums the stack frames of every chain of calls. The kernel rounds
// each frame up to 16 bytes, and gives tracing programs a stack per function.
func (v *verifier) stackDepth() *Error {
	if v.typ.PrivateStack {
		return nil
	}
	deepest := make([]int, len(v.subs)) // of the chains that start at each
	var below func(s int) int
	below = func(s int) int {
		if deepest[s] > 0 {
			return deepest[s]
		}
		most := 0
		for _, i := range v.subs[s].calls {
			if v.facts[i].Reached {
				most = max(most, below(v.subOf[v.callee(i)]))
			}
		}
		deepest[s] = max(v.subs[s].depth+15, 16)/16*16 + most
		return deepest[s]
	}
	if n := below(0); n > stackSize {
		return v.failAt(-1, CodeStackDepth, "the stack frames of nested calls have %d bytes together; the limit is %d", n, stackSize)
	}
	return nil
}

// callee is where the call of a function in slot i leads.
func (v *verifier) callee(i int) int { return i + 1 + int(v.p.Insns[i].Imm) }
