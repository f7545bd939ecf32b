package image

import (
	"cmp"
	"debug/elf"
	"fmt"
	"slices"
)

// Limits, so that a small hostile file can't take all memory.
const (
	// maxObject bounds the file, in bytes: it is read as a whole. The largest
	// objects in use, with debug information, have some 20 MB.
	maxObject = 64 << 20
	// maxData bounds the global variables, in bytes: a .bss of any size takes no
	// room in the file.
	maxData = 256 << 20
	// maxNames bounds the names of all symbols, in bytes: many symbols can share
	// one long name in the file, each gets its own copy in memory.
	maxNames = maxObject
	// maxFlat bounds the instructions of all programs together when each has got
	// its copy of the functions it calls.
	maxFlat = 16 << 20
	// maxInsns is the kernel's own limit for one program, in 8-byte slots
	// (BPF_COMPLEXITY_LIMIT_INSNS, include/linux/bpf.h).
	maxInsns = 1_000_000
)

// check refuses what would make the ELF loader take memory or time out of
// proportion to the file.
func (o *object) check() error {
	if err := o.checkSymbols(); err != nil {
		return err
	}
	total := uint64(0)
	for i := range o.sections {
		s := &o.sections[i]
		switch s.role {
		case mapDefs:
			if s.kind == elf.SHT_NOBITS {
				return malformed(s.name, s.off, "map definitions without contents")
			}
		case data:
			if total += min(s.size, maxData+1); total > maxData {
				return &LoadError{Kind: ErrTooLarge, Section: s.name, Offset: -1,
					Reason: fmt.Sprintf("global variables take more than %d bytes", maxData)}
			}
		}
	}
	return o.checkFlat()
}

// checkSymbols refuses functions, maps and variables that overlap: the ELF
// loader copies the bytes of each.
func (o *object) checkSymbols() error {
	names := 0
	bySection := make([][]*symbol, len(o.sections))
	for i := range o.symbols {
		y := &o.symbols[i]
		if names += len(y.name); names > maxNames {
			return &LoadError{Kind: ErrTooLarge, Offset: int64(y.at), Reason: fmt.Sprintf("names of symbols take more than %d bytes", maxNames)}
		}
		if y.section > 0 && y.named(o.sections[y.section].role) {
			bySection[y.section] = append(bySection[y.section], y)
		}
	}
	for i, symbols := range bySection {
		s := &o.sections[i]
		slices.SortStableFunc(symbols, func(a, b *symbol) int { return cmp.Compare(a.value, b.value) })
		var before *symbol // the one that reaches farthest of those that start lower
		for j, y := range symbols {
			if y.size > s.size || y.value > s.size-y.size {
				return malformed(s.name, uint64(y.at), "%s has bytes %d to %d of a section of %d", y.name, y.value, y.value+y.size, s.size)
			}
			if before != nil && y.size > 0 && before.value+before.size > y.value && before.value != y.value {
				return malformed(s.name, uint64(y.at), "%s overlaps %s", y.name, before.name)
			}
			if j == 0 || before.value+before.size < y.value+y.size {
				before = y
			}
		}
	}
	return nil
}

// checkFlat bounds what linking subprograms may take. It counts for each program
// all of .text, and all of every section with a function that another section
// calls: more than the ELF loader will copy.
func (o *object) checkFlat() error {
	const insn = 8
	functions := map[string]int{} // section by function
	programs, own, text := uint64(0), uint64(0), uint64(0)
	for i := range o.symbols {
		y := &o.symbols[i]
		if y.section > 0 && o.sections[y.section].role == program && y.named(program) {
			functions[y.name] = y.section
			own += y.size / insn
			if o.sections[y.section].name != ".text" {
				programs++
			}
		}
	}
	called := make([]bool, len(o.sections))
	relocated := map[int]map[uint64]bool{}
	for i := range o.sections {
		rel := &o.sections[i]
		if rel.kind != elf.SHT_REL || int(rel.info) >= len(o.sections) || o.sections[rel.info].role != program {
			continue
		}
		into := map[uint64]bool{}
		relocated[int(rel.info)] = into
		for b := o.data(rel); len(b) >= relSize; b = b[relSize:] {
			into[le.Uint64(b)] = true
			n := le.Uint64(b[8:]) >> 32
			if n >= uint64(len(o.symbols)) {
				continue
			}
			switch y := &o.symbols[n]; {
			case y.section > 0 && o.sections[y.section].role == program:
				called[y.section] = true
			case y.section == 0 && functions[y.name] > 0:
				called[functions[y.name]] = true
			}
		}
	}
	for i := range o.sections {
		s := &o.sections[i]
		if s.role != program {
			continue
		}
		if !called[i] && s.name != ".text" {
			called[i] = callsItself(o.data(s), relocated[i])
		}
		if called[i] || s.name == ".text" {
			text += s.size / insn
		}
	}
	if flat := own + programs*text; flat > maxFlat {
		return &LoadError{Kind: ErrTooLarge, Offset: -1,
			Reason: fmt.Sprintf("%d programs with the functions they call may take %d instructions, more than %d", programs, flat, maxFlat)}
	}
	return nil
}

// callsItself reports whether code has a call by distance: LLVM before 10 wrote
// no relocation for calls within a section.
func callsItself(code []byte, relocated map[uint64]bool) bool {
	const call, pseudoCall = 0x85, 1
	for at := 0; at+8 <= len(code); at += 8 {
		if code[at] == call && code[at+1]>>4 == pseudoCall && !relocated[uint64(at)] {
			return true
		}
	}
	return false
}
