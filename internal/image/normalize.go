package image

import (
	"cmp"
	"debug/elf"
	"slices"
	"strings"
	"sync"
)

// notes is what normalize took out of the object so that the ELF loader accepts
// it, and Link needs to know.
type notes struct {
	// weak are the __kconfig variables that may be missing.
	weak map[string]bool
	// typed are the __ksym variables that have a type other than void.
	typed map[string]bool
}

// normalize changes the object in memory where a correct one is not what
// cilium/ebpf v0.22.0 reads:
//   - LLVM before 8 does not say which symbols are functions. Local ones that are
//     no jump labels are.
//   - Old LLVM leaves st_size at 0. A function or a map then reaches up to the
//     next one. So does a variable, unless BTF knows its size.
//   - LLVM 8 knows no CO-RE, and its .BTF.ext has no header for it. It gets one.
//   - Weak __kconfig variables are refused. They are made strong.
//   - __ksym variables are refused unless they are exactly void. Qualifiers and
//     types are taken away.
func (o *object) normalize() notes {
	var n notes
	o.addCOREHeader() // before anything holds a slice of o.raw
	// Most objects need no look into their BTF.
	btfOnce := sync.OnceValue(func() *rawBTF {
		if s := o.find(".BTF"); s != nil {
			return readBTF(o.data(s))
		}
		return nil
	})
	o.markFunctions()
	o.fillSizes(btfOnce)

	undefined := false
	for i := range o.symbols {
		y := &o.symbols[i]
		undefined = undefined || y.section == 0 && y.name != "" && y.typ == elf.STT_NOTYPE
	}
	if !undefined {
		return n
	}
	b := btfOnce()
	kconfig := b.datasec(".kconfig")
	for i := range o.symbols {
		y := &o.symbols[i]
		if y.section != 0 || y.bind != elf.STB_WEAK {
			continue
		}
		if slices.ContainsFunc(kconfig, func(v variable) bool { return v.name == y.name }) {
			n.weak = note(n.weak, y.name)
			y.bind = elf.STB_GLOBAL
			o.raw[y.at+symbolInfo] = elf.ST_INFO(y.bind, y.typ)
		}
	}
	for _, v := range b.datasec(".ksyms") {
		if v.isFunc || v.typ == 0 {
			continue
		}
		if !b.isVoid(v.typ) {
			n.typed = note(n.typed, v.name)
		}
		v.clear(b.raw)
	}
	return n
}

func note(m map[string]bool, name string) map[string]bool {
	if m == nil {
		m = map[string]bool{}
	}
	m[name] = true
	return m
}

// markFunctions gives local functions their type if no symbol has one.
func (o *object) markFunctions() {
	for i := range o.symbols {
		if o.symbols[i].typ == elf.STT_FUNC {
			return
		}
	}
	for i := range o.symbols {
		y := &o.symbols[i]
		label := strings.HasPrefix(y.name, "LBB") || strings.HasPrefix(y.name, ".")
		if y.section > 0 && o.sections[y.section].role == program && y.name != "" && y.typ == elf.STT_NOTYPE && !label {
			y.typ = elf.STT_FUNC
			o.raw[y.at+symbolInfo] = elf.ST_INFO(y.bind, y.typ)
		}
	}
}

// addCOREHeader puts the header of an empty table of CO-RE relocations into a
// .BTF.ext without one: cilium/ebpf v0.22.0 reads the header in any case. The
// section moves to the end of the file.
func (o *object) addCOREHeader() {
	const before, after = 24, 32 // bytes of header
	s := o.find(".BTF.ext")
	if s == nil || s.kind == elf.SHT_NOBITS || s.size < before || le.Uint32(o.raw[s.off+4:]) != before {
		return
	}
	old := o.data(s)
	s.off, s.size = uint64(len(o.raw)), s.size+after-before
	o.raw = slices.Concat(o.raw, old[:before], make([]byte, after-before), old[before:])
	le.PutUint32(o.raw[s.off+4:], after)
	le.PutUint64(o.raw[s.at+sectionOffset:], s.off)
	le.PutUint64(o.raw[s.at+sectionLen:], s.size)
}

// fillSizes gives sizes to the functions, maps and variables that have none.
func (o *object) fillSizes(btf func() *rawBTF) {
	bySection := map[int][]*symbol{}
	for i := range o.symbols {
		y := &o.symbols[i]
		if y.section > 0 && y.named(o.sections[y.section].role) {
			bySection[y.section] = append(bySection[y.section], y)
		}
	}
	for index, symbols := range bySection {
		s := &o.sections[index]
		sized := slices.ContainsFunc(symbols, func(y *symbol) bool { return y.size != 0 })
		// A variable may be empty: only a section without any size is old LLVM's.
		if s.role == data && sized || !slices.ContainsFunc(symbols, func(y *symbol) bool { return y.size == 0 }) {
			continue
		}
		slices.SortFunc(symbols, func(a, b *symbol) int { return cmp.Compare(a.value, b.value) })
		var known []variable
		if s.role == data {
			known = btf().datasec(s.name)
		}
		end := s.size
		for i := len(symbols) - 1; i >= 0; i-- {
			y := symbols[i]
			if i+1 < len(symbols) && symbols[i+1].value > y.value {
				end = symbols[i+1].value
			}
			if y.size != 0 || y.value >= end {
				continue
			}
			y.size = end - y.value
			for _, v := range known {
				if v.name == y.name && uint64(v.size) <= y.size {
					y.size = uint64(v.size)
				}
			}
			le.PutUint64(o.raw[y.at+symbolLen:], y.size)
		}
	}
}
