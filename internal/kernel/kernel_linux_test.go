package kernel_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"golang.org/x/sys/unix"

	"github.com/skep-bpf/skep/internal/image"
	"github.com/skep-bpf/skep/internal/kernel"
)

// needKernel skips where this process may not use the kernel's eBPF, or not find
// the tracepoints and make the cgroups that belong to root.
func needKernel(t testing.TB) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("skip: needs root")
	}
	if err := kernel.Permitted(); err != nil {
		t.Skipf("skip: %v", err)
	}
}

// compiled are the programs of testdata, compiled once.
var compiled sync.Map // name → func() (string, error)

var buildDir string

// compile gives the path of testdata/NAME.c, compiled and linked statically.
func compile(t testing.TB, name string) string {
	t.Helper()
	once, _ := compiled.LoadOrStore(name, sync.OnceValues(func() (string, error) {
		path := filepath.Join(buildDir, name)
		out, err := exec.Command("gcc", "-O1", "-static", "-Wall", "-o", path, filepath.Join("testdata", name+".c")).CombinedOutput()
		if err != nil {
			return "", fmt.Errorf("gcc: %w: %s", err, out)
		}
		return path, nil
	}))
	path, err := once.(func() (string, error))()
	if errors.Is(err, exec.ErrNotFound) {
		t.Skip("skip: needs gcc: not installed")
	}
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// load loads an object file.
func load(t testing.TB, path string, o kernel.Options) *kernel.Collection {
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
	c, err := kernel.Load(context.Background(), spec, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return c
}

const readsObject = "../../tools/reads/reads.bpf.o"

// row is struct row of reads.bpf.c.
type row struct {
	PID    uint32
	Comm   [16]byte
	Path   [464]byte
	_      [4]byte
	Reads  uint64
	Errors uint64
	Bytes  uint64
	First  uint64
	Last   uint64
	Hist   [40]uint64
}

func (r row) path() string { return string(r.Path[:bytes.IndexByte(r.Path[:], 0)]) }
func (r row) comm() string { return string(r.Comm[:bytes.IndexByte(r.Comm[:], 0)]) }

// rowsOf are the rows that reads has made.
func rowsOf(t testing.TB, c *kernel.Collection) []row {
	t.Helper()
	var used uint32
	if err := c.Variables["rows_used"].Get(&used); err != nil {
		t.Fatal(err)
	}
	var rows []row
	for id := range used {
		var r row
		if err := c.Maps["rows"].Lookup(id, &r); err != nil {
			t.Fatal(err)
		}
		if r.Reads > 0 {
			rows = append(rows, r)
		}
	}
	return rows
}

// attach attaches to cmd the programs of c whose names end as given. The kernel
// takes its time to detach them: 60 ms for a tracepoint.
func attach(t testing.TB, c *kernel.Collection, cmd *kernel.Command, ending string) {
	t.Helper()
	for name, p := range c.Programs {
		if !strings.HasSuffix(name, ending) {
			continue
		}
		l, err := cmd.Attach(p)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { l.Close() })
	}
}

// finish starts cmd and waits for it and all its descendants.
func finish(t testing.TB, cmd *kernel.Command) kernel.Status {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	if err := cmd.Start(ctx); err != nil {
		t.Fatal(err)
	}
	status, err := cmd.Wait()
	if err := errors.Join(err, cmd.Drain(ctx), cmd.Close()); err != nil {
		t.Fatal(err)
	}
	return status
}

// data is a file of 1000 bytes.
func data(t testing.TB) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "data")
	if err := os.WriteFile(path, bytes.Repeat([]byte("0123456789"), 100), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// outsider runs reader outside of any scope until the test has ended.
func outsider(t testing.TB, file string) {
	t.Helper()
	other := exec.Command(compile(t, "reader"), "for-ever", file)
	if err := other.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		other.Process.Kill()
		other.Wait()
	})
}

