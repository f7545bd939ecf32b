// Package progen makes random programs near the border of what the verifier
// accepts, for the tests of the verifier and of the engines.
//
// A program is made of the things that real ones are made of (arithmetic,
// branches, bounded loops, spills, map values with masked offsets, helpers,
// records, subprograms), mostly right and sometimes a little wrong: a bound that
// is one too large, a check that is left out, a byte that was not written.
package progen

import (
	"encoding/binary"
	"math/rand/v2"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"

	"github.com/skep-bpf/skep/internal/abi"
	"github.com/skep-bpf/skep/internal/image"
)

// ValueSize is the number of bytes of the values of all maps.
const ValueSize = 64

// The maps that every program has. The immediate of a map load is an index into
// their order.
const (
	hashMap = iota
	arrayMap
	percpuMap
	constMap
	dataMap
	ringMap
)

var mapNames = []string{hashMap: "hash", arrayMap: "array", percpuMap: "percpu", constMap: ".rodata", dataMap: ".data", ringMap: "ring"}

// programTypes are those whose contexts are plain numbers.
var programTypes = []ebpf.ProgramType{ebpf.RawTracepoint, ebpf.Kprobe, ebpf.TracePoint, ebpf.PerfEvent}

// Generate makes the program of a seed, and the image with its maps. The same
// seed gives the same program.
func Generate(seed uint64) (*image.Image, *image.Program) {
	r := rand.New(rand.NewPCG(seed, 0x5eed))
	img := &image.Image{Programs: map[string]*image.Program{}, Maps: maps(r)}
	p := &image.Program{
		Name: "generated", Section: "raw_tp", License: "GPL", Maps: mapNames,
		Type: programTypes[r.IntN(len(programTypes))],
	}
	g := &generator{r: r, typ: p.Type, sloppy: []float64{0, 0, 0.01, 0.05}[r.IntN(4)], hazards: []int{2, 10, 100}[r.IntN(3)]}
	g.program()
	p.Insns = g.insns
	for i, start := range g.starts {
		name := p.Name
		if i > 0 {
			name = "sub" + string(rune('0'+i))
		}
		p.Subprograms = append(p.Subprograms, image.Subprogram{Start: start, Name: name})
	}
	img.Programs[p.Name] = p
	return img, p
}

func maps(r *rand.Rand) map[string]*ebpf.MapSpec {
	constants := make([]byte, ValueSize)
	for i := range constants {
		constants[i] = byte(r.IntN(ValueSize)) // as good for an offset as not
	}
	return map[string]*ebpf.MapSpec{
		"hash":    {Name: "hash", Type: ebpf.Hash, KeySize: 4, ValueSize: ValueSize, MaxEntries: 8},
		"array":   {Name: "array", Type: ebpf.Array, KeySize: 4, ValueSize: ValueSize, MaxEntries: 4},
		"percpu":  {Name: "percpu", Type: ebpf.PerCPUArray, KeySize: 4, ValueSize: ValueSize, MaxEntries: 4},
		".rodata": {Name: ".rodata", Type: ebpf.Array, KeySize: 4, ValueSize: ValueSize, MaxEntries: 1, Flags: abi.MapRdonlyProg, Contents: []ebpf.MapKV{{Key: uint32(0), Value: constants}}},
		".data":   {Name: ".data", Type: ebpf.Array, KeySize: 4, ValueSize: ValueSize, MaxEntries: 1, Contents: []ebpf.MapKV{{Key: uint32(0), Value: make([]byte, ValueSize)}}},
		"ring":    {Name: "ring", Type: ebpf.RingBuf, MaxEntries: 4096},
	}
}

// Encode is the program as the bytes of RFC 9669.
func Encode(insns []image.Insn) []byte {
	var b []byte
	for _, in := range insns {
		b = append(b, in.Op, in.Dst|in.Src<<4)
		b = binary.LittleEndian.AppendUint16(b, uint16(in.Off))
		b = binary.LittleEndian.AppendUint32(b, uint32(in.Imm))
	}
	return b
}

// Decode is the reverse of Encode; a rest of less than 8 bytes is left out.
func Decode(b []byte) []image.Insn {
	var insns []image.Insn
	for ; len(b) >= 8; b = b[8:] {
		insns = append(insns, image.Insn{Op: b[0], Dst: b[1] & 15, Src: b[1] >> 4,
			Off: int16(binary.LittleEndian.Uint16(b[2:])), Imm: int32(binary.LittleEndian.Uint32(b[4:]))})
	}
	return insns
}

// A content is what the generator believes a register to hold.
type content uint8

const (
	unset content = iota
	num
	context
	value  // of a map, checked
	buffer // a stack pointer to bufferSize bytes of the caller
)

const bufferSize = 16

// frameSize is how many bytes of each frame are used.
const frameSize = 96

// A world is what the generator believes of one point of the program.
type world struct {
	regs    [10]content
	written [frameSize]bool // bytes below the frame pointer
}

func (w *world) meet(o *world) {
	for i := range w.regs {
		if w.regs[i] != o.regs[i] {
			w.regs[i] = unset
		}
	}
	for i := range w.written {
		w.written[i] = w.written[i] && o.written[i]
	}
}

type generator struct {
	r      *rand.Rand
	typ    ebpf.ProgramType
	sloppy float64 // probability of a mistake
	// hazards is the weight of hazard among the statements.
	hazards int

	insns  []image.Insn
	starts []int
	calls  []localCall
	w      world
	budget int // statements left for this function
	loops  int // around the current statement
	sub    int // the function that is made
}

// A localCall is a call whose function is not made yet.
type localCall struct{ at, sub int }

// subCount is the number of subprograms besides the main one.
const subCount = 2

func (g *generator) program() {
	for sub := 0; sub <= subCount; sub++ {
		if sub > 0 && !g.called(sub) {
			continue // what nobody calls would be unreachable
		}
		g.sub = sub
		g.starts = append(g.starts, len(g.insns))
		for i := range g.calls {
			if c := &g.calls[i]; c.sub == sub {
				g.insns[c.at].Imm = int32(len(g.insns) - c.at - 1)
			}
		}
		g.w = world{}
		if sub == 0 {
			g.w.regs[1] = context
			g.budget = 4 + g.r.IntN(30)
		} else {
			g.w.regs[1], g.w.regs[2], g.w.regs[3] = buffer, num, num
			g.budget = 2 + g.r.IntN(10)
		}
		g.prologue()
		for g.budget > 0 {
			g.statement()
		}
		g.end()
	}
}

func (g *generator) called(sub int) bool {
	for _, c := range g.calls {
		if c.sub == sub {
			return true
		}
	}
	return false
}

func (g *generator) mistake() bool           { return g.r.Float64() < g.sloppy }
func (g *generator) chance(percent int) bool { return g.r.IntN(100) < percent }

func (g *generator) emit(in ...image.Insn) { g.insns = append(g.insns, in...) }

// prologue moves what came in to registers that survive calls, and loads some
// numbers.
func (g *generator) prologue() {
	if g.w.regs[1] == buffer && g.chance(30) {
		// The first number may be an index into the buffer, if callers see to it.
		g.emit(addReg(1, 2), load(asm.Byte, 0, 1, 0))
		g.w.regs[0], g.w.regs[1] = num, unset
	}
	g.emit(movReg(6, 1))
	g.w.regs[6] = g.w.regs[1]
	for _, reg := range []uint8{7, 8} {
		g.number(reg)
	}
}

// number puts a number into a register.
func (g *generator) number(reg uint8) {
	switch {
	case g.w.regs[6] == context && g.chance(50):
		off := int16(8 * (1 + g.r.IntN(10)))
		g.emit(load(asm.DWord, reg, 6, off))
	case g.chance(30):
		g.emit(movImm(reg, int32(g.constant())))
	default:
		g.loadImm(reg, g.r.Uint64()>>g.r.IntN(64))
	}
	g.w.regs[reg] = num
}

func (g *generator) loadImm(reg uint8, x uint64) {
	g.emit(image.Insn{Op: 0x18, Dst: reg, Imm: int32(x)}, image.Insn{Imm: int32(x >> 32)})
}

// constant is a number that is interesting to compare with or to add.
func (g *generator) constant() int64 {
	switch g.r.IntN(5) {
	case 0:
		return int64(g.r.IntN(9)) - 4
	case 1:
		return 1 << g.r.IntN(31)
	case 2:
		return 1<<g.r.IntN(31) - 1
	case 3:
		return int64(int32(g.r.Uint32()))
	}
	return int64(g.r.IntN(ValueSize + 2))
}

// pick is a register with some content; false if there is none.
func (g *generator) pick(c content) (uint8, bool) {
	if g.mistake() {
		return uint8(g.r.IntN(11)), true
	}
	var found []uint8
	for i, have := range g.w.regs {
		if have == c {
			found = append(found, uint8(i))
		}
	}
	if len(found) == 0 {
		return 0, false
	}
	return found[g.r.IntN(len(found))], true
}

// need is a register with a number.
func (g *generator) need() uint8 {
	if reg, ok := g.pick(num); ok {
		return reg
	}
	reg := g.target()
	g.number(reg)
	return reg
}

// target is a register to write to.
func (g *generator) target() uint8 {
	for {
		reg := uint8(g.r.IntN(10))
		if reg != 6 || g.mistake() {
			return reg
		}
	}
}

func (g *generator) set(reg uint8, c content) {
	if int(reg) < len(g.w.regs) {
		g.w.regs[reg] = c
	}
}

// end returns a number.
func (g *generator) end() {
	if reg, ok := g.pick(num); ok && g.chance(80) {
		g.emit(movReg(0, reg))
	} else if !g.mistake() {
		g.emit(movImm(0, int32(g.r.IntN(3))))
	}
	g.emit(image.Insn{Op: 0x95})
}
