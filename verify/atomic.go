package verify

import "github.com/skep-bpf/skep/internal/image"

// atomic is an atomic operation on memory (RFC 9669, section 5.3).
func (v *verifier) atomic(in image.Insn) *Error {
	p, err := v.read(in.Dst)
	if err != nil {
		return err
	}
	src, err := v.read(in.Src)
	if err != nil {
		return err
	}
	operands := []*reg{src}
	if in.Imm == atomicCmpxchg {
		r0, err := v.read(0)
		if err != nil {
			return err
		}
		operands = append(operands, r0)
	}
	for _, r := range operands {
		if r.isPointer() {
			return v.fail(CodePointerLeak, "%s is an operand of an atomic operation: an address gets out", v.describe(r))
		}
	}
	if err := v.access(p); err != nil {
		return err
	}
	off, size := int(in.Off), sizeOf(in)
	switch p.kind {
	case stackPtr:
		// It is a load and a store.
		value, err := v.loadStack(p, off, size)
		if err != nil {
			return err
		}
		if value.isPointer() {
			return v.fail(CodePointerLeak, "an atomic operation on the stack where %s is stored", v.describe(&value))
		}
		unknown := unknownReg()
		if err := v.storeStack(p, off, size, &unknown); err != nil {
			return err
		}
	case mapValue, record:
		if !aligned(p, off, size) {
			return v.fail(CodeMisaligned, "an atomic operation on %s at offset %s; it must be aligned to its size",
				amount(size), offsets(reach(p, off)))
		}
		if _, err := v.loadFrom(p, off, size); err != nil {
			return err
		}
		if err := v.writable(p, off, size); err != nil {
			return err
		}
	default:
		return v.fail(CodeReadOnly, "an atomic operation on %s; there are those on the stack, values of maps and records", v.describe(p))
	}
	old := numberReg(w64.Between(0, ^uint64(0)>>(64-8*size)))
	switch {
	case in.Imm == atomicCmpxchg:
		v.cur.top().regs[0] = old
	case in.Imm&atomicFetch != 0:
		v.cur.top().regs[in.Src] = old
	}
	return nil
}
