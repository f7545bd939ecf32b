package image

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/btf"

	"github.com/skep-bpf/skep/internal/abi"
)

func (in Insn) String() string {
	return fmt.Sprintf("%02x d%d s%d off %d imm %d", in.Op, in.Dst, in.Src, in.Off, in.Imm)
}

func TestRelocations(t *testing.T) {
	img := link(t, load(t, "core"), Target{Types: someTypes(t)})
	if len(img.Failed) > 0 {
		t.Fatal(img.Failed)
	}
	list := func(name string) (out []string) {
		p := img.Programs[name]
		last := -1
		for _, r := range p.Relocations {
			if r.Insn <= last {
				t.Errorf("%s: relocation at %d after %d", name, r.Insn, last)
			}
			last = r.Insn
			in := p.Insns[r.Insn]
			value := fmt.Sprint(in.Imm)
			switch {
			case in.Op == opCall && in.Imm == BadRelocation && in.Src == 0 && in.Dst == 0 && in.Off == 0:
				value = "poison"
			case in.Op&7 == 1: // a load
				value = fmt.Sprint(in.Off)
			}
			if r.Poisoned != (value == "poison") {
				t.Errorf("%s: %+v: poisoned and %v", name, r, in)
			}
			what := r.Type
			if r.Field != "" {
				what += "." + r.Field
			}
			out = append(out, r.Kind+" "+what+" "+value)
		}
		return out
	}
	compare(t, list("fields"), []string{
		"byte_off task_struct.pid 48",
		"byte_off task_struct.real_parent poison",
		"byte_off task_struct.tgid 40",
		"byte_off task_struct.comm[3] poison",
		"byte_off task_struct.in_execve poison",
		"byte_sz task_struct.in_execve poison",
		"lshift_u64 task_struct.in_execve poison",
		"signed task_struct.in_execve poison",
		"rshift_u64 task_struct.in_execve poison",
		"rshift_u64 task_struct.in_execve poison",
		"byte_off task_struct.files poison",
		"byte_off files_struct.fdt poison",
		"byte_off fdtable.fd poison",
		"byte_off file.f_path.dentry poison",
		"byte_off dentry.d_name.name poison",
	})
	compare(t, list("exists"), []string{
		"enumval_value pid_type.PIDTYPE_TGID 5",
		"field_exists task_struct.comm 0",
		"field_exists task_struct.no_such_field 0",
		"type_exists task_struct 1",
		"type_exists no_such_type 0",
		"type_matches fdtable 0",
		"type_matches no_such_type 0",
		"enumval_exists pid_type.PIDTYPE_TGID 1",
		"enumval_exists pid_type.PIDTYPE_NO_SUCH 0",
	})
	compare(t, list("guarded"), []string{
		"field_exists task_struct.no_such_array 0",
		"byte_off task_struct.no_such_array[2] poison",
		"enumval_exists pid_type.PIDTYPE_NO_SUCH 0",
		"enumval_value pid_type.PIDTYPE_NO_SUCH poison",
	})
	compare(t, list("unguarded"), []string{"byte_off task_struct.no_such_field poison"})
	sizes := list("sizes_of")
	compare(t, sizes[:4], []string{
		"type_size task_struct 64",
		"byte_sz task_struct.comm poison",
		"byte_off task_struct.tgid 40",
		"local_type_id record " + strings.Fields(sizes[3])[2],
	})

	// A poisoned 64-bit load leaves two instructions.
	p := img.Programs["guarded"]
	wide := p.Relocations[3].Insn
	if in := p.Insns[wide+1]; in != (Insn{Op: opCall, Imm: BadRelocation}) {
		t.Errorf("second slot of a poisoned load is %v", in)
	}
}

// Without types, what the compiler put in holds.
func TestOwnTypes(t *testing.T) {
	spec := load(t, "core")
	img := link(t, spec, Target{})
	for name, p := range img.Programs {
		for _, r := range p.Relocations {
			if r.Poisoned {
				t.Errorf("%s: %+v", name, r)
			}
		}
	}
	for _, r := range img.Programs["sizes_of"].Relocations {
		if strings.HasSuffix(r.Kind, "_type_id") {
			typ, err := spec.Types.AnyTypeByName(r.Type)
			if err != nil {
				t.Fatal(err)
			}
			id, err := spec.Types.TypeID(typ)
			if have := img.Programs["sizes_of"].Insns[r.Insn].Imm; err != nil || have != int32(id) {
				t.Errorf("%s of %s is %d, want %d (%v)", r.Kind, r.Type, have, id, err)
			}
		}
	}
	// The target without flavours gives the same where it gives something.
	full := link(t, spec, Target{Types: fullTypes(t)})
	if !slices.Equal(full.Programs["fields"].Insns[:20], img.Programs["fields"].Insns[:20]) {
		t.Errorf("own types and equal types differ:\n%v\n%v", img.Programs["fields"].Insns, full.Programs["fields"].Insns)
	}
}

