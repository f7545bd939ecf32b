// Package attach joins programs of either engine to the system calls of a command
// that it starts.
//
//	cmd := attach.Command("go", "list", "-deps", "fmt")
//	for _, p := range coll.Programs {
//		link, err := cmd.Attach(p)
//	}
//	err := cmd.Start(ctx)
//	status, err := cmd.Wait()
//
// A program says by its section where it belongs, as docs/hooks.md lists. It sees
// exactly what it would see in the kernel, and the command goes on undisturbed.
package attach

import (
	"context"
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"

	"github.com/skep-bpf/skep"
	"github.com/skep-bpf/skep/internal/event/syscalls"
	"github.com/skep-bpf/skep/internal/kernel"
	"github.com/skep-bpf/skep/internal/tracer"
)

// Errors of Attach and Start, for errors.Is. The error itself says why and what
// to do.
var (
	ErrUnknownSection  = syscalls.ErrUnknownSection // the section names no hook
	ErrHookNotPossible = syscalls.ErrNotPossible    // the hook can't be had
	ErrCommandNotFound = tracer.ErrCommandNotFound  // no such program
	ErrNotExecutable   = tracer.ErrNotExecutable    // the program can't be run
	ErrNotPermitted    = tracer.ErrNotPermitted     // ptrace or seccomp is not permitted
	ErrNotSupported    = tracer.ErrUnsupported      // not on this platform
)

// A Cmd is a command to start with programs attached. Its fields are set before
// Start and mean what they mean in os/exec.
type Cmd struct {
	Path string   // looked up in PATH if it has no slash
	Args []string // without the program's name
	Env  []string // nil for the environment of this process
	Dir  string   // "" for the current folder

	Stdin, Stdout, Stderr *os.File // nil for those of this process

	user   syscalls.Source // of programs of the user engine
	kernel kernel.Command  // of programs of the kernel engine
	engine engine          // which of them it is, after the first Attach
}

// engine is what a command's programs run on.
type engine uint8

const (
	none engine = iota
	user
	inKernel
)

// Command is a command to start.
func Command(path string, args ...string) *Cmd { return &Cmd{Path: path, Args: args} }

// Attach joins p to the hook that its section names, before Start. All programs
// of a command are of one engine. The link is closed before p's collection.
func (c *Cmd) Attach(p *skep.Program) (skep.Link, error) {
	on := user
	if p.Kernel() != nil {
		on = inKernel
	}
	if c.engine != none && c.engine != on {
		return nil, fmt.Errorf("%s: the command has programs of the other engine: %w", p, ErrHookNotPossible)
	}
	c.engine = on
	if on == user {
		b := p.Binding()
		return c.user.Attach(b.Program, b.Pool, b.Env)
	}
	link, err := c.kernel.Attach(p.Kernel())
	if err != nil {
		return nil, translate(err)
	}
	return link, nil
}

// Start starts the command with everything attached.
func (c *Cmd) Start(ctx context.Context) error {
	if c.engine == inKernel {
		k := &c.kernel
		k.Path, k.Args, k.Env, k.Dir = c.Path, c.Args, c.Env, c.Dir
		k.Stdin, k.Stdout, k.Stderr = c.Stdin, c.Stdout, c.Stderr
		return translate(k.Start(ctx))
	}
	return c.user.Start(ctx, tracer.Command{
		Path:   c.Path,
		Args:   append([]string{c.Path}, c.Args...),
		Env:    c.Env,
		Dir:    c.Dir,
		Stdin:  c.Stdin,
		Stdout: c.Stdout,
		Stderr: c.Stderr,
	})
}

// errNotStarted is the mistake of a caller who forgot Start.
var errNotStarted = errors.New("the command was not started")

// Wait waits until the command itself has ended. Its descendants may go on, see
// Drain.
func (c *Cmd) Wait() (Status, error) {
	if c.engine == inKernel {
		s, err := c.kernel.Wait()
		return Status(s), err
	}
	tree := c.user.Tree()
	if tree == nil {
		return Status{}, errNotStarted
	}
	s, err := tree.Wait()
	return Status(s), err
}

// Drain waits until the last descendant has ended. Under the user engine they
// can't go on without this process, so a caller that ends before ends them, too.
// When ctx is done they are killed.
func (c *Cmd) Drain(ctx context.Context) error {
	if c.engine == inKernel {
		err := c.kernel.Drain(ctx)
		if ctx.Err() != nil {
			c.kernel.Kill()
		}
		return errors.Join(err, c.kernel.Close())
	}
	tree := c.user.Tree()
	if tree == nil {
		return errNotStarted
	}
	select {
	case <-tree.Done():
		return nil
	case <-ctx.Done():
		tree.Kill()
		<-tree.Done()
		return ctx.Err()
	}
}

// Signal sends a signal to the command's process.
func (c *Cmd) Signal(sig os.Signal) error {
	s, ok := sig.(syscall.Signal)
	if !ok {
		return fmt.Errorf("%v is not a signal of this system", sig)
	}
	if c.engine == inKernel {
		return c.kernel.Signal(s)
	}
	tree := c.user.Tree()
	if tree == nil {
		return errNotStarted
	}
	return tree.Signal(s)
}

// StopCost is what the time between both ends of a system call contains because
// of the stops there. Start calibrates it; in the kernel there are no stops.
func (c *Cmd) StopCost() time.Duration { return c.user.StopCost() }

// Stats counts what has happened so far.
type Stats struct {
	Events     uint64 // stops at hooked calls
	Runs       uint64 // runs of programs
	Errors     uint64 // runs that failed
	FirstError error  // why the first of them failed
}

// Stats may be called at any time. The kernel does not count: there all is 0.
func (c *Cmd) Stats() Stats { return Stats(c.user.Stats()) }

// Status is how a command ended.
type Status struct {
	Code   int            // exit code, if Signal is 0
	Signal syscall.Signal // the signal that ended it, or 0
}

// ExitCode is the status as a shell gives it: the code, or 128 and the signal.
func (s Status) ExitCode() int { return tracer.ExitStatus(s).Shell() }

// kernelKinds are the errors of Attach and Start by those of the kernel engine.
var kernelKinds = []struct{ of, is error }{
	{kernel.ErrUnknownSection, ErrUnknownSection},
	{kernel.ErrNotPossible, ErrHookNotPossible},
	{kernel.ErrProgramType, ErrHookNotPossible},
	{kernel.ErrCommandNotFound, ErrCommandNotFound},
	{kernel.ErrNotExecutable, ErrNotExecutable},
	{kernel.ErrNotPermitted, ErrNotPermitted},
	{kernel.ErrNoCgroup, ErrNotPermitted},
	{kernel.ErrUnsupported, ErrNotSupported},
}

// A kindError is an error of the kernel engine that is one of ours, too.
type kindError struct{ kind, err error }

func (e *kindError) Error() string   { return e.err.Error() }
func (e *kindError) Unwrap() []error { return []error{e.kind, e.err} }

func translate(err error) error {
	for _, k := range kernelKinds {
		if errors.Is(err, k.of) {
			return &kindError{k.is, err}
		}
	}
	return err
}
