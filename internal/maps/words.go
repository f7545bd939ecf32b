package maps

import (
	"runtime"
	"sync/atomic"
	"unsafe"
)

// Map memory is read by Go while programs, and in time other processes, write
// it. Copies out are made of aligned 8-byte words, each read atomically, so that
// no word is torn and the reads stay in order before the check of a sequence
// number that follows them.

// tso says that the processor keeps loads in order and stores in order (total
// store order), so that plain accesses do where others need atomic ones.
const tso = runtime.GOARCH == "amd64" || runtime.GOARCH == "386"

// copyOut copies len(dst) bytes from map memory at src, which is 8-aligned and
// readable up to the next multiple of 8.
func copyOut(dst []byte, src unsafe.Pointer) {
	for len(dst) >= 8 {
		*(*uint64)(unsafe.Pointer(unsafe.SliceData(dst))) = atomic.LoadUint64((*uint64)(src))
		dst, src = dst[8:], unsafe.Add(src, 8)
	}
	if len(dst) > 0 {
		last := atomic.LoadUint64((*uint64)(src))
		copy(dst, (*[8]byte)(unsafe.Pointer(&last))[:])
	}
}

// copyIn copies n bytes into map memory that nobody reads yet, or whose readers
// allow for half a value.
func copyIn(dst, src unsafe.Pointer, n int) {
	copy(unsafe.Slice((*byte)(dst), n), unsafe.Slice((*byte)(src), n))
}

// data is the address of a slice's bytes.
func data(b []byte) unsafe.Pointer { return unsafe.Pointer(unsafe.SliceData(b)) }

// store32 and store64 write a word that others read without a lock, after all
// that was written before.

func store32(p *uint32, v uint32) {
	if tso {
		*p = v
	} else {
		atomic.StoreUint32(p, v)
	}
}

func store64(p *uint64, v uint64) {
	if tso {
		*p = v
	} else {
		atomic.StoreUint64(p, v)
	}
}
