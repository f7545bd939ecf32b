package progen

import (
	"github.com/cilium/ebpf/asm"

	"github.com/skep-bpf/skep/internal/image"
)

// statement makes one random statement.
func (g *generator) statement() {
	g.budget--
	kinds := []struct {
		weight int
		make   func()
	}{
		{30, g.arithmetic},
		{8, g.copyNumber},
		{10, g.storeStack},
		{10, g.loadStack},
		{5, g.indexStack},
		{12, g.branch},
		{5, g.loop},
		{8, g.lookup},
		{8, g.useValue},
		{5, g.direct},
		{5, g.callHelper},
		{3, g.record},
		{3, g.probe},
		{4, g.atomic},
		{4, g.callSub},
		{3, g.spillPointer},
		{3, g.useBuffer},
		{g.hazards, g.hazard},
	}
	total := 0
	for _, k := range kinds {
		total += k.weight
	}
	n := g.r.IntN(total)
	for _, k := range kinds {
		if n -= k.weight; n < 0 {
			k.make()
			return
		}
	}
}

var sizes = [4]asm.Size{asm.Byte, asm.Half, asm.Word, asm.DWord}

func (g *generator) size() asm.Size { return sizes[g.r.IntN(4)] }

// arithmetic is one ALU instruction on numbers.
func (g *generator) arithmetic() {
	dst := g.need()
	class := uint8(asm.ALU64Class)
	width := int32(64)
	if g.chance(40) {
		class, width = uint8(asm.ALUClass), 32
	}
	code := []uint8{0x00, 0x10, 0x20, 0x30, 0x40, 0x50, 0x50, 0x50, 0x60, 0x70, 0x70, 0x80, 0x90, 0xa0, 0xb0, 0xc0, 0xd0}[g.r.IntN(17)]
	in := image.Insn{Op: class | code, Dst: dst}
	switch {
	case code == 0x80:
	case code == 0xd0:
		in.Imm = []int32{16, 32, 64}[g.r.IntN(3)]
		if class == uint8(asm.ALUClass) && g.chance(50) {
			in.Op |= 0x08
		}
	case g.chance(50):
		in.Op |= 0x08
		in.Src = g.need()
		if code == 0xb0 && g.chance(60) {
			in.Off = []int16{8, 16, 32}[g.r.IntN(3)]
			if width == 32 {
				in.Off = []int16{8, 16}[g.r.IntN(2)]
			}
		}
	default:
		in.Imm = int32(g.constant())
		switch code {
		case 0x60, 0x70, 0xc0:
			in.Imm = int32(g.r.IntN(int(width)))
		case 0x30, 0x90:
			in.Imm |= 1
		}
	}
	if (code == 0x30 || code == 0x90) && g.chance(40) {
		in.Off = 1
	}
	g.emit(in)
	g.set(dst, num)
}

// copyNumber makes two registers that are known to be equal, or a constant apart.
func (g *generator) copyNumber() {
	src, dst := g.need(), g.target()
	g.emit(movReg(dst, src))
	g.set(dst, num)
	if g.chance(40) {
		g.emit(addImm(dst, int32(g.r.IntN(32)-16)))
	}
}

// slot is an aligned place in the stack for size bytes: below the frame pointer.
func (g *generator) slot(size int) int { return size * (1 + g.r.IntN(frameSize/size)) }

func (g *generator) write(off, size int) {
	for i := off - size; i < off; i++ {
		g.w.written[i] = true
	}
}

func (g *generator) isWritten(off, size int) bool {
	for i := off - size; i < off; i++ {
		if !g.w.written[i] {
			return false
		}
	}
	return true
}

func (g *generator) storeStack() {
	size := g.size()
	off := g.slot(size.Sizeof())
	if g.chance(30) {
		g.emit(storeImm(size, 10, int16(-off), int32(g.constant())))
	} else {
		g.emit(store(size, 10, int16(-off), g.need()))
	}
	g.write(off, size.Sizeof())
}

func (g *generator) loadStack() {
	for range 8 {
		size := g.size()
		off := g.slot(size.Sizeof())
		if !g.isWritten(off, size.Sizeof()) && !g.mistake() {
			continue
		}
		dst := g.target()
		in := load(size, dst, 10, int16(-off))
		if size != asm.DWord && g.chance(25) {
			in.Op = in.Op&0x1f | uint8(asm.MemSXMode)
		}
		g.emit(in)
		g.set(dst, num)
		return
	}
}

