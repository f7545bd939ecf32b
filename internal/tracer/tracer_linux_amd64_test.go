package tracer_test

import (
	"errors"
	"flag"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/skep-bpf/skep/internal/tracer"
)

// A counter is a Handler that counts.
type counter struct {
	enter, exit map[int64]int
	rets        map[int64][]int64
	forked      int
	execed      int
	exited      int
	live        map[int]int // by TID: every thread is born once and ends once
	wrong       []string

	onEnter func(t *tracer.Thread)
	onExit  func(t *tracer.Thread)
	onExec  func(t *tracer.Thread, former int)
}

func newCounter() *counter {
	return &counter{
		enter: map[int64]int{},
		exit:  map[int64]int{},
		rets:  map[int64][]int64{},
		live:  map[int]int{},
	}
}

func (c *counter) check(t *tracer.Thread) {
	if c.live[t.TID] != 1 {
		c.wrong = append(c.wrong, "an unknown thread called")
	}
}

func (c *counter) Enter(t *tracer.Thread) {
	c.check(t)
	c.enter[t.Number]++
	if c.onEnter != nil {
		c.onEnter(t)
	}
}

func (c *counter) Exit(t *tracer.Thread) {
	c.check(t)
	c.exit[t.Number]++
	c.rets[t.Number] = append(c.rets[t.Number], t.Ret)
	if c.onExit != nil {
		c.onExit(t)
	}
}

func (c *counter) Forked(parent, child *tracer.Thread) {
	c.forked++
	if c.live[child.TID]++; c.live[child.TID] != 1 {
		c.wrong = append(c.wrong, "a thread was born twice")
	}
}

func (c *counter) Execed(t *tracer.Thread, former int) {
	c.execed++
	if t.TID != former {
		delete(c.live, former)
		c.live[t.TID]++
	}
	c.check(t)
	if c.onExec != nil {
		c.onExec(t, former)
	}
}

func (c *counter) Exited(t *tracer.Thread) {
	c.exited++
	c.check(t)
	delete(c.live, t.TID)
}

// run runs a command to the end of its last descendant.
func run(t *testing.T, c *counter, o tracer.Options, args ...string) tracer.ExitStatus {
	t.Helper()
	return runCommand(t, c, o, tracer.Command{Path: args[0], Args: args})
}

func runCommand(t *testing.T, c *counter, o tracer.Options, cmd tracer.Command) tracer.ExitStatus {
	t.Helper()
	tr, err := tracer.Start(cmd, o, c)
	if err != nil {
		t.Fatal(err)
	}
	timeout := time.AfterFunc(60*time.Second, func() {
		t.Errorf("%v: still running", cmd.Args)
		tr.Kill()
	})
	defer timeout.Stop()
	st, err := tr.Wait()
	<-tr.Done()
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range c.wrong {
		t.Error(w)
	}
	if len(c.live) != 0 {
		t.Errorf("threads that never ended: %v", c.live)
	}
	if c.forked-c.exited != 0 {
		t.Errorf("%d threads began, %d ended", c.forked, c.exited)
	}
	return st
}

func reads(w tracer.When) tracer.Options {
	return tracer.Options{Calls: map[int]tracer.When{unix.SYS_READ: w, unix.SYS_PREAD64: w, unix.SYS_READV: w}}
}

// compile builds testdata/NAME.c, once for all tests.
func compile(t testing.TB, name string, flags ...string) string {
	t.Helper()
	gcc, err := exec.LookPath("gcc")
	if err != nil {
		t.Skip("needs gcc: not installed")
	}
	out := filepath.Join(buildDir, name+strings.Join(flags, ""))
	if _, err := os.Stat(out); err == nil {
		return out
	}
	args := append([]string{"-O1", "-pthread", "-o", out, filepath.Join("testdata", name+".c")}, flags...)
	if b, err := exec.Command(gcc, args...).CombinedOutput(); err != nil {
		t.Fatalf("gcc %s: %v\n%s", strings.Join(args, " "), err, b)
	}
	return out
}

// calls hooks both ends of getppid and of the reads that strace counts.
func calls() tracer.Options {
	o := reads(tracer.Enter | tracer.Exit)
	o.Calls[unix.SYS_GETPPID] = tracer.Enter | tracer.Exit
	return o
}

