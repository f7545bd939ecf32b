package image

import (
	"fmt"
	"strings"

	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/btf"
)

// A resolved is an accessor with its names.
type resolved struct {
	accessor
	root string // the local type without its flavour (task_struct___old)
	// value is the enum value, for relocations about one.
	value string
	steps []step
	leaf  btf.Type // what the steps lead to, nil if they don't
	bits  bool     // the leaf is a bit field
}

// A step leads from a type into it: to a named member, or to an array element.
type step struct {
	member string // "" for an array element
	index  int
}

// resolve follows the accessor through the object's types.
func (a accessor) resolve(local *btf.Spec) resolved {
	r := resolved{accessor: a}
	t, err := local.TypeByID(a.typ)
	if err != nil || len(a.path) == 0 {
		return r
	}
	r.root = withoutFlavour(t.TypeName())
	if e, ok := btf.UnderlyingType(t).(*btf.Enum); ok {
		if i := a.path[0]; i < len(e.Values) && (a.kind == enumvalExists || a.kind == enumvalValue) {
			r.value = withoutFlavour(e.Values[i].Name)
		}
		return r
	}
	for _, i := range a.path[1:] {
		if array, ok := btf.UnderlyingType(t).(*btf.Array); ok {
			r.steps = append(r.steps, step{index: i})
			t = array.Type
			continue
		}
		members := membersOf(t)
		if i >= len(members) {
			return r
		}
		// The members of an anonymous member count as its parent's.
		if name := members[i].Name; name != "" {
			r.steps = append(r.steps, step{member: name})
		}
		t, r.bits = members[i].Type, members[i].BitfieldSize > 0
	}
	r.leaf = t
	return r
}

func membersOf(t btf.Type) []btf.Member {
	switch t := btf.UnderlyingType(t).(type) {
	case *btf.Struct:
		return t.Members
	case *btf.Union:
		return t.Members
	}
	return nil
}

// withoutFlavour cuts what follows the last ___ of a name.
func withoutFlavour(name string) string {
	if i := strings.LastIndex(name, "___"); i > 0 {
		return name[:i]
	}
	return name
}

// field is the dotted path, or the name of the enum value.
func (r *resolved) field() string {
	if r.value != "" || len(r.path) == 0 {
		return r.value
	}
	var b strings.Builder
	// The first index counts whole objects, as if the pointer were an array.
	if n := r.path[0]; n != 0 && len(r.steps) > 0 {
		fmt.Fprintf(&b, "[%d]", n)
	}
	for _, s := range r.steps {
		switch {
		case s.member == "":
			fmt.Fprintf(&b, "[%d]", s.index)
		case b.Len() > 0:
			b.WriteString("." + s.member)
		default:
			b.WriteString(s.member)
		}
	}
	return b.String()
}

// resize makes a load or store as wide as the field is in the target, which
// btf.CORERelocate leaves out. As in libbpf (relo_core.c, bpf_core_calc_relo and
// bpf_core_patch_insn) only pointers and unsigned integers may change their size,
// and only whole; false says that the instruction must be poisoned. offset is
// where btf.CORERelocate found the field.
func (r *resolved) resize(ins *asm.Instruction, target *btf.Spec, offset uint64) bool {
	if class := ins.OpCode.Class(); class != asm.LdXClass && class != asm.StXClass && class != asm.StClass || r.leaf == nil || r.bits {
		return true
	}
	size, err := btf.Sizeof(r.leaf)
	if err != nil {
		return true
	}
	roots, err := target.AnyTypesByName(r.root)
	if err != nil {
		return true
	}
	var other btf.Type
	for _, t := range roots {
		leaf, off, ok := r.follow(t)
		if !ok || off != offset {
			continue
		}
		if n, err := btf.Sizeof(leaf); err == nil && n == size {
			return true
		}
		other = leaf
	}
	if other == nil {
		return true
	}
	n, err := btf.Sizeof(other)
	width := map[int]asm.Size{1: asm.Byte, 2: asm.Half, 4: asm.Word, 8: asm.DWord}
	w, ok := width[n]
	if err != nil || !ok || ins.OpCode.Size().Sizeof() != size || !resizable(r.leaf, other) {
		return false
	}
	ins.OpCode = ins.OpCode.SetSize(w)
	return true
}

func resizable(a, b btf.Type) bool {
	switch a := btf.UnderlyingType(a).(type) {
	case *btf.Pointer:
		_, ok := btf.UnderlyingType(b).(*btf.Pointer)
		return ok
	case *btf.Int:
		b, ok := btf.UnderlyingType(b).(*btf.Int)
		return ok && a.Encoding != btf.Signed && b.Encoding != btf.Signed
	}
	return false
}

// follow goes the same steps in a type of the target. It gives what they lead to
// and its offset in bytes, ok false if they lead nowhere or to a bit field.
func (r *resolved) follow(t btf.Type) (leaf btf.Type, off uint64, ok bool) {
	size, err := btf.Sizeof(t)
	if err != nil {
		return nil, 0, false
	}
	off = uint64(size) * uint64(r.path[0])
	for _, s := range r.steps {
		if s.member == "" {
			array, ok := btf.UnderlyingType(t).(*btf.Array)
			if !ok {
				return nil, 0, false
			}
			size, err := btf.Sizeof(array.Type)
			if err != nil {
				return nil, 0, false
			}
			t, off = array.Type, off+uint64(size)*uint64(s.index)
			continue
		}
		m, ok := findMember(t, s.member, map[btf.Type]bool{})
		if !ok || m.BitfieldSize > 0 {
			return nil, 0, false
		}
		t, off = m.Type, off+uint64(m.Offset.Bytes())
	}
	return t, off, true
}

// findMember finds a member by name, also in anonymous members, with its offset
// from the start of t. It enters no type twice.
func findMember(t btf.Type, name string, seen map[btf.Type]bool) (btf.Member, bool) {
	seen[t] = true
	members := membersOf(t)
	for _, m := range members {
		if m.Name == name {
			return m, true
		}
	}
	for _, m := range members {
		if m.Name != "" || seen[m.Type] {
			continue
		}
		if inner, ok := findMember(m.Type, name, seen); ok {
			inner.Offset += m.Offset
			return inner, true
		}
	}
	return btf.Member{}, false
}
