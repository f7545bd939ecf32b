//go:build !linux || !amd64

package tracer

import "syscall"

// stop is what the tracer keeps of a thread: nothing here.
type stop struct{}

// A Tree is a command and all its descendants. There is none on this platform.
type Tree struct{}

// Start gives ErrUnsupported.
func Start(cmd Command, o Options, h Handler) (*Tree, error) {
	return nil, &StartError{Command: cmd.Path, Kind: ErrUnsupported}
}

// Regs gives ErrUnsupported.
func (t *Thread) Regs() (*Regs, error) { return nil, ErrUnsupported }

// ReadAt reads nothing.
func (t *Thread) ReadAt(p []byte, addr uint64) int { return 0 }

// PID is 0.
func (tr *Tree) PID() int { return 0 }

// Wait gives ErrUnsupported.
func (tr *Tree) Wait() (ExitStatus, error) { return ExitStatus{}, ErrUnsupported }

// Done is closed.
func (tr *Tree) Done() <-chan struct{} {
	done := make(chan struct{})
	close(done)
	return done
}

// Signal gives ErrUnsupported.
func (tr *Tree) Signal(sig syscall.Signal) error { return ErrUnsupported }

// Kill does nothing.
func (tr *Tree) Kill() {}