// Each target checks what it can see of being traced, and says so by its status.
func TestTargets(t *testing.T) {
	target := compile(t, "target")
	for _, tt := range []struct {
		mode   string
		n      int
		calls  int // of getppid
		status int
	}{
		{"basic", 50, 50, 0},
		{"readfile", 5, 5, 0},
		{"threads", 100, 800, 0},
		{"chain", 20, 200, 0},
		{"execthread", 10, 20, 0},
		{"leaderexit", 10, 10, 0},
		{"leaderexec", 10, 20, 0},
		{"signals", 3, 3, 0},
		{"stops", 5, 10, 0},
		{"storm", 500, 500, 0},
		{"untraced", 6, 12, 0},
		{"daemon", 7, 7, 4},
		{"nested", 3, 3, 0},
		{"nodump", 4, 4, 0},
		{"filtered", 4, 4, 0},
		{"bare", 5, 5, 0},
		{"spawn", 60, 60, 0},
		{"killed", 40, 0, 0},
	} {
		t.Run(tt.mode, func(t *testing.T) {
			c := newCounter()
			st := run(t, c, calls(), target, tt.mode, fmt.Sprint(tt.n))
			if st.Shell() != tt.status {
				t.Errorf("status %+v, want %d", st, tt.status)
			}
			if c.enter[unix.SYS_GETPPID] != tt.calls || c.exit[unix.SYS_GETPPID] != tt.calls {
				t.Errorf("%d entries and %d exits, want %d", c.enter[unix.SYS_GETPPID], c.exit[unix.SYS_GETPPID], tt.calls)
			}
			for nr := range c.enter {
				if _, ok := calls().Calls[int(nr)]; !ok {
					t.Errorf("stopped at %d, which is not hooked", nr)
				}
			}
			switch tt.mode {
			case "readfile":
				if n := c.enter[unix.SYS_READ]; n < 1000 {
					t.Errorf("%d reads", n)
				}
			case "signals":
				// What the kernel returned, not what user code saw.
				want := []int64{-512, -512}
				var got []int64
				for _, r := range c.rets[unix.SYS_READ] {
					if r < 0 {
						got = append(got, r)
					}
				}
				if len(got) != len(want) || got[0] != want[0] || got[1] != want[1] {
					t.Errorf("interrupted reads returned %v, want %v (ERESTARTSYS)", got, want)
				}
			}
		})
	}
}

// The same counts as strace, over everything that a command does, its loader
// included.
func TestLikeStrace(t *testing.T) {
	strace, err := exec.LookPath("strace")
	if err != nil {
		t.Skip("needs strace: not installed")
	}
	// Go's run time reads the cgroup's CPU limit again as time passes.
	t.Setenv("GODEBUG", "updatemaxprocs=0")
	target := compile(t, "target")
	static := compile(t, "target", "-static")
	goTarget := filepath.Join(t.TempDir(), "reader")
	if b, err := exec.Command("go", "build", "-o", goTarget, "testdata/reader.go").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, b)
	}
	for _, args := range [][]string{
		{target, "readfile", "5"},
		{static, "readfile", "5"},
		{goTarget},
		{target, "threads", "50"},
		{target, "chain", "5"},
		{target, "execthread", "5"},
		{target, "signals", "1"},
		{"sh", "-c", "i=0; while [ $i -lt 200 ]; do /bin/true; i=$((i+1)); done"},
		{"sh", "-c", "cat /etc/passwd | tr a b | wc -l >/dev/null; (exec ls /) >/dev/null"},
	} {
		name := filepath.Base(args[0]) + " " + strings.Join(args[1:], " ")
		t.Run(name, func(t *testing.T) {
			out := filepath.Join(t.TempDir(), "strace")
			cmd := exec.Command(strace, append([]string{"-f", "-qq", "-c", "-U", "calls,name", "-e", "trace=read,pread64,readv,getppid", "-o", out, "--"}, args...)...)
			if b, err := cmd.CombinedOutput(); err != nil {
				t.Fatalf("strace: %v\n%s", err, b)
			}
			want := straceCounts(t, out)
			c := newCounter()
			run(t, c, calls(), args...)
			for nr, name := range map[int64]string{unix.SYS_READ: "read", unix.SYS_PREAD64: "pread64", unix.SYS_READV: "readv", unix.SYS_GETPPID: "getppid"} {
				if c.enter[nr] != want[name] {
					t.Errorf("%s: %d, strace counts %d", name, c.enter[nr], want[name])
				}
			}
		})
	}
}

func straceCounts(t *testing.T, file string) map[string]int {
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	counts := map[string]int{}
	for line := range strings.Lines(string(b)) {
		var n int
		var name string
		if k, _ := fmt.Sscan(line, &n, &name); k == 2 && name != "total" {
			counts[name] = n
		}
	}
	if len(counts) == 0 {
		t.Fatalf("strace counted nothing:\n%s", b)
	}
	return counts
}

