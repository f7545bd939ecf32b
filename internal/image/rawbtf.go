package image

import "encoding/binary"

// A variable is one entry of a BTF data section, as it stands in the object.
type variable struct {
	name string
	size uint32
	// typ is the id of the variable's type and typAt where the id lies in the
	// BTF. Functions have no such variable: isFunc is set and both are 0.
	typ    uint32
	typAt  int
	isFunc bool
}

// Kinds of BTF types that are told apart here (Documentation/bpf/btf.rst).
const (
	btfInt       = 1
	btfArray     = 3
	btfStruct    = 4
	btfUnion     = 5
	btfEnum      = 6
	btfVolatile  = 9
	btfConst     = 10
	btfFunc      = 12
	btfFuncProto = 13
	btfVar       = 14
	btfDatasec   = 15
	btfDeclTag   = 17
	btfEnum64    = 19
)

// btfTail is what follows the 12 bytes that all types start with: bytes once and
// bytes for each member. Kinds that are not listed have nothing.
var btfTail = map[uint32]struct{ once, each int }{
	btfInt: {4, 0}, btfArray: {12, 0}, btfStruct: {0, 12}, btfUnion: {0, 12}, btfEnum: {0, 8},
	btfFuncProto: {0, 8}, btfVar: {4, 0}, btfDatasec: {0, 12}, btfDeclTag: {4, 0}, btfEnum64: {0, 12},
}

// rawBTF finds types in the bytes of a .BTF section. cilium/ebpf's btf package
// gives no access to where a type lies, and it gives up on some data sections
// that become readable by changing a few bytes.
type rawBTF struct {
	raw     []byte
	strings []byte
	types   []int // offset of each type by id; id 0 is void and has none
}

// readBTF gives nil if raw is no BTF that it can walk; whoever loads the object
// then says what is wrong with it.
func readBTF(raw []byte) *rawBTF {
	const header = 24
	if len(raw) < header || le.Uint16(raw) != 0xeb9f {
		return nil
	}
	start := uint64(le.Uint32(raw[4:]))
	types, typesLen := start+uint64(le.Uint32(raw[8:])), uint64(le.Uint32(raw[12:]))
	strings, stringsLen := start+uint64(le.Uint32(raw[16:])), uint64(le.Uint32(raw[20:]))
	if types+typesLen > uint64(len(raw)) || strings+stringsLen > uint64(len(raw)) {
		return nil
	}
	b := &rawBTF{raw: raw, strings: raw[strings : strings+stringsLen], types: []int{0}}
	for at, end := int(types), int(types+typesLen); at < end; {
		if end-at < 12 {
			return nil
		}
		b.types = append(b.types, at)
		kind, n := b.kind(at)
		tail := btfTail[kind]
		at += 12 + tail.once + n*tail.each
		if at > end {
			return nil
		}
	}
	return b
}

func (b *rawBTF) kind(at int) (kind uint32, members int) {
	info := le.Uint32(b.raw[at+4:])
	return info >> 24 & 0x1f, int(info & 0xffff)
}

// at is where the type of an id lies, 0 for void and for ids that there are not.
func (b *rawBTF) at(id uint32) int {
	if uint64(id) >= uint64(len(b.types)) {
		return 0
	}
	return b.types[id]
}

// isVoid reports whether the type is void with or without qualifiers.
func (b *rawBTF) isVoid(id uint32) bool {
	for range 8 {
		if id == 0 {
			return true
		}
		at := b.at(id)
		if at == 0 {
			return false
		}
		if kind, _ := b.kind(at); kind != btfConst && kind != btfVolatile {
			return false
		}
		id = le.Uint32(b.raw[at+8:])
	}
	return false
}

// datasec lists the variables of a data section, nil if there is none of that
// name.
func (b *rawBTF) datasec(name string) []variable {
	if b == nil {
		return nil
	}
	for _, at := range b.types[1:] {
		kind, n := b.kind(at)
		if kind != btfDatasec {
			continue
		}
		if s, _ := text(b.strings, le.Uint32(b.raw[at:])); s != name {
			continue
		}
		out := make([]variable, 0, n)
		for i := range n {
			entry := b.raw[at+12+12*i:]
			v := b.at(le.Uint32(entry))
			if v == 0 {
				continue
			}
			label, _ := text(b.strings, le.Uint32(b.raw[v:]))
			switch kind, _ := b.kind(v); kind {
			case btfVar:
				out = append(out, variable{name: label, size: le.Uint32(entry[8:]), typ: le.Uint32(b.raw[v+8:]), typAt: v + 8})
			case btfFunc:
				out = append(out, variable{name: label, isFunc: true})
			}
		}
		return out
	}
	return nil
}

// clear makes the type of a variable void.
func (v *variable) clear(btf []byte) { binary.LittleEndian.PutUint32(btf[v.typAt:], 0) }
