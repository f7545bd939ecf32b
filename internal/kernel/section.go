package kernel

import (
	"strings"

	"github.com/cilium/ebpf"
)

// Forms are the sections that name a hook of this engine.
var Forms = []string{
	"tracepoint/GROUP/NAME", "raw_tp/NAME", "tp_btf/NAME",
	"kprobe/FUNCTION", "kretprobe/FUNCTION", "ksyscall/X", "kretsyscall/X",
	"fentry/FUNCTION", "fexit/FUNCTION",
}

var knownForms = "known are " + strings.Join(Forms, ", ")

// forms tell how to attach from a section's first part.
var forms = []struct {
	prefix string
	kind   hookKind
}{
	{"tracepoint/", tracepoint},
	{"tp/", tracepoint},
	{"raw_tracepoint/", rawTracepoint},
	{"raw_tp/", rawTracepoint},
	{"raw_tracepoint.w/", rawTracepoint},
	{"raw_tp.w/", rawTracepoint},
	{"kprobe/", kprobe},
	{"kretprobe/", kretprobe},
	{"ksyscall/", ksyscall},
	{"kretsyscall/", kretsyscall},
	{"tp_btf/", tracing},
	{"fentry/", tracing},
	{"fexit/", tracing},
}

// A hookKind is a way to attach.
type hookKind uint8

const (
	tracepoint hookKind = iota
	rawTracepoint
	kprobe
	kretprobe
	ksyscall
	kretsyscall
	tracing
)

// types are the program types that a way is for.
func (k hookKind) takes(t ebpf.ProgramType) bool {
	switch k {
	case tracepoint:
		return t == ebpf.TracePoint
	case rawTracepoint:
		return t == ebpf.RawTracepoint || t == ebpf.RawTracepointWritable
	case tracing:
		return t == ebpf.Tracing
	}
	return t == ebpf.Kprobe
}

// A hook is where a program goes.
type hook struct {
	kind   hookKind
	target string // what follows the section's first part
}

// hookOf finds the hook that a program's section names.
func hookOf(p *ebpf.ProgramSpec) (hook, error) {
	refuse := func(kind error, reason string) (hook, error) {
		return hook{}, &Error{What: "program " + p.Name, Section: p.SectionName, Kind: kind, Reason: reason}
	}
	for _, f := range forms {
		target, ok := strings.CutPrefix(p.SectionName, f.prefix)
		if !ok || !f.kind.takes(p.Type) {
			continue
		}
		if target == "" {
			return refuse(ErrUnknownSection, "nothing stands behind the slash")
		}
		if f.kind == tracepoint && strings.Count(target, "/") != 1 {
			return refuse(ErrUnknownSection, "a tracepoint has a group and a name: tracepoint/syscalls/sys_enter_read")
		}
		return hook{f.kind, target}, nil
	}
	return refuse(ErrUnknownSection, "this engine can't attach to it: "+knownForms)
}
