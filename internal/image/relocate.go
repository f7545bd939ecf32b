package image

import (
	"errors"
	"fmt"
	"math"

	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/btf"
)

// relocationKind is what a CO-RE relocation asks for: enum bpf_core_relo_kind
// (include/uapi/linux/bpf.h).
type relocationKind uint32

const (
	byteOffset    relocationKind = 0
	localTypeID   relocationKind = 6
	targetTypeID  relocationKind = 7
	enumvalExists relocationKind = 10
	enumvalValue  relocationKind = 11
)

// In libbpf's words (relo_core.c, core_relo_kind_str).
var relocationKinds = []string{
	"byte_off", "byte_sz", "field_exists", "signed", "lshift_u64", "rshift_u64",
	"local_type_id", "target_type_id", "type_exists", "type_size",
	"enumval_exists", "enumval_value", "type_matches",
}

func (k relocationKind) String() string {
	if int(k) < len(relocationKinds) {
		return relocationKinds[k]
	}
	return fmt.Sprintf("kind %d", uint32(k))
}

// BadRelocation is the helper that an instruction calls in place of what it did
// when the target does not have what its CO-RE relocation asks for. There is no
// such helper: the instruction must not be reached.
const BadRelocation = btf.COREBadRelocationSentinel

// relocate applies the CO-RE relocations to l.insns. It sets l.poisoned for those
// that have no answer and fills l.out.Relocations.
func (l *linker) relocate() error {
	var relocations []*btf.CORERelocation
	var at []int
	for i := range l.insns {
		if r := btf.CORERelocationMetadata(&l.insns[i]); r != nil {
			relocations, at = append(relocations, r), append(at, i)
		}
	}
	if len(relocations) == 0 {
		return nil
	}
	local := l.image.Types
	if local == nil {
		return l.fail(at[0], ErrMalformed, "has a CO-RE relocation, and the spec has no types")
	}
	fixups, err := l.answer(relocations)
	if err != nil {
		// cilium/ebpf's error does not say which relocation it is about.
		for i := range relocations {
			if _, err := l.answer(relocations[i : i+1]); err != nil {
				return l.fail(at[i], err, "CO-RE relocation: %v", err)
			}
		}
		return l.fail(-1, err, "CO-RE relocations: %v", err)
	}
	for i, f := range fixups {
		ins := &l.insns[at[i]]
		a := readRelocation(relocations[i]).resolve(local)
		out := Relocation{Insn: l.slots[at[i]], Kind: a.kind.String(), Type: a.root, Field: a.field()}
		if !f.poison {
			if err := f.apply(ins); err != nil {
				return l.fail(at[i], ErrMalformed, "CO-RE relocation %s of %s: %v", out.Kind, out.what(), err)
			}
			if a.kind == byteOffset && l.target.Types != nil {
				f.poison = !a.resize(ins, l.target.Types, f.target)
			}
		}
		out.Poisoned, l.poisoned[at[i]] = f.poison, f.poison
		l.out.Relocations = append(l.out.Relocations, out)
	}
	return nil
}

// answer finds what the target has for each relocation.
func (l *linker) answer(relocations []*btf.CORERelocation) ([]fixup, error) {
	out := make([]fixup, len(relocations))
	if l.target.Types == nil {
		// The compiler has already put in what holds for the object's own types.
		// Searching them by name would not: flavours of a type have one name. But
		// a linker that merges objects renumbers types, and not in instructions.
		for i, r := range relocations {
			out[i].asCompiled = true
			if a := readRelocation(r); a.kind == localTypeID || a.kind == targetTypeID {
				out[i] = fixup{target: uint64(a.typ), unchecked: true}
			}
		}
		return out, nil
	}
	err := contain(func() error {
		// Local types keep their ids. Their addresses do not in a copied spec, so
		// they can't be looked up.
		ids := func(btf.Type) (btf.TypeID, error) { return 0, nil }
		fixups, err := btf.CORERelocate(relocations, []*btf.Spec{l.target.Types}, le, ids)
		if err != nil {
			return err
		}
		for i := range fixups {
			out[i] = readFixup(&fixups[i])
			if a := readRelocation(relocations[i]); a.kind == localTypeID {
				out[i].target = uint64(a.typ)
			}
		}
		return nil
	})
	return out, err
}

func (r *Relocation) what() string {
	if r.Field == "" {
		return r.Type
	}
	return r.Type + "." + r.Field
}

// apply puts the answer into the instruction. It is btf.COREFixup.Apply, which
// refuses to work off Linux.
func (f fixup) apply(ins *asm.Instruction) error {
	if f.asCompiled {
		return nil
	}
	expect := func(have int64) error {
		if !f.unchecked && have != int64(f.local) {
			return fmt.Errorf("the instruction holds %d where the compiler put %d", have, int64(f.local))
		}
		return nil
	}
	switch class := ins.OpCode.Class(); class {
	case asm.LdXClass, asm.StClass, asm.StXClass:
		if f.target > math.MaxInt16 {
			return fmt.Errorf("offset %d does not fit 16 bits", f.target)
		}
		if err := expect(int64(ins.Offset)); err != nil {
			return err
		}
		ins.Offset = int16(f.target)
	case asm.LdClass:
		if !ins.IsConstantLoad(asm.DWord) {
			return errors.New("the instruction loads no 64-bit constant")
		}
		if err := expect(ins.Constant); err != nil {
			return err
		}
		ins.Constant = int64(f.target)
	case asm.ALUClass, asm.ALU64Class:
		if ins.OpCode.ALUOp() == asm.Swap || ins.OpCode.Source() != asm.ImmSource {
			return errors.New("the instruction has no immediate")
		}
		if f.target > math.MaxInt32 {
			return fmt.Errorf("%d does not fit 32 bits", f.target)
		}
		if err := expect(ins.Constant); err != nil {
			return err
		}
		ins.Constant = int64(f.target)
	default:
		return fmt.Errorf("a %s instruction can't be relocated", class)
	}
	return nil
}
