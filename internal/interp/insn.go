package interp

//go:generate go run ./gen

// An op is an operation of the interpreter. The generated file ops.go numbers
// them: first one for each form of a BPF instruction, then the fused ones.
type op uint16

// insn is a BPF instruction made ready: one for each 8-byte slot of the program,
// so that positions are the same in both. The second slot of a 64-bit immediate
// load is never executed.
type insn struct {
	op       op
	dst, src uint8 // register numbers, at most 10
	off      int16 // displacement of a load or store
	_        int16
	imm      int32
	// jump is the distance in bytes from this insn to where it jumps. In a 64-bit
	// immediate load it is the upper half of the immediate.
	jump int32
}

// insnSize is what the generated loops step by.
const insnSize = 16

// imm64 is the immediate of a 64-bit immediate load.
func (in *insn) imm64() uint64 { return uint64(uint32(in.imm)) | uint64(uint32(in.jump))<<32 }

func (in *insn) setImm64(v uint64) { in.imm, in.jump = int32(v), int32(v>>32) }
