package view

import (
	"bytes"
	"cmp"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"strings"
)

// A Value is a decoded value: a scalar, a list or a struct. String is its text,
// for people; MarshalJSON keeps the order of members and all elements.
type Value struct {
	// one of bool, int64, uint64, float64, string, and the types below
	v any
}

type (
	address  uint64 // of a pointer: hexadecimal
	constant string // name of an enum's value
	raw      []byte // bytes of unknown meaning: hexadecimal
	list     []Value
	fields   []Field
	cut      int // this many elements are left out
)

// A Field is a member of a struct.
type Field struct {
	Name  string
	Value Value
}

// Fields makes a struct.
func Fields(members ...Field) Value { return Value{fields(members)} }

// Uint, Int and Str make scalars.
func Uint(n uint64) Value { return Value{n} }
func Int(n int64) Value   { return Value{n} }
func Str(s string) Value  { return Value{s} }

// Raw makes a value of bytes of unknown meaning.
func Raw(b []byte) Value { return Value{raw(bytes.Clone(b))} }

// numeric reports whether v is written as a number.
func (v Value) numeric() bool {
	switch v.v.(type) {
	case int64, uint64, float64:
		return true
	}
	return false
}

// number is v as a number to sort by.
func (v Value) number() float64 {
	switch x := v.v.(type) {
	case int64:
		return float64(x)
	case uint64:
		return float64(x)
	case float64:
		return x
	}
	return 0
}

// String is the text of v: {pid: 12, comm: "cat", hist: [0 ×38, 1, 2]}.
func (v Value) String() string {
	var b strings.Builder
	v.text(&b)
	return b.String()
}

// listed is how many elements of a list text shows; runs of equal ones count as
// one.
const listed = 64

// repeated is the length from which a run of equal elements is written as one.
const repeated = 4

func (v Value) text(b *strings.Builder) {
	switch x := v.v.(type) {
	case string:
		b.WriteString(strconv.Quote(x))
	case constant:
		b.WriteString(Printable(string(x)))
	case float64:
		b.WriteString(strconv.FormatFloat(x, 'g', -1, 64))
	case address:
		fmt.Fprintf(b, "%#x", uint64(x))
	case raw:
		x.text(b)
	case cut:
		fmt.Fprintf(b, "… %d more", int(x))
	case list:
		b.WriteByte('[')
		x.text(b)
		b.WriteByte(']')
	case fields:
		b.WriteByte('{')
		for i, f := range x {
			if i > 0 {
				b.WriteString(", ")
			}
			b.WriteString(Printable(f.Name))
			b.WriteString(": ")
			f.Value.text(b)
		}
		b.WriteByte('}')
	default:
		fmt.Fprint(b, x)
	}
}

func (l list) text(b *strings.Builder) {
	for i, shown := 0, 0; i < len(l); shown++ {
		if i > 0 {
			b.WriteString(", ")
		}
		if shown == listed {
			fmt.Fprintf(b, "… %d more", len(l)-i)
			return
		}
		l[i].text(b)
		run := 1
		for i+run < len(l) && Compare(l[i], l[i+run]) == 0 {
			run++
		}
		if run < repeated {
			run = 1
		} else {
			fmt.Fprintf(b, " ×%d", run)
		}
		i += run
	}
}

// dumped is how many bytes of unknown meaning text shows.
const dumped = 256

func (r raw) text(b *strings.Builder) {
	for i, c := range r {
		if i == dumped {
			fmt.Fprintf(b, " … %d more bytes", len(r)-i)
			return
		}
		if i > 0 {
			b.WriteByte(' ')
		}
		fmt.Fprintf(b, "%02x", c)
	}
}

// MarshalJSON gives integers and floats as numbers (what JSON has no number for
// as a string), pointers as "0x…", enums by name, bytes of unknown meaning as
// hexadecimal digits.
func (v Value) MarshalJSON() ([]byte, error) {
	switch x := v.v.(type) {
	case float64:
		if math.IsNaN(x) || math.IsInf(x, 0) {
			return json.Marshal(strconv.FormatFloat(x, 'g', -1, 64))
		}
		return json.Marshal(x)
	case address:
		return json.Marshal(fmt.Sprintf("%#x", uint64(x)))
	case raw:
		return json.Marshal(hex.EncodeToString(x))
	case cut:
		return json.Marshal(v.String())
	case list:
		return json.Marshal([]Value(x))
	case fields:
		return x.json()
	}
	return json.Marshal(v.v)
}

func (f fields) json() ([]byte, error) {
	var b bytes.Buffer
	b.WriteByte('{')
	for i, field := range f {
		if i > 0 {
			b.WriteByte(',')
		}
		for _, part := range []any{field.Name, field.Value} {
			data, err := json.Marshal(part)
			if err != nil {
				return nil, err
			}
			b.Write(data)
			b.WriteByte(':')
		}
		b.Truncate(b.Len() - 1)
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}

// Compare orders values of one type: numbers by size, text by its bytes, lists
// and structs by their first difference.
func Compare(a, b Value) int {
	switch x := a.v.(type) {
	case int64:
		if y, ok := b.v.(int64); ok {
			return cmp.Compare(x, y)
		}
	case uint64:
		if y, ok := b.v.(uint64); ok {
			return cmp.Compare(x, y)
		}
	case float64:
		if y, ok := b.v.(float64); ok {
			return cmp.Compare(x, y)
		}
	case address:
		if y, ok := b.v.(address); ok {
			return cmp.Compare(x, y)
		}
	case raw:
		if y, ok := b.v.(raw); ok {
			return bytes.Compare(x, y)
		}
	case list:
		if y, ok := b.v.(list); ok {
			for i := range min(len(x), len(y)) {
				if c := Compare(x[i], y[i]); c != 0 {
					return c
				}
			}
			return cmp.Compare(len(x), len(y))
		}
	case fields:
		if y, ok := b.v.(fields); ok {
			for i := range min(len(x), len(y)) {
				if c := Compare(x[i].Value, y[i].Value); c != 0 {
					return c
				}
			}
			return cmp.Compare(len(x), len(y))
		}
	}
	return strings.Compare(a.String(), b.String())
}
