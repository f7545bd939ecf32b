package helper

import (
	"bytes"
	"encoding/binary"
	"strconv"

	"github.com/skep-bpf/skep/internal/mem"
)

const (
	// printArgs is how many arguments a format can have (MAX_BPRINTF_VARARGS);
	// bpf_trace_printk takes three, in registers.
	printArgs = 12
	// printLine is the longest line (MAX_BPRINTF_BUF in include/linux/bpf.h).
	printLine = 1024
	// maxWidth is the widest field (FIELD_WIDTH_MAX in lib/vsprintf.c).
	maxWidth = 1<<23 - 1
	// printCopies is the room for copies of arguments (MAX_BPRINTF_BIN_ARGS
	// 32-bit words); strings are cut to what is left of it.
	printCopies = 512
)

// tracePrintk is bpf_trace_printk: it gives the length of the line, or -EINVAL
// for a format that is not allowed.
func tracePrintk(c *Call, format, size, r3, r4, r5 uint64) uint64 {
	c.args = [printArgs]uint64{r3, r4, r5}
	return c.trace(format, size, 3)
}

// traceVprintk takes its arguments from memory.
func traceVprintk(c *Call, format, size, args, argsSize, _ uint64) uint64 {
	n, errno := c.loadArgs(args, argsSize)
	if errno != 0 {
		return errno.R0()
	}
	return c.trace(format, size, n)
}

// loadArgs copies arguments of 8 bytes each from memory.
func (c *Call) loadArgs(args, size uint64) (n int, errno mem.Errno) {
	size = uint64(uint32(size))
	if size%8 != 0 || size > printArgs*8 || size > 0 && args == 0 {
		return 0, mem.EINVAL
	}
	n = int(size / 8)
	for i := range n {
		c.args[i] = binary.NativeEndian.Uint64(mem.Slice(args+uint64(i)*8, 8))
	}
	return n, 0
}

func (c *Call) trace(format, size uint64, args int) uint64 {
	f := mem.Slice(format, int(uint32(size)))
	end := bytes.IndexByte(f, 0)
	if end < 0 {
		return mem.EINVAL.R0()
	}
	p := printer{call: c, args: c.args[:args], left: printCopies, out: c.line[:0]}
	if errno := p.print(f[:end]); errno != 0 {
		return errno.R0()
	}
	if print := c.Runner.Env.Print; print != nil {
		line, _, _ := bytes.Cut(c.line[:min(p.length, printLine-1)], []byte{0})
		print(bytes.TrimSuffix(line, []byte("\n")))
	}
	return uint64(p.length)
}

// snprintf is bpf_snprintf: it gives the length of the whole text with its NUL,
// of which str gets what there is room for. (The kernel leaves conversions like
// %pI4 out of the length that come when str is full.)
func snprintf(c *Call, str, size, format, args, argsSize uint64) uint64 {
	n, errno := c.loadArgs(args, argsSize)
	if errno != 0 {
		return errno.R0()
	}
	f := c.constant(format)
	// Nothing is written unless all of the format is right.
	p := printer{call: c, args: c.args[:n], left: printCopies}
	if errno := p.print(f); errno != 0 {
		return errno.R0()
	}
	out := mem.Slice(str, int(uint32(size)))
	if len(out) > 0 {
		p = printer{call: c, args: c.args[:n], left: printCopies, out: out[: 0 : len(out)-1]}
		if errno := p.print(f); errno != 0 {
			return errno.R0() // memory has changed meanwhile
		}
		out[len(p.out)] = 0
	}
	return uint64(p.length) + 1
}

// A printer formats one line after Linux's printk formats, as far as BPF
// programs may use them (bpf_bprintf_prepare in kernel/bpf/helpers.c).
type printer struct {
	call   *Call
	args   []uint64
	used   int    // arguments
	left   int    // of printCopies
	out    []byte // the line, up to its capacity
	length int    // what the line would be without a limit
}

// A spec is one conversion of a format: flags and width.
type spec struct {
	minus, plus, space, zero bool
	width                    int
}

func (p *printer) print(f []byte) mem.Errno {
	for i := 0; i < len(f); {
		if !printable(f[i]) {
			return mem.EINVAL
		}
		if f[i] != '%' {
			p.write(f[i : i+1])
			i++
			continue
		}
		if at(f, i+1) == '%' {
			p.write(f[i : i+1])
			i += 2
			continue
		}
		n, errno := p.convert(f[i+1:])
		if errno != 0 {
			return errno
		}
		i += 1 + n
	}
	return 0
}

