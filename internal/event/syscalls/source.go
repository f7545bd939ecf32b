// Package syscalls runs programs at the system calls of a process tree. The
// tracer stops a thread before and after a hooked call; at a stop the programs
// of that point run, with the context that the kernel would give them and the
// kernel view set to the stopped thread.
package syscalls

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cilium/ebpf/asm"

	"github.com/skep-bpf/skep/internal/kview"
	"github.com/skep-bpf/skep/internal/mem"
	"github.com/skep-bpf/skep/internal/program"
	"github.com/skep-bpf/skep/internal/tracer"
)

// A Source is one command and the programs at its system calls. Attach comes
// before Start.
type Source struct {
	mu      sync.Mutex // guards links and tree
	links   []*Link
	started bool
	tree    *tracer.Tree
	cost    time.Duration

	// table is what the tracer's thread looks at. It is replaced whole.
	table atomic.Pointer[table]

	// What follows belongs to the tracer's thread.
	view    *kview.View
	runners map[*mem.Pool]*mem.Runner
	regs    uint64 // address of the stopped thread's registers, 0 if not there yet

	events atomic.Uint64
	runs   atomic.Uint64
	failed atomic.Uint64
	first  atomic.Pointer[error]
}

// A table is which programs run where.
type table struct {
	every [points][]*Link
	calls map[int]*[points][]*Link
}

// A Link is a program joined to its hook.
type Link struct {
	source  *Source
	hook    hook
	section string
	program *program.Program
	pool    *mem.Pool
	env     mem.Env // what was fixed by options: clock, random, print
	plan    kview.Plan
}

// Section is the section that named the hook.
func (l *Link) Section() string { return l.section }

// Close takes the program off its hook. A run that is on goes on to its end.
func (l *Link) Close() error {
	s := l.source
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, other := range s.links {
		if other == l {
			s.links = append(s.links[:i:i], s.links[i+1:]...)
			s.rebuild()
			break
		}
	}
	return nil
}

// Attach joins a program to the hook that its section names. env holds what is
// fixed for each run: clock, random, print.
func (s *Source) Attach(p *program.Program, pool *mem.Pool, env mem.Env) (*Link, error) {
	h, err := hookOf(p.Image)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.started {
		return nil, fmt.Errorf("program %s: %w: the command has been started, and its filter can't be changed any more", p.Image.Name, ErrNotPossible)
	}
	l := &Link{source: s, hook: h, section: p.Image.Section, program: p, pool: pool, env: env, plan: planOf(p)}
	s.links = append(s.links, l)
	s.rebuild()
	return l, nil
}

// planOf says what a program wants to know of the task.
func planOf(p *program.Program) (plan kview.Plan) {
	const call = uint8(asm.JumpClass) | uint8(asm.Call)
	for _, in := range p.Image.Insns {
		if in.Op == call && in.Src == 0 {
			switch asm.BuiltinFunc(in.Imm) {
			case asm.FnGetCurrentComm:
				plan.NeedComm = true
			case asm.FnGetCurrentUidGid:
				plan.NeedCred = true
			}
		}
	}
	return plan
}

// rebuild makes the table of the links there are. mu is held.
func (s *Source) rebuild() {
	t := &table{calls: make(map[int]*[points][]*Link)}
	for _, l := range s.links {
		at := &t.every
		if l.hook.number != every {
			if at = t.calls[l.hook.number]; at == nil {
				at = new([points][]*Link)
				t.calls[l.hook.number] = at
			}
		}
		at[l.hook.point] = append(at[l.hook.point], l)
	}
	s.table.Store(t)
}

