package tracer

import (
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"
)

// syscallInfo is struct ptrace_syscall_info. The three forms of its union begin
// at the same place.
type syscallInfo struct {
	op    uint8
	_     [3]uint8
	arch  uint32
	ip    uint64
	sp    uint64
	union [8]uint64 // entry: number, args; seccomp: and ret_data; exit: rval, is_error
}

const retData = 7 // index of ret_data in the union: its low half

// stopped handles one stop and resumes the thread.
func (tr *Tree) stopped(tid int, status unix.WaitStatus) {
	t := tr.threads[tid]
	if t == nil {
		t = tr.add(tid) // a child that stopped before its parent did
		tr.unborn++
	}
	t.stop.haveRegs = false
	sig := unix.Signal(status >> 8 & 0xff)
	switch what := int(status >> 16); {
	case what == unix.PTRACE_EVENT_SECCOMP:
		tr.enter(t)
	case what == 0 && sig == unix.SIGTRAP|0x80:
		tr.exit(t)
	case what == unix.PTRACE_EVENT_FORK || what == unix.PTRACE_EVENT_VFORK || what == unix.PTRACE_EVENT_CLONE:
		tr.forked(t)
	case what == unix.PTRACE_EVENT_EXEC:
		t = tr.exec(t)
	case what == unix.PTRACE_EVENT_STOP:
		if t.stop.group = 0; sig != unix.SIGTRAP {
			t.stop.group = sig
		}
		if !t.stop.seen {
			t.stop.seen = true
			if !t.stop.born {
				return // until its parent has stopped
			}
			tr.firstStop(t)
		}
	case what == 0:
		tr.resume(t, sig) // the signal is delivered
		return
	}
	tr.resume(t, 0)
}

// resume lets t run on, with a signal if sig is not 0, up to the exit of its
// call if that is wanted. ESRCH is a thread that was killed while stopped: wait4
// reports its end. A group-stop goes on, and is continued by SIGCONT.
func (tr *Tree) resume(t *Thread, sig unix.Signal) {
	request := unix.PTRACE_CONT
	switch {
	case t.stop.group != 0:
		request = unix.PTRACE_LISTEN
		t.stop.group = 0
	case t.stop.calling:
		request = unix.PTRACE_SYSCALL
	}
	ptrace(request, t.TID, 0, uintptr(sig))
}

// readInfo asks what t does. It reports false if t is gone.
func (tr *Tree) readInfo(t *Thread) bool {
	err := ptraceRead(unix.PTRACE_GET_SYSCALL_INFO, t.TID, unsafe.Sizeof(tr.info), unsafe.Pointer(&tr.info))
	if err != nil && err != unix.ESRCH {
		tr.fail(fmt.Errorf("%w: PTRACE_GET_SYSCALL_INFO: %w", ErrUnsupported, err))
	}
	return err == nil
}

// enter handles the entry of a hooked call.
func (tr *Tree) enter(t *Thread) {
	if !tr.readInfo(t) {
		return
	}
	in := &tr.info
	t.Number = int64(in.union[0])
	copy(t.Args[:], in.union[1:7])
	t.IP, t.SP = in.ip, in.sp
	t.Compat = in.arch == unix.AUDIT_ARCH_I386
	t.Ret = 0
	t.stop.calling = false
	if in.op != unix.PTRACE_SYSCALL_INFO_SECCOMP || uint32(in.union[retData]) != filterData {
		// A RET_TRACE of the target's own filter, which without us has no tracer
		// and gives ENOSYS: so does a call without a number.
		ptrace(unix.PTRACE_POKEUSR, t.TID, userOrigRax, ^uintptr(0))
		t.stop.when = 0
		return
	}
	t.stop.when = tr.all
	if !t.Compat {
		t.stop.when |= tr.calls[int(t.Number)]
	}
	t.stop.calling = t.stop.when&Exit != 0
	t.followClone()
	if t.stop.when&Enter != 0 {
		tr.handler.Enter(t)
	}
}

// exit handles the exit of a call.
func (tr *Tree) exit(t *Thread) {
	if !t.stop.calling {
		return
	}
	t.stop.calling = false
	var rax uint64
	if err := ptraceRead(unix.PTRACE_PEEKUSR, t.TID, userRax, unsafe.Pointer(&rax)); err != nil {
		return
	}
	t.restoreClone()
	t.Ret = int64(rax)
	if t.stop.when&Exit != 0 {
		tr.handler.Exit(t)
	}
}

// forked handles the birth of a child, at its parent's stop.
func (tr *Tree) forked(parent *Thread) {
	var tid uintptr
	if err := ptraceRead(unix.PTRACE_GETEVENTMSG, parent.TID, 0, unsafe.Pointer(&tid)); err != nil {
		return // killed: adopt finds the child
	}
	tgid := int(tid)
	switch {
	case inProcess(parent.TGID, int(tid)):
		tgid = parent.TGID
	case !inProcess(tgid, tgid):
		return // killed before it ran, and reported
	}
	child := tr.threads[int(tid)]
	if child == nil {
		child = tr.add(int(tid))
	} else if child.stop.born {
		return // adopted
	}
	child.Number, child.Args, child.Compat = parent.Number, parent.Args, parent.Compat
	child.IP, child.SP = parent.IP, parent.SP
	if parent.stop.calling {
		child.stop.when, child.stop.untraced = parent.stop.when, parent.stop.untraced
	}
	tr.bear(parent, child, tgid)
	if child.stop.seen {
		tr.firstStop(child)
		tr.resume(child, 0)
	}
}

// firstStop is the place of a new thread's return from the call that made it.
// The kernel has passed the exit hook by then, so it is reported here.
func (tr *Tree) firstStop(t *Thread) {
	t.restoreClone()
	if t.stop.when&Exit != 0 {
		t.Ret, t.Born = 0, true
		tr.handler.Exit(t)
		t.Born = false
	}
	t.stop.when = 0
}

// exec handles a new program. The thread that called execve is now the leader,
// under the leader's id, and the only one of its process.
func (tr *Tree) exec(leader *Thread) *Thread {
	var msg uintptr
	if err := ptraceRead(unix.PTRACE_GETEVENTMSG, leader.TID, 0, unsafe.Pointer(&msg)); err != nil {
		return leader
	}
	former := int(msg)
	t := tr.threads[former]
	if t == nil {
		t = leader
	}
	for _, other := range tr.threads {
		if other != t && other.stop.born && other.TGID == leader.TGID {
			tr.drop(other)
		}
	}
	delete(tr.threads, former)
	t.TID = leader.TID
	tr.threads[t.TID] = t
	t.stop.haveRegs = false
	if !tr.execed && t.TID == tr.pid {
		tr.execed = true
		tr.begun(nil)
	}
	tr.handler.Execed(t, former)
	return t
}
