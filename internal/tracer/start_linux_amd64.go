package tracer

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"
)

// lookPath finds the program as a shell does.
func lookPath(name string) (string, error) {
	path, err := exec.LookPath(name)
	switch {
	case err == nil:
		return path, nil
	case errors.Is(err, exec.ErrDot):
		return "", &StartError{Command: name, Kind: ErrNotExecutable, Reason: "PATH finds it in the current directory only: write ./" + name, Err: err}
	case errors.Is(err, unix.EISDIR):
		return "", &StartError{Command: name, Kind: ErrNotExecutable, Reason: "it is a directory", Err: err}
	case errors.Is(err, fs.ErrPermission):
		return "", &StartError{Command: name, Kind: ErrNotExecutable, Reason: "no permission to execute it", Err: err}
	}
	reason := "no such file"
	if !strings.Contains(name, "/") {
		reason = "it is in no directory of PATH"
	}
	return "", &StartError{Command: name, Kind: ErrCommandNotFound, Reason: reason, Err: err}
}

// readFailure is why the command ended before it began.
func (tr *Tree) readFailure(status unix.WaitStatus) error {
	var f failure
	b := unsafe.Slice((*byte)(unsafe.Pointer(&f)), unsafe.Sizeof(f))
	if n, err := unix.Read(tr.report, b); err != nil || n != len(b) {
		return &StartError{Reason: "it ended before it began", Err: fmt.Errorf("wait status %#x", uint32(status))}
	}
	errno := unix.Errno(f.Errno)
	switch f.Stage {
	case stageFiles:
		return &StartError{Reason: "its standard files can't be set up", Err: errno}
	case stageDir:
		return &StartError{Reason: "its working directory can't be entered", Err: errno}
	case stageLimit:
		return &StartError{Reason: "its file limit can't be set", Err: errno}
	case stageFilter:
		return seccompError(errno)
	}
	e := &StartError{Kind: ErrNotExecutable, Err: errno}
	switch errno {
	case unix.ENOENT:
		e.Reason = "the interpreter that it names is missing"
	case unix.ENOEXEC:
		e.Reason = "not a program for this machine; a script needs a first line such as #!/bin/sh"
	default:
		e.Reason = errno.Error()
	}
	return e
}

// ptraceError explains why PTRACE_SEIZE of our own child failed.
func ptraceError(err error) error {
	e := &StartError{Kind: ErrPtraceNotPermitted, Err: err}
	scope := "?"
	if b, err := os.ReadFile("/proc/sys/kernel/yama/ptrace_scope"); err == nil {
		scope = string(bytes.TrimSpace(b))
	}
	dumpable, _, errno := unix.RawSyscall6(unix.SYS_PRCTL, unix.PR_GET_DUMPABLE, 0, 0, 0, 0, 0)
	switch {
	case errno == 0 && dumpable != 1:
		e.Kind = fmt.Errorf("%w: %w", ErrPtraceNotPermitted, ErrNonDumpable)
		e.Reason = "the binary must be readable by its user, and must not have been made non-dumpable by prctl"
	case scope == "3":
		e.Reason = "kernel.yama.ptrace_scope is 3, which forbids all tracing until the next boot"
	case scope == "2":
		e.Reason = "kernel.yama.ptrace_scope is 2: only a process with CAP_SYS_PTRACE may trace; set it to 1 or 0, or add that capability"
	case filtered():
		e.Reason = "a seccomp filter of our surroundings forbids it, as some container profiles do: allow ptrace there (docker: --cap-add SYS_PTRACE, or a seccomp profile with ptrace)"
	default:
		e.Reason = fmt.Sprintf("%v; a security module may forbid it", err)
	}
	return e
}

// seccompError explains why a process could not install our filter.
func seccompError(errno unix.Errno) error {
	e := &StartError{Kind: ErrSeccompNotPermitted, Err: errno}
	switch {
	case errno == unix.ENOSYS || errno == unix.EINVAL:
		e.Reason = fmt.Sprintf("%v: the kernel is built without CONFIG_SECCOMP_FILTER", errno)
	case filtered():
		e.Reason = fmt.Sprintf("%v: a seccomp filter of our surroundings forbids it, as some container profiles do: allow seccomp and prctl there", errno)
	default:
		e.Reason = errno.Error()
	}
	return e
}

// filtered reports whether we run under a seccomp filter ourselves.
func filtered() bool {
	b, err := os.ReadFile("/proc/self/status")
	return err == nil && bytes.Contains(b, []byte("\nSeccomp:\t2"))
}
