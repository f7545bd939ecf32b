package image

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"fmt"
	"math"
	"strings"
)

// Sizes of the parts of a 64-bit ELF file, in bytes (elf(5)).
const (
	elfHeaderSize     = 64
	sectionHeaderSize = 64
	symbolSize        = 24
	relSize           = 16
)

// Where fields lie in a section header and in a symbol.
const (
	sectionOffset = 24
	sectionLen    = 32

	symbolInfo  = 4
	symbolValue = 8
	symbolLen   = 16
)

// An object is an ELF file whose tables have been checked to lie inside it. We
// read these tables ourselves because debug/elf neither says where they are, so
// that they can be changed, nor what is cut off.
type object struct {
	raw      []byte
	sections []section
	symbols  []symbol // as in the file, the first one is undefined
}

type section struct {
	name       string
	kind       elf.SectionType
	flags      elf.SectionFlag
	off, size  uint64
	link, info uint32
	role       role
	at         int // where the section's header lies in raw
}

type symbol struct {
	name    string
	typ     elf.SymType
	bind    elf.SymBind
	section int // index in sections; 0 if undefined, -1 if it is in none (absolute, common)
	value   uint64
	size    uint64
	at      int // where the symbol lies in raw
}

var le = binary.LittleEndian

// parse checks what kind of file raw is and reads its section and symbol tables.
func parse(raw []byte) (*object, error) {
	if err := identify(raw); err != nil {
		return nil, err
	}
	if len(raw) < elfHeaderSize {
		return nil, cut("", "the ELF header", elfHeaderSize, len(raw))
	}
	o := &object{raw: raw}
	if err := o.readSections(); err != nil {
		return nil, err
	}
	for i := range o.sections {
		s := &o.sections[i]
		if s.kind == elf.SHT_NULL || s.kind == elf.SHT_NOBITS {
			continue
		}
		if end := s.off + s.size; end > uint64(len(raw)) || end < s.off {
			return nil, cut(s.name, "its content", end, len(raw))
		}
		// A compressed section says itself how large it unpacks.
		if s.flags&elf.SHF_COMPRESSED != 0 && !strings.HasPrefix(s.name, ".debug") {
			return nil, &LoadError{Kind: ErrNotSupported, Section: s.name, Offset: int64(s.off),
				Reason: "is compressed; compile without -gz"}
		}
	}
	return o, o.readSymbols()
}

// identify tells a little-endian 64-bit BPF object from all other files.
func identify(raw []byte) error {
	if !bytes.HasPrefix(raw, []byte(elf.ELFMAG)) {
		return &LoadError{Kind: ErrNotELF, Offset: -1, Reason: whatIs(raw)}
	}
	if len(raw) < 20 {
		return cut("", "the ELF header", elfHeaderSize, len(raw))
	}
	var order binary.ByteOrder = binary.LittleEndian
	if elf.Data(raw[elf.EI_DATA]) == elf.ELFDATA2MSB {
		order = binary.BigEndian
	}
	kind, machine := elf.Type(order.Uint16(raw[16:])), elf.Machine(order.Uint16(raw[18:]))
	switch {
	// LLVM before 6 left the machine at 0.
	case machine != elf.EM_BPF && machine != elf.EM_NONE:
		return &LoadError{Kind: ErrMachine, Offset: -1, Reason: fmt.Sprintf("the file is %s %s; compile with clang -target bpf",
			machineName(machine), fileKind(kind))}
	case elf.Class(raw[elf.EI_CLASS]) != elf.ELFCLASS64:
		return &LoadError{Kind: ErrNotSupported, Offset: elf.EI_CLASS, Reason: "the file is not a 64-bit ELF file, BPF objects are"}
	case order != le:
		return &LoadError{Kind: ErrByteOrder, Offset: elf.EI_DATA, Reason: "the object is big-endian; compile with clang -target bpfel"}
	}
	return nil
}

