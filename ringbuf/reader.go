// Package ringbuf reads records from a BPF ring buffer of any engine. Its Reader
// has the methods of cilium/ebpf's reader of the same name.
package ringbuf

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/cilium/ebpf"

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

// SetDeadline says until when Read waits; the zero time is for ever.
func (r *Reader) SetDeadline(t time.Time) { r.waiter.SetDeadline(t) }

// Flush ends a waiting Read with ErrFlushed, after the records that are there.
func (r *Reader) Flush() error {
	r.waiter.Flush()
	return nil
}

// Dropped is the number of records that found no room.
func (r *Reader) Dropped() uint64 { return r.ring.Dropped() }

// Close ends all Reads with os.ErrClosed.
func (r *Reader) Close() error {
	r.waiter.Close()
	return nil
}
