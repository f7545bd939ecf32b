package skep

import (
	"errors"
	"runtime"
	"sync"

	"github.com/cilium/ebpf/asm"

	"github.com/skep-bpf/skep/internal/image"
	"github.com/skep-bpf/skep/internal/kview"
	"github.com/skep-bpf/skep/internal/mem"
)

// selfView is what test runs look at: this process, as a test run in the kernel
// sees the process that asks for it. It is made when the first program needs it.
type selfView struct {
	mu   sync.Mutex
	view *kview.View
}

// enter fills the runner's Env for a test run of p by the calling thread. leave
// must be called after the run.
func (s *selfView) enter(p *Program, r *mem.Runner) (leave func(), err error) {
	r.Env = p.Binding().Env
	if !usesTask(p.user.Image) {
		return func() {}, nil
	}
	// The view belongs to one thread at a time, and its current task is the
	// thread that runs.
	s.mu.Lock()
	runtime.LockOSThread()
	leave = func() {
		runtime.UnlockOSThread()
		s.mu.Unlock()
	}
	if s.view == nil {
		s.view, err = kview.New(kview.Plan{NeedComm: true, NeedCred: true})
		if errors.Is(err, errors.ErrUnsupported) {
			// Without a /proc there is no kernel to look at: who runs is known, what
			// is read faults.
			tid, tgid := self()
			r.Env.Task = mem.Task{PID: uint32(tid), TGID: uint32(tgid)}
			r.Env.Memory = selfMemory{}
			return leave, nil
		}
		if err != nil {
			leave()
			return nil, err
		}
	}
	tid, tgid := self()
	s.view.Stop(tid, tgid)
	r.Env.Task = s.view.Task()
	r.Env.Kernel = s.view.Kernel()
	r.Env.Memory = selfMemory{}
	return leave, nil
}

func (s *selfView) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.view == nil {
		return nil
	}
	err := s.view.Close()
	s.view = nil
	return err
}

// taskHelpers look at the current task or its memory.
var taskHelpers = map[asm.BuiltinFunc]bool{
	asm.FnGetCurrentPidTgid:  true,
	asm.FnGetCurrentUidGid:   true,
	asm.FnGetCurrentComm:     true,
	asm.FnGetCurrentTask:     true,
	asm.FnGetCurrentTaskBtf:  true,
	asm.FnProbeRead:          true,
	asm.FnProbeReadStr:       true,
	asm.FnProbeReadUser:      true,
	asm.FnProbeReadUserStr:   true,
	asm.FnProbeReadKernel:    true,
	asm.FnProbeReadKernelStr: true,
}

// usesTask reports whether a run of p depends on who it runs for.
func usesTask(p *image.Program) bool {
	const call = uint8(asm.JumpClass) | uint8(asm.Call)
	for _, in := range p.Insns {
		if in.Op == call && in.Src == 0 && taskHelpers[asm.BuiltinFunc(in.Imm)] {
			return true
		}
	}
	return false
}
