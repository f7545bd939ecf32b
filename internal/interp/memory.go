package interp

import (
	"sync/atomic"
	"unsafe"
)

// pointer is the pointer for an address that a program uses. It is nil plus the
// address, which costs no instruction, where a variable that is read back as a
// pointer would go through memory.
//
//go:nocheckptr
func pointer(addr uint64) unsafe.Pointer { return unsafe.Add(unsafe.Pointer(nil), addr) }

func load8(a uint64) uint64   { return uint64(*(*uint8)(pointer(a))) }
func load16(a uint64) uint64  { return uint64(*(*uint16)(pointer(a))) }
func load32(a uint64) uint64  { return uint64(*(*uint32)(pointer(a))) }
func load64(a uint64) uint64  { return *(*uint64)(pointer(a)) }
func loads8(a uint64) uint64  { return uint64(*(*int8)(pointer(a))) }
func loads16(a uint64) uint64 { return uint64(*(*int16)(pointer(a))) }
func loads32(a uint64) uint64 { return uint64(*(*int32)(pointer(a))) }

func store8(a, y uint64)  { *(*uint8)(pointer(a)) = uint8(y) }
func store16(a, y uint64) { *(*uint16)(pointer(a)) = uint16(y) }
func store32(a, y uint64) { *(*uint32)(pointer(a)) = uint32(y) }
func store64(a, y uint64) { *(*uint64)(pointer(a)) = y }

// The atomic operations (RFC 9669, section 5.3) give the old value, 32-bit ones
// zero-extended. They are sequentially consistent, as sync/atomic is.

func fetchAdd32(a, y uint64) uint64 {
	return uint64(atomic.AddUint32((*uint32)(pointer(a)), uint32(y)) - uint32(y))
}
func fetchAdd64(a, y uint64) uint64 { return atomic.AddUint64((*uint64)(pointer(a)), y) - y }

func fetchOr32(a, y uint64) uint64 {
	return uint64(atomic.OrUint32((*uint32)(pointer(a)), uint32(y)))
}
func fetchOr64(a, y uint64) uint64 { return atomic.OrUint64((*uint64)(pointer(a)), y) }

func fetchAnd32(a, y uint64) uint64 {
	return uint64(atomic.AndUint32((*uint32)(pointer(a)), uint32(y)))
}
func fetchAnd64(a, y uint64) uint64 { return atomic.AndUint64((*uint64)(pointer(a)), y) }

func fetchXor32(a, y uint64) uint64 {
	p := (*uint32)(pointer(a))
	for {
		old := atomic.LoadUint32(p)
		if atomic.CompareAndSwapUint32(p, old, old^uint32(y)) {
			return uint64(old)
		}
	}
}

func fetchXor64(a, y uint64) uint64 {
	p := (*uint64)(pointer(a))
	for {
		old := atomic.LoadUint64(p)
		if atomic.CompareAndSwapUint64(p, old, old^y) {
			return old
		}
	}
}

func xchg32(a, y uint64) uint64 {
	return uint64(atomic.SwapUint32((*uint32)(pointer(a)), uint32(y)))
}
func xchg64(a, y uint64) uint64 { return atomic.SwapUint64((*uint64)(pointer(a)), y) }

// cmpxchg stores y if the memory holds expected.
func cmpxchg32(a, expected, y uint64) uint64 {
	p := (*uint32)(pointer(a))
	for {
		old := atomic.LoadUint32(p)
		if old != uint32(expected) || atomic.CompareAndSwapUint32(p, old, uint32(y)) {
			return uint64(old)
		}
	}
}

func cmpxchg64(a, expected, y uint64) uint64 {
	p := (*uint64)(pointer(a))
	for {
		old := atomic.LoadUint64(p)
		if old != expected || atomic.CompareAndSwapUint64(p, old, y) {
			return old
		}
	}
}
