package kernel

import (
	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/btf"
)

// confinable reports whether p runs on behalf of the current task, and may return
// 0 for a task that is none of its business.
func confinable(p *ebpf.ProgramSpec) bool {
	switch p.Type {
	case ebpf.Kprobe, ebpf.TracePoint, ebpf.PerfEvent, ebpf.RawTracepoint, ebpf.RawTracepointWritable:
		return true
	case ebpf.Tracing:
		switch p.AttachType {
		case ebpf.AttachTraceRawTp, ebpf.AttachTraceFEntry, ebpf.AttachTraceFExit, ebpf.AttachModifyReturn:
			return true
		}
	}
	return false
}

// Labels of the instructions below. Functions of C can't have such names.
const (
	toInside    = "skep.inside"
	toOutside   = "skep.outside"
	toProcesses = "skep.processes"
)

// confine puts the question whether the current task is in the scope, and v the
// version that runs, before a program. The program still begins with its context in R1, and with an unused
// stack: it has not run before the stack is used here.
func (s *Scope) confine(program asm.Instructions, v version) asm.Instructions {
	question := asm.Instructions{
		asm.Mov.Reg(asm.R6, asm.R1),
		asm.LoadMapValue(asm.R1, s.state.FD(), 0),
		asm.LoadMem(asm.R1, asm.R1, 0, asm.Word),
		asm.JEq.Imm(asm.R1, word(everybody, v), toInside),
		asm.JEq.Imm(asm.R1, word(inProcesses, v), toProcesses),
		asm.JNE.Imm(asm.R1, word(inCgroup, v), toOutside),
	}
	question = append(question, s.underCgroup()...)
	question = append(question,
		// 0 is outside, a negative number says that there is no cgroup in the map.
		asm.JEq.Imm(asm.R0, 1, toInside),
		asm.Mov.Imm(asm.R0, 0).WithSymbol(toOutside),
		asm.Return(),

		asm.FnGetCurrentPidTgid.Call().WithSymbol(toProcesses),
		asm.RSh.Imm(asm.R0, 32),
		asm.StoreMem(asm.RFP, -4, asm.R0, asm.Word),
		asm.Mov.Reg(asm.R2, asm.RFP),
		asm.Add.Imm(asm.R2, -4),
		asm.LoadMapPtr(asm.R1, s.processes.FD()),
		asm.FnMapLookupElem.Call(),
		asm.JEq.Imm(asm.R0, 0, toOutside),

		asm.Mov.Reg(asm.R1, asm.R6).WithSymbol(toInside),
	)

	// A function's information belongs to its first instruction. The kernel wants a
	// line there, too, if it gets any.
	program = append(asm.Instructions(nil), program...)
	first := &program[0]
	if source := first.Source(); source != nil {
		question[0] = question[0].WithSource(source)
	}
	if f := btf.FuncMetadata(first); f != nil {
		question[0] = btf.WithFuncMetadata(question[0], f)
		*first = btf.WithFuncMetadata(*first, nil)
	}
	return append(question, program...)
}

// underCgroup asks whether the current task is in the scope's cgroup or below it:
// R0 is 1 if so.
func (s *Scope) underCgroup() asm.Instructions {
	return asm.Instructions{
		asm.LoadMapPtr(asm.R1, s.cgroups.FD()),
		asm.Mov.Imm(asm.R2, 0),
		asm.FnCurrentTaskUnderCgroup.Call(),
	}
}
