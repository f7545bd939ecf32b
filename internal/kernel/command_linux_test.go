package kernel_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/skep-bpf/skep/internal/kernel"
)

// needCgroup skips where this process can't make a cgroup.
func needCgroup(t testing.TB) {
	t.Helper()
	cmd := &kernel.Command{Path: "true"}
	err := cmd.Start(context.Background())
	if errors.Is(err, kernel.ErrNoCgroup) {
		t.Skipf("skip: %v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	if _, err := cmd.Wait(); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestCommand(t *testing.T) {
	needCgroup(t)
	dir := t.TempDir()
	in := filepath.Join(dir, "in")
	if err := os.WriteFile(in, []byte("what came in"), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		script         string
		status         kernel.Status
		stdout, stderr string
	}{
		{"exit 0", kernel.Status{}, "", ""},
		{"exit 7", kernel.Status{Code: 7}, "", ""},
		{"kill -TERM $$", kernel.Status{Signal: unix.SIGTERM}, "", ""},
		{"pwd; echo $SKEP_WORD; cat; echo wrong >&2", kernel.Status{}, dir + "\nbee\nwhat came in", "wrong\n"},
	} {
		stdin, err := os.Open(in)
		if err != nil {
			t.Fatal(err)
		}
		out, err := os.Create(filepath.Join(dir, "out"))
		if err != nil {
			t.Fatal(err)
		}
		errs, err := os.Create(filepath.Join(dir, "err"))
		if err != nil {
			t.Fatal(err)
		}
		cmd := &kernel.Command{
			Path: "sh", Args: []string{"-c", tt.script}, Dir: dir, Env: append(os.Environ(), "SKEP_WORD=bee"),
			Stdin: stdin, Stdout: out, Stderr: errs,
		}
		if got := finish(t, cmd); got != tt.status {
			t.Errorf("%s: ended with %+v, want %+v", tt.script, got, tt.status)
		}
		for f, want := range map[*os.File]string{out: tt.stdout, errs: tt.stderr} {
			if _, err := f.Seek(0, io.SeekStart); err != nil {
				t.Fatal(err)
			}
			if got, err := io.ReadAll(f); err != nil || string(got) != want {
				t.Errorf("%s: %s is %q, %v, want %q", tt.script, f.Name(), got, err, want)
			}
			f.Close()
		}
		stdin.Close()
		if err := cmd.Signal(unix.SIGTERM); !errors.Is(err, os.ErrProcessDone) {
			t.Errorf("%s: signal after the end: %v", tt.script, err)
		}
		if err := cmd.Kill(); err != nil {
			t.Errorf("%s: kill after the end: %v", tt.script, err)
		}
		if err := cmd.Start(context.Background()); err == nil {
			t.Errorf("%s: it can be started again", tt.script)
		}
	}
	if left := ownCgroups(t); len(left) > 0 {
		t.Errorf("cgroups were left: %v", left)
	}
}

func TestCommandErrors(t *testing.T) {
	needCgroup(t)
	dir := t.TempDir()
	file := func(name, text string, mode os.FileMode) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), mode); err != nil {
			t.Fatal(err)
		}
		return path
	}
	for _, tt := range []struct {
		cmd  *kernel.Command
		kind error
		want string
	}{
		{&kernel.Command{Path: "no-such-command-of-skep"}, kernel.ErrCommandNotFound, "no-such-command-of-skep: command not found: it is in no directory of PATH"},
		{&kernel.Command{Path: dir + "/none"}, kernel.ErrCommandNotFound, "no such file"},
		{&kernel.Command{Path: file("plain", "x", 0o644)}, kernel.ErrNotExecutable, "no permission to execute it"},
		{&kernel.Command{Path: dir}, kernel.ErrNotExecutable, "no permission to execute it"},
		{&kernel.Command{Path: file("text", "echo hello", 0o755)}, kernel.ErrNotExecutable, "a script needs a first line"},
		{&kernel.Command{Path: file("script", "#!/no/such/shell\n", 0o755)}, kernel.ErrNotExecutable, "the interpreter that it names is missing"},
		{&kernel.Command{Path: "true", Dir: dir + "/none"}, kernel.ErrNotExecutable, "none can't be entered: no such file or directory"},
	} {
		err := tt.cmd.Start(context.Background())
		if !errors.Is(err, tt.kind) || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %v: %s", tt.cmd.Path, err, tt.kind, tt.want)
		}
		if _, err := tt.cmd.Wait(); err == nil {
			t.Errorf("%s: Wait for a command that did not start", tt.cmd.Path)
		}
	}
	if left := ownCgroups(t); len(left) > 0 {
		t.Errorf("cgroups were left: %v", left)
	}
	cmd := &kernel.Command{Path: "true"}
	if err := errors.Join(cmd.Close()); err != nil || cmd.PID() != 0 {
		t.Errorf("before Start: Close %v, PID %d", err, cmd.PID())
	}
	for what, err := range map[string]error{"Drain": cmd.Drain(context.Background()), "Signal": cmd.Signal(unix.SIGTERM), "Kill": cmd.Kill()} {
		if err == nil {
			t.Errorf("%s before Start", what)
		}
	}
}

