package view

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/cilium/ebpf/btf"
)

var (
	u8    = &btf.Int{Name: "unsigned char", Size: 1}
	char  = &btf.Int{Name: "char", Size: 1, Encoding: btf.Signed}
	boole = &btf.Int{Name: "_Bool", Size: 1, Encoding: btf.Bool}
	u16   = &btf.Int{Name: "unsigned short", Size: 2}
	i32   = &btf.Int{Name: "int", Size: 4, Encoding: btf.Signed}
	u32   = &btf.Int{Name: "unsigned int", Size: 4}
	u64   = &btf.Int{Name: "unsigned long long", Size: 8}
	i64   = &btf.Int{Name: "long", Size: 8, Encoding: btf.Signed}
)

func array(t btf.Type, n uint32) *btf.Array { return &btf.Array{Index: u32, Type: t, Nelems: n} }

// outcome is an enum with values of both signs.
var outcome = &btf.Enum{Name: "outcome", Size: 4, Signed: true, Values: []btf.EnumValue{
	{Name: "FINE", Value: 0}, {Name: "BROKEN", Value: ^uint64(0)},
}}

// flags has the bitfields a:3, b:7 (signed), c:1 (bool) and d:2 (enum) in 4 bytes.
var flags = &btf.Struct{Name: "flags", Size: 4, Members: []btf.Member{
	{Name: "a", Type: u32, Offset: 0, BitfieldSize: 3},
	{Name: "b", Type: i32, Offset: 3, BitfieldSize: 7},
	{Name: "c", Type: boole, Offset: 10, BitfieldSize: 1},
	{Name: "d", Type: outcome, Offset: 11, BitfieldSize: 2},
}}

var event = &btf.Struct{Name: "event", Size: 32, Members: []btf.Member{
	{Name: "pid", Type: &btf.Typedef{Name: "pid_t", Type: &btf.Const{Type: i32}}, Offset: 0},
	{Name: "comm", Type: array(char, 8), Offset: 4 * 8},
	// An anonymous union with a struct inside.
	{Type: &btf.Union{Size: 4, Members: []btf.Member{
		{Name: "word", Type: u32},
		{Type: &btf.Struct{Size: 4, Members: []btf.Member{
			{Name: "low", Type: u16}, {Name: "high", Type: u16, Offset: 16},
		}}},
	}}, Offset: 12 * 8},
	{Name: "where", Type: &btf.Pointer{Target: &btf.Void{}}, Offset: 16 * 8},
	{Name: "inner", Type: flags, Offset: 24 * 8},
	{Name: "slots", Type: &btf.Volatile{Type: array(u8, 4)}, Offset: 28 * 8},
}}

func TestDecode(t *testing.T) {
	for _, test := range []struct {
		name string
		typ  btf.Type
		data string
		text string
		json string
	}{
		{"unsigned", u32, "\xff\xff\xff\xff", "4294967295", "4294967295"},
		{"signed", i32, "\xfe\xff\xff\xff", "-2", "-2"},
		{"signed 64", i64, "\x00\x00\x00\x00\x00\x00\x00\x80", "-9223372036854775808", "-9223372036854775808"},
		{"largest", u64, "\xff\xff\xff\xff\xff\xff\xff\xff", "18446744073709551615", "18446744073709551615"},
		{"char is a number", char, "\xff", "-1", "-1"},
		{"bool", boole, "\x01", "true", "true"},
		{"bool that is none", boole, "\x02", "2", "2"},
		{"int of 16 bytes", &btf.Int{Name: "__int128", Size: 16}, "\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f\x10",
			"01 02 03 04 05 06 07 08 09 0a 0b 0c 0d 0e 0f 10", `"0102030405060708090a0b0c0d0e0f10"`},
		{"float", &btf.Float{Name: "float", Size: 4}, "\x00\x00\xc0\x3f", "1.5", "1.5"},
		{"double", &btf.Float{Name: "double", Size: 8}, "\x00\x00\x00\x00\x00\x00\xf8\x7f", "NaN", `"NaN"`},
		{"enum", outcome, "\x00\x00\x00\x00", "FINE", `"FINE"`},
		{"negative enum", outcome, "\xff\xff\xff\xff", "BROKEN", `"BROKEN"`},
		{"nameless enum value", outcome, "\xf9\xff\xff\xff", "-7", "-7"},
		{"pointer", &btf.Pointer{Target: event}, "\x00\x10\x00\x00\x80\x88\xff\xff", "0xffff888000001000", `"0xffff888000001000"`},
		{"string", array(char, 6), "cat\x00\x00\x00", `"cat"`, `"cat"`},
		{"string without NUL", array(char, 3), "cat", `"cat"`, `"cat"`},
		{"string with rubbish behind", array(char, 6), "cat\x00\xf7\x01", `"cat"`, `"cat"`},
		{"empty string", array(char, 3), "\x00\x00\x00", `""`, `""`},
		{"hidden behind a NUL", array(char, 3), "\x00ab", "00 61 62", `"006162"`},
		{"no text", array(char, 3), "\x01\xff\x02", "01 ff 02", `"01ff02"`},
		{"typedef of char", array(&btf.Typedef{Name: "letter", Type: char}, 3), "abc", `"abc"`, `"abc"`},
		{"bytes", array(u8, 3), "abc", "[97, 98, 99]", "[97,98,99]"},
		{"run of equals", array(u16, 6), "\x07\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01\x00", "[7, 0 ×4, 1]", "[7,0,0,0,0,1]"},
		{"array of arrays", array(array(u8, 2), 2), "\x01\x02\x03\x04", "[[1, 2], [3, 4]]", "[[1,2],[3,4]]"},
		{"empty array", array(u32, 0), "", "[]", "[]"},
		{"bitfields", flags, "\x8d\x0e\x00\x00", "{a: 5, b: -47, c: true, d: 1}", `{"a":5,"b":-47,"c":true,"d":1}`},
		{"bitfield enum", flags, "\x00\x18\x00\x00", "{a: 0, b: 0, c: false, d: BROKEN}", `{"a":0,"b":0,"c":false,"d":"BROKEN"}`},
		{"struct", event, "\x2a\x00\x00\x00cat\x00\x00\x00\x00\x00\x01\x00\x02\x00\x10\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00\x01\x02\x03\x04",
			`{pid: 42, comm: "cat", word: 131073, low: 1, high: 2, where: 0x10, inner: {a: 1, b: 0, c: false, d: FINE}, slots: [1, 2, 3, 4]}`,
			`{"pid":42,"comm":"cat","word":131073,"low":1,"high":2,"where":"0x10","inner":{"a":1,"b":0,"c":false,"d":"FINE"},"slots":[1,2,3,4]}`},
		{"variable", &btf.Var{Name: "n", Type: u32}, "\x01\x00\x00\x00", "01 00 00 00", `"01000000"`},
		{"too short", u64, "\x01\x02", "01 02", `"0102"`},
		{"longer than the type", u16, "\x01\x00\xff", "1", "1"},
		{"no type", nil, "\x01", "01", `"01"`},
		{"function", &btf.FuncProto{Return: u32}, "\x01", "01", `"01"`},
	} {
		t.Run(test.name, func(t *testing.T) {
			v := Decode(test.typ, []byte(test.data))
			if got := v.String(); got != test.text {
				t.Errorf("text %s, want %s", got, test.text)
			}
			got, err := json.Marshal(v)
			if err != nil {
				t.Fatal(err)
			}
			if string(got) != test.json {
				t.Errorf("JSON %s, want %s", got, test.json)
			}
		})
	}
}

