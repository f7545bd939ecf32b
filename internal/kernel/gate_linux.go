package kernel

import (
	"errors"
	"fmt"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"
)

// A gate is a program of our own that opens an armed scope when the command
// begins: at the first execve in its cgroup. What the new process does before, to
// set up its files, is ours and not the command's.
//
// It sits at the tracepoint of all system calls, where programs run in the order
// in which they were attached: attached before the others, it lets them see that
// very execve.
type gate struct {
	program *ebpf.Program
	link    link.Link
}

// newGate attaches the gate of s.
func newGate(s *Scope) (*gate, error) {
	code := asm.Instructions{
		// The context is the registers and the number of the call.
		asm.LoadMem(asm.R6, asm.R1, 8, asm.DWord),
		asm.JEq.Imm(asm.R6, unix.SYS_EXECVE, "exec"),
		asm.JNE.Imm(asm.R6, unix.SYS_EXECVEAT, "out"),
		asm.LoadMapValue(asm.R7, s.state.FD(), 0).WithSymbol("exec"),
		asm.LoadMem(asm.R8, asm.R7, 0, asm.Word),
		asm.Mov.Reg(asm.R1, asm.R8),
		asm.And.Imm(asm.R1, 1<<modeBits-1),
		asm.JNE.Imm(asm.R1, int32(armed), "out"),
	}
	code = append(code, s.underCgroup()...)
	code = append(code,
		asm.JNE.Imm(asm.R0, 1, "out"),
		asm.Xor.Imm(asm.R8, int32(armed^inCgroup)),
		asm.StoreMem(asm.R7, 0, asm.R8, asm.Word),
		asm.Mov.Imm(asm.R0, 0).WithSymbol("out"),
		asm.Return(),
	)
	p, err := ebpf.NewProgram(&ebpf.ProgramSpec{Name: "skep_gate", Type: ebpf.RawTracepoint, License: "MIT", Instructions: code})
	if err != nil {
		return nil, &Error{What: "program skep_gate", Kind: ErrRefused, Reason: err.Error(), Err: err}
	}
	l, err := link.AttachRawTracepoint(link.RawTracepointOptions{Name: "sys_enter", Program: p})
	if err != nil {
		p.Close()
		return nil, &Error{What: "program skep_gate", Section: "raw_tp/sys_enter", Kind: ErrNotPossible, Reason: err.Error(), Err: err}
	}
	return &gate{p, l}, nil
}

// Close takes the gate away. The scope stays as it is.
func (g *gate) Close() error { return errors.Join(g.link.Close(), g.program.Close()) }

// openGate sees to it that the scope has its gate.
func (s *Scope) openGate() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.gate != nil {
		return nil
	}
	g, err := newGate(s)
	if err != nil {
		return err
	}
	s.gate = g
	return nil
}

// arm prepares the scope for a command that is about to start in a cgroup.
func (s *Scope) arm(c *cgroup) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.free(); err != nil {
		return err
	}
	if err := s.cgroups.Put(uint32(0), uint32(c.dir.Fd())); err != nil {
		return &Error{Kind: ErrNoCgroup, Reason: fmt.Sprintf("the kernel does not take %s: %v", c.path, err), Err: err}
	}
	return s.set(armed)
}

// begun ends what arm began: the command runs.
func (s *Scope) begun() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return errors.Join(s.set(inCgroup), s.closeGate())
}
