// Package kernel is the engine that runs programs in the Linux kernel: the spec
// that the user engine takes is loaded through cilium/ebpf, attached to the hooks
// that its sections name, and confined.
//
// A hook of the kernel is everybody's: a program at sys_enter_read runs for every
// read of the machine. So Load puts a few instructions before each program that
// runs on behalf of a task: they ask the collection's Scope whether the current
// task belongs to what is watched, and return 0 at once if it does not. A new
// scope holds nobody. A Command brings itself in, with a cgroup of its own, and
// Scope.Processes and Scope.System are there for those who ask for them.
//
// The instructions stand before the first one of the program, in the same
// function, rather than in a caller of it: the program keeps its 512 bytes of
// stack, its depth of calls and its tail calls, and the kernel sees the function
// and line information that the object has.
package kernel

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/cilium/ebpf"
)

// Options change how Load works.
type Options struct {
	// Scope is that of a collection of which this one is the next version, nil for
	// a new scope. Programs of a next version run after TakeOver.
	Scope *Scope
	// Maps are used in place of those of their names, which must have the same
	// shape. They are not closed with the collection.
	Maps map[string]*ebpf.Map
}

// A Collection is what Load made.
type Collection struct {
	Programs map[string]*Program
	// Maps are without those of global data, which are Variables.
	Maps      map[string]*ebpf.Map
	Variables map[string]*ebpf.Variable
	// Scope says for whom the programs run: at first for nobody.
	Scope *Scope

	all     *ebpf.Collection
	version version
	closed  bool
}

// A Program is a loaded program. What is embedded is the kernel's.
type Program struct {
	*ebpf.Program
	// Spec is what it was loaded from, without what confines it.
	Spec *ebpf.ProgramSpec

	scope   *Scope
	version version
}

// Load loads all of spec, which is not changed. On error, an *Error, nothing is
// left behind.
func Load(ctx context.Context, spec *ebpf.CollectionSpec, o Options) (_ *Collection, err error) {
	for _, name := range slices.Sorted(maps.Keys(spec.Programs)) {
		if p := spec.Programs[name]; p.Type == ebpf.UnspecifiedProgram {
			return nil, &Error{What: "program " + name, Section: p.SectionName, Kind: ErrUnknownSection, Reason: knownForms}
		}
	}
	if err := Permitted(); err != nil {
		return nil, err
	}
	restore, err := allowLockedMemory()
	if err != nil {
		return nil, err
	}
	defer restore()

	c := &Collection{
		Programs:  make(map[string]*Program),
		Maps:      make(map[string]*ebpf.Map),
		Variables: make(map[string]*ebpf.Variable),
	}
	defer func() {
		if err != nil {
			c.Close()
		}
	}()
	if o.Scope == nil {
		if c.Scope, err = NewScope(); err != nil {
			return nil, err
		}
	} else {
		if c.version, err = o.Scope.use(); err != nil {
			return nil, err
		}
		c.Scope = o.Scope
	}
	confined := spec.Copy()
	for _, p := range confined.Programs {
		if confinable(p) {
			p.Instructions = c.Scope.confine(p.Instructions, c.version)
		}
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if c.all, err = ebpf.NewCollectionWithOptions(confined, ebpf.CollectionOptions{MapReplacements: o.Maps}); err != nil {
		return nil, explain(spec, err)
	}
	for name, p := range c.all.Programs {
		c.Programs[name] = &Program{Program: p, Spec: spec.Programs[name], scope: c.Scope, version: c.version}
	}
	for name, m := range c.all.Maps {
		// Maps that hold an object's global data have names that start with a dot
		// or hold one.
		if !strings.Contains(name, ".") {
			c.Maps[name] = m
		}
	}
	maps.Copy(c.Variables, c.all.Variables)
	return c, nil
}

// TakeOver lets the programs of c run in place of those of the version before. Both
// are attached at that moment. It is one store in memory for all programs: of an
// event that is on its way just then, both versions may run or neither, all others
// have one.
func (c *Collection) TakeOver() error { return c.Scope.takeOver(c.version) }

// Close frees everything. A link keeps its program running until it is closed.
func (c *Collection) Close() error {
	if c.all != nil {
		c.all.Close()
		c.all = nil
	}
	if c.Scope == nil || c.closed {
		return nil
	}
	c.closed = true
	return c.Scope.Close()
}

// Run test-runs the program as the kernel allows it for its type. For this time
// the calling process is what the scope holds, which must not be in use.
func (p *Program) Run(opts *ebpf.RunOptions) (uint32, error) {
	if !confinable(p.Spec) {
		return p.Program.Run(opts)
	}
	leave, err := p.scope.enter(p.version)
	if err != nil {
		return 0, fmt.Errorf("program %s: test run: %w", p.Spec.Name, err)
	}
	ret, err := p.Program.Run(opts)
	return ret, errors.Join(err, leave())
}

// Missed is how often the kernel left the program out, because another program
// was running on the same CPU, for whatever task: some may have been of the scope.
// It is counted since Linux 5.12.
func (p *Program) Missed() (uint64, error) {
	stats, err := p.Stats()
	if err != nil {
		return 0, err
	}
	return stats.RecursionMisses, nil
}
