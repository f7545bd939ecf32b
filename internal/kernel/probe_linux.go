package kernel

import (
	"context"
	"errors"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/features"

	"github.com/skep-bpf/skep/internal/abi"
)

// Probe asks the kernel what it has for this engine: helpers of the program types
// that are there, but of Extension, StructOps and LSM, which can't be asked. It
// takes about a second: progress, which may be nil, is told of it, from several
// goroutines. Programs that are attached on the way return at once, at hooks that
// are seldom passed.
//
// It is an *Error if bpf() is not permitted, or that of ctx.
func Probe(ctx context.Context, progress func(done, total int)) ([]Feature, error) {
	if err := Permitted(); err != nil {
		return nil, err
	}
	questions := questions()
	out := make([]Feature, len(questions))
	var next, done atomic.Int64
	var group sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		group.Go(func() {
			for {
				i := int(next.Add(1)) - 1
				if i >= len(questions) || ctx.Err() != nil {
					return
				}
				q := questions[i]
				out[i] = q.Feature
				if err := q.ask(); err == nil {
					out[i].Available = true
				} else {
					out[i].Reason = reasonOf(err)
				}
				if n := int(done.Add(1)); progress != nil {
					progress(n, len(questions))
				}
			}
		})
	}
	group.Wait()
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	return out, nil
}

// A question is a feature that may be there.
type question struct {
	Feature
	ask func() error
}

func questions() []question {
	var all []question
	add := func(f Feature, ask func() error) { all = append(all, question{f, ask}) }
	for _, row := range abi.ProgramTypes {
		add(Feature{Kind: KindProgram, Name: row.Name}, func() error { return askProgramType(row.Type) })
	}
	for t := ebpf.Hash; t <= ebpf.Arena; t++ {
		add(Feature{Kind: KindMap, Name: t.String()}, func() error { return features.HaveMapType(t) })
	}
	for _, a := range attachments {
		name, _, _ := strings.Cut(a.SectionName, "/")
		add(Feature{Kind: KindAttachment, Name: name}, func() error { return askAttachment(a) })
	}
	add(Feature{Kind: KindConfinement, Name: "cgroup"}, func() error {
		c, err := newCgroup()
		if err != nil {
			return err
		}
		return c.Close()
	})
	add(Feature{Kind: KindConfinement, Name: "processes"}, func() error {
		s, err := NewScope()
		if err != nil {
			return err
		}
		return s.Close()
	})
	for _, row := range abi.ProgramTypes {
		if noTarget[row.Type] || !haveProgramType(row.Type) {
			continue
		}
		for id := asm.BuiltinFunc(1); abi.HelperByID(id) != nil; id++ {
			add(Feature{Kind: KindHelper, Name: abi.HelperByID(id).Name, Program: row.Name}, func() error { return askHelper(row.Type, id) })
		}
	}
	return all
}

// reasonOf is the reason of an error, in a few words.
func reasonOf(err error) string {
	var e *Error
	if errors.As(err, &e) {
		return e.Reason
	}
	if errors.Is(err, ebpf.ErrNotSupported) {
		return "this kernel does not have it"
	}
	if isPermission(err) {
		reason, _ := denied(err)
		return reason
	}
	return last(err).Error()
}

// Hooks that are seldom passed.
const (
	quietTracepoint = "task_rename"
	quietFunction   = "ksys_sync"
)

// noop does nothing.
var noop = asm.Instructions{asm.Mov.Imm(asm.R0, 0), asm.Return()}

// attachments are programs at hooks that are seldom passed, one for each form.
var attachments = []ebpf.ProgramSpec{
	{Type: ebpf.TracePoint, SectionName: "tracepoint/syscalls/sys_enter_sync"},
	{Type: ebpf.RawTracepoint, SectionName: "raw_tp/" + quietTracepoint},
	{Type: ebpf.Tracing, AttachType: ebpf.AttachTraceRawTp, AttachTo: quietTracepoint, SectionName: "tp_btf/" + quietTracepoint},
	{Type: ebpf.Kprobe, SectionName: "kprobe/" + quietFunction},
	{Type: ebpf.Kprobe, SectionName: "kretprobe/" + quietFunction},
	{Type: ebpf.Kprobe, SectionName: "ksyscall/sync"},
	{Type: ebpf.Kprobe, SectionName: "kretsyscall/sync"},
	{Type: ebpf.Tracing, AttachType: ebpf.AttachTraceFEntry, AttachTo: quietFunction, SectionName: "fentry/" + quietFunction},
	{Type: ebpf.Tracing, AttachType: ebpf.AttachTraceFExit, AttachTo: quietFunction, SectionName: "fexit/" + quietFunction},
}

// askAttachment does what it takes to attach a program.
func askAttachment(p ebpf.ProgramSpec) error {
	p.Name, p.License, p.Instructions = "noop", "GPL", noop
	c, err := Load(context.Background(), &ebpf.CollectionSpec{Programs: map[string]*ebpf.ProgramSpec{p.Name: &p}}, Options{})
	if err != nil {
		return err
	}
	defer c.Close()
	l, err := c.Programs[p.Name].Attach()
	if err != nil {
		return err
	}
	return l.Close()
}

// askProgramType tries to load a program. Of Tracing the library asks for fentry,
// which can be missing where the rest of it is there.
func askProgramType(t ebpf.ProgramType) error {
	if t != ebpf.Tracing {
		return features.HaveProgramType(t)
	}
	p, err := ebpf.NewProgram(&ebpf.ProgramSpec{Type: t, AttachType: ebpf.AttachTraceRawTp, AttachTo: quietTracepoint, License: "GPL", Instructions: noop})
	if err != nil {
		return err
	}
	return p.Close()
}