// whatIs says what a file is that is not ELF.
func whatIs(raw []byte) string {
	known := []struct{ magic, what string }{
		{"BC\xc0\xde", "LLVM bitcode; compile without -emit-llvm, or with llc -march=bpf -filetype=obj"},
		{"\x1f\x8b", "gzip data"},
		{"\x28\xb5\x2f\xfd", "zstd data"},
		{"PK\x03\x04", "a zip archive"},
		{"!<arch>\n", "a static library"},
		{"\x00asm", "a WebAssembly module"},
		{"MZ", "a Windows executable"},
		{"\xcf\xfa\xed\xfe", "a macOS executable"},
		{"\x9f\xeb", "bare BTF without programs"},
		{"#!", "a script"},
	}
	if len(raw) == 0 {
		return "the file is empty"
	}
	for _, k := range known {
		if bytes.HasPrefix(raw, []byte(k.magic)) {
			return "the file is " + k.what
		}
	}
	head := raw[:min(len(raw), 64)]
	if bytes.Contains(head, []byte("#include")) || bytes.HasPrefix(head, []byte("//")) || bytes.HasPrefix(head, []byte("/*")) {
		return "the file is C source; compile it with clang -O2 -g -target bpf -c"
	}
	return fmt.Sprintf("the file starts with % x, an ELF file with 7f 45 4c 46", raw[:min(len(raw), 4)])
}

// machineName names the machines that a file given by mistake is likely for.
func machineName(m elf.Machine) string {
	switch m {
	case elf.EM_X86_64:
		return "an x86-64"
	case elf.EM_386:
		return "an i386"
	case elf.EM_AARCH64:
		return "an arm64"
	case elf.EM_ARM:
		return "an arm"
	case elf.EM_RISCV:
		return "a RISC-V"
	case elf.EM_S390:
		return "an s390"
	case elf.EM_PPC64:
		return "a ppc64"
	case elf.EM_MIPS:
		return "a MIPS"
	case elf.EM_LOONGARCH:
		return "a LoongArch"
	}
	return fmt.Sprintf("a machine %d", uint16(m))
}

func fileKind(t elf.Type) string {
	switch t {
	case elf.ET_REL:
		return "object"
	case elf.ET_EXEC:
		return "executable"
	case elf.ET_DYN:
		return "executable or shared library"
	case elf.ET_CORE:
		return "core dump"
	}
	return "ELF file"
}

func cut(section, what string, end uint64, have int) error {
	return &LoadError{Kind: ErrTruncated, Section: section, Offset: -1,
		Reason: fmt.Sprintf("%s ends at byte %d, the file has %d bytes", what, end, have)}
}

func malformed(section string, offset uint64, format string, args ...any) error {
	return &LoadError{Kind: ErrMalformed, Section: section, Offset: int64(min(offset, math.MaxInt64)), Reason: fmt.Sprintf(format, args...)}
}

// readSections fills o.sections.
func (o *object) readSections() error {
	raw := o.raw
	table, count, strings := le.Uint64(raw[40:]), uint64(le.Uint16(raw[60:])), uint32(le.Uint16(raw[62:]))
	if table == 0 {
		return nil
	}
	if size := le.Uint16(raw[58:]); size != sectionHeaderSize {
		return malformed("", 58, "section headers of %d bytes, want %d", size, sectionHeaderSize)
	}
	room := uint64(0)
	if table < uint64(len(raw)) {
		room = (uint64(len(raw)) - table) / sectionHeaderSize
	}
	if room == 0 {
		return cut("", "the section table", table+sectionHeaderSize, len(raw))
	}
	// Counts too large for the header are in the first section (elf(5)).
	if count == 0 {
		count = le.Uint64(raw[table+sectionLen:])
	}
	if strings == uint32(elf.SHN_XINDEX) {
		strings = le.Uint32(raw[table+40:])
	}
	if count > room {
		return cut("", "the section table", table+min(count, math.MaxUint32)*sectionHeaderSize, len(raw))
	}
	headers := make([]uint32, count)
	for i := range count {
		h := raw[table+i*sectionHeaderSize:]
		headers[i] = le.Uint32(h)
		o.sections = append(o.sections, section{
			kind:  elf.SectionType(le.Uint32(h[4:])),
			flags: elf.SectionFlag(le.Uint64(h[8:])),
			off:   le.Uint64(h[sectionOffset:]), size: le.Uint64(h[sectionLen:]),
			link: le.Uint32(h[40:]), info: le.Uint32(h[44:]),
			at: int(table + i*sectionHeaderSize),
		})
	}
	if uint64(strings) >= count {
		return malformed("", 62, "section names are in section %d of %d", strings, count)
	}
	s := &o.sections[strings]
	if s.kind != elf.SHT_STRTAB || s.off+s.size > uint64(len(raw)) || s.off+s.size < s.off {
		return cut("", "the table of section names", s.off+s.size, len(raw))
	}
	names := o.data(s)
	for i := range o.sections {
		name, ok := text(names, headers[i])
		if !ok {
			return malformed("", table+uint64(i)*sectionHeaderSize, "section %d has no name", i)
		}
		o.sections[i].name = name
		o.sections[i].role = o.sections[i].roleOf()
	}
	return nil
}

