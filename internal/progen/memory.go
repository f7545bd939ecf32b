package progen

import (
	"github.com/cilium/ebpf/asm"

	"github.com/skep-bpf/skep/internal/image"
)

// clobber is what every call does to the registers.
func (g *generator) clobber(result content) {
	for reg := 1; reg <= 5; reg++ {
		g.w.regs[reg] = unset
	}
	g.w.regs[0] = result
}

// key stores a map key and lets R2 point to it.
func (g *generator) key() {
	off := 4 * (1 + g.r.IntN(frameSize/4))
	if g.chance(50) {
		g.emit(storeImm(asm.Word, 10, int16(-off), int32(g.r.IntN(6))))
	} else {
		g.emit(store(asm.Word, 10, int16(-off), g.need()))
	}
	g.write(off, 4)
	g.emit(movReg(2, 10), addImm(2, int32(-off)))
}

// lookup finds a value and lets a register that survives calls point to it.
func (g *generator) lookup() {
	g.key()
	g.emit(mapLoad(1, []int{hashMap, arrayMap, percpuMap}[g.r.IntN(3)], false, 0)...)
	g.emit(helper(asm.FnMapLookupElem))
	g.clobber(unset)
	keep := uint8(7 + g.r.IntN(3))
	if g.chance(50) {
		g.emit(movReg(keep, 0))
	}
	if g.mistake() {
		g.set(0, value)
		return
	}
	// if (!v) { keep = number } else { use }
	at := len(g.insns)
	g.emit(image.Insn{Op: 0x15, Dst: 0})
	g.set(0, value)
	before := g.w
	g.emit(movReg(keep, 0))
	g.set(keep, value)
	for n := 1 + g.r.IntN(3); n > 0; n-- {
		g.useValue()
	}
	over := len(g.insns)
	g.emit(jump(0))
	g.insns[at].Off = int16(len(g.insns) - at - 1)
	then := g.w
	g.w = before
	g.emit(movImm(0, 0), movImm(keep, int32(g.r.IntN(9))))
	g.set(0, num)
	g.set(keep, num)
	g.insns[over].Off = int16(len(g.insns) - over - 1)
	g.w.meet(&then)
}

// useValue accesses a map value at a constant or at a masked offset.
func (g *generator) useValue() {
	p, ok := g.pick(value)
	if !ok {
		return
	}
	g.access(p, ValueSize, true)
}

// access is a load or store within size bytes at p.
func (g *generator) access(p uint8, size int, writable bool) {
	width := g.size()
	n := width.Sizeof()
	room := size - n + 1
	off := int16(g.r.IntN(room))
	if g.mistake() {
		off = int16(size - n + 1 + g.r.IntN(8))
	}
	base := p
	if g.chance(50) {
		index := uint8(1 + g.r.IntN(5))
		if index == p {
			index = 1 + p%5
		}
		limit := 1 << g.r.IntN(6)
		for limit > room {
			limit /= 2
		}
		g.masked(index, limit)
		base = uint8(g.r.IntN(6))
		if base == index || base == p {
			base = 9
		}
		if base == p || base == index {
			return
		}
		g.emit(movReg(base, p), addReg(base, index))
		g.set(base, unset)
		off = int16(g.r.IntN(room - limit + 1))
		if g.mistake() {
			off += int16(g.r.IntN(8))
		}
	}
	if writable && g.chance(50) {
		if g.chance(30) {
			g.emit(storeImm(width, base, off, int32(g.constant())))
			return
		}
		g.emit(store(width, base, off, g.needNot(base)))
		return
	}
	dst := g.target()
	in := load(width, dst, base, off)
	if width != asm.DWord && g.chance(20) {
		in.Op = in.Op&0x1f | uint8(asm.MemSXMode)
	}
	g.emit(in)
	g.set(dst, num)
}

// direct accesses global data: constants are known to the verifier.
func (g *generator) direct() {
	reg := uint8(1 + g.r.IntN(5))
	m := constMap
	if g.chance(50) {
		m = dataMap
	}
	from := g.r.IntN(ValueSize / 2)
	g.emit(mapLoad(reg, m, true, int32(from))...)
	g.set(reg, unset)
	g.access(reg, ValueSize-from, m == dataMap || g.mistake())
}

// useBuffer accesses the buffer that a subprogram was given.
func (g *generator) useBuffer() {
	p, ok := g.pick(buffer)
	if !ok {
		return
	}
	width := g.size()
	off := int16(width.Sizeof() * g.r.IntN(bufferSize/width.Sizeof()))
	if g.mistake() {
		off = -int16(width.Sizeof())
	}
	if g.chance(50) {
		g.emit(store(width, p, off, g.needNot(p)))
		return
	}
	dst := g.target()
	g.emit(load(width, dst, p, off))
	g.set(dst, num)
}

