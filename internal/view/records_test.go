package view

import (
	"strings"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/btf"

	"github.com/skep-bpf/skep"
)

// record makes a struct of a number of u32 members.
func record(name string, members int) *btf.Struct {
	s := &btf.Struct{Name: name, Size: uint32(4 * members)}
	for i := range members {
		s.Members = append(s.Members, btf.Member{Name: name + string(rune('a'+i)), Type: u32, Offset: btf.Bits(32 * i)})
	}
	return s
}

// specOf is an object with these types; marked are those that a global pointer
// stands for.
func specOf(t *testing.T, all []btf.Type, marked ...*btf.Struct) *skep.CollectionSpec {
	t.Helper()
	b, err := btf.NewBuilder(all, nil)
	if err != nil {
		t.Fatal(err)
	}
	types, err := b.Spec()
	if err != nil {
		t.Fatal(err)
	}
	spec := &skep.CollectionSpec{Types: types, Variables: map[string]*skep.VariableSpec{}, Maps: map[string]*skep.MapSpec{}}
	for _, s := range marked {
		name := "unused_" + s.Name
		spec.Variables[name] = &skep.VariableSpec{Name: name, Type: &btf.Var{Name: name, Type: &btf.Pointer{Target: &btf.Const{Type: s}}}, Value: make([]byte, 8)}
	}
	return spec
}

func TestRecordRules(t *testing.T) {
	event, eventT, other, large, twin := record("event", 1), record("event_t", 1), record("other", 2), record("large", 3), record("twin", 2)
	typedef := &btf.Typedef{Name: "events_t", Type: record("", 2)}
	key := record("key", 2)
	for _, test := range []struct {
		name   string
		all    []btf.Type
		marked []*btf.Struct
		keys   []btf.Type
		as     string
		sample string
		want   string
	}{
		{"1: the user's", []btf.Type{event, other}, []*btf.Struct{event}, nil, "struct other", words(1, 2), "{othera: 1, otherb: 2}"},
		{"2: marked", []btf.Type{event, other}, []*btf.Struct{other}, nil, "", words(1, 2), "{othera: 1, otherb: 2}"},
		{"2: marked, by name", []btf.Type{event, other}, []*btf.Struct{other, event}, nil, "", words(1), "{eventa: 1}"},
		{"2: marked, by size", []btf.Type{other, large}, []*btf.Struct{other, large}, nil, "", words(1, 2, 3), "{largea: 1, largeb: 2, largec: 3}"},
		{"3: singular", []btf.Type{other, event}, nil, nil, "", words(1), "{eventa: 1}"},
		{"3: singular before suffix", []btf.Type{eventT, event}, nil, nil, "", words(1), "{eventa: 1}"},
		{"3: suffix", []btf.Type{other, eventT}, nil, nil, "", words(1), "{event_ta: 1}"},
		{"3: typedef", []btf.Type{other, typedef}, nil, nil, "", words(1, 2), "{a: 1, b: 2}"},
		{"4: the only one of this size", []btf.Type{other, large}, nil, nil, "", words(1, 2), "{othera: 1, otherb: 2}"},
		{"4: a key does not count", []btf.Type{other, key, large}, nil, []btf.Type{key}, "", words(1, 2), "{othera: 1, otherb: 2}"},
		{"5: two of this size", []btf.Type{other, twin}, nil, nil, "", words(1, 2), "01 00 00 00 02 00 00 00"},
		{"5: none of this size", []btf.Type{other}, nil, nil, "", words(1, 2, 3), "01 00 00 00 02 00 00 00 03 00 00 00"},
		{"larger than the record", []btf.Type{event, other}, []*btf.Struct{other}, nil, "", words(1), "01 00 00 00"},
		{"more behind the struct", []btf.Type{event}, nil, nil, "", words(1, 7), "{eventa: 1, …: 07 00 00 00}"},
		{"padding behind the struct", []btf.Type{event}, nil, nil, "", words(1, 0), "{eventa: 1}"},
	} {
		t.Run(test.name, func(t *testing.T) {
			spec := specOf(t, test.all, test.marked...)
			for _, k := range test.keys {
				spec.Maps["keyed"] = &skep.MapSpec{Key: k, Value: u32}
			}
			r, err := NewRecord(spec, "events", test.as)
			if err != nil {
				t.Fatal(err)
			}
			got := r.Decode([]byte(test.sample)).String()
			if got != test.want {
				t.Errorf("got %s, want %s", got, test.want)
			}
		})
	}
}

func TestRecordThatIsMissing(t *testing.T) {
	if _, err := NewRecord(specOf(t, []btf.Type{record("event", 1)}), "events", "nothing"); err == nil || !strings.Contains(err.Error(), `no struct "nothing"`) {
		t.Errorf("got %v", err)
	}
	if _, err := NewRecord(&skep.CollectionSpec{}, "events", "nothing"); err == nil || !strings.Contains(err.Error(), "no BTF") {
		t.Errorf("got %v", err)
	}
	r, err := NewRecord(&skep.CollectionSpec{}, "events", "")
	if err != nil {
		t.Fatal(err)
	}
	if got := r.Decode([]byte("\x01\xff")).String(); got != "01 ff" {
		t.Errorf("without BTF: %s", got)
	}
}

func TestObjectRefusesRecordOfOtherMap(t *testing.T) {
	c := &skep.Collection{Maps: map[string]skep.Map{"counts": &table{typ: ebpf.Hash}}}
	if _, err := NewObject(c, Info{Spec: &skep.CollectionSpec{}, Records: map[string]string{"counts": "event"}}); err == nil || !strings.Contains(err.Error(), `"counts"`) {
		t.Errorf("got %v", err)
	}
}
