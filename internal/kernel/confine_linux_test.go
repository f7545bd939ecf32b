package kernel

import (
	"context"
	"errors"
	"os"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/btf"
)

func needScope(t testing.TB) *Scope {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("skip: needs root")
	}
	if err := Permitted(); err != nil {
		t.Skipf("skip: %v", err)
	}
	s, err := NewScope()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// line is a line of source.
type line string

func (l line) String() string { return string(l) }

// What the kernel knows of a function moves to its new first instruction.
func TestConfineKeepsInformation(t *testing.T) {
	s := needScope(t)
	f := &btf.Func{Name: "p", Type: &btf.FuncProto{Return: &btf.Int{Size: 4, Encoding: btf.Signed}}}
	first := btf.WithFuncMetadata(asm.Mov.Imm(asm.R0, 1).WithSymbol("p").WithSource(line("int p(void *ctx)")), f)
	program := asm.Instructions{first, asm.Return()}
	got := s.confine(program, 0)

	if btf.FuncMetadata(&got[0]) != f || got[0].Source().String() != "int p(void *ctx)" {
		t.Errorf("the first instruction has function %v, source %v", btf.FuncMetadata(&got[0]), got[0].Source())
	}
	for i := range got[1:] {
		if btf.FuncMetadata(&got[i+1]) != nil {
			t.Errorf("instruction %d begins a function, too", i+1)
		}
	}
	own := got[len(got)-2:]
	if own[0].Symbol() != "p" || own[0].Source().String() != "int p(void *ctx)" || own[0].OpCode != first.OpCode || own[1].OpCode != asm.Return().OpCode {
		t.Errorf("the program has become %v", own)
	}
	if btf.FuncMetadata(&program[0]) != f {
		t.Error("the program that was given has changed")
	}
}

// loaders are programs at the limits of what the kernel takes: with a question
// before them they are loaded all the same.
func TestConfineLoads(t *testing.T) {
	s := needScope(t)
	exit := asm.Instructions{asm.Mov.Imm(asm.R0, 0), asm.Return()}
	callee := func(name string, code ...asm.Instruction) asm.Instructions {
		f := &btf.Func{Name: name, Type: &btf.FuncProto{Return: &btf.Int{Name: "int", Size: 4, Encoding: btf.Signed}}, Linkage: btf.StaticFunc}
		code[0] = btf.WithFuncMetadata(code[0].WithSymbol(name).WithSource(line(name)), f)
		return code
	}
	// Eight frames are the most.
	deep := callee("f0", asm.Call.Label("f1"), asm.Return())
	for _, name := range []string{"1", "2", "3", "4", "5", "6"} {
		deep = append(deep, callee("f"+name, asm.Call.Label("f"+string(name[0]+1)), asm.Return())...)
	}
	deep = append(deep, callee("f7", exit...)...)

	for name, p := range map[string]ebpf.ProgramSpec{
		"no information": {Type: ebpf.TracePoint, Instructions: exit},
		"whole stack": {Type: ebpf.RawTracepoint, Instructions: asm.Instructions{
			asm.Mov.Imm(asm.R0, 0), asm.StoreMem(asm.RFP, -512, asm.R0, asm.DWord), asm.Return()}},
		"eight frames": {Type: ebpf.Kprobe, Instructions: deep},
		"context in a callee": {Type: ebpf.Kprobe, Instructions: append(
			callee("caller", asm.Call.Label("reads"), asm.Return()),
			callee("reads", asm.LoadMem(asm.R0, asm.R1, 8, asm.DWord), asm.Mov.Imm(asm.R0, 0), asm.Return())...)},
		"loop to the start": {Type: ebpf.Kprobe, Instructions: asm.Instructions{
			asm.LoadMem(asm.R2, asm.R1, 8, asm.DWord).WithSymbol("start"),
			asm.And.Imm(asm.R2, 1),
			asm.JEq.Imm(asm.R2, 2, "start"),
			asm.Mov.Imm(asm.R0, 0), asm.Return()}},
		"perf_event": {Type: ebpf.PerfEvent, Instructions: exit},
		"writable":   {Type: ebpf.RawTracepointWritable, Instructions: exit},
		"tp_btf":     {Type: ebpf.Tracing, AttachType: ebpf.AttachTraceRawTp, AttachTo: quietTracepoint, Instructions: exit},
	} {
		p.License = "GPL"
		for _, confined := range []bool{false, true} {
			p := p.Copy()
			if confined {
				if !confinable(p) {
					t.Fatalf("%s: not to be confined", name)
				}
				p.Instructions = s.confine(p.Instructions, 0)
			}
			loaded, err := ebpf.NewProgram(p)
			if err != nil {
				t.Errorf("%s: confined %v: %+v", name, confined, err)
				continue
			}
			loaded.Close()
		}
	}
}

