package kernel

import (
	"errors"
	"fmt"
	"io"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/btf"
	"github.com/cilium/ebpf/link"
)

// Follow takes the processes that those of the scope start into it, and lets go
// of those that have ended, whose numbers others will get. It comes before
// Processes, so that none is missed, and lasts until the link is closed.
func (s *Scope) Follow() (*Link, error) {
	tgid, err := memberOffset("task_struct", "tgid")
	if err != nil {
		return nil, err
	}
	signal, err := memberOffset("task_struct", "signal")
	if err != nil {
		return nil, err
	}
	live, err := memberOffset("signal_struct", "live")
	if err != nil {
		return nil, err
	}
	key := func(of asm.Instruction) asm.Instructions {
		return asm.Instructions{
			of,
			asm.StoreMem(asm.RFP, -4, asm.R1, asm.Word),
			asm.Mov.Reg(asm.R2, asm.RFP),
			asm.Add.Imm(asm.R2, -4),
			asm.LoadMapPtr(asm.R1, s.processes.FD()),
		}
	}
	join := func(parts ...asm.Instructions) (all asm.Instructions) {
		for _, p := range parts {
			all = append(all, p...)
		}
		return append(all, asm.Mov.Imm(asm.R0, 0).WithSymbol("out"), asm.Return())
	}
	// R6 is the parent, R7 the new task: of another process, if it is no thread.
	fork := join(
		asm.Instructions{
			asm.LoadMem(asm.R6, asm.R1, 0, asm.DWord),
			asm.LoadMem(asm.R7, asm.R1, 8, asm.DWord),
			asm.LoadMem(asm.R8, asm.R6, tgid, asm.Word),
			asm.LoadMem(asm.R9, asm.R7, tgid, asm.Word),
			asm.JEq.Reg(asm.R8, asm.R9, "out"),
		},
		key(asm.Mov.Reg(asm.R1, asm.R8)),
		asm.Instructions{
			asm.FnMapLookupElem.Call(),
			asm.JEq.Imm(asm.R0, 0, "out"),
			asm.Mov.Imm(asm.R1, 1),
			asm.StoreMem(asm.RFP, -8, asm.R1, asm.Byte),
		},
		key(asm.Mov.Reg(asm.R1, asm.R9)),
		asm.Instructions{
			asm.Mov.Reg(asm.R3, asm.RFP),
			asm.Add.Imm(asm.R3, -8),
			asm.Mov.Imm(asm.R4, 0),
			asm.FnMapUpdateElem.Call(),
		},
	)
	// The count of live threads has been lowered by the one that exits.
	exit := join(
		asm.Instructions{
			asm.LoadMem(asm.R6, asm.R1, 0, asm.DWord),
			asm.LoadMem(asm.R7, asm.R6, signal, asm.DWord),
			asm.LoadMem(asm.R7, asm.R7, live, asm.Word),
			asm.JNE.Imm(asm.R7, 0, "out"),
		},
		key(asm.LoadMem(asm.R1, asm.R6, tgid, asm.Word)),
		asm.Instructions{asm.FnMapDeleteElem.Call()},
	)
	var joined closers
	for _, p := range []struct {
		tracepoint string
		code       asm.Instructions
	}{{"sched_process_exit", exit}, {"sched_process_fork", fork}} {
		c, err := attachOwn(p.tracepoint, p.code)
		if err != nil {
			joined.Close()
			return nil, err
		}
		joined = append(joined, c...)
	}
	return &Link{section: "tp_btf/sched_process_fork", joined: joined}, nil
}

// attachOwn attaches code of ours to a BTF tracepoint.
func attachOwn(tracepoint string, code asm.Instructions) (closers, error) {
	spec := &ebpf.ProgramSpec{
		Name: "skep_follow", Type: ebpf.Tracing, AttachType: ebpf.AttachTraceRawTp, AttachTo: tracepoint,
		SectionName: "tp_btf/" + tracepoint, License: "GPL", Instructions: code,
	}
	p, err := ebpf.NewProgram(spec)
	if err != nil {
		return nil, explainProgram(spec, err)
	}
	l, err := link.AttachTracing(link.TracingOptions{Program: p})
	if err != nil {
		p.Close()
		return nil, &Error{What: "program " + spec.Name, Section: spec.SectionName, Kind: ErrNotPossible, Reason: err.Error(), Err: err}
	}
	return closers{p, l}, nil
}

// closers are closed from the last to the first.
type closers []io.Closer

func (c closers) Close() error {
	var errs []error
	for i := len(c) - 1; i >= 0; i-- {
		errs = append(errs, c[i].Close())
	}
	return errors.Join(errs...)
}

// memberOffset is where a member of a struct of the running kernel lies, in bytes.
func memberOffset(structure, member string) (int16, error) {
	impossible := func(err error) (int16, error) {
		return 0, &Error{What: "following children", Kind: ErrNotPossible, Reason: fmt.Sprintf("the kernel's types do not tell: struct %s, member %s: %v", structure, member, err), Err: err}
	}
	spec, err := btf.LoadKernelSpec()
	if err != nil {
		return impossible(err)
	}
	var s *btf.Struct
	if err := spec.TypeByName(structure, &s); err != nil {
		return impossible(err)
	}
	for _, m := range s.Members {
		if m.Name == member && m.Offset.Bytes() < 1<<15 {
			return int16(m.Offset.Bytes()), nil
		}
	}
	return impossible(errors.New("there is none"))
}
