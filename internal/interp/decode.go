package interp

import (
	"fmt"
	"unsafe"

	"github.com/cilium/ebpf/asm"

	"github.com/skep-bpf/skep/internal/image"
)

// The forms of an instruction: 64-bit with immediate, 64-bit with register,
// 32-bit with immediate, 32-bit with register. opTrap stands for "there is none".
const (
	form64Imm = iota
	form64Reg
	form32Imm
	form32Reg
)

// aluOps has cilium/ebpf's numbers: those of signed division and of
// sign-extending moves include the instruction's offset field.
var aluOps = map[asm.ALUOp][4]op{
	asm.Add:     {opAdd64Imm, opAdd64Reg, opAdd32Imm, opAdd32Reg},
	asm.Sub:     {opSub64Imm, opSub64Reg, opSub32Imm, opSub32Reg},
	asm.Mul:     {opMul64Imm, opMul64Reg, opMul32Imm, opMul32Reg},
	asm.Div:     {opDiv64Imm, opDiv64Reg, opDiv32Imm, opDiv32Reg},
	asm.SDiv:    {opSdiv64Imm, opSdiv64Reg, opSdiv32Imm, opSdiv32Reg},
	asm.Or:      {opOr64Imm, opOr64Reg, opOr32Imm, opOr32Reg},
	asm.And:     {opAnd64Imm, opAnd64Reg, opAnd32Imm, opAnd32Reg},
	asm.LSh:     {opLsh64Imm, opLsh64Reg, opLsh32Imm, opLsh32Reg},
	asm.RSh:     {opRsh64Imm, opRsh64Reg, opRsh32Imm, opRsh32Reg},
	asm.Neg:     {opNeg64, opTrap, opNeg32, opTrap},
	asm.Mod:     {opMod64Imm, opMod64Reg, opMod32Imm, opMod32Reg},
	asm.SMod:    {opSmod64Imm, opSmod64Reg, opSmod32Imm, opSmod32Reg},
	asm.Xor:     {opXor64Imm, opXor64Reg, opXor32Imm, opXor32Reg},
	asm.Mov:     {opMov64Imm, opMov64Reg, opMov32Imm, opMov32Reg},
	asm.MovSX8:  {opTrap, opMovsx8to64, opTrap, opMovsx8to32},
	asm.MovSX16: {opTrap, opMovsx16to64, opTrap, opMovsx16to32},
	asm.MovSX32: {opTrap, opMovsx32to64, opTrap, opTrap},
	asm.ArSh:    {opArsh64Imm, opArsh64Reg, opArsh32Imm, opArsh32Reg},
}

// swaps are the byte swaps by width: to little-endian, to big-endian and
// unconditional. On a little-endian machine the last two are the same.
var swaps = map[int32]struct{ little, big op }{
	16: {opLe16, opSwap16},
	32: {opLe32, opSwap32},
	64: {opMov64Reg, opSwap64},
}

var jumpOps = map[asm.JumpOp][4]op{
	asm.JEq:  {opJeq64Imm, opJeq64Reg, opJeq32Imm, opJeq32Reg},
	asm.JNE:  {opJne64Imm, opJne64Reg, opJne32Imm, opJne32Reg},
	asm.JGT:  {opJgt64Imm, opJgt64Reg, opJgt32Imm, opJgt32Reg},
	asm.JGE:  {opJge64Imm, opJge64Reg, opJge32Imm, opJge32Reg},
	asm.JLT:  {opJlt64Imm, opJlt64Reg, opJlt32Imm, opJlt32Reg},
	asm.JLE:  {opJle64Imm, opJle64Reg, opJle32Imm, opJle32Reg},
	asm.JSet: {opJset64Imm, opJset64Reg, opJset32Imm, opJset32Reg},
	asm.JSGT: {opJsgt64Imm, opJsgt64Reg, opJsgt32Imm, opJsgt32Reg},
	asm.JSGE: {opJsge64Imm, opJsge64Reg, opJsge32Imm, opJsge32Reg},
	asm.JSLT: {opJslt64Imm, opJslt64Reg, opJslt32Imm, opJslt32Reg},
	asm.JSLE: {opJsle64Imm, opJsle64Reg, opJsle32Imm, opJsle32Reg},
}