// atomic is an atomic operation on the stack or on a value.
func (g *generator) atomic() {
	size := asm.DWord
	if g.chance(50) {
		size = asm.Word
	}
	p, off := uint8(10), -int16(size.Sizeof()*(1+g.r.IntN(frameSize/size.Sizeof())))
	if v, ok := g.pick(value); ok && g.chance(70) {
		p, off = v, int16(size.Sizeof()*g.r.IntN(ValueSize/size.Sizeof()))
		if g.mistake() {
			off++
		}
	} else if !g.isWritten(int(-off), size.Sizeof()) {
		g.emit(storeImm(size, 10, off, int32(g.constant())))
		g.write(int(-off), size.Sizeof())
	}
	in := image.Insn{Op: uint8(asm.StXClass) | uint8(size) | uint8(asm.AtomicMode), Dst: p, Off: off, Src: g.needNot(p)}
	in.Imm = []int32{0x00, 0x40, 0x50, 0xa0, 0x01, 0x41, 0x51, 0xa1, 0xe1, 0xf1}[g.r.IntN(10)]
	if in.Imm == 0xf1 {
		if p == 0 || in.Src == 0 {
			return
		}
		g.emit(movImm(0, int32(g.constant())))
		g.set(0, num)
	}
	g.emit(in)
	if in.Imm&1 != 0 && in.Imm != 0xf1 {
		g.set(in.Src, num)
	}
}

// spillPointer stores a pointer in the stack and takes it back.
func (g *generator) spillPointer() {
	p, ok := g.pick(value)
	if !ok {
		return
	}
	off := 8 * (1 + g.r.IntN(frameSize/8))
	g.emit(store(asm.DWord, 10, int16(-off), p))
	for i := off - 8; i < off; i++ {
		g.w.written[i] = false
	}
	if g.chance(50) {
		g.arithmetic()
	}
	dst := g.target()
	g.emit(load(asm.DWord, dst, 10, int16(-off)))
	g.set(dst, value)
}

// callHelper calls a helper that needs no memory.
func (g *generator) callHelper() {
	ids := []asm.BuiltinFunc{asm.FnKtimeGetNs, asm.FnGetPrandomU32, asm.FnGetCurrentPidTgid,
		asm.FnGetSmpProcessorId, asm.FnGetCurrentUidGid, asm.FnKtimeGetBootNs}
	if g.chance(30) {
		g.key()
		g.emit(mapLoad(1, hashMap, false, 0)...)
		g.emit(helper(asm.FnMapDeleteElem))
	} else {
		g.emit(helper(ids[g.r.IntN(len(ids))]))
	}
	g.clobber(num)
}

// probe reads somewhere into the stack, with a length that is not always known.
func (g *generator) probe() {
	base := 8 * (2 + g.r.IntN(frameSize/8-1))
	size := 1 + g.r.IntN(16)
	if g.chance(40) {
		g.masked(2, 16)
		if g.chance(50) {
			g.emit(addImm(2, 1))
		}
	} else {
		g.emit(movImm(2, int32(size)))
		for i := base - size; i < base; i++ {
			g.w.written[i] = true
		}
	}
	g.emit(movReg(3, g.needNot(2)), movReg(1, 10), addImm(1, int32(-base)))
	id := []asm.BuiltinFunc{asm.FnProbeReadKernel, asm.FnProbeReadUser, asm.FnProbeReadKernelStr}[g.r.IntN(3)]
	g.emit(helper(id))
	g.clobber(num)
}

// record reserves a record, fills it and gives it back.
func (g *generator) record() {
	const size = 24
	g.emit(mapLoad(1, ringMap, false, 0)...)
	g.emit(movImm(2, size), movImm(3, 0), helper(asm.FnRingbufReserve))
	g.clobber(unset)
	at := len(g.insns)
	g.emit(image.Insn{Op: 0x15, Dst: 0}, movReg(9, 0))
	g.set(0, unset)
	g.set(9, unset)
	before := g.w
	for n := g.r.IntN(3); n > 0; n-- {
		width := g.size()
		off := int16(g.r.IntN(size - width.Sizeof() + 1))
		if g.mistake() {
			off += 8
		}
		g.emit(store(width, 9, off, g.needNot(9)))
	}
	if !g.mistake() {
		id := asm.FnRingbufSubmit
		if g.chance(50) {
			id = asm.FnRingbufDiscard
		}
		g.emit(movReg(1, 9), movImm(2, 0), helper(id))
	}
	g.clobber(unset)
	then := g.w
	g.w = before
	g.insns[at].Off = int16(len(g.insns) - at - 1)
	g.w.meet(&then)
	g.w.regs[0], g.w.regs[9] = unset, unset
	g.emit(movImm(0, 1), movImm(9, 2))
	g.set(0, num)
	g.set(9, num)
}

// callSub calls a subprogram with a buffer and two numbers.
func (g *generator) callSub() {
	if g.sub == subCount {
		return
	}
	off := 16 * (1 + g.r.IntN(frameSize/16))
	if !g.isWritten(off, bufferSize) && !g.mistake() {
		for o := off; o > off-bufferSize; o -= 8 {
			g.emit(storeImm(asm.DWord, 10, int16(-o), int32(g.constant())))
		}
		g.write(off, bufferSize)
	}
	if g.chance(50) {
		n := g.onPath(int32(g.r.IntN(bufferSize)), int32(g.r.IntN(bufferSize+1)))
		g.emit(movReg(2, n))
		g.set(2, num)
	} else if a := g.need(); a != 2 {
		g.emit(movReg(2, a))
		g.set(2, num)
	}
	b := g.need()
	if b != 3 {
		g.emit(movReg(3, b))
	}
	g.emit(movReg(1, 10), addImm(1, int32(-off)))
	g.calls = append(g.calls, localCall{len(g.insns), g.sub + 1 + g.r.IntN(subCount-g.sub)})
	g.emit(image.Insn{Op: 0x85, Src: uint8(asm.PseudoCall)})
	g.clobber(num)
	if g.chance(20) {
		// The result as an index: only a function with small results may do that.
		g.indexData(0)
	}
}
