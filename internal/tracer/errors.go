package tracer

import (
	"errors"
	"fmt"
)

var (
	// ErrCommandNotFound says that there is no such program.
	ErrCommandNotFound = errors.New("command not found")
	// ErrNotExecutable says that the program is there and can't be run.
	ErrNotExecutable = errors.New("command not executable")
	// ErrNotPermitted is what the next two have in common.
	ErrNotPermitted = errors.New("not permitted")
	// ErrPtraceNotPermitted says that this process may not trace its own child.
	ErrPtraceNotPermitted = fmt.Errorf("ptrace %w", ErrNotPermitted)
	// ErrSeccompNotPermitted says that the command could not get its filter.
	ErrSeccompNotPermitted = fmt.Errorf("seccomp %w", ErrNotPermitted)
	// ErrNonDumpable is the reason of an ErrPtraceNotPermitted: this process is
	// not dumpable, and so neither are its children.
	ErrNonDumpable = errors.New("process is not dumpable")
	// ErrUnsupported says that there are no system-call hooks on this platform.
	ErrUnsupported = errors.New("system-call hooks need Linux 5.3 or later on x86-64")
)

// A StartError says why a command could not be started under the tracer.
type StartError struct {
	Command string // its path
	Kind    error  // one of the sentinels above, or nil
	Reason  string // why, and what to do
	Err     error  // what the system said, or nil
}

func (e *StartError) Error() string {
	switch {
	case e.Kind == nil:
		return fmt.Sprintf("%s: %s: %v", e.Command, e.Reason, e.Err)
	case e.Reason == "":
		return fmt.Sprintf("%s: %v", e.Command, e.Kind)
	}
	return fmt.Sprintf("%s: %v: %s", e.Command, e.Kind, e.Reason)
}

func (e *StartError) Unwrap() []error {
	var out []error
	for _, err := range []error{e.Kind, e.Err} {
		if err != nil {
			out = append(out, err)
		}
	}
	return out
}
