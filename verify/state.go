package verify

import (
	"github.com/skep-bpf/skep/internal/mem"
	"github.com/skep-bpf/skep/verify/internal/scalar"
)

const (
	stackSize = mem.StackSize
	maxFrames = mem.MaxFrames
	w64       = scalar.W64
)

// kind is what a register holds.
type kind uint8

const (
	nothing    kind = iota // never written, or no longer to be read
	number                 // no pointer
	stackPtr               // into the frame reg.frame; the value counts from its frame pointer
	contextPtr             // the program's context
	mapPtr                 // a map itself
	mapValue               // into a value of a map
	record                 // into a ring-buffer record
	kernelPtr              // a kernel object, of a BTF type
)

// A reg is what is known of a register.
type reg struct {
	kind kind
	// orNull says that the pointer may be NULL: it must be compared first.
	orNull bool
	// frame is the depth of the frame that a stackPtr points into.
	frame uint8
	// object is what a pointer points to: for maps the index into
	// Program.Maps, for a record its size, for a kernelPtr the index into
	// verifier.types.
	object int32
	// id is shared by registers with the same value: numbers that are copies of
	// each other, up to delta, and copies of a pointer that may be NULL. 0 is
	// none.
	id uint32
	// reference is the acquired resource that the pointer came with; 0 is none.
	reference uint32
	// delta is by how much a number exceeds the others with its id.
	delta uint64
	// v is the number, or the offset of a pointer.
	v scalar.Value
}

func numberReg(v scalar.Value) reg { return reg{kind: number, v: v} }
func constReg(x uint64) reg        { return numberReg(w64.Const(x)) }
func unknownReg() reg              { return numberReg(w64.Unknown()) }

func (r *reg) isPointer() bool { return r.kind > number }

// isOwn reports whether a pointer is into memory of the engine: its address must
// not get out. Addresses of kernel objects are those of a kernel that is only
// shown, and map keys in real programs.
func (r *reg) isOwn() bool { return r.isPointer() && r.kind != kernelPtr }

// isZero reports whether the register is the number 0: NULL.
func (r *reg) isZero() bool {
	x, ok := r.v.IsConst()
	return r.kind == number && ok && x == 0
}

// byteKind is what a byte of the stack holds.
type byteKind uint8

const (
	unwritten byteKind = iota
	data               // a number that is not known
	zero
	spilled // part of a frame.spills
)

// A spill is a register in the stack.
type spill struct {
	at   int16 // distance of its first byte below the frame pointer
	size uint8 // bytes of it, from the lowest
	reg  reg
}

// low and high bound the bytes of a spill, counted down from the frame pointer.
func (s *spill) low() int  { return int(s.at) - int(s.size) }
func (s *spill) high() int { return int(s.at) }

// A frame is one function call.
type frame struct {
	regs [11]reg
	// bytes are the stack, downwards: bytes[i] is the byte at R10 - 1 - i. Those
	// beyond its length are unwritten.
	bytes  []byteKind
	spills []spill
	// callsite is the slot of the call that made the frame, -1 for the first.
	callsite int
}

func (f *frame) copyFrom(o *frame) {
	f.regs = o.regs
	f.bytes = append(f.bytes[:0], o.bytes...)
	f.spills = append(f.spills[:0], o.spills...)
	f.callsite = o.callsite
}

// grow makes room for the bytes up to high.
func (f *frame) grow(high int) {
	for len(f.bytes) < high {
		f.bytes = append(f.bytes, unwritten)
	}
}

// at is what byte i holds.
func (f *frame) at(i int) byteKind {
	if i >= len(f.bytes) {
		return unwritten
	}
	return f.bytes[i]
}

// spillAt is the spill that byte i belongs to.
func (f *frame) spillAt(i int) *spill {
	for n := range f.spills {
		if s := &f.spills[n]; s.low() <= i && i < s.high() {
			return s
		}
	}
	return nil
}

// overwrite makes the bytes low to high-1 be of kind k. What is left of a number
// that was stored there is data; what is left of an address can't be read.
func (f *frame) overwrite(low, high int, k byteKind) {
	f.grow(high)
	kept := f.spills[:0]
	for _, s := range f.spills {
		if s.high() <= low || s.low() >= high {
			kept = append(kept, s)
			continue
		}
		rest := data
		if s.reg.isOwn() {
			rest = unwritten
		}
		for i := s.low(); i < s.high(); i++ {
			f.bytes[i] = rest
		}
	}
	f.spills = kept
	for i := low; i < high; i++ {
		f.bytes[i] = k
	}
}

// A resource is something that a program must give back.
type resource struct {
	id   uint32
	insn int // where it was acquired
}

// A state is what is known at one point of one path.
type state struct {
	frames [maxFrames]*frame
	depth  int // of the current frame
	held   []resource
	insn   int
	// seen is the last kept state that the path came through.
	seen *kept
	// path is how much of verifier.path leads to the branch that a waiting state
	// comes from.
	path int
}

func (s *state) top() *frame { return s.frames[s.depth] }

// eachReg calls f for every register and spilled register of the state.
func (s *state) eachReg(f func(*reg)) {
	for _, fr := range s.frames[:s.depth+1] {
		for i := range fr.regs {
			f(&fr.regs[i])
		}
		for i := range fr.spills {
			f(&fr.spills[i].reg)
		}
	}
}

// A pool keeps states and frames that are not used any more, so that walking
// allocates nothing once it has warmed up.
type pool struct {
	states []*state
	frames []*frame
}

func (p *pool) frame() *frame {
	if n := len(p.frames); n > 0 {
		f := p.frames[n-1]
		p.frames = p.frames[:n-1]
		return f
	}
	return new(frame)
}

func (p *pool) clone(s *state) *state {
	var c *state
	if n := len(p.states); n > 0 {
		c = p.states[n-1]
		p.states = p.states[:n-1]
	} else {
		c = new(state)
	}
	c.depth, c.insn, c.seen = s.depth, s.insn, s.seen
	c.held = append(c.held[:0], s.held...)
	for i, f := range s.frames[:s.depth+1] {
		c.frames[i] = p.frame()
		c.frames[i].copyFrom(f)
	}
	return c
}

func (p *pool) free(s *state) {
	for i := range s.frames[:s.depth+1] {
		p.frames = append(p.frames, s.frames[i])
		s.frames[i] = nil
	}
	s.seen = nil
	p.states = append(p.states, s)
}
