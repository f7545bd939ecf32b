package syscalls

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"github.com/skep-bpf/skep/internal/kview"
	"github.com/skep-bpf/skep/internal/mem"
	"github.com/skep-bpf/skep/internal/tracer"
)

// A Tree is a command with its descendants, and the programs that run at their
// system calls. It is the tracer's Handler.
type Tree struct {
	*tracer.Tree
	done chan struct{}

	links []*Link
	plan  kview.Plan
	view  *kview.View
	// ends are the programs at an entry and at an exit.
	enter, exit ends
	runners     map[*mem.Pool]*mem.Runner
	stop        stop

	// running is held while programs run: who holds it sees none running.
	running sync.Mutex
	stats   Stats
	errors  []error
}

// ends are the programs at one end of calls, in the order in which they run.
type ends struct {
	calls [][]*Link // by number: programs of that call and of every call
	other []*Link   // programs of every call, for numbers beyond and i386 calls
}

// at are the programs for the call that t is in.
func (e *ends) at(t *tracer.Thread) []*Link {
	if t.Compat || uint64(t.Number) >= uint64(len(e.calls)) {
		return e.other
	}
	return e.calls[t.Number]
}

func newTree(links []*Link) (*Tree, error) {
	t := &Tree{done: make(chan struct{}), runners: make(map[*mem.Pool]*mem.Runner)}
	for _, l := range links {
		if l.closed {
			continue
		}
		t.links = append(t.links, l)
		t.plan.NeedComm = t.plan.NeedComm || l.plan.NeedComm
		t.plan.NeedCred = t.plan.NeedCred || l.plan.NeedCred
	}
	// At an exit the call's function returns before the tracepoint comes.
	t.enter = newEnds(t.links, tracer.Enter, false, true)
	t.exit = newEnds(t.links, tracer.Exit, true, false)
	view, err := kview.New(t.plan)
	if err != nil {
		return nil, err
	}
	t.view, t.stop.view = view, view
	return t, nil
}

// newEnds sorts the programs of one end, first those with kprobe == first.
func newEnds(links []*Link, when tracer.When, order ...bool) ends {
	e := ends{calls: make([][]*Link, table[len(table)-1].Number+1)}
	for _, kprobe := range order {
		for _, l := range links {
			if l.hook.form.when != when || l.hook.form.kprobe != kprobe {
				continue
			}
			if l.hook.call != nil {
				n := l.hook.call.Number
				e.calls[n] = append(e.calls[n], l)
				continue
			}
			for n := range e.calls {
				e.calls[n] = append(e.calls[n], l)
			}
			e.other = append(e.other, l)
		}
	}
	return e
}

// timed reports whether a call has programs at both ends.
func (t *Tree) timed() bool {
	for n := range t.enter.calls {
		if len(t.enter.calls[n]) > 0 && len(t.exit.calls[n]) > 0 {
			return true
		}
	}
	return false
}

func (t *Tree) options() tracer.Options {
	o := tracer.Options{Calls: make(map[int]tracer.When)}
	for _, l := range t.links {
		if c := l.hook.call; c != nil {
			o.Calls[c.Number] |= l.hook.form.when
		} else {
			o.All |= l.hook.form.when
		}
	}
	return o
}

// start takes the runners and starts cmd.
func (t *Tree) start(ctx context.Context, cmd tracer.Command) error {
	for _, l := range t.links {
		r := t.runners[l.pool]
		if r == nil {
			var err error
			if r, err = l.pool.Acquire(ctx); err != nil {
				t.release()
				return fmt.Errorf("no runner is free: %w", err)
			}
			t.runners[l.pool] = r
		}
		l.runner = r
	}
	tr, err := tracer.Start(cmd, t.options(), t)
	if err != nil {
		t.release()
		return err
	}
	t.Tree = tr
	go func() {
		<-tr.Done()
		t.release()
		close(t.done)
	}()
	return nil
}

// release gives back what the tree holds. No program runs any more.
func (t *Tree) release() {
	t.view.Close()
	for pool, r := range t.runners {
		pool.Release(r)
	}
}

// Done is closed when the last descendant has ended and no program runs any
// more.
func (t *Tree) Done() <-chan struct{} { return t.done }

// Enter is for the tracer.
func (t *Tree) Enter(th *tracer.Thread) {
	t.stop.number = th.Number
	t.run(th, t.enter.at(th))
}

// Exit is for the tracer.
func (t *Tree) Exit(th *tracer.Thread) {
	t.stop.number = th.Number
	if th.Number == rtSigreturn && !th.Compat {
		t.stop.number = noCall
	}
	t.run(th, t.exit.at(th))
}

// run runs programs at a stop.
func (t *Tree) run(th *tracer.Thread, links []*Link) {
	if len(links) == 0 {
		return
	}
	t.running.Lock()
	defer t.running.Unlock()
	t.stats.Events++
	t.view.Stop(th.TID, th.TGID)
	task := mem.Task{PID: uint32(th.TID), TGID: uint32(th.TGID)}
	if slices.ContainsFunc(links, (*Link).needsTask) {
		task = t.view.Task()
	}
	t.stop.thread, t.stop.regs = th, 0
	for _, l := range links {
		if l.closed || !t.stop.passes(&l.hook) {
			continue
		}
		r := l.runner
		if !l.hook.form.build(&t.stop, r.Context.Addr) {
			return // the thread was killed
		}
		r.Env = l.env
		r.Env.Task, r.Env.Memory, r.Env.Kernel = task, th, t.view.Kernel()
		t.stats.Runs++
		if _, err := l.program.Run(r, r.Context.Addr); err != nil {
			t.fail(l, err)
		}
	}
}

// fail notes the first error of each program. The target goes on undisturbed.
func (t *Tree) fail(l *Link, err error) {
	t.stats.Errors++
	if !l.failed {
		l.failed = true
		t.errors = append(t.errors, fmt.Errorf("program %s: %w", l.name, err))
	}
}

// Forked is for the tracer.
func (t *Tree) Forked(parent, child *tracer.Thread) {
	if parent != nil {
		t.view.Forked(parent.TID, child.TID, child.TGID)
	}
}

// Execed is for the tracer.
func (t *Tree) Execed(th *tracer.Thread, formerTID int) {
	if formerTID != th.TID {
		t.view.Exited(formerTID)
	}
	t.view.Execed(th.TID)
}

// Exited is for the tracer.
func (t *Tree) Exited(th *tracer.Thread) { t.view.Exited(th.TID) }
