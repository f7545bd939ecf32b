package view

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/btf"

	"github.com/skep-bpf/skep"
)

// table is a map with fixed contents.
type table struct {
	skep.Map // what a view has no business with panics
	typ      ebpf.MapType
	size     uint32 // of a value
	keys     []string
	values   []string
	err      error
}

func (t *table) Type() ebpf.MapType { return t.typ }
func (t *table) ValueSize() uint32  { return t.size }
func (t *table) MaxEntries() uint32 { return 16 }

func (t *table) NextKeyBytes(key any) ([]byte, error) {
	if t.err != nil {
		return nil, t.err
	}
	if key == nil {
		if len(t.keys) == 0 {
			return nil, nil
		}
		return []byte(t.keys[0]), nil
	}
	for i, k := range t.keys {
		if k == string(key.([]byte)) && i+1 < len(t.keys) {
			return []byte(t.keys[i+1]), nil
		}
	}
	return nil, nil
}

func (t *table) LookupBytes(key any) ([]byte, error) {
	for i, k := range t.keys {
		if k == string(key.([]byte)) && t.values[i] != "" {
			return []byte(t.values[i]), nil
		}
	}
	return nil, nil
}

// words are little-endian u32.
func words(n ...uint32) string {
	var b []byte
	for _, v := range n {
		b = binary.LittleEndian.AppendUint32(b, v)
	}
	return string(b)
}

var pair = &btf.Struct{Name: "pair", Size: 8, Members: []btf.Member{
	{Name: "count", Type: u32}, {Name: "kind", Type: outcome, Offset: 32},
}}

var mapTests = []struct {
	name string
	m    *table
	spec *skep.MapSpec
	text string
	json string
}{
	{
		"hash", // sorted by number, not by bytes; a key that is gone is left out
		&table{typ: ebpf.Hash, size: 8, keys: []string{words(256), words(3), words(4)}, values: []string{words(1, 0), words(12, ^uint32(0)), ""}},
		&skep.MapSpec{Key: u32, Value: pair},
		`map hash: hash, 2 of 16 elements
KEY  count  kind
  3     12  BROKEN
256      1  FINE
`,
		`{"map":"hash","key":3,"value":{"count":12,"kind":"BROKEN"}}
{"map":"hash","key":256,"value":{"count":1,"kind":"FINE"}}
`,
	},
	{
		"array",
		&table{typ: ebpf.Array, size: 4, keys: []string{words(0), words(1), words(2)}, values: []string{words(0), words(7), words(0)}},
		&skep.MapSpec{Key: u32, Value: u32},
		`map array: array, 1 value, 2 more are zero
KEY  VALUE
  1      7
`,
		`{"map":"array","key":1,"value":7}
`,
	},
	{
		"percpu",
		&table{typ: ebpf.PerCPUArray, size: 4, keys: []string{words(0), words(1)}, values: []string{words(5, 9, 0, 9, 6, 9), words(0, 9, 0, 9, 0, 9)}},
		&skep.MapSpec{Key: u32, Value: u32},
		`map percpu: per-CPU array, 2 values, 4 more are zero
KEY  CPU  VALUE
  0    0      5
  0    2      6
`,
		`{"map":"percpu","key":0,"cpu":0,"value":5}
{"map":"percpu","key":0,"cpu":2,"value":6}
`,
	},
	{
		"untyped",
		&table{typ: ebpf.Hash, size: 4, keys: []string{"\x02\x01", "\x01\x02"}, values: []string{words(1), words(2)}},
		&skep.MapSpec{},
		`map untyped: hash, 2 of 16 elements
KEY    VALUE
01 02  02 00 00 00
02 01  01 00 00 00
`,
		`{"map":"untyped","key":"0102","value":"02000000"}
{"map":"untyped","key":"0201","value":"01000000"}
`,
	},
	{
		"zeros",
		&table{typ: ebpf.Array, size: 4, keys: []string{words(0)}, values: []string{words(0)}},
		&skep.MapSpec{Key: u32, Value: u32},
		"map zeros: array, all zero\n",
		"",
	},
	{
		"nothing",
		&table{typ: ebpf.Hash, size: 4},
		&skep.MapSpec{Key: u32, Value: u32},
		"map nothing: hash, 0 of 16 elements\n",
		"",
	},
	{
		"stack",
		&table{typ: ebpf.StackTrace, err: fmt.Errorf("no order: %w", ebpf.ErrNotSupported)},
		&skep.MapSpec{},
		"map stack: StackTrace, its elements can't be listed\n",
		"",
	},
}

func TestObjectShowsMaps(t *testing.T) {
	for _, test := range mapTests {
		t.Run(test.name, func(t *testing.T) {
			spec := &skep.CollectionSpec{Maps: map[string]*skep.MapSpec{test.name: test.spec}}
			v, err := NewObject(&skep.Collection{Maps: map[string]skep.Map{test.name: test.m}}, Info{Spec: spec})
			if err != nil {
				t.Fatal(err)
			}
			var text, lines bytes.Buffer
			if err := v.Table(&text, Options{}); err != nil {
				t.Fatal(err)
			}
			if text.String() != test.text {
				t.Errorf("text\n%s\nwant\n%s", text.String(), test.text)
			}
			if err := v.Lines(json.NewEncoder(&lines).Encode); err != nil {
				t.Fatal(err)
			}
			if lines.String() != test.json {
				t.Errorf("lines\n%s\nwant\n%s", lines.String(), test.json)
			}
		})
	}
}

func TestObjectReportsBrokenMap(t *testing.T) {
	broken := errors.New("gone")
	spec := &skep.CollectionSpec{Maps: map[string]*skep.MapSpec{"m": {}}}
	v, err := NewObject(&skep.Collection{Maps: map[string]skep.Map{"m": &table{typ: ebpf.Hash, err: broken}}}, Info{Spec: spec})
	if err != nil {
		t.Fatal(err)
	}
	if err := v.Table(new(bytes.Buffer), Options{}); !errors.Is(err, broken) {
		t.Errorf("table: %v", err)
	}
	if err := v.Lines(func(any) error { return nil }); !errors.Is(err, broken) {
		t.Errorf("lines: %v", err)
	}
}

// A map whose iteration always starts again must not hold up the view.
func TestEntriesEnd(t *testing.T) {
	m := &table{typ: ebpf.Hash, size: 4, keys: []string{words(1), words(2), words(1)}, values: []string{words(1), words(2), words(1)}}
	entries, _, err := Entries(m, &skep.MapSpec{Key: u32, Value: u32})
	if err != nil {
		t.Fatal(err)
	}
	if len(entries) != 2 {
		t.Errorf("%d entries, want 2", len(entries))
	}
}