// Loads become as wide as the target's field, if that is safe.
func TestResize(t *testing.T) {
	long := &btf.Int{Name: "long", Size: 8, Encoding: btf.Signed}
	table := &btf.Struct{Name: "fdtable", Size: 16, Members: []btf.Member{{Name: "max_fds", Type: &btf.Int{Name: "unsigned short", Size: 2}, Offset: 8 * 6}}}
	files := &btf.Struct{Name: "files_struct", Size: 8, Members: []btf.Member{{Name: "fdt", Type: &btf.Pointer{Target: table}}}}
	hidden := &btf.Struct{Size: 8, Members: []btf.Member{{Name: "files", Type: &btf.Pointer{Target: files}}}}
	task := &btf.Struct{Name: "task_struct", Size: 32, Members: []btf.Member{
		{Name: "pid", Type: long}, {Type: hidden, Offset: 8 * 16},
		{Name: "comm", Type: &btf.Array{Index: long, Type: &btf.Int{Name: "char", Size: 1, Encoding: btf.Signed}, Nelems: 8}, Offset: 8 * 8},
	}}
	p := link(t, load(t, "core"), Target{Types: types(t, task)}).Programs["in_place"]
	var have []string
	for _, r := range p.Relocations {
		in := p.Insns[r.Insn]
		have = append(have, fmt.Sprintf("%s op %#x off %d %v", r.Field, in.Op, in.Off, r.Poisoned))
	}
	compare(t, have, []string{
		"pid op 0x85 off 0 true", // signed: the upper half would be lost
		"comm[3] op 0x71 off 11 false",
		"files op 0x79 off 16 false",
		"files op 0x79 off 16 false",
		"fdt op 0x79 off 0 false",
		"max_fds op 0x69 off 6 false", // from 4 bytes to 2
	})
}

// A copy of a spec, whose types are others, links to the same.
func TestCopy(t *testing.T) {
	all := Target{
		Kconfig: func(string) (uint64, bool) { return 1, true },
		Ksym:    func(string) (uint64, bool) { return 1 << 40, true },
		Kfunc:   func(string) bool { return true },
	}
	for _, name := range objects {
		for _, target := range []*btf.Spec{nil, someTypes(t)} {
			all.Types = target
			spec := load(t, name)
			have, want := link(t, spec.Copy(), all), link(t, spec, all)
			if fmt.Sprint(have.Failed) != fmt.Sprint(want.Failed) || len(have.Programs) != len(want.Programs) {
				t.Errorf("%s: %v, want %v", name, have.Failed, want.Failed)
			}
			for n, p := range have.Programs {
				compare(t, p.Insns, want.Programs[n].Insns)
				compare(t, p.Relocations, want.Programs[n].Relocations)
			}
		}
	}
}

func TestSubprograms(t *testing.T) {
	img := link(t, load(t, "calls"), Target{})
	names := func(p string) (out []string) {
		for _, s := range img.Programs[p].Subprograms {
			out = append(out, s.Name)
			if s.Func == nil || s.Func.Name != s.Name {
				t.Errorf("%s: %s has the prototype %v", p, s.Name, s.Func)
			}
			if l := img.Programs[p].Source(s.Start); l == nil || l.Insn != s.Start || l.Line == 0 {
				t.Errorf("%s: %s starts at %v", p, s.Name, l)
			}
		}
		return out
	}
	compare(t, names("direct"), []string{"direct", "leaf"})
	compare(t, names("nested"), []string{"nested", "global", "leaf", "branch"})
	compare(t, names("callback"), []string{"callback", "each", "leaf"})
	compare(t, names("lone"), []string{"lone"})

	p := img.Programs["nested"]
	calls := map[string]int{}
	for i, in := range p.Insns {
		if in.Op == opCall && in.Src == uint8(asm.PseudoCall) {
			to := i + 1 + int(in.Imm)
			s := p.Subprograms[p.Subprogram(to)]
			if s.Start != to {
				t.Errorf("call at %d goes to %d, inside %s", i, to, s.Name)
			}
			calls[p.Subprograms[p.Subprogram(i)].Name+" "+s.Name]++
		}
	}
	want := map[string]int{"nested global": 1, "nested leaf": 1, "global branch": 1, "branch leaf": 2}
	if !maps.Equal(calls, want) {
		t.Errorf("calls are %v, want %v", calls, want)
	}
	pointers := 0
	for i, in := range img.Programs["callback"].Insns {
		if in.Op == opLoadImm64 && in.Src == uint8(asm.PseudoFunc) {
			pointers++
			if to := i + 1 + int(in.Imm); to != img.Programs["callback"].Subprograms[1].Start {
				t.Errorf("function pointer leads to %d", to)
			}
		}
	}
	if pointers != 1 {
		t.Errorf("%d function pointers", pointers)
	}
}