// A field of 60 bits that starts at bit 7 lies in nine bytes.
func TestBitfieldInNineBytes(t *testing.T) {
	m := btf.Member{Name: "x", Type: u64, Offset: 7, BitfieldSize: 60}
	b := []byte{0x80, 0, 0, 0, 0, 0, 0, 0, 0x07}
	if got := bitfield(m, b).String(); got != "1008806316530991105" { // 7<<57 | 1
		t.Errorf("got %s", got)
	}
}

func TestDecodeIsBounded(t *testing.T) {
	empty := &btf.Struct{Name: "empty"}
	var deep btf.Type = u8
	for range 20 {
		deep = array(deep, 1)
	}
	// Each level holds the one below twice, at no size: 2^24 members.
	var wide btf.Type = empty
	for range 24 {
		wide = &btf.Struct{Members: []btf.Member{{Type: wide}, {Name: "again", Type: wide}}}
	}
	self := &btf.Struct{Name: "self", Size: 8}
	self.Members = []btf.Member{{Name: "self", Type: self}}
	for name, typ := range map[string]btf.Type{
		"array of nothing": array(empty, 1<<32-1),
		"deep":             deep,
		"wide":             wide,
		"self":             self,
		"long":             array(u8, 1<<20),
	} {
		v := Decode(typ, make([]byte, 1<<20))
		data, err := json.Marshal(v)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if n := len(v.String()); n > 4<<20 {
			t.Errorf("%s: %d bytes of text", name, n)
		}
		if len(data) > 8<<20 {
			t.Errorf("%s: %d bytes of JSON", name, len(data))
		}
	}
}

func TestCutListSaysSo(t *testing.T) {
	v := Decode(array(u32, nodeLimit+10), make([]byte, 4*(nodeLimit+10)))
	data, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasSuffix(string(data), `,"… 11 more"]`) {
		t.Errorf("JSON ends in %s", data[len(data)-40:])
	}
}

func FuzzDecode(f *testing.F) {
	for _, typ := range []btf.Type{event, flags, outcome, array(event, 3), &btf.Float{Name: "double", Size: 8}} {
		b, err := btf.NewBuilder([]btf.Type{typ}, nil)
		if err != nil {
			f.Fatal(err)
		}
		raw, err := b.Marshal(nil, nil)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(raw, []byte("\x2a\x00\x00\x00cat\x00\x00\x00\x00\x00\x01\x00\x02\x00\x10\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00\x01\x02\x03\x04"))
	}
	f.Fuzz(func(t *testing.T, types, data []byte) {
		spec, err := btf.LoadSpecFromReader(bytes.NewReader(types))
		if err != nil {
			return
		}
		n := 0
		for typ, err := range spec.All() {
			if n++; err != nil || n > 32 {
				return
			}
			v := Decode(typ, data)
			_ = v.String()
			if data, err := json.Marshal(v); err != nil || !json.Valid(data) {
				t.Fatalf("%v: JSON %q: %v", typ, data, err)
			}
			if Compare(v, v) != 0 {
				t.Fatalf("%v: %s is not equal to itself", typ, v)
			}
		}
	})
}
