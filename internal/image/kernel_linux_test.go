package image

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/btf"
	"github.com/cilium/ebpf/rlimit"
)

// wire are the slots as bytes (RFC 9669, section 3).
func wire(insns []Insn) []byte {
	var b []byte
	for _, in := range insns {
		b = append(b, in.Op, in.Src<<4|in.Dst)
		b = le.AppendUint16(b, uint16(in.Off))
		b = le.AppendUint32(b, uint32(in.Imm))
	}
	return b
}

// index stands for a map whose file descriptor is its index in Program.Maps.
type index int

func (i index) FD() int { return int(i) }

// TestMarshal compares with what cilium/ebpf makes of the same instructions. It
// does that on Linux only.
func TestMarshal(t *testing.T) {
	compared := 0
	for _, name := range []string{"core", "data", "calls", "isa"} {
		for _, types := range []*btf.Spec{nil, someTypes(t), fullTypes(t)} {
			spec := load(t, name)
			img := link(t, spec, Target{Types: types})
			for prog, p := range spec.Programs {
				insns := slices.Clone(p.Instructions)
				have := img.Programs[prog]
				raw := slices.Clone(have.Insns)
				slot := 0
				for i := range insns {
					ins := &insns[i]
					width := int(ins.Width())
					if r := btf.CORERelocationMetadata(ins); r != nil && types != nil {
						fixups, err := btf.CORERelocate([]*btf.CORERelocation{r}, []*btf.Spec{types}, le, spec.Types.TypeID)
						if err != nil {
							t.Fatal(err)
						}
						if err := fixups[0].Apply(ins); err != nil {
							t.Fatal(err)
						}
						// For a poisoned 64-bit load it puts a load into R10 that is refused.
						if width == 2 && strings.HasSuffix(fixups[0].String(), "=poison") {
							want := Insn{Op: opCall, Imm: BadRelocation}
							if raw[slot] != want || raw[slot+1] != want {
								t.Errorf("%s: %s: poisoned load is %v", name, prog, raw[slot:slot+2])
							}
							raw[slot], raw[slot+1] = Insn{Op: opLoadImm64, Dst: 10, Imm: BadRelocation}, Insn{}
						}
					}
					if ins.IsLoadFromMap() {
						if err := ins.AssociateMap(index(slices.Index(have.Maps, ins.Reference()))); err != nil {
							t.Fatal(err)
						}
					}
					slot += width
				}
				var want bytes.Buffer
				if err := insns.Marshal(&want, le); err != nil {
					t.Fatal(err)
				}
				if !bytes.Equal(wire(raw), want.Bytes()) {
					t.Errorf("%s: %s:\nhave % x\nwant % x", name, prog, wire(raw), want.Bytes())
				}
				compared++
			}
		}
	}
	if compared < 30 {
		t.Errorf("compared %d programs", compared)
	}
}

// kernel is the running kernel as a target. It skips the test if bpf() is not
// permitted or the kernel does not describe its types.
func kernel(t *testing.T) Target {
	t.Helper()
	if err := rlimit.RemoveMemlock(); err != nil {
		t.Skipf("bpf() not permitted: %v", err)
	}
	m, err := ebpf.NewMap(&ebpf.MapSpec{Type: ebpf.Array, KeySize: 4, ValueSize: 4, MaxEntries: 1})
	if errors.Is(err, syscall.EPERM) || errors.Is(err, syscall.ENOSYS) {
		t.Skipf("bpf() not permitted: %v", err)
	} else if err != nil {
		t.Fatal(err)
	}
	m.Close()
	types, err := btf.LoadKernelSpec()
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, ebpf.ErrNotSupported) {
		t.Skipf("no kernel types: %v", err)
	} else if err != nil {
		t.Fatal(err)
	}
	return Target{
		Types:   types,
		Kconfig: func(name string) (uint64, bool) { return 1, !strings.Contains(name, "NO_SUCH") },
		Ksym: func(name string) (uint64, bool) {
			var addr uint64
			symbols, err := os.ReadFile("/proc/kallsyms")
			if err != nil {
				return 0, false
			}
			for line := range strings.Lines(string(symbols)) {
				if f := strings.Fields(line); len(f) == 3 && f[2] == name {
					_, err := fmt.Sscanf(f[0], "%x", &addr)
					return addr, err == nil
				}
			}
			return 0, false
		},
		Kfunc: func(name string) bool {
			var f *btf.Func
			return types.TypeByName(name, &f) == nil
		},
	}
}

