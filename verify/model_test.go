package verify

import (
	"encoding/binary"
	"math/bits"
	"math/rand/v2"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"

	"github.com/skep-bpf/skep/internal/image"
)

// walked verifies a program of one path whose last instruction is exit, and
// gives R0 there.
func walked(t *testing.T, insns ...image.Insn) reg {
	t.Helper()
	p := &image.Program{Name: "model", Type: ebpf.RawTracepoint, License: "GPL", Insns: append(insns, image.Insn{Op: opExit})}
	v := newVerifier(&image.Image{}, p, new(Options))
	if err := v.run(); err != nil {
		t.Fatalf("%v of %v", err, p.Insns)
	}
	return v.cur.top().regs[0]
}

func constant(dst uint8, x uint64) []image.Insn {
	return []image.Insn{{Op: opLoadImm64, Dst: dst, Imm: int32(x)}, {Imm: int32(x >> 32)}}
}

// model is an ALU instruction on two numbers, written from RFC 9669, sections
// 4.1 and 4.2, for a little-endian machine.
func model(in image.Insn, dst, src uint64) uint64 {
	wide := classOf(in) == asm.ALU64Class
	if !fromRegister(in) {
		src = uint64(int64(in.Imm))
	}
	switch in.Op & codeMask {
	case aluSwap:
		swapped := bits.ReverseBytes64(dst) >> (64 - in.Imm)
		if !wide && !fromRegister(in) {
			return dst & (^uint64(0) >> (64 - in.Imm))
		}
		return swapped
	}
	if wide {
		return model64(in, dst, src)
	}
	return uint64(model32(in, uint32(dst), uint32(src)))
}

func model64(in image.Insn, x, y uint64) uint64 {
	switch signed := in.Off == 1; in.Op & codeMask {
	case 0x00:
		return x + y
	case 0x10:
		return x - y
	case 0x20:
		return x * y
	case 0x30:
		switch {
		case y == 0:
			return 0
		case signed:
			return uint64(int64(x) / int64(y))
		}
		return x / y
	case 0x40:
		return x | y
	case 0x50:
		return x & y
	case 0x60:
		return x << (y & 63)
	case 0x70:
		return x >> (y & 63)
	case 0x80:
		return -x
	case 0x90:
		switch {
		case y == 0:
			return x
		case signed:
			return uint64(int64(x) % int64(y))
		}
		return x % y
	case 0xa0:
		return x ^ y
	case 0xb0:
		switch in.Off {
		case 8:
			return uint64(int8(y))
		case 16:
			return uint64(int16(y))
		case 32:
			return uint64(int32(y))
		}
		return y
	}
	return uint64(int64(x) >> (y & 63))
}

func model32(in image.Insn, x, y uint32) uint32 {
	switch signed := in.Off == 1; in.Op & codeMask {
	case 0x30:
		switch {
		case y == 0:
			return 0
		case signed:
			return uint32(int32(x) / int32(y))
		}
		return x / y
	case 0x60:
		return x << (y & 31)
	case 0x70:
		return x >> (y & 31)
	case 0x90:
		switch {
		case y == 0:
			return x
		case signed:
			return uint32(int32(x) % int32(y))
		}
		return x % y
	case 0xb0:
		switch in.Off {
		case 8:
			return uint32(int8(y))
		case 16:
			return uint32(int16(y))
		}
		return y
	case 0xc0:
		return uint32(int32(x) >> (y & 31))
	}
	return uint32(model64(in, uint64(x), uint64(y)))
}

