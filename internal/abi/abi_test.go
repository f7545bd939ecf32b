package abi

import (
	"strings"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
)

func TestHelperRows(t *testing.T) {
	if n := len(helpers); n != 211 {
		t.Fatalf("%d helpers, Linux 6.18 has 211", n)
	}
	for i, h := range helpers {
		if int(h.ID) != i+1 {
			t.Errorf("row %d has id %d", i, h.ID)
		}
		if want := "bpf_" + strings.ToLower(strings.ReplaceAll(h.ID.String()[2:], "_", "")); want != "bpf_"+strings.ReplaceAll(h.Name[4:], "_", "") {
			t.Errorf("id %d: name %s, cilium/ebpf says %s", h.ID, h.Name, h.ID)
		}
		if h.Since == "" {
			t.Errorf("%s: no version", h.Name)
		}
		for n, a := range h.Args {
			if a == ArgNone {
				for _, b := range h.Args[n:] {
					if b != ArgNone {
						t.Errorf("%s: argument %d is none, a later one is not", h.Name, n+1)
					}
				}
				break
			}
			if a == ArgSize || a == ArgSizeOrZero {
				switch prev := h.Args[max(n-1, 0)]; prev {
				case ArgMem, ArgMemOrNull, ArgMemOut, ArgMemOutOrNull, ArgUnsupported:
				default:
					t.Errorf("%s: argument %d is a size without memory before it", h.Name, n+1)
				}
			}
			if h.Support != Nobody && a == ArgUnsupported {
				t.Errorf("%s runs in user space, but the verifier does not know its argument %d", h.Name, n+1)
			}
		}
		if h.Support != Nobody && h.Ret == RetUnsupported {
			t.Errorf("%s runs in user space, but the verifier does not know its result", h.Name)
		}
	}
	if HelperByID(0) != nil || HelperByID(212) != nil || HelperByID(211) == nil {
		t.Error("HelperByID knows ids that there are not, or not those that there are")
	}
}

func TestHelperAllowed(t *testing.T) {
	for _, c := range []struct {
		prog   ebpf.ProgramType
		attach ebpf.AttachType
		id     asm.BuiltinFunc
		want   bool
	}{
		{ebpf.Kprobe, 0, asm.FnProbeRead, true},
		{ebpf.Kprobe, 0, asm.FnGetFuncIp, true},
		{ebpf.TracePoint, 0, asm.FnGetFuncIp, false},
		{ebpf.TracePoint, 0, asm.FnSkbLoadBytes, false},
		{ebpf.SocketFilter, 0, asm.FnSkbLoadBytes, true},
		{ebpf.SocketFilter, 0, asm.FnProbeRead, false},
		{ebpf.Tracing, ebpf.AttachTraceIter, asm.FnSeqWrite, true},
		{ebpf.Tracing, ebpf.AttachTraceFEntry, asm.FnSeqWrite, false},
		{ebpf.Kprobe, 0, 212, false},
		{ebpf.Kprobe, 0, 195896080, false},
		{ebpf.UnspecifiedProgram, 0, asm.FnMapLookupElem, false},
	} {
		if got := HelperAllowed(c.prog, c.attach, c.id); got != c.want {
			t.Errorf("%v in %v/%v: %v", c.id, c.prog, c.attach, got)
		}
	}
}

func TestProgramTypes(t *testing.T) {
	for i, p := range ProgramTypes {
		if int(p.Type) != i+1 || p.Name == "" || p.Since == "" {
			t.Errorf("row %d: %+v", i, p)
		}
	}
	for _, s := range Sections {
		if ProgramTypeOf(s.Type) == nil {
			t.Errorf("section %q stands for an unknown type", s.Names)
		}
	}
}

func TestSectionType(t *testing.T) {
	for section, want := range map[string]ebpf.ProgramType{
		"tracepoint/syscalls/sys_enter_read": ebpf.TracePoint,
		"tp/sched/sched_switch":              ebpf.TracePoint,
		"raw_tp/sys_enter":                   ebpf.RawTracepoint,
		"kprobe":                             ebpf.Kprobe,
		"ksyscall/openat":                    ebpf.Kprobe,
		"xdp":                                ebpf.XDP,
		"cgroup/dev":                         ebpf.CGroupDevice,
		"fentry.s/vfs_read":                  ebpf.Tracing,
	} {
		if got, ok := SectionType(section); !ok || got != want {
			t.Errorf("%s: %v, %v", section, got, ok)
		}
	}
	for _, section := range []string{"", "kprob", "maps", "xdp/nothing", "kprobes/x", ".text"} {
		if got, ok := SectionType(section); ok {
			t.Errorf("%q is %v", section, got)
		}
	}
}
