// Package interp is the interpreter: the reference for every other engine, on
// every OS. Its checked mode traps each access outside what the program owns.
//
// Compile makes an internal instruction of each 8-byte slot; a loop with one
// dense switch runs them. There are two loops, both generated from the same
// rows (folder gen): the fast one has no checks and fused sequences, for code
// that the verifier accepted; the checked one asks a guard before each access
// and counts. The functions in alu.go and memory.go say what an instruction
// does, for both.
package interp

import (
	"fmt"
	"reflect"
	"runtime"
	"runtime/debug"
	"strings"
	"sync/atomic"
	"unsafe"

	"github.com/cilium/ebpf/asm"

	"github.com/skep-bpf/skep/internal/abi"
	"github.com/skep-bpf/skep/internal/helper"
	"github.com/skep-bpf/skep/internal/image"
	"github.com/skep-bpf/skep/internal/maps"
	"github.com/skep-bpf/skep/internal/mem"
	"github.com/skep-bpf/skep/verify"
)

// Options choose how a program runs.
type Options struct {
	// Checked traps each access outside the program's stack frames, context,
	// maps, ring-buffer records and kernel view.
	Checked bool
	// Budget ends a run with an error after that many instructions; 0 is none.
	Budget uint64
	// Count keeps the number of executed instructions (Code.Executed).
	Count bool
	// ContextSize is the number of bytes at R1 that a checked program may touch.
	// 0 is what the facts say that the program touches, or without facts the rest
	// of the runner's context slot, if R1 points into it.
	ContextSize uint64
}

// Code is a program made ready to run. It holds no state of a run and may run on
// several runners at the same time.
type Code struct {
	program    *image.Program
	options    Options
	insns      []insn // one for each slot of the program, and a trap
	maps       []maps.Map
	helpers    []helper.Func // what opCall's immediate is an index into
	prototypes []*abi.Helper // of helpers
	calls      bool          // the program has calls of subprograms
	verified   bool
	executed   atomic.Uint64
}

// Compile makes a program ready. facts may be nil for code that was not
// verified (conformance vectors): kernel loads are then plain loads.
// ms are the program's maps in the order of p.Maps.
func Compile(p *image.Program, facts *verify.Facts, ms []maps.Map, o Options) (*Code, error) {
	if o.ContextSize == 0 && facts != nil {
		o.ContextSize = uint64(facts.ContextSize)
	}
	code := &Code{program: p, options: o, maps: ms, verified: facts != nil}
	c := &compiler{program: p, facts: facts, code: code, helpers: map[asm.BuiltinFunc]int{}}
	if err := c.run(); err != nil {
		return nil, fmt.Errorf("program %s: %w", p.Name, err)
	}
	if !code.slow() {
		fuse(code.insns)
	}
	return code, nil
}

// slow reports whether the options ask for the checked loop.
func (c *Code) slow() bool { return c.options.Checked || c.options.Count || c.options.Budget != 0 }

// Executed is the number of instructions of all runs so far, a 64-bit immediate
// load counted once. It is kept if Options.Count, Checked or Budget is set.
func (c *Code) Executed() uint64 { return c.executed.Load() }

// frames keeps what the callers of BPF-to-BPF calls go on with.
type frames struct {
	depth int
	at    [mem.MaxFrames]frame
}

type frame struct {
	pc             uintptr
	r6, r7, r8, r9 uint64
}

// pc is the distance in bytes of ip from the first instruction; ip is its
// inverse.
func (c *Code) pc(ip unsafe.Pointer) uintptr {
	return uintptr(ip) - uintptr(unsafe.Pointer(unsafe.SliceData(c.insns)))
}

func (c *Code) ip(pc uintptr) unsafe.Pointer {
	return unsafe.Add(unsafe.Pointer(unsafe.SliceData(c.insns)), pc)
}

// Run runs the program with R1 = ctx on call.Runner and returns R0. An error is a
// *Trap: a checked access, the budget, or something the verifier would have refused.
func (c *Code) Run(call *helper.Call, ctx uint64) (r0 uint64, err error) {
	// A fault in memory that is not Go's is an error of this run, not the end of
	// the process: the wall behind the verifier's.
	defer func(old bool) {
		debug.SetPanicOnFault(old)
		if e := recover(); e != nil {
			r0, err = 0, c.fault(e)
		}
	}(debug.SetPanicOnFault(true))

	// Most programs have no calls and need not pay for clearing frames.
	var trap *Trap
	switch {
	case c.slow():
		r0, trap = c.runChecked(call, ctx)
	case c.calls:
		var f frames
		r0, trap = c.fast(call, ctx, &f)
	default:
		r0, trap = c.fast(call, ctx, nil)
	}
	if trap != nil {
		return 0, trap
	}
	return r0, nil
}

func (c *Code) runChecked(call *helper.Call, ctx uint64) (uint64, *Trap) {
	g := newGuard(c, call, ctx)
	defer func() { c.executed.Add(g.executed) }()
	var f frames
	return c.checked(call, ctx, &f, g)
}

// fault makes a trap of a memory fault that the program made, itself or by what
// it gave a helper. Any other panic goes on: it is a bug.
func (c *Code) fault(e any) error {
	t := &Trap{Program: c.program.Name, Insn: -1, Reason: Fault}
	// A fault in the first page has no address: Go takes it for a nil pointer.
	switch f := e.(type) {
	case interface {
		runtime.Error
		Addr() uintptr
	}:
		t.Addr = uint64(f.Addr())
	case runtime.Error:
		if !faulted() {
			panic(e)
		}
	default:
		panic(e)
	}
	return t
}

// faulted reports whether the panic that is being recovered is a memory fault in
// the interpreter itself, where only programs touch memory by address.
func faulted() bool {
	var pcs [16]uintptr
	frames := runtime.CallersFrames(pcs[:runtime.Callers(0, pcs[:])])
	for {
		f, more := frames.Next()
		if f.Function == "runtime.sigpanic" {
			f, _ = frames.Next()
			return strings.HasPrefix(f.Function, reflect.TypeFor[Code]().PkgPath()+".")
		}
		if !more {
			return false
		}
	}
}

// trap ends a run at ip.
func (c *Code) trap(ip unsafe.Pointer, reason Reason, addr uint64) *Trap {
	i := int(c.pc(ip) / insnSize)
	return &Trap{
		Program: c.program.Name,
		Insn:    i,
		Source:  c.program.Source(i),
		Reason:  reason,
		Addr:    addr,
	}
}

// noKernel is the kernel view of a run that has none: every load gives 0.
var noKernel mem.Kernel

func kernelOf(call *helper.Call) *mem.Kernel {
	if k := call.Runner.Env.Kernel; k != nil {
		return k
	}
	return &noKernel
}
