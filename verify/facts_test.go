package verify

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"

	"github.com/skep-bpf/skep/internal/image"
)

// judge verifies one program of testdata.
func judge(t *testing.T, object, program string, o *Options) (*image.Program, *Result) {
	t.Helper()
	types := someKernel(t)
	img := linked(t, types)["testdata/"+object+".bpf.o"]
	p := img.Programs[program]
	if p == nil {
		t.Fatalf("%s has no program %s", object, program)
	}
	if o == nil {
		o = &Options{}
	}
	o.Types = types
	return p, Image(img, p, o)
}

func TestReached(t *testing.T) {
	_, r := judge(t, "control", "code_never_taken", nil)
	var got []bool
	for _, f := range r.Facts.Insns {
		got = append(got, f.Reached)
	}
	if want := []bool{true, true, false, true}; !slices.Equal(got, want) {
		t.Errorf("reached %v, want %v", got, want)
	}
}

func TestKernelLoad(t *testing.T) {
	p, r := judge(t, "task", "parent_walked", nil)
	loads := 0
	for i, f := range r.Facts.Insns {
		load := classOf(p.Insns[i]) == asm.LdXClass
		if f.KernelLoad != load { // it has no others
			t.Errorf("instruction %d: kernel load %v, load %v", i, f.KernelLoad, load)
		}
		if f.KernelLoad {
			loads++
		}
	}
	if loads != 2 {
		t.Errorf("%d kernel loads, want those of real_parent and tgid", loads)
	}
	p, r = judge(t, "memory", "context_last", nil)
	for i, f := range r.Facts.Insns {
		if f.KernelLoad {
			t.Errorf("instruction %d of %s is a kernel load", i, p.Name)
		}
	}
}

func TestSizes(t *testing.T) {
	_, r := judge(t, "control", "calls_deep", nil)
	if want := []int{256, 256}; !slices.Equal(r.Facts.StackDepth, want) {
		t.Errorf("stack depth %v, want %v", r.Facts.StackDepth, want)
	}
	_, r = judge(t, "memory", "context_last", nil)
	if r.Facts.ContextSize != 96 {
		t.Errorf("context size %d, want 96", r.Facts.ContextSize)
	}
	_, r = judge(t, "memory", "register_written", nil)
	if r.Facts.ContextSize != 0 {
		t.Errorf("context size %d of a program that does not touch it", r.Facts.ContextSize)
	}
}

func TestErrorIsOneSentence(t *testing.T) {
	for program, want := range map[string]string{
		"value_index_too_large": `an access of 1 byte at offset 8..71 of the value of map "values", which has 64 bytes [value-bounds]`,
		"stack_below":           `an access of 8 bytes at offset -520 from the frame pointer; the stack is -512..-1 [stack-bounds]`,
		"value_not_checked":     `a pointer to a value of map "values" that may be NULL is used; it must be compared with NULL first [null-pointer]`,
	} {
		_, r := judge(t, "memory", program, nil)
		got := r.Err.Error()
		if !strings.HasPrefix(got, "program "+program+", memory.bpf.c:") || !strings.HasSuffix(got, ": "+want) {
			t.Errorf("%s\nwant …: %s", got, want)
		}
	}
}

// The path of an error is the way from branch to branch.
func TestErrorPath(t *testing.T) {
	_, r := judge(t, "memory", "register_written_on_one_path", nil)
	// 0: load, 1: if goto 3, 2: r2 = 1, 3: r0 = r2
	if want := []int{3}; r.Err == nil || !slices.Equal(r.Err.Path, want) || r.Err.Insn != 3 {
		t.Errorf("%+v, want the path %v", r.Err, want)
	}
}

func TestLog(t *testing.T) {
	var log bytes.Buffer
	_, r := judge(t, "memory", "stack_index_masked", &Options{Log: &log})
	lines := strings.Split(strings.TrimSpace(log.String()), "\n")
	if len(lines) != r.Stats.Processed {
		t.Errorf("%d lines for %d instructions", len(lines), r.Stats.Processed)
	}
	for _, want := range []string{"0: ", "R1=ctx()", "R10=fp+0", "smin=0,smax=15,umax=15"} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("no %q in the log:\n%s", want, log.String())
		}
	}
}

// Collection judges all programs by name, those that can't be linked, too.
func TestCollection(t *testing.T) {
	spec := &ebpf.CollectionSpec{
		Maps: map[string]*ebpf.MapSpec{},
		Programs: map[string]*ebpf.ProgramSpec{
			"c": {Type: ebpf.RawTracepoint, License: "GPL", Instructions: asm.Instructions{asm.Mov.Imm(asm.R0, 0), asm.Return()}},
			"a": {Type: ebpf.RawTracepoint, License: "GPL", Instructions: asm.Instructions{asm.Return()}},
			"b": {Type: ebpf.RawTracepoint, License: "GPL", Instructions: asm.Instructions{asm.Ja.Label("nowhere"), asm.Return()}},
		},
	}
	results, err := Collection(spec, nil)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, r := range results {
		code := "accept"
		if !r.Accepted() {
			code = string(r.Err.Code)
		}
		got = append(got, r.Program+" "+code)
	}
	if want := []string{"a missing-return", "b malformed", "c accept"}; !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	if _, err := Collection(nil, nil); err == nil {
		t.Error("no error without a spec")
	}
}

// Program types without known rules are refused by name.
func TestUnknownProgramType(t *testing.T) {
	for typ, want := range map[ebpf.ProgramType]string{
		ebpf.Tracing: "programs of type tracing are not known yet",
		9999:         "is not known",
	} {
		p := &image.Program{Name: "p", Type: typ, Insns: []image.Insn{{Op: 0xb7}, {Op: opExit}}}
		r := Image(&image.Image{}, p, nil)
		if r.Accepted() || r.Err.Code != CodeUnsupported || !strings.Contains(r.Err.Message, want) {
			t.Errorf("%v: %v", typ, r.Err)
		}
	}
}