// everyALU are all arithmetic instructions R1 op R2 or R1 op imm.
func everyALU(imm int32) []image.Insn {
	var all []image.Insn
	for _, class := range []uint8{uint8(asm.ALUClass), uint8(asm.ALU64Class)} {
		width := 32
		if class == uint8(asm.ALU64Class) {
			width = 64
		}
		for code := 0; code <= 0xd0; code += 0x10 {
			in := image.Insn{Op: class | uint8(code), Dst: 1, Imm: imm}
			switch uint8(code) {
			case aluNeg:
				in.Imm = 0
				all = append(all, in)
				continue
			case aluSwap:
				for _, size := range []int32{16, 32, 64} {
					in.Imm = size
					all = append(all, in)
					if width == 32 {
						be := in
						be.Op |= sourceMask
						all = append(all, be)
					}
				}
				continue
			case 0x60, 0x70, 0xc0:
				in.Imm &= int32(width - 1)
			case 0x30, 0x90:
				in.Imm |= 1
			}
			offs := []int16{0}
			if code == 0x30 || code == 0x90 {
				offs = []int16{0, 1}
			}
			for _, off := range offs {
				k, x := in, in
				k.Off, x.Off = off, off
				x.Op, x.Src, x.Imm = x.Op|sourceMask, 2, 0
				all = append(all, k, x)
			}
			if uint8(code) == aluMov {
				for _, off := range []int16{8, 16, 32} {
					if off == 32 && width == 32 {
						continue
					}
					all = append(all, image.Insn{Op: in.Op | sourceMask, Dst: 1, Src: 2, Off: off})
				}
			}
		}
	}
	return all
}

func someNumber(r *rand.Rand) uint64 {
	switch r.IntN(4) {
	case 0:
		return uint64(r.IntN(130)) - 2
	case 1:
		return 1<<r.IntN(64) + uint64(r.IntN(3)) - 1
	}
	return r.Uint64() >> r.IntN(64)
}

// Every arithmetic instruction on known numbers has the result of RFC 9669, and
// on unknown ones a value that holds it.
func TestArithmetic(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	for range 200 {
		x, y := someNumber(r), someNumber(r)
		for _, in := range everyALU(int32(someNumber(r))) {
			prefix := append(constant(1, x), constant(2, y)...)
			got := walked(t, append(prefix, in, image.Insn{Op: 0xbf, Src: 1})...)
			want := model(in, x, y)
			if c, ok := got.v.IsConst(); !ok || c != want {
				t.Fatalf("%+v of %#x, %#x: %+v, want %#x", in, x, y, got.v, want)
			}
			// x and y out of memory, narrowed to a range around them.
			var narrow []image.Insn
			for reg, c := range map[uint8]uint64{1: x, 2: y} {
				narrow = append(narrow, image.Insn{Op: 0x79, Dst: reg, Src: 6, Off: 8 * int16(reg)})
				narrow = append(narrow, constant(3, c|0xf0f)...)
				narrow = append(narrow, image.Insn{Op: 0x5f, Dst: reg, Src: 3}) // at most the bits of c and a few more
			}
			narrow = append([]image.Insn{{Op: 0xbf, Dst: 6, Src: 1}}, narrow...)
			got = walked(t, append(narrow, in, image.Insn{Op: 0xbf, Src: 1})...)
			if !w64.Contains(&got.v, want) {
				t.Fatalf("%+v of %#x, %#x: %+v has no %#x", in, x, y, got.v, want)
			}
		}
	}
}

func compares(op uint8, x, y uint64) bool {
	if asm.Class(op&classMask) == asm.Jump32Class {
		x, y = uint64(int64(int32(x))), uint64(int64(int32(y)))
		switch op & codeMask {
		case 0x20, 0x30, 0xa0, 0xb0, 0x40: // without sign
			x, y = uint64(uint32(x)), uint64(uint32(y))
		}
	}
	switch op & codeMask {
	case 0x10:
		return x == y
	case 0x20:
		return x > y
	case 0x30:
		return x >= y
	case 0x40:
		return x&y != 0
	case 0x50:
		return x != y
	case 0x60:
		return int64(x) > int64(y)
	case 0x70:
		return int64(x) >= int64(y)
	case 0xa0:
		return x < y
	case 0xb0:
		return x <= y
	case 0xc0:
		return int64(x) < int64(y)
	}
	return int64(x) <= int64(y)
}

