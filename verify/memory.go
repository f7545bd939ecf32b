package verify

import (
	"encoding/binary"
	"fmt"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"

	"github.com/skep-bpf/skep/internal/abi"
	"github.com/skep-bpf/skep/internal/image"
	"github.com/skep-bpf/skep/internal/mem"
	"github.com/skep-bpf/skep/verify/internal/scalar"
)

// offsets is a range of offsets in words.
func offsets(first, last int64) string {
	if first == last {
		return fmt.Sprint(first)
	}
	return fmt.Sprintf("%d..%d", first, last)
}

// amount is a number of bytes in words.
func amount(n int) string {
	if n == 1 {
		return "1 byte"
	}
	return fmt.Sprintf("%d bytes", n)
}

// reach is the first and the last offset that an access at off from p may have.
// Offsets that are out of every bound are cut, so that sums do not wrap around.
func reach(p *reg, off int) (first, last int64) {
	const far = 1 << 40
	return max(p.v.R.Smin, -far) + int64(off), min(p.v.R.Smax, far) + int64(off)
}

// loadImm is a 64-bit immediate load, of a number or of a map.
func (v *verifier) loadImm(in image.Insn) *Error {
	next := v.p.Insns[v.insn+1]
	dst := &v.cur.top().regs[in.Dst]
	switch asm.Register(in.Src) {
	case 0:
		*dst = constReg(uint64(uint32(in.Imm)) | uint64(uint32(next.Imm))<<32)
		return nil
	case asm.PseudoMapFD, asm.PseudoMapValue:
	case asm.PseudoFunc:
		return v.fail(CodeUnsupported, "pointers to functions (callbacks) are not known yet")
	default:
		return v.fail(CodeUnsupported, "a 64-bit load of kind %d is not known yet", in.Src)
	}
	if in.Imm < 0 || int(in.Imm) >= len(v.maps) {
		return v.fail(CodeMalformed, "the program refers to its map %d; it has %d", in.Imm, len(v.maps))
	}
	m := &v.maps[in.Imm]
	if m.special != "" {
		return v.fail(CodeUnsupported, "the values of map %s have a %s, which is not known yet", m, m.special)
	}
	if asm.Register(in.Src) == asm.PseudoMapFD {
		*dst = reg{kind: mapPtr, object: in.Imm, v: w64.Const(0)}
		return nil
	}
	if m.spec.Type != ebpf.Array || m.spec.MaxEntries != 1 {
		return v.fail(CodeMalformed, "the program takes the address of a value of map %s; that is possible for arrays with one value only", m)
	}
	if off := uint32(next.Imm); off >= m.spec.ValueSize {
		return v.fail(CodeValueBounds, "the program takes the address of byte %d of map %s, which has %d", off, m, m.spec.ValueSize)
	}
	*dst = reg{kind: mapValue, object: in.Imm, v: w64.Const(uint64(uint32(next.Imm)))}
	return nil
}

// load is dst = *(size *)(src + off).
func (v *verifier) load(in image.Insn) *Error {
	p, err := v.read(in.Src)
	if err != nil {
		return err
	}
	size := sizeOf(in)
	// A kernel object is read through the kernel view, other memory as it is: an
	// instruction can't do both.
	if p.kind == kernelPtr {
		v.facts[v.insn].KernelLoad = true
	} else {
		v.otherLoads[v.insn] = true
	}
	if v.facts[v.insn].KernelLoad && v.otherLoads[v.insn] {
		return v.fail(CodeMixedPointers, "this instruction loads through %s here, and through another kind of pointer on another path", v.describe(p))
	}
	value, err := v.loadFrom(p, int(in.Off), size)
	if err != nil {
		return err
	}
	if asm.Mode(in.Op&modeMask) == asm.MemSXMode {
		if value.isPointer() {
			return v.fail(CodePointerLeak, "%s is loaded as a number with sign", v.describe(&value))
		}
		value = numberReg(w64.SignExtend(&value.v, scalar.Width(8*size)))
	}
	v.cur.top().regs[in.Dst] = value
	return nil
}

// loadFrom is what size bytes at off from p hold, zero-extended.
func (v *verifier) loadFrom(p *reg, off, size int) (reg, *Error) {
	if err := v.access(p); err != nil {
		return reg{}, err
	}
	value := numberReg(w64.Between(0, ^uint64(0)>>(64-8*size)))
	switch p.kind {
	case stackPtr:
		return v.loadStack(p, off, size)
	case contextPtr:
		return value, v.accessContext(p, off, size, false)
	case mapValue:
		m := &v.maps[p.object]
		if m.writeOnly() {
			return reg{}, v.fail(CodeReadOnly, "map %s is for writing only (BPF_F_WRONLY_PROG)", m)
		}
		if err := v.inValue(p, off, size); err != nil {
			return reg{}, err
		}
		if at, ok := p.v.IsConst(); ok && m.constants != nil {
			if at += uint64(off); at+uint64(size) <= uint64(len(m.constants)) {
				var b [8]byte
				copy(b[:], m.constants[at:at+uint64(size)])
				return constReg(binary.LittleEndian.Uint64(b[:])), nil
			}
		}
		return value, nil
	case record:
		return value, v.inRecord(p, off, size)
	case kernelPtr:
		return v.loadKernel(p, off, size)
	}
	return reg{}, v.fail(CodeUnsupported, "loading through %s is not known yet", v.describe(p))
}

