package kernel_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"unsafe"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"golang.org/x/sys/unix"

	"github.com/skep-bpf/skep/internal/image"
	"github.com/skep-bpf/skep/internal/kernel"
)

// specOf reads an object file.
func specOf(t testing.TB, path string) *ebpf.CollectionSpec {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	spec, err := image.Load(f)
	if err != nil {
		t.Fatal(err)
	}
	return spec
}

// program is a spec with one program.
func program(p ebpf.ProgramSpec, code ...asm.Instruction) *ebpf.CollectionSpec {
	p.Name, p.License, p.Instructions = "p", "GPL", code
	return &ebpf.CollectionSpec{Programs: map[string]*ebpf.ProgramSpec{"p": &p}}
}

var zero = []asm.Instruction{asm.Mov.Imm(asm.R0, 0), asm.Return()}

func TestLoadErrors(t *testing.T) {
	needKernel(t)
	withMap := func(m ebpf.MapSpec) *ebpf.CollectionSpec {
		m.Name = "m"
		spec := program(ebpf.ProgramSpec{Type: ebpf.Kprobe}, zero...)
		spec.Maps = map[string]*ebpf.MapSpec{"m": &m}
		return spec
	}
	for _, tt := range []struct {
		name string
		spec *ebpf.CollectionSpec
		kind error
		want string // all of it, or its beginning if it ends in …
	}{
		{"unchecked pointer", specOf(t, "../../testdata/refused.bpf.o"), kernel.ErrRefused,
			"program unchecked: refused by the kernel: R0 invalid mem access 'map_value_or_null': at refused.bpf.c:21: *n += 1;"},
		{"no source", program(ebpf.ProgramSpec{Type: ebpf.Kprobe}, asm.LoadMem(asm.R0, asm.R1, 1000, asm.DWord), asm.Return()), kernel.ErrRefused,
			"program p: refused by the kernel: invalid bpf_context access off=1000 size=8"},
		{"no type", program(ebpf.ProgramSpec{SectionName: "nonsense/x"}, zero...), kernel.ErrUnknownSection,
			`program p: section "nonsense/x": unknown section: known are tracepoint/GROUP/NAME, …`},
		{"type of the future", program(ebpf.ProgramSpec{Type: ebpf.LircMode2, SectionName: "lirc_mode2"}, zero...), kernel.ErrProgramType,
			`program p: section "lirc_mode2": the kernel has no such program type: LircMode2: invalid argument`},
		{"no such BTF tracepoint", program(ebpf.ProgramSpec{Type: ebpf.Tracing, AttachType: ebpf.AttachTraceRawTp, AttachTo: "nonsense", SectionName: "tp_btf/nonsense"}, zero...),
			kernel.ErrNotPossible, `program p: section "tp_btf/nonsense": hook not possible: …`},
		{"no entries", withMap(ebpf.MapSpec{Type: ebpf.Hash, KeySize: 4, ValueSize: 4}), kernel.ErrMap,
			"map m: the kernel can't make the map: Hash with keys of 4 and values of 4 bytes, 0 entries, flags 0x0: invalid argument"},
		{"too large", withMap(ebpf.MapSpec{Type: ebpf.Array, KeySize: 4, ValueSize: 1 << 31, MaxEntries: 4}), kernel.ErrMap,
			"map m: the kernel can't make the map: Array with keys of 4 and values of 2147483648 bytes, 4 entries, flags 0x0: …"},
	} {
		c, err := kernel.Load(context.Background(), tt.spec, kernel.Options{})
		if err == nil {
			c.Close()
			if tt.kind == kernel.ErrProgramType {
				continue // this kernel has it
			}
		}
		if !errors.Is(err, tt.kind) {
			t.Errorf("%s: %v, want %v", tt.name, err, tt.kind)
			continue
		}
		if start, open := strings.CutSuffix(tt.want, "…"); err.Error() != tt.want && !(open && strings.HasPrefix(err.Error(), start)) {
			t.Errorf("%s:\n%v\nwant:\n%s", tt.name, err, tt.want)
		}
		var e *kernel.Error
		if !errors.As(err, &e) {
			t.Errorf("%s: %T is no *Error", tt.name, err)
		}
		var refusal *ebpf.VerifierError
		if tt.kind == kernel.ErrRefused && (!errors.As(err, &refusal) || len(refusal.Log) == 0) {
			t.Errorf("%s: no verifier log", tt.name)
		}
	}
}

func TestReplacementOfAnotherShape(t *testing.T) {
	needKernel(t)
	m, err := ebpf.NewMap(&ebpf.MapSpec{Type: ebpf.Hash, KeySize: 8, ValueSize: 16, MaxEntries: 512})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	_, err = kernel.Load(context.Background(), specOf(t, "../../testdata/count.bpf.o"), kernel.Options{Maps: map[string]*ebpf.Map{"counts": m}})
	if !errors.Is(err, kernel.ErrMap) || !errors.Is(err, ebpf.ErrMapIncompatible) || !strings.HasPrefix(err.Error(), "map counts: the kernel can't make the map: the map to use in its place has another shape: ") {
		t.Errorf("%v", err)
	}
}

// An object that is refused leaves nothing in the kernel.
func TestLoadLeavesNothing(t *testing.T) {
	needKernel(t)
	before := openFiles(t)
	if _, err := kernel.Load(context.Background(), specOf(t, "../../testdata/refused.bpf.o"), kernel.Options{}); err == nil {
		t.Fatal("refused.bpf.o was loaded")
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := kernel.Load(ctx, specOf(t, readsObject), kernel.Options{}); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	if after := openFiles(t); after > before {
		t.Errorf("%d files were open before, %d after", before, after)
	}
}

func openFiles(t testing.TB) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(entries)
}

