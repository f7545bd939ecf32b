package tracer

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// A Tree is a command and all its descendants.
type Tree struct {
	handler Handler
	calls   map[int]When
	all     When

	pid     int // of the command
	execed  bool
	report  int // the command's report pipe, until it has begun
	started chan error

	threads map[int]*Thread
	unborn  int // threads whose parent has not reported them yet
	info    syscallInfo
	io      io

	ended  chan struct{} // closed when the command has ended
	done   chan struct{} // closed when all have ended
	status ExitStatus

	// mu guards what other threads look at.
	mu        sync.Mutex
	err       error       // why tracing broke off
	processes map[int]int // number of live threads by TGID
	killed    bool
}

// io is what one process_vm_readv needs, kept off the stack of each call.
type io struct {
	local  unix.Iovec
	remote unix.RemoteIovec
	words  bool // there is no process_vm_readv
}

const options = unix.PTRACE_O_TRACESECCOMP | unix.PTRACE_O_TRACESYSGOOD | unix.PTRACE_O_EXITKILL |
	unix.PTRACE_O_TRACEFORK | unix.PTRACE_O_TRACEVFORK | unix.PTRACE_O_TRACECLONE | unix.PTRACE_O_TRACEEXEC

// Start starts cmd and returns when it runs, or a *StartError. Handler calls may
// come before it returns: the command's own execve is the first system call that
// can be hooked.
func Start(cmd Command, o Options, h Handler) (*Tree, error) {
	path, err := lookPath(cmd.Path)
	if err != nil {
		return nil, err
	}
	program := filter(&o)
	if len(program) > maxFilter {
		return nil, fmt.Errorf("%d system calls are hooked, more than a seccomp filter holds", len(o.Calls))
	}
	c, err := prepare(&cmd, path, program)
	if err != nil {
		return nil, &StartError{Command: cmd.Path, Reason: "its path, arguments, environment and directory can't hold NUL", Err: err}
	}
	tr := &Tree{
		handler:   h,
		calls:     o.Calls,
		all:       o.All,
		report:    -1,
		started:   make(chan error, 1),
		threads:   make(map[int]*Thread),
		processes: make(map[int]int),
		ended:     make(chan struct{}),
		done:      make(chan struct{}),
	}
	go onOwnThread(func() {
		muteChildStops()
		defer unmuteChildStops()
		defer close(tr.done)
		if err := tr.begin(c); err != nil {
			tr.started <- err
			return
		}
		tr.run()
	})
	err = <-tr.started
	runtime.KeepAlive(cmd) // the files' descriptors
	if err != nil {
		var s *StartError
		if errors.As(err, &s) {
			s.Command = path
		}
		return nil, err
	}
	return tr, nil
}

// begin makes the command's process, seizes it and lets it go on to its exec.
func (tr *Tree) begin(c *child) error {
	pid, begin, report, err := c.start()
	if err != nil {
		return &StartError{Reason: "no new process", Err: err}
	}
	defer unix.Close(begin)
	tr.pid, tr.report = pid, report
	if err := ptrace(unix.PTRACE_SEIZE, pid, 0, options); err != nil {
		unix.Kill(pid, unix.SIGKILL)
		unix.Wait4(pid, nil, unix.WALL, nil)
		unix.Close(report)
		return ptraceError(err)
	}
	t := tr.add(pid)
	t.stop.born, t.stop.seen = true, true
	tr.setProcess(t, pid)
	tr.handler.Forked(nil, t)
	if _, err := unix.Write(begin, []byte{1}); err != nil {
		// It is dead: wait4 will say so.
		return nil
	}
	return nil
}

// run serves reports until nobody is left.
func (tr *Tree) run() {
	w := newWaiter()
	for {
		ev, e := w.wait(len(tr.threads) > 1, tr.unborn > 0)
		if e != 0 {
			if e != unix.ECHILD {
				tr.fail(fmt.Errorf("wait4: %w", e))
			}
			break
		}
		switch {
		case ev.tid == 0:
			tr.adopt()
		case ev.status.Stopped():
			tr.stopped(ev.tid, ev.status)
		default:
			tr.gone(ev.tid, ev.status)
		}
	}
	if !tr.execed { // a command that vanished without a report
		tr.begun(&StartError{Reason: "it was killed before it began", Err: unix.ECHILD})
	}
	select {
	case <-tr.ended:
	default:
		close(tr.ended)
	}
}

