package maps

import (
	"errors"
	"os"
	"sync"
	"time"
)

// ErrFlushed is what Ring.Wait gives once after Waiter.Flush.
var ErrFlushed = errors.New("reader was flushed")

// A Waiter is a reader of a ring while it waits: it carries the deadline and can
// be interrupted from another goroutine. The zero Waiter has no deadline.
type Waiter struct {
	mu       sync.Mutex
	deadline time.Time
	flushed  bool
	closed   bool
	changed  chan struct{} // closed when something above changes
}

// SetDeadline says until when to wait; the zero time is for ever.
func (w *Waiter) SetDeadline(t time.Time) { w.change(func() { w.deadline = t }) }

// Flush ends the wait that is on, or else the next one, with ErrFlushed.
func (w *Waiter) Flush() { w.change(func() { w.flushed = true }) }

// Close ends the wait that is on, and all later ones, with os.ErrClosed.
func (w *Waiter) Close() { w.change(func() { w.closed = true }) }

func (w *Waiter) change(f func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	f()
	if w.changed != nil {
		close(w.changed)
		w.changed = nil
	}
}

// state gives the deadline and a channel that is closed when it no longer holds,
// or the error that ends the wait.
func (w *Waiter) state() (deadline time.Time, changed <-chan struct{}, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case w.closed:
		return time.Time{}, nil, os.ErrClosed
	case w.flushed:
		w.flushed = false
		return time.Time{}, nil, ErrFlushed
	}
	if w.changed == nil {
		w.changed = make(chan struct{})
	}
	return w.deadline, w.changed, nil
}
