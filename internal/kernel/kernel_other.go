//go:build !linux

package kernel

import (
	"context"
	"syscall"

	"github.com/cilium/ebpf"
)

func unsupported() error { return &Error{Kind: ErrUnsupported} }

// Permitted gives ErrUnsupported.
func Permitted() error { return unsupported() }

func isPermission(error) bool               { return false }
func haveProgramType(ebpf.ProgramType) bool { return false }
func denied(err error) (string, error)      { return err.Error(), ErrUnsupported }

func allowLockedMemory() (restore func(), err error) { return nil, unsupported() }

// Attach gives ErrUnsupported.
func (p *Program) Attach() (*Link, error) { return nil, unsupported() }

func processOf(int) (int, error) { return 0, unsupported() }

// Follow gives ErrUnsupported.
func (s *Scope) Follow() (*Link, error) { return nil, unsupported() }

// running is a command after its start, of which there is none.
type running struct{}

// Attach gives ErrUnsupported.
func (c *Command) Attach(*Program) (*Link, error) { return nil, unsupported() }

// Start gives ErrUnsupported.
func (c *Command) Start(context.Context) error { return unsupported() }

// PID is 0.
func (c *Command) PID() int { return 0 }

// Wait gives ErrUnsupported.
func (c *Command) Wait() (Status, error) { return Status{}, unsupported() }

// Drain gives ErrUnsupported.
func (c *Command) Drain(context.Context) error { return unsupported() }

// Signal gives ErrUnsupported.
func (c *Command) Signal(syscall.Signal) error { return unsupported() }

// Kill gives ErrUnsupported.
func (c *Command) Kill() error { return unsupported() }

// Close does nothing.
func (c *Command) Close() error { return nil }

// Probe gives one row, which says why there is nothing.
func Probe(context.Context, func(done, total int)) ([]Feature, error) { return nil, unsupported() }