func TestReads(t *testing.T) {
	needKernel(t)
	reader, file := compile(t, "reader"), data(t)
	gone := filepath.Join(filepath.Dir(file), "gone")
	c := load(t, readsObject, kernel.Options{})
	outsider(t, file)

	cmd := &kernel.Command{Path: reader, Args: []string{"kinds", file, gone}}
	attach(t, c, cmd, "")
	if s := finish(t, cmd); s != (kernel.Status{}) {
		t.Fatalf("the command ended with %+v", s)
	}

	var got []string
	for _, r := range rowsOf(t, c) {
		if int(r.PID) != cmd.PID() || r.comm() != "reader" {
			t.Errorf("a row of process %d, %s: only %d was to be seen", r.PID, r.comm(), cmd.PID())
		}
		path := r.path()
		if strings.HasPrefix(path, "pipe:[") {
			path = "pipe:[…]"
		}
		got = append(got, fmt.Sprintf("%s: %d reads, %d errors, %d bytes", path, r.Reads, r.Errors, r.Bytes))
	}
	slices.Sort(got)
	want := []string{
		"(not open): 1 reads, 1 errors, 0 bytes",
		"/memfd:kinds (deleted): 1 reads, 0 errors, 6 bytes",
		file + ": 13 reads, 0 errors, 1450 bytes",
		gone + " (deleted): 2 reads, 0 errors, 6 bytes",
		"pipe:[…]: 1 reads, 0 errors, 5 bytes",
	}
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("rows:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	var lost uint64
	if err := c.Variables["reads_lost"].Get(&lost); err != nil || lost != 0 {
		t.Errorf("%d reads lost, %v", lost, err)
	}
}

// totals are reads, bytes and processes of a file.
func totals(rows []row, file string) (reads, bytes uint64, processes map[uint32]bool) {
	processes = make(map[uint32]bool)
	for _, r := range rows {
		if r.path() == file {
			reads += r.Reads
			bytes += r.Bytes
			processes[r.PID] = true
		}
	}
	return reads, bytes, processes
}

func TestDescendants(t *testing.T) {
	needKernel(t)
	reader, file := compile(t, "reader"), data(t)
	c := load(t, readsObject, kernel.Options{})
	outsider(t, file)
	cmd := &kernel.Command{Path: reader, Args: []string{"children", "6", file}}
	attach(t, c, cmd, "pread64")
	finish(t, cmd)
	if reads, bytes, processes := totals(rowsOf(t, c), file); reads != 30 || bytes != 300 || len(processes) != 6 {
		t.Errorf("%d reads of %d bytes in %d processes, want 30, 300, 6", reads, bytes, len(processes))
	}
}

// Wait returns when the command has ended, Drain when its orphan has.
func TestOrphan(t *testing.T) {
	needKernel(t)
	reader, file := compile(t, "reader"), data(t)
	c := load(t, readsObject, kernel.Options{})
	cmd := &kernel.Command{Path: reader, Args: []string{"orphan", file}}
	attach(t, c, cmd, "pread64")
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	if err := cmd.Start(ctx); err != nil {
		t.Fatal(err)
	}
	if _, err := cmd.Wait(); err != nil {
		t.Fatal(err)
	}
	if reads, _, _ := totals(rowsOf(t, c), file); reads != 0 {
		t.Errorf("%d reads before the orphan was to read", reads)
	}
	if err := cmd.Drain(ctx); err != nil {
		t.Fatal(err)
	}
	if reads, _, _ := totals(rowsOf(t, c), file); reads != 3 {
		t.Errorf("%d reads, want 3", reads)
	}
}

// A cgroup below the command's own is inside, and is removed with it.
func TestCgroupBelow(t *testing.T) {
	needKernel(t)
	reader, file := compile(t, "reader"), data(t)
	c := load(t, readsObject, kernel.Options{})
	// The command finds its cgroup by asking the shell.
	script := `own=$(sed -n 's/^0:://p' /proc/self/cgroup); exec "$0" below "$1$own/below" "$2"`
	mount := cgroupMount(t)
	cmd := &kernel.Command{Path: "/bin/sh", Args: []string{"-c", script, reader, mount, file}}
	attach(t, c, cmd, "pread64")
	if s := finish(t, cmd); s.Code != 0 {
		t.Fatalf("the command ended with %+v", s)
	}
	if reads, _, _ := totals(rowsOf(t, c), file); reads != 4 {
		t.Errorf("%d reads, want 4", reads)
	}
	if left := ownCgroups(t); len(left) > 0 {
		t.Errorf("cgroups were left: %v", left)
	}
}

// cgroupMount is where cgroup v2 is mounted.
func cgroupMount(t testing.TB) string {
	t.Helper()
	b, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(b)) {
		if f := strings.Fields(line); len(f) > 2 && f[2] == "cgroup2" {
			return f[1]
		}
	}
	t.Skip("skip: cgroup v2 is mounted nowhere")
	return ""
}

// ownCgroups are the cgroups that this process has made and not removed.
func ownCgroups(t testing.TB) []string { return cgroupsOf(t, os.Getpid()) }

func cgroupsOf(t testing.TB, pid int) []string {
	t.Helper()
	var found []string
	filepath.WalkDir(cgroupMount(t), func(path string, e os.DirEntry, err error) error {
		if err == nil && e.IsDir() && strings.HasPrefix(e.Name(), fmt.Sprintf("skep-%d-", pid)) {
			found = append(found, path)
		}
		return nil
	})
	return found
}

