package image

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/btf"
)

// Link makes an Image of a spec for a target: references resolved, CO-RE applied,
// externs filled in. It needs no kernel and leaves the spec as it is. The spec may
// come from an object file (Load, or what bpf2go generates) or be made in Go.
//
// A program that can't be linked is in Image.Failed, with a *LinkError that wraps
// one of the errors of this package, and not in Image.Programs. Link itself fails
// only for what concerns all programs.
func Link(spec *ebpf.CollectionSpec, t Target) (*Image, error) {
	if spec == nil {
		return nil, errors.New("link: no spec")
	}
	if spec.ByteOrder != nil && spec.ByteOrder != le {
		return nil, fmt.Errorf("link: %w: the object is big-endian", ErrByteOrder)
	}
	out := &Image{
		Programs: make(map[string]*Program, len(spec.Programs)),
		Maps:     make(map[string]*ebpf.MapSpec, len(spec.Maps)),
		Types:    spec.Types,
		Failed:   map[string]error{},
	}
	if err := out.addMaps(spec); err != nil {
		return nil, fmt.Errorf("link: %w", err)
	}
	config, err := out.addKconfig(t)
	if err != nil {
		return nil, fmt.Errorf("link: %w", err)
	}
	for _, name := range slices.Sorted(maps.Keys(spec.Programs)) {
		l := linker{image: out, target: t, kconfig: config}
		if err := l.link(name, spec.Programs[name]); err != nil {
			out.Failed[name] = err
			continue
		}
		out.Programs[name] = l.out
	}
	return out, nil
}

// A linker links one program.
type linker struct {
	image   *Image
	target  Target
	kconfig *kconfig // nil if the object has none

	insns    asm.Instructions // a copy
	slots    []int            // first slot of each instruction
	symbols  map[string]int   // slot of each symbol
	poisoned map[int]bool     // instructions without an answer to their CO-RE relocation
	out      *Program
}

func (l *linker) link(name string, p *ebpf.ProgramSpec) error {
	if p == nil {
		return &LinkError{Program: name, Insn: -1, Reason: "the spec is nil", Err: ErrMalformed}
	}
	l.out = &Program{
		Name: name, Section: p.SectionName, Type: p.Type, AttachType: p.AttachType, AttachTo: p.AttachTo,
		License: p.License, Flags: p.Flags,
	}
	l.insns = slices.Clone(p.Instructions)
	if len(l.insns) == 0 {
		return l.fail(-1, ErrNoProgram, "has no instructions")
	}
	if p.ByteOrder != nil && p.ByteOrder != le {
		return l.fail(-1, ErrByteOrder, "is big-endian")
	}
	if err := l.layout(); err != nil {
		return err
	}
	l.lines()
	if err := l.relocate(); err != nil {
		return err
	}
	if err := l.encode(); err != nil {
		return err
	}
	l.subprograms()
	return nil
}

// layout finds the slot of each instruction and symbol.
func (l *linker) layout() error {
	l.slots = make([]int, len(l.insns))
	l.symbols = map[string]int{}
	l.poisoned = map[int]bool{}
	slot := 0
	for i := range l.insns {
		ins := &l.insns[i]
		l.slots[i] = slot
		slot += int(ins.Width())
		if s := ins.Symbol(); s != "" {
			if _, ok := l.symbols[s]; ok {
				return l.fail(i, ErrMalformed, "the symbol %s is defined twice", s)
			}
			l.symbols[s] = l.slots[i]
		}
	}
	if slot > maxInsns {
		return l.fail(-1, ErrTooLarge, "has %d instructions; the limit is %d", slot, maxInsns)
	}
	l.out.Insns = make([]Insn, 0, slot)
	return nil
}

func (l *linker) lines() {
	for i := range l.insns {
		switch s := l.insns[i].Source().(type) {
		case nil:
		case *btf.Line:
			l.out.Lines = append(l.out.Lines, Line{Insn: l.slots[i], File: s.FileName(), Line: int(s.LineNumber()),
				Column: int(s.LineColumn()), Text: strings.TrimSpace(s.Line())})
		default: // a comment by hand
			l.out.Lines = append(l.out.Lines, Line{Insn: l.slots[i], Text: strings.TrimSpace(s.String())})
		}
	}
}

// subprograms finds what is called, and what a function pointer is taken of.
func (l *linker) subprograms() {
	insns := l.out.Insns
	start := map[int]bool{0: true}
	for i := 0; i < len(insns); i++ {
		in := insns[i]
		call := in.Op == opCall && in.Src == uint8(asm.PseudoCall)
		pointer := in.Op == opLoadImm64 && in.Src == uint8(asm.PseudoFunc)
		if to := i + 1 + int(in.Imm); (call || pointer) && to >= 0 && to < len(insns) {
			start[to] = true
		}
		if in.Op == opLoadImm64 {
			i++
		}
	}
	l.out.Subprograms = make([]Subprogram, 0, len(start))
	for i := range l.insns {
		if !start[l.slots[i]] {
			continue
		}
		s := Subprogram{Start: l.slots[i], Name: l.insns[i].Symbol(), Func: btf.FuncMetadata(&l.insns[i])}
		if s.Name == "" && s.Start == 0 {
			s.Name = l.out.Name
		}
		l.out.Subprograms = append(l.out.Subprograms, s)
	}
}

// fail is the error of an instruction, or with i < 0 of the program.
func (l *linker) fail(i int, kind error, format string, args ...any) error {
	e := &LinkError{Program: l.out.Name, Section: l.out.Section, Insn: -1, Reason: fmt.Sprintf(format, args...), Err: kind}
	if i >= 0 {
		e.Insn = l.slots[i]
		e.Source = l.out.Source(e.Insn)
	}
	return e
}
