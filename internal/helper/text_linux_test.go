package helper

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"

	"github.com/skep-bpf/skep/internal/maps"
	"github.com/skep-bpf/skep/internal/mem"
)

// TestParseLikeKernel parses good and bad numbers in every base.
func TestParseLikeKernel(t *testing.T) {
	s := newSides(t)
	texts := []string{
		"0", "1", "42", "-1", "-0", "--1", "+1", " 7", "\t\n 7 8", "\xa07", "  ", "-", "- 1", "12abc", "abc", "ABCDEF", "0x", "0x1", "0X1f", "0xg", "0x0xg",
		"08", "07", "010", "0b1", "00", "x1", "-0x10", "-010", "1-1", "9223372036854775807", "9223372036854775808", "-9223372036854775808", "-9223372036854775809",
		"18446744073709551615", "18446744073709551616", "-18446744073709551615", "0xffffffffffffffff", "0x10000000000000000", "ffffffffffffffff",
		"7fffffffffffffff", "01777777777777777777777", "02000000000000000000000", "1\x002", "\x00", "1\n",
		strings.Repeat("0", 62) + "19", strings.Repeat("0", 63) + "19", strings.Repeat("0", 70) + "1", strings.Repeat(" ", 70) + "19x", strings.Repeat("9", 64),
	}
	r := rand.New(rand.NewPCG(4, 4))
	const alphabet = " -0123456789abcdefxX\x00"
	for range 60 {
		b := make([]byte, 1+r.IntN(24))
		for i := range b {
			b[i] = alphabet[r.IntN(len(alphabet))]
		}
		texts = append(texts, string(b))
	}
	const result = 512
	for i, text := range texts {
		m := bytes.Repeat([]byte{0xaa}, memory)
		copy(m, text)
		bases := []uint64{0, 8, 10, 16}
		if i == 2 {
			bases = []uint64{0, 1, 2, 7, 8, 9, 10, 15, 16, 17, 31, 32, 42, 1 << 32, 1<<32 | 10, ^uint64(0)}
		}
		for _, base := range bases {
			for _, id := range []asm.BuiltinFunc{asm.FnStrtol, asm.FnStrtoul} {
				s.run(t, id, m, ptr(0), num(uint64(len(text))), num(base), ptr(result))
			}
		}
	}
	// The result lies where the text does.
	m := make([]byte, memory)
	copy(m, "1234567890123456")
	s.run(t, asm.FnStrtoul, m, ptr(0), num(10), num(10), ptr(0))
}

// TestStrncmpLikeKernel compares with a constant string.
func TestStrncmpLikeKernel(t *testing.T) {
	s := newSides(t)
	for _, constant := range []string{"", "a", "abc", "abc\xff", "\x01", "abcdefgh"} {
		spec := &ebpf.MapSpec{
			Name: ".rodata", Type: ebpf.Array, KeySize: 4, ValueSize: uint32(len(constant) + 1), MaxEntries: 1, Flags: 1 << 7,
			Contents: []ebpf.MapKV{{Key: uint32(0), Value: []byte(constant + "\x00")}},
		}
		kernel, err := ebpf.NewMap(spec)
		if err != nil {
			t.Fatal(err)
		}
		ours := newMap(t, spec)
		addr, _ := ours.(maps.Direct).ValueAddr(0)
		c := newCall(t, 0, append(s.ours[:len(s.ours):len(s.ours)], ours)...)
		for _, text := range []string{"", "a", "ab", "abc", "abd", "abb", "abcd", "abc\xff", "abc\x80", "\x00abc", "abc\x00def", "\xff", "abcdefghi"} {
			m := make([]byte, memory)
			copy(m, text)
			for _, size := range []int{1, 2, 3, 4, 5, 9, 100} {
				if err := s.kernel[memoryMap].Put(uint32(0), m); err != nil {
					t.Fatal(err)
				}
				want := s.runProgram(t, asm.Instructions{
					asm.LoadMapValue(asm.R1, s.kernel[memoryMap].FD(), 0),
					asm.Mov.Imm(asm.R2, int32(size)),
					asm.LoadMapValue(asm.R3, kernel.FD(), 0),
					asm.FnStrncmp.Call(),
				}, len(m))
				copy(mem.Slice(s.start, len(m)), m)
				if got := For(asm.FnStrncmp)(c, s.start, uint64(size), addr, 0, 0); int32(got) != int32(want) {
					t.Errorf("%q and %q, %d bytes: %d here, %d in the kernel", text, constant, size, int64(got), int64(want))
				}
			}
		}
		kernel.Close()
	}
}

