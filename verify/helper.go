package verify

import (
	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"

	"github.com/skep-bpf/skep/internal/abi"
)

// poisonedCall is the helper that a CO-RE relocation without an answer is made a
// call of (libbpf, bpf_core_poison_insn).
const poisonedCall asm.BuiltinFunc = 195896080

// sleepable is BPF_F_SLEEPABLE, a flag of programs.
const sleepable = 1 << 4

// A call is the call of a helper while its arguments are looked at.
type call struct {
	h *abi.Helper
	// m is the map argument, nil before it was seen.
	m *mapInfo
	// object is the index of m.
	object int32
	// memory is the register with the memory whose size comes next.
	memory uint8
	access memoryAccess
	// size is the constant of an ArgAllocSize.
	size int64
	// limit is the largest value of the last size argument.
	limit uint64
	// key is the constant that a map key is, where keyKnown.
	key      uint64
	keyKnown bool
	// released is the reference that the call gives back.
	released uint32
}

// memoryAccess says what a helper does with an argument that is memory.
type memoryAccess uint8

const (
	readsMemory  memoryAccess = iota
	readsKey                  // a key: what it is may decide whether it is found
	readsOrNull               // the same as readsMemory, or NULL
	writesMemory              // it need not be initialised
)

func (v *verifier) callHelper(id asm.BuiltinFunc) *Error {
	if id == poisonedCall {
		return v.poisoned()
	}
	h := abi.HelperByID(id)
	if h == nil {
		return v.fail(CodeForbidden, "helper %d does not exist", id)
	}
	if !abi.HelperAllowed(v.p.Type, v.p.AttachType, id) {
		return v.fail(CodeForbidden, "a %s program may not call %s", v.typ.Name, h.Name)
	}
	if abi.HelperSleeps(id) && v.p.Flags&sleepable == 0 {
		return v.fail(CodeForbidden, "%s may sleep; only sleepable programs (sections that end in .s) may call it", h.Name)
	}
	if h.GPL && !gplCompatible(v.p.License) {
		return v.fail(CodeGPL, "%s is for programs with a GPL-compatible license; this one is under %q", h.Name, v.p.License)
	}
	if h.Support == abi.Nobody {
		return v.fail(CodeUnsupported, "%s can't be run yet", h.Name)
	}
	c := call{h: h}
	for n, kind := range h.Args {
		if kind == abi.ArgNone {
			break
		}
		if err := v.argument(&c, kind, uint8(n+1)); err != nil {
			return err
		}
	}
	result, err := v.result(&c)
	if err != nil {
		return err
	}
	if c.released != 0 {
		v.release(c.released)
	}
	regs := &v.cur.top().regs
	for r := 1; r <= 5; r++ {
		regs[r] = reg{}
	}
	regs[0] = result
	return nil
}

// poisoned refuses what CO-RE found no answer for: it is reached.
func (v *verifier) poisoned() *Error {
	for _, r := range v.p.Relocations {
		if r.Insn == v.insn && r.Poisoned {
			name := r.Type
			if r.Field != "" {
				name += "." + r.Field
			}
			return v.fail(CodeRelocation, "the kernel's types have no %s (%s), and nothing keeps the program from using it", name, r.Kind)
		}
	}
	return v.fail(CodeRelocation, "the kernel's types do not have what is used here")
}

// gplCompatible are the licenses of the kernel's license_is_gpl_compatible.
func gplCompatible(license string) bool {
	switch license {
	case "GPL", "GPL v2", "GPL and additional rights", "Dual BSD/GPL", "Dual MIT/GPL", "Dual MPL/GPL":
		return true
	}
	return false
}

