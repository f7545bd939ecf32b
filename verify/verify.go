// Package verify proves that an eBPF program ends and touches only what it may,
// or refuses it and says why.
package verify

import (
	"errors"
	"io"
	"maps"
	"slices"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/btf"

	"github.com/skep-bpf/skep/internal/image"
)

// Options change what a program is judged against. The zero value judges it for
// the user engine.
type Options struct {
	// Types are the kernel's types, for pointers to kernel objects. nil has none.
	Types *btf.Spec
	// Kconfig gives the values of __kconfig externs to Collection, nil knows none.
	Kconfig func(name string) (uint64, bool)
	// Log receives the state at each instruction, nil for none.
	Log io.Writer
}

// A Result is the verdict on one program.
type Result struct {
	Program string
	Section string
	Type    ebpf.ProgramType
	// Err says why the program was refused; nil if it was accepted.
	Err *Error
	// Facts are what was proved; nil if the program was refused.
	Facts *Facts
	Stats Stats
}

// Accepted reports whether the program may run.
func (r *Result) Accepted() bool { return r.Err == nil }

// Stats is what a verdict cost.
type Stats struct {
	Insns     int // 8-byte slots of the program
	Processed int // instructions walked over all paths
	States    int // states kept for pruning
	Time      time.Duration
}

// A Source is a place in a C file.
type Source struct {
	File   string
	Line   int
	Column int
	Text   string
}

// An Error is a refusal.
type Error struct {
	Program string
	Code    Code
	Message string  // one sentence, with the values involved
	Insn    int     // the 8-byte slot
	Source  *Source // nil without line information
	// Path is the way there: for each conditional jump on it, the slot where the
	// run went on.
	Path []int
}

// Facts are what holds on every concrete path of an accepted program, pruned
// paths included.
type Facts struct {
	// Insns has one entry per 8-byte slot.
	Insns []InsnFact
	// StackDepth is the number of stack bytes that each subprogram uses.
	StackDepth []int
	// ContextSize is the number of bytes of the context that the program may
	// touch. A hook with a smaller context can't run it.
	ContextSize int
}

// InsnFact is what holds for one instruction.
type InsnFact struct {
	// Reached is false for instructions that no path executes.
	Reached bool
	// KernelLoad marks a load through a pointer to a kernel object: it goes
	// through mem.Kernel, at a biased address.
	KernelLoad bool
}

// Collection links a spec and verifies each of its programs, in order of their
// names. The error is about the spec as a whole; a program that can't be linked
// has a Result with the code relocation or malformed.
func Collection(spec *ebpf.CollectionSpec, o *Options) ([]*Result, error) {
	if o == nil {
		o = new(Options)
	}
	img, err := image.Link(spec, image.Target{Types: o.Types, Kconfig: o.Kconfig})
	if err != nil {
		return nil, err
	}
	var results []*Result
	for _, name := range slices.Sorted(maps.Keys(spec.Programs)) {
		if p := img.Programs[name]; p != nil {
			results = append(results, Image(img, p, o))
			continue
		}
		r := &Result{Program: name, Err: notLinked(name, img.Failed[name])}
		if p := spec.Programs[name]; p != nil {
			r.Section, r.Type = p.SectionName, p.Type
		}
		results = append(results, r)
	}
	return results, nil
}

// notLinked is the refusal of a program that the linker failed at.
func notLinked(name string, err error) *Error {
	e := &Error{Program: name, Code: CodeMalformed, Message: "the program can't be linked", Insn: -1}
	var link *image.LinkError
	if !errors.As(err, &link) {
		return e
	}
	e.Message, e.Insn = link.Reason, link.Insn
	if l := link.Source; l != nil {
		e.Source = &Source{File: l.File, Line: l.Line, Column: l.Column, Text: l.Text}
	}
	switch {
	case errors.Is(err, image.ErrMissing):
		e.Code = CodeRelocation
	case errors.Is(err, image.ErrNotSupported):
		e.Code = CodeUnsupported
	}
	return e
}

// Image verifies one linked program of img. It is what engines call.
func Image(img *image.Image, p *image.Program, o *Options) *Result {
	if o == nil {
		o = new(Options)
	}
	start := time.Now()
	v := newVerifier(img, p, o)
	r := &Result{Program: p.Name, Section: p.Section, Type: p.Type, Err: v.run()}
	r.Stats = v.stats
	r.Stats.Insns = len(p.Insns)
	r.Stats.Time = time.Since(start)
	if r.Err == nil {
		r.Facts = &Facts{Insns: v.facts, ContextSize: v.context}
		for _, s := range v.subs {
			r.Facts.StackDepth = append(r.Facts.StackDepth, s.depth)
		}
	}
	return r
}
