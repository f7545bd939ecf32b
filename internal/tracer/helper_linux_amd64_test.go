package tracer_test

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/skep-bpf/skep/internal/tracer"
)

// Some tests need a tracer in a process of its own: this binary, told by the
// environment what to be.
const helperVar = "SKEP_TEST_HELPER"

func TestMain(m *testing.M) {
	if mode := os.Getenv(helperVar); mode != "" {
		os.Unsetenv(helperVar)
		helpers[mode](os.Args[1:])
	}
	var err error
	if buildDir, err = os.MkdirTemp("", "skep-tracer"); err != nil {
		panic(err)
	}
	code := m.Run()
	os.RemoveAll(buildDir)
	os.Exit(code)
}

// buildDir holds the targets.
var buildDir string

var helpers = map[string]func(args []string){
	"trace":  trace,
	"shell":  shell,
	"opaque": func(args []string) { unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0); trace(args) },
	"no-ptrace": func(args []string) {
		forbid(unix.SYS_PTRACE)
		trace(args)
	},
	"no-seccomp": func(args []string) {
		forbid(unix.SYS_SECCOMP)
		trace(args)
	},
}

// helper is a command that runs this binary as one of the helpers.
func helper(mode string, args ...string) *exec.Cmd {
	cmd := exec.Command("/proc/self/exe", args...)
	cmd.Env = append(os.Environ(), helperVar+"="+mode)
	return cmd
}

// trace runs a command as `skep run` does: it outlives Ctrl-C.
func trace(args []string) {
	signal.Notify(make(chan os.Signal, 1), unix.SIGINT, unix.SIGQUIT)
	tr, err := tracer.Start(tracer.Command{Path: args[0], Args: args}, calls(), nop{})
	if err != nil {
		fmt.Println(err)
		os.Exit(125)
	}
	st, _ := tr.Wait()
	<-tr.Done()
	os.Exit(st.Shell())
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
	prog := unix.SockFprog{Len: uint16(len(p)), Filter: &p[0]}
	runtime.LockOSThread()
	unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
	_, _, e := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, unix.SECCOMP_FILTER_FLAG_TSYNC, uintptr(unsafe.Pointer(&prog)))
	if e != 0 {
		panic(e)
	}
}

func TestNotPermitted(t *testing.T) {
	for _, tt := range []struct {
		mode, want string
		user       bool
	}{
		{"no-ptrace", "ptrace not permitted: a seccomp filter of our surroundings", false},
		{"no-seccomp", "seccomp not permitted: operation not permitted: a seccomp filter of our surroundings", false},
		{"opaque", "process is not dumpable: the binary must be readable", true},
	} {
		cmd := helper(tt.mode, "true")
		if tt.user && os.Getuid() == 0 {
			// To root nothing is non-dumpable.
			cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
		}
		out, err := cmd.CombinedOutput()
		var ee *exec.ExitError
		if !errors.As(err, &ee) || ee.ExitCode() != 125 || !strings.Contains(string(out), tt.want) {
			t.Errorf("%s: %v, %s, want %q", tt.mode, err, out, tt.want)
		}
	}
}

// When the tracer is killed, so is the tree: nobody stays stopped.
func TestTracerKilled(t *testing.T) {
	target := compile(t, "target")
	for range 3 {
		cmd := helper("trace", target, "sleeper")
		cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		deadline := time.Now().Add(10 * time.Second)
		for len(group(t, cmd.Process.Pid)) < 8 && time.Now().Before(deadline) {
			time.Sleep(5 * time.Millisecond)
		}
		before := group(t, cmd.Process.Pid)
		if len(before) < 8 {
			t.Fatalf("only %v run", before)
		}
		cmd.Process.Kill()
		cmd.Wait()
		for len(group(t, cmd.Process.Pid)) > 0 && time.Now().Before(deadline) {
			time.Sleep(5 * time.Millisecond)
		}
		if left := group(t, cmd.Process.Pid); len(left) > 0 {
			t.Errorf("left over: %v", left)
		}
	}
}

// group are the processes of a process group and their states, zombies of dead
// parents excepted: init has them.
func group(t *testing.T, pgid int) map[int]string {
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		t.Fatal(err)
	}
	out := map[int]string{}
	for _, f := range stats {
		b, err := os.ReadFile(f)
		if err != nil {
			continue
		}
		_, rest, _ := bytes.Cut(b, []byte(") "))
		var state string
		var ppid, pg int
		if _, err := fmt.Sscan(string(rest), &state, &ppid, &pg); err != nil || pg != pgid || state == "Z" {
			continue
		}
		pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(f)))
		out[pid] = state
	}
	return out
}

// A tracer inside a tree gets EPERM and says so; it does not hang.
func TestNestedTracer(t *testing.T) {
	for _, args := range [][]string{
		{"strace", "-f", "true"},
		{"gdb", "-batch", "-nx", "-ex", "run", "/bin/true"},
	} {
		if _, err := exec.LookPath(args[0]); err != nil {
			t.Logf("not tried: no %s", args[0])
			continue
		}
		out, err := os.Create(filepath.Join(t.TempDir(), "out"))
		if err != nil {
			t.Fatal(err)
		}
		defer out.Close()
		runCommand(t, newCounter(), calls(), tracer.Command{Path: args[0], Args: args, Stdout: out, Stderr: out})
		b, _ := os.ReadFile(out.Name())
		if !strings.Contains(strings.ToLower(string(b)), "not permitted") {
			t.Errorf("%v says:\n%s", args, b)
		}
	}
}

