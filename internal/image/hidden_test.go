package image

import (
	"fmt"
	"strings"
	"testing"

	"github.com/cilium/ebpf/btf"
)

// TestHidden fails if cilium/ebpf renames what is read by reflection, or gives it
// another meaning: it compares with what the same values print.
func TestHidden(t *testing.T) {
	core := load(t, "core")
	relocations, poisoned := 0, 0
	for name, p := range core.Programs {
		for i := range p.Instructions {
			r := btf.CORERelocationMetadata(&p.Instructions[i])
			if r == nil {
				continue
			}
			relocations++
			a := readRelocation(r)
			typ, err := core.Types.TypeByID(a.typ)
			if err != nil {
				t.Fatal(err)
			}
			path := strings.Trim(strings.ReplaceAll(fmt.Sprint(a.path), " ", ":"), "[]")
			want := fmt.Sprintf("CORERelocation(%s, %s[%s], local_id=%d)", a.kind, typ, path, a.typ)
			if r.String() != want {
				t.Errorf("%s: read %s from %s", name, want, r)
			}
			for _, types := range []*btf.Spec{fullTypes(t), someTypes(t)} {
				fixups, err := btf.CORERelocate([]*btf.CORERelocation{r}, []*btf.Spec{types}, le, core.Types.TypeID)
				if err != nil {
					t.Fatal(err)
				}
				f := readFixup(&fixups[0])
				want := fmt.Sprintf("%s=%d->%d", a.kind, f.local, f.target)
				if f.poison {
					want = fmt.Sprintf("%s=poison", a.kind)
					poisoned++
				}
				if fixups[0].String() != want {
					t.Errorf("%s: read %s from %s", name, want, &fixups[0])
				}
			}
		}
	}
	if relocations < 20 || poisoned == 0 {
		t.Errorf("compared %d relocations, %d poisoned", relocations, poisoned)
	}

	extern := load(t, "extern")
	type seen struct{ kconfig, kfuncs, weakKfuncs, ksyms, weakKsyms int }
	var have seen
	for _, p := range extern.Programs {
		for i := range p.Instructions {
			ins := &p.Instructions[i]
			if _, ok := kconfigOffset(ins); ok {
				have.kconfig++
			}
			if weak, ok := isKfunc(ins); weak {
				have.weakKfuncs++
			} else if ok {
				have.kfuncs++
			}
			if weak, ok := isKsym(ins); weak {
				have.weakKsyms++
			} else if ok {
				have.ksyms++
			}
		}
	}
	if want := (seen{kconfig: 7, kfuncs: 3, weakKfuncs: 2, ksyms: 1, weakKsyms: 3}); have != want {
		t.Errorf("externs are %+v, want %+v", have, want)
	}
}

// fullTypes are kernel types as core.bpf.c knows them, without its flavours.
func fullTypes(t testing.TB) *btf.Spec {
	t.Helper()
	var task *btf.Struct
	if err := load(t, "core").Types.TypeByName("task_struct", &task); err != nil {
		t.Fatal(err)
	}
	pids := &btf.Enum{Name: "pid_type", Size: 4, Values: []btf.EnumValue{{Name: "PIDTYPE_PID"}, {Name: "PIDTYPE_TGID", Value: 1}}}
	return types(t, task, pids)
}

// someTypes are kernel types of which core.bpf.c wants more: task_struct without
// comm, with pid at another place, and nothing else.
func someTypes(t testing.TB) *btf.Spec {
	t.Helper()
	integer := &btf.Int{Name: "int", Size: 4, Encoding: btf.Signed}
	return types(t,
		&btf.Struct{Name: "task_struct", Size: 64, Members: []btf.Member{
			{Name: "tgid", Type: integer, Offset: 8 * 40},
			{Name: "pid", Type: integer, Offset: 8 * 48},
		}},
		&btf.Enum{Name: "pid_type", Size: 4, Values: []btf.EnumValue{{Name: "PIDTYPE_TGID", Value: 5}}})
}

func types(t testing.TB, all ...btf.Type) *btf.Spec {
	t.Helper()
	b, err := btf.NewBuilder(all, nil)
	if err != nil {
		t.Fatal(err)
	}
	spec, err := b.Spec()
	if err != nil {
		t.Fatal(err)
	}
	return spec
}