// A process that runs already is watched by its number.
func TestProcesses(t *testing.T) {
	needKernel(t)
	reader, file := compile(t, "reader"), data(t)
	c := load(t, readsObject, kernel.Options{})
	for _, name := range []string{"enter_pread64", "exit_pread64"} {
		l, err := c.Programs[name].Attach()
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
	}
	outsider(t, file)
	watched := exec.Command(reader, "for-ever", file)
	if err := watched.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		watched.Process.Kill()
		watched.Wait()
	}()
	time.Sleep(20 * time.Millisecond)
	if rows := rowsOf(t, c); len(rows) > 0 {
		t.Errorf("%d rows before anybody was inside", len(rows))
	}
	if err := c.Scope.Processes(watched.Process.Pid); err != nil {
		t.Fatal(err)
	}
	deadline := time.Now().Add(10 * time.Second)
	for {
		reads, _, processes := totals(rowsOf(t, c), file)
		for pid := range processes {
			if int(pid) != watched.Process.Pid {
				t.Fatalf("a row of process %d, which was not to be watched", pid)
			}
		}
		if reads > 20 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d reads of the watched process in 10 s", reads)
		}
		time.Sleep(time.Millisecond)
	}
	if err := c.Scope.Nobody(); err != nil {
		t.Fatal(err)
	}
	time.Sleep(5 * time.Millisecond) // the last one may have been on its way
	before, _, _ := totals(rowsOf(t, c), file)
	time.Sleep(20 * time.Millisecond)
	if after, _, _ := totals(rowsOf(t, c), file); after != before {
		t.Errorf("%d reads were counted after the scope was emptied", after-before)
	}
}

// Followed, what the watched process starts is inside, down to the grandchildren,
// and what has ended is inside no more.
func TestFollow(t *testing.T) {
	needKernel(t)
	reader, file := compile(t, "reader"), data(t)
	c := load(t, readsObject, kernel.Options{})
	for _, name := range []string{"enter_pread64", "exit_pread64"} {
		l, err := c.Programs[name].Attach()
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
	}
	followed, err := c.Scope.Follow()
	if errors.Is(err, kernel.ErrNotPossible) {
		t.Skipf("skip: %v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	outsider(t, file)
	// The shell waits for a line, then starts processes in turn and side by side.
	shell := exec.Command("sh", "-c", `read x; "$0" children 3 "$1"; ("$0" times 2 "$1"; "$0" times 2 "$1") & "$0" times 2 "$1"; wait; read x; "$0" times 7 "$1"; exit 0`, reader, file)
	in, err := shell.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := shell.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := shell.Start(); err != nil {
		t.Fatal(err)
	}
	if err := c.Scope.Processes(shell.Process.Pid); err != nil {
		t.Fatal(err)
	}
	io.WriteString(in, "go\n")
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
		reads, _, processes := totals(rowsOf(t, c), file)
		if reads == 3*5+3*2 && len(processes) == 3+3 {
			break
		}
		if reads > 21 || time.Now().After(deadline) {
			t.Fatalf("%d reads in %d processes, want 21 in 6", reads, len(processes))
		}
	}
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
		inside, err := c.Scope.Inside()
		if err != nil {
			t.Fatal(err)
		}
		if slices.Equal(inside, []int{shell.Process.Pid}) {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("inside are %v, want only %d", inside, shell.Process.Pid)
		}
	}
	if err := followed.Close(); err != nil {
		t.Fatal(err)
	}
	io.WriteString(in, "on\n")
	io.ReadAll(out)
	if err := shell.Wait(); err != nil {
		t.Fatal(err)
	}
	if reads, _, _ := totals(rowsOf(t, c), file); reads != 21 {
		t.Errorf("%d reads, those of a process that was not followed, too", reads-21)
	}
}

