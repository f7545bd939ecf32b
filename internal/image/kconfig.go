package image

import (
	"errors"
	"fmt"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/btf"

	"github.com/skep-bpf/skep/internal/abi"
)

// kconfigMap is the name of the data section of __kconfig variables, and of the
// map that holds them.
const kconfigMap = ".kconfig"

// kconfig is what became of the __kconfig variables.
type kconfig struct {
	vars map[uint32]kconfigVar // by offset in the data section
}

type kconfigVar struct {
	// err says why the variable has no value, nil if it has one.
	err error
	// missing: the target knows none, and 0 will do for a weak variable.
	missing bool
}

// addKconfig makes the map .kconfig from the target's values. It gives nil if
// the object has no such variables.
func (m *Image) addKconfig(t Target) (*kconfig, error) {
	if m.Types == nil {
		return nil, nil
	}
	var section *btf.Datasec
	if err := m.Types.TypeByName(kconfigMap, &section); errors.Is(err, btf.ErrNotFound) {
		return nil, nil
	} else if err != nil {
		return nil, fmt.Errorf("%w: .kconfig: %v", ErrMalformed, err)
	}
	if section.Size > maxData {
		return nil, fmt.Errorf("%w: .kconfig has %d bytes", ErrTooLarge, section.Size)
	}
	k := &kconfig{vars: map[uint32]kconfigVar{}}
	contents := make([]byte, section.Size)
	for _, v := range section.Vars {
		variable, ok := v.Type.(*btf.Var)
		if !ok || uint64(v.Offset)+uint64(v.Size) > uint64(len(contents)) {
			return nil, fmt.Errorf("%w: .kconfig: %s is no variable inside it", ErrMalformed, v.Type.TypeName())
		}
		k.vars[v.Offset] = putKconfig(contents[v.Offset:v.Offset+v.Size], variable, t)
	}
	m.Maps[kconfigMap] = &ebpf.MapSpec{
		Name: kconfigMap, Type: ebpf.Array, KeySize: 4, ValueSize: section.Size, MaxEntries: 1, Flags: abi.MapRdonlyProg,
		Key: &btf.Int{Size: 4}, Value: section,
		Contents: []ebpf.MapKV{{Key: uint32(0), Value: contents}},
	}
	return k, nil
}

func putKconfig(to []byte, v *btf.Var, t Target) kconfigVar {
	var value uint64
	found := false
	if t.Kconfig != nil {
		value, found = t.Kconfig(v.Name)
	}
	if !found {
		return kconfigVar{missing: true,
			err: fmt.Errorf("reads the __kconfig variable %s: %w; declare it __weak to read 0", v.Name, ErrMissing)}
	}
	if err := encodeKconfig(to, v.Type, value); err != nil {
		return kconfigVar{err: fmt.Errorf("reads the __kconfig variable %s: %w", v.Name, err)}
	}
	return kconfigVar{}
}

// encodeKconfig stores a value as libbpf does for the variable's type (libbpf.c,
// set_kcfg_value_num and set_kcfg_value_tri). A tristate is 0 (n), 1 (y) or 2 (m).
func encodeKconfig(to []byte, typ btf.Type, value uint64) error {
	misfit := func(what string) error {
		return fmt.Errorf("the target's value %d is no %s", int64(value), what)
	}
	switch t := btf.UnderlyingType(typ).(type) {
	case *btf.Int:
		signed, bits := t.Encoding == btf.Signed, 8*t.Size
		switch {
		case int(t.Size) != len(to) || t.Size > 8 || bits&(bits-1) != 0:
			return fmt.Errorf("a configuration value of %d bytes is %w", t.Size, ErrNotSupported)
		case t.Encoding == btf.Bool && value > 1:
			return misfit("_Bool")
		case t.Name == "char" && value > 2:
			return misfit("tristate")
		case t.Name == "char":
			to[0] = "nym"[value]
			return nil
		case bits < 64 && signed && (int64(value) < -1<<(bits-1) || int64(value) > 1<<(bits-1)-1),
			bits < 64 && !signed && value > 1<<bits-1:
			return misfit(fmt.Sprintf("%d-bit %s", bits, t.Name))
		}
		for i := range to {
			to[i] = byte(value >> (8 * i))
		}
		return nil
	case *btf.Enum:
		if t.Name != "libbpf_tristate" || len(to) != 4 {
			return fmt.Errorf("enum %s is %w, use enum libbpf_tristate", t.Name, ErrNotSupported)
		}
		if value > 2 {
			return misfit("tristate")
		}
		to[0] = byte(value)
		return nil
	case *btf.Array:
		return fmt.Errorf("a configuration string is %w", ErrNotSupported)
	default:
		return fmt.Errorf("a configuration value of type %v is %w", t, ErrNotSupported)
	}
}