// When Drain's time is over the descendants are killed, also those that ignore
// what can be ignored.
func TestDrainKills(t *testing.T) {
	needCgroup(t)
	cmd := &kernel.Command{Path: "sh", Args: []string{"-c", `trap "" TERM HUP INT; (sleep 1000 & sleep 1000) & sleep 1000 & exit 3`}}
	if err := cmd.Start(context.Background()); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	if status, err := cmd.Wait(); err != nil || status.Code != 3 {
		t.Errorf("ended with %+v, %v", status, err)
	}
	if err := cmd.Drain(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Drain: %v", err)
	}
	if err := cmd.Close(); err != nil {
		t.Error(err)
	}
	if left := ownCgroups(t); len(left) > 0 {
		t.Errorf("cgroups were left: %v", left)
	}
}

// Close lets the command go on, in the cgroup above.
func TestCloseLetsGo(t *testing.T) {
	needCgroup(t)
	cmd := &kernel.Command{Path: "sleep", Args: []string{"1000"}}
	if err := cmd.Start(context.Background()); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Close(); err != nil {
		t.Fatal(err)
	}
	if left := ownCgroups(t); len(left) > 0 {
		t.Errorf("cgroups were left: %v", left)
	}
	of := func(pid string) string {
		b, err := os.ReadFile("/proc/" + pid + "/cgroup")
		if err != nil {
			t.Fatal(err)
		}
		return string(b[strings.Index(string(b), "0::"):])
	}
	if its, ours := of(fmt.Sprint(cmd.PID())), of("self"); its != ours {
		t.Errorf("it is in %s, we are in %s", its, ours)
	}
	if err := cmd.Signal(unix.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if status, err := cmd.Wait(); err != nil || status.Signal != unix.SIGKILL {
		t.Errorf("ended with %+v, %v", status, err)
	}
}

func init() {
	helpers["start"] = func(args []string) int {
		cmd := &kernel.Command{Path: args[0], Args: args[1:]}
		if err := cmd.Start(context.Background()); err != nil {
			fmt.Println(err)
			return 1
		}
		fmt.Println(cmd.PID())
		select {}
	}
}

// A process that is killed leaves its cgroup behind. The next one removes it, but
// not while somebody lives there.
func TestStaleCgroups(t *testing.T) {
	needCgroup(t)
	type maker struct {
		*exec.Cmd
		command int // the process id of its command
	}
	start := func(script string) maker {
		cmd := helper("start", "sh", "-c", script)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		m := maker{Cmd: cmd}
		if _, err := fmt.Fscan(out, &m.command); err != nil {
			t.Fatal(err)
		}
		return m
	}
	kill := func(m maker) {
		m.Process.Kill()
		m.Wait()
	}
	inhabited := start("exec sleep 1000")
	empty := start("exit 0")
	for len(cgroupsOf(t, empty.Process.Pid)) > 0 {
		time.Sleep(time.Millisecond) // it has cleared up after its command
	}
	// As if it had been killed just before.
	if err := os.Mkdir(filepath.Join(cgroupOf(t, os.Getpid()), fmt.Sprintf("skep-%d-99", empty.Process.Pid)), 0o755); err != nil {
		t.Fatal(err)
	}
	kill(inhabited)
	kill(empty)
	for _, m := range []maker{inhabited, empty} {
		if n := len(cgroupsOf(t, m.Process.Pid)); n != 1 {
			t.Errorf("process %d has left %d cgroups, want 1", m.Process.Pid, n)
		}
	}
	needCgroup(t) // makes one, and looks around
	if left := cgroupsOf(t, empty.Process.Pid); len(left) > 0 {
		t.Errorf("the empty one of a dead process is still there: %v", left)
	}
	if left := cgroupsOf(t, inhabited.Process.Pid); len(left) != 1 {
		t.Errorf("the one with a process: %v", left)
	}
	if err := unix.Kill(inhabited.command, unix.SIGKILL); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(10 * time.Second); len(cgroupsOf(t, inhabited.Process.Pid)) > 0; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("it is still there after its process has ended")
		}
		needCgroup(t)
	}
}