// loads are plain loads and loads through a pointer to a kernel object.
var loads = map[asm.OpCode]struct{ plain, kernel op }{
	asm.LoadMemOp(asm.Byte):   {opLoad8, opKernelLoad8},
	asm.LoadMemOp(asm.Half):   {opLoad16, opKernelLoad16},
	asm.LoadMemOp(asm.Word):   {opLoad32, opKernelLoad32},
	asm.LoadMemOp(asm.DWord):  {opLoad64, opKernelLoad64},
	asm.LoadMemSXOp(asm.Byte): {opLoads8, opKernelLoads8},
	asm.LoadMemSXOp(asm.Half): {opLoads16, opKernelLoads16},
	asm.LoadMemSXOp(asm.Word): {opLoads32, opKernelLoads32},
}

var stores = map[asm.OpCode]op{
	asm.StoreImmOp(asm.Byte):  opStore8Imm,
	asm.StoreImmOp(asm.Half):  opStore16Imm,
	asm.StoreImmOp(asm.Word):  opStore32Imm,
	asm.StoreImmOp(asm.DWord): opStore64Imm,
	asm.StoreMemOp(asm.Byte):  opStore8Reg,
	asm.StoreMemOp(asm.Half):  opStore16Reg,
	asm.StoreMemOp(asm.Word):  opStore32Reg,
	asm.StoreMemOp(asm.DWord): opStore64Reg,
}

var atomics = map[asm.AtomicOp]struct{ word, dword op }{
	asm.AddAtomic: {opAtomicAdd32, opAtomicAdd64},
	asm.OrAtomic:  {opAtomicOr32, opAtomicOr64},
	asm.AndAtomic: {opAtomicAnd32, opAtomicAnd64},
	asm.XorAtomic: {opAtomicXor32, opAtomicXor64},
	asm.FetchAdd:  {opFetchAdd32, opFetchAdd64},
	asm.FetchOr:   {opFetchOr32, opFetchOr64},
	asm.FetchAnd:  {opFetchAnd32, opFetchAnd64},
	asm.FetchXor:  {opFetchXor32, opFetchXor64},
	asm.Xchg:      {opXchg32, opXchg64},
	asm.CmpXchg:   {opCmpxchg32, opCmpxchg64},
}

// decode makes instruction i of c's program ready.
func (c *compiler) decode(i int) (insn, error) {
	src := c.program.Insns[i]
	out := insn{dst: src.Dst, src: src.Src, off: src.Off, imm: src.Imm}
	code := asm.OpCode(src.Op)
	class := code.Class()
	if src.Dst > 10 {
		return out, fmt.Errorf("there is no register r%d", src.Dst)
	}
	// Of calls and 64-bit immediate loads the source field is not a register.
	if src.Src > 10 {
		return out, fmt.Errorf("there is no register r%d", src.Src)
	}
	if c.writes(src) == 10 {
		return out, fmt.Errorf("writes the frame pointer r10")
	}

	form := form64Imm
	if class == asm.ALUClass || class == asm.Jump32Class {
		form = form32Imm
	}
	if class.IsALU() || class.IsJump() {
		if code.Source() == asm.RegSource {
			form++
		}
	}
	out.op = opTrap
	switch class {
	case asm.ALUClass, asm.ALU64Class:
		c.decodeALU(src, &out, form)
	case asm.JumpClass, asm.Jump32Class:
		return out, c.decodeJump(i, &out, form)
	case asm.LdXClass:
		if l, ok := loads[code]; ok {
			out.op = l.plain
			if c.facts != nil && c.facts.Insns[i].KernelLoad {
				out.op = l.kernel
			}
		}
	case asm.StClass, asm.StXClass:
		if o, ok := stores[code]; ok {
			out.op = o
		} else if o, ok := atomics[asm.AtomicOp(src.Imm)<<8]; ok && code.Mode() == asm.AtomicMode {
			switch code.Size() {
			case asm.Word:
				out.op = o.word
			case asm.DWord:
				out.op = o.dword
			}
		}
	case asm.LdClass:
		if code.IsDWordLoad() {
			return out, c.decodeLddw(i, &out)
		}
	}
	if out.op == opTrap {
		return out, fmt.Errorf("unknown instruction %#02x (offset %d, immediate %d)", src.Op, src.Off, src.Imm)
	}
	return out, nil
}

