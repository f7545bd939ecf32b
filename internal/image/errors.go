package image

import (
	"errors"
	"fmt"
	"strings"

	"github.com/cilium/ebpf"
)

// What Load and Link may find. Test with errors.Is.
var (
	ErrNotELF    = errors.New("not an ELF object")
	ErrTruncated = errors.New("truncated object")
	// ErrMachine is an ELF file for another machine than BPF.
	ErrMachine = errors.New("not a BPF object")
	// ErrByteOrder is a big-endian object.
	ErrByteOrder = errors.New("wrong byte order")
	ErrNoProgram = errors.New("no program")
	// ErrMalformed is an object whose parts contradict each other.
	ErrMalformed = errors.New("malformed object")
	// ErrTooLarge is an object or a program above the limits of this package.
	ErrTooLarge = errors.New("too large")
	// ErrNotSupported is a correct object that uses what Skep can't load.
	ErrNotSupported = ebpf.ErrNotSupported
	// ErrMissing is a kernel variable, a kernel function or a configuration
	// value that the object needs and the target does not have.
	ErrMissing = errors.New("missing in the target kernel")
	// ErrUndefined is a reference to a function or a map that the object does
	// not define.
	ErrUndefined = errors.New("undefined")
)

// A LoadError says why an object can't be loaded.
type LoadError struct {
	// Kind is one of the errors of this package.
	Kind error
	// Section is the ELF section, "" if it is about the file.
	Section string
	// Offset is the byte in the file, -1 if it is not about one place.
	Offset int64
	Reason string
	// Err is the error of the ELF loader, nil if the reason is our own.
	Err error
}

func (e *LoadError) Error() string {
	var b strings.Builder
	b.WriteString(e.Kind.Error())
	if e.Section != "" {
		fmt.Fprintf(&b, ": section %s", e.Section)
	}
	if e.Offset >= 0 {
		fmt.Fprintf(&b, ": byte %d", e.Offset)
	}
	b.WriteString(": ")
	b.WriteString(e.Reason)
	return b.String()
}

func (e *LoadError) Unwrap() []error {
	if e.Err == nil {
		return []error{e.Kind}
	}
	return []error{e.Kind, e.Err}
}

// A LinkError says why a program can't be linked.
type LinkError struct {
	Program, Section string
	// Insn is the 8-byte slot, -1 if it is about the program as a whole.
	Insn int
	// Source is the line that the instruction comes from, nil if unknown.
	Source *Line
	Reason string
	// Err is the kind of the error, one of the errors of this package, or the
	// error of a library.
	Err error
}

func (e *LinkError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "program %s", e.Program)
	if e.Section != "" {
		fmt.Fprintf(&b, " (section %s)", e.Section)
	}
	if e.Insn >= 0 {
		fmt.Fprintf(&b, ", instruction %d", e.Insn)
	}
	if e.Source != nil && e.Source.File != "" {
		fmt.Fprintf(&b, " (%s:%d)", e.Source.File, e.Source.Line)
	}
	b.WriteString(": ")
	b.WriteString(e.Reason)
	return b.String()
}

func (e *LinkError) Unwrap() error { return e.Err }