// argument checks what is in register n against what the helper expects there.
func (v *verifier) argument(c *call, kind abi.Arg, n uint8) *Error {
	r, err := v.read(n)
	if err != nil {
		return err
	}
	wrong := func(want string) *Error {
		return v.fail(CodeArgument, "argument %d of %s is %s; it must be %s", n, c.h.Name, v.describe(r), want)
	}
	switch kind {
	case abi.ArgAnything:
		return nil
	case abi.ArgScalar:
		if r.kind != number {
			return wrong("a number")
		}
	case abi.ArgMapPtr:
		if r.kind != mapPtr {
			return wrong("a map")
		}
		return v.mapArgument(c, r)
	case abi.ArgMapKey:
		c.key, c.keyKnown = v.constantKey(r, int(c.m.spec.KeySize))
		return v.memoryArgument(c, n, readsKey, uint64(c.m.spec.KeySize), uint64(c.m.spec.KeySize))
	case abi.ArgMapValue:
		return v.memoryArgument(c, n, readsMemory, uint64(c.m.spec.ValueSize), uint64(c.m.spec.ValueSize))
	case abi.ArgMapValueOut:
		access := writesMemory
		if c.m.spec.Type == ebpf.BloomFilter {
			access = readsMemory // a filter is asked about the value
		}
		return v.memoryArgument(c, n, access, uint64(c.m.spec.ValueSize), uint64(c.m.spec.ValueSize))
	case abi.ArgMem:
		c.memory, c.access = n, readsMemory
	case abi.ArgMemOrNull:
		c.memory, c.access = n, readsOrNull
	case abi.ArgMemOut:
		c.memory, c.access = n, writesMemory
	case abi.ArgSize, abi.ArgSizeOrZero:
		if r.kind != number {
			return wrong("a number of bytes")
		}
		b := r.v.R
		if b.Smin < 0 {
			return v.fail(CodeArgument, "argument %d of %s, a number of bytes, is %s: it may be negative", n, c.h.Name, offsets(b.Smin, b.Smax))
		}
		if b.Umin == 0 && kind == abi.ArgSize {
			return v.fail(CodeArgument, "argument %d of %s, a number of bytes, may be 0", n, c.h.Name)
		}
		if b.Umax >= maxOffset {
			return v.fail(CodeArgument, "argument %d of %s, a number of bytes, has no sufficient upper bound: it may be %d", n, c.h.Name, b.Umax)
		}
		c.limit = b.Umax
		return v.memoryArgument(c, c.memory, c.access, b.Umin, b.Umax)
	case abi.ArgAllocSize:
		size, ok := r.v.IsConst()
		if r.kind != number || !ok {
			return wrong("a known constant: the number of bytes")
		}
		if size > 1<<30 {
			return v.fail(CodeArgument, "%s of %d bytes: that is more than any ring buffer has", c.h.Name, size)
		}
		c.size = int64(size)
	case abi.ArgContext:
		if at, ok := r.v.IsConst(); r.kind != contextPtr || !ok || at != 0 {
			return wrong("the context")
		}
	case abi.ArgRingbufRecord:
		if r.kind == record && r.orNull {
			return v.fail(CodeNullPointer, "%s is given to %s; it must be compared with NULL first", v.describe(r), c.h.Name)
		}
		if at, ok := r.v.IsConst(); r.kind != record || !ok || at != 0 || r.reference == 0 {
			return wrong("the start of a ring-buffer record")
		}
		c.released = r.reference
	case abi.ArgLongOut:
		return v.memoryArgument(c, n, writesMemory, 8, 8)
	case abi.ArgIntOut:
		return v.memoryArgument(c, n, writesMemory, 4, 4)
	default:
		return v.fail(CodeUnsupported, "argument %d of %s is of a form that is not known yet", n, c.h.Name)
	}
	return nil
}

func (v *verifier) mapArgument(c *call, r *reg) *Error {
	c.m, c.object = &v.maps[r.object], r.object
	if !abi.HelperTakesMap(c.h.ID, c.m.spec.Type) {
		return v.fail(CodeArgument, "%s does not take map %s, a map of type %v", c.h.Name, c.m, c.m.spec.Type)
	}
	switch c.h.ID {
	case asm.FnMapUpdateElem, asm.FnMapDeleteElem, asm.FnMapPushElem, asm.FnMapPopElem:
		if c.m.readOnly() {
			return v.fail(CodeReadOnly, "%s changes map %s, which is for reading only", c.h.Name, c.m)
		}
	case asm.FnMapLookupElem, asm.FnMapPeekElem:
		if c.m.writeOnly() {
			return v.fail(CodeReadOnly, "%s reads map %s, which is for writing only (BPF_F_WRONLY_PROG)", c.h.Name, c.m)
		}
	}
	return nil
}

// constantKey is the array index that lies in the stack at r, if it is known.
func (v *verifier) constantKey(r *reg, size int) (uint64, bool) {
	if r.kind != stackPtr || size != 4 {
		return 0, false
	}
	at, ok := r.v.IsConst()
	off := int64(at)
	if !ok || off < -stackSize || off > -4 {
		return 0, false
	}
	f := v.cur.frames[r.frame]
	s := span{-int(off) - 4, -int(off)}
	for i := s.low; i < s.high; i++ {
		if k := f.at(i); k == unwritten || k == data || k == spilled && f.spillAt(i).reg.kind != number {
			return 0, false
		}
	}
	key, err := v.assemble(f, s)
	if err != nil {
		return 0, false
	}
	return key.v.IsConst()
}