// access refuses what is no pointer to memory that may be accessed.
func (v *verifier) access(p *reg) *Error {
	switch {
	case p.kind == number:
		return v.fail(CodeNotPointer, "%s is used as an address", v.describe(p))
	case p.orNull:
		return v.fail(CodeNullPointer, "%s is used; it must be compared with NULL first", v.describe(p))
	}
	return nil
}

// store is *(size *)(dst + off) = value.
func (v *verifier) store(in image.Insn, value *reg) *Error {
	p, err := v.read(in.Dst)
	if err != nil {
		return err
	}
	if err := v.access(p); err != nil {
		return err
	}
	off, size := int(in.Off), sizeOf(in)
	if p.kind == stackPtr {
		return v.storeStack(p, off, size, value)
	}
	if err := v.writable(p, off, size); err != nil {
		return err
	}
	if value.isOwn() {
		return v.fail(CodePointerLeak, "%s is stored in %s: the address of the program's own memory gets out", v.describe(value), v.describe(p))
	}
	return nil
}

// writable checks that size bytes at off from p, which is no stack pointer, may
// be written.
func (v *verifier) writable(p *reg, off, size int) *Error {
	switch p.kind {
	case contextPtr:
		return v.accessContext(p, off, size, true)
	case mapValue:
		if m := &v.maps[p.object]; m.readOnly() {
			return v.fail(CodeReadOnly, "map %s is for reading only", m)
		}
		return v.inValue(p, off, size)
	case record:
		return v.inRecord(p, off, size)
	case kernelPtr:
		return v.fail(CodeReadOnly, "%s may only be read", v.describe(p))
	}
	return v.fail(CodeUnsupported, "storing through %s is not known yet", v.describe(p))
}

// inValue checks that size bytes at off from p lie in the map's value.
func (v *verifier) inValue(p *reg, off, size int) *Error {
	m := &v.maps[p.object]
	return v.within(p, off, size, m.size(), func() string { return fmt.Sprintf("the value of map %s", m) })
}

func (v *verifier) inRecord(p *reg, off, size int) *Error {
	return v.within(p, off, size, int64(p.object), func() string { return "the record" })
}

func (v *verifier) within(p *reg, off, size int, have int64, what func() string) *Error {
	first, last := reach(p, off)
	if first < 0 || last+int64(size) > have {
		return v.fail(CodeValueBounds, "an access of %s at offset %s of %s, which has %s", amount(size), offsets(first, last), what(), amount(int(have)))
	}
	return nil
}

// accessContext checks an access to the context.
func (v *verifier) accessContext(p *reg, off, size int, write bool) *Error {
	at, ok := p.v.IsConst()
	if !ok || at != 0 {
		return v.fail(CodeContextBounds, "the context is accessed through a pointer that was moved by %s; only constant offsets in the instruction are possible",
			offsets(p.v.R.Smin, p.v.R.Smax))
	}
	c := &v.typ.Context
	if !write && c.Allows(off, size, false) && off+size > mem.ContextSize {
		return v.fail(CodeContextBounds, "a load of %s at offset %d of the context; contexts have at most %d bytes here", amount(size), off, mem.ContextSize)
	}
	if c.Allows(off, size, write) {
		if f := c.Field(off); f != nil && f.Mode&abi.Pointer != 0 {
			return v.fail(CodeUnsupported, "the field %s of the context is a pointer, which is not known yet", f.Name)
		}
		v.context = max(v.context, off+size)
		return nil
	}
	if write && c.Allows(off, size, false) {
		return v.fail(CodeReadOnly, "a store of %s at offset %d of the context; a %s program may only read there", amount(size), off, v.typ.Name)
	}
	if f := c.Field(off); f != nil {
		return v.fail(CodeContextBounds, "an access of %s at offset %d of the context; a %s program may not access the field %s like this",
			amount(size), off, v.typ.Name, f.Name)
	}
	return v.fail(CodeContextBounds, "an access of %s at offset %d of the context; a %s program may access aligned parts of its %d bytes",
		amount(size), off, v.typ.Name, c.Size)
}

// describe says what a register holds, in words.
func (v *verifier) describe(r *reg) string {
	null := ""
	if r.orNull {
		null = " that may be NULL"
	}
	switch r.kind {
	case number:
		if x, ok := r.v.IsConst(); ok {
			return fmt.Sprintf("the number %d", int64(x))
		}
		return "a number"
	case stackPtr:
		return "a pointer to the stack"
	case contextPtr:
		return "the context"
	case mapPtr:
		return fmt.Sprintf("the map %s", &v.maps[r.object])
	case mapValue:
		return fmt.Sprintf("a pointer to a value of map %s%s", &v.maps[r.object], null)
	case record:
		return "a ring-buffer record" + null
	case kernelPtr:
		return "a pointer to a kernel " + v.typeName(r.object) + null
	}
	return "nothing"
}