// Every comparison of known numbers goes the way of RFC 9669, section 4.3.
func TestComparisons(t *testing.T) {
	r := rand.New(rand.NewPCG(2, 2))
	for range 500 {
		x, y := someNumber(r), someNumber(r)
		if r.IntN(3) == 0 {
			y = x
		}
		for _, class := range []uint8{uint8(asm.JumpClass), uint8(asm.Jump32Class)} {
			for code := range conditions {
				if !conditions[code].known {
					continue
				}
				op := class | uint8(code)<<4
				for _, in := range []image.Insn{{Op: op | sourceMask, Dst: 1, Src: 2, Off: 1}, {Op: op, Dst: 1, Imm: int32(y), Off: 1}} {
					other := y
					if !fromRegister(in) {
						other = uint64(int64(int32(y)))
					}
					prefix := append(constant(1, x), constant(2, y)...)
					prefix = append(prefix, image.Insn{Op: 0xb7, Imm: 1}, in, image.Insn{Op: 0xb7, Imm: 0})
					got := walked(t, prefix...)
					c, ok := got.v.IsConst()
					if !ok || (c == 1) != compares(in.Op, x, other) {
						t.Fatalf("%+v of %#x, %#x: %+v", in, x, other, got.v)
					}
				}
			}
		}
	}
}

// What is loaded from the stack is what was stored there, in every combination
// of widths and places.
func TestStackBytes(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 3))
	const frame, rounds = 32, 20_000
	known := 0
	for range rounds {
		var memory [frame]byte // memory[i] is at R10-frame+i
		var insns []image.Insn
		for i := 0; i < frame; i += 8 {
			insns = append(insns, image.Insn{Op: 0x7a, Dst: 10, Off: int16(i - frame)})
		}
		for range 1 + r.IntN(8) {
			size := 1 << r.IntN(4)
			at := size * r.IntN(frame/size)
			x := someNumber(r)
			var b [8]byte
			binary.LittleEndian.PutUint64(b[:], x)
			mode := map[int]asm.Size{1: asm.Byte, 2: asm.Half, 4: asm.Word, 8: asm.DWord}[size]
			if r.IntN(2) == 0 {
				imm := int32(x)
				binary.LittleEndian.PutUint64(b[:], uint64(int64(imm)))
				insns = append(insns, image.Insn{Op: uint8(asm.StClass) | uint8(asm.MemMode) | uint8(mode), Dst: 10, Off: int16(at - frame), Imm: imm})
			} else {
				insns = append(insns, constant(1, x)...)
				insns = append(insns, image.Insn{Op: uint8(asm.StXClass) | uint8(asm.MemMode) | uint8(mode), Dst: 10, Src: 1, Off: int16(at - frame)})
			}
			copy(memory[at:at+size], b[:])
		}
		size := 1 << r.IntN(4)
		at := size * r.IntN(frame/size)
		mode := map[int]asm.Size{1: asm.Byte, 2: asm.Half, 4: asm.Word, 8: asm.DWord}[size]
		in := image.Insn{Op: uint8(asm.LdXClass) | uint8(asm.MemMode) | uint8(mode), Src: 10, Off: int16(at - frame)}
		var b [8]byte
		copy(b[:], memory[at:at+size])
		want := binary.LittleEndian.Uint64(b[:])
		if size < 8 && r.IntN(3) == 0 {
			in.Op = in.Op&^modeMask | uint8(asm.MemSXMode)
			shift := 64 - 8*size
			want = uint64(int64(want<<shift) >> shift)
		}
		got := walked(t, append(insns, in)...)
		if !w64.Contains(&got.v, want) {
			t.Fatalf("%v: %+v, want %#x", append(insns, in), got.v, want)
		}
		if _, ok := got.v.IsConst(); ok {
			known++
		}
	}
	// What is left of a number that was overwritten in part is not known.
	if known < rounds/2 {
		t.Errorf("%d of %d numbers were known", known, rounds)
	}
}
