package main

import (
	"errors"
	"fmt"

	"github.com/cilium/ebpf"

	"github.com/skep-bpf/skep"
	"github.com/skep-bpf/skep/attach"
	"github.com/skep-bpf/skep/internal/kernel"
	"github.com/skep-bpf/skep/verify"
)

// An exitKind is a reason to end with an exit code. docs/exit-codes.md is this
// table; codes don't change.
type exitKind struct {
	Code  int
	Means string
	// Is are the errors that it stands for.
	Is []error
	// Hint is what a user can do, for errors that don't say it themselves.
	Hint string
}

var (
	errUsage    = errors.New("usage")
	errRejected = errors.New("rejected")
)

// exitKinds are tried in order.
var exitKinds = []exitKind{
	{Code: 0, Means: "fine; `skep run`: the command's own exit code was 0"},
	{Code: 1, Means: "something failed that has no code of its own; `skep verify`: a program was rejected"},
	{Code: 2, Means: "wrong usage of the command line", Is: []error{errUsage}},
	{Code: 100, Means: "the file is not an ELF file", Is: []error{skep.ErrNotELF},
		Hint: "an object is made by clang -O2 -g -target bpf -c"},
	{Code: 101, Means: "the file is truncated", Is: []error{skep.ErrTruncated},
		Hint: "copy or compile it again"},
	{Code: 102, Means: "the file is for another machine than BPF", Is: []error{skep.ErrMachine}},
	{Code: 103, Means: "the file has the wrong byte order", Is: []error{skep.ErrByteOrder}},
	{Code: 104, Means: "the file has no program", Is: []error{skep.ErrNoProgram},
		Hint: `put a function into a section, as in SEC("tracepoint/syscalls/sys_enter_read")`},
	{Code: 105, Means: "a program's section says nothing that Skep can attach to", Is: []error{attach.ErrUnknownSection, kernel.ErrUnknownSection}},
	{Code: 106, Means: "the verifier rejected a program", Is: []error{errRejected}},
	{Code: 107, Means: "the hook is not possible here", Is: []error{attach.ErrHookNotPossible}},
	{Code: 108, Means: "ptrace, seccomp or bpf() is not permitted", Is: []error{attach.ErrNotPermitted, kernel.ErrNotPermitted}},
	{Code: 126, Means: "the command was found but can't be executed", Is: []error{attach.ErrNotExecutable}},
	{Code: 127, Means: "the command was not found", Is: []error{attach.ErrCommandNotFound}},
	{Code: 109, Means: "Skep can't do this, on this system or at all", Is: []error{attach.ErrNotSupported, ebpf.ErrNotSupported}},
}

// kindOf finds the kind of an error.
func kindOf(err error) exitKind {
	var refused *verify.Error
	var byKernel *ebpf.VerifierError
	if errors.As(err, &refused) || errors.As(err, &byKernel) {
		err = errors.Join(errRejected, err)
	}
	for _, k := range exitKinds {
		for _, is := range k.Is {
			if errors.Is(err, is) {
				return k
			}
		}
	}
	return exitKind{Code: 1}
}

// usageError is a mistake in the command line.
type usageError struct{ error }

func (usageError) Is(target error) bool { return target == errUsage }

func (e usageError) Unwrap() error { return e.error }

func usagef(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }
