package syscalls

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
	"unsafe"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"github.com/skep-bpf/skep/internal/image"
	"github.com/skep-bpf/skep/internal/interp"
	"github.com/skep-bpf/skep/internal/kview"
	"github.com/skep-bpf/skep/internal/maps"
	"github.com/skep-bpf/skep/internal/mem"
	"github.com/skep-bpf/skep/internal/program"
	"github.com/skep-bpf/skep/internal/tracer"
	"github.com/skep-bpf/skep/verify"
)

// This binary is also the target of its tests.
const targetVar = "SKEP_TEST_TARGET"

var targets = map[string]func(){
	// One call whose arguments are told, of which the second points to text.
	"call": func() {
		text := []byte("argument")
		_, _, e := unix.Syscall6(unix.SYS_PROCESS_VM_READV, 11, uintptr(unsafe.Pointer(&text[0])), 13, 14, 15, 16)
		if e != unix.EINVAL {
			os.Exit(3)
		}
	},
	// Processes and threads, made in every way that os/exec and Go have.
	"children": func() {
		for range 5 {
			if err := exec.Command("true").Run(); err != nil {
				os.Exit(3)
			}
		}
	},
	// Signals with a handler.
	"signals": func() {
		c := make(chan os.Signal, 10)
		signal.Notify(c, unix.SIGUSR1)
		for range 7 {
			unix.Kill(os.Getpid(), unix.SIGUSR1)
			<-c
		}
	},
	"null calls": func() {
		for range 100 {
			unix.Getppid()
		}
	},
	"wait": func() {
		for {
			unix.Getppid()
			time.Sleep(time.Millisecond)
		}
	},
}

func TestMain(m *testing.M) {
	if name := os.Getenv(targetVar); name != "" {
		targets[name]()
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// target is this binary as one of the targets.
func target(name string) tracer.Command {
	return tracer.Command{Path: "/proc/self/exe", Args: []string{"target"}, Env: append(os.Environ(), targetVar+"="+name)}
}

// A collection is a loaded object.
type collection struct {
	programs map[string]*program.Program
	maps     map[string]maps.Map
	pool     *mem.Pool
}

const runners = 2

func load(t testing.TB, file string) *collection {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", file))
	if err != nil {
		t.Fatal(err)
	}
	spec, err := image.Load(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	img, err := image.Link(spec, image.Target{Types: kview.Types(), Kconfig: kview.Kconfig})
	if err != nil {
		t.Fatal(err)
	}
	c := &collection{programs: map[string]*program.Program{}, maps: map[string]maps.Map{}}
	if c.pool, err = mem.NewPool(runners); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.pool.Close() })
	for name, m := range img.Maps {
		if c.maps[name], err = maps.New(m, runners); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.maps[name].Close() })
	}
	for name := range spec.Programs {
		if err := img.Failed[name]; err != nil {
			t.Fatal(err)
		}
		p := img.Programs[name]
		verdict := verify.Image(img, p, &verify.Options{Types: kview.Types()})
		if verdict.Err != nil {
			t.Fatal(verdict.Err)
		}
		if c.programs[name], err = program.New(p, verdict.Facts, c.maps, runners, interp.Options{Checked: true}); err != nil {
			t.Fatal(err)
		}
	}
	return c
}

func (c *collection) attach(t testing.TB, s *Source, names ...string) {
	t.Helper()
	for _, name := range names {
		l, err := s.Attach(c.programs[name], c.pool, mem.Env{})
		if err != nil {
			t.Fatal(err)
		}
		if l.Section() != c.programs[name].Image.Section {
			t.Errorf("%s: section %s", name, l.Section())
		}
	}
}

// run runs a command to its last descendant's end.
func run(t testing.TB, s *Source, cmd tracer.Command) {
	t.Helper()
	if err := s.Start(context.Background(), cmd); err != nil {
		t.Fatal(err)
	}
	timeout := time.AfterFunc(time.Minute, s.Tree().Kill)
	defer timeout.Stop()
	st, err := s.Tree().Wait()
	<-s.Tree().Done()
	if err != nil || st.Shell() != 0 {
		t.Errorf("%v: %+v, %v", cmd.Args, st, err)
	}
	for _, err := range s.Errors() {
		t.Error(err)
	}
}

// seen is the struct of contexts.bpf.c.
type seen struct {
	Runs, PidTgid, UidGid, Nr uint64
	Args                      [6]uint64
	Ret                       int64
	Order                     uint64
	Comm                      [16]byte
	Text                      [8]byte
}

// Every form of hook sees the same call, each in its own context.
func TestContexts(t *testing.T) {
	c := load(t, "contexts.bpf.o")
	var s Source
	names := []string{"tp_enter", "tp_exit", "raw_enter", "raw_exit", "rawtp_enter", "rawtp_exit", "ksyscall", "kretsyscall", "kprobe", "kretprobe"}
	// The order of attaching is not the order of running.
	backwards := slices.Clone(names)
	slices.Reverse(backwards)
	c.attach(t, &s, backwards...)
	run(t, &s, target("call"))
	stats := s.Stats()
	if stats.Errors != 0 || stats.Runs == 0 || stats.Events > stats.Runs || stats.FirstError != nil {
		t.Errorf("%+v", stats)
	}
	if s.StopCost() <= 0 || s.StopCost() > time.Second {
		t.Errorf("stops cost %v", s.StopCost())
	}
	order := map[string]uint64{}
	pid := uint64(s.Tree().PID())
	for i, name := range names {
		var v seen
		lookup(t, c.maps["seen"], uint32(i), &v)
		order[name] = v.Order
		if v.Runs != 1 || v.PidTgid>>32 != pid || v.Nr != unix.SYS_PROCESS_VM_READV {
			t.Errorf("%s: %d runs, pid_tgid %#x, call %d, want 1, pid %d, %d", name, v.Runs, v.PidTgid, v.Nr, pid, unix.SYS_PROCESS_VM_READV)
		}
		if want := uint64(os.Getgid())<<32 | uint64(os.Getuid()); v.UidGid != want {
			t.Errorf("%s: uid and gid %#x, want %#x", name, v.UidGid, want)
		}
		if comm := string(bytes.TrimRight(v.Comm[:], "\x00")); comm != "exe" {
			t.Errorf("%s: comm %q", name, comm)
		}
		if strings.HasSuffix(name, "exit") || strings.Contains(name, "ret") {
			if v.Ret != -int64(unix.EINVAL) {
				t.Errorf("%s: returned %d, want EINVAL", name, v.Ret)
			}
			if name == "rawtp_exit" && int64(v.Args[0]) != v.Ret {
				t.Errorf("%s: ax is %d", name, int64(v.Args[0]))
			}
			continue
		}
		want := [6]uint64{11, v.Args[1], 13, 14, 15, 16}
		if name == "ksyscall" {
			want[5] = 0
		}
		if v.Args != want || string(v.Text[:]) != "argument" {
			t.Errorf("%s: arguments %v, text %q", name, v.Args, v.Text)
		}
	}
	var by []string
	for name := range order {
		by = append(by, name)
	}
	slices.SortFunc(by, func(a, b string) int { return int(order[a]) - int(order[b]) })
	want := []string{
		"rawtp_enter", "raw_enter", "tp_enter", // tracepoints, as attached
		"kprobe", "ksyscall",
		"kretprobe", "kretsyscall",
		"rawtp_exit", "raw_exit", "tp_exit",
	}
	if !slices.Equal(by, want) {
		t.Errorf("they ran in the order %v, want %v", by, want)
	}
}

