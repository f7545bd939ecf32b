package helper

import (
	"math"
	"math/bits"

	"github.com/skep-bpf/skep/internal/mem"
)

// baseMask is the part of the flags of bpf_strtol and bpf_strtoul that is the base
// (BPF_STRTOX_BASE_MASK).
const baseMask = 0x1f

// numberLength is how many characters of a number are looked at, after spaces and
// sign (__bpf_strtoull in kernel/bpf/helpers.c).
const numberLength = 63

// parse reads the number at the start of text, and gives how many bytes it takes.
func parse(text []byte, flags uint64) (v uint64, negative bool, n int, errno mem.Errno) {
	base := flags & baseMask
	if flags&^baseMask != 0 || base != 0 && base != 8 && base != 10 && base != 16 {
		return 0, false, 0, mem.EINVAL
	}
	for n < len(text) && isSpace(text[n]) {
		n++
	}
	if negative = at(text, n) == '-'; negative {
		n++
	}
	digits := text[n:min(len(text), n+numberLength)]
	prefix := at(digits, 0) == '0' && at(digits, 1)|0x20 == 'x'
	if base == 0 {
		switch {
		case prefix && digit(at(digits, 2)) < 16:
			base = 16
		case at(digits, 0) == '0':
			base = 8
		default:
			base = 10
		}
	}
	start := 0
	if base == 16 && prefix {
		start = 2
	}
	i, overflow := start, false
	for ; i < len(digits) && digit(digits[i]) < base; i++ {
		high, low := bits.Mul64(v, base)
		sum, carry := bits.Add64(low, digit(digits[i]), 0)
		overflow = overflow || high|carry != 0
		v = sum
	}
	switch {
	case overflow:
		return 0, negative, 0, mem.ERANGE
	case i == start:
		return 0, negative, 0, mem.EINVAL
	}
	return v, negative, n + i, 0
}

// digit is the value of a hexadecimal digit, 16 or more for what is none.
func digit(b byte) uint64 {
	switch {
	case b >= '0' && b <= '9':
		return uint64(b - '0')
	case b|0x20 >= 'a' && b|0x20 <= 'f':
		return uint64(b|0x20-'a') + 10
	}
	return math.MaxUint64
}

// strtol is bpf_strtol: it gives the number of bytes read, or an error and 0 in the
// result.
func strtol(_ *Call, buf, size, flags, result, _ uint64) uint64 {
	out := mem.At[int64](result)
	*out = 0
	v, negative, n, errno := parse(mem.Slice(buf, int(uint32(size))), flags)
	switch {
	case errno != 0:
	case negative && int64(-v) > 0, !negative && int64(v) < 0:
		errno = mem.ERANGE
	case negative:
		v = -v
	}
	if errno != 0 {
		return errno.R0()
	}
	*out = int64(v)
	return uint64(n)
}

func strtoul(_ *Call, buf, size, flags, result, _ uint64) uint64 {
	out := mem.At[uint64](result)
	*out = 0
	v, negative, n, errno := parse(mem.Slice(buf, int(uint32(size))), flags)
	if errno == 0 && negative {
		errno = mem.EINVAL
	}
	if errno != 0 {
		return errno.R0()
	}
	*out = v
	return uint64(n)
}

// strncmp compares up to size bytes with a string: -1, 0 or 1.
func strncmp(c *Call, buf, size, text, _, _ uint64) uint64 {
	s := c.constant(text)
	for i, a := range mem.Slice(buf, int(uint32(size))) {
		b := at(s, i)
		switch {
		case a < b:
			return math.MaxUint64
		case a > b:
			return 1
		case a == 0:
			return 0
		}
	}
	return 0
}

// constant is the string at addr in a map of the program, without its NUL. The
// verifier has seen it end there.
func (c *Call) constant(addr uint64) []byte {
	for _, o := range c.owned() {
		if o.Contains(addr, 1) {
			s := mem.Slice(addr, int(min(o.Addr+o.Size-addr, math.MaxInt32)))
			for i, b := range s {
				if b == 0 {
					return s[:i]
				}
			}
			return s
		}
	}
	return nil
}