// writes is the register that an instruction writes besides r0, or -1.
func (c *compiler) writes(in image.Insn) int {
	code := asm.OpCode(in.Op)
	switch class := code.Class(); {
	case class.IsALU(), class == asm.LdXClass, class == asm.LdClass:
		return int(in.Dst)
	case class == asm.StXClass && code.Mode() == asm.AtomicMode:
		op := asm.AtomicOp(in.Imm) << 8
		if op == asm.FetchAdd || op == asm.FetchOr || op == asm.FetchAnd || op == asm.FetchXor || op == asm.Xchg {
			return int(in.Src)
		}
	}
	return -1
}

func (c *compiler) decodeALU(src image.Insn, out *insn, form int) {
	code := asm.OpCode(src.Op)
	name := code.ALUOp()
	if name == asm.Swap {
		s, ok := swaps[src.Imm]
		if !ok || src.Off != 0 {
			return
		}
		out.op, out.src = s.big, src.Dst
		if code.Class() == asm.ALUClass && code.Endianness() == asm.LE {
			out.op = s.little
		} else if code.Class() == asm.ALU64Class && code.Endianness() == asm.BE {
			out.op = opTrap
		}
		return
	}
	switch {
	case (name == asm.Div || name == asm.Mod) && src.Off == 1:
		name += asm.SDiv - asm.Div
	case name == asm.Mov && src.Off == 8:
		name = asm.MovSX8
	case name == asm.Mov && src.Off == 16:
		name = asm.MovSX16
	case name == asm.Mov && src.Off == 32:
		name = asm.MovSX32
	case src.Off != 0:
		return
	}
	if ops, ok := aluOps[name]; ok {
		out.op = ops[form]
	}
	if name == asm.Neg {
		out.src = src.Dst
	}
}

func (c *compiler) decodeJump(i int, out *insn, form int) error {
	src := c.program.Insns[i]
	code := asm.OpCode(src.Op)
	target := i + 1 + int(src.Off)
	switch name := code.JumpOp(); {
	case name == asm.Ja && form == form64Imm:
		out.op = opJa
	case name == asm.Ja && form == form32Imm:
		out.op, target = opJa, i+1+int(src.Imm)
	case name == asm.Exit && form == form64Imm:
		out.op = opExit
		return nil
	case name == asm.Call && form == form64Imm:
		return c.decodeCall(i, out)
	default:
		ops, ok := jumpOps[name]
		if !ok {
			out.op = opTrap
			return fmt.Errorf("unknown instruction %#02x", src.Op)
		}
		out.op = ops[form]
	}
	return c.jumpTo(i, target, out)
}

// jumpTo sets the target of the jump at i.
func (c *compiler) jumpTo(i, target int, out *insn) error {
	if target < 0 || target >= len(c.program.Insns) {
		return fmt.Errorf("jumps to %d, outside the program", target)
	}
	if c.second(target) {
		return fmt.Errorf("jumps to %d, the middle of a 64-bit immediate load", target)
	}
	out.jump = int32((target - i) * int(unsafe.Sizeof(insn{})))
	return nil
}

// second reports whether a slot is the second one of a 64-bit immediate load.
func (c *compiler) second(i int) bool { return c.seconds[i] }
