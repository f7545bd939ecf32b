package syscalls

import (
	"errors"
	"fmt"
	"strings"

	"github.com/cilium/ebpf"

	"github.com/skep-bpf/skep/internal/image"
	"github.com/skep-bpf/skep/internal/tracer"
)

//go:generate go run ./gen

var (
	// ErrUnknownSection says that a program's section names no hook of this
	// source.
	ErrUnknownSection = errors.New("unknown section")
	// ErrNotPossible says that the section is known and there can't be such a hook.
	ErrNotPossible = errors.New("hook not possible")
)

// Forms are the sections that this source knows, X being a system call.
var Forms = []string{
	"tracepoint/syscalls/sys_enter_X", "tracepoint/syscalls/sys_exit_X",
	"tracepoint/raw_syscalls/sys_enter", "tracepoint/raw_syscalls/sys_exit",
	"raw_tp/sys_enter", "raw_tp/sys_exit",
	"ksyscall/X", "kretsyscall/X", "kprobe/__x64_sys_X", "kretprobe/__x64_sys_X",
}

// A point is one of the places in the way of a system call where programs run.
// The order of the values is the order in which the kernel passes them.
type point uint8

const (
	rawEnter        point = iota // raw_tp/sys_enter
	tracepointEnter              // tracepoint/raw_syscalls/sys_enter
	syscallEnter                 // tracepoint/syscalls/sys_enter_X
	probe                        // kprobe/__x64_sys_X, ksyscall/X
	returnProbe                  // kretprobe/__x64_sys_X, kretsyscall/X
	rawExit                      // raw_tp/sys_exit
	tracepointExit               // tracepoint/raw_syscalls/sys_exit
	syscallExit                  // tracepoint/syscalls/sys_exit_X
	points
)

// atExit reports whether a point lies behind the call.
func (p point) atExit() bool { return p >= returnProbe }

// when is where a thread has to stop for a point. A return probe belongs to a
// call that was entered, so it wants to know of that, too.
func (p point) when() tracer.When {
	switch {
	case p == returnProbe:
		return tracer.Enter | tracer.Exit
	case p.atExit():
		return tracer.Exit
	}
	return tracer.Enter
}

// every is the number that stands for all system calls.
const every = -1

// A hook is a point of one system call, or of every one.
type hook struct {
	point  point
	number int
}

// forms tell a hook from the program type and the section's name.
var forms = []struct {
	prefix string // of the section
	rest   string // what follows: exact, or a prefix of a system call's name
	point  point
	every  bool
}{
	{"tracepoint/", "syscalls/sys_enter_", syscallEnter, false},
	{"tracepoint/", "syscalls/sys_exit_", syscallExit, false},
	{"tracepoint/", "raw_syscalls/sys_enter", tracepointEnter, true},
	{"tracepoint/", "raw_syscalls/sys_exit", tracepointExit, true},
	{"raw_tp/", "sys_enter", rawEnter, true},
	{"raw_tp/", "sys_exit", rawExit, true},
	{"ksyscall/", "", probe, false},
	{"kretsyscall/", "", returnProbe, false},
	{"kprobe/", "__x64_sys_", probe, false},
	{"kretprobe/", "__x64_sys_", returnProbe, false},
}

// types are the program types that may stand at a point.
func (p point) programType() ebpf.ProgramType {
	switch p {
	case rawEnter, rawExit:
		return ebpf.RawTracepoint
	case probe, returnProbe:
		return ebpf.Kprobe
	}
	return ebpf.TracePoint
}

// hookOf finds the hook that a program's section names.
func hookOf(p *image.Program) (hook, error) {
	section := p.Section
	// The short forms of libbpf.
	for short, long := range map[string]string{"tp/": "tracepoint/", "raw_tracepoint/": "raw_tp/"} {
		if rest, ok := strings.CutPrefix(section, short); ok {
			section = long + rest
		}
	}
	known := false
	for _, f := range forms {
		rest, ok := strings.CutPrefix(section, f.prefix)
		if !ok {
			continue
		}
		known = true
		if f.every {
			if rest == f.rest && p.Type == f.point.programType() {
				return hook{f.point, every}, nil
			}
			continue
		}
		name, ok := strings.CutPrefix(rest, f.rest)
		if !ok || p.Type != f.point.programType() {
			continue
		}
		number, ok := numbers[name]
		if !ok {
			return hook{}, fmt.Errorf("program %s: section %q: %w: x86-64 has no system call %q", p.Name, p.Section, ErrNotPossible, name)
		}
		return hook{f.point, number}, nil
	}
	if known {
		return hook{}, fmt.Errorf("program %s: section %q: %w: of this kind only the system calls can be hooked: %s",
			p.Name, p.Section, ErrNotPossible, strings.Join(Forms, ", "))
	}
	return hook{}, fmt.Errorf("program %s: %w %q: known are %s", p.Name, ErrUnknownSection, p.Section, strings.Join(Forms, ", "))
}