func (o *object) readSymbols() error {
	for i := range o.sections {
		s := &o.sections[i]
		if s.kind != elf.SHT_SYMTAB {
			continue
		}
		if o.symbols != nil {
			return malformed(s.name, s.off, "a second symbol table")
		}
		if int(s.link) >= len(o.sections) || o.sections[s.link].kind != elf.SHT_STRTAB {
			return malformed(s.name, s.off, "names of symbols are in section %d, which is no string table", s.link)
		}
		names := o.data(&o.sections[s.link])
		o.symbols = make([]symbol, 0, s.size/symbolSize)
		for at := s.off; at+symbolSize <= s.off+s.size; at += symbolSize {
			b := o.raw[at:]
			name, ok := text(names, le.Uint32(b))
			if !ok {
				return malformed(s.name, at, "symbol %d has no name", len(o.symbols))
			}
			where := int(le.Uint16(b[6:]))
			if where >= int(elf.SHN_LORESERVE) {
				where = -1
			} else if where >= len(o.sections) {
				return malformed(s.name, at, "symbol %q is in section %d of %d", name, where, len(o.sections))
			}
			o.symbols = append(o.symbols, symbol{
				name: name, typ: elf.ST_TYPE(b[symbolInfo]), bind: elf.ST_BIND(b[symbolInfo]), section: where,
				value: le.Uint64(b[symbolValue:]), size: le.Uint64(b[symbolLen:]), at: int(at),
			})
		}
	}
	return nil
}

// data are the bytes of a section, which parse has checked to be there.
func (o *object) data(s *section) []byte {
	if s.kind == elf.SHT_NOBITS || s.kind == elf.SHT_NULL {
		return nil
	}
	return o.raw[s.off : s.off+s.size]
}

// find is the section of that name, nil if there is none.
func (o *object) find(name string) *section {
	for i := range o.sections {
		if o.sections[i].name == name {
			return &o.sections[i]
		}
	}
	return nil
}

// text is the NUL-terminated string at off.
func text(table []byte, off uint32) (string, bool) {
	if uint64(off) >= uint64(len(table)) {
		return "", off == 0
	}
	b := table[off:]
	n := bytes.IndexByte(b, 0)
	if n < 0 {
		return "", false
	}
	return string(b[:n]), true
}

// role is what the ELF loader takes a section for.
type role int

const (
	other role = iota
	program
	mapDefs
	data
)

// roleOf follows the rules of cilium/ebpf's LoadCollectionSpecFromReader.
func (s *section) roleOf() role {
	switch {
	case strings.HasPrefix(s.name, "license"), strings.HasPrefix(s.name, "version"):
		return other
	case strings.HasPrefix(s.name, "maps"), s.name == ".maps":
		return mapDefs
	case s.name == ".bss", strings.HasPrefix(s.name, ".data"), strings.HasPrefix(s.name, ".rodata"):
		return data
	case s.kind == elf.SHT_PROGBITS && s.flags&elf.SHF_EXECINSTR != 0 && s.size > 0:
		return program
	}
	return other
}

// named reports whether a symbol marks something in a section of that role, by
// the rules of the same loader: old LLVM does not tag symbols, so those without
// type count, except for jump labels.
func (y *symbol) named(r role) bool {
	if y.name == "" || y.section <= 0 {
		return false
	}
	switch r {
	case program:
		return y.typ == elf.STT_FUNC || y.typ == elf.STT_NOTYPE && y.bind != elf.STB_LOCAL
	case mapDefs, data:
		return y.typ == elf.STT_OBJECT || y.typ == elf.STT_NOTYPE
	}
	return false
}
