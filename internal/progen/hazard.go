package progen

import (
	"github.com/cilium/ebpf/asm"

	"github.com/skep-bpf/skep/internal/image"
)

// hazard accesses memory at an index that depends on the path: small on one
// side of a branch, on the other a little larger, and sometimes too large.
// Between the branch and the access the paths meet, and a verifier may take them
// for one.
func (g *generator) hazard() {
	const room = 16 // bytes from the middle of .data on; 16 more are left
	small, large := int32(g.r.IntN(room)), int32(g.r.IntN(2*room))
	if g.chance(15) {
		large += 2 * room
	}
	switch g.r.IntN(4) {
	case 0: // the index itself
		n := g.onPath(small, large)
		g.meeting()
		g.indexData(n)
	case 1: // the index in the stack
		n := g.onPath(small, large)
		size := g.size()
		off := g.slot(size.Sizeof())
		g.emit(store(size, 10, int16(-off), n))
		g.write(off, size.Sizeof())
		g.set(n, num)
		g.meeting()
		if !g.isWritten(off, size.Sizeof()) {
			return
		}
		g.emit(load(size, n, 10, int16(-off)))
		g.indexData(n)
	case 2: // the bound of the index
		limit := g.onPath(small, large)
		n := 7 + (limit-7+1)%3
		g.emit(movReg(n, g.needNot(n)), andImm(n, 4*room-1))
		g.set(n, num)
		g.meeting()
		if g.w.regs[n] != num || g.w.regs[limit] != num {
			return
		}
		g.emit(image.Insn{Op: 0x2d, Dst: n, Src: limit, Off: 1}, jump(1), movImm(n, 0)) // if n > limit: n = 0
		g.indexData(n)
	case 3: // the bound of a copy of the index, that is one on some path only
		n := uint8(7)
		g.emit(movReg(n, g.needNot(n)), andImm(n, 4*room-1))
		g.set(n, num)
		copied := uint8(8)
		in := g.condition()
		if in.Dst == copied || in.Src == copied {
			return
		}
		in.Off = 2
		sides := [2]image.Insn{movReg(copied, n), movReg(copied, n)}
		if g.chance(30) {
			sides[g.r.IntN(2)] = movImm(copied, small)
		}
		g.emit(in, sides[0], jump(1), sides[1])
		g.set(copied, num)
		if g.chance(50) {
			g.emit(addImm(copied, 1))
		}
		g.meeting()
		if g.w.regs[n] != num || g.w.regs[copied] != num {
			return
		}
		g.emit(image.Insn{Op: 0xa5, Dst: copied, Off: 1, Imm: 2 * room}, movImm(n, 0)) // if copied >= 2*room: n = 0
		g.indexData(n)
	}
}

// onPath is a register that survives calls, with small or large in it.
func (g *generator) onPath(small, large int32) uint8 {
	n := uint8(7 + g.r.IntN(3))
	in := g.condition()
	for in.Dst == n || in.Src == n {
		in = g.condition()
		n = uint8(7 + g.r.IntN(3))
	}
	if g.chance(50) {
		small, large = large, small // the other path is walked first
	}
	g.emit(movImm(n, small))
	in.Off = 1
	g.emit(in, movImm(n, large))
	g.set(n, num)
	return n
}

// meeting is where paths meet: something that branches, so that a verifier looks
// at what it has seen.
func (g *generator) meeting() {
	for n := 1 + g.r.IntN(2); n > 0; n-- {
		in := g.condition()
		in.Off = 3
		dst := uint8(1 + g.r.IntN(5))
		g.emit(in, movImm(dst, 1), addImm(dst, 2), movImm(dst, 3), movImm(dst, 4))
		g.set(dst, num)
	}
	if g.chance(30) {
		g.block()
	}
}

// indexData loads or stores a byte of .data behind its middle.
func (g *generator) indexData(n uint8) {
	p := uint8(1 + g.r.IntN(5))
	g.emit(mapLoad(p, dataMap, true, ValueSize/2)...)
	g.emit(addReg(p, n))
	g.set(p, unset)
	if g.chance(50) {
		g.emit(storeImm(asm.Byte, p, 0, 1))
		return
	}
	g.emit(load(asm.Byte, p, p, 0))
	g.set(p, num)
}