func lookup(t testing.TB, m maps.Map, key uint32, value any) {
	t.Helper()
	b := make([]byte, m.Spec().ValueSize)
	if err := m.Lookup(binary.NativeEndian.AppendUint32(nil, key), b, 0); err != nil {
		t.Fatal(err)
	}
	if _, err := binary.Decode(b, binary.NativeEndian, value); err != nil {
		t.Fatal(err)
	}
}

// The calls that end twice, not at all, or as another call.
func TestUnusualEnds(t *testing.T) {
	count := func(name string) []uint64 {
		c := load(t, "clones.bpf.o")
		var s Source
		for name := range c.programs {
			c.attach(t, &s, name)
		}
		run(t, &s, target(name))
		var counts [10]uint64
		lookup(t, c.maps[".bss"], 0, &counts)
		return counts[:]
	}
	got := count("children")
	enter, exit, zero, ret := got[0], got[1], got[2], got[3]
	// At its end a process may still be in the middle of a call.
	ended := func(n uint64) bool { return n <= enter && n+2 >= enter }
	if enter < 5 || exit != ret+zero || !ended(zero) || !ended(ret) {
		t.Errorf("clones: %d entries, %d exits, %d of them in the child, %d returns of the function", enter, exit, zero, ret)
	}
	if got[4] != 6 || got[5] != 6 {
		t.Errorf("execve: %d exits, %d returns, want 6", got[4], got[5])
	}
	got = count("signals")
	enter, exit, ret, raw := got[6], got[7], got[8], got[9]
	if enter < 7 || exit != 0 || ret != raw || !ended(ret) {
		t.Errorf("rt_sigreturn: %d entries, %d exits, %d returns, %d exits of no call", enter, exit, ret, raw)
	}
}

func TestClose(t *testing.T) {
	c := load(t, "clones.bpf.o")
	f := &failing{}
	var s Source
	l := &Link{hook: hook{&forms[0], ByName("getppid")}, name: "p", program: f, pool: c.pool}
	if err := s.add(l); err != nil {
		t.Fatal(err)
	}
	gone := &Link{hook: hook{&forms[0], ByName("getpid")}, name: "gone", program: f, pool: c.pool}
	if err := s.add(gone); err != nil {
		t.Fatal(err)
	}
	gone.Close()
	if err := s.Start(context.Background(), target("wait")); err != nil {
		t.Fatal(err)
	}
	if err := s.add(l); err == nil {
		t.Error("a program can be attached while the command runs")
	}
	if err := s.Start(context.Background(), target("wait")); err == nil {
		t.Error("a source starts twice")
	}
	for s.Stats().Runs < 3 {
		time.Sleep(time.Millisecond)
	}
	l.Close()
	ran := f.runs // no lock: nothing runs any more
	time.Sleep(20 * time.Millisecond)
	if f.runs != ran {
		t.Error("the program runs after its link was closed")
	}
	s.Tree().Kill()
	<-s.Tree().Done()
	stats := s.Stats()
	if stats.Errors != stats.Runs || !errors.Is(stats.FirstError, errFailing) || len(s.Errors()) != 1 {
		t.Errorf("%+v, %v", stats, s.Errors())
	}
	// All runners are free again.
	for range runners {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		if _, err := c.pool.Acquire(ctx); err != nil {
			t.Error(err)
		}
		cancel()
	}
}

var errFailing = errors.New("it always fails")

type failing struct{ runs int }

func (f *failing) Run(*mem.Runner, uint64) (uint64, error) {
	f.runs++
	return 0, errFailing
}

// A runner is waited for, and given back when the command can't start.
func TestRunners(t *testing.T) {
	c := load(t, "contexts.bpf.o")
	for range runners {
		var s Source
		c.attach(t, &s, "tp_enter")
		if err := s.Start(context.Background(), tracer.Command{Path: "/no/such/command"}); !errors.Is(err, tracer.ErrCommandNotFound) {
			t.Errorf("start: %v", err)
		}
		if s.Tree() != nil {
			t.Error("there is a tree")
		}
	}
	for range runners {
		if _, err := c.pool.Acquire(context.Background()); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Millisecond)
	defer cancel()
	var s Source
	c.attach(t, &s, "tp_enter")
	if err := s.Start(ctx, target("call")); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("without a runner: %v", err)
	}
}