// cgroupOf is the directory of a process's cgroup.
func cgroupOf(t testing.TB, pid int) string {
	t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/cgroup", pid))
	if err != nil {
		t.Fatal(err)
	}
	_, path, _ := strings.Cut(string(b), "0::")
	return filepath.Join(cgroupMount(t), strings.TrimSpace(path))
}

// Many at once: each has its own cgroup, and none takes another's for stale.
func TestManyCommands(t *testing.T) {
	needCgroup(t)
	done := make(chan error)
	for i := range 8 {
		go func() {
			for range 5 {
				cmd := &kernel.Command{Path: "sh", Args: []string{"-c", fmt.Sprintf("exit %d", i)}}
				if err := cmd.Start(context.Background()); err != nil {
					done <- err
					return
				}
				status, err := cmd.Wait()
				if err := errors.Join(err, cmd.Drain(context.Background())); err != nil {
					done <- err
					return
				}
				if status.Code != i {
					done <- fmt.Errorf("ended with %+v, want code %d", status, i)
					return
				}
			}
			done <- nil
		}()
	}
	for range 8 {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	if left := ownCgroups(t); len(left) > 0 {
		t.Errorf("cgroups were left: %v", left)
	}
}

func init() {
	// In a mount namespace of its own: runs a command where cgroup v2 and tracefs
	// are mounted nowhere.
	helpers["no-mounts"] = func([]string) int {
		mounts, err := os.ReadFile("/proc/self/mounts")
		if err != nil {
			fmt.Println(err)
			return 1
		}
		for line := range strings.Lines(string(mounts)) {
			if f := strings.Fields(line); f[2] == "cgroup2" || f[2] == "tracefs" {
				if err := unix.Unmount(f[1], unix.MNT_DETACH); err != nil {
					fmt.Println(err)
					return 1
				}
			}
		}
		cmd := &kernel.Command{Path: "sh", Args: []string{"-c", "sed -n s/^0:://p /proc/self/cgroup; exit 5"}}
		if err := cmd.Start(context.Background()); err != nil {
			fmt.Println(err)
			return 1
		}
		status, err := cmd.Wait()
		if err := errors.Join(err, cmd.Drain(context.Background())); err != nil {
			fmt.Println(err)
			return 1
		}
		return status.Code
	}
}

func TestNothingMounted(t *testing.T) {
	needCgroup(t)
	cmd := helper("no-mounts")
	cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: unix.CLONE_NEWNS}
	out, err := cmd.Output()
	if errors.Is(err, unix.EPERM) {
		t.Skipf("skip: no mount namespaces: %v", err)
	}
	var exit *exec.ExitError
	want := fmt.Sprintf("/skep-%d-1\n", cmd.Process.Pid)
	if !errors.As(err, &exit) || exit.ExitCode() != 5 || !strings.HasSuffix(string(out), want) {
		t.Errorf("%v, %q, want exit code 5 and %q", err, out, want)
	}
	if left := cgroupsOf(t, cmd.Process.Pid); len(left) > 0 {
		t.Errorf("cgroups were left: %v", left)
	}
}