// What the programs see of a command is what strace sees of it: its own execve is
// the first call, and what was done before, to start it, is not there.
func TestWholeCommand(t *testing.T) {
	needKernel(t)
	reader, file := compile(t, "reader"), data(t)
	trace := filepath.Join(t.TempDir(), "trace")
	out, err := exec.Command("strace", "-f", "-n", "-o", trace, reader, "times", "5", file).CombinedOutput()
	if errors.Is(err, exec.ErrNotFound) {
		t.Skip("skip: needs strace: not installed")
	}
	if err != nil {
		t.Fatalf("strace: %v: %s", err, out)
	}
	want := make(map[uint64]uint64)
	text, err := os.ReadFile(trace)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) { // 1234 [  59] execve(…
		_, rest, _ := strings.Cut(line, "[")
		number, rest, ok := strings.Cut(rest, "] ")
		if !ok || strings.HasPrefix(rest, "+++") {
			continue // how it ended
		}
		n, err := strconv.ParseUint(strings.TrimSpace(number), 10, 64)
		if err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		want[n]++
	}

	c := load(t, "../../testdata/count.bpf.o", kernel.Options{})
	cmd := &kernel.Command{Path: reader, Args: []string{"times", "5", file}}
	attach(t, c, cmd, "count")
	finish(t, cmd)
	got := make(map[uint64]uint64)
	var number, count uint64
	for entries := c.Maps["counts"].Iterate(); entries.Next(&number, &count); {
		got[number] = count
	}
	if !maps.Equal(got, want) {
		t.Errorf("system calls by number:\n%v, strace:\n%v", got, want)
	}
}