func TestFind(t *testing.T) {
	for _, tt := range []struct {
		section string
		kind    ebpf.ProgramType
		size    int // of the context that the program looks at
		call    string
		err     error
		text    string
	}{
		{"tracepoint/syscalls/sys_enter_read", ebpf.TracePoint, 40, "read", nil, ""},
		{"tp/syscalls/sys_exit_read", ebpf.TracePoint, 24, "read", nil, ""},
		{"?tp/syscalls/sys_exit_read", ebpf.TracePoint, 24, "read", nil, ""},
		{"tracepoint/syscalls/sys_enter_newfstat", ebpf.TracePoint, 32, "fstat", nil, ""},
		{"tracepoint/syscalls/sys_enter_fstat", ebpf.TracePoint, 32, "fstat", nil, ""},
		{"ksyscall/umount", ebpf.Kprobe, 168, "umount2", nil, ""},
		{"kprobe/__x64_sys_pread64", ebpf.Kprobe, 168, "pread64", nil, ""},
		{"kretprobe/__x64_sys_pread64", ebpf.Kprobe, 168, "pread64", nil, ""},
		{"kretsyscall/execve", ebpf.Kprobe, 168, "execve", nil, ""},
		{"raw_tp/sys_enter", ebpf.RawTracepoint, 16, "", nil, ""},
		{"raw_tracepoint/sys_exit", ebpf.RawTracepoint, 16, "", nil, ""},
		{"tp/raw_syscalls/sys_enter", ebpf.TracePoint, 64, "", nil, ""},

		{"tracepoint/syscalls/sys_enter_read", ebpf.TracePoint, 48, "", ErrNotPossible, "reads 48 bytes of a context that has 40"},
		{"raw_tp/sys_exit", ebpf.RawTracepoint, 24, "", ErrNotPossible, "reads 24 bytes of a context that has 16"},
		{"tracepoint/syscalls/sys_enter_reed", ebpf.TracePoint, 0, "", ErrNotPossible, `no system call "reed"`},
		{"tracepoint/syscalls/sys_enter_", ebpf.TracePoint, 0, "", ErrNotPossible, `no system call ""`},
		{"tracepoint/sched/sched_switch", ebpf.TracePoint, 0, "", ErrNotPossible, "system calls alone"},
		{"tracepoint/raw_syscalls/sys_enter_read", ebpf.TracePoint, 0, "", ErrNotPossible, "system calls alone"},
		{"raw_tp/sched_switch", ebpf.RawTracepoint, 0, "", ErrNotPossible, "system calls alone"},
		{"kprobe/do_sys_openat2", ebpf.Kprobe, 0, "", ErrNotPossible, "kprobe/__x64_sys_NAME"},
		{"kprobe/sys_read", ebpf.Kprobe, 0, "", ErrNotPossible, "kprobe/__x64_sys_NAME"},
		{"kprobe", ebpf.Kprobe, 0, "", ErrNotPossible, "kprobe/__x64_sys_NAME"},
		{"fentry/vfs_read", ebpf.Tracing, 0, "", ErrNotPossible, "the user engine has no such hook"},
		{"xdp", ebpf.XDP, 0, "", ErrNotPossible, "the user engine has no such hook"},
		{"ksyscall/read", ebpf.TracePoint, 0, "", ErrNotPossible, "its program type is TracePoint, not Kprobe"},
		{"sockets", ebpf.UnspecifiedProgram, 0, "", ErrUnknownSection, "tracepoint/syscalls/sys_enter_NAME, "},
		{"", ebpf.UnspecifiedProgram, 0, "", ErrUnknownSection, "ksyscall/NAME"},
	} {
		p := &program.Program{
			Image: &image.Program{Name: "prog", Section: tt.section, Type: tt.kind},
			Facts: &verify.Facts{ContextSize: tt.size},
		}
		h, err := find(p)
		if tt.err == nil {
			if err != nil || tt.call == "" != (h.call == nil) || h.call != nil && h.call.Name != tt.call {
				t.Errorf("%s: %+v, %v", tt.section, h.call, err)
			}
			continue
		}
		var he *HookError
		if !errors.Is(err, tt.err) || !errors.As(err, &he) || !strings.Contains(fmt.Sprint(err), tt.text) {
			t.Errorf("%s: %v, want %v with %q", tt.section, err, tt.err, tt.text)
		}
	}
}

