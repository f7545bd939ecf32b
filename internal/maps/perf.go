package maps

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/cilium/ebpf"

	"github.com/skep-bpf/skep/internal/abi"
	"github.com/skep-bpf/skep/internal/mem"
)

// BPF_F_CURRENT_CPU and BPF_F_INDEX_MASK: what the flags of
// bpf_perf_event_output say is the index of an element.
const (
	perfCurrentCPU = 1<<32 - 1
	perfIndexMask  = 1<<32 - 1
)

// Types of records, and the sizes of their headers (include/uapi/linux/perf_event.h):
// type, misc and size in 4, 2 and 2 bytes; then a sample has its length in 4
// bytes, and a loss an id and a count in 8 bytes each.
const (
	perfRecordLost   = 2
	perfRecordSample = 9
	perfHeader       = 8
	perfLostRecord   = perfHeader + 16
)

// maxPerfSample is the largest sample: the size in a header has 16 bits. (The
// kernel takes larger ones and writes records that no reader understands.)
const maxPerfSample = 1<<16 - 8 - perfHeader - 4

// perfArray is BPF_MAP_TYPE_PERF_EVENT_ARRAY. In the kernel its elements are
// events, which a reader opens and puts in; here they are the rings of a reader,
// one for each CPU. A program of a CPU is the only one that writes that CPU's
// ring, so there is no lock.
type perfArray struct {
	base
	rings []atomic.Pointer[perfRing]
}

func newPerfArray(spec *ebpf.MapSpec, _ int) (Map, error) {
	if err := checkHandleArray(spec, abi.MapNUMANode|abi.MapPreserveElems|abi.MapRdonly|abi.MapWronly); err != nil {
		return nil, err
	}
	return &perfArray{base: base{spec: spec}, rings: make([]atomic.Pointer[perfRing], spec.MaxEntries)}, nil
}

// checkHandleArray is what the kernel checks of arrays whose elements stand for
// something else (fd_array_map_alloc_check in kernel/bpf/arraymap.c).
func checkHandleArray(spec *ebpf.MapSpec, flags uint32) error {
	if spec.ValueSize != 4 {
		return fmt.Errorf("value size %d of a map of type %s must be 4: %w", spec.ValueSize, spec.Type, syscall.EINVAL)
	}
	return checkArray(spec, flags)
}

func (a *perfArray) Close() error {
	err := a.base.Close()
	for i := range a.rings {
		if r := a.rings[i].Swap(nil); r != nil {
			r.reader.notify() // it looks whether the array is closed
		}
	}
	return err
}

// Programs don't see the rings.
func (a *perfArray) Ranges() []mem.Range { return nil }

// An array of events has no values for programs.

func (a *perfArray) LookupElem(int, uint64) uint64                { return 0 }
func (a *perfArray) UpdateElem(int, uint64, uint64, uint64) int64 { return -int64(mem.EINVAL) }
func (a *perfArray) DeleteElem(uint64) int64                      { return -int64(mem.EINVAL) }

func (a *perfArray) Lookup(key, _ []byte, flags ebpf.MapLookupFlags) error {
	if err := a.mayLookup(flags); err != nil {
		return err
	}
	if err := a.checkKey(key); err != nil {
		return err
	}
	return errNotSupported
}

// Update is for events of the kernel, which there are none of: OpenPerf makes the
// rings.
func (a *perfArray) Update(key, _ []byte, flags ebpf.MapUpdateFlags) error {
	if _, err := handleIndex(&a.base, key, flags); err != nil {
		return err
	}
	return errNotSupported
}

// Delete takes the ring of an index out: output to it gives ENOENT then.
func (a *perfArray) Delete(key []byte) error {
	i, err := handleIndex(&a.base, key, 0)
	if err != nil {
		return err
	}
	if a.rings[i].Swap(nil) == nil {
		return errNotExist
	}
	return nil
}

func (a *perfArray) NextKey(key, next []byte) error { return nextIndex(&a.base, key, next) }

