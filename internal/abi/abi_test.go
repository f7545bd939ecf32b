package abi

import (
	"errors"
	"fmt"
	"os"
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
				case ArgMem, ArgMemOrNull, ArgMemOut, ArgUnsupported:
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

// load puts a program to the running kernel and says why it was refused.
func load(t *testing.T, p ebpf.ProgramType, license string, insns ...asm.Instruction) error {
	t.Helper()
	spec := &ebpf.ProgramSpec{Type: p, License: license, Instructions: insns}
	switch p {
	case ebpf.XDP:
		spec.AttachType = ebpf.AttachXDP
	case ebpf.Syscall:
		spec.Flags = 1 << 4 // BPF_F_SLEEPABLE, without which there are none
	}
	prog, err := ebpf.NewProgramWithOptions(spec, ebpf.ProgramOptions{LogSizeStart: 1 << 16})
	if err == nil {
		prog.Close()
	}
	if errors.Is(err, ebpf.ErrNotSupported) {
		t.Skipf("no eBPF in this system: %v", err)
	}
	return err
}

// needBPF skips a test where bpf() is not permitted.
func needBPF(t *testing.T) {
	t.Helper()
	err := load(t, ebpf.SocketFilter, "GPL", asm.Mov.Imm(asm.R0, 0), asm.Return())
	if errors.Is(err, os.ErrPermission) {
		t.Skipf("bpf() is not permitted here: %v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// The GPL flags are those of the running kernel.
func TestGPLAgainstKernel(t *testing.T) {
	needBPF(t)
	asked := 0
	for _, h := range helpers {
		for _, p := range []ebpf.ProgramType{ebpf.Kprobe, ebpf.SchedCLS, ebpf.PerfEvent, ebpf.Syscall} {
			if !available[p].has(h.ID) {
				continue
			}
			err := load(t, p, "Proprietary", h.ID.Call(), asm.Mov.Imm(asm.R0, 0), asm.Return())
			if unknown(err) {
				continue // not in this kernel's configuration
			}
			asked++
			if gpl := err != nil && strings.Contains(fmt.Sprintf("%+v", err), "GPL"); gpl != h.GPL {
				t.Errorf("%s in %v: GPL %v, the kernel says %v (%v)", h.Name, p, h.GPL, gpl, err)
			}
			break
		}
	}
	if asked < 100 {
		t.Errorf("the kernel judged %d helpers only", asked)
	}
}

func unknown(err error) bool {
	s := fmt.Sprintf("%+v", err)
	return strings.Contains(s, "unknown func") || strings.Contains(s, "cannot use helper") || strings.Contains(s, "program of this type cannot")
}

// What a program may do with its context is what the running kernel allows.
func TestContextAgainstKernel(t *testing.T) {
	needBPF(t)
	for _, p := range ProgramTypes {
		if p.Context.Size == 0 {
			continue
		}
		// The kernel answers about 10,000 times a second; the whole of the
		// tracepoint's buffer says no more than its beginning.
		size := min(p.Context.Size, 184)
		for off := 0; off < size+8; off += 2 {
			for _, w := range []asm.Size{asm.Byte, asm.Half, asm.Word, asm.DWord} {
				for _, write := range []bool{false, true} {
					access := asm.LoadMem(asm.R2, asm.R1, int16(off), w)
					if write {
						access = asm.StoreMem(asm.R1, int16(off), asm.R0, w)
					}
					err := load(t, p.Type, "GPL", asm.Mov.Imm(asm.R0, 0), access, asm.Return())
					if got := p.Context.Allows(off, w.Sizeof(), write); got != (err == nil) && p.Context.Size >= off+w.Sizeof() {
						t.Errorf("%s: %d bytes at %d, write %v: %v, the kernel says %v", p.Name, w.Sizeof(), off, write, got, err)
					}
				}
			}
		}
	}
}
