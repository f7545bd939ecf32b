package progen

import (
	"github.com/cilium/ebpf/asm"

	"github.com/skep-bpf/skep/internal/image"
)

func movReg(dst, src uint8) image.Insn     { return image.Insn{Op: 0xbf, Dst: dst, Src: src} }
func movImm(dst uint8, x int32) image.Insn { return image.Insn{Op: 0xb7, Dst: dst, Imm: x} }
func addImm(dst uint8, x int32) image.Insn { return image.Insn{Op: 0x07, Dst: dst, Imm: x} }
func addReg(dst, src uint8) image.Insn     { return image.Insn{Op: 0x0f, Dst: dst, Src: src} }
func andImm(dst uint8, x int32) image.Insn { return image.Insn{Op: 0x57, Dst: dst, Imm: x} }
func helper(id asm.BuiltinFunc) image.Insn { return image.Insn{Op: 0x85, Imm: int32(id)} }
func jump(off int) image.Insn              { return image.Insn{Op: 0x05, Off: int16(off)} }

func load(size asm.Size, dst, src uint8, off int16) image.Insn {
	return image.Insn{Op: uint8(asm.LdXClass) | uint8(size) | uint8(asm.MemMode), Dst: dst, Src: src, Off: off}
}

func store(size asm.Size, dst uint8, off int16, src uint8) image.Insn {
	return image.Insn{Op: uint8(asm.StXClass) | uint8(size) | uint8(asm.MemMode), Dst: dst, Src: src, Off: off}
}

func storeImm(size asm.Size, dst uint8, off int16, x int32) image.Insn {
	return image.Insn{Op: uint8(asm.StClass) | uint8(size) | uint8(asm.MemMode), Dst: dst, Off: off, Imm: x}
}

// mapLoad loads a map, or the address of byte off of its value.
func mapLoad(dst uint8, m int, direct bool, off int32) []image.Insn {
	src := asm.PseudoMapFD
	if direct {
		src = asm.PseudoMapValue
	}
	return []image.Insn{{Op: 0x18, Dst: dst, Src: uint8(src), Imm: int32(m)}, {Imm: off}}
}