func (a *perfArray) LookupAndDelete(_, _ []byte, flags ebpf.MapLookupFlags) error {
	return a.noLookupAndDelete(flags)
}

// handleIndex is the Go side's check of changes to arrays of handles.
func handleIndex(b *base, key []byte, flags ebpf.MapUpdateFlags) (uint32, error) {
	if err := b.mayWrite(); err != nil {
		return 0, err
	}
	if err := b.checkKey(key); err != nil {
		return 0, err
	}
	if flags != ebpf.UpdateAny {
		return 0, errFlags
	}
	i := binary.NativeEndian.Uint32(key)
	if i >= b.spec.MaxEntries {
		return 0, errIndex
	}
	return i, nil
}

func (a *perfArray) Output(cpu int, src, size, flags uint64) int64 {
	if flags&^perfIndexMask != 0 {
		return -int64(mem.EINVAL)
	}
	i := flags
	if i == perfCurrentCPU {
		i = uint64(cpu)
	}
	if i >= uint64(len(a.rings)) {
		return -int64(mem.E2BIG)
	}
	r := a.rings[i].Load()
	if r == nil {
		return -int64(mem.ENOENT)
	}
	if r.cpu != cpu {
		return -int64(mem.EOPNOTSUPP)
	}
	if size > maxPerfSample {
		return -int64(mem.E2BIG)
	}
	return -int64(r.output(mem.Slice(src, int(size))))
}

// perfRing is the ring of one CPU. Layout: one page, see perfPositions, then a
// power of two of bytes. Records lie one after the other, in multiples of 8 bytes,
// and go on at the start behind the end.
type perfRing struct {
	cpu       int
	region    *mem.Region
	positions *perfPositions
	data      uint64
	size      uint64
	reader    *PerfReader

	lost   uint64 // since the last record, as only the producer knows
	events int    // since the last wake-up
	marked uint64 // where head was at the last wake-up
}

// perfPositions only grow.
type perfPositions struct {
	head uint64 // end of the last record, written by the producer
	_    [56]byte
	tail uint64 // up to where the reader has read
}

func (r *perfRing) output(sample []byte) mem.Errno {
	n := round8(perfHeader + 4 + uint64(len(sample)))
	need := n
	if r.lost > 0 {
		need += perfLostRecord
	}
	p := r.positions
	start := p.head
	head := start
	// One byte stays free, so that full and empty differ.
	if used := head - atomic.LoadUint64(&p.tail); used >= r.size || need > r.size-1-used {
		r.lost++
		atomic.AddUint64(&r.reader.dropped, 1)
		return mem.ENOSPC
	}
	var h [perfLostRecord]byte
	if r.lost > 0 {
		// The id is the event's in the kernel; readers don't look at it.
		perfHeaderOf(h[:], perfRecordLost, perfLostRecord)
		binary.NativeEndian.PutUint64(h[perfHeader+8:], r.lost)
		r.write(head, h[:])
		head += perfLostRecord
		r.lost = 0
	}
	perfHeaderOf(h[:], perfRecordSample, n)
	// The bytes that fill the record up count as the sample's, as in the kernel.
	binary.NativeEndian.PutUint32(h[perfHeader:], uint32(n-perfHeader-4))
	r.write(head, h[:perfHeader+4])
	r.write(head+perfHeader+4, sample)
	clear(h[:8])
	r.write(head+perfHeader+4+uint64(len(sample)), h[:n-perfHeader-4-uint64(len(sample))])
	head += n
	// The reader looks at head after it has moved tail, and here it is the other
	// way round, so one of the two sees the other.
	atomic.StoreUint64(&p.head, head)
	r.events++
	switch o := &r.reader.options; {
	case o.WakeupEvents > 0 && r.events < o.WakeupEvents:
	case o.Watermark > 0 && head-r.marked < uint64(o.Watermark):
	case o.WakeupEvents == 0 && o.Watermark == 0 && atomic.LoadUint64(&p.tail) != start:
	default:
		r.events, r.marked = 0, head
		r.reader.notify()
	}
	runtime.KeepAlive(r) // a reader that is closed meanwhile has let it go
	return 0
}

