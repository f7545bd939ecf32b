package verify

import (
	"github.com/cilium/ebpf/asm"

	"github.com/skep-bpf/skep/internal/image"
	"github.com/skep-bpf/skep/verify/internal/scalar"
)

// Opcodes that stand for one instruction (RFC 9669, section 3).
const (
	opLoadImm64 = uint8(asm.LdClass) | uint8(asm.ImmMode) | uint8(asm.DWord)
	opJa        = uint8(asm.JumpClass) | uint8(asm.Ja)
	opJa32      = uint8(asm.Jump32Class) | uint8(asm.Ja)
	opCall      = uint8(asm.JumpClass) | uint8(asm.Call)
	opExit      = uint8(asm.JumpClass) | uint8(asm.Exit)

	// opMayGoto is BPF_JCOND, which RFC 9669 does not have (Linux 6.9).
	opMayGoto = uint8(asm.JumpClass) | 0xe0
)

// Masks of the fields of an opcode.
const (
	classMask  = 0x07
	sourceMask = 0x08 // asm.RegSource
	sizeMask   = 0x18
	modeMask   = 0xe0
	codeMask   = 0xf0
)

func classOf(in image.Insn) asm.Class { return asm.Class(in.Op & classMask) }

func fromRegister(in image.Insn) bool { return in.Op&sourceMask != 0 }

// sizeOf is the number of bytes that a load or store accesses.
func sizeOf(in image.Insn) int { return asm.Size(in.Op & sizeMask).Sizeof() }

// The codes of ALU instructions that are no binary operation.
const (
	aluNeg  = uint8(0x80) // asm.Neg
	aluMov  = uint8(asm.Mov)
	aluSwap = uint8(asm.Swap)
)

// A binaryOp is an operation of two operands, read without and with sign: an
// offset of 1 selects the latter.
type binaryOp struct {
	known    bool
	unsigned scalar.Op
	signed   scalar.Op
}

// binaryOps are the operations by the upper four bits of the opcode.
var binaryOps = [16]binaryOp{
	0x0: {true, scalar.Add, scalar.Add},
	0x1: {true, scalar.Sub, scalar.Sub},
	0x2: {true, scalar.Mul, scalar.Mul},
	0x3: {true, scalar.Div, scalar.SDiv},
	0x4: {true, scalar.Or, scalar.Or},
	0x5: {true, scalar.And, scalar.And},
	0x6: {true, scalar.Lsh, scalar.Lsh},
	0x7: {true, scalar.Rsh, scalar.Rsh},
	0x9: {true, scalar.Mod, scalar.SMod},
	0xa: {true, scalar.Xor, scalar.Xor},
	0xc: {true, scalar.Arsh, scalar.Arsh},
}

// conditions are the comparisons by the upper four bits of the opcode.
var conditions = [16]struct {
	known bool
	cond  scalar.Cond
}{
	0x1: {true, scalar.Eq}, 0x2: {true, scalar.Gt}, 0x3: {true, scalar.Ge}, 0x4: {true, scalar.Set},
	0x5: {true, scalar.Ne}, 0x6: {true, scalar.Sgt}, 0x7: {true, scalar.Sge}, 0xa: {true, scalar.Lt},
	0xb: {true, scalar.Le}, 0xc: {true, scalar.Slt}, 0xd: {true, scalar.Sle},
}

// Atomic operations: the immediate of an instruction with asm.AtomicMode.
const (
	atomicAdd     = 0x00
	atomicOr      = 0x40
	atomicAnd     = 0x50
	atomicXor     = 0xa0
	atomicFetch   = 0x01 // a flag of those above
	atomicXchg    = 0xe0 | atomicFetch
	atomicCmpxchg = 0xf0 | atomicFetch

	// Linux 6.15, not in RFC 9669.
	atomicLoadAcquire  = 0x100
	atomicStoreRelease = 0x110
)
