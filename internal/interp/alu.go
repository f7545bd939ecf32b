package interp

import (
	"math/bits"
	"unsafe"
)

// What each arithmetic instruction computes (RFC 9669, section 4.1), once for
// both widths. The generated loops call these functions and Go inlines them.

type word interface{ uint32 | uint64 }

func add[T word](x, y T) T { return x + y }
func sub[T word](x, y T) T { return x - y }
func mul[T word](x, y T) T { return x * y }
func or[T word](x, y T) T  { return x | y }
func and[T word](x, y T) T { return x & y }
func xor[T word](x, y T) T { return x ^ y }

// Division by zero gives 0, the remainder of it the dividend.
func div[T word](x, y T) T {
	if y == 0 {
		return 0
	}
	return x / y
}

func mod[T word](x, y T) T {
	if y == 0 {
		return x
	}
	return x % y
}

// Go defines the one overflow of signed division as RFC 9669 does: the lowest
// value divided by -1 is itself, with remainder 0.
func sdiv64(x, y uint64) uint64 {
	if y == 0 {
		return 0
	}
	return uint64(int64(x) / int64(y))
}

func sdiv32(x, y uint32) uint32 {
	if y == 0 {
		return 0
	}
	return uint32(int32(x) / int32(y))
}

func smod64(x, y uint64) uint64 {
	if y == 0 {
		return x
	}
	return uint64(int64(x) % int64(y))
}

func smod32(x, y uint32) uint32 {
	if y == 0 {
		return x
	}
	return uint32(int32(x) % int32(y))
}

// Shift counts are taken modulo the width.
func lsh[T word](x, y T) T { return x << (y & T(unsafe.Sizeof(x)*8-1)) }
func rsh[T word](x, y T) T { return x >> (y & T(unsafe.Sizeof(x)*8-1)) }

func arsh64(x, y uint64) uint64 { return uint64(int64(x) >> (y & 63)) }
func arsh32(x, y uint32) uint32 { return uint32(int32(x) >> (y & 31)) }

func mov[T word](y T) T { return y }
func neg[T word](y T) T { return -y }

func movsx8to64(y uint64) uint64  { return uint64(int8(y)) }
func movsx16to64(y uint64) uint64 { return uint64(int16(y)) }
func movsx32to64(y uint64) uint64 { return uint64(int32(y)) }
func movsx8to32(y uint32) uint32  { return uint32(int8(y)) }
func movsx16to32(y uint32) uint32 { return uint32(int16(y)) }

// Byte order: BPF objects are little-endian here, so to-little-endian only
// truncates and to-big-endian is a byte swap.
func le16(y uint64) uint64   { return uint64(uint16(y)) }
func le32(y uint64) uint64   { return uint64(uint32(y)) }
func swap16(y uint64) uint64 { return uint64(bits.ReverseBytes16(uint16(y))) }
func swap32(y uint64) uint64 { return uint64(bits.ReverseBytes32(uint32(y))) }
func swap64(y uint64) uint64 { return bits.ReverseBytes64(y) }

// The conditions of jumps (RFC 9669, section 4.3).
func jeq[T word](x, y T) bool  { return x == y }
func jne[T word](x, y T) bool  { return x != y }
func jgt[T word](x, y T) bool  { return x > y }
func jge[T word](x, y T) bool  { return x >= y }
func jlt[T word](x, y T) bool  { return x < y }
func jle[T word](x, y T) bool  { return x <= y }
func jset[T word](x, y T) bool { return x&y != 0 }

func jsgt64(x, y uint64) bool { return int64(x) > int64(y) }
func jsge64(x, y uint64) bool { return int64(x) >= int64(y) }
func jslt64(x, y uint64) bool { return int64(x) < int64(y) }
func jsle64(x, y uint64) bool { return int64(x) <= int64(y) }
func jsgt32(x, y uint32) bool { return int32(x) > int32(y) }
func jsge32(x, y uint32) bool { return int32(x) >= int32(y) }
func jslt32(x, y uint32) bool { return int32(x) < int32(y) }
func jsle32(x, y uint32) bool { return int32(x) <= int32(y) }
