package tracer

import (
	"encoding/binary"
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"
)

// stop is what the tracer keeps of a thread.
type stop struct {
	tree *Tree

	// born is true from the parent's report on, seen from the thread's own first
	// stop on. Either may come first; the thread runs when both are there.
	born, seen bool
	// group is the signal of the group-stop that the thread began in, or 0.
	group unix.Signal
	// calling is true from the entry of a call whose exit must stop.
	calling bool
	// when are the ends of the current call that the handler wants.
	when When
	// untraced is what the current clone was called with, if that had
	// CLONE_UNTRACED.
	untraced untraced

	regs     Regs
	haveRegs bool
}

// userRegs are offsets into struct user, for PTRACE_POKEUSR.
const (
	userRbx     = unsafe.Offsetof(Regs{}.Rbx)
	userRax     = unsafe.Offsetof(Regs{}.Rax)
	userRdi     = unsafe.Offsetof(Regs{}.Rdi)
	userOrigRax = unsafe.Offsetof(Regs{}.OrigRax)
)

// ptrace makes one request whose data is a number. Tracees are stopped while
// they are asked, so it does not block.
func ptrace(request int, tid int, addr, data uintptr) error {
	if _, _, e := unix.RawSyscall6(unix.SYS_PTRACE, uintptr(request), uintptr(tid), addr, data, 0, 0); e != 0 {
		return e
	}
	return nil
}

// ptraceRead makes one request that fills what data points to.
func ptraceRead(request int, tid int, addr uintptr, data unsafe.Pointer) error {
	if _, _, e := unix.RawSyscall6(unix.SYS_PTRACE, uintptr(request), uintptr(tid), addr, uintptr(data), 0, 0); e != 0 {
		return e
	}
	return nil
}

// Regs are the registers at the stop that the Handler is called for. They are
// read once a stop.
func (t *Thread) Regs() (*Regs, error) {
	if !t.stop.haveRegs {
		if err := ptraceRead(unix.PTRACE_GETREGS, t.TID, 0, unsafe.Pointer(&t.stop.regs)); err != nil {
			return nil, fmt.Errorf("registers of thread %d: %w", t.TID, err)
		}
		t.stop.haveRegs = true
	}
	return &t.stop.regs, nil
}

// ReadAt reads the memory of t's process: it is a mem.Memory. It may wait for a
// page that is not in memory yet.
func (t *Thread) ReadAt(p []byte, addr uint64) int {
	if len(p) == 0 {
		return 0
	}
	w := &t.stop.tree.io
	if !w.words {
		w.local = unix.Iovec{Base: &p[0], Len: uint64(len(p))}
		w.remote = unix.RemoteIovec{Base: uintptr(addr), Len: len(p)}
		// Not RawSyscall: a page may have to come from a disk.
		n, _, e := unix.Syscall6(unix.SYS_PROCESS_VM_READV, uintptr(t.TID),
			uintptr(unsafe.Pointer(&w.local)), 1, uintptr(unsafe.Pointer(&w.remote)), 1, 0)
		w.local.Base = nil
		switch e {
		case 0:
			return int(n)
		case unix.EFAULT:
			return 0
		case unix.ENOSYS, unix.EPERM:
			// Some container profiles forbid the call as such; one non-dumpable
			// process says nothing about the others.
			w.words = e == unix.ENOSYS
		default:
			return 0
		}
	}
	return t.peek(p, addr)
}

// peek reads word by word with PTRACE_PEEKDATA. Like process_vm_readv it gives
// what lies before the first page that is not there.
func (t *Thread) peek(p []byte, addr uint64) int {
	n := 0
	for n < len(p) {
		at := addr + uint64(n)
		base := at &^ 7 // an aligned word never spans two pages
		var word uint64
		if err := ptraceRead(unix.PTRACE_PEEKDATA, t.TID, uintptr(base), unsafe.Pointer(&word)); err != nil {
			return n
		}
		var b [8]byte
		binary.NativeEndian.PutUint64(b[:], word)
		n += copy(p[n:], b[at-base:])
	}
	return n
}

// untraced is a clone call whose CLONE_UNTRACED was taken away, and what has to
// be put back before user code can look: the register or the word of memory that
// held the flags.
type untraced struct {
	set    bool
	memory bool // at addr in memory, not in struct user
	addr   uintptr
	flags  uintptr
}

func (u *untraced) poke(tid int, flags uintptr) error {
	if u.memory {
		return ptrace(unix.PTRACE_POKEDATA, tid, u.addr, flags)
	}
	return ptrace(unix.PTRACE_POKEUSR, tid, u.addr, flags)
}

// followClone takes CLONE_UNTRACED from the clone or clone3 that t is about to
// do. A child that is not traced but has our filter would get ENOSYS from each
// hooked call. A program that sets the flag in memory just after we looked has
// such a child: it harms only itself.
func (t *Thread) followClone() {
	u := untraced{set: true}
	switch {
	case !t.Compat && t.Number == unix.SYS_CLONE:
		u.addr = userRdi
	case t.Compat && t.Number == i386Clone:
		u.addr = userRbx
	case !t.Compat && t.Number == unix.SYS_CLONE3, t.Compat && t.Number == i386Clone3:
		u.memory, u.addr = true, uintptr(t.Args[0])
	default:
		return
	}
	u.flags = uintptr(t.Args[0])
	if u.memory {
		var word [8]byte
		if t.ReadAt(word[:], uint64(u.addr)) < len(word) {
			return // the call will fail with EFAULT
		}
		u.flags = uintptr(binary.NativeEndian.Uint64(word[:]))
	}
	if u.flags&unix.CLONE_UNTRACED == 0 || u.poke(t.TID, u.flags&^unix.CLONE_UNTRACED) != nil {
		return
	}
	t.stop.untraced = u
	t.stop.calling = true
}

// restoreClone undoes followClone in the parent, after the call, and in the
// child, before its first instruction.
func (t *Thread) restoreClone() {
	u := t.stop.untraced
	t.stop.untraced = untraced{}
	if u.set {
		u.poke(t.TID, u.flags)
	}
}
