package helper

import "github.com/skep-bpf/skep/internal/mem"

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