// TestKernel puts our slots to the kernel, and compares what it makes of them with
// what it makes of the same program loaded by cilium/ebpf.
func TestKernel(t *testing.T) {
	target := kernel(t)
	// cilium/ebpf can't load these: it wants a value for all __kconfig variables of
	// the object, missing ones included.
	alone := []string{"config", "config_missing"}
	for _, object := range objects {
		spec := load(t, object)
		img := link(t, spec, target)
		for _, name := range slices.Sorted(maps.Keys(spec.Programs)) {
			t.Run(object+"/"+name, func(t *testing.T) {
				p := img.Programs[name]
				if p == nil {
					if !strings.HasSuffix(name, "_missing") {
						t.Fatal(img.Failed[name])
					}
					return
				}
				have, err := loadRaw(t, img, p, target.Types)
				if name == "unguarded" {
					if err == nil || !strings.Contains(fmt.Sprintf("%+v", err), "invalid func unknown#195896080") {
						t.Errorf("a poisoned instruction: %v", err)
					}
					return
				}
				if err != nil {
					t.Fatalf("%+v", err)
				}
				if slices.Contains(alone, name) {
					return
				}
				one := spec.Copy()
				for other := range one.Programs {
					if other != name && other != "tail" {
						delete(one.Programs, other)
					}
				}
				c, err := ebpf.NewCollection(one)
				if err != nil {
					t.Fatal(err)
				}
				defer c.Close()
				compare(t, translated(t, p, have), translated(t, p, c.Programs[name]))
			})
		}
	}
}

// translated are the kernel's instructions, without the ids of maps, and without
// those of local types, which cilium/ebpf numbers anew.
func translated(t *testing.T, linked *Program, p *ebpf.Program) (out []string) {
	t.Helper()
	info, err := p.Info()
	if err != nil {
		t.Fatal(err)
	}
	insns, err := info.Instructions()
	if err != nil {
		t.Fatal(err)
	}
	for it := insns.Iterate(); it.Next(); {
		ins := *it.Ins
		if ins.IsLoadFromMap() {
			ins.Constant = int64(uint64(ins.Constant) >> 32 << 32)
		}
		for _, r := range linked.Relocations {
			if r.Kind == "local_type_id" && r.Insn == int(it.Offset) {
				ins.Constant = 0
			}
		}
		out = append(out, fmt.Sprintf("%#x %d %d %d %d\n", uint32(ins.OpCode), ins.Dst, ins.Src, ins.Offset, ins.Constant))
	}
	if len(out) < 2 {
		t.Fatalf("the kernel shows %d instructions", len(out))
	}
	return out
}

// loadRaw loads a linked program with nothing but its slots, its maps and the
// prototypes of its functions.
func loadRaw(t *testing.T, img *Image, p *Program, types *btf.Spec) (*ebpf.Program, error) {
	t.Helper()
	insns, err := asm.AppendInstructions(nil, bytes.NewReader(wire(p.Insns)), le, "linux")
	if err != nil {
		t.Fatal(err)
	}
	made := map[string]*ebpf.Map{}
	var make func(name string) *ebpf.Map
	make = func(name string) *ebpf.Map {
		if m := made[name]; m != nil {
			return m
		}
		s := img.Maps[name].Copy()
		if s.Type == ebpf.ProgramArray {
			s.Contents = nil
		}
		for i, kv := range s.Contents {
			if inner, ok := kv.Value.(string); ok {
				s.Contents[i].Value = make(inner)
			}
		}
		m, err := ebpf.NewMap(s)
		if err != nil {
			t.Fatalf("map %s: %v", name, err)
		}
		t.Cleanup(func() { m.Close() })
		made[name] = m
		return m
	}
	for it := insns.Iterate(); it.Next(); {
		ins := it.Ins
		switch {
		case ins.IsLoadFromMap():
			name := p.Maps[uint32(ins.Constant)]
			if err := ins.AssociateMap(make(name)); err != nil {
				t.Fatal(err)
			}
		case ins.IsKfuncCall():
			var f *btf.Func
			if err := types.TypeByName(p.Kfuncs[ins.Constant], &f); err != nil {
				t.Fatal(err)
			}
			id, err := types.TypeID(f)
			if err != nil {
				t.Fatal(err)
			}
			ins.Constant = int64(id)
		}
		for _, s := range p.Subprograms {
			if s.Start == int(it.Offset) {
				*ins = btf.WithFuncMetadata(*ins, s.Func)
			}
		}
	}
	prog, err := ebpf.NewProgram(&ebpf.ProgramSpec{Name: p.Name, Type: p.Type, AttachType: p.AttachType, AttachTo: p.AttachTo,
		Flags: p.Flags, License: p.License, Instructions: insns})
	if err == nil {
		t.Cleanup(func() { prog.Close() })
	}
	return prog, err
}

func BenchmarkLinkKernel(b *testing.B) {
	types, err := btf.LoadKernelSpec()
	if err != nil {
		b.Skipf("no kernel types: %v", err)
	}
	spec := load(b, "core")
	for b.Loop() {
		if _, err := Link(spec, Target{Types: types}); err != nil {
			b.Fatal(err)
		}
	}
}
