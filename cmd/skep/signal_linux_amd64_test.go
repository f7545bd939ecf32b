package main

import (
	"bytes"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
)

// background is skep in a process group of its own, as a shell starts it.
type background struct {
	*exec.Cmd
	stdout lineWaiter
	stderr bytes.Buffer
}

// lineWaiter closes ready when the watched command has written something.
type lineWaiter struct {
	ready chan struct{}
	done  bool
}

func (l *lineWaiter) Write(p []byte) (int, error) {
	if !l.done {
		l.done = true
		close(l.ready)
	}
	return len(p), nil
}

// start runs skep on a shell script, which says something when it is ready.
func start(t *testing.T, script string) *background {
	t.Helper()
	path, err := exec.LookPath("skep")
	if err != nil {
		t.Fatal(err)
	}
	b := &background{Cmd: exec.Command(path, "run", "sysread", "--", "sh", "-c", script)}
	b.stdout.ready = make(chan struct{})
	b.Stdout, b.Stderr = &b.stdout, &b.stderr
	b.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := b.Start(); err != nil {
		t.Fatal(err)
	}
	select {
	case <-b.stdout.ready:
	case <-time.After(20 * time.Second):
		b.Process.Kill()
		b.Wait()
		t.Fatalf("the command does not start: %s", b.stderr.String())
	}
	return b
}

// ends checks the exit code, and that there is a table.
func (b *background) ends(t *testing.T, code int) {
	t.Helper()
	b.Wait()
	if got := b.ProcessState.ExitCode(); got != code {
		t.Errorf("exit code %d, want %d", got, code)
	}
	if !strings.Contains(b.stderr.String(), "COMMAND") {
		t.Errorf("no table: %s", b.stderr.String())
	}
}

// Ctrl-C reaches the whole foreground process group. The command decides.
func TestInterruptIsTheCommands(t *testing.T) {
	b := start(t, `trap 'exit 5' INT; echo ready; while :; do sleep 0.05; done`)
	syscall.Kill(-b.Process.Pid, syscall.SIGINT)
	b.ends(t, 5)
}

func TestInterruptKillsTheCommand(t *testing.T) {
	// exec: a shell loses signals that come between its vfork and the child's exec.
	b := start(t, `echo ready; exec sleep 20`)
	syscall.Kill(-b.Process.Pid, syscall.SIGINT)
	b.ends(t, 128+int(syscall.SIGINT))
}

// SIGTERM to skep alone asks the command to end.
func TestTerminateIsPassedOn(t *testing.T) {
	b := start(t, `trap 'exit 6' TERM; echo ready; while :; do sleep 0.05; done`)
	b.Process.Signal(os.Signal(syscall.SIGTERM))
	b.ends(t, 6)
}
