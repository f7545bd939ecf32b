package verify

import (
	"strings"

	"github.com/cilium/ebpf/btf"
)

// kernelType is the index of a type in verifier.types.
func (v *verifier) kernelType(t btf.Type) int32 {
	for i, u := range v.types {
		if u == t {
			return int32(i)
		}
	}
	v.types = append(v.types, t)
	return int32(len(v.types) - 1)
}

func (v *verifier) typeName(object int32) string {
	if t := v.types[object]; t.TypeName() != "" {
		return t.TypeName()
	}
	return "type without a name"
}

// taskStruct is the type of what bpf_get_current_task_btf returns.
func (v *verifier) taskStruct() (int32, *Error) {
	if v.task != nil {
		return v.kernelType(v.task), nil
	}
	if v.o.Types == nil {
		return 0, v.fail(CodeUnsupported, "a pointer to task_struct can't be judged: no kernel types were given")
	}
	var task *btf.Struct
	if err := v.o.Types.TypeByName("task_struct", &task); err != nil {
		return 0, v.fail(CodeUnsupported, "the kernel's types have no task_struct")
	}
	v.task = task
	return v.kernelType(task), nil
}

// loadKernel is a load through a pointer to a kernel object: by the members of
// its type, a number or a pointer to another object. It can't fault: where
// there is nothing, the engine gives 0.
func (v *verifier) loadKernel(p *reg, off, size int) (reg, *Error) {
	at, ok := p.v.IsConst()
	if !ok {
		return reg{}, v.fail(CodeKernelBounds, "%s is loaded from at offset %s; only constant offsets are possible",
			v.describe(p), offsets(reach(p, off)))
	}
	o := int64(at) + int64(off)
	t := v.types[p.object]
	total, err := btf.Sizeof(t)
	if err != nil || o < 0 || o+int64(size) > int64(total) {
		return reg{}, v.fail(CodeKernelBounds, "a load of %s at offset %d of %s, which has %s", amount(size), o, v.typeName(p.object), amount(total))
	}
	switch m, at := member(t, int(o), size, 0); m := m.(type) {
	case *btf.Pointer:
		if at != 0 || size != 8 {
			return reg{}, v.fail(CodeKernelBounds, "a load of %s at offset %d of %s, in the middle of a pointer", amount(size), o, v.typeName(p.object))
		}
		if target := pointee(m.Target); target != nil {
			return reg{kind: kernelPtr, object: v.kernelType(target), v: w64.Const(0)}, nil
		}
	case nil:
		return reg{}, v.fail(CodeKernelBounds, "a load of %s at offset %d of %s, where it has no member", amount(size), o, v.typeName(p.object))
	default:
		if n, err := btf.Sizeof(m); err != nil || at+size > n {
			return reg{}, v.fail(CodeKernelBounds, "a load of %s at offset %d of %s, over the end of a member", amount(size), o, v.typeName(p.object))
		}
	}
	return numberReg(w64.Between(0, ^uint64(0)>>(64-8*size))), nil
}

// pointee is the structure or union that a member of type pointer to t points
// to, nil if what is there can't be loaded from: it is something else, or lies
// in user space or per CPU.
func pointee(t btf.Type) btf.Type {
	for range maxNesting {
		switch m := t.(type) {
		case *btf.TypeTag:
			if m.Value == "user" || m.Value == "percpu" {
				return nil
			}
			t = m.Type
		case *btf.Const:
			t = m.Type
		case *btf.Volatile:
			t = m.Type
		case *btf.Restrict:
			t = m.Type
		case *btf.Typedef:
			t = m.Type
		case *btf.Struct, *btf.Union:
			return m
		default:
			return nil
		}
	}
	return nil
}

// maxNesting bounds how deep types are followed: BTF may be made by hand.
const maxNesting = 32

// member is the member of t at byte off that is no structure, union or array,
// and which byte of it that is. It is nil in a gap.
func member(t btf.Type, off, size, depth int) (btf.Type, int) {
	if depth > maxNesting {
		return nil, 0
	}
	switch t := btf.UnderlyingType(t).(type) {
	case *btf.Struct:
		return memberOf(t.Members, off, size, depth)
	case *btf.Union:
		return memberOf(t.Members, off, size, depth)
	case *btf.Array:
		each, err := btf.Sizeof(t.Type)
		if err != nil || each == 0 || off/each >= int(t.Nelems) {
			return nil, 0
		}
		return member(t.Type, off%each, size, depth+1)
	default:
		return t, off
	}
}

// bitField stands for members that are narrower than a byte or share one: the
// compiler loads the whole unit that they lie in.
var bitField = &btf.Int{Name: "bit field", Size: 8}

func memberOf(members []btf.Member, off, size, depth int) (btf.Type, int) {
	for _, m := range members {
		start := int(m.Offset.Bytes())
		if m.BitfieldSize > 0 {
			end := (int(m.Offset) + int(m.BitfieldSize) + 7) / 8
			if start < off+size && off < end {
				return bitField, 0
			}
			continue
		}
		have, err := btf.Sizeof(m.Type)
		if err != nil || off < start || off >= start+have {
			continue
		}
		if found, at := member(m.Type, off-start, size, depth+1); found != nil {
			return found, at
		}
	}
	return nil, 0
}

// specialField is a field of a map's values that only kernel helpers may touch,
// "" if there is none.
func specialField(t btf.Type) string { return specialIn(t, 0) }

func specialIn(t btf.Type, depth int) string {
	if t == nil || depth > maxNesting {
		return ""
	}
	switch t := btf.UnderlyingType(t).(type) {
	case *btf.Struct:
		switch t.Name {
		case "bpf_spin_lock", "bpf_res_spin_lock", "bpf_timer", "bpf_wq", "bpf_task_work", "bpf_refcount",
			"bpf_list_head", "bpf_list_node", "bpf_rb_root", "bpf_rb_node":
			return t.Name
		}
		for _, m := range t.Members {
			if f := specialIn(m.Type, depth+1); f != "" {
				return f
			}
		}
	case *btf.Array:
		return specialIn(t.Type, depth+1)
	case *btf.Pointer:
		if tag, ok := t.Target.(*btf.TypeTag); ok && (strings.HasPrefix(tag.Value, "kptr") || tag.Value == "percpu_kptr" || tag.Value == "uptr") {
			return tag.Value
		}
	}
	return ""
}
