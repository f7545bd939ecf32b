package kview

import (
	"strings"
	"testing"
	"unsafe"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/btf"

	"github.com/skep-bpf/skep/internal/abi"
)

func structOf(t testing.TB, spec *btf.Spec, name string) *btf.Struct {
	t.Helper()
	var s *btf.Struct
	if err := spec.TypeByName(name, &s); err != nil {
		t.Fatal(err)
	}
	return s
}

// offsets are the places of a struct's members, those of anonymous ones too.
func offsets(t btf.Type, at btf.Bits, out map[string]btf.Bits) map[string]btf.Bits {
	var members []btf.Member
	switch t := btf.UnderlyingType(t).(type) {
	case *btf.Struct:
		members = t.Members
	case *btf.Union:
		members = t.Members
	}
	for _, m := range members {
		if m.Name == "" {
			offsets(m.Type, at+m.Offset, out)
			continue
		}
		out[m.Name] = at + m.Offset
	}
	return out
}

// TestContexts compares the types whose layout programs rely on with the
// running kernel's.
func TestContexts(t *testing.T) {
	ours := Types()
	for name, want := range map[string]map[string]uintptr{
		"syscall_trace_enter":       {"ent": 0, "nr": 8, "args": 16},
		"syscall_trace_exit":        {"ent": 0, "nr": 8, "ret": 16},
		"trace_event_raw_sys_enter": {"ent": 0, "id": 8, "args": 16},
		"trace_event_raw_sys_exit":  {"ent": 0, "id": 8, "ret": 16},
		"bpf_raw_tracepoint_args":   {"args": 0},
		"pt_regs":                   {"r15": 0, "r10": 56, "ax": 80, "dx": 96, "si": 104, "di": 112, "orig_ax": 120, "ip": 128, "sp": 152, "ss": 160},
		"upid":                      {"nr": 0},
	} {
		got := offsets(structOf(t, ours, name), 0, map[string]btf.Bits{})
		for member, off := range want {
			if bits, ok := got[member]; !ok || uintptr(bits.Bytes()) != off {
				t.Errorf("%s.%s is at %d (%v), want %d", name, member, bits.Bytes(), ok, off)
			}
		}
	}
	if size, err := btf.Sizeof(structOf(t, ours, "upid")); err != nil || size != 16 {
		t.Errorf("upid has %d bytes: %v", size, err)
	}
	if unsafe.Sizeof(PtRegs{}) != 168 {
		t.Errorf("pt_regs has %d bytes", unsafe.Sizeof(PtRegs{}))
	}
}

// TestRelocations relocates a program against the persona: everything that it
// looks at is there.
func TestRelocations(t *testing.T) {
	spec, err := ebpf.LoadCollectionSpec("testdata/dump.bpf.o")
	if err != nil {
		t.Fatal(err)
	}
	var relocations []*btf.CORERelocation
	for _, program := range spec.Programs {
		for i := range program.Instructions {
			if r := btf.CORERelocationMetadata(&program.Instructions[i]); r != nil {
				relocations = append(relocations, r)
			}
		}
	}
	fixups, err := btf.CORERelocate(relocations, []*btf.Spec{Types()}, spec.ByteOrder, func(btf.Type) (btf.TypeID, error) { return 0, nil })
	if err != nil {
		t.Fatal(err)
	}
	if len(relocations) < 40 {
		t.Errorf("only %d relocations", len(relocations))
	}
	for i, fixup := range fixups {
		name := relocations[i].String()
		ofIterator := strings.Contains(name, "bpf_iter_") // which only kernels have
		if poisoned := strings.Contains(fixup.String(), "poison"); poisoned != ofIterator {
			t.Errorf("%s: %s", name, fixup.String())
		}
	}
}

func TestHelperIDs(t *testing.T) {
	var e *btf.Enum
	if err := Types().TypeByName("bpf_func_id", &e); err != nil {
		t.Fatal(err)
	}
	has := map[string]uint64{}
	for _, v := range e.Values {
		has[v.Name] = v.Value
	}
	if has["BPF_FUNC_map_lookup_elem"] != uint64(asm.FnMapLookupElem) || has["BPF_FUNC_ringbuf_output"] != uint64(asm.FnRingbufOutput) {
		t.Errorf("bpf_func_id: %v", has)
	}
	for id := asm.BuiltinFunc(0); id < 300; id++ {
		h := abi.HelperByID(id)
		if h == nil {
			continue
		}
		_, listed := has["BPF_FUNC_"+h.Name[len("bpf_"):]]
		if listed != (h.Support != abi.Nobody) {
			t.Errorf("%s: listed %v, support %v", h.Name, listed, h.Support)
		}
	}
}

func TestKconfig(t *testing.T) {
	for name, want := range map[string]uint64{"LINUX_KERNEL_VERSION": 0x060c00, "LINUX_HAS_SYSCALL_WRAPPER": 1} {
		if got, ok := Kconfig(name); !ok || got != want {
			t.Errorf("%s: %#x, %v, want %#x", name, got, ok, want)
		}
	}
	cookie, ok := Kconfig("LINUX_HAS_BPF_COOKIE")
	if h := abi.HelperByID(asm.FnGetAttachCookie); !ok || (cookie == 1) != (h != nil && h.Support != abi.Nobody) {
		t.Errorf("LINUX_HAS_BPF_COOKIE: %d, %v", cookie, ok)
	}
	if _, ok := Kconfig("CONFIG_NOT_THERE"); ok {
		t.Error("an option that nobody knows has a value")
	}
}