func perfHeaderOf(h []byte, typ uint32, size uint64) {
	binary.NativeEndian.PutUint32(h, typ)
	binary.NativeEndian.PutUint16(h[4:], 0)
	binary.NativeEndian.PutUint16(h[6:], uint16(size))
}

// bytes are those at a position, up to the end of the ring.
func (r *perfRing) bytes(position uint64, n int) []byte {
	off := position & (r.size - 1)
	return mem.Slice(r.data+off, int(min(uint64(n), r.size-off)))
}

func (r *perfRing) write(position uint64, p []byte) {
	n := copy(r.bytes(position, len(p)), p)
	copy(r.bytes(position+uint64(n), len(p)-n), p[n:])
}

func (r *perfRing) read(position uint64, p []byte) {
	n := copy(p, r.bytes(position, len(p)))
	copy(p[n:], r.bytes(position+uint64(n), len(p)-n))
}

// PerfOptions say when a reader is woken up.
type PerfOptions struct {
	// WakeupEvents is after how many records in the ring of a CPU, 0 for by bytes.
	WakeupEvents int
	// Watermark is after how many bytes, 0 for at once.
	Watermark int
}

// A PerfRecord is a sample, or a count of samples that were lost.
type PerfRecord struct {
	CPU int
	// RawSample is what the program wrote, and 0 to 7 bytes more.
	RawSample []byte
	// LostSamples found no room in the ring. There is no sample then.
	LostSamples uint64
	// Remaining is the number of bytes left to read in the ring of the CPU.
	Remaining int
}

// A PerfReader reads the rings that it has put into a perf event array. Its
// methods are safe for concurrent use.
type PerfReader struct {
	array   *perfArray
	rings   []*perfRing
	options PerfOptions
	dropped uint64

	mu     sync.Mutex // held by the one who reads
	at     int        // the ring to look at first
	paused bool
	closed bool
	wake   chan struct{} // holds a token when rings should be looked at
	done   chan struct{} // closed by Close
}

// OpenPerf makes a ring of so many bytes, rounded up to a power of two of pages,
// for each CPU that the array has an element for, and puts them in. Rings of
// another reader that are there go out.
func (a *perfArray) OpenPerf(bytes int, options PerfOptions) (*PerfReader, error) {
	switch {
	case a.closed.Load():
		return nil, errClosed
	case bytes < 1 || bytes > 1<<30:
		return nil, fmt.Errorf("a ring of %d bytes: it must be 1 to %d: %w", bytes, 1<<30, syscall.EINVAL)
	case options.WakeupEvents > 0 && options.Watermark > 0:
		return nil, errors.New("only one of WakeupEvents and Watermark can be set")
	case options.Watermark >= bytes:
		return nil, errors.New("the watermark must be smaller than the ring")
	}
	size := uint64(ringPage)
	for size < uint64(bytes) {
		size *= 2
	}
	r := &PerfReader{array: a, options: options, paused: true, wake: make(chan struct{}, 1), done: make(chan struct{})}
	for cpu := range a.rings {
		region, err := newRegion(a.spec, ringPage+size)
		if err != nil {
			r.Close()
			return nil, err
		}
		r.rings = append(r.rings, &perfRing{
			cpu: cpu, region: region, positions: mem.At[perfPositions](region.Addr()), data: region.Addr() + ringPage, size: size, reader: r,
		})
	}
	if err := r.Resume(); err != nil {
		r.Close()
		return nil, err
	}
	return r, nil
}

// Pause takes the rings out of the array, so that output gives ENOENT.
func (r *PerfReader) Pause() error { return r.pause(true) }

// Resume puts them in again.
func (r *PerfReader) Resume() error { return r.pause(false) }

