// Package ringbuf reads records from a BPF ring buffer of any engine. Its Reader
// has the methods of cilium/ebpf's reader of the same name.
package ringbuf

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/ringbuf"

	"github.com/skep-bpf/skep"
	"github.com/skep-bpf/skep/internal/maps"
)

// ErrFlushed ends a Read after Flush, once all records that were there have been
// read.
var ErrFlushed = maps.ErrFlushed

// A Record is one record.
type Record struct {
	// RawSample is what the program wrote.
	RawSample []byte
	// Remaining is the number of bytes left to read behind it.
	Remaining int
}

// A Reader reads one ring buffer. A ring buffer has one reader at a time. Its
// methods are safe for concurrent use.
type Reader struct {
	kernel *ringbuf.Reader // of the kernel engine; what follows is of the user engine

	ring   maps.Ring
	waiter maps.Waiter

	mu sync.Mutex // held by the one who reads
}

// NewReader makes a reader for a map of type RingBuf.
func NewReader(m skep.Map) (*Reader, error) {
	if table, ok := m.(interface{ Table() maps.Map }); ok {
		if ring, ok := table.Table().(maps.Ring); ok {
			return &Reader{ring: ring}, nil
		}
	}
	if kernel, ok := m.(*ebpf.Map); ok {
		reader, err := ringbuf.NewReader(kernel)
		if err != nil {
			return nil, err
		}
		return &Reader{kernel: reader}, nil
	}
	return nil, fmt.Errorf("ringbuf: %s: a %s is wanted: %w", m, ebpf.RingBuf, ebpf.ErrNotSupported)
}

// Read waits for the next record. It gives os.ErrDeadlineExceeded when the
// deadline has passed, os.ErrClosed after Close and ErrFlushed after Flush.
func (r *Reader) Read() (Record, error) {
	var rec Record
	err := r.ReadInto(&rec)
	return rec, err
}

// ReadInto is Read into a record whose memory is used again.
func (r *Reader) ReadInto(rec *Record) error {
	if r.kernel != nil {
		return r.readKernel(rec)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	var flushed error
	for {
		var ok bool
		if rec.RawSample, rec.Remaining, ok = r.ring.ReadRecord(rec.RawSample[:0]); ok {
			if flushed != nil {
				// The record came first: let the next Read end with it.
				r.waiter.Flush()
			}
			return nil
		}
		if flushed != nil {
			return flushed
		}
		if err := r.ring.Wait(&r.waiter); errors.Is(err, ErrFlushed) {
			flushed = err
		} else if err != nil {
			return err
		}
	}
}

// readKernel is ReadInto through cilium/ebpf. The record's memory is used again.
func (r *Reader) readKernel(rec *Record) error {
	from := ringbuf.Record{RawSample: rec.RawSample}
	err := r.kernel.ReadInto(&from)
	if errors.Is(err, ringbuf.ErrFlushed) {
		err = ErrFlushed
	}
	rec.RawSample, rec.Remaining = from.RawSample, from.Remaining
	return err
}

// SetDeadline says until when Read waits; the zero time is for ever.
func (r *Reader) SetDeadline(t time.Time) {
	if r.kernel != nil {
		r.kernel.SetDeadline(t)
		return
	}
	r.waiter.SetDeadline(t)
}

// Flush ends a waiting Read with ErrFlushed, after the records that are there.
func (r *Reader) Flush() error {
	if r.kernel != nil {
		return r.kernel.Flush()
	}
	r.waiter.Flush()
	return nil
}

// Dropped is the number of records that found no room. known is false for the
// kernel, which does not count them.
func (r *Reader) Dropped() (n uint64, known bool) {
	if r.kernel != nil {
		return 0, false
	}
	return r.ring.Dropped(), true
}

// Close ends all Reads with os.ErrClosed.
func (r *Reader) Close() error {
	if r.kernel != nil {
		return r.kernel.Close()
	}
	r.waiter.Close()
	return nil
}
