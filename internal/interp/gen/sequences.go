package main

import (
	"fmt"
	"sort"
	"strings"
)

// A sequence is a run of operations that is worth one dispatch. Letters stand
// for registers: the same letter is the same register, different letters are
// different ones.
type sequence struct {
	steps []stepOf
}

type stepOf struct {
	op       operation
	dst, src byte // letters, 0 for none
}

// name is that of the operation: the names of its steps in one word with the
// registers that they use.
func (s sequence) name() string {
	var b strings.Builder
	for i, st := range s.steps {
		if i > 0 {
			b.WriteByte('_')
		}
		b.WriteString(st.op.name)
		for _, v := range []byte{st.dst, st.src} {
			if v != 0 {
				b.WriteByte(v)
			}
		}
	}
	return b.String()
}

// byFirst orders sequences by their first operation, longest first.
func byFirst(seqs []sequence) []sequence {
	out := append([]sequence(nil), seqs...)
	sort.SliceStable(out, func(i, j int) bool {
		a, b := out[i].steps, out[j].steps
		if a[0].op.name != b[0].op.name {
			return a[0].op.name < b[0].op.name
		}
		return len(a) > len(b)
	})
	return out
}

// lastOnly are the operations that can only end a sequence: they go elsewhere, or
// use registers that they don't name.
var lastOnly = map[kind]bool{cmpxchg: true, ja: true, call: true, local: true, exit: true, trap: true}

// parseSequences reads the rows of sequences().
func parseSequences(ops []operation) ([]sequence, error) {
	byName := map[string]operation{}
	for _, o := range ops {
		byName[o.name] = o
	}
	var all []sequence
	seen := map[string]bool{}
	for _, row := range sequences() {
		var s sequence
		for _, text := range strings.Split(row, ";") {
			if n := len(s.steps); n > 0 && lastOnly[s.steps[n-1].op.kind] {
				return nil, fmt.Errorf("sequence %q: %s must be its last step", row, s.steps[n-1].op.name)
			}
			words := strings.Fields(text)
			o, ok := byName[words[0]]
			if !ok {
				return nil, fmt.Errorf("sequence %q: no operation %s", row, words[0])
			}
			st := stepOf{op: o}
			if len(words) > 1 {
				st.dst = words[1][0]
			}
			if len(words) > 2 {
				st.src = words[2][0]
			}
			s.steps = append(s.steps, st)
		}
		if seen[s.name()] {
			return nil, fmt.Errorf("sequence %q: twice", row)
		}
		seen[s.name()] = true
		all = append(all, s)
	}
	return all, nil
}

// sequences are the fused operations: forms that clang's code is full of, found
// by counting in the programs of the benchmark suite. A step is an operation
// with its registers: the first one it names is written, or addressed, or
// compared.
func sequences() []string {
	var all []string
	add := func(format string, args ...any) { all = append(all, fmt.Sprintf(format, args...)) }
	sizes := []int{8, 16, 32, 64}
	widths := []int{64, 32}

	// BPF computes in place: a copy and an operation are what other machines have
	// as one instruction with three operands.
	for _, w := range widths {
		for _, op := range []string{"Add", "Mul", "And", "Lsh", "Rsh"} {
			add("Mov%[2]dReg a b; %[1]s%[2]dImm a", op, w)
		}
		for _, op := range []string{"Add", "Mul", "And", "Xor"} {
			add("Mov%[2]dReg a b; %[1]s%[2]dReg a c", op, w)
		}
	}

	// Rotation, and a word mixed with itself shifted.
	for _, w := range widths {
		add("Mov%[1]dReg a b; Rsh%[1]dImm a; Lsh%[1]dImm b; Or%[1]dReg b a", w)
		for _, shift := range []string{"Lsh", "Rsh"} {
			add("Mov%[1]dReg a b; %[2]s%[1]dImm a; Xor%[1]dReg b a", w, shift)
			add("Mov%[1]dReg a b; %[2]s%[1]dImm a; Xor%[1]dReg a b", w, shift)
		}
	}

	// Steps of one computation.
	for _, w := range widths {
		add("Mul%[1]dImm a; Add%[1]dImm a", w)
		add("Mul%[1]dImm a; Add%[1]dReg b a", w)
		add("Xor%[1]dReg a b; Mul%[1]dImm a", w)
		add("Add%[1]dReg a b; Mov%[1]dReg c a", w)
	}
	add("Lsh64Imm a; Rsh64Imm a") // extension of 32 bits before cpu v3
	add("Lsh64Imm a; Arsh64Imm a")

	// A global array and an index into it.
	add("Lddw a; Add64Reg a b")
	for _, size := range sizes {
		add("Lddw a; Add64Reg a b; Load%d a a", size)
		add("Lddw a; Add64Reg a b; Load%d c a", size)
		add("Lddw a; Add64Reg a b; Store%dReg a c", size)
		add("Add64Reg a b; Load%d a a", size)
	}

	// What is loaded is accumulated, copied or tested.
	for _, size := range sizes {
		w := max(size, 32)
		for _, op := range []string{"Add", "Xor"} {
			add("Load%d a b; %s%dReg c a", size, op, w)
			add("Load%d a a; %s%dReg b a", size, op, w)
		}
		for _, jump := range []string{"Jeq", "Jne"} {
			add("Load%d a b; %s%dImm a", size, jump, w)
			add("Load%d a a; %s%dImm a", size, jump, w)
		}
		add("Load%d a b; Jgt%dReg a c", size, w)
	}
	for _, w := range widths {
		add("Load%[1]d a b; Store%[1]dReg c a", w)
		add("Load%[1]d a b; Load%[1]d c b", w)
		add("Load%[1]d a b; Load%[1]d c d", w)
		add("Store%[1]dReg a b; Load%[1]d b a", w)
		add("Store%[1]dReg a b; Load%[1]d c a", w)
		add("And%[1]dImm a; Jeq%[1]dImm a", w)
		add("And%[1]dImm a; Jne%[1]dImm a", w)
	}

	// The end of a loop: pointers and counters step, values move to the registers
	// that the next round expects, and a jump that clang often makes two of.
	for _, step := range []string{
		"Add64Imm a", "Add64Imm b; Add64Imm a", "Add64Imm a; Mov32Reg b c", "Add64Imm a; Mov64Reg b c",
	} {
		add("%s; Jne64Imm a", step)
		add("%s; Jeq64Imm a", step)
		add("%s; Jeq64Imm a; Ja", step)
	}
	add("Add64Reg a b; Jlt64Imm a")
	for _, w := range widths {
		add("Jeq%dImm a; Ja", w)
		add("Mov%dReg a b; Ja", w)
		add("Mov%dImm a; Ja", w)
		add("Add%dImm a; Ja", w)
	}
	add("Add32Imm a; Jeq32Imm a")
	add("Add32Imm a; Jne32Imm a")

	// Arguments and calls.
	add("Mov64Reg a b; Mov64Reg c d")
	add("Mov64Reg a b; Add64Imm a; Lddw c")
	add("Mov64Reg a b; Add64Imm a; Lddw c; Call")
	add("Mov64Reg a b; Call")
	add("Lddw a; Call")
	return all
}
