package kview

import (
	"fmt"
	"reflect"
	"strings"
	"sync"
	"unicode"

	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/btf"

	"github.com/skep-bpf/skep/internal/abi"
)

// persona are the types that nothing else in it points to.
var persona = []reflect.Type{
	reflect.TypeFor[TaskStruct](),
	reflect.TypeFor[Mount](),
	reflect.TypeFor[PtRegs](),
	reflect.TypeFor[SyscallTraceEnter](),
	reflect.TypeFor[OpenHow](),
	reflect.TypeFor[SyscallTraceExit](),
	reflect.TypeFor[TraceEventRawSysEnter](),
	reflect.TypeFor[TraceEventRawSysExit](),
	reflect.TypeFor[BpfRawTracepointArgs](),
	reflect.TypeFor[BpfRingbuf](),
}

// Types are the types of the persona, for CO-RE to relocate against. Nobody may
// change them.
func Types() *btf.Spec { return builtTypes() }

var builtTypes = sync.OnceValue(func() *btf.Spec {
	b := types{}
	var all []btf.Type
	for _, t := range persona {
		all = append(all, b.of(t))
	}
	all = append(all, helperIDs())
	builder, err := btf.NewBuilder(all, nil)
	if err != nil {
		panic(fmt.Sprintf("kview: types: %v", err))
	}
	spec, err := builder.Spec()
	if err != nil {
		panic(fmt.Sprintf("kview: types: %v", err))
	}
	return spec
})

// helperIDs is enum bpf_func_id with exactly the helpers that programs can
// call here, so that bpf_core_enum_value_exists tells the truth.
func helperIDs() *btf.Enum {
	const limit = 1 << 10 // above every helper's number
	e := &btf.Enum{Name: "bpf_func_id", Size: 4}
	for id := asm.BuiltinFunc(0); id < limit; id++ {
		if h := abi.HelperByID(id); h != nil && h.Support != abi.Nobody {
			name := "BPF_FUNC_" + strings.TrimPrefix(h.Name, "bpf_")
			e.Values = append(e.Values, btf.EnumValue{Name: name, Value: uint64(id)})
		}
	}
	return e
}

// types turns Go types into BTF types.
type types map[any]btf.Type

var intNames = map[reflect.Kind]string{
	reflect.Uint8:  "unsigned char",
	reflect.Uint16: "short unsigned int",
	reflect.Uint32: "unsigned int",
	reflect.Int32:  "int",
	reflect.Uint64: "long unsigned int",
	reflect.Int64:  "long int",
}

func (b types) of(t reflect.Type) btf.Type {
	if bt := b[t]; bt != nil {
		return bt
	}
	switch t.Kind() {
	case reflect.Struct:
		if strings.HasPrefix(t.Name(), "Ptr[") {
			p := &btf.Pointer{}
			b[t] = p
			p.Target = b.of(t.Field(0).Type.Elem().Elem())
			return p
		}
		if t == reflect.TypeFor[ID]() { // kuid_t and kgid_t name an anonymous struct
			s := &btf.Struct{Size: uint32(t.Size())}
			b[t] = s
			s.Members = b.members(t)
			return s
		}
		s := &btf.Struct{Name: snake(t.Name()), Size: uint32(t.Size())}
		b[t] = s
		s.Members = b.members(t)
		return s
	case reflect.Array:
		return &btf.Array{Index: b.of(reflect.TypeFor[uint32]()), Type: b.of(t.Elem()), Nelems: uint32(t.Len())}
	}
	i := &btf.Int{Name: intNames[t.Kind()], Size: uint32(t.Size())}
	if t.Kind() == reflect.Int32 || t.Kind() == reflect.Int64 {
		i.Encoding = btf.Signed
	}
	b[t] = i
	return i
}

func (b types) members(t reflect.Type) []btf.Member {
	var out []btf.Member
	for _, f := range reflect.VisibleFields(t) {
		names := f.Tag.Get("c")
		if names == "" {
			continue
		}
		ft := b.of(f.Type)
		if name := f.Tag.Get("typedef"); name != "" {
			ft = b.typedef(name, ft)
		}
		if array, ok := ft.(*btf.Array); ok {
			if f.Tag.Get("flexible") != "" {
				array.Nelems = 0
			}
			if f.Tag.Get("char") != "" {
				array.Type = b.char()
			}
		}
		at := btf.Bits(f.Offset * 8)
		first, second, _ := strings.Cut(names, ",")
		if second == "" {
			out = append(out, btf.Member{Name: first, Type: ft, Offset: at})
			continue
		}
		out = append(out, btf.Member{Offset: at, Type: &btf.Union{
			Size:    uint32(f.Type.Size()),
			Members: []btf.Member{{Name: first, Type: ft}, {Name: second, Type: ft}},
		}})
	}
	return out
}

func (b types) typedef(name string, t btf.Type) btf.Type {
	if b[name] == nil {
		b[name] = &btf.Typedef{Name: name, Type: t}
	}
	return b[name]
}

func (b types) char() btf.Type {
	if b["char"] == nil {
		b["char"] = &btf.Int{Name: "char", Size: 1}
	}
	return b["char"]
}

// snake is the C name of a Go name: TaskStruct is task_struct.
func snake(s string) string {
	var b strings.Builder
	for i, r := range s {
		if unicode.IsUpper(r) && i > 0 {
			b.WriteByte('_')
		}
		b.WriteRune(unicode.ToLower(r))
	}
	return b.String()
}
