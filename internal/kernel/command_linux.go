package kernel

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"slices"
	"syscall"

	"golang.org/x/sys/unix"
)

// running is what a command is after its start.
type running struct {
	cgroup  *cgroup
	process *os.Process
	ended   chan struct{} // closed when the command has ended
	done    chan struct{} // closed when its cgroup is gone
	stop    *os.File      // closed to give up waiting for the descendants:
	stopped *os.File      // the other end tells
	status  Status        // after ended
	err     error         // after ended: why there is no status
	left    error         // after done: what went wrong with the cgroup
}

// errNotStarted is the mistake of a caller who forgot Start.
var errNotStarted = errors.New("the command was not started")

// Attach joins p to the hook that its section names, before Start.
func (c *Command) Attach(p *Program) (*Link, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.run != nil {
		return nil, &Error{What: "program " + p.Spec.Name, Section: p.Spec.SectionName, Kind: ErrNotPossible, Reason: "the command has been started"}
	}
	if err := p.scope.openGate(); err != nil {
		return nil, err
	}
	if !slices.Contains(c.scopes, p.scope) {
		c.scopes = append(c.scopes, p.scope)
	}
	l, err := p.Attach()
	if err == nil {
		c.links = append(c.links, l)
	}
	return l, err
}

// Start starts the command. The first system call that its programs see is its
// own execve.
func (c *Command) Start(ctx context.Context) (err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.run != nil {
		return errors.New("the command was started before")
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	cmd := exec.Command(c.Path, c.Args...)
	if cmd.Err != nil {
		return startError(c.Path, c.Dir, cmd.Err)
	}
	cmd.Env, cmd.Dir = c.Env, c.Dir
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	if c.Stdin != nil {
		cmd.Stdin = c.Stdin
	}
	if c.Stdout != nil {
		cmd.Stdout = c.Stdout
	}
	if c.Stderr != nil {
		cmd.Stderr = c.Stderr
	}

	group, err := newCgroup()
	if err != nil {
		return err
	}
	var ready []*Scope
	defer func() {
		if err != nil {
			for _, s := range ready {
				s.Nobody()
			}
			group.Close()
		}
	}()
	for _, s := range c.scopes {
		if err := s.arm(group); err != nil {
			return err
		}
		ready = append(ready, s)
	}
	r, err := newRunning(group)
	if err != nil {
		return err
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{UseCgroupFD: true, CgroupFD: int(group.dir.Fd())}
	if err := cmd.Start(); err != nil {
		r.closePipe()
		return startError(cmd.Path, c.Dir, err)
	}
	r.process = cmd.Process
	for _, s := range c.scopes {
		if err := s.begun(); err != nil {
			group.kill()
			cmd.Wait()
			r.closePipe()
			return err
		}
	}
	c.run = r
	go r.reap(cmd)
	go r.drain(c.scopes)
	return nil
}

func newRunning(group *cgroup) (*running, error) {
	r := &running{cgroup: group, ended: make(chan struct{}), done: make(chan struct{})}
	var err error
	r.stopped, r.stop, err = os.Pipe()
	return r, err
}

// giveUp ends the waiting for descendants, now or later.
func (r *running) giveUp() { r.stop.Close() }

func (r *running) closePipe() {
	r.giveUp()
	r.stopped.Close()
}

// reap waits for the command itself.
func (r *running) reap(cmd *exec.Cmd) {
	defer close(r.ended)
	err := cmd.Wait()
	if cmd.ProcessState == nil {
		r.err = err
		return
	}
	status := cmd.ProcessState.Sys().(syscall.WaitStatus)
	if status.Signaled() {
		r.status.Signal = status.Signal()
	} else {
		r.status.Code = status.ExitStatus()
	}
}

// drain waits for the descendants and clears up.
func (r *running) drain(scopes []*Scope) {
	defer close(r.done)
	errs := []error{r.cgroup.waitEmpty(r.stopped)}
	for _, s := range scopes {
		// A scope may have been closed by now.
		if err := s.Nobody(); err != nil && !errors.Is(err, errClosed) {
			errs = append(errs, err)
		}
	}
	r.left = errors.Join(append(errs, r.cgroup.Close())...)
	r.closePipe()
}

// startError says why a command could not be started.
func startError(path, dir string, err error) error {
	e := &Error{What: path, Err: err}
	switch {
	case errors.Is(err, exec.ErrDot):
		e.Kind, e.Reason = ErrNotExecutable, "PATH finds it in the current directory only: write ./"+path
	case errors.Is(err, exec.ErrNotFound):
		e.Kind, e.Reason = ErrCommandNotFound, "it is in no directory of PATH"
	case cannotEnter(dir) != nil:
		e.Kind, e.Reason = ErrNotExecutable, fmt.Sprintf("its working directory %s can't be entered: %v", dir, cannotEnter(dir))
	case errors.Is(err, fs.ErrNotExist):
		e.Kind, e.Reason = ErrCommandNotFound, "no such file"
		if _, err := os.Stat(path); err == nil {
			e.Kind, e.Reason = ErrNotExecutable, "the interpreter that it names is missing"
		}
	case errors.Is(err, unix.ENOEXEC):
		e.Kind, e.Reason = ErrNotExecutable, "not a program for this machine; a script needs a first line such as #!/bin/sh"
	case errors.Is(err, unix.EACCES) && !isExecutable(path):
		e.Kind, e.Reason = ErrNotExecutable, "no permission to execute it"
	case isPermission(err):
		// exec gives EPERM only for what a security module forbids.
		e.Kind, e.Reason = ErrNoCgroup, fmt.Sprintf("starting a process in a cgroup is not allowed here: %v", err)
	case errors.Is(err, unix.ENOSYS):
		e.Kind, e.Reason = ErrNoCgroup, "starting a process in a cgroup takes clone3 of Linux 5.7, or a seccomp filter of our surroundings forbids it"
	case errors.Is(err, unix.EOPNOTSUPP), errors.Is(err, unix.EBUSY):
		e.Kind, e.Reason = ErrNoCgroup, fmt.Sprintf("the cgroup takes no processes, because of the cgroups above it: %v", err)
	default:
		e.Kind, e.Reason = ErrNotExecutable, err.Error()
	}
	return e
}

// cannotEnter says why a directory can't be entered.
func cannotEnter(dir string) error {
	if dir == "" {
		return nil
	}
	return unix.Access(dir, unix.X_OK)
}

func isExecutable(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular() && unix.Access(path, unix.X_OK) == nil
}

// started is the running command, nil before Start.
func (c *Command) started() *running {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.run
}

// PID is the process id of the command, 0 before Start.
func (c *Command) PID() int {
	if r := c.started(); r != nil {
		return r.process.Pid
	}
	return 0
}

// Wait waits until the command itself has ended. Its descendants may go on, see
// Drain.
func (c *Command) Wait() (Status, error) {
	r := c.started()
	if r == nil {
		return Status{}, errNotStarted
	}
	<-r.ended
	return r.status, r.err
}

// Drain waits until the last descendant has ended; then the cgroup is gone, and
// the programs run for nobody. When ctx is done the descendants are killed.
func (c *Command) Drain(ctx context.Context) error {
	r := c.started()
	if r == nil {
		return errNotStarted
	}
	select {
	case <-r.done:
		<-r.ended
		return r.left
	case <-ctx.Done():
		if err := c.Kill(); err != nil {
			r.giveUp()
			return errors.Join(ctx.Err(), err)
		}
		<-r.done
		<-r.ended
		return ctx.Err()
	}
}

// Signal sends a signal to the command's process. Once that has ended it is
// os.ErrProcessDone.
func (c *Command) Signal(sig syscall.Signal) error {
	r := c.started()
	if r == nil {
		return errNotStarted
	}
	return r.process.Signal(sig)
}

// Kill ends the command and every descendant.
func (c *Command) Kill() error {
	r := c.started()
	if r == nil {
		return errNotStarted
	}
	select {
	case <-r.done:
		return nil
	default:
	}
	if err := r.cgroup.kill(); err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, unix.ENODEV) {
		return err
	}
	return nil
}

// Close stops watching. Processes that are left go on unseen, in the cgroup that
// this process is in, and the command's own cgroup is removed.
func (c *Command) Close() error {
	r := c.started()
	if r == nil {
		return nil
	}
	r.giveUp()
	<-r.done
	return r.left
}
