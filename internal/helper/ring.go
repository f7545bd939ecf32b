package helper

import (
	"github.com/skep-bpf/skep/internal/maps"
	"github.com/skep-bpf/skep/internal/mem"
)

func (c *Call) ring(handle uint64) maps.Ring {
	r, _ := c.Map(handle).(maps.Ring)
	return r
}

// ringOf is the ring that a record lies in. The record says nothing that could
// be believed, so its address decides.
func (c *Call) ringOf(record uint64) maps.Ring {
	for _, m := range c.owned() {
		if m.ring != nil && m.Contains(record, 0) {
			return m.ring
		}
	}
	return nil
}

func ringbufReserve(c *Call, m, size, flags, _, _ uint64) uint64 {
	if r := c.ring(m); r != nil {
		return r.Reserve(size, flags)
	}
	return 0
}

func ringbufSubmit(c *Call, record, flags, _, _, _ uint64) uint64 {
	if r := c.ringOf(record); r != nil {
		r.Submit(record, flags)
	}
	return 0
}

func ringbufDiscard(c *Call, record, flags, _, _, _ uint64) uint64 {
	if r := c.ringOf(record); r != nil {
		r.Discard(record, flags)
	}
	return 0
}

func ringbufOutput(c *Call, m, data, size, flags, _ uint64) uint64 {
	if r := c.ring(m); r != nil {
		return uint64(r.Output(data, size, flags))
	}
	return mem.EINVAL.R0()
}

func ringbufQuery(c *Call, m, question, _, _, _ uint64) uint64 {
	if r := c.ring(m); r != nil {
		return r.Query(question)
	}
	return 0
}