// TestSnprintfLikeKernel prints formats, with up to five arguments, into buffers of
// every kind of size.
func TestSnprintfLikeKernel(t *testing.T) {
	s := newSides(t)
	const out, args, text = 4096, 2048, 256
	m := bytes.Repeat([]byte{0xaa}, memory)
	copy(m[text:], "some text\x00")
	values := []uint64{1, ^uint64(0), 0x1234_5678_9abc_def0, 65, 42}
	printed := 0
	for _, f := range append(numberFormats, "%d %d %d %d %d", "%s %d", "%pi4 %s", "%s", "%s%s%s", "%10s|%-10s|", strings.Repeat("x", 90)) {
		if hashed(f) {
			continue
		}
		// The bytes at the addresses in the arguments are the same on both sides, but
		// the addresses are not.
		if strings.Contains(f, "%s") != strings.Contains(f, "s") {
			continue
		}
		spec := &ebpf.MapSpec{
			Name: ".rodata", Type: ebpf.Array, KeySize: 4, ValueSize: uint32(len(f) + 1), MaxEntries: 1, Flags: 1 << 7,
			Contents: []ebpf.MapKV{{Key: uint32(0), Value: []byte(f + "\x00")}},
		}
		kernel, err := ebpf.NewMap(spec)
		if err != nil {
			t.Fatal(err)
		}
		ours := newMap(t, spec)
		format, _ := ours.(maps.Direct).ValueAddr(0)
		c := newCall(t, 0, append(s.ours[:len(s.ours):len(s.ours)], ours)...)
		for n := range 6 {
			for _, size := range []int{0, 1, 5, 60, 2000} {
				// The kernel does not count what it puts together before the text (%pI4
				// and others) where the text is full by then.
				if size < 60 && strings.Contains(strings.ReplaceAll(f, "%px", ""), "%p") {
					continue
				}
				if err := s.kernel[memoryMap].Put(uint32(0), m); err != nil {
					t.Fatal(err)
				}
				copy(mem.Slice(s.start, len(m)), m)
				// The arguments: addresses of the text where the format has a string.
				insns := asm.Instructions{asm.LoadMapValue(asm.R4, s.kernel[memoryMap].FD(), args)}
				kinds := strings.Split(f, "%")[1:]
				for i, v := range values[:n] {
					address := i < len(kinds) && (strings.Contains(kinds[i], "s") || strings.HasPrefix(kinds[i], "pi") || strings.HasPrefix(kinds[i], "pI"))
					if address {
						insns = append(insns, asm.LoadMapValue(asm.R1, s.kernel[memoryMap].FD(), text))
						v = s.start + text
					} else {
						insns = append(insns, asm.LoadImm(asm.R1, int64(v), asm.DWord))
					}
					insns = append(insns, asm.StoreMem(asm.R4, int16(8*i), asm.R1, asm.DWord))
					*mem.At[uint64](s.start + args + uint64(i)*8) = v
				}
				insns = append(insns,
					asm.LoadMapValue(asm.R1, s.kernel[memoryMap].FD(), out),
					asm.Mov.Imm(asm.R2, int32(size)),
					asm.LoadMapValue(asm.R3, kernel.FD(), 0),
					asm.Mov.Imm(asm.R5, int32(8*n)),
					asm.FnSnprintf.Call(),
				)
				want, ok := s.tryProgram(t, insns, len(m))
				if !ok {
					continue // the kernel's verifier does not take the format
				}
				printed++
				after := make([]byte, len(m))
				if err := s.kernel[memoryMap].Lookup(uint32(0), after); err != nil {
					t.Fatal(err)
				}
				got := For(asm.FnSnprintf)(c, s.start+out, uint64(size), format, s.start+args, uint64(8*n))
				if here := mem.Slice(s.start+out, 2100); got != want || !bytes.Equal(here, after[out:][:2100]) {
					t.Errorf("%q with %d arguments into %d bytes: %d %q here, %d %q in the kernel", f, n, size, int64(got), here[:min(size, 100)], int64(want), after[out:][:min(size, 100)])
				}
			}
		}
		kernel.Close()
	}
	if printed < 200 {
		t.Errorf("%d texts were printed: too few to tell", printed)
	}
}

// tryProgram is runProgram; it is not ok if the kernel refuses the program.
func (s *sides) tryProgram(t *testing.T, insns asm.Instructions, memory int) (r0 uint64, ok bool) {
	t.Helper()
	p, err := ebpf.NewProgram(&ebpf.ProgramSpec{Type: s.typ, License: "GPL", Instructions: append(insns[:len(insns):len(insns)], asm.Mov.Imm(asm.R0, 0), asm.Return())})
	var refused *ebpf.VerifierError
	if errors.As(err, &refused) {
		return 0, false
	}
	if err != nil {
		t.Fatal(err)
	}
	p.Close()
	return s.runProgram(t, insns, memory), true
}

