package helper

import (
	"github.com/skep-bpf/skep/internal/maps"
	"github.com/skep-bpf/skep/internal/mem"
)

func mapLookupElem(c *Call, m, key, _, _, _ uint64) uint64 {
	if m := c.Map(m); m != nil {
		return m.LookupElem(c.Runner.CPU, key)
	}
	return 0
}

func mapUpdateElem(c *Call, m, key, value, flags, _ uint64) uint64 {
	if m := c.Map(m); m != nil {
		return uint64(m.UpdateElem(c.Runner.CPU, key, value, flags))
	}
	return mem.EINVAL.R0()
}

func mapDeleteElem(c *Call, m, key, _, _, _ uint64) uint64 {
	if m := c.Map(m); m != nil {
		return uint64(m.DeleteElem(key))
	}
	return mem.EINVAL.R0()
}

func mapLookupPercpuElem(c *Call, m, key, cpu, _, _ uint64) uint64 {
	if m := c.Map(m); m != nil {
		return m.LookupElem(int(uint32(cpu)), key)
	}
	return 0
}

// queue is the map without keys behind a handle, nil if it is none.
func (c *Call) queue(handle uint64) maps.Queue {
	q, _ := c.Map(handle).(maps.Queue)
	return q
}

func mapPushElem(c *Call, m, value, flags, _, _ uint64) uint64 {
	if q := c.queue(m); q != nil {
		return uint64(q.PushElem(value, flags))
	}
	return mem.EINVAL.R0()
}

func mapPopElem(c *Call, m, value, _, _, _ uint64) uint64 {
	if q := c.queue(m); q != nil {
		return uint64(q.PopElem(value))
	}
	return mem.EINVAL.R0()
}

func mapPeekElem(c *Call, m, value, _, _, _ uint64) uint64 {
	if q := c.queue(m); q != nil {
		return uint64(q.PeekElem(value))
	}
	return mem.EINVAL.R0()
}

func perfEventOutput(c *Call, _, m, flags, data, size uint64) uint64 {
	if p, ok := c.Map(m).(maps.Perf); ok {
		return uint64(p.Output(c.Runner.CPU, data, size, flags))
	}
	return mem.EINVAL.R0()
}
