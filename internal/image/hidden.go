package image

import (
	"debug/elf"
	"reflect"

	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/btf"
)

// What cilium/ebpf v0.22.0 knows and does not export. All of it is read here, by
// plain reflection; TestHidden fails if a name changes upstream.

// metadata gives the value that is stored under a key of an unexported type, by
// the name of that type.
func metadata(ins *asm.Instruction, key string) (reflect.Value, bool) {
	// type Metadata struct { head *metaElement }
	// type metaElement struct { next *metaElement; key, value any }
	for e := reflect.ValueOf(&ins.Metadata).Elem().FieldByName("head"); e.Kind() == reflect.Pointer && !e.IsNil(); {
		element := e.Elem()
		if element.FieldByName("key").Elem().Type().Name() == key {
			return element.FieldByName("value").Elem().Elem(), true
		}
		e = element.FieldByName("next")
	}
	return reflect.Value{}, false
}

// kconfigOffset is where in .kconfig the variable lies that ins loads the
// address of, in bytes.
func kconfigOffset(ins *asm.Instruction) (uint32, bool) {
	v, ok := metadata(ins, "kconfigMetaKey")
	if !ok {
		return 0, false
	}
	return uint32(v.FieldByName("Offset").Uint()), true
}

// isKfunc reports whether ins calls a kernel function or loads its address, and
// whether the function may be missing.
func isKfunc(ins *asm.Instruction) (weak, ok bool) { return binding(ins, "kfuncMetaKey") }

// isKsym reports whether ins loads the address of a kernel variable, and whether
// the variable may be missing.
func isKsym(ins *asm.Instruction) (weak, ok bool) { return binding(ins, "ksymMetaKey") }

func binding(ins *asm.Instruction, key string) (weak, ok bool) {
	v, ok := metadata(ins, key)
	if !ok {
		return false, false
	}
	return elf.SymBind(v.FieldByName("Binding").Int()) == elf.STB_WEAK, true
}

// An accessor is what a CO-RE relocation asks for.
type accessor struct {
	kind relocationKind
	typ  btf.TypeID // the local type, in the object's BTF
	path []int      // indices of fields, array elements or enum values
}

func readRelocation(r *btf.CORERelocation) accessor {
	v := reflect.ValueOf(r).Elem()
	a := accessor{kind: relocationKind(v.FieldByName("kind").Uint()), typ: btf.TypeID(v.FieldByName("id").Uint())}
	path := v.FieldByName("accessor")
	for i := range path.Len() {
		a.path = append(a.path, int(path.Index(i).Int()))
	}
	return a
}

// A fixup is the answer to a relocation.
type fixup struct {
	local, target uint64
	poison        bool
	// unchecked says that the instruction need not hold local before.
	unchecked bool
	// asCompiled says that the instruction stays as it is.
	asCompiled bool
}

func readFixup(f *btf.COREFixup) fixup {
	v := reflect.ValueOf(f).Elem()
	return fixup{
		local: v.FieldByName("local").Uint(), target: v.FieldByName("target").Uint(),
		poison: v.FieldByName("poison").Bool(), unchecked: v.FieldByName("skipLocalValidation").Bool(),
	}
}