// fail notes why the tree can't be traced any further, and ends it.
func (tr *Tree) fail(err error) {
	tr.mu.Lock()
	if tr.err == nil {
		tr.err = err
	}
	tr.mu.Unlock()
	tr.Kill()
}

func (tr *Tree) add(tid int) *Thread {
	t := &Thread{TID: tid}
	t.stop.tree = tr
	tr.threads[tid] = t
	return t
}

// setProcess enters t as a member of process tgid.
func (tr *Tree) setProcess(t *Thread, tgid int) {
	t.TGID = tgid
	tr.mu.Lock()
	defer tr.mu.Unlock()
	tr.processes[tgid]++
	if tr.killed {
		unix.Kill(tgid, unix.SIGKILL)
	}
}

// drop forgets t.
func (tr *Tree) drop(t *Thread) {
	delete(tr.threads, t.TID)
	if !t.stop.born {
		tr.unborn--
		return
	}
	tr.mu.Lock()
	if tr.processes[t.TGID]--; tr.processes[t.TGID] == 0 {
		delete(tr.processes, t.TGID)
	}
	tr.mu.Unlock()
	tr.handler.Exited(t)
}

// gone handles the end of a thread. The leader of a process is reported last.
func (tr *Tree) gone(tid int, status unix.WaitStatus) {
	if t := tr.threads[tid]; t != nil {
		tr.drop(t)
	}
	if tid != tr.pid {
		return
	}
	if !tr.execed {
		tr.begun(tr.readFailure(status))
	}
	if status.Signaled() {
		tr.status.Signal = status.Signal()
	} else {
		tr.status.Code = status.ExitStatus()
	}
	close(tr.ended)
}

// adopt lets every thread go that waits for its parent's report: a parent that
// was killed in its clone reports none. If it comes after all, it is ignored.
func (tr *Tree) adopt() {
	for _, t := range tr.threads {
		if t.stop.born {
			continue
		}
		tgid := t.TID
		for p := range tr.processes {
			if inProcess(p, t.TID) {
				tgid = p
				break
			}
		}
		tr.bear(nil, t, tgid)
		tr.resume(t, 0)
	}
}

// inProcess reports whether tid is a thread of process tgid.
func inProcess(tgid, tid int) bool {
	_, _, e := unix.RawSyscall(unix.SYS_TGKILL, uintptr(tgid), uintptr(tid), 0)
	return e == 0
}

// bear makes child known to the handler.
func (tr *Tree) bear(parent, child *Thread, tgid int) {
	if child.stop.seen {
		tr.unborn--
	}
	child.stop.born = true
	tr.setProcess(child, tgid)
	tr.handler.Forked(parent, child)
}

// begun tells Start how the command's exec went.
func (tr *Tree) begun(err error) {
	if tr.report < 0 {
		return
	}
	unix.Close(tr.report)
	tr.report = -1
	tr.started <- err
}

// PID is the process id of the command.
func (tr *Tree) PID() int { return tr.pid }

// Wait waits until the command has ended and returns how. Its descendants may
// still run: see Done. An error says that tracing broke off, which ended them.
func (tr *Tree) Wait() (ExitStatus, error) {
	<-tr.ended
	tr.mu.Lock()
	defer tr.mu.Unlock()
	return tr.status, tr.err
}

// Done is closed when the last descendant has ended and no Handler call will
// come any more.
func (tr *Tree) Done() <-chan struct{} { return tr.done }

// Signal sends a signal to the command. Once that has ended it is
// os.ErrProcessDone.
func (tr *Tree) Signal(sig syscall.Signal) error {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	if tr.processes[tr.pid] == 0 {
		return os.ErrProcessDone
	}
	return unix.Kill(tr.pid, sig)
}

// Kill ends the command and every descendant.
func (tr *Tree) Kill() {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	tr.killed = true
	for tgid := range tr.processes {
		unix.Kill(tgid, unix.SIGKILL)
	}
}