// Without CAP_SYS_ADMIN a set-uid program stays who it was; with it, it works.
func TestSetuid(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("needs root: only it can make a program that is set-uid root")
	}
	dir, err := os.MkdirTemp("", "skep-setuid")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	var fs unix.Statfs_t
	if unix.Statfs(dir, &fs) != nil || fs.Flags&unix.ST_NOSUID != 0 {
		t.Skip("needs set-uid programs: the temporary folder is mounted nosuid")
	}
	target := compile(t, "target")
	suid := filepath.Join(dir, "target")
	b, err := os.ReadFile(target)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(os.WriteFile(suid, b, 0o755), os.Chmod(suid, 0o4755|os.ModeSetuid), os.Chmod(dir, 0o755)); err != nil {
		t.Fatal(err)
	}
	nobody := &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	direct := exec.Command(suid, "euid")
	direct.SysProcAttr = nobody
	if err := direct.Run(); err != nil {
		t.Fatalf("the program is not set-uid: %v", err)
	}
	traced := helper("trace", suid, "euid")
	traced.SysProcAttr = nobody
	out, err := traced.CombinedOutput()
	if traced.ProcessState.ExitCode() != 33 {
		t.Errorf("under an ordinary user's tracer: %v, %s, want that it stays user 65534", err, out)
	}
	byRoot := helper("trace", target, "dropped")
	byRoot.Env = append(byRoot.Env, "SETUID="+suid)
	if out, err := byRoot.CombinedOutput(); err != nil {
		t.Errorf("under root's tracer: %v, %s, want that it becomes root", err, out)
	}
}

// shell is what a shell does with a job: a process group of its own in the
// foreground, and told when it stops or ends. A line on fd 3 is `fg`.
func shell(args []string) {
	runtime.LockOSThread()
	signal.Ignore(unix.SIGTTOU)
	in, out := bufio.NewReader(os.NewFile(3, "in")), os.NewFile(4, "out")
	cmd := helper("trace", args...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Foreground: true, Ctty: 0}
	if err := cmd.Start(); err != nil {
		panic(err)
	}
	pid := cmd.Process.Pid
	for {
		var st unix.WaitStatus
		if _, err := unix.Wait4(pid, &st, unix.WUNTRACED, nil); err == unix.EINTR {
			continue
		} else if err != nil {
			panic(err)
		}
		if !st.Stopped() {
			fmt.Fprintf(out, "ended %d\n", st.ExitStatus())
			os.Exit(0)
		}
		unix.IoctlSetPointerInt(0, unix.TIOCSPGRP, unix.Getpgrp())
		fmt.Fprintf(out, "stopped %s\n", unix.SignalName(st.StopSignal()))
		in.ReadString('\n')
		unix.IoctlSetPointerInt(0, unix.TIOCSPGRP, pid)
		unix.Kill(-pid, unix.SIGCONT)
		fmt.Fprintln(out, "continued")
	}
}

// A terminal and a shell on it, with a traced job in the foreground.
type job struct {
	t      *testing.T
	master *os.File
	screen *bufio.Reader
	fg     *os.File
	told   *bufio.Reader
	cmd    *exec.Cmd
}

func startJob(t *testing.T, args ...string) *job {
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Skipf("needs a pseudo-terminal: %v", err)
	}
	t.Cleanup(func() { master.Close() })
	if err := unix.IoctlSetPointerInt(int(master.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Skipf("needs a pseudo-terminal: %v", err)
	}
	n, err := unix.IoctlGetInt(int(master.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Skipf("needs a pseudo-terminal: %v", err)
	}
	slave, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Skipf("needs a pseudo-terminal: %v", err)
	}
	defer slave.Close()
	inR, inW, _ := os.Pipe()
	outR, outW, _ := os.Pipe()
	cmd := helper("shell", args...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = slave, slave, slave
	cmd.ExtraFiles = []*os.File{inR, outW}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	inR.Close()
	outW.Close()
	watchdog := time.AfterFunc(20*time.Second, func() { master.Close(); cmd.Process.Kill() })
	t.Cleanup(func() { watchdog.Stop(); inW.Close(); outR.Close(); cmd.Process.Kill(); cmd.Wait() })
	return &job{t, master, bufio.NewReader(master), inW, bufio.NewReader(outR), cmd}
}

// sees waits for a line on the screen.
func (j *job) sees(want string) {
	j.t.Helper()
	for {
		line, err := j.screen.ReadString('\n')
		if strings.Contains(line, want) {
			return
		}
		if err != nil {
			j.t.Fatalf("the screen ends without %q: %v", want, err)
		}
	}
}

func (j *job) types(s string) { io.WriteString(j.master, s) }

// hears waits for what the shell is told next.
func (j *job) hears(want string) {
	j.t.Helper()
	if line, err := j.told.ReadString('\n'); strings.TrimSpace(line) != want {
		j.t.Fatalf("the shell is told %q, %v, want %q", line, err, want)
	}
}

func TestJobControl(t *testing.T) {
	target := compile(t, "target")
	t.Run("stop and go on", func(t *testing.T) {
		j := startJob(t, target, "tty")
		j.sees("ready")
		for range 5 {
			j.types("\x1a") // Ctrl-Z
			j.hears("stopped SIGTSTP")
			fmt.Fprintln(j.fg)
			j.hears("continued")
			j.types("x\n")
		}
		j.types("q\n")
		j.sees("quit")
		j.hears("ended 0")
	})
	t.Run("interrupt", func(t *testing.T) {
		j := startJob(t, target, "tty")
		j.sees("ready")
		j.types("\x03") // Ctrl-C
		j.hears("ended 130")
	})
	t.Run("end of input", func(t *testing.T) {
		j := startJob(t, target, "tty")
		j.sees("ready")
		j.types("\x04") // Ctrl-D
		j.hears("ended 5")
	})
}
