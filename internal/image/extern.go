package image

import (
	"slices"

	"github.com/cilium/ebpf/asm"
)

// MissingKfunc is the helper that an instruction calls in place of a weak kernel
// function that the target does not have. There is no such helper: the
// instruction must not be reached. The number is cilium/ebpf's.
const MissingKfunc = 0xdedc0de

// loadMap resolves a load of a map or of an address in its value.
func (l *linker) loadMap(i int, ins *asm.Instruction) error {
	name := ins.Reference()
	if name == "" {
		off, ok := kconfigOffset(ins)
		switch {
		case ins.Map() != nil:
			return l.fail(i, ErrNotSupported, "is bound to the kernel map %v; refer to a map of the spec by name", ins.Map())
		case !ok:
			return l.fail(i, ErrUndefined, "loads a map by file descriptor; refer to a map of the spec by name (Instruction.WithReference)")
		case l.kconfig == nil:
			return l.fail(i, ErrMalformed, "reads .kconfig, which the spec's types do not describe")
		}
		weak := ins.Metadata.Get(weakKconfig{}) == true
		if v := l.kconfig.vars[off]; v.err != nil && !(weak && v.missing) {
			return l.fail(i, v.err, "%v", v.err)
		}
		name = kconfigMap
		ins.Constant = int64(uint64(off) << 32)
	}
	if l.image.Maps[name] == nil {
		return l.fail(i, ErrUndefined, "refers to the map %s, which is not defined", name)
	}
	index := slices.Index(l.out.Maps, name)
	if index < 0 {
		index = len(l.out.Maps)
		l.out.Maps = append(l.out.Maps, name)
	}
	ins.Constant = ins.Constant&^0xffffffff | int64(index)
	return nil
}

// callKfunc resolves a call of a kernel function.
func (l *linker) callKfunc(i int, ins *asm.Instruction) error {
	name := ins.Reference()
	if name == "" {
		return l.fail(i, ErrUndefined, "calls a kernel function by type id; refer to it by name (Instruction.WithReference)")
	}
	if l.target.Kfunc == nil || !l.target.Kfunc(name) {
		if weak, _ := isKfunc(ins); !weak {
			return l.fail(i, ErrMissing, "calls the kernel function %s, which the target does not have", name)
		}
		*ins = asm.Instruction{OpCode: asm.OpCode(opCall), Constant: MissingKfunc}
		return nil
	}
	index := slices.Index(l.out.Kfuncs, name)
	if index < 0 {
		index = len(l.out.Kfuncs)
		l.out.Kfuncs = append(l.out.Kfuncs, name)
	}
	ins.Constant, ins.Offset = int64(index), 0
	return nil
}

// loadExtern resolves a load of the address of something that the object does not
// define.
func (l *linker) loadExtern(i int, ins *asm.Instruction) error {
	name := ins.Reference()
	if weak, ok := isKsym(ins); ok {
		var addr uint64
		found := false
		if l.target.Ksym != nil {
			addr, found = l.target.Ksym(name)
		}
		ins.Constant = 0
		switch {
		case found && ins.Metadata.Get(typedKsym{}) == true:
			return l.fail(i, ErrNotSupported, "reads the kernel variable %s by its type, which is not supported; as extern const void its address can be taken", name)
		case !found && !weak:
			return l.fail(i, ErrMissing, "takes the address of the kernel variable %s, which the target does not have; declare it __weak to get 0", name)
		case found:
			ins.Constant = int64(addr)
		}
		return nil
	}
	if weak, ok := isKfunc(ins); ok {
		found := l.target.Kfunc != nil && l.target.Kfunc(name)
		if !found && !weak {
			return l.fail(i, ErrMissing, "takes the address of the kernel function %s, which the target does not have", name)
		}
		// All that a program can do with the address is to ask whether it is 0.
		ins.Constant = 0
		if found {
			ins.Constant = 1
		}
		return nil
	}
	// A constant named in inline assembly, which the user sets in the spec.
	if ins.Constant == 0 {
		return l.fail(i, ErrUndefined, "loads %s, which is not defined", name)
	}
	return nil
}