// TestTraceVprintkLikeKernel compares what bpf_trace_vprintk returns. What it
// prints is compared with bpf_snprintf, by TestTracePrintkLikeKernel.
func TestTraceVprintkLikeKernel(t *testing.T) {
	s := newSides(t)
	lines := 0
	s.call.Runner.Env.Print = func([]byte) { lines++ }
	const format, args = 0, 512
	for _, f := range []string{"", "plain", "%d", "%d %d %d %d %d", "%llx %llx %llx %llx %llx %llx %llx %llx %llx %llx %llx %llx", "%d %e", "%5d%%", "%c%c%c%c\n", "%900d %900d"} {
		m := make([]byte, memory)
		copy(m[format:], f+"\x00")
		for i := range uint64(12) {
			binary.NativeEndian.PutUint64(m[args+8*i:], i*12345678987654321)
		}
		for _, size := range []uint64{0, 8, 16, 24, 40, 88, 96} {
			s.run(t, asm.FnTraceVprintk, m, ptr(format), num(uint64(len(f)+1)), ptr(args), num(size))
		}
		s.run(t, asm.FnTraceVprintk, m, ptr(format), num(uint64(len(f)+1)), num(0), num(0))
		for _, size := range []uint64{1, 7, 12, 97, 104} {
			s.run(t, asm.FnTraceVprintk, m, ptr(format), num(uint64(len(f)+1)), ptr(args), num(size))
		}
	}
	if lines == 0 {
		t.Error("nothing was printed")
	}
}

// TestCsumDiffLikeKernel adds, removes and replaces random memory.
func TestCsumDiffLikeKernel(t *testing.T) {
	s := newSides(t)
	s.typ = ebpf.SchedCLS
	r := rand.New(rand.NewPCG(5, 6))
	sizes := []uint64{0, 0, 1, 2, 3, 4, 6, 8, 20, 39, 40, 64, 127, 128, 508, 511, 512}
	seeds := []uint64{0, 1, 0xffff, 0x10000, 0xffff_ffff, 1 << 32, ^uint64(0), 0x8000_0000, 0xdead_beef}
	for i := range 150 {
		m := make([]byte, memory)
		for i := range m[:1024] {
			m[i] = byte(r.Uint32())
		}
		switch i % 10 {
		case 0:
			clear(m[:1024])
		case 1:
			copy(m, bytes.Repeat([]byte{0xff}, 1024))
		}
		s.run(t, asm.FnCsumDiff, m, ptr(0), num(pick(r, sizes)), ptr(512), num(pick(r, sizes)), num(pick(r, seeds)))
	}
	s.run(t, asm.FnCsumDiff, make([]byte, memory), num(0), num(0), num(0), num(0), num(7))
}

// TestCopyFromUserLikeKernel reads the test's own memory, and where there is none.
func TestCopyFromUserLikeKernel(t *testing.T) {
	s := newSides(t)
	s.typ = ebpf.Syscall
	page, hole := userPages(t)
	text := hole - pageSize
	for i := range page {
		page[i] = byte(i%255) + 1
	}
	m := bytes.Repeat([]byte{0xaa}, memory)
	for _, c := range []struct{ addr, size uint64 }{
		{text, 0}, {text, 1}, {text, 8}, {text, 20}, {text + pageSize - 5, 5}, {text + pageSize - 5, 6}, {text + pageSize - 5, 200}, {0, 8}, {1, 1},
		{1 << 47, 8}, {0xffff_8880_0000_0000, 8}, {^uint64(0), 8}, {0x0100_0000_0000_0000, 8},
	} {
		s.run(t, asm.FnCopyFromUser, m, ptr(64), num(c.size), num(c.addr))
	}
}

// TestTimesLikeKernel brackets what the kernel says by what helpers say here.
func TestTimesLikeKernel(t *testing.T) {
	s := newSides(t)
	memory := make([]byte, memory)
	for _, c := range []struct {
		id    asm.BuiltinFunc
		typ   ebpf.ProgramType
		slack uint64 // how much the kernel's may be outside
	}{
		{asm.FnKtimeGetTaiNs, ebpf.RawTracepoint, 0},
		{asm.FnKtimeGetCoarseNs, ebpf.SchedCLS, 0},
		{asm.FnJiffies64, ebpf.RawTracepoint, ticksPerSecond()},
		{asm.FnGetNumaNodeId, ebpf.RawTracepoint, 0},
	} {
		s.typ = c.typ
		for range 3 {
			before := For(c.id)(s.call, 0, 0, 0, 0, 0)
			kernel := s.runProgram(t, asm.Instructions{c.id.Call()}, len(memory))
			after := For(c.id)(s.call, 0, 0, 0, 0, 0)
			if kernel+c.slack < before || kernel > after+c.slack {
				t.Errorf("%s: %d in the kernel, %d before and %d after it here", c.id, kernel, before, after)
			}
		}
	}
	// Jiffies differ by a constant.
	ahead := func() int64 {
		kernel := s.runProgram(t, asm.Instructions{asm.FnJiffies64.Call()}, len(memory))
		return int64(For(asm.FnJiffies64)(s.call, 0, 0, 0, 0, 0) - kernel)
	}
	first := ahead()
	time.Sleep(100 * time.Millisecond)
	if later := ahead(); later < first-3 || later > first+3 {
		t.Errorf("jiffies are ahead by %d, and then by %d", first, later)
	}
}
