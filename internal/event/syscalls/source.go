package syscalls

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/cilium/ebpf/asm"

	"github.com/skep-bpf/skep/internal/kview"
	"github.com/skep-bpf/skep/internal/mem"
	"github.com/skep-bpf/skep/internal/program"
	"github.com/skep-bpf/skep/internal/tracer"
)

// A Source runs programs at the system calls of one command. The zero Source has
// no programs.
type Source struct {
	mu    sync.Mutex // guards links and tree
	links []*Link
	tree  *Tree
	cost  time.Duration
}

// runnable is a *program.Program, or what stands for one while hooks are timed.
type runnable interface {
	Run(r *mem.Runner, ctx uint64) (uint64, error)
}

// A Link is a program at its hook.
type Link struct {
	hook    hook
	name    string
	section string
	program runnable
	plan    kview.Plan
	pool    *mem.Pool
	env     mem.Env

	runner *mem.Runner // while the tree lives
	failed bool        // a run has failed, and the tree's errors have it

	source *Source
	closed bool // guarded by the tree's running, before Start by source.mu
}

// Attach joins p to the hook that its section names: it runs there on a runner
// of pool, with the clock, random source and print of env. The error is a
// *HookError. It must come before Start.
func (s *Source) Attach(p *program.Program, pool *mem.Pool, env mem.Env) (*Link, error) {
	h, err := find(p)
	if err != nil {
		return nil, err
	}
	l := &Link{hook: h, name: p.Image.Name, section: p.Image.Section, program: p, pool: pool, env: env}
	for _, in := range p.Image.Insns {
		if in.Op != callHelper || in.Src != 0 {
			continue
		}
		switch asm.BuiltinFunc(in.Imm) {
		case asm.FnGetCurrentComm:
			l.plan.NeedComm = true
		case asm.FnGetCurrentUidGid:
			l.plan.NeedCred = true
		}
	}
	return l, s.add(l)
}

// needsTask reports whether the program asks for more than its pid and tgid.
func (l *Link) needsTask() bool { return l.plan != kview.Plan{} }

const callHelper = uint8(asm.JumpClass) | uint8(asm.Call)

func (s *Source) add(l *Link) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.tree != nil {
		return fmt.Errorf("program %s: the command runs already, and its filter is fixed: attach before", l.name)
	}
	l.source = s
	s.links = append(s.links, l)
	return nil
}

// Section is the section that named the hook.
func (l *Link) Section() string { return l.section }

// Close takes the program off its hook. When it returns the program does not run
// and will not run again.
func (l *Link) Close() error {
	l.source.mu.Lock()
	defer l.source.mu.Unlock()
	if t := l.source.tree; t != nil {
		t.running.Lock()
		defer t.running.Unlock()
	}
	l.closed = true
	return nil
}

// Start starts cmd with all programs attached. It waits for a runner of each
// program's pool; the tree holds them until its last process has ended. Where
// programs are attached to both ends of a call, the stops between are timed
// first (StopCost). Errors are those of tracer.Start.
func (s *Source) Start(ctx context.Context, cmd tracer.Command) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.tree != nil {
		return errors.New("a source starts one command only")
	}
	tree, err := newTree(s.links)
	if err != nil {
		return err
	}
	if tree.timed() {
		if s.cost, err = Calibrate(tree.plan); err != nil {
			tree.release()
			return err
		}
	}
	if err := tree.start(ctx, cmd); err != nil {
		return err
	}
	s.tree = tree
	return nil
}

// Tree is what Start has started, nil before.
func (s *Source) Tree() *Tree {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.tree
}

// StopCost is the time that the two stops of a call add between the end of a
// program at its entry and the start of one at its exit: what a latency that
// programs measure contains. 0 if no call has programs at both ends.
func (s *Source) StopCost() time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.cost
}

// Stats counts what happened in a tree.
type Stats struct {
	Events     uint64 // stops at hooked calls
	Runs       uint64 // runs of programs
	Errors     uint64 // runs that failed
	FirstError error  // why the first of them failed
}

// Stats may be called at any time.
func (s *Source) Stats() Stats {
	t := s.Tree()
	if t == nil {
		return Stats{}
	}
	t.running.Lock()
	defer t.running.Unlock()
	out := t.stats
	if len(t.errors) > 0 {
		out.FirstError = t.errors[0]
	}
	return out
}

// Errors are the first error of each program that failed.
func (s *Source) Errors() []error {
	t := s.Tree()
	if t == nil {
		return nil
	}
	t.running.Lock()
	defer t.running.Unlock()
	return slices.Clone(t.errors)
}