func (r *PerfReader) pause(pause bool) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed || r.array.closed.Load() {
		return os.ErrClosed
	}
	for i, ring := range r.rings {
		if pause {
			r.array.rings[i].CompareAndSwap(ring, nil)
		} else {
			r.array.rings[i].Store(ring)
		}
	}
	r.paused = pause
	return nil
}

// ReadRecord puts the next record into rec, whose RawSample it uses again. It is
// false if there is none.
func (r *PerfReader) ReadRecord(rec *PerfRecord) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	for range r.rings {
		if r.rings[r.at].next(rec) {
			return true
		}
		r.at = (r.at + 1) % len(r.rings)
	}
	return false
}

// next reads the next record of a ring, and goes past what no producer wrote.
func (r *perfRing) next(rec *PerfRecord) bool {
	defer runtime.KeepAlive(r)
	p := r.positions
	tail, head := p.tail, atomic.LoadUint64(&p.head)
	for head != tail && head-tail <= r.size {
		var h [perfLostRecord]byte
		r.read(tail, h[:])
		n := uint64(binary.NativeEndian.Uint16(h[6:]))
		if n < perfHeader+8 || n%8 != 0 || n > head-tail {
			break
		}
		rec.CPU, rec.RawSample, rec.LostSamples = r.cpu, rec.RawSample[:0], 0
		rec.Remaining = int(head - tail - n)
		switch length := uint64(binary.NativeEndian.Uint32(h[perfHeader:])); binary.NativeEndian.Uint32(h[:]) {
		case perfRecordSample:
			if length > n-perfHeader-4 {
				length = n - perfHeader - 4
			}
			rec.RawSample = append(rec.RawSample, make([]byte, length)...)
			r.read(tail+perfHeader+4, rec.RawSample)
		case perfRecordLost:
			rec.LostSamples = binary.NativeEndian.Uint64(h[perfHeader+8:])
		}
		tail += n
		// The bytes are copied before the position lets the producer reuse them.
		atomic.StoreUint64(&p.tail, tail)
		if len(rec.RawSample) > 0 || rec.LostSamples > 0 {
			return true
		}
	}
	if head != tail {
		// Where the next record starts can't be known any more.
		atomic.AddUint64(&r.reader.dropped, 1)
		atomic.StoreUint64(&p.tail, head)
	}
	return false
}

func (r *PerfReader) notify() {
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// Wait blocks until rings should be read, the deadline has passed
// (os.ErrDeadlineExceeded), the Waiter was flushed (ErrFlushed), or it, the reader
// or the map was closed (os.ErrClosed). By a watermark there can be records that
// nobody was woken for: read them after the first two of these errors.
func (r *PerfReader) Wait(w *Waiter) error {
	for {
		if r.array.closed.Load() {
			return os.ErrClosed
		}
		deadline, changed, err := w.state()
		if err != nil {
			return err
		}
		var timeout <-chan time.Time
		if !deadline.IsZero() {
			left := time.Until(deadline)
			if left <= 0 {
				return os.ErrDeadlineExceeded
			}
			timeout = time.After(left)
		}
		select {
		case <-r.done:
			return os.ErrClosed
		default:
		}
		select {
		case <-r.wake:
			return nil
		case <-r.done:
			return os.ErrClosed
		case <-changed:
		case <-timeout:
		}
	}
}

// Dropped counts the samples that found no room.
func (r *PerfReader) Dropped() uint64 { return atomic.LoadUint64(&r.dropped) }

// BufferSize is the size of the ring of a CPU in bytes.
func (r *PerfReader) BufferSize() int {
	if len(r.rings) == 0 {
		return 0
	}
	return int(r.rings[0].size)
}

// Close takes the rings out of the array and frees them.
func (r *PerfReader) Close() error {
	if err := r.Pause(); err != nil && !r.array.closed.Load() {
		return nil // closed before
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return nil
	}
	r.closed = true
	close(r.done)
	var first error
	for _, ring := range r.rings {
		if err := ring.region.Close(); err != nil && first == nil {
			first = err
		}
	}
	r.rings = nil
	return first
}