// Programs that run for nobody in particular are left alone.
func TestNotConfined(t *testing.T) {
	for _, p := range []ebpf.ProgramSpec{
		{Type: ebpf.XDP}, {Type: ebpf.SchedCLS}, {Type: ebpf.SocketFilter}, {Type: ebpf.CGroupSKB}, {Type: ebpf.Syscall},
		{Type: ebpf.Tracing, AttachType: ebpf.AttachTraceIter}, {Type: ebpf.LSM, AttachType: ebpf.AttachLSMMac},
	} {
		if confinable(&p) {
			t.Errorf("%s, %s is confined", p.Type, p.AttachType)
		}
	}
}

// The return value of a program reaches the kernel only from inside.
func TestConfineReturns(t *testing.T) {
	needScope(t)
	spec := &ebpf.CollectionSpec{Programs: map[string]*ebpf.ProgramSpec{"seven": {
		Name: "seven", Type: ebpf.RawTracepoint, SectionName: "raw_tp/sys_enter", License: "MIT",
		Instructions: asm.Instructions{asm.Mov.Imm(asm.R0, 7), asm.Return()},
	}}}
	c, err := Load(context.Background(), spec, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	p := c.Programs["seven"]
	run := func() uint32 {
		ret, err := p.Program.Run(&ebpf.RunOptions{Context: [2]uint64{}})
		if err != nil {
			t.Fatal(err)
		}
		return ret
	}
	set := func(err error) {
		if err != nil {
			t.Fatal(err)
		}
	}
	group, err := newCgroup()
	set(err)
	defer group.Close()
	above, aside, err := ownCgroup()
	set(err)
	if aside != nil {
		defer aside.Close()
	}
	for _, tt := range []struct {
		who  string
		set  func() error
		want uint32
	}{
		{"nobody", c.Scope.Nobody, 0},
		{"everybody", c.Scope.System, 7},
		{"this process", func() error { return c.Scope.Processes(os.Getpid()) }, 7},
		{"another process", func() error { return c.Scope.Processes(1) }, 0},
		{"no process", func() error { return c.Scope.Processes() }, 0},
		{"an empty cgroup", func() error { return errors.Join(c.Scope.arm(group), c.Scope.begun()) }, 0},
		{"armed", func() error { return c.Scope.arm(group) }, 0},
		{"the cgroup above", func() error {
			dir, err := os.Open(above)
			if err != nil {
				return err
			}
			defer dir.Close()
			return errors.Join(c.Scope.arm(&cgroup{path: above, dir: dir}), c.Scope.begun())
		}, 7},
	} {
		set(c.Scope.Nobody())
		set(tt.set())
		if got := run(); got != tt.want {
			t.Errorf("scope of %s: the program returned %d, want %d", tt.who, got, tt.want)
		}
	}
	set(c.Scope.Close())
	if got := run(); got != 0 {
		t.Errorf("closed scope: the program returned %d, want 0", got)
	}
	for what, err := range map[string]error{"Nobody": c.Scope.Nobody(), "System": c.Scope.System(), "Processes": c.Scope.Processes(1), "arm": c.Scope.arm(group)} {
		if !errors.Is(err, errClosed) {
			t.Errorf("%s of a closed scope: %v", what, err)
		}
	}
}