// masked makes a number of 0..limit-1 in dst, or a little more by mistake.
func (g *generator) masked(dst uint8, limit int) {
	src := g.need()
	if dst != src {
		g.emit(movReg(dst, src))
	}
	g.set(dst, num)
	if g.mistake() {
		limit += 1 << g.r.IntN(4)
	}
	if limit&(limit-1) == 0 && g.chance(60) {
		g.emit(andImm(dst, int32(limit-1)))
		return
	}
	switch g.r.IntN(3) {
	case 0: // unsigned remainder
		g.emit(image.Insn{Op: 0x97, Dst: dst, Imm: int32(limit)})
	case 1: // a comparison: where it is too large, 0
		g.emit(image.Insn{Op: 0xa5, Dst: dst, Off: 1, Imm: int32(limit)}, movImm(dst, 0))
	case 2: // with sign, in 32 bits
		g.emit(image.Insn{Op: 0xbc, Dst: dst, Src: dst},
			image.Insn{Op: 0xc6, Dst: dst, Off: 1, Imm: 0}, // w < 0
			image.Insn{Op: 0xc6, Dst: dst, Off: 1, Imm: int32(limit)},
			movImm(dst, 0))
	}
}

// indexStack accesses the stack at an offset that is not known.
func (g *generator) indexStack() {
	const window = 16 // bytes
	base := window * (1 + g.r.IntN(frameSize/window))
	size := g.size()
	n := size.Sizeof()
	if !g.isWritten(base, window) {
		for off := base; off > base-window; off -= 8 {
			g.emit(storeImm(asm.DWord, 10, int16(-off), int32(g.constant())))
		}
		g.write(base, window)
	}
	index := uint8(1 + g.r.IntN(5))
	g.masked(index, window/n)
	if n > 1 {
		g.emit(image.Insn{Op: 0x67, Dst: index, Imm: map[int]int32{2: 1, 4: 2, 8: 3}[n]})
	}
	p := uint8(g.r.IntN(6))
	if p == index {
		p = 7
	}
	g.emit(movReg(p, 10), addImm(p, int32(-base)), addReg(p, index))
	g.set(p, unset)
	if g.chance(50) {
		dst := g.target()
		g.emit(load(size, dst, p, 0))
		g.set(dst, num)
	} else {
		g.emit(store(size, p, 0, g.needNot(p)))
	}
}

// needNot is a register with a number that is not p.
func (g *generator) needNot(p uint8) uint8 {
	for range 10 {
		if reg := g.need(); reg != p {
			return reg
		}
	}
	g.emit(movImm(9, 1))
	g.set(9, num)
	return 9
}

// conditions are the codes of conditional jumps.
var conditions = []uint8{0x10, 0x20, 0x30, 0x40, 0x50, 0x60, 0x70, 0xa0, 0xb0, 0xc0, 0xd0}

func (g *generator) condition() image.Insn {
	in := image.Insn{Op: uint8(asm.JumpClass) | conditions[g.r.IntN(len(conditions))], Dst: g.need()}
	if g.chance(35) {
		in.Op++ // JMP32
	}
	if g.chance(40) {
		in.Op |= 0x08
		in.Src = g.need()
	} else {
		in.Imm = int32(g.constant())
	}
	return in
}

// branch is if (…) { … } else { … }.
func (g *generator) branch() {
	in := g.condition()
	at := len(g.insns)
	g.emit(in)
	before := g.w
	g.block()
	then := g.w
	g.w = before
	if g.chance(50) {
		over := len(g.insns)
		g.emit(jump(0))
		g.insns[at].Off = int16(len(g.insns) - at - 1)
		g.block()
		g.insns[over].Off = int16(len(g.insns) - over - 1)
	} else {
		g.insns[at].Off = int16(len(g.insns) - at - 1)
	}
	g.w.meet(&then)
}

func (g *generator) block() {
	for n := g.r.IntN(4); n > 0 && g.budget > 0; n-- {
		g.statement()
	}
}

// loop is for (i = 0; i < n; i += step) { … } with i in the stack or in R9.
func (g *generator) loop() {
	if g.loops > 1 {
		return
	}
	g.loops++
	defer func() { g.loops-- }()
	const counter = frameSize + 8 // a place of its own below the others
	n, step := int32(1+g.r.IntN(20)), int32(1+g.r.IntN(3))
	at := int16(-counter - 8*g.loops)
	g.emit(storeImm(asm.DWord, 10, at, 0))
	top := len(g.insns)
	before := g.w
	g.block()
	if len(g.insns)-top > 200 && !g.mistake() {
		n = min(n, 3)
	}
	// What the body leaves must be there at its start, too: numbers stay
	// numbers, anything else is forgotten by starting over.
	for i, c := range before.regs {
		if c != unset && g.w.regs[i] != c {
			if c != num {
				n = 0 // one time only
			} else {
				g.emit(movImm(uint8(i), 0))
			}
		}
	}
	reg := uint8(1 + g.r.IntN(5))
	g.emit(load(asm.DWord, reg, 10, at))
	if !g.mistake() {
		g.emit(addImm(reg, step))
	}
	g.emit(store(asm.DWord, 10, at, reg))
	if n == 0 {
		n = 1
	}
	op := []uint8{0xa5, 0xa6, 0xc5, 0xc6}[g.r.IntN(4)]
	g.emit(image.Insn{Op: op, Dst: reg, Imm: n, Off: int16(top - len(g.insns) - 1)})
	g.w.meet(&before)
	g.set(reg, unset)
}
