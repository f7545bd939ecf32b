package main

import (
	"errors"
	"maps"
	"slices"

	"github.com/cilium/ebpf"

	"github.com/skep-bpf/skep"
	"github.com/skep-bpf/skep/ringbuf"
)

// rings reads the ring buffers of a collection, each in its goroutine.
type rings struct{ all []*ring }

type ring struct {
	name   string
	size   uint32
	reader *ringbuf.Reader
	empty  chan struct{} // after each flush: everything before it has been read
	done   chan struct{}
}

// follow calls record for every record; it must not keep sample.
func follow(c *skep.Collection, record func(ring string, sample []byte)) (*rings, error) {
	out := new(rings)
	for _, name := range slices.Sorted(maps.Keys(c.Maps)) {
		m := c.Maps[name]
		if m.Type() != ebpf.RingBuf {
			continue
		}
		reader, err := ringbuf.NewReader(m)
		if err != nil {
			out.Close()
			return nil, err
		}
		r := &ring{name: name, size: m.MaxEntries(), reader: reader, empty: make(chan struct{}), done: make(chan struct{})}
		out.all = append(out.all, r)
		go r.read(record)
	}
	return out, nil
}

func (r *ring) read(record func(string, []byte)) {
	defer close(r.done)
	var rec ringbuf.Record
	for {
		switch err := r.reader.ReadInto(&rec); {
		case err == nil:
			record(r.name, rec.RawSample)
		case errors.Is(err, ringbuf.ErrFlushed):
			r.empty <- struct{}{}
		default:
			return // closed
		}
	}
}

// flush returns when everything has been read that is there now.
func (r *rings) flush() {
	for _, x := range r.all {
		if x.reader.Flush() == nil {
			select {
			case <-x.empty:
			case <-x.done:
			}
		}
	}
}

// Close ends the reading.
func (r *rings) Close() {
	for _, x := range r.all {
		x.reader.Close()
		<-x.done
	}
}
