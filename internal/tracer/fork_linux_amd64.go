package tracer

import (
	"runtime"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The command is made by a fork of our own instead of syscall.ForkExec: the
// child has to wait until it is seized, and to install its filter, between fork
// and exec. PTRACE_TRACEME, all that ForkExec can do, gives no way to let a
// process stay stopped by SIGSTOP; and a helper program in between would need
// to be a copy of ourselves, which a library can't count on.
//
// The runtime lets syscall, and other packages by these names, prepare for a
// fork: signals are blocked, and growing the stack in the child is fatal.

//go:linkname beforeFork syscall.runtime_BeforeFork
func beforeFork()

//go:linkname afterFork syscall.runtime_AfterFork
func afterFork()

//go:linkname afterForkInChild syscall.runtime_AfterForkInChild
func afterForkInChild()

// stage is how far a child came before it failed.
type stage uint32

const (
	stageFiles stage = iota
	stageDir
	stageLimit
	stageFilter
	stageExec
)

// A failure is what the child writes to its report pipe.
type failure struct {
	Stage stage
	Errno uint32
}

// A child is what the child needs. It is made before the fork: after it nothing
// can be allocated.
type child struct {
	path *byte
	argv []*byte
	envv []*byte
	dir  *byte // nil for ours

	files   [3]int // stdin, stdout, stderr
	begin   int    // the child waits for a byte here
	beginBy int    // our end of begin, which the child must not hold open
	report  int    // where the child writes its failure; close-on-exec

	filter  unix.SockFprog
	nofile  unix.Rlimit
	setFile bool // set RLIMIT_NOFILE to nofile
}

// fork makes the child and returns its pid. It runs on, in the child, into the
// command's exec.
//
//go:noinline
//go:norace
//go:nocheckptr
func (c *child) fork() (pid uintptr, errno syscall.Errno) {
	// Nothing may be allocated and no stack may grow between here and the exec:
	// only nosplit raw calls, and every variable stands here.
	var (
		fail failure
		n    uintptr
		i    int
		buf  byte
	)
	beforeFork()
	pid, _, errno = syscall.RawSyscall6(unix.SYS_CLONE, uintptr(unix.SIGCHLD), 0, 0, 0, 0, 0)
	if errno != 0 || pid != 0 {
		afterFork()
		return pid, errno
	}
	afterForkInChild()

	// If we die before the child is seized, its read ends and so does it.
	syscall.RawSyscall(unix.SYS_CLOSE, uintptr(c.beginBy), 0, 0)
	for {
		n, _, errno = syscall.RawSyscall(unix.SYS_READ, uintptr(c.begin), uintptr(unsafe.Pointer(&buf)), 1)
		if errno != unix.EINTR {
			break
		}
	}
	if errno != 0 || n != 1 {
		goto exit
	}

	fail.Stage = stageFiles
	for i = 0; i < 3; i++ {
		if c.files[i] < 3 && c.files[i] != i {
			// It would be overwritten before its turn.
			n, _, errno = syscall.RawSyscall(unix.SYS_FCNTL, uintptr(c.files[i]), unix.F_DUPFD_CLOEXEC, 3)
			if errno != 0 {
				goto failed
			}
			c.files[i] = int(n)
		}
	}
	for i = 0; i < 3; i++ {
		if c.files[i] == i {
			// Our own may be closed; the command then has none either.
			syscall.RawSyscall(unix.SYS_FCNTL, uintptr(i), unix.F_SETFD, 0)
		} else if _, _, errno = syscall.RawSyscall(unix.SYS_DUP3, uintptr(c.files[i]), uintptr(i), 0); errno != 0 {
			goto failed
		}
	}

	fail.Stage = stageDir
	if c.dir != nil {
		if _, _, errno = syscall.RawSyscall(unix.SYS_CHDIR, uintptr(unsafe.Pointer(c.dir)), 0, 0); errno != 0 {
			goto failed
		}
	}

	fail.Stage = stageLimit
	if c.setFile {
		if _, _, errno = syscall.RawSyscall6(unix.SYS_PRLIMIT64, 0, unix.RLIMIT_NOFILE, uintptr(unsafe.Pointer(&c.nofile)), 0, 0, 0); errno != 0 {
			goto failed
		}
	}

	// With CAP_SYS_ADMIN a filter needs no no_new_privs, and set-uid programs
	// keep working.
	fail.Stage = stageFilter
	_, _, errno = syscall.RawSyscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, 0, uintptr(unsafe.Pointer(&c.filter)))
	if errno == unix.EACCES {
		if _, _, errno = syscall.RawSyscall6(unix.SYS_PRCTL, unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0, 0); errno != 0 {
			goto failed
		}
		_, _, errno = syscall.RawSyscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, 0, uintptr(unsafe.Pointer(&c.filter)))
	}
	if errno != 0 {
		goto failed
	}

	fail.Stage = stageExec
	_, _, errno = syscall.RawSyscall(unix.SYS_EXECVE, uintptr(unsafe.Pointer(c.path)),
		uintptr(unsafe.Pointer(&c.argv[0])), uintptr(unsafe.Pointer(&c.envv[0])))

