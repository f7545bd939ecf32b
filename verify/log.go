package verify

import (
	"fmt"
	"io"
	"strings"
)

// log writes the instruction and the registers before it: "12: R0=0 R1=ctx()".
func (v *verifier) log() {
	var b strings.Builder
	fmt.Fprintf(&b, "%d: (%02x)", v.insn, v.p.Insns[v.insn].Op)
	if v.cur.depth > 0 {
		fmt.Fprintf(&b, " frame%d:", v.cur.depth)
	}
	f := v.cur.top()
	for r := range f.regs {
		if f.regs[r].kind != nothing {
			fmt.Fprintf(&b, " R%d=%s", r, v.logReg(&f.regs[r]))
		}
	}
	for i := range f.spills {
		s := &f.spills[i]
		fmt.Fprintf(&b, " fp-%d:%d=%s", s.high(), s.size, v.logReg(&s.reg))
	}
	b.WriteByte('\n')
	io.WriteString(v.o.Log, b.String())
}

// logReg is a register in the words of the kernel's log.
func (v *verifier) logReg(r *reg) string {
	null := ""
	if r.orNull {
		null = "_or_null"
	}
	var parts []string
	part := func(format string, args ...any) { parts = append(parts, fmt.Sprintf(format, args...)) }
	if r.id != 0 {
		part("id=%d", r.id)
	}
	if r.reference != 0 {
		part("ref_obj_id=%d", r.reference)
	}
	switch r.kind {
	case number:
		if x, ok := r.v.IsConst(); ok {
			return fmt.Sprint(int64(x))
		}
	case stackPtr:
		if x, ok := r.v.IsConst(); ok {
			return fmt.Sprintf("fp%+d", int64(x))
		}
	case mapPtr, mapValue:
		part("map=%s", v.maps[r.object].name)
	case record:
		part("size=%d", r.object)
	case kernelPtr:
		part("%s", v.typeName(r.object))
	}
	if x, ok := r.v.IsConst(); !ok {
		parts = append(parts, v.logRange(r)...)
	} else if x != 0 {
		part("off=%d", int64(x))
	}
	name := [...]string{nothing: "?", number: "scalar", stackPtr: "fp", contextPtr: "ctx", mapPtr: "map_ptr", mapValue: "map_value", record: "ringbuf_mem", kernelPtr: "ptr"}[r.kind]
	return fmt.Sprintf("%s%s(%s)", name, null, strings.Join(parts, ","))
}

// logRange are the bounds that say something.
func (v *verifier) logRange(r *reg) []string {
	full := w64.Unknown()
	var parts []string
	part := func(ok bool, format string, args ...any) {
		if ok {
			parts = append(parts, fmt.Sprintf(format, args...))
		}
	}
	part(r.v.R.Smin != full.R.Smin, "smin=%d", r.v.R.Smin)
	part(r.v.R.Smax != full.R.Smax, "smax=%d", r.v.R.Smax)
	part(r.v.R.Umin != full.R.Umin, "umin=%d", r.v.R.Umin)
	part(r.v.R.Umax != full.R.Umax, "umax=%d", r.v.R.Umax)
	part(r.v.H.Smin != full.H.Smin, "smin32=%d", r.v.H.Smin)
	part(r.v.H.Smax != full.H.Smax, "smax32=%d", r.v.H.Smax)
	part(r.v.H.Umin != full.H.Umin, "umin32=%d", r.v.H.Umin)
	part(r.v.H.Umax != full.H.Umax, "umax32=%d", r.v.H.Umax)
	part(r.v.Bits.Mask != full.Bits.Mask, "var_off=(%#x; %#x)", r.v.Bits.Value, r.v.Bits.Mask)
	return parts
}