// System lets in everybody: this program asks for itself who it is.
func TestSystem(t *testing.T) {
	needKernel(t)
	spec := &ebpf.CollectionSpec{
		Maps: map[string]*ebpf.MapSpec{"seen": {Name: "seen", Type: ebpf.Array, KeySize: 4, ValueSize: 8, MaxEntries: 1}},
		Programs: map[string]*ebpf.ProgramSpec{"own": {
			Name: "own", Type: ebpf.RawTracepoint, SectionName: "raw_tp/sys_enter", License: "MIT",
			Instructions: asm.Instructions{
				asm.LoadMem(asm.R6, asm.R1, 8, asm.DWord),
				asm.JNE.Imm(asm.R6, unix.SYS_GETPPID, "out"),
				asm.FnGetCurrentPidTgid.Call(),
				asm.RSh.Imm(asm.R0, 32),
				asm.JNE.Imm(asm.R0, int32(os.Getpid()), "out"),
				asm.LoadMapValue(asm.R1, 0, 0).WithReference("seen"),
				asm.Mov.Imm(asm.R2, 1),
				asm.AddAtomic.Mem(asm.R1, asm.R2, asm.DWord, 0),
				asm.Mov.Imm(asm.R0, 0).WithSymbol("out"),
				asm.Return(),
			},
		}},
	}
	c, err := kernel.Load(context.Background(), spec, kernel.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	l, err := c.Programs["own"].Attach()
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	count := func() (n uint64) {
		for range 100 {
			unix.Getppid()
		}
		if err := c.Maps["seen"].Lookup(uint32(0), &n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	if n := count(); n != 0 {
		t.Errorf("%d calls seen by a scope of nobody", n)
	}
	if err := c.Scope.System(); err != nil {
		t.Fatal(err)
	}
	n := count()
	if err := c.Scope.Nobody(); err != nil {
		t.Fatal(err)
	}
	if n != 100 {
		t.Errorf("%d calls seen of 100", n)
	}
	if l.Section() != "raw_tp/sys_enter" {
		t.Errorf("section %q", l.Section())
	}
}

// An object is replaced again and again while the command is busy: each version
// goes on counting in the map of the first.
func TestNextVersions(t *testing.T) {
	needKernel(t)
	const calls, versions = 400_000, 20
	reader, file := compile(t, "reader"), data(t)
	spec := specOf(t, "../../testdata/count.bpf.o")
	now, err := kernel.Load(context.Background(), spec, kernel.Options{})
	if err != nil {
		t.Fatal(err)
	}
	scope := now.Scope
	counts, err := now.Maps["counts"].Clone()
	if err != nil {
		t.Fatal(err)
	}
	defer counts.Close()
	cmd := &kernel.Command{Path: reader, Args: []string{"times", strconv.Itoa(calls), file}}
	link, err := cmd.Attach(now.Programs["count"])
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	if err := cmd.Start(ctx); err != nil {
		t.Fatal(err)
	}
	swaps := 0
	for busy := true; busy && swaps < versions; {
		next, err := kernel.Load(ctx, spec, kernel.Options{Scope: scope, Maps: map[string]*ebpf.Map{"counts": counts}})
		if err != nil {
			t.Fatal(err)
		}
		nextLink, err := next.Programs["count"].Attach()
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(next.TakeOver(), link.Close(), now.Close()); err != nil {
			t.Fatal(err)
		}
		now, link = next, nextLink
		swaps++
		var pread uint64
		if err := counts.Lookup(uint64(unix.SYS_PREAD64), &pread); err != nil && !errors.Is(err, ebpf.ErrKeyNotExist) {
			t.Fatal(err)
		}
		busy = pread < calls
	}
	if status, err := cmd.Wait(); err != nil || status.Code != 0 {
		t.Fatalf("the command ended with %+v, %v", status, err)
	}
	if err := errors.Join(cmd.Drain(ctx), link.Close(), now.Close()); err != nil {
		t.Fatal(err)
	}
	if err := scope.Nobody(); err == nil {
		t.Error("the scope is open after its last version")
	}
	var execs, pread uint64
	if err := errors.Join(counts.Lookup(uint64(unix.SYS_EXECVE), &execs), counts.Lookup(uint64(unix.SYS_PREAD64), &pread)); err != nil {
		t.Fatal(err)
	}
	t.Logf("%d swaps, %d calls of %d", swaps, pread, calls)
	if off := int(pread) - calls; execs != 1 || off < -swaps || off > swaps {
		t.Errorf("%d calls of execve, want 1; %d of pread64, want %d give or take %d", execs, pread, calls, swaps)
	}
}

// Until it takes over, a version that is attached does not run.
func TestTakeOver(t *testing.T) {
	needKernel(t)
	first := load(t, "../../testdata/count.bpf.o", kernel.Options{})
	second := load(t, "../../testdata/count.bpf.o", kernel.Options{Scope: first.Scope})
	count := func(c *kernel.Collection) (n uint64) {
		if err := c.Maps["counts"].Lookup(uint64(unix.SYS_GETPPID), &n); err != nil && !errors.Is(err, ebpf.ErrKeyNotExist) {
			t.Fatal(err)
		}
		return n
	}
	for _, c := range []*kernel.Collection{first, second} {
		l, err := c.Programs["count"].Attach()
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
	}
	if err := first.Scope.Processes(os.Getpid()); err != nil {
		t.Fatal(err)
	}
	unix.Getppid()
	if a, b := count(first), count(second); a != 1 || b != 0 {
		t.Errorf("before: the versions counted %d and %d, want 1 and 0", a, b)
	}
	if err := second.TakeOver(); err != nil {
		t.Fatal(err)
	}
	unix.Getppid()
	if a, b := count(first), count(second); a != 1 || b != 1 {
		t.Errorf("after: the versions counted %d and %d, want 1 and 1", a, b)
	}
	if err := first.TakeOver(); err != nil {
		t.Fatal(err)
	}
	unix.Getppid()
	if a, b := count(first), count(second); a != 2 || b != 1 {
		t.Errorf("back: the versions counted %d and %d, want 2 and 1", a, b)
	}
	// Each can be test-run, active or not.
	if err := first.Scope.Nobody(); err != nil {
		t.Fatal(err)
	}
	for _, c := range []*kernel.Collection{first, second} {
		before := count(c)
		if _, err := c.Programs["count"].Run(&ebpf.RunOptions{Context: [2]uint64{0, unix.SYS_GETPPID}}); err != nil {
			t.Fatal(err)
		}
		if n := count(c) - before; n != 1 {
			t.Errorf("a test run counted %d", n)
		}
	}
}

// A test run sees this process, whoever else is inside before and after.
func TestRun(t *testing.T) {
	needKernel(t)
	c := load(t, "../../testdata/count.bpf.o", kernel.Options{})
	p := c.Programs["count"]
	if _, err := p.Run(&ebpf.RunOptions{Context: [2]uint64{0, 1234}}); err != nil {
		t.Fatal(err)
	}
	var n uint64
	if err := c.Maps["counts"].Lookup(uint64(1234), &n); err != nil || n != 1 {
		t.Errorf("the run left %d, %v", n, err)
	}
	if err := c.Scope.Processes(1); err != nil {
		t.Fatal(err)
	}
	if _, err := p.Run(&ebpf.RunOptions{Context: [2]uint64{0, 1234}}); err == nil {
		t.Error("a test run in a scope that is in use")
	}
}

func TestProcessErrors(t *testing.T) {
	needKernel(t)
	s, err := kernel.NewScope()
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if err := s.Processes(1 << 30); !errors.Is(err, kernel.ErrNoProcess) {
		t.Errorf("a process that is not there: %v", err)
	}
	// A thread other than the first stands for its process.
	threads, err := os.ReadDir("/proc/self/task")
	if err != nil || len(threads) < 2 {
		t.Fatalf("%d threads, %v", len(threads), err)
	}
	tid, err := strconv.Atoi(threads[len(threads)-1].Name())
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Processes(tid, 1); err != nil {
		t.Fatal(err)
	}
	if got, err := s.Inside(); err != nil || !slices.Equal(got, []int{1, os.Getpid()}) {
		t.Errorf("inside are %v, %v", got, err)
	}
}