failed:
	fail.Errno = uint32(errno)
	syscall.RawSyscall(unix.SYS_WRITE, uintptr(c.report), uintptr(unsafe.Pointer(&fail)), unsafe.Sizeof(fail))
exit:
	for {
		syscall.RawSyscall(unix.SYS_EXIT_GROUP, 127, 0, 0)
	}
}

// pipe makes a close-on-exec pipe whose ends are above the standard files: the
// child puts other files there.
func pipe() (r, w int, err error) {
	var p [2]int
	if err := unix.Pipe2(p[:], unix.O_CLOEXEC); err != nil {
		return -1, -1, err
	}
	for i, fd := range p {
		if fd > 2 {
			continue
		}
		p[i], err = unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 3)
		unix.Close(fd)
		if err != nil {
			unix.Close(p[1-i])
			return -1, -1, err
		}
	}
	return p[0], p[1], nil
}

// prepare makes the child of cmd, without its pipes.
func prepare(cmd *Command, path string, program []unix.SockFilter) (*child, error) {
	c := &child{files: [3]int{0, 1, 2}}
	var err error
	if c.path, err = unix.BytePtrFromString(path); err != nil {
		return nil, err
	}
	args := cmd.Args
	if len(args) == 0 {
		args = []string{cmd.Path}
	}
	if c.argv, err = syscall.SlicePtrFromStrings(args); err != nil {
		return nil, err
	}
	env := cmd.Env
	if env == nil {
		env = syscall.Environ()
	}
	if c.envv, err = syscall.SlicePtrFromStrings(env); err != nil {
		return nil, err
	}
	if cmd.Dir != "" {
		if c.dir, err = unix.BytePtrFromString(cmd.Dir); err != nil {
			return nil, err
		}
	}
	if cmd.Stdin != nil {
		c.files[0] = int(cmd.Stdin.Fd())
	}
	if cmd.Stdout != nil {
		c.files[1] = int(cmd.Stdout.Fd())
	}
	if cmd.Stderr != nil {
		c.files[2] = int(cmd.Stderr.Fd())
	}
	c.filter = unix.SockFprog{Len: uint16(len(program)), Filter: &program[0]}
	c.nofile, c.setFile = fileLimit()
	return c, nil
}

// start forks c. It returns the child's pid, our end of its begin pipe and the
// read end of its report pipe.
func (c *child) start() (pid, begin, report int, err error) {
	// Held as syscall.ForkExec holds it, so that files which others are about to
	// mark close-on-exec do not slip into the command.
	syscall.ForkLock.Lock()
	defer syscall.ForkLock.Unlock()
	if c.begin, c.beginBy, err = pipe(); err != nil {
		return 0, -1, -1, err
	}
	report, c.report, err = pipe()
	if err != nil {
		unix.Close(c.begin)
		unix.Close(c.beginBy)
		return 0, -1, -1, err
	}
	n, errno := c.fork()
	runtime.KeepAlive(c)
	unix.Close(c.begin)
	unix.Close(c.report)
	if errno != 0 {
		unix.Close(c.beginBy)
		unix.Close(report)
		return 0, -1, -1, errno
	}
	return int(n), c.beginBy, report, nil
}
