package image

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// Places in the ELF header.
const (
	atMachine  = 18
	atSections = 40
)

func TestLoadErrors(t *testing.T) {
	good := objectBytes(t, "calls")
	change := func(f func(b []byte)) []byte {
		b := bytes.Clone(good)
		f(b)
		return b
	}
	// header finds the header of a section.
	header := func(b []byte, name string) []byte {
		o, err := parse(good)
		if err != nil {
			t.Fatal(err)
		}
		for i := range o.sections {
			if o.sections[i].name == name {
				return b[le.Uint64(b[atSections:])+uint64(i)*sectionHeaderSize:]
			}
		}
		t.Fatalf("no section %s", name)
		return nil
	}
	big := func(machine elf.Machine) []byte {
		b := make([]byte, 64)
		copy(b, "\x7fELF\x02\x02\x01")
		binary.BigEndian.PutUint16(b[16:], uint16(elf.ET_REL))
		binary.BigEndian.PutUint16(b[atMachine:], uint16(machine))
		return b
	}
	machine := func(m elf.Machine, kind elf.Type) []byte {
		return change(func(b []byte) {
			le.PutUint16(b[16:], uint16(kind))
			le.PutUint16(b[atMachine:], uint16(m))
		})
	}
	for _, c := range []struct {
		raw  []byte
		kind error
		text string
	}{
		{nil, ErrNotELF, "not an ELF object: the file is empty"},
		{[]byte("\x7f"), ErrNotELF, "starts with 7f"},
		{[]byte("#include <linux/bpf.h>"), ErrNotELF, "the file is C source; compile it"},
		{[]byte("// reads"), ErrNotELF, "C source"},
		{[]byte("BC\xc0\xde1234"), ErrNotELF, "the file is LLVM bitcode"},
		{[]byte("\x1f\x8b\x08"), ErrNotELF, "gzip data"},
		{[]byte("MZ\x90"), ErrNotELF, "a Windows executable"},
		{[]byte("\x7fELF"), ErrTruncated, "truncated object: the ELF header ends at byte 64, the file has 4 bytes"},
		{good[:40], ErrTruncated, "the ELF header ends at byte 64, the file has 40 bytes"},
		{good[:64], ErrTruncated, "the section table ends at byte"},
		{good[:len(good)-1], ErrTruncated, fmt.Sprintf("the section table ends at byte %d, the file has %d bytes", len(good), len(good)-1)},
		{change(func(b []byte) { le.PutUint64(header(b, ".BTF")[32:], 1<<20) }), ErrTruncated, "section .BTF: its content ends at byte"},
		{change(func(b []byte) { le.PutUint64(header(b, "tc")[24:], 1<<63) }), ErrTruncated, "section tc: its content ends at byte"},
		{machine(elf.EM_X86_64, elf.ET_EXEC), ErrMachine, "not a BPF object: the file is an x86-64 executable; compile"},
		{machine(elf.EM_AARCH64, elf.ET_REL), ErrMachine, "the file is an arm64 object"},
		{machine(elf.EM_386, elf.ET_DYN), ErrMachine, "an i386 executable or shared library"},
		{machine(4711, elf.ET_CORE), ErrMachine, "a machine 4711 core dump"},
		{big(elf.EM_S390), ErrMachine, "an s390 object"},
		{big(elf.EM_BPF), ErrByteOrder, "wrong byte order: byte 5: the object is big-endian"},
		{change(func(b []byte) { b[elf.EI_CLASS] = byte(elf.ELFCLASS32) }), ErrNotSupported, "is not a 64-bit ELF file"},
		{change(func(b []byte) { le.PutUint64(b[atSections:], 0) }), ErrNoProgram, "no program: the file has no sections"},
		{change(func(b []byte) {
			clear(header(b, "tc")[8:16])
			clear(header(b, "xdp")[8:16])
			clear(header(b, ".text")[8:16])
		}), ErrNoProgram, "no section with instructions"},
		{change(func(b []byte) {
			header(b, "tc")[8] |= byte(elf.SHF_COMPRESSED & 0xff)
			header(b, "tc")[9] |= byte(elf.SHF_COMPRESSED >> 8)
		}), ErrNotSupported, "is compressed"},
		{change(func(b []byte) { le.PutUint16(b[58:], 3) }), ErrMalformed, "section headers of 3 bytes"},
		{change(func(b []byte) { le.PutUint16(b[62:], 0xff) }), ErrMalformed, "section names are in section 255"},
		{change(func(b []byte) { le.PutUint32(header(b, "tc"), 1<<30) }), ErrMalformed, "has no name"},
		{change(func(b []byte) { le.PutUint32(header(b, ".symtab")[40:], 0) }), ErrMalformed, "which is no string table"},
		{change(func(b []byte) { le.PutUint64(header(b, ".bss")[32:], 1<<40) }), ErrTooLarge, "section .bss: global variables take more than 268435456 bytes"},
	} {
		spec, err := Load(bytes.NewReader(c.raw))
		if spec != nil || !errors.Is(err, c.kind) || !strings.Contains(fmt.Sprint(err), c.text) {
			t.Errorf("error is %v\nwant %v with %q", err, c.kind, c.text)
		}
		if e := new(LoadError); !errors.As(err, &e) || e.Kind != c.kind {
			t.Errorf("%v is no LoadError", err)
		}
		if strings.ContainsAny(fmt.Sprint(err), "\n") {
			t.Errorf("%q has lines", err)
		}
	}

	if _, err := Load(failing{}); !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("reading fails with %v", err)
	}
	if _, err := Load(zeros(maxObject + 1)); !errors.Is(err, ErrTooLarge) {
		t.Errorf("large file: %v", err)
	}
}