func TestLines(t *testing.T) {
	p := link(t, load(t, "calls"), Target{}).Programs["direct"]
	var leaf *Line
	for i := range p.Lines {
		l := &p.Lines[i]
		if l.File != "./calls.bpf.c" || l.Line == 0 || l.Text == "" || l.Text != strings.TrimSpace(l.Text) {
			t.Errorf("line is %+v", *l)
		}
		if strings.HasPrefix(l.Text, "sum += x") {
			leaf = l
		}
	}
	if leaf == nil || leaf.Insn < p.Subprograms[1].Start || leaf.Text != "sum += x;" {
		t.Errorf("the line of leaf is %+v", leaf)
	}
}

func TestData(t *testing.T) {
	spec := load(t, "data")
	before := spec.Copy()
	if err := spec.Variables["port"].Set(uint16(443)); err != nil {
		t.Fatal(err)
	}
	if err := spec.Variables["total"].Set(uint64(1 << 40)); err != nil {
		t.Fatal(err)
	}
	img := link(t, spec, Target{})
	if len(img.Failed) > 0 {
		t.Fatal(img.Failed)
	}
	p := img.Programs["count"]
	for _, name := range p.Maps {
		if img.Maps[name] == nil {
			t.Errorf("map %s is missing", name)
		}
	}
	if n := len(slices.Compact(slices.Sorted(slices.Values(p.Maps)))); n != len(p.Maps) {
		t.Errorf("maps are twice in %v", p.Maps)
	}
	read := func(section string, off, size int) string {
		return fmt.Sprintf("% x", img.Maps[section].Contents[0].Value.([]byte)[off:off+size])
	}
	for _, c := range []struct{ variable, want string }{
		{"port", "bb 01"}, {"total", "00 00 00 00 00 01 00 00"}, {"seed", "07 00 00 00"},
		{"own", "09 00 00 00"}, {"table", "03 04"}, {"tiny", "00"},
	} {
		v := spec.Variables[c.variable]
		if have := read(v.SectionName, int(v.Offset), int(v.Size())); have != c.want {
			t.Errorf("%s is %s, want %s", c.variable, have, c.want)
		}
	}
	if img.Maps[".rodata"].Flags != abi.MapRdonlyProg || img.Maps["outer"].InnerMap == nil || len(img.Maps["outer"].Contents) != 2 ||
		img.Maps["jumps"].Contents[0] != (ebpf.MapKV{Key: uint32(1), Value: "tail"}) {
		t.Errorf("maps are %v", img.Maps)
	}
	// A load of an address in a map: the index in the first slot, the offset in the
	// second. Static variables have no name but an offset.
	offsets := map[string][]int32{}
	for i, in := range p.Insns {
		if in.Op == opLoadImm64 && in.Src == uint8(asm.PseudoMapValue) {
			offsets[p.Maps[in.Imm]] = append(offsets[p.Maps[in.Imm]], p.Insns[i+1].Imm)
			if p.Insns[i+1] != (Insn{Imm: p.Insns[i+1].Imm}) {
				t.Errorf("second slot is %v", p.Insns[i+1])
			}
		}
	}
	for _, v := range []string{"port", "total", "seed", "own", "table", "tiny", "after_tiny"} {
		s := spec.Variables[v]
		if !slices.Contains(offsets[s.SectionName], int32(s.Offset)) {
			t.Errorf("nothing reads %s at %s+%d: %v", v, s.SectionName, s.Offset, offsets)
		}
	}
	// What is in the image does not lead back to the spec.
	img.Maps[".data"].Contents[0].Value.([]byte)[0] = 99
	for name, m := range spec.Maps {
		if fmt.Sprint(m.Contents) != fmt.Sprint(before.Maps[name].Contents) {
			t.Errorf("link changed the map %s of the spec", name)
		}
	}
	for name, q := range spec.Programs {
		for i := range q.Instructions {
			if have, want := q.Instructions[i], before.Programs[name].Instructions[i]; fmt.Sprint(have) != fmt.Sprint(want) || have.Reference() != want.Reference() {
				t.Errorf("link changed %v to %v", want, have)
			}
		}
	}
}

