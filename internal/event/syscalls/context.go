package syscalls

import (
	"unsafe"

	"github.com/skep-bpf/skep/internal/kview"
	"github.com/skep-bpf/skep/internal/mem"
	"github.com/skep-bpf/skep/internal/tracer"
)

// The contexts have the kernel's layout (include/trace/syscall.h, the format
// files of tracefs, bpf_tracing.h of libbpf).

const ptRegsSize = int(unsafe.Sizeof(kview.PtRegs{}))

// A stop is one thread at one end of a call, and what was made for it.
type stop struct {
	thread *tracer.Thread
	view   *kview.View
	number int64  // of the call, as the kernel's tracepoints see it
	regs   uint64 // where programs see the registers, 0 until they are asked for
}

// rtSigreturn puts back the registers from before a signal, orig_ax among them,
// and that is noCall: tracepoints don't see the end of rt_sigreturn as its own.
const (
	rtSigreturn = 15
	noCall      = -1
)

// passes reports whether the thread comes by a hook of the call that it is in.
func (s *stop) passes(h *hook) bool {
	if h.form.kprobe {
		// A new thread has not called the function that made it, and does not
		// return from it. It passes the tracepoint.
		return !s.thread.Born
	}
	return h.call == nil || s.number != noCall
}

// entry is the head of a tracepoint's record. Programs can't look at it.
func (s *stop) entry() kview.TraceEntry { return kview.TraceEntry{Pid: int32(s.thread.TID)} }

// userRegs stores the registers of user code in the kernel view.
func (s *stop) userRegs() (uint64, bool) {
	if s.regs != 0 {
		return s.regs, true
	}
	r, err := s.thread.Regs()
	if err != nil {
		return 0, false
	}
	s.regs = s.view.Regs(&kview.PtRegs{
		R15: r.R15, R14: r.R14, R13: r.R13, R12: r.R12, Bp: r.Rbp, Bx: r.Rbx,
		R11: r.R11, R10: r.R10, R9: r.R9, R8: r.R8, Ax: r.Rax, Cx: r.Rcx,
		Dx: r.Rdx, Si: r.Rsi, Di: r.Rdi, OrigAx: r.OrigRax, Ip: r.Rip, Cs: r.Cs,
		Flags: r.Eflags, Sp: r.Rsp, Ss: r.Ss,
	})
	return s.regs, true
}

func enterSize(c *Call) int { return 16 + 8*c.Args }

func syscallEnter(s *stop, addr uint64) bool {
	c := mem.At[kview.SyscallTraceEnter](addr)
	c.Ent, c.Nr, c.Args = s.entry(), int32(s.number), s.thread.Args
	return true
}

func syscallExit(s *stop, addr uint64) bool {
	c := mem.At[kview.SyscallTraceExit](addr)
	c.Ent, c.Nr, c.Ret = s.entry(), int32(s.number), s.thread.Ret
	return true
}

func rawSyscallEnter(s *stop, addr uint64) bool {
	c := mem.At[kview.TraceEventRawSysEnter](addr)
	c.Ent, c.ID, c.Args = s.entry(), s.number, s.thread.Args
	return true
}

func rawSyscallExit(s *stop, addr uint64) bool {
	c := mem.At[kview.TraceEventRawSysExit](addr)
	c.Ent, c.ID, c.Ret = s.entry(), s.number, s.thread.Ret
	return true
}

func rawTracepointEnter(s *stop, addr uint64) bool {
	regs, ok := s.userRegs()
	args := &mem.At[kview.BpfRawTracepointArgs](addr).Args
	args[0], args[1] = regs, uint64(s.number)
	return ok
}

func rawTracepointExit(s *stop, addr uint64) bool {
	regs, ok := s.userRegs()
	args := &mem.At[kview.BpfRawTracepointArgs](addr).Args
	args[0], args[1] = regs, uint64(s.thread.Ret)
	return ok
}

// Selectors of the kernel's own code and data (GDT of x86-64).
const (
	kernelCS = 0x10
	kernelSS = 0x18
)

// kprobe is at the first instruction of __x64_sys_NAME(const struct pt_regs *).
// Of the kernel's own registers only that argument can be told.
func kprobe(s *stop, addr uint64) bool {
	regs, ok := s.userRegs()
	*mem.At[kview.PtRegs](addr) = kview.PtRegs{Di: regs, OrigAx: ^uint64(0), Cs: kernelCS, Ss: kernelSS}
	return ok
}

func kretprobe(s *stop, addr uint64) bool {
	*mem.At[kview.PtRegs](addr) = kview.PtRegs{Ax: uint64(s.thread.Ret), OrigAx: ^uint64(0), Cs: kernelCS, Ss: kernelSS}
	return true
}