// convert prints one argument by the conversion at the start of f and gives the
// conversion's length.
func (p *printer) convert(f []byte) (int, mem.Errno) {
	if p.used == len(p.args) {
		return 0, mem.EINVAL
	}
	arg := p.args[p.used]
	p.used++
	s, i := parseSpec(f)
	switch at(f, i) {
	case 'p':
		return p.pointer(f, i+1, arg, s)
	case 's':
		return p.string(f, i+1, arg, s, p.call.spaceOf(arg))
	case 'c':
		if errno := p.copied(1, 1); errno != 0 {
			return 0, errno
		}
		p.pad([]byte{byte(arg)}, s)
		return i + 1, 0
	}
	size := 4
	for range 2 {
		if at(f, i) == 'l' {
			size = 8
			i++
		}
	}
	base, signed, upper := 10, false, false
	switch at(f, i) {
	case 'd', 'i':
		signed = true
	case 'u':
	case 'x':
		base = 16
	case 'X':
		base, upper = 16, true
	default:
		return 0, mem.EINVAL
	}
	return i + 1, p.number(arg, size, base, signed, upper, s)
}

func parseSpec(f []byte) (s spec, i int) {
	for ; ; i++ {
		switch at(f, i) {
		case '0':
			s.zero = true
		case '+':
			s.plus = true
		case '-':
			s.minus = true
		case ' ':
			s.space = true
		default:
			for ; at(f, i) >= '0' && at(f, i) <= '9'; i++ {
				s.width = min(s.width*10+int(f[i]-'0'), maxWidth)
			}
			return s, i
		}
	}
}

// pointer prints the conversions that start with %p; i is behind the p. What the
// kernel formats before the line is put together (strings, IP addresses, %pB)
// gets no field width, and letters and digits behind a conversion are dropped.
func (p *printer) pointer(f []byte, i int, arg uint64, s spec) (int, mem.Errno) {
	switch kind := at(f, i); {
	case endsConversion(kind):
		return i, p.hex(arg, s)
	case kind == 'K' || kind == 'x':
		return skipAlnum(f, i+1), p.hex(arg, s)
	case kind == 's' || kind == 'S':
		return skipAlnum(f, i+1), p.symbol(arg, s)
	case kind == 'B':
		return skipAlnum(f, i+1), p.symbol(arg, spec{})
	case kind == 'k' && at(f, i+1) == 's':
		return p.string(f, i+2, arg, spec{}, kernelSpace)
	case kind == 'u' && at(f, i+1) == 's':
		return p.string(f, i+2, arg, spec{}, userSpace)
	case (kind == 'i' || kind == 'I') && (at(f, i+1) == '4' || at(f, i+1) == '6'):
		return skipAlnum(f, i+2), p.address(kind, at(f, i+1), arg)
	}
	return 0, mem.EINVAL
}

// hex prints an address: %px as it is, as do %p and %pK, which the kernel hides
// from those who may not see where it lies.
func (p *printer) hex(arg uint64, s spec) mem.Errno {
	if s.width == 0 {
		s.width, s.zero = 16, true
	}
	return p.number(arg, 8, 16, false, false, s)
}

// symbol prints an address as the kernel does one that has no symbol: there are
// none here.
func (p *printer) symbol(arg uint64, s spec) mem.Errno {
	if errno := p.copied(4, 8); errno != 0 {
		return errno
	}
	p.pad(strconv.AppendUint([]byte("0x"), arg, 16), s)
	return 0
}

// string prints %s, %pks and %pus; i is behind the conversion.
func (p *printer) string(f []byte, i int, arg uint64, s spec, from *space) (int, mem.Errno) {
	if !endsConversion(at(f, i)) {
		return 0, mem.EINVAL
	}
	if p.left == 0 {
		return 0, mem.ENOSPC
	}
	var text [printCopies]byte
	n := 0
	if from.check(p.call, arg, uint64(p.left)) == 0 {
		n = p.call.copyString(from, text[:p.left], arg)
	}
	n = max(n, 1) // what can't be read is an empty string
	p.left -= n
	p.pad(text[:n-1], s)
	return i, 0
}