func TestExterns(t *testing.T) {
	values := map[string]uint64{"LINUX_KERNEL_VERSION": 6<<16 | 18<<8, "LINUX_HAS_SYSCALL_WRAPPER": 1, "CONFIG_HZ": 250, "CONFIG_BPF_SYSCALL": 1, "CONFIG_NET": 2}
	kernel := Target{
		Kconfig: func(name string) (uint64, bool) { v, ok := values[name]; return v, ok },
		Ksym:    func(name string) (uint64, bool) { return 0xffffffff81000000, name == "__per_cpu_start" },
		Kfunc:   func(name string) bool { return strings.HasPrefix(name, "bpf_task_") },
	}
	spec := load(t, "extern")
	img := link(t, spec, kernel)
	for name, want := range map[string]string{
		"config_missing":   "CONFIG_SKEP_NO_SUCH_STRONG",
		"variable_missing": "skep_no_such_strong",
		"function_missing": "skep_no_such_kfunc_strong",
	} {
		err := img.Failed[name]
		if !errors.Is(err, ErrMissing) || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "./extern.bpf.c:") || img.Programs[name] != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if len(img.Failed) != 3 {
		t.Errorf("failed: %v", img.Failed)
	}

	// Variables of .kconfig by what the program reads.
	contents := img.Maps[".kconfig"].Contents[0].Value.([]byte)
	p := img.Programs["config"]
	have := map[string]uint64{}
	for i, in := range p.Insns {
		if in.Op == opLoadImm64 && p.Maps[in.Imm] == ".kconfig" {
			load := p.Insns[i+2]
			size := map[uint8]int{0x71: 1, 0x69: 2, 0x61: 4, 0x79: 8}[load.Op]
			var b [8]byte
			copy(b[:], contents[p.Insns[i+1].Imm:][:size])
			line := p.Source(i).Text
			have[line[strings.Index(line, "= ")+2:len(line)-1]] = le.Uint64(b[:])
		}
	}
	values["CONFIG_SKEP_NO_SUCH_WEAK"] = 0
	values["CONFIG_NET"] = 'm'
	if !maps.Equal(have, values) {
		t.Errorf("the program reads %v, want %v", have, values)
	}

	address := func(p *Program) (out []uint64) {
		for i, in := range p.Insns {
			if in.Op == opLoadImm64 && in.Src == 0 {
				out = append(out, uint64(uint32(in.Imm))|uint64(p.Insns[i+1].Imm)<<32)
			}
		}
		return out
	}
	compare(t, address(img.Programs["variable"]), []uint64{0xffffffff81000000, 0})
	compare(t, address(img.Programs["variable_typed"]), []uint64{0})
	compare(t, address(img.Programs["function_weak"]), []uint64{0})

	f := img.Programs["function"]
	compare(t, f.Kfuncs, []string{"bpf_task_from_pid", "bpf_task_release"})
	var calls []int32
	for _, in := range f.Insns {
		if in.Op == opCall && in.Src == uint8(asm.PseudoKfuncCall) {
			calls = append(calls, in.Imm)
		}
	}
	compare(t, calls, []int32{0, 1})
	if w := img.Programs["function_weak"]; !slices.Contains(w.Insns, Insn{Op: opCall, Imm: MissingKfunc}) || len(w.Kfuncs) > 0 {
		t.Errorf("weak kfunc: %v", w.Insns)
	}

	// With all that it asks for, everything links but the typed variable.
	all := Target{
		Kconfig: func(string) (uint64, bool) { return 1, true },
		Ksym:    func(string) (uint64, bool) { return 1 << 40, true },
		Kfunc:   func(string) bool { return true },
	}
	img = link(t, spec, all)
	if err := img.Failed["variable_typed"]; len(img.Failed) != 1 || !errors.Is(err, ErrNotSupported) || !strings.Contains(err.Error(), "skep_no_such_typed") {
		t.Errorf("failed: %v", img.Failed)
	}
	compare(t, address(img.Programs["function_weak"]), []uint64{1})

	// With nothing, the weak ones do.
	img = link(t, spec, Target{})
	compare(t, slices.Sorted(maps.Keys(img.Programs)), []string{"function_weak", "variable", "variable_typed"})

	// A value that the variable can't hold.
	all.Kconfig = func(string) (uint64, bool) { return 1 << 40, true }
	if err := link(t, spec, all).Failed["config"]; err == nil || !strings.Contains(err.Error(), "LINUX_HAS_SYSCALL_WRAPPER: the target's value 1099511627776 is no _Bool") {
		t.Errorf("too large a value: %v", err)
	}
}