func TestAttachErrors(t *testing.T) {
	needKernel(t)
	_, err := os.Stat("/sys/bus/event_source/devices/kprobe")
	kprobes := err == nil
	for _, tt := range []struct {
		section string
		typ     ebpf.ProgramType
		kind    error
		want    string
	}{
		{"tracepoint/syscalls/sys_enter_nonsense", ebpf.TracePoint, kernel.ErrNotPossible, "this kernel has no tracepoint sys_enter_nonsense of group syscalls"},
		{"tp/nonsense/x", ebpf.TracePoint, kernel.ErrNotPossible, "this kernel has no tracepoints of group nonsense"},
		{"tracepoint/x", ebpf.TracePoint, kernel.ErrUnknownSection, "a tracepoint has a group and a name"},
		{"tracepoint/", ebpf.TracePoint, kernel.ErrUnknownSection, "nothing stands behind the slash"},
		{"raw_tp/nonsense", ebpf.RawTracepoint, kernel.ErrNotPossible, "this kernel has no tracepoint nonsense"},
		{"uprobe/x", ebpf.Kprobe, kernel.ErrUnknownSection, "this engine can't attach to it: known are "},
		{"xdp", ebpf.XDP, kernel.ErrUnknownSection, "this engine can't attach to it: known are "},
		{"kprobe/nonsense_of_skep", ebpf.Kprobe, kernel.ErrNotPossible, map[bool]string{true: "no function nonsense_of_skep", false: "built without kprobes"}[kprobes]},
		{"kretsyscall/nonsense", ebpf.Kprobe, kernel.ErrNotPossible, map[bool]string{true: "sys_nonsense", false: "built without kprobes"}[kprobes]},
	} {
		c, err := kernel.Load(context.Background(), program(ebpf.ProgramSpec{Type: tt.typ, SectionName: tt.section}, zero...), kernel.Options{})
		if err != nil {
			t.Errorf("%s: %v", tt.section, err)
			continue
		}
		_, err = c.Programs["p"].Attach()
		if !errors.Is(err, tt.kind) || !strings.Contains(err.Error(), tt.want) || !strings.Contains(err.Error(), tt.section) {
			t.Errorf("%s: %v, want %v: %s", tt.section, err, tt.kind, tt.want)
		}
		c.Close()
	}
}

func init() {
	helpers["permitted"] = func([]string) int { return permitted() }
	helpers["load"] = func([]string) int {
		_, err := kernel.Load(context.Background(), program(ebpf.ProgramSpec{Type: ebpf.RawTracepoint, SectionName: "raw_tp/x"}, zero...), kernel.Options{})
		fmt.Print(err)
		return exitCode(errors.Is(err, kernel.ErrNotPermitted))
	}
	helpers["no-bpf"] = func([]string) int {
		forbid(unix.SYS_BPF)
		return permitted()
	}
	helpers["no-clone3"] = func([]string) int {
		forbid(unix.SYS_CLONE3)
		err := (&kernel.Command{Path: "true"}).Start(context.Background())
		fmt.Print(err)
		return exitCode(errors.Is(err, kernel.ErrNoCgroup))
	}
}

// permitted prints what Permitted says.
func permitted() int {
	err := kernel.Permitted()
	fmt.Print(err)
	if _, other := kernel.Load(context.Background(), &ebpf.CollectionSpec{}, kernel.Options{}); fmt.Sprint(other) != fmt.Sprint(err) {
		fmt.Print(", but Load: ", other)
	}
	return exitCode(errors.Is(err, kernel.ErrNotPermitted))
}

func exitCode(ok bool) int {
	if ok {
		return 0
	}
	return 1
}

// forbid makes a system call fail with EPERM in this process, as the profiles of
// containers do.
func forbid(number uint32) {
	p := []unix.SockFilter{
		{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: 0},
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: number, Jf: 1},
		{Code: unix.BPF_RET, K: unix.SECCOMP_RET_ERRNO | uint32(unix.EPERM)},
		{Code: unix.BPF_RET, K: unix.SECCOMP_RET_ALLOW},
	}
	program := unix.SockFprog{Len: uint16(len(p)), Filter: &p[0]}
	runtime.LockOSThread()
	unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
	_, _, e := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, unix.SECCOMP_FILTER_FLAG_TSYNC, uintptr(unsafe.Pointer(&program)))
	if e != 0 {
		panic(e)
	}
}

// helper is a command that runs this binary as one of the helpers.
func helper(mode string, args ...string) *exec.Cmd {
	cmd := exec.Command("/proc/self/exe", args...)
	cmd.Env = append(os.Environ(), helperVar+"="+mode)
	return cmd
}

func TestNotPermitted(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("skip: becoming another user needs root")
	}
	needKernel(t)
	for _, tt := range []struct {
		mode, want string
		uid        uint32
		caps       []uintptr
	}{
		{"load", `program p: section "raw_tp/x": bpf() not permitted: it takes root, or CAP_PERFMON`, 65534, []uintptr{unix.CAP_BPF}},
		{"permitted", "bpf() not permitted: it takes root, or CAP_BPF and CAP_PERFMON (kernel.unprivileged_bpf_disabled is ", 65534, nil},
		{"no-bpf", "bpf() not permitted: a seccomp filter of our surroundings forbids it", 0, nil},
		{"no-clone3", "no cgroup of its own: ", 0, nil},
	} {
		cmd := helper(tt.mode)
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: tt.uid, Gid: tt.uid}, AmbientCaps: tt.caps}
		out, err := cmd.CombinedOutput()
		if err != nil || !strings.Contains(string(out), tt.want) || strings.Contains(string(out), "but Load") {
			t.Errorf("%s as %d: %v: %s, want %s", tt.mode, tt.uid, err, out, tt.want)
		}
	}
}