type failing struct{}

func (failing) ReadAt([]byte, int64) (int, error) { return 0, io.ErrClosedPipe }

// zeros is a file of that many zero bytes.
type zeros int64

func (z zeros) ReadAt(b []byte, off int64) (int, error) {
	n := min(int64(len(b)), max(int64(z)-off, 0))
	clear(b[:n])
	if n < int64(len(b)) {
		return int(n), io.EOF
	}
	return int(n), nil
}

// TestSymbolErrors changes the symbol table of an object.
func TestSymbolErrors(t *testing.T) {
	for _, c := range []struct {
		object, symbol string
		change         func(b []byte)
		kind           error
		text           string
	}{
		{"calls", "leaf", func(b []byte) { le.PutUint64(b[symbolLen:], 1<<40) }, ErrMalformed, "section .text: byte"},
		{"calls", "leaf", func(b []byte) { le.PutUint64(b[symbolValue:], 8) }, ErrMalformed, "overlaps"},
		{"calls", "leaf", func(b []byte) { le.PutUint16(b[6:], 0x800) }, ErrMalformed, "symbol \"leaf\" is in section 2048"},
		{"data", "flows", func(b []byte) { le.PutUint64(b[symbolValue:], 8) }, ErrMalformed, "section .maps"},
		{"data", "seed", func(b []byte) { le.PutUint32(b, 1<<30) }, ErrMalformed, "has no name"},
	} {
		raw := bytes.Clone(objectBytes(t, c.object))
		o, err := parse(raw)
		if err != nil {
			t.Fatal(err)
		}
		for i := range o.symbols {
			if o.symbols[i].name == c.symbol {
				c.change(raw[o.symbols[i].at:])
			}
		}
		if _, err := Load(bytes.NewReader(raw)); !errors.Is(err, c.kind) || !strings.Contains(fmt.Sprint(err), c.text) {
			t.Errorf("error is %v\nwant %v with %q", err, c.kind, c.text)
		}
	}
}

// A relocation against symbol 0 makes cilium/ebpf's loader panic where int has 32
// bits. That is caught, as any panic.
func TestPanicIsContained(t *testing.T) {
	raw := bytes.Clone(objectBytes(t, "calls"))
	o, err := parse(raw)
	if err != nil {
		t.Fatal(err)
	}
	clear(o.data(o.find(".reltc"))[12:16])
	want := "symbol 4294967295 doesn't exist"
	if strconv.IntSize == 32 {
		want = "panicked: runtime error: index out of range [-1]"
	}
	if _, err := Load(bytes.NewReader(raw)); !errors.Is(err, ErrMalformed) || !strings.Contains(fmt.Sprint(err), want) {
		t.Errorf("error is %v", err)
	}
	if err := contain(func() error { panic("here") }); err == nil || !strings.Contains(err.Error(), "panicked: here") {
		t.Errorf("error is %v", err)
	}
}

// Functions that call each other from many programs take more memory than the
// file: it is counted before.
func TestFlatLimit(t *testing.T) {
	o := &object{raw: make([]byte, 1<<20), sections: make([]section, 3)}
	o.sections[1] = section{name: ".text", kind: elf.SHT_PROGBITS, off: 0, size: 1 << 19, role: program}
	o.sections[2] = section{name: "tc", kind: elf.SHT_PROGBITS, off: 1 << 19, size: 1 << 19, role: program}
	o.symbols = []symbol{{}, {name: "f", typ: elf.STT_FUNC, section: 1, size: 1 << 19}}
	for i := range 254 {
		o.symbols = append(o.symbols, symbol{name: fmt.Sprint("p", i), typ: elf.STT_FUNC, section: 2, value: uint64(i) * 8, size: 8})
	}
	if err := o.check(); err != nil {
		t.Fatal(err)
	}
	o.symbols = append(o.symbols, symbol{name: "last", typ: elf.STT_FUNC, section: 2, value: 254 * 8, size: 1<<19 - 254*8})
	if err := o.check(); !errors.Is(err, ErrTooLarge) {
		t.Errorf("16 Mi instructions: %v", err)
	}
}

