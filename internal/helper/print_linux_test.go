package helper

import (
	"bytes"
	"strings"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
)

// numberFormats are printed with numbers, textFormats with addresses of text.
var (
	numberFormats = []string{
		"", "plain\n", "100%%", "%%%%d", "%", "a%", "%d", "%i", "%u", "%x", "%X", "%o", "%c", "%p", "%e", "%f", "%n", "%l", "%ll", "%lll",
		"%d %d %d", "%d %d %d %d", "%ld %lu %lx", "%lld %llu %llx", "%lX %llX", "%li %lli", "%lo", "%hd", "%hhd", "%zd", "%jd", "%Lx", "%lc", "%ls",
		"%5d|%-5d|%05d", "%+d|% d|%+5d", "%-05d|%0-5d|%+-8d|", "%08x|%8X|%-8x|", "%012lx", "% +d", "%+u|%+x", "%00d", "%1d", "%3c|%-3c|", "%100d", "%999d", "%1000d|%5d", "%2000d", "%99999d", "%03c",
		"%.3d", "%5.3d", "%*d", "%#x", "%'d", "%-#x",
		"%px", "%pK1", "%p1", "%pa", "%ps", "%pS", "%pB", "%psx", "%pSR", "%p%d", "%p%", "%px%d", "%20px|%-20px|", "%8px", "%020px", "%30ps|%-30pB|",
		"%pI5", "%pi", "%s", "%s|%pks|%pus", "%pI4", "%pi6",
		"%cx", "%dx", "%d\n%d", "%d%%%d",
		"tab\tand\vmore\f\r\n", "bell\a", "high\x80", "del\x7f", "escape\x1b", "%d\x80", "caf\xc3\xa9", "%\x80", "%px\x80", "%px\xe9|", "%p\xe9", "%p\x80", "%p\xa0", "%ps\xd7", "%px\xf7", "%d\xe9", "\x9f\xff",
		"hello %d, %c and %llx\n", "two\n\n",
	}
	textFormats = []string{
		"%s", "%s %s %s", "%20s|%-20s|%5s", "%05s", "%1000s|%5s", "%pks", "%pus", "%pks1", "%ss", "%s.", "%s1", "%s\n", "%s\t%s", "%s_", "%s%s", "%s\x80", "%s\xa0", "%s\xa1", "%s\xe9", "%pI4\xe9|", "%pI4\xff|",
		"%pi4", "%pI4", "%pi6", "%pI6", "%pI4h", "%20pI4|%-20pI4|", "%pI6c", "%pi4%s", "%pI6 %pI6 %pi6",
	}
)

func TestTracePrintkLikeKernel(t *testing.T) {
	s := newSides(t)
	var line []byte
	s.call.Runner.Env.Print = func(l []byte) { line = bytes.Clone(l) }

	const format, text, long = 0, 256, 1024
	blank := make([]byte, memory)
	copy(blank[text:], "some text\x00")
	for i := range 1000 {
		blank[long+i] = 'a' + byte(i%26)
	}
	check := func(f string, args ...argument) {
		t.Helper()
		m := bytes.Clone(blank)
		copy(m[format:], f+"\x00")
		call := func(size int) uint64 {
			t.Helper()
			r0, _ := s.run(t, asm.FnTracePrintk, m, append([]argument{ptr(format), num(uint64(size))}, args...)...)
			return r0
		}
		if len(f) > 0 {
			call(len(f)) // without the NUL
		}
		line = nil
		if int64(call(len(f)+1)) < 0 || hashed(f) {
			return
		}
		want, ok := s.snprintf(t, f, m, args)
		if !ok {
			return
		}
		if want = strings.TrimSuffix(want, "\n"); want != string(line) {
			t.Errorf("%q%v: the line is %q, the kernel's %q", f, args, line, want)
		}
	}
	for _, f := range numberFormats {
		check(f, num(0), num(0), num(0))
		check(f, num(1), num(2), num(3))
		check(f, num(^uint64(0)), num(^uint64(0)-41), num(1<<63))
		check(f, num(0x1234_5678_9abc_def0), num(0xffff_ffff), num(65))
	}
	for _, f := range textFormats {
		check(f, ptr(text), ptr(text), ptr(text))
		check(f, ptr(long), ptr(text), ptr(long+800))
		check(f, ptr(text+9), ptr(long+998), num(4096))
	}
}

// hashed reports whether a format shows addresses, which the kernel hides.
func hashed(f string) bool {
	for _, behind := range strings.Split(f, "%p")[1:] {
		if behind == "" || endsConversion(behind[0]) || behind[0] == 'K' {
			return true
		}
	}
	return false
}

// snprintf formats with the kernel's bpf_snprintf, which uses the same code as
// its bpf_trace_printk. ok is false if the verifier does not take the format.
func (s *sides) snprintf(t *testing.T, f string, memory []byte, args []argument) (text string, ok bool) {
	t.Helper()
	const out, data = 4096, 2048
	if err := s.kernel[memoryMap].Put(uint32(0), memory); err != nil {
		t.Fatal(err)
	}
	format, err := ebpf.NewMap(&ebpf.MapSpec{
		Name: ".rodata", Type: ebpf.Array, KeySize: 4, ValueSize: uint32(len(f) + 1), MaxEntries: 1, Flags: 1 << 7,
		Contents: []ebpf.MapKV{{Key: uint32(0), Value: []byte(f + "\x00")}},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer format.Close()
	for n := range len(args) + 1 {
		insns := asm.Instructions{asm.LoadMapValue(asm.R4, s.kernel[memoryMap].FD(), data)}
		for i, a := range args[:n] {
			if a.kind == pointer {
				insns = append(insns, asm.LoadMapValue(asm.R1, s.kernel[memoryMap].FD(), uint32(a.v)))
			} else {
				insns = append(insns, asm.LoadImm(asm.R1, int64(a.v), asm.DWord))
			}
			insns = append(insns, asm.StoreMem(asm.R4, int16(8*i), asm.R1, asm.DWord))
		}
		insns = append(insns,
			asm.LoadMapValue(asm.R1, s.kernel[memoryMap].FD(), out),
			asm.Mov.Imm(asm.R2, printLine),
			asm.LoadMapValue(asm.R3, format.FD(), 0),
			asm.Mov.Imm(asm.R5, int32(8*n)),
			asm.FnSnprintf.Call(),
			asm.Return(),
		)
		p, err := ebpf.NewProgram(&ebpf.ProgramSpec{Type: ebpf.RawTracepoint, License: "GPL", Instructions: insns})
		if err != nil {
			continue
		}
		defer p.Close()
		if _, err := p.Run(&ebpf.RunOptions{}); err != nil {
			t.Fatal(err)
		}
		after := make([]byte, len(memory))
		if err := s.kernel[memoryMap].Lookup(uint32(0), after); err != nil {
			t.Fatal(err)
		}
		line, _, _ := bytes.Cut(after[out:][:printLine], []byte{0})
		return string(line), true
	}
	return "", false
}