var processes = flag.Int("processes", 1000, "how many processes TestManyProcesses starts")

func TestManyProcesses(t *testing.T) {
	target := compile(t, "target")
	run(t, newCounter(), calls(), target, "spawn", "10")
	fds, rss := openFiles(t), residentPages(t)
	c := newCounter()
	start := time.Now()
	run(t, c, calls(), target, "spawn", fmt.Sprint(*processes))
	t.Logf("%d processes: %v each", *processes, time.Since(start)/time.Duration(*processes))
	if n := c.enter[unix.SYS_GETPPID]; n != *processes {
		t.Errorf("%d calls in %d processes", n, *processes)
	}
	if n := openFiles(t); n != fds {
		t.Errorf("%d files are open, %d were before", n, fds)
	}
	if n := residentPages(t); n > rss+1024 {
		t.Errorf("%d pages resident, %d were before", n, rss)
	}
	tasks, _ := filepath.Glob("/proc/self/task/*/children")
	for _, f := range tasks {
		if b, _ := os.ReadFile(f); len(b) != 0 {
			t.Errorf("%s: %s", f, b)
		}
	}
}

func openFiles(t *testing.T) int {
	d, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(d)
}

func residentPages(t *testing.T) (n int) {
	runtime.GC()
	b, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		t.Fatal(err)
	}
	var size int
	fmt.Sscan(string(b), &size, &n)
	return n
}

// The host's own children are left to it, and its other goroutines run.
func TestHost(t *testing.T) {
	target := compile(t, "target")
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	stop := make(chan struct{})
	var wg sync.WaitGroup
	ran := 0
	wg.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
			}
			if err := exec.Command("true").Run(); err != nil {
				t.Errorf("a child of the host: %v", err)
			}
			ran++
		}
	})
	var ticks atomic.Int64
	wg.Go(func() {
		tick := time.NewTicker(time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-stop:
				return
			case <-tick.C:
				ticks.Add(1)
			}
		}
	})
	start := time.Now()
	run(t, newCounter(), calls(), target, "basic", "20000")
	busy, during := time.Since(start), ticks.Load()
	run(t, newCounter(), calls(), "sleep", "0.3")
	close(stop)
	wg.Wait()
	t.Logf("%d children, %d ticks in %v of hooked calls, %d in all", ran, during, busy, ticks.Load())
	if ran == 0 || ticks.Load() < 50 {
		t.Errorf("the host was held up: %d children, %d ticks", ran, ticks.Load())
	}
}

// i386 calls are seen when all calls are hooked, and pass when not.
func TestCompat(t *testing.T) {
	target := compile(t, "target")
	c := newCounter()
	if st := run(t, c, calls(), target, "int80", "5"); st.Shell() == 77 {
		t.Skip("needs i386 calls: this kernel has none")
	} else if st.Shell() != 0 {
		t.Errorf("status %+v", st)
	}
	all := newCounter()
	compat := 0
	all.onEnter = func(t *tracer.Thread) {
		if t.Compat && t.Number == 20 {
			compat++
		}
	}
	run(t, all, tracer.Options{All: tracer.Enter}, target, "int80", "5")
	if compat != 5 {
		t.Errorf("%d i386 calls, want 5", compat)
	}
	if all.enter[unix.SYS_EXECVE] != 1 || all.enter[unix.SYS_EXIT_GROUP] != 1 || len(all.exit) != 0 {
		t.Errorf("not all calls, or their exits: %v, %v", all.enter, all.exit)
	}
}

// Hooking every number is hooking all calls.
func TestEveryNumber(t *testing.T) {
	target := compile(t, "target")
	each := tracer.Options{Calls: map[int]tracer.When{}}
	for n := range 480 {
		each.Calls[n] = tracer.Enter
	}
	one, all := newCounter(), newCounter()
	run(t, one, each, target, "chain", "3")
	run(t, all, tracer.Options{All: tracer.Enter}, target, "chain", "3")
	if len(one.enter) < 20 || !maps.Equal(one.enter, all.enter) {
		t.Errorf("by number %v, all %v", one.enter, all.enter)
	}
}

