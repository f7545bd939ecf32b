// Package image turns an ebpf.CollectionSpec into an Image: linked instructions
// with source lines, map references, global data and CO-RE applied, before
// verification. It works on every OS.
package image

import (
	"slices"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/btf"
)

// An Image is one object file, linked.
type Image struct {
	// Programs by name.
	Programs map[string]*Program
	// Failed are the programs that could not be linked, with the reason, a
	// *LinkError. They are not in Programs.
	Failed map[string]error
	// Maps by name, .data, .rodata, .bss and .kconfig among them, their initial
	// contents filled in.
	Maps map[string]*ebpf.MapSpec
	// Types is the object's BTF, nil if it has none.
	Types *btf.Spec
}

// A Program is one program with the subprograms that it calls.
type Program struct {
	Name       string
	Section    string
	Type       ebpf.ProgramType
	AttachType ebpf.AttachType
	AttachTo   string
	License    string
	Flags      uint32

	// Insns are the instructions in RFC 9669's 8-byte slots; a 64-bit immediate
	// load takes two. Every index in this package is an index into it.
	Insns []Insn
	// Subprograms in order of Start; the first is the program itself, at 0.
	Subprograms []Subprogram
	// Lines are the source lines in order of Insn.
	Lines []Line
	// Maps are the names of the maps that the program refers to. The immediate of
	// an instruction that loads a map (BPF_PSEUDO_MAP_FD, BPF_PSEUDO_MAP_VALUE)
	// is an index into it.
	Maps []string
	// Kfuncs are the kernel functions that the program calls. The immediate of a
	// BPF_PSEUDO_KFUNC_CALL is an index into it.
	Kfuncs []string
	// Relocations are the CO-RE relocations that were applied, in order of Insn.
	Relocations []Relocation
}

// Insn is one 8-byte slot.
type Insn struct {
	Op       uint8
	Dst, Src uint8
	Off      int16
	Imm      int32
}

// A Subprogram is one function.
type Subprogram struct {
	Start int // first instruction
	Name  string
	Func  *btf.Func // prototype and linkage; nil without BTF
}

// A Line says which C source an instruction comes from, up to the next Line.
type Line struct {
	Insn   int
	File   string
	Line   int
	Column int
	Text   string // the line itself, without surrounding space
}

// A Relocation is one applied CO-RE relocation.
type Relocation struct {
	Insn int
	// Kind is what the relocation asks for, in libbpf's words: byte_off,
	// field_exists, type_size, enumval_value, …
	Kind string
	// Type and Field name what is accessed: "task_struct" and
	// "files.fdt" ("" for relocations that are about a type).
	Type, Field string
	// Poisoned says that the target has no such thing: the instruction was
	// replaced by a call of helper 195896080 and must not be reached.
	Poisoned bool
}

// Source is the line that instruction insn comes from, nil if unknown.
func (p *Program) Source(insn int) *Line {
	lo, hi := 0, len(p.Lines)
	for lo < hi {
		mid := (lo + hi) / 2
		if p.Lines[mid].Insn <= insn {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	if lo == 0 {
		return nil
	}
	return &p.Lines[lo-1]
}

// Subprogram is the index in Subprograms of the function that instruction insn
// belongs to.
func (p *Program) Subprogram(insn int) int {
	n := 0
	for i, s := range p.Subprograms {
		if s.Start <= insn {
			n = i
		}
	}
	return n
}

// Target is the kernel that an image is linked against.
type Target struct {
	// Types that CO-RE relocates against, nil for the object's own.
	Types *btf.Spec
	// Kconfig gives the values of __kconfig externs (LINUX_KERNEL_VERSION,
	// CONFIG_HZ, …); a tristate is 0 (n), 1 (y) or 2 (m). nil knows none; an
	// unknown weak one is 0.
	Kconfig func(name string) (uint64, bool)
	// Ksym gives the address of a __ksym variable. nil knows none.
	Ksym func(name string) (uint64, bool)
	// Kfunc reports whether there is a kernel function of this name. nil has none.
	Kfunc func(name string) bool
}

// SameCode reports whether p and q differ in nothing that a verifier looks at.
// Programs made from one function for several hooks often do not.
func (p *Program) SameCode(q *Program) bool {
	if p.Type != q.Type || p.AttachType != q.AttachType || p.License != q.License || p.Flags != q.Flags {
		return false
	}
	switch p.Type {
	case ebpf.TracePoint, ebpf.RawTracepoint, ebpf.Kprobe:
		// The context is the same wherever they are attached.
	default:
		if p.AttachTo != q.AttachTo {
			return false
		}
	}
	sameCallee := func(a, b Subprogram) bool { return a.Start == b.Start && a.Func == b.Func }
	return slices.Equal(p.Insns, q.Insns) && slices.Equal(p.Maps, q.Maps) && slices.Equal(p.Kfuncs, q.Kfuncs) &&
		slices.Equal(p.Relocations, q.Relocations) &&
		slices.EqualFunc(p.Subprograms[1:], q.Subprograms[1:], sameCallee)
}
