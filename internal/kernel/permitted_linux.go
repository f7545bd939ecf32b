package kernel

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/features"
	"golang.org/x/sys/unix"
)

// Permitted reports, as an *Error, why this process may not use bpf(): nil if it
// may.
func Permitted() error {
	m, err := ebpf.NewMap(&ebpf.MapSpec{Type: ebpf.CGroupArray, KeySize: 4, ValueSize: 4, MaxEntries: 1})
	if err == nil {
		return m.Close()
	}
	e := &Error{Kind: ErrNotPermitted, Err: err}
	switch {
	case errors.Is(err, unix.ENOSYS):
		e.Reason = "the kernel is built without bpf() (CONFIG_BPF_SYSCALL), or a seccomp filter says so"
	case isPermission(err):
		e.Reason = whyNotPermitted()
	default:
		e.Reason = err.Error()
	}
	return e
}

func isPermission(err error) bool { return errors.Is(err, unix.EPERM) || errors.Is(err, unix.EACCES) }

func haveProgramType(t ebpf.ProgramType) bool {
	return !errors.Is(features.HaveProgramType(t), ebpf.ErrNotSupported)
}

// lacking are the capabilities that this process has not got. CAP_SYS_ADMIN
// stands for the other two.
func lacking() []string {
	status, err := statusOf("self")
	if err != nil {
		return nil
	}
	effective, err := strconv.ParseUint(status["CapEff"], 16, 64)
	if err != nil || effective&(1<<unix.CAP_SYS_ADMIN) != 0 {
		return nil
	}
	var missing []string
	for _, c := range []struct {
		bit  int
		name string
	}{{unix.CAP_BPF, "CAP_BPF"}, {unix.CAP_PERFMON, "CAP_PERFMON"}} {
		if effective&(1<<c.bit) == 0 {
			missing = append(missing, c.name)
		}
	}
	return missing
}

// whyNotPermitted looks for what stands between this process and bpf().
func whyNotPermitted() string {
	if missing := lacking(); len(missing) > 0 {
		reason := "it takes root, or " + strings.Join(missing, " and ")
		if b, err := os.ReadFile("/proc/sys/kernel/unprivileged_bpf_disabled"); err == nil {
			reason += fmt.Sprintf(" (kernel.unprivileged_bpf_disabled is %s; 0 would not allow tracing either)", bytes.TrimSpace(b))
		}
		return reason + "; the user engine takes neither"
	}
	if status, err := statusOf("self"); err == nil && status["Seccomp"] == "2" {
		return "a seccomp filter of our surroundings forbids it, as the profiles of containers do: allow bpf and perf_event_open there (docker: --privileged, or --cap-add BPF,PERFMON,SYS_ADMIN and such a profile)"
	}
	if inUserNamespace() {
		return "this is root of a user namespace only: bpf() takes capabilities outside of it"
	}
	return "a security module may forbid it, or kernel lockdown (/sys/kernel/security/lockdown)"
}

// inUserNamespace reports whether this process lives in another user namespace
// than the first: that one maps all ids to themselves.
func inUserNamespace() bool {
	b, err := os.ReadFile("/proc/self/uid_map")
	return err == nil && strings.Join(strings.Fields(string(b)), " ") != "0 0 4294967295"
}

// denied says why what err refuses is not allowed to a process that may make maps:
// it lacks a capability, or the kernel allows it to nobody here.
func denied(err error) (reason string, kind error) {
	if missing := lacking(); len(missing) > 0 {
		return "it takes root, or " + strings.Join(missing, " and "), ErrNotPermitted
	}
	return fmt.Sprintf("this kernel does not allow it: %v", last(err)), ErrNotPossible
}

// allowLockedMemory lifts the limit on locked memory where the kernel counts maps
// and programs against it (before Linux 5.11), until restore is called: the limit
// is looked at when they are made, and commands would inherit it.
func allowLockedMemory() (restore func(), err error) {
	restore = func() {}
	version, err := features.LinuxVersionCode()
	if err != nil || version >= 5<<16|11<<8 {
		return restore, nil
	}
	var old unix.Rlimit
	unlimited := unix.Rlimit{Cur: unix.RLIM_INFINITY, Max: unix.RLIM_INFINITY}
	if err := unix.Prlimit(0, unix.RLIMIT_MEMLOCK, &unlimited, &old); err != nil {
		return nil, &Error{Kind: ErrNotPermitted, Err: err,
			Reason: fmt.Sprintf("the limit on locked memory (ulimit -l) of %d bytes can't be lifted: %v", old.Cur, err)}
	}
	return func() { unix.Prlimit(0, unix.RLIMIT_MEMLOCK, &old, nil) }, nil
}
