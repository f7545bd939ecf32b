// Package tracer runs a command with all its descendants under ptrace and stops
// them at chosen system calls and nowhere else.
//
// A seccomp filter, installed in the command before its first instruction,
// answers the hooked numbers with RET_TRACE and lets every other call pass at
// full speed. The filter and the tracing are inherited by threads and children.
// One locked OS thread does all ptrace work of a tree: the kernel accepts
// requests for a tracee only from the thread that traces it.
//
// What that means for the traced processes:
//
//   - A filter can't be taken off again, and a call that it answers with
//     RET_TRACE fails with ENOSYS once nobody traces. So a tree is traced until
//     its last descendant has ended, also when the command itself ended before
//     (Tree.Wait and Tree.Done); CLONE_UNTRACED is cleared, so that no child
//     gets away; and if this process dies, the kernel kills the tree
//     (PTRACE_O_EXITKILL).
//   - A process has one tracer. Inside a tree, PTRACE_TRACEME, PTRACE_ATTACH and
//     PTRACE_SEIZE of another member fail with EPERM, as under strace.
//   - Unless we have CAP_SYS_ADMIN, a filter asks for no_new_privs: set-uid and
//     set-gid programs and file capabilities run without their extra privileges.
//   - Signals, stops and job control work as without us (PTRACE_SEIZE and
//     PTRACE_LISTEN).
//   - Calls through the 32-bit entry (i386 programs, int 0x80) are seen only with
//     Options.All, with their i386 numbers, as the kernel's own raw_syscalls
//     tracepoints do. x32 calls are seen only with Options.All too.
//
// While a tree runs, SIGCHLD of this process is set to SA_NOCLDSTOP: without it
// the kernel would interrupt some thread of ours at each stop. A host program
// that waits for its own stopped children by SIGCHLD does not learn of them.
package tracer

import (
	"os"
	"syscall"
)

// When says at which ends of a system call a thread stops.
type When uint8

const (
	Enter When = 1 << iota // before the call runs
	Exit                   // after it has run, with its return value
)

// Options say where to stop.
type Options struct {
	// Calls are the hooked system calls by number.
	Calls map[int]When
	// All hooks every call, known or not and of every entry, beside Calls.
	All When
}

// A Command is what to run.
type Command struct {
	// Path is the program. A name without a slash is looked up in PATH.
	Path string
	// Args are the arguments, the program's name at 0. Empty stands for Path.
	Args []string
	// Env is the environment, nil for ours.
	Env []string
	// Dir is the working directory, "" for ours.
	Dir string
	// Stdin, Stdout and Stderr are the command's, nil for ours. The command stays
	// in our process group, so that the terminal treats both alike: a caller who
	// wants to outlive Ctrl-C catches SIGINT (not ignores it: that is inherited).
	Stdin, Stdout, Stderr *os.File
}

// A Handler is told what happens in a tree. All methods are called on the
// tree's one tracing thread, so that they need no locks against each other; what
// they take, the tree loses. They must not start processes of their own.
type Handler interface {
	// Enter is called with t stopped before a hooked call.
	Enter(t *Thread)
	// Exit is called with t stopped after a hooked call, t.Ret being its result,
	// and for the new thread of a hooked clone, fork or vfork, with Ret 0.
	Exit(t *Thread)
	// Forked is called for each new thread, before it runs. parent is stopped in
	// its clone, fork or vfork; it is nil for the command's first thread, and for
	// a child whose parent was killed in the middle of making it.
	Forked(parent, child *Thread)
	// Execed is called with t stopped when its process has begun a new program.
	// formerTID is t's thread id before: it differs from TID if t was not the
	// leader. The process's other threads were reported as Exited.
	Execed(t *Thread, formerTID int)
	// Exited is called when t is gone.
	Exited(t *Thread)
}

// A Thread is one traced thread. Its fields and methods may be used during a
// Handler call only, on the calling thread.
type Thread struct {
	TID  int // thread id
	TGID int // process id

	// The system call that the thread is in or has just left, from its entry.
	Number int64     // orig_ax: the call's number
	Args   [6]uint64 // as the call takes them
	IP, SP uint64    // of the user code
	Compat bool      // called through the i386 entry: i386 number and arguments
	// Ret is the return value, set when Exit is called: the kernel's, with the
	// restart codes -512…-516 that user code does not see.
	Ret int64
	// Born is true when Exit is called for a new thread, whose Ret 0 is of the
	// call that made it: it never entered that call itself.
	Born bool

	// Data belongs to the Handler.
	Data any

	stop stop
}

// Regs are a thread's user registers, struct user_regs_struct of x86-64.
type Regs struct {
	R15, R14, R13, R12, Rbp, Rbx, R11, R10, R9, R8  uint64
	Rax, Rcx, Rdx, Rsi, Rdi, OrigRax, Rip, Cs       uint64
	Eflags, Rsp, Ss, FsBase, GsBase, Ds, Es, Fs, Gs uint64
}

// ExitStatus is how a command ended.
type ExitStatus struct {
	Code   int            // exit code, if Signal is 0
	Signal syscall.Signal // the signal that killed it, or 0
}

// Shell is the status as a shell puts it in $?: the code, or 128 + the signal.
func (s ExitStatus) Shell() int {
	if s.Signal != 0 {
		return 128 + int(s.Signal)
	}
	return s.Code
}