func TestTable(t *testing.T) {
	if !slices.IsSortedFunc(table[:], func(a, b Call) int { return a.Number - b.Number }) {
		t.Error("the table is not sorted")
	}
	for name, n := range map[string]int{
		"read": unix.SYS_READ, "newstat": unix.SYS_STAT, "getppid": unix.SYS_GETPPID, "clone3": unix.SYS_CLONE3,
		"rt_sigreturn": rtSigreturn, "process_vm_readv": unix.SYS_PROCESS_VM_READV, "umount": unix.SYS_UMOUNT2,
		"sendfile64": unix.SYS_SENDFILE, "pidfd_getfd": unix.SYS_PIDFD_GETFD, "io_uring_enter": unix.SYS_IO_URING_ENTER,
	} {
		if c := ByName(name); c == nil || c.Number != n || byNumber(n) != c {
			t.Errorf("%s: %+v, want %d", name, c, n)
		}
	}
	if byNumber(400) != nil || byNumber(-1) != nil || ByName("") != nil {
		t.Error("there is a call that is none")
	}
	// The running kernel's own description, where it can be read.
	dirs, _ := filepath.Glob("/sys/kernel/tracing/events/syscalls/sys_enter_*")
	if len(dirs) == 0 {
		t.Log("not compared with tracefs, which is not mounted or not readable")
	}
	for _, dir := range dirs {
		format, err := os.ReadFile(filepath.Join(dir, "format"))
		if err != nil {
			t.Skipf("needs the formats of tracefs: %v", err)
		}
		name := strings.TrimPrefix(filepath.Base(dir), "sys_enter_")
		if c := ByName(name); c == nil || c.Entry != name || c.Args != bytes.Count(format, []byte("\tfield:"))-5 {
			t.Errorf("%s: %+v differs from %s", name, c, format)
		}
	}
}

func TestCalibrate(t *testing.T) {
	start := time.Now()
	cost, err := Calibrate(kview.Plan{})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("a pair of stops costs %v, which was found in %v", cost, time.Since(start))
	if cost < time.Microsecond || cost > 100*time.Millisecond {
		t.Errorf("a pair of stops costs %v", cost)
	}
}

func FuzzFind(f *testing.F) {
	for _, section := range append(slices.Clone(Forms), "tp/syscalls/sys_enter_read", "?ksyscall/read", "kprobe/__x64_sys_", "xdp", "a/b/c", "/", "") {
		f.Add(section, uint32(ebpf.Kprobe), 8)
	}
	f.Fuzz(func(t *testing.T, section string, kind uint32, size int) {
		p := &program.Program{
			Image: &image.Program{Name: "prog", Section: section, Type: ebpf.ProgramType(kind)},
			Facts: &verify.Facts{ContextSize: size},
		}
		h, err := find(p)
		var he *HookError
		if err != nil && !errors.As(err, &he) {
			t.Errorf("%q: %v is no HookError", section, err)
		}
		if err == nil && (h.form.named != (h.call != nil) || size > h.form.size(h.call) || h.form.types != p.Image.Type) {
			t.Errorf("%q: %+v", section, h)
		}
	})
}
