package helper

import (
	"encoding/binary"
	"math/bits"

	"github.com/skep-bpf/skep/internal/mem"
)

// csumDiff is bpf_csum_diff: what seed, the checksum of something, becomes when
// from is taken out of it and to put in. The result is folded to 16 bits, as
// since Linux 6.13.
func csumDiff(_ *Call, from, fromSize, to, toSize, seed uint64) uint64 {
	fromSize, toSize = uint64(uint32(fromSize)), uint64(uint32(toSize))
	sum := uint32(seed)
	switch {
	case fromSize > 0 && toSize > 0:
		sum = addCarry(checksum(to, toSize, sum), ^checksum(from, fromSize, 0))
	case toSize > 0:
		sum = checksum(to, toSize, sum)
	case fromSize > 0:
		sum = ^checksum(from, fromSize, ^sum)
	}
	folded := sum>>16 + sum&0xffff
	return uint64(folded>>16+folded) & 0xffff
}

// checksum adds memory to an Internet checksum (RFC 1071), by 32-bit words, the
// last one filled up with zeros.
func checksum(addr, size uint64, sum uint32) uint32 {
	total := uint64(sum)
	p := mem.Slice(addr, int(size))
	for ; len(p) >= 4; p = p[4:] {
		total += uint64(binary.NativeEndian.Uint32(p))
	}
	var last [4]byte
	copy(last[:], p)
	total += uint64(binary.NativeEndian.Uint32(last[:]))
	return addCarry(uint32(total>>32), uint32(total))
}

// addCarry is addition in ones' complement.
func addCarry(a, b uint32) uint32 {
	sum, carry := bits.Add32(a, b, 0)
	return sum + carry
}
