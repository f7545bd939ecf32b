package main

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// onTerminal is what skep writes to a terminal.
func onTerminal(t *testing.T, env string, args ...string) string {
	t.Helper()
	control, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Skipf("no pseudo-terminals here: %v", err)
	}
	defer control.Close()
	if err := unix.IoctlSetPointerInt(int(control.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(int(control.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	user, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer user.Close()
	path, err := exec.LookPath("skep")
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(path, args...)
	cmd.Env = append(os.Environ(), "TERM=xterm", env)
	cmd.Stdout, cmd.Stderr = user, user
	if err := cmd.Run(); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 1<<16)
	size, err := control.Read(b)
	if err != nil {
		t.Fatal(err)
	}
	return string(b[:size])
}

func TestColour(t *testing.T) {
	if out := onTerminal(t, "NO_COLOR=", "run"); !strings.Contains(out, "\x1b[1mTOOL") {
		t.Errorf("no colour on a terminal: %q", out)
	}
	if out := onTerminal(t, "NO_COLOR=1", "run"); strings.Contains(out, "\x1b") || !strings.Contains(out, "reads") {
		t.Errorf("NO_COLOR is not heard: %q", out)
	}
}