func TestGo(t *testing.T) {
	spec := &ebpf.CollectionSpec{
		Maps: map[string]*ebpf.MapSpec{"counts": {Type: ebpf.Array, KeySize: 4, ValueSize: 8, MaxEntries: 1}},
		Programs: map[string]*ebpf.ProgramSpec{"p": {Type: ebpf.XDP, License: "MIT", Instructions: asm.Instructions{
			asm.LoadMapPtr(asm.R1, 0).WithReference("counts"),
			asm.Call.Label("sub").WithSource(asm.Comment(" calls sub ")),
			asm.JEq.Imm(asm.R0, 0, "out"),
			asm.LongJump("out"),
			asm.Mov.Imm(asm.R0, 1),
			asm.Return().WithSymbol("out"),
			asm.LoadMapValue(asm.R2, 0, 4).WithReference("counts").WithSymbol("sub"),
			asm.FetchAdd.Mem(asm.R2, asm.R1, asm.DWord, 8),
			asm.SDiv.Reg(asm.R1, asm.R2),
			asm.Instruction{OpCode: asm.MovSX16.Op32(asm.RegSource), Dst: asm.R3, Src: asm.R1},
			asm.StoreImm(asm.RFP, -8, 0xdeadbeef, asm.Word),
			asm.FnGetPrandomU32.Call(),
			asm.Return(),
		}}},
	}
	img := link(t, spec, Target{})
	if img.Failed["p"] != nil {
		t.Fatal(img.Failed["p"])
	}
	p := img.Programs["p"]
	compare(t, p.Insns, []Insn{
		{Op: 0x18, Dst: 1, Src: 1}, {},
		{Op: 0x85, Src: 1, Imm: 4},
		{Op: 0x15, Off: 2},
		{Op: 0x06, Imm: 1},
		{Op: 0xb7, Imm: 1},
		{Op: 0x95},
		{Op: 0x18, Dst: 2, Src: 2}, {Imm: 4},
		{Op: 0xdb, Dst: 2, Src: 1, Off: 8, Imm: 1},
		{Op: 0x3f, Dst: 1, Src: 2, Off: 1},
		{Op: 0xbc, Dst: 3, Src: 1, Off: 16},
		{Op: 0x62, Dst: 10, Off: -8, Imm: -0x21524111},
		{Op: 0x85, Imm: 7},
		{Op: 0x95},
	})
	compare(t, p.Maps, []string{"counts"})
	compare(t, p.Subprograms, []Subprogram{{Start: 0, Name: "p"}, {Start: 7, Name: "sub"}})
	compare(t, p.Lines, []Line{{Insn: 2, Text: "calls sub"}})
	if p.Source(1) != nil || p.Source(2).Text != "calls sub" || img.Types != nil {
		t.Errorf("lines of %+v", p)
	}
}

