package kernel

import (
	"errors"
	"fmt"
	"strings"
)

// What an Error is about, for errors.Is.
var (
	ErrUnsupported     = errors.New("the kernel engine needs Linux")
	ErrNotPermitted    = errors.New("bpf() not permitted")
	ErrRefused         = errors.New("refused by the kernel")
	ErrProgramType     = errors.New("the kernel has no such program type")
	ErrMap             = errors.New("the kernel can't make the map")
	ErrUnknownSection  = errors.New("unknown section")
	ErrNotPossible     = errors.New("hook not possible")
	ErrNoCgroup        = errors.New("no cgroup of its own")
	ErrNoProcess       = errors.New("no such process")
	ErrCommandNotFound = errors.New("command not found")
	ErrNotExecutable   = errors.New("command not executable")
)

// An Error says what could not be done, and why.
type Error struct {
	What    string // what it is about: "program enter_read", "map rows"
	Section string // of the program, if it is about its hook
	Kind    error  // one of the sentinels above
	Reason  string // why, and what to do
	Source  Source // where the verifier refused a program
	Err     error  // what the kernel or the library said: for a refused program a *ebpf.VerifierError
}

// Source is a line of a program's source.
type Source struct {
	File string // "" if it is unknown
	Line int
	Text string
}

func (s Source) String() string {
	if s.File == "" {
		return s.Text
	}
	return fmt.Sprintf("%s:%d: %s", s.File, s.Line, s.Text)
}

func (e *Error) Error() string {
	var parts []string
	if e.What != "" {
		parts = append(parts, e.What)
	}
	if e.Section != "" {
		parts = append(parts, fmt.Sprintf("section %q", e.Section))
	}
	parts = append(parts, e.Kind.Error())
	if e.Reason != "" {
		parts = append(parts, e.Reason)
	}
	if e.Source != (Source{}) {
		parts = append(parts, "at "+e.Source.String())
	}
	return strings.Join(parts, ": ")
}

func (e *Error) Unwrap() []error {
	if e.Err == nil {
		return []error{e.Kind}
	}
	return []error{e.Kind, e.Err}
}