// memoryArgument checks that a helper may access least to most bytes at register n.
func (v *verifier) memoryArgument(c *call, n uint8, access memoryAccess, least, most uint64) *Error {
	p := &v.cur.top().regs[n]
	if access == readsOrNull && p.isZero() {
		if most > 0 {
			return v.fail(CodeArgument, "argument %d of %s is NULL, with up to %s", n, c.h.Name, amount(int(most)))
		}
		return nil
	}
	if p.orNull {
		return v.fail(CodeNullPointer, "%s is given to %s; it must be compared with NULL first", v.describe(p), c.h.Name)
	}
	size := int(most)
	switch p.kind {
	case stackPtr:
		return v.stackArgument(c, p, access, int(least), size)
	case mapValue, record:
		if access == writesMemory {
			return v.writable(p, 0, size)
		}
		if p.kind == record {
			return v.inRecord(p, 0, size)
		}
		if m := &v.maps[p.object]; m.writeOnly() {
			return v.fail(CodeReadOnly, "map %s is for writing only (BPF_F_WRONLY_PROG)", m)
		}
		return v.inValue(p, 0, size)
	}
	return v.fail(CodeArgument, "argument %d of %s is %s; it must be a pointer to %s of the stack, of a map's value or of a record",
		n, c.h.Name, v.describe(p), amount(size))
}

func (v *verifier) stackArgument(c *call, p *reg, access memoryAccess, least, most int) *Error {
	if most == 0 {
		return nil
	}
	s, exact, err := v.stackSpan(p, 0, most)
	if err != nil {
		return err
	}
	f := v.cur.frames[p.frame]
	if access != writesMemory {
		v.noteRead(f, s, access == readsKey)
		return v.readable(f, s, c.h.Name)
	}
	if exact && least == most {
		f.overwrite(s.low, s.high, data)
	} else {
		v.blur(f, s)
	}
	return nil
}

// result is what the helper leaves in R0.
func (v *verifier) result(c *call) (reg, *Error) {
	switch c.h.Ret {
	case abi.RetVoid:
		return reg{}, nil
	case abi.RetScalar:
		switch c.h.ID {
		case asm.FnProbeReadStr, asm.FnProbeReadUserStr, asm.FnProbeReadKernelStr:
			// The length of the string, at most the size, or an error.
			return numberReg(w64.SignedBetween(-maxErrno, int64(c.limit))), nil
		}
		return unknownReg(), nil
	case abi.RetMapValueOrNull:
		r := reg{kind: mapValue, object: c.object, v: w64.Const(0)}
		switch c.m.spec.Type {
		case ebpf.ArrayOfMaps, ebpf.HashOfMaps, ebpf.SockMap, ebpf.SockHash, ebpf.XSKMap, ebpf.DevMap, ebpf.DevMapHash:
			return reg{}, v.fail(CodeUnsupported, "what %s finds in map %s, of type %v, is not known yet", c.h.Name, c.m, c.m.spec.Type)
		case ebpf.Array, ebpf.PerCPUArray:
			// An index within the array always has a value.
			if c.h.ID == asm.FnMapLookupElem && c.keyKnown && c.key < uint64(c.m.spec.MaxEntries) {
				return r, nil
			}
		}
		r.orNull, r.id = true, v.newID()
		return r, nil
	case abi.RetRingbufOrNull:
		id := v.newID()
		v.cur.held = append(v.cur.held, resource{id, v.insn})
		return reg{kind: record, orNull: true, object: int32(c.size), id: id, reference: id, v: w64.Const(0)}, nil
	case abi.RetTask:
		task, err := v.taskStruct()
		return reg{kind: kernelPtr, object: task, v: w64.Const(0)}, err
	}
	return reg{}, v.fail(CodeUnsupported, "what %s returns is not known yet", c.h.Name)
}

// maxErrno is the largest error number that is returned as a negative number
// (MAX_ERRNO).
const maxErrno = 4095

// release ends the life of a resource: what points to it can't be used any more.
func (v *verifier) release(reference uint32) {
	v.cur.drop(reference)
	for _, f := range v.cur.frames[:v.cur.depth+1] {
		for i := range f.regs {
			if f.regs[i].reference == reference {
				f.regs[i] = reg{}
			}
		}
		for i := 0; i < len(f.spills); {
			s := &f.spills[i]
			if s.reg.reference != reference {
				i++
				continue
			}
			f.overwrite(s.low(), s.high(), unwritten)
		}
	}
}