func TestGoErrors(t *testing.T) {
	far := make(asm.Instructions, 40000)
	for i := range far {
		far[i] = asm.Mov.Imm(asm.R0, 0)
	}
	for _, c := range []struct {
		insns asm.Instructions
		kind  error
		text  string
	}{
		{nil, ErrNoProgram, "program p (section s): has no instructions"},
		{asm.Instructions{asm.LoadMapPtr(asm.R1, 0).WithReference("m"), asm.Return()}, ErrUndefined, "program p (section s), instruction 0: refers to the map m, which is not defined"},
		{asm.Instructions{asm.LoadMapPtr(asm.R1, 3), asm.Return()}, ErrUndefined, "by file descriptor"},
		{asm.Instructions{asm.Call.Label("f"), asm.Return()}, ErrUndefined, "calls the function f, which is not defined"},
		{asm.Instructions{asm.Ja.Label("l"), asm.Return()}, ErrUndefined, "jumps to l, which is not defined"},
		{asm.Instructions{asm.Return().WithSymbol("a"), asm.Return().WithSymbol("a")}, ErrMalformed, "the symbol a is defined twice"},
		{slices.Concat(asm.Instructions{asm.Ja.Label("l")}, far, asm.Instructions{asm.Return().WithSymbol("l")}), ErrTooLarge, "jumps to l, 40000 instructions away; the instruction reaches 32767"},
		{asm.Instructions{{OpCode: asm.InvalidOpCode}}, ErrMalformed, "opcode 0xffff is none"},
		{asm.Instructions{{OpCode: asm.Mov.Op(asm.ImmSource), Constant: 1 << 33}}, ErrMalformed, "immediate 8589934592 does not fit 32 bits"},
		{asm.Instructions{asm.Mov.Reg(asm.R0, 17)}, ErrMalformed, "registers 0 and 17 do not fit 4 bits"},
		{asm.Instructions{{OpCode: asm.SDiv.Op(asm.RegSource), Offset: 3}}, ErrMalformed, "has the offset 3"},
		{asm.Instructions{{OpCode: asm.OpCode(opCall), Src: asm.PseudoKfuncCall, Constant: 5}}, ErrUndefined, "by type id"},
		{asm.Instructions{asm.LoadImm(asm.R1, 0, asm.DWord).WithReference("x"), asm.Return()}, ErrUndefined, "loads x, which is not defined"},
	} {
		spec := &ebpf.CollectionSpec{Programs: map[string]*ebpf.ProgramSpec{
			"p":  {SectionName: "s", Instructions: c.insns},
			"ok": {Instructions: asm.Instructions{asm.Mov.Imm(asm.R0, 0), asm.Return()}},
		}}
		img := link(t, spec, Target{})
		err := img.Failed["p"]
		if !errors.Is(err, c.kind) || !strings.Contains(fmt.Sprint(err), c.text) {
			t.Errorf("error is %v, want %q", err, c.text)
		}
		if le := new(LinkError); !errors.As(err, &le) || le.Program != "p" {
			t.Errorf("%v is no LinkError", err)
		}
		if img.Programs["ok"] == nil {
			t.Errorf("%q hides the other program", c.text)
		}
	}

	for _, c := range []struct {
		spec *ebpf.CollectionSpec
		text string
	}{
		{nil, "no spec"},
		{&ebpf.CollectionSpec{Maps: map[string]*ebpf.MapSpec{"m": nil}}, "the spec of map m is nil"},
		{&ebpf.CollectionSpec{
			Maps:      map[string]*ebpf.MapSpec{".data": {Contents: []ebpf.MapKV{{Key: uint32(0), Value: make([]byte, 4)}}}},
			Variables: map[string]*ebpf.VariableSpec{"v": {SectionName: ".data", Offset: 2, Value: make([]byte, 4)}},
		}, "the variable v has bytes 2 to 6 of .data, which has 4"},
	} {
		if _, err := Link(c.spec, Target{}); err == nil || !strings.Contains(err.Error(), c.text) {
			t.Errorf("error is %v, want %q", err, c.text)
		}
	}
}

// The same spec gives the same image.
func TestDeterministic(t *testing.T) {
	for _, name := range objects {
		var before []byte
		for range 3 {
			var b bytes.Buffer
			img := link(t, load(t, name), Target{})
			for _, p := range slices.Sorted(maps.Keys(img.Programs)) {
				q := img.Programs[p]
				fmt.Fprintln(&b, p, q.Insns, q.Maps, q.Kfuncs, q.Lines, q.Relocations)
			}
			if before != nil && !bytes.Equal(before, b.Bytes()) {
				t.Errorf("%s differs from link to link", name)
			}
			before = b.Bytes()
		}
	}
}

func compare[T any](t *testing.T, have, want []T) {
	t.Helper()
	if h, w := fmt.Sprintf("%+v", have), fmt.Sprintf("%+v", want); h != w {
		t.Errorf("have %s\nwant %s", h, w)
	}
}
