package view

import (
	"encoding/binary"
	"math"
	"unicode"
	"unicode/utf8"

	"github.com/cilium/ebpf/btf"
)

// What a value may cost at most. Types come from an object file that nobody has
// checked, and arrays of nothing may be as long as they like.
const (
	depthLimit = 32
	nodeLimit  = 1 << 16
)

// Decode reads b as a value of type t. Types are those of C on BPF: little
// endian, pointers of 8 bytes. What b is too short for, and types without a size,
// become raw bytes; bytes after the value are ignored.
//
// An array of char is a string if all before its first NUL is printable text; it
// is the empty string only if every byte is 0. An enum's value without a name is
// a number. Members of anonymous structs and unions belong to the outer struct.
func Decode(t btf.Type, b []byte) Value {
	if size, err := btf.Sizeof(t); err != nil || size > len(b) {
		return Raw(b)
	}
	d := decoder{nodes: nodeLimit}
	return d.value(t, b, 0)
}

type decoder struct{ nodes int }

// value decodes one value; b may be longer than it.
func (d *decoder) value(t btf.Type, b []byte, depth int) Value {
	d.nodes--
	size, err := btf.Sizeof(t)
	if err != nil || size > len(b) || depth > depthLimit || d.nodes < 0 {
		return Raw(b[:min(len(b), dumped)])
	}
	b = b[:size]
	switch t := btf.UnderlyingType(t).(type) {
	case *btf.Int:
		return integer(t, b)
	case *btf.Enum:
		return enum(t, b)
	case *btf.Pointer:
		return Value{address(binary.LittleEndian.Uint64(b))}
	case *btf.Float:
		return float(b)
	case *btf.Array:
		return d.array(t, b, depth)
	case *btf.Struct:
		return Value{d.members(nil, t.Members, b, depth)}
	case *btf.Union:
		return Value{d.members(nil, t.Members, b, depth)}
	}
	return Raw(b)
}

func integer(t *btf.Int, b []byte) Value {
	n, ok := little(b)
	if !ok {
		return Raw(b) // __int128 and what isn't C
	}
	bits := 8 * len(b)
	switch t.Encoding {
	case btf.Bool:
		if n <= 1 {
			return Value{n == 1}
		}
	case btf.Signed, btf.Char:
		return Value{signed(n, bits)}
	}
	return Value{n}
}

// little is an integer of 1, 2, 4 or 8 bytes.
func little(b []byte) (uint64, bool) {
	switch len(b) {
	case 1:
		return uint64(b[0]), true
	case 2:
		return uint64(binary.LittleEndian.Uint16(b)), true
	case 4:
		return uint64(binary.LittleEndian.Uint32(b)), true
	case 8:
		return binary.LittleEndian.Uint64(b), true
	}
	return 0, false
}

// signed extends the sign of the low bits of n.
func signed(n uint64, bits int) int64 { return int64(n<<(64-bits)) >> (64 - bits) }

func enum(t *btf.Enum, b []byte) Value {
	n, ok := little(b)
	if !ok {
		return Raw(b)
	}
	return named(t, n, 8*len(b))
}

// named finds the name of an enum's value that is bits wide.
func named(t *btf.Enum, n uint64, bits int) Value {
	mask := ^uint64(0) >> (64 - bits)
	for _, v := range t.Values {
		if v.Value&mask == n {
			return Value{constant(v.Name)}
		}
	}
	if t.Signed {
		return Value{signed(n, bits)}
	}
	return Value{n}
}

func float(b []byte) Value {
	switch len(b) {
	case 4:
		return Value{float64(math.Float32frombits(binary.LittleEndian.Uint32(b)))}
	case 8:
		return Value{math.Float64frombits(binary.LittleEndian.Uint64(b))}
	}
	return Raw(b)
}

func (d *decoder) array(t *btf.Array, b []byte, depth int) Value {
	if isChar(t.Type) {
		if s, ok := text(b); ok {
			return Value{s}
		}
		return Raw(b)
	}
	size, err := btf.Sizeof(t.Type)
	if err != nil || size == 0 {
		return Value{list{}}
	}
	l := list{}
	for off := 0; off+size <= len(b); off += size {
		if d.nodes <= 0 {
			return Value{append(l, Value{cut((len(b) - off) / size)})}
		}
		l = append(l, d.value(t.Type, b[off:off+size], depth+1))
	}
	return Value{l}
}

// isChar reports whether t is C's char. clang gives char the encoding of a
// signed integer and only the name tells it from a number.
func isChar(t btf.Type) bool {
	i, ok := btf.UnderlyingType(t).(*btf.Int)
	return ok && i.Size == 1 && (i.Encoding == btf.Char || i.Name == "char")
}

// text is the C string in b.
func text(b []byte) (string, bool) {
	s := CString(b)
	if s == "" {
		for _, c := range b {
			if c != 0 {
				return "", false
			}
		}
		return "", true
	}
	if !utf8.ValidString(s) {
		return "", false
	}
	for _, r := range s {
		if !unicode.IsPrint(r) && !unicode.IsSpace(r) {
			return "", false
		}
	}
	return s, true
}

// members appends the members of a struct or union.
func (d *decoder) members(out fields, members []btf.Member, b []byte, depth int) fields {
	for _, m := range members {
		if d.nodes <= 0 || depth > depthLimit {
			return append(out, Field{"…", Value{cut(len(members))}})
		}
		d.nodes--
		if m.BitfieldSize > 0 {
			out = append(out, Field{m.Name, bitfield(m, b)})
			continue
		}
		off := uint64(m.Offset.Bytes())
		if off > uint64(len(b)) {
			out = append(out, Field{m.Name, Raw(nil)})
			continue
		}
		if m.Name == "" {
			switch inner := btf.UnderlyingType(m.Type).(type) {
			case *btf.Struct:
				out = d.members(out, inner.Members, b[off:], depth+1)
				continue
			case *btf.Union:
				out = d.members(out, inner.Members, b[off:], depth+1)
				continue
			}
		}
		out = append(out, Field{m.Name, d.value(m.Type, b[off:], depth+1)})
	}
	return out
}

// bitfield reads a member that is BitfieldSize bits wide, the first one the
// lowest, as little-endian ABIs lay them out.
func bitfield(m btf.Member, b []byte) Value {
	first, bits := uint64(m.Offset), uint64(m.BitfieldSize)
	end := (first + bits + 7) / 8
	if bits > 64 || end > uint64(len(b)) {
		return Raw(nil)
	}
	var n uint64
	for i := end; i > first/8; i-- {
		// The ninth byte of a field that straddles nine is shifted out below.
		if shift := (i-1)*8 - first/8*8; shift < 64 {
			n |= uint64(b[i-1]) << shift
		}
	}
	n >>= first % 8
	if used := 64 - first%8; bits > used {
		n |= uint64(b[end-1]) << used
	}
	n &= ^uint64(0) >> (64 - bits)
	switch t := btf.UnderlyingType(m.Type).(type) {
	case *btf.Enum:
		return named(t, n, int(bits))
	case *btf.Int:
		switch t.Encoding {
		case btf.Bool:
			if n <= 1 {
				return Value{n == 1}
			}
		case btf.Signed, btf.Char:
			return Value{signed(n, int(bits))}
		}
	}
	return Value{n}
}
