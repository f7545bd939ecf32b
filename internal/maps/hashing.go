package maps

import (
	"math/bits"
	"unsafe"
)

// The hash of a key multiplies 64-bit words to 128 bits and folds the halves
// together. Machine code computes the same, so it is part of the layout.
//
// The constants are the fractional digits of pi, made odd.
const (
	fold1 = 0x243f_6a88_85a3_08d3
	fold2 = 0x1319_8a2e_0370_7345
	fold3 = 0xa409_3822_299f_31d1
)

func fold(a, b uint64) uint64 {
	hi, lo := bits.Mul64(a, b)
	return hi ^ lo
}

// hashKey is the hash of the n bytes at p. Keys of 4 and 8 bytes, the ones in
// most maps, take one multiplication.
func hashKey(p unsafe.Pointer, n int, seed uint64) uint64 {
	switch n {
	case 4:
		return fold(uint64(load32(p, 0))^seed, fold1)
	case 8:
		return fold(load64(p, 0)^seed, fold1)
	}
	h := seed
	left := n
	for ; left > 16; left -= 16 {
		h = fold(load64(p, 0)^fold1, load64(p, 8)^h)
		p = unsafe.Add(p, 16)
	}
	// What is left are 1 to 16 bytes, read by overlapping words.
	var a, b uint64
	switch {
	case left >= 8:
		a, b = load64(p, 0), load64(p, left-8)
	case left >= 4:
		a, b = uint64(load32(p, 0)), uint64(load32(p, left-4))
	default:
		first, middle, last := *(*byte)(p), *(*byte)(unsafe.Add(p, left/2)), *(*byte)(unsafe.Add(p, left-1))
		a = uint64(first)<<16 | uint64(middle)<<8 | uint64(last)
	}
	return fold(fold2^uint64(n), fold(a^fold1, b^h)^fold3)
}

func load32(p unsafe.Pointer, off int) uint32 { return *(*uint32)(unsafe.Add(p, off)) }
func load64(p unsafe.Pointer, off int) uint64 { return *(*uint64)(unsafe.Add(p, off)) }