func TestStatus(t *testing.T) {
	for _, tt := range []struct {
		script string
		want   tracer.ExitStatus
	}{
		{"exit 0", tracer.ExitStatus{}},
		{"exit 17", tracer.ExitStatus{Code: 17}},
		{"kill -TERM $$", tracer.ExitStatus{Signal: unix.SIGTERM}},
		{"kill -KILL $$", tracer.ExitStatus{Signal: unix.SIGKILL}},
	} {
		if st := run(t, newCounter(), calls(), "sh", "-c", tt.script); st != tt.want {
			t.Errorf("%s: %+v, want %+v", tt.script, st, tt.want)
		}
	}
	if n := (tracer.ExitStatus{Signal: unix.SIGINT}).Shell(); n != 130 {
		t.Errorf("SIGINT is %d in a shell", n)
	}
}

// A command gets the files, directory, environment and limits that it is given.
func TestCommand(t *testing.T) {
	dir := t.TempDir()
	out, err := os.Create(filepath.Join(dir, "out"))
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	in, inW, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	inW.WriteString("line\n")
	inW.Close()
	defer in.Close()
	runCommand(t, newCounter(), calls(), tracer.Command{
		Path: "sh", Args: []string{"name", "-c", `read x; echo "$0 $x $V"; pwd; ulimit -Sn; set -- /proc/$$/fd/*; echo $#; cat /proc/$$/status | grep SigIgn`},
		Dir: dir, Env: []string{"V=value", "PATH=" + os.Getenv("PATH")},
		Stdin: in, Stdout: out, Stderr: out,
	})
	got, _ := os.ReadFile(out.Name())
	want, err := (&exec.Cmd{
		Path: "/bin/sh", Args: []string{"name", "-c", `read x; echo "$0 $x $V"; pwd; ulimit -Sn; set -- /proc/$$/fd/*; echo $#; cat /proc/$$/status | grep SigIgn`},
		Dir: dir, Env: []string{"V=value", "PATH=" + os.Getenv("PATH")},
		Stdin: strings.NewReader("line\n"),
	}).Output()
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != string(want) {
		t.Errorf("got\n%swant, as os/exec does it,\n%s", got, want)
	}
	// Standard files in each other's places.
	a, b := filepath.Join(dir, "a"), filepath.Join(dir, "b")
	fa, _ := os.Create(a)
	fb, _ := os.Create(b)
	defer fa.Close()
	defer fb.Close()
	runCommand(t, newCounter(), calls(), tracer.Command{Path: "sh", Args: []string{"sh", "-c", "echo a; echo b >&2"}, Stdout: fa, Stderr: fb})
	ab, _ := os.ReadFile(a)
	bb, _ := os.ReadFile(b)
	if string(ab) != "a\n" || string(bb) != "b\n" {
		t.Errorf("stdout %q, stderr %q", ab, bb)
	}
}

func TestStartErrors(t *testing.T) {
	dir := t.TempDir()
	file := func(name, text string, mode os.FileMode) string {
		p := filepath.Join(dir, name)
		if err := os.WriteFile(p, []byte(text), mode); err != nil {
			t.Fatal(err)
		}
		return p
	}
	for _, tt := range []struct {
		cmd  tracer.Command
		want error
		text string
	}{
		{tracer.Command{Path: "no-such-command"}, tracer.ErrCommandNotFound, "it is in no directory of PATH"},
		{tracer.Command{Path: dir + "/none"}, tracer.ErrCommandNotFound, "no such file"},
		{tracer.Command{Path: dir}, tracer.ErrNotExecutable, "directory"},
		{tracer.Command{Path: file("plain", "x", 0o644)}, tracer.ErrNotExecutable, "no permission"},
		{tracer.Command{Path: file("text", "x", 0o755)}, tracer.ErrNotExecutable, "not a program for this machine"},
		{tracer.Command{Path: file("script", "#!/no/such/interpreter\n", 0o755)}, tracer.ErrNotExecutable, "interpreter that it names is missing"},
		{tracer.Command{Path: "true", Dir: dir + "/none"}, unix.ENOENT, "working directory"},
		{tracer.Command{Path: "true", Args: []string{"a\x00b"}}, unix.EINVAL, "NUL"},
	} {
		_, err := tracer.Start(tt.cmd, calls(), newCounter())
		if !errors.Is(err, tt.want) || !strings.Contains(fmt.Sprint(err), tt.text) {
			t.Errorf("%v: %v, want %v with %q", tt.cmd, err, tt.want, tt.text)
		}
	}
}