// address prints an IP address in memory: %pI4 1.2.3.4, %pi4 001.002.003.004,
// %pI6 with colons, %pi6 without.
func (p *printer) address(kind, version byte, arg uint64) mem.Errno {
	ip := p.call.Buffer[:4]
	if version == '6' {
		ip = p.call.Buffer[:16]
	}
	if checkKernel(p.call, arg, uint64(len(ip))) != 0 || readKernel(p.call, ip, arg) != len(ip) {
		clear(ip)
	}
	text := make([]byte, 0, 40)
	for i, b := range ip {
		switch {
		case version == '4':
			if i > 0 {
				text = append(text, '.')
			}
			if kind == 'i' {
				text = append(text, '0'+b/100, '0'+b/10%10, '0'+b%10)
			} else {
				text = strconv.AppendUint(text, uint64(b), 10)
			}
		default:
			if kind == 'I' && i > 0 && i%2 == 0 {
				text = append(text, ':')
			}
			text = append(text, digits[b>>4], digits[b&15])
		}
	}
	if p.left < len(text)+1 {
		return mem.ENOSPC
	}
	p.left -= len(text) + 1
	p.write(text)
	return 0
}

const digits = "0123456789abcdef"

// number prints the low size bytes of v.
func (p *printer) number(v uint64, size, base int, signed, upper bool, s spec) mem.Errno {
	if errno := p.copied(4, size); errno != 0 {
		return errno
	}
	if size == 4 {
		v = uint64(uint32(v))
		if signed {
			v = uint64(int32(v))
		}
	}
	var sign byte
	if signed {
		switch {
		case int64(v) < 0:
			sign, v = '-', -v
		case s.plus:
			sign = '+'
		case s.space:
			sign = ' '
		}
	}
	var text [24]byte
	t := text[:0]
	if sign != 0 {
		t = append(t, sign)
	}
	t = strconv.AppendUint(t, v, base)
	if upper {
		t = bytes.ToUpper(t)
	}
	if s.zero && !s.minus {
		if sign != 0 {
			p.write(t[:1])
			t = t[1:]
			s.width--
		}
		p.repeat('0', s.width-len(t))
		s.width = 0
	}
	p.pad(t, s)
	return 0
}

// pad prints text in a field of the width asked for.
func (p *printer) pad(text []byte, s spec) {
	if !s.minus {
		p.repeat(' ', s.width-len(text))
	}
	p.write(text)
	if s.minus {
		p.repeat(' ', s.width-len(text))
	}
}

func (p *printer) repeat(b byte, n int) {
	n = max(n, 0)
	p.length += n
	for range min(n, cap(p.out)-len(p.out)) {
		p.out = append(p.out, b)
	}
}

func (p *printer) write(b []byte) {
	p.length += len(b)
	p.out = append(p.out, b[:min(len(b), cap(p.out)-len(p.out))]...)
}

// copied accounts for the copy of an argument.
func (p *printer) copied(align, size int) mem.Errno {
	left := p.left &^ (align - 1)
	if left < size {
		return mem.ENOSPC
	}
	p.left = left - size
	return 0
}

// at is byte i of f, 0 at its end.
func at(f []byte, i int) byte {
	if i < len(f) {
		return f[i]
	}
	return 0
}

// endsConversion reports whether a pointer or string conversion may end before b.
func endsConversion(b byte) bool { return b == 0 || isSpace(b) || isPunct(b) }

// skipAlnum is the first place in f from i on that is no letter or digit.
func skipAlnum(f []byte, i int) int {
	for isAlnum(at(f, i)) {
		i++
	}
	return i
}

// The classes of bytes are those of Latin-1 (lib/ctype.c).

func isSpace(b byte) bool { return b == ' ' || b >= '\t' && b <= '\r' || b == 0xa0 }

func isAlnum(b byte) bool {
	return b >= '0' && b <= '9' || b|0x20 >= 'a' && b|0x20 <= 'z' || b >= 0xc0 && b != 0xd7 && b != 0xf7
}

func isPunct(b byte) bool {
	return b > ' ' && b < 0x7f && !isAlnum(b) || b > 0xa0 && !isAlnum(b)
}

func printable(b byte) bool { return b >= ' ' && b != 0x7f || isSpace(b) }