// Start starts the command with everything attached.
func (s *Source) Start(ctx context.Context, cmd tracer.Command) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.started {
		return errors.New("the command was started before")
	}
	var o tracer.Options
	o.Calls = make(map[int]tracer.When)
	var plan kview.Plan
	for _, l := range s.links {
		when := l.hook.point.when()
		if l.hook.number == every {
			o.All |= when
		} else {
			o.Calls[l.hook.number] |= when
		}
		plan.NeedComm = plan.NeedComm || l.plan.NeedComm
		plan.NeedCred = plan.NeedCred || l.plan.NeedCred
	}
	var err error
	if s.cost, err = Calibrate(); err != nil {
		return err
	}
	if s.view, err = kview.New(plan); err != nil {
		return err
	}
	s.runners = make(map[*mem.Pool]*mem.Runner)
	for _, l := range s.links {
		if s.runners[l.pool] == nil {
			if s.runners[l.pool], err = l.pool.Acquire(ctx); err != nil {
				s.release()
				return err
			}
		}
	}
	tree, err := tracer.Start(cmd, o, s)
	if err != nil {
		s.release()
		return err
	}
	s.started, s.tree = true, tree
	go func() {
		<-tree.Done()
		s.release()
	}()
	return nil
}

// release gives back what Start took. Nothing runs any more.
func (s *Source) release() {
	for pool, r := range s.runners {
		pool.Release(r)
	}
	s.view.Close()
}

// Tree is the command's process tree, nil before Start.
func (s *Source) Tree() *tracer.Tree {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.tree
}

// StopCost is what the time between the two ends of a system call contains
// because of its stops, as calibrated by Start.
func (s *Source) StopCost() time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.cost
}

// Stats counts what has happened.
type Stats struct {
	Events     uint64 // stops at hooked calls
	Runs       uint64 // of programs
	Errors     uint64 // runs that ended in a trap
	FirstError error
}

// Stats may be called at any time.
func (s *Source) Stats() Stats {
	st := Stats{Events: s.events.Load(), Runs: s.runs.Load(), Errors: s.failed.Load()}
	if err := s.first.Load(); err != nil {
		st.FirstError = *err
	}
	return st
}

// inCall is what Thread.Data holds from Enter to Exit of a call: a new thread
// comes out of a clone that it has not entered.
type inCall struct{}

// Enter is tracer.Handler's.
func (s *Source) Enter(t *tracer.Thread) {
	t.Data = inCall{}
	s.stop(t, rawEnter, probe)
}

// Exit is tracer.Handler's.
func (s *Source) Exit(t *tracer.Thread) {
	from := returnProbe
	if t.Data == nil {
		from = rawExit
	}
	t.Data = nil
	s.stop(t, from, syscallExit)
}

// Forked is tracer.Handler's.
func (s *Source) Forked(parent, child *tracer.Thread) {
	of := 0
	if parent != nil {
		of = parent.TID
	}
	s.view.Forked(of, child.TID, child.TGID)
}

// Execed is tracer.Handler's.
func (s *Source) Execed(t *tracer.Thread, formerTID int) { s.view.Execed(t.TID) }

// Exited is tracer.Handler's.
func (s *Source) Exited(t *tracer.Thread) { s.view.Exited(t.TID) }

// stop runs the programs at the points from first to last.
func (s *Source) stop(t *tracer.Thread, first, last point) {
	s.events.Add(1)
	s.view.Stop(t.TID, t.TGID)
	s.regs = 0
	table := s.table.Load()
	var calls *[points][]*Link
	if !t.Compat {
		// As in the kernel, i386 calls pass only the points of every call.
		calls = table.calls[int(t.Number)]
	}
	for at := first; at <= last; at++ {
		for _, l := range table.every[at] {
			s.run(l, t)
		}
		if calls != nil {
			for _, l := range calls[at] {
				s.run(l, t)
			}
		}
	}
}

// run runs one program. What it returns means nothing at these hooks, and its
// failure is not the target's.
func (s *Source) run(l *Link, t *tracer.Thread) {
	r := s.runners[l.pool]
	r.Env = l.env
	r.Env.Task = mem.Task{PID: uint32(t.TID), TGID: uint32(t.TGID)}
	if l.plan != (kview.Plan{}) {
		r.Env.Task = s.view.Task()
	}
	r.Env.Memory = t
	r.Env.Kernel = s.view.Kernel()
	if !s.context(l.hook.point, r, t) {
		return
	}
	s.runs.Add(1)
	if _, err := l.program.Run(r, r.Context.Addr); err != nil {
		s.failed.Add(1)
		err := err
		s.first.CompareAndSwap(nil, &err)
	}
}
