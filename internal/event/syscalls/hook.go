package syscalls

import (
	"errors"
	"fmt"
	"strings"

	"github.com/cilium/ebpf"

	"github.com/skep-bpf/skep/internal/abi"
	"github.com/skep-bpf/skep/internal/program"
	"github.com/skep-bpf/skep/internal/tracer"
)

var (
	// ErrUnknownSection says that a section name is none that programs are
	// attached by.
	ErrUnknownSection = errors.New("unknown section")
	// ErrNotPossible says that the hook that a section names can't be had.
	ErrNotPossible = errors.New("hook not possible")
)

// A HookError says why a program has no hook.
type HookError struct {
	Program, Section string
	Kind             error  // ErrUnknownSection or ErrNotPossible
	Reason           string // why, and what there is instead
}

func (e *HookError) Error() string {
	return fmt.Sprintf("program %s: %v %q: %s", e.Program, e.Kind, e.Section, e.Reason)
}

func (e *HookError) Unwrap() error { return e.Kind }

// A form is a kind of section that names a hook at system calls.
type form struct {
	kinds  []string // what stands before the first slash
	target string   // what follows it, up to the name of the call
	named  bool     // a call's name follows; else every call is meant
	types  ebpf.ProgramType
	when   tracer.When
	kprobe bool // fires inside of the call's function
	// size is how many bytes of its context a program may look at.
	size func(c *Call) int
	// build writes the context at addr. It reports false if the thread is gone.
	build func(s *stop, addr uint64) bool
}

func fixed(n int) func(*Call) int { return func(*Call) int { return n } }

// forms are all hooks of this package.
var forms = []form{
	{[]string{"tracepoint", "tp"}, "syscalls/sys_enter_", true, ebpf.TracePoint, tracer.Enter, false, enterSize, syscallEnter},
	{[]string{"tracepoint", "tp"}, "syscalls/sys_exit_", true, ebpf.TracePoint, tracer.Exit, false, fixed(24), syscallExit},
	{[]string{"tracepoint", "tp"}, "raw_syscalls/sys_enter", false, ebpf.TracePoint, tracer.Enter, false, fixed(64), rawSyscallEnter},
	{[]string{"tracepoint", "tp"}, "raw_syscalls/sys_exit", false, ebpf.TracePoint, tracer.Exit, false, fixed(24), rawSyscallExit},
	{[]string{"raw_tp", "raw_tracepoint"}, "sys_enter", false, ebpf.RawTracepoint, tracer.Enter, false, fixed(16), rawTracepointEnter},
	{[]string{"raw_tp", "raw_tracepoint"}, "sys_exit", false, ebpf.RawTracepoint, tracer.Exit, false, fixed(16), rawTracepointExit},
	{[]string{"ksyscall"}, "", true, ebpf.Kprobe, tracer.Enter, true, fixed(ptRegsSize), kprobe},
	{[]string{"kretsyscall"}, "", true, ebpf.Kprobe, tracer.Exit, true, fixed(ptRegsSize), kretprobe},
	{[]string{"kprobe"}, wrapper, true, ebpf.Kprobe, tracer.Enter, true, fixed(ptRegsSize), kprobe},
	{[]string{"kretprobe"}, wrapper, true, ebpf.Kprobe, tracer.Exit, true, fixed(ptRegsSize), kretprobe},
}

// wrapper stands before the name of a call's function on x86-64
// (CONFIG_ARCH_HAS_SYSCALL_WRAPPER).
const wrapper = "__x64_sys_"

// Forms are the sections that programs can be attached by. NAME stands for the
// name of a system call.
var Forms = func() (out []string) {
	for _, f := range forms {
		s := f.kinds[0] + "/" + f.target
		if f.named {
			s += "NAME"
		}
		out = append(out, s)
	}
	return out
}()

// A hook is a place where programs run.
type hook struct {
	form *form
	call *Call // nil for every call
}

// find tells which hook p's section names.
func find(p *program.Program) (hook, error) {
	section := p.Image.Section
	fail := func(kind error, format string, args ...any) (hook, error) {
		return hook{}, &HookError{p.Image.Name, section, kind, fmt.Sprintf(format, args...)}
	}
	// libbpf leaves programs out whose section begins so, unless asked for.
	kind, target, _ := strings.Cut(strings.TrimPrefix(section, "?"), "/")
	if _, ok := abi.SectionType(kind); !ok {
		return fail(ErrUnknownSection, "programs are attached by %s", strings.Join(Forms, ", "))
	}
	known := false
	for i := range forms {
		f := &forms[i]
		if !f.has(kind) {
			continue
		}
		known = true
		name, ok := strings.CutPrefix(target, f.target)
		if !ok || !f.named && name != "" {
			continue
		}
		h := hook{form: f}
		if f.named {
			if h.call = ByName(name); h.call == nil {
				return fail(ErrNotPossible, "x86-64 has no system call %q", name)
			}
		}
		if p.Image.Type != f.types {
			return fail(ErrNotPossible, "its program type is %v, not %v", p.Image.Type, f.types)
		}
		if size := f.size(h.call); p.Facts.ContextSize > size {
			return fail(ErrNotPossible, "the program reads %d bytes of a context that has %d", p.Facts.ContextSize, size)
		}
		return h, nil
	}
	if known {
		return fail(ErrNotPossible, "of these, system calls alone can be had: %s", strings.Join(Forms, ", "))
	}
	return fail(ErrNotPossible, "the user engine has no such hook; it has %s", strings.Join(Forms, ", "))
}

func (f *form) has(kind string) bool {
	for _, k := range f.kinds {
		if k == kind {
			return true
		}
	}
	return false
}