// TestOldLLVM takes away what LLVM did not write in its first years: sizes and
// types of symbols, the machine, and the header for CO-RE.
func TestOldLLVM(t *testing.T) {
	shortened := false
	for _, name := range objects {
		raw := bytes.Clone(objectBytes(t, name))
		o, err := parse(raw)
		if err != nil {
			t.Fatal(err)
		}
		zeroed := 0
		for i := range o.symbols {
			if o.symbols[i].size != 0 {
				zeroed++
			}
			clear(raw[o.symbols[i].at+symbolLen:][:8])
		}
		clear(raw[atMachine:][:2])
		// No CO-RE: its header becomes what lies between the header and the rest.
		if ext := o.data(o.find(".BTF.ext")); le.Uint32(ext[28:]) == 0 {
			shortened = true
			le.PutUint32(ext[4:], 24)
			le.PutUint32(ext[8:], le.Uint32(ext[8:])+8)
			le.PutUint32(ext[16:], le.Uint32(ext[16:])+8)
			le.PutUint64(ext[24:], 0x0807060504030201)
			// Nor do the symbols say that they are functions.
			for _, y := range o.symbols {
				if y.typ == elf.STT_FUNC {
					raw[y.at+symbolInfo] &= 0xf0
				}
			}
		}
		if zeroed == 0 {
			t.Errorf("%s has no sizes", name)
		}
		spec, err := Load(bytes.NewReader(raw))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		describe := func(img *Image) (out []string) {
			for _, n := range slices.Sorted(maps.Keys(img.Programs)) {
				out = append(out, fmt.Sprintf("%s %v", n, img.Programs[n].Insns))
			}
			for _, n := range slices.Sorted(maps.Keys(img.Maps)) {
				out = append(out, fmt.Sprintf("%s %v %v", n, img.Maps[n], img.Maps[n].Contents))
			}
			return out
		}
		compare(t, describe(link(t, spec, Target{})), describe(link(t, load(t, name), Target{})))
		if have, want := len(spec.Variables), len(load(t, name).Variables); have != want {
			t.Errorf("%s has %d variables, want %d", name, have, want)
		}
	}
	if !shortened {
		t.Error("no object is without CO-RE")
	}
}

func FuzzLoad(f *testing.F) {
	for _, name := range objects {
		raw := objectBytes(f, name)
		f.Add(raw)
		f.Add(raw[:len(raw)/2])
	}
	f.Add([]byte("\x7fELF\x02\x01\x01"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		before := bytes.Clone(raw)
		spec, err := Load(bytes.NewReader(raw))
		if !bytes.Equal(raw, before) {
			t.Error("load changed the file")
		}
		if err != nil {
			if e := new(LoadError); !errors.As(err, &e) || e.Kind == nil || e.Reason == "" {
				t.Errorf("%v is no LoadError", err)
			}
			return
		}
		for _, target := range []Target{{}, {Types: someTypes(t)}} {
			img, err := Link(spec, target)
			if err != nil {
				continue
			}
			for name, p := range img.Programs {
				wellFormed(t, name, p, img)
			}
			if len(img.Programs)+len(img.Failed) != len(spec.Programs) {
				t.Error("a program is lost")
			}
		}
	})
}

// wellFormed checks what the stages after linking rely on.
func wellFormed(t *testing.T, name string, p *Program, img *Image) {
	t.Helper()
	if len(p.Insns) == 0 || len(p.Subprograms) == 0 || p.Subprograms[0].Start != 0 {
		t.Fatalf("%s: %+v", name, p)
	}
	for i := 0; i < len(p.Insns); i++ {
		in := p.Insns[i]
		switch {
		case in.Op == opLoadImm64 && (in.Src == 1 || in.Src == 2):
			if img.Maps[p.Maps[in.Imm]] == nil {
				t.Errorf("%s: map of %v", name, in)
			}
		case in.Op == opCall && in.Src == 2:
			_ = p.Kfuncs[in.Imm]
		}
		if in.Op == opLoadImm64 {
			i++
			if hi := p.Insns[i]; hi != (Insn{Imm: hi.Imm}) {
				t.Errorf("%s: second slot %v", name, hi)
			}
		}
	}
	inside := func(i int) {
		if i < 0 || i >= len(p.Insns) {
			t.Errorf("%s: index %d of %d", name, i, len(p.Insns))
		}
	}
	for _, s := range p.Subprograms {
		inside(s.Start)
	}
	for _, l := range p.Lines {
		inside(l.Insn)
	}
	for _, r := range p.Relocations {
		inside(r.Insn)
	}
}

func BenchmarkLoad(b *testing.B) {
	for _, name := range objects {
		raw := objectBytes(b, name)
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(raw)))
			for b.Loop() {
				if _, err := Load(bytes.NewReader(raw)); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// Against types as few as the program needs; the kernel's own are in
// BenchmarkLinkKernel.
func BenchmarkLink(b *testing.B) {
	for _, name := range objects {
		spec, types := load(b, name), someTypes(b)
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if _, err := Link(spec, Target{Types: types}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
