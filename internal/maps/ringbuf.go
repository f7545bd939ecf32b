package maps

import (
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

// A record's header is two 32-bit words; the first is the record's length with
// two flags (BPF_RINGBUF_* in include/uapi/linux/bpf.h).
const (
	recordHeader  = 8
	recordBusy    = 1 << 31 // reserved, not yet submitted
	recordDiscard = 1 << 30
	maxRecord     = 1<<32/4 - 1 // RINGBUF_MAX_RECORD_SZ in kernel/bpf/ringbuf.c
)

// Flags of bpf_ringbuf_submit, _discard and _output.
const (
	ringNoWakeup    = 1 << 0 // BPF_RB_NO_WAKEUP
	ringForceWakeup = 1 << 1 // BPF_RB_FORCE_WAKEUP
)

// Questions of bpf_ringbuf_query.
const (
	ringAvailData = 0 // BPF_RB_AVAIL_DATA
	ringSize      = 1 // BPF_RB_RING_SIZE
	ringConsPos   = 2 // BPF_RB_CONS_POS
	ringProdPos   = 3 // BPF_RB_PROD_POS
)

// ringPage is what sizes and the parts of the layout are multiples of. It is the
// same on every machine, so that an object's ring is too.
const ringPage = 4096

// ring is BPF_MAP_TYPE_RINGBUF. Layout, that of the kernel's:
//
//	page 0   u64 consumer position, written by the reader
//	page 1   ringProducer
//	data     max_entries bytes, and as many again
//
// Positions only grow; a record lies at its position modulo max_entries, in one
// piece: one that starts near the end of the first half reaches into the second.
// The kernel maps the same pages there. Here they are pages of their own, for a
// record is only ever reached by where it starts, and so any memory will do.
type ring struct {
	base
	consumer *uint64
	producer *ringProducer
	data     uint64 // address of the data
	size     uint64 // max_entries

	reading sync.Mutex    // there is one reader at a time
	wake    chan struct{} // holds a token when a reader should look
	done    chan struct{} // closed by Close
}

// ringProducer is the producer's page.
type ringProducer struct {
	position uint64
	pending  uint64 // up to here every record is submitted or discarded
	lock     uint32 // odd while a producer reserves
	stuck    uint32 // the lock that somebody has waited for in vain
	dropped  uint64
}

func newRing(spec *ebpf.MapSpec, _ int) (Map, error) {
	n := spec.MaxEntries
	if err := checkFlags(spec, abi.MapNUMANode); err != nil {
		return nil, err
	}
	if spec.KeySize != 0 || spec.ValueSize != 0 {
		return nil, fmt.Errorf("a ring buffer has no keys and values, but key size %d and value size %d were given: %w", spec.KeySize, spec.ValueSize, syscall.EINVAL)
	}
	if n == 0 || n&(n-1) != 0 || n%ringPage != 0 {
		return nil, fmt.Errorf("max_entries %d of a ring buffer must be a power of two and a multiple of %d: %w", n, ringPage, syscall.EINVAL)
	}
	region, err := newRegion(spec, 2*ringPage+2*uint64(n))
	if err != nil {
		return nil, err
	}
	return &ring{
		base:     base{spec: spec, region: region},
		consumer: mem.At[uint64](region.Addr()),
		producer: mem.At[ringProducer](region.Addr() + ringPage),
		data:     region.Addr() + 2*ringPage,
		size:     uint64(n),
		wake:     make(chan struct{}, 1),
		done:     make(chan struct{}),
	}, nil
}

func (r *ring) Ranges() []mem.Range { return []mem.Range{{Addr: r.data, Size: 2 * r.size}} }

func (r *ring) Close() error {
	if r.closed.Swap(true) {
		return nil
	}
	close(r.done)
	return r.drop()
}

// A ring buffer has no elements.

func (r *ring) LookupElem(int, uint64) uint64                    { return 0 }
func (r *ring) UpdateElem(int, uint64, uint64, uint64) int64     { return -int64(mem.ENOTSUPP) }
func (r *ring) DeleteElem(uint64) int64                          { return -int64(mem.ENOTSUPP) }
func (r *ring) Lookup([]byte, []byte, ebpf.MapLookupFlags) error { return errNotSupported }
func (r *ring) Update([]byte, []byte, ebpf.MapUpdateFlags) error { return errNotSupported }
func (r *ring) Delete([]byte) error                              { return errNotSupported }
func (r *ring) NextKey([]byte, []byte) error                     { return errNotSupported }

func (r *ring) LookupAndDelete([]byte, []byte, ebpf.MapLookupFlags) error {
	return errNotSupported
}

// header is the address of the header of the record at a position.
func (r *ring) header(position uint64) uint64 { return r.data + position&(r.size-1)&^7 }

func (r *ring) Reserve(size, flags uint64) uint64 {
	if flags != 0 || size > maxRecord {
		return 0
	}
	p := r.producer
	n := round8(size + recordHeader)
	if n > r.size || !r.lock() {
		atomic.AddUint64(&p.dropped, 1)
		return 0
	}
	start := p.position
	end := start + n
	consumer := atomic.LoadUint64(r.consumer)
	if p.settle(r, start); end-consumer > r.size-1 || end-p.pending > r.size-1 {
		r.unlock()
		atomic.AddUint64(&p.dropped, 1)
		return 0
	}
	h := r.header(start)
	store32(mem.At[uint32](h), uint32(size)|recordBusy)
	*mem.At[uint32](h + 4) = uint32((h - r.data + 2*ringPage) / ringPage) // as the kernel's: pages from the start
	store64(&p.position, end)
	r.unlock()
	return h + recordHeader
}

// settle moves pending up to the first record that is still reserved: its place
// can't be used again, even if a reader says that it is past it. The caller
// holds the lock.
func (p *ringProducer) settle(r *ring, end uint64) {
	if end-p.pending > r.size {
		p.pending = end // not what a producer wrote
	}
	for p.pending != end {
		h := atomic.LoadUint32(mem.At[uint32](r.header(p.pending)))
		if h&recordBusy != 0 {
			return
		}
		p.pending += min(recordSize(h), end-p.pending)
	}
}

// recordSize is the number of bytes that a record with that header takes.
func recordSize(h uint32) uint64 {
	return round8(uint64(h&^(recordBusy|recordDiscard)) + recordHeader)
}

func (r *ring) lock() bool { return lock(&r.producer.lock, &r.producer.stuck) }
func (r *ring) unlock()    { unlock(&r.producer.lock) }

func (r *ring) Submit(record, flags uint64)  { r.commit(record, flags, 0) }
func (r *ring) Discard(record, flags uint64) { r.commit(record, flags, recordDiscard) }

// commit ends a reservation. It does nothing with an address that is none.
func (r *ring) commit(record, flags uint64, mark uint32) {
	h := record - recordHeader
	off := h - r.data
	if off >= r.size || off%8 != 0 {
		return
	}
	p := mem.At[uint32](h)
	atomic.StoreUint32(p, atomic.LoadUint32(p)&^recordBusy|mark)
	// The reader looks at the next header after it has moved its position, and
	// here it is the other way round, so one of the two sees the other.
	caughtUp := atomic.LoadUint64(r.consumer)&(r.size-1) == off
	if flags&ringForceWakeup != 0 || caughtUp && flags&ringNoWakeup == 0 {
		r.notify()
	}
}

func (r *ring) notify() {
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

func (r *ring) Output(src, size, flags uint64) int64 {
	if flags&^(ringNoWakeup|ringForceWakeup) != 0 {
		return -int64(mem.EINVAL)
	}
	record := r.Reserve(size, 0)
	if record == 0 {
		return -int64(mem.EAGAIN)
	}
	copy(mem.Slice(record, int(size)), mem.Slice(src, int(size)))
	r.Submit(record, flags)
	return 0
}

func (r *ring) Query(question uint64) uint64 {
	consumer, producer := atomic.LoadUint64(r.consumer), atomic.LoadUint64(&r.producer.position)
	switch question {
	case ringAvailData:
		return producer - consumer
	case ringSize:
		return r.size
	case ringConsPos:
		return consumer
	case ringProdPos:
		return producer
	}
	return 0
}

func (r *ring) Dropped() uint64 {
	n := atomic.LoadUint64(&r.producer.dropped)
	runtime.KeepAlive(r)
	return n
}

func (r *ring) ReadRecord(p []byte) (record []byte, remaining int, ok bool) {
	r.reading.Lock()
	defer r.reading.Unlock()
	if r.closed.Load() {
		return p, 0, false
	}
	defer runtime.KeepAlive(r)
	position, end := atomic.LoadUint64(r.consumer), atomic.LoadUint64(&r.producer.position)
	for position != end && end-position <= r.size {
		h := atomic.LoadUint32(mem.At[uint32](r.header(position)))
		if h&recordBusy != 0 {
			return p, int(end - position), false
		}
		step := recordSize(h)
		if step > end-position {
			break
		}
		// The bytes are copied before the position lets producers reuse them.
		if h&recordDiscard == 0 {
			p = append(p, mem.Slice(r.header(position)+recordHeader, int(h))...)
		}
		position += step
		atomic.StoreUint64(r.consumer, position)
		if h&recordDiscard == 0 {
			return p, int(end - position), true
		}
	}
	if position != end {
		// This is not what a producer wrote. Where the next record starts can't be
		// known, so what is there counts as one lost record.
		atomic.AddUint64(&r.producer.dropped, 1)
		atomic.StoreUint64(r.consumer, end)
	}
	return p, 0, false
}

// readable reports whether ReadRecord has something to do.
func (r *ring) readable() bool {
	position, end := atomic.LoadUint64(r.consumer), atomic.LoadUint64(&r.producer.position)
	return position != end && atomic.LoadUint32(mem.At[uint32](r.header(position)))&recordBusy == 0
}

func (r *ring) Wait(w *Waiter) error {
	defer runtime.KeepAlive(r)
	for {
		if r.closed.Load() {
			return os.ErrClosed
		}
		deadline, changed, err := w.state()
		if err != nil {
			return err
		}
		if r.readable() {
			return nil
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
		case <-r.wake:
			return nil
		case <-r.done:
		case <-changed:
		case <-timeout:
		}
	}
}
