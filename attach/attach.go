// Package attach joins programs to the system calls of a command that it starts.
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

	source syscalls.Source
}

// Command is a command to start.
func Command(path string, args ...string) *Cmd { return &Cmd{Path: path, Args: args} }

// Attach joins p to the hook that its section names, before Start. The link is
// closed before p's collection.
func (c *Cmd) Attach(p *skep.Program) (skep.Link, error) {
	b := p.Binding()
	return c.source.Attach(b.Program, b.Pool, b.Env)
}

// Start starts the command with everything attached.
func (c *Cmd) Start(ctx context.Context) error {
	return c.source.Start(ctx, tracer.Command{
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
	tree := c.source.Tree()
	if tree == nil {
		return Status{}, errNotStarted
	}
	s, err := tree.Wait()
	return Status{Code: s.Code, Signal: s.Signal}, err
}

// Drain waits until the last descendant has ended. They can't go on without this
// process, so a caller that ends before ends them, too. When ctx is done they are
// killed.
func (c *Cmd) Drain(ctx context.Context) error {
	tree := c.source.Tree()
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
	tree := c.source.Tree()
	if tree == nil {
		return errNotStarted
	}
	s, ok := sig.(syscall.Signal)
	if !ok {
		return fmt.Errorf("%v is not a signal of this system", sig)
	}
	return tree.Signal(s)
}

// StopCost is what the time between both ends of a system call contains because
// of the stops there. Start calibrates it.
func (c *Cmd) StopCost() time.Duration { return c.source.StopCost() }

// Stats counts what has happened so far.
type Stats struct {
	Events     uint64 // stops at hooked calls
	Runs       uint64 // runs of programs
	Errors     uint64 // runs that failed
	FirstError error  // why the first of them failed
}

// Stats may be called at any time.
func (c *Cmd) Stats() Stats { return Stats(c.source.Stats()) }

// Status is how a command ended.
type Status struct {
	Code   int            // exit code, if Signal is 0
	Signal syscall.Signal // the signal that ended it, or 0
}

// ExitCode is the status as a shell gives it: the code, or 128 and the signal.
func (s Status) ExitCode() int { return tracer.ExitStatus(s).Shell() }
