package syscalls

import (
	"unsafe"

	"github.com/skep-bpf/skep/internal/kview"
	"github.com/skep-bpf/skep/internal/mem"
	"github.com/skep-bpf/skep/internal/tracer"
)

// tracepointID is what the common fields give as type: the id of the event in
// tracefs, of which there is none here.
const tracepointID = 0

// context builds what R1 points to at a point, in the runner's context slot. It
// is false if the thread's registers are gone, for it was killed meanwhile.
func (s *Source) context(at point, r *mem.Runner, t *tracer.Thread) bool {
	addr := r.Context.Addr
	entry := kview.TraceEntry{Type: tracepointID, Pid: int32(t.TID)}
	switch at {
	case syscallEnter:
		*mem.At[kview.SyscallTraceEnter](addr) = kview.SyscallTraceEnter{Ent: entry, Nr: int32(t.Number), Args: t.Args}
	case syscallExit:
		*mem.At[kview.SyscallTraceExit](addr) = kview.SyscallTraceExit{Ent: entry, Nr: int32(t.Number), Ret: t.Ret}
	case tracepointEnter:
		*mem.At[kview.TraceEventRawSysEnter](addr) = kview.TraceEventRawSysEnter{Ent: entry, ID: t.Number, Args: t.Args}
	case tracepointExit:
		*mem.At[kview.TraceEventRawSysExit](addr) = kview.TraceEventRawSysExit{Ent: entry, ID: t.Number, Ret: t.Ret}
	case rawEnter, rawExit:
		regs, ok := s.registers(t)
		if !ok {
			return false
		}
		second := uint64(t.Number)
		if at == rawExit {
			second = uint64(t.Ret)
		}
		*mem.At[[2]uint64](addr) = [2]uint64{regs, second}
	case probe, returnProbe:
		regs, ok := s.registers(t)
		if !ok {
			return false
		}
		// The kernel's function takes one argument, the caller's registers.
		own := kview.PtRegs{Di: regs, OrigAx: ^uint64(0)}
		if at == returnProbe {
			own = kview.PtRegs{Ax: uint64(t.Ret), OrigAx: ^uint64(0)}
		}
		*mem.At[kview.PtRegs](addr) = own
	}
	return true
}

// registers puts the thread's registers into the kernel view, once a stop, and
// gives their address there.
func (s *Source) registers(t *tracer.Thread) (uint64, bool) {
	if s.regs != 0 {
		return s.regs, true
	}
	regs, err := t.Regs()
	if err != nil {
		return 0, false
	}
	s.regs = s.view.Regs((*kview.PtRegs)(unsafe.Pointer(regs)))
	return s.regs, true
}

// struct user_regs_struct begins with the registers of struct pt_regs.
const _ = uint(unsafe.Offsetof(tracer.Regs{}.FsBase) - unsafe.Sizeof(kview.PtRegs{}))
const _ = uint(unsafe.Sizeof(kview.PtRegs{}) - unsafe.Offsetof(tracer.Regs{}.FsBase))