func TestMemoryAndRegs(t *testing.T) {
	target := compile(t, "target")
	c := newCounter()
	paths, short := 0, 0
	c.onEnter = func(th *tracer.Thread) {
		if th.Number != unix.SYS_OPENAT {
			return
		}
		regs, err := th.Regs()
		if err != nil || regs.OrigRax != uint64(th.Number) || regs.Rsi != th.Args[1] || regs.Rip != th.IP || regs.Rsp != th.SP {
			t.Errorf("registers %+v, %v", regs, err)
		}
		b := make([]byte, 64)
		n := th.ReadAt(b, th.Args[1])
		if strings.HasPrefix(string(b[:n]), "/proc/self/exe\x00") {
			paths++
		}
		if th.ReadAt(b, 0) == 0 && th.ReadAt(b, 1<<63) == 0 && th.ReadAt(b, ^uint64(0)-4) == 0 && th.ReadAt(nil, 0) == 0 {
			short++
		}
		// The end of the stack is the end of a mapping.
		big := make([]byte, 64<<20)
		if n := th.ReadAt(big, th.SP); n == 0 || n == len(big) || (th.SP+uint64(n))%4096 != 0 {
			t.Errorf("read %d bytes from the stack on", n)
		}
	}
	o := tracer.Options{Calls: map[int]tracer.When{unix.SYS_OPENAT: tracer.Enter}}
	run(t, c, o, target, "readfile", "1")
	if paths != 1 || short != c.enter[unix.SYS_OPENAT] {
		t.Errorf("%d paths, %d of %d reads of nothing gave nothing", paths, short, c.enter[unix.SYS_OPENAT])
	}
}

// A new thread returns from the call that made it, as in the kernel.
func TestChildExits(t *testing.T) {
	c := newCounter()
	children := 0
	c.onExit = func(th *tracer.Thread) {
		if th.Ret == 0 {
			children++
			regs, err := th.Regs()
			if err != nil || regs.Rax != 0 {
				t.Errorf("registers of a new thread: %+v, %v", regs, err)
			}
		}
	}
	w := tracer.Enter | tracer.Exit
	o := tracer.Options{Calls: map[int]tracer.When{unix.SYS_CLONE: w, unix.SYS_CLONE3: w, unix.SYS_FORK: w, unix.SYS_VFORK: w}}
	run(t, c, o, compile(t, "target"), "chain", "1")
	enter, exit := 0, 0
	for _, n := range c.enter {
		enter += n
	}
	for _, n := range c.exit {
		exit += n
	}
	if enter != 10 || exit != 20 || children != 10 {
		t.Errorf("%d entries, %d exits, %d of them in children", enter, exit, children)
	}
}

func TestKill(t *testing.T) {
	target := compile(t, "target")
	tr, err := tracer.Start(tracer.Command{Path: target, Args: []string{target, "sleeper"}}, calls(), newCounter())
	if err != nil {
		t.Fatal(err)
	}
	time.Sleep(100 * time.Millisecond)
	if err := tr.Signal(unix.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if st, err := tr.Wait(); err != nil || st.Signal != unix.SIGTERM {
		t.Errorf("status %+v, %v", st, err)
	}
	select {
	case <-tr.Done():
		t.Error("the descendants are gone too")
	case <-time.After(50 * time.Millisecond):
	}
	if err := tr.Signal(unix.SIGTERM); !errors.Is(err, os.ErrProcessDone) {
		t.Errorf("signal after the end: %v", err)
	}
	tr.Kill()
	select {
	case <-tr.Done():
	case <-time.After(5 * time.Second):
		t.Error("Kill left somebody")
	}
}

// BenchmarkStop is a stop of a thread at a hooked call, which does nothing.
func BenchmarkStop(b *testing.B) {
	loop := compile(b, "target")
	for _, bb := range []struct {
		name string
		when tracer.When
	}{{"enter", tracer.Enter}, {"both", tracer.Enter | tracer.Exit}} {
		b.Run(bb.name, func(b *testing.B) {
			o := tracer.Options{Calls: map[int]tracer.When{unix.SYS_GETPPID: bb.when}}
			tr, err := tracer.Start(tracer.Command{Path: loop, Args: []string{"target", "basic", fmt.Sprint(b.N)}}, o, nop{})
			if err != nil {
				b.Fatal(err)
			}
			<-tr.Done()
		})
	}
}

type nop struct{}

func (nop) Enter(t *tracer.Thread)                 {}
func (nop) Exit(t *tracer.Thread)                  {}
func (nop) Forked(parent, child *tracer.Thread)    {}
func (nop) Execed(t *tracer.Thread, formerTID int) {}
func (nop) Exited(t *tracer.Thread)                {}
