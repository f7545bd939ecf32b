package tracer

import (
	"math"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// fileLimit is the RLIMIT_NOFILE that a child should get, and false if that is
// ours. Package syscall raises our soft limit at start (to the hard limit less
// one) and gives its children the former one, which it keeps to itself. So we
// let it make a child and look: the child is stopped at its first instruction
// and killed there.
var fileLimit = sync.OnceValues(func() (unix.Rlimit, bool) {
	var ours, theirs unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &ours); err != nil || ours.Max == 0 || ours.Cur != ours.Max-1 {
		return ours, false
	}
	pid, err := syscall.ForkExec("/proc/self/exe", []string{"limit"}, &syscall.ProcAttr{
		Files: []uintptr{math.MaxUint, math.MaxUint, math.MaxUint},
		Sys:   &syscall.SysProcAttr{Ptrace: true, Pdeathsig: unix.SIGKILL},
	})
	if err != nil {
		return ours, false
	}
	err = unix.Prlimit(pid, unix.RLIMIT_NOFILE, nil, &theirs)
	unix.Kill(pid, unix.SIGKILL)
	for {
		var status unix.WaitStatus
		_, err := unix.Wait4(pid, &status, unix.WALL, nil)
		if err != unix.EINTR && (err != nil || status.Exited() || status.Signaled()) {
			break
		}
	}
	return theirs, err == nil
})
