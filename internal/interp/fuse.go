package interp

// A pattern is a sequence of operations that one operation runs.
type pattern struct {
	op    op
	steps []step
}

// A step is one operation of a pattern. Registers are letters, 0 where the
// operation has none: the same letter is the same register, different letters
// are different registers.
type step struct {
	op       op
	dst, src byte
}

// fuse gives the first instruction of each sequence that has a pattern the
// pattern's operation. The others of the sequence stay as they are and the fused
// operation takes its operands from them, so that a jump into the middle finds
// what it did before and positions do not change.
func fuse(insns []insn) {
	for i := range insns {
		for _, p := range patterns[insns[i].op] {
			if p.matches(insns[i:]) {
				insns[i].op = p.op
				break
			}
		}
	}
}

func (p *pattern) matches(insns []insn) bool {
	var letters ['z' + 1]int8 // register+1 of each letter
	var taken [16]bool        // registers that have a letter
	bind := func(letter byte, reg uint8) bool {
		if letter == 0 {
			return true
		}
		if letters[letter] == 0 && !taken[reg] {
			letters[letter], taken[reg] = int8(reg)+1, true
		}
		return letters[letter] == int8(reg)+1
	}
	for _, s := range p.steps {
		if len(insns) == 0 || insns[0].op != s.op {
			return false
		}
		if !bind(s.dst, insns[0].dst) || !bind(s.src, insns[0].src) {
			return false
		}
		n := 1
		if s.op == opLddw {
			n = 2
		}
		insns = insns[n:]
	}
	return true
}
