package helper

import (
	"github.com/skep-bpf/skep/internal/maps"
	"github.com/skep-bpf/skep/internal/mem"
)

// getCurrentCgroupID is the id of the task's cgroup (version 2), 0 if it has none
// that can be seen.
func getCurrentCgroupID(c *Call, _, _, _, _, _ uint64) uint64 {
	return c.cgroupID(c.cgroup())
}

// currentTaskUnderCgroup says whether the task is in the cgroup at an index of a
// map, or in one below it: 1 or 0.
func currentTaskUnderCgroup(c *Call, m, index, _, _, _ uint64) uint64 {
	a, ok := c.Map(m).(maps.CgroupArray)
	if !ok {
		return mem.EINVAL.R0()
	}
	want, errno := a.Cgroup(uint32(index))
	if errno != 0 {
		return errno.R0()
	}
	for path := c.cgroup(); len(path) > 0; path = parent(path) {
		if c.cgroupID(path) == want {
			return 1
		}
	}
	return 0
}

// parent is the path of the directory that a path lies in, empty for the root.
func parent(path []byte) []byte {
	if len(path) == 1 {
		return nil
	}
	i := len(path) - 1
	for i > 0 && path[i] != '/' {
		i--
	}
	return path[:max(i, 1)]
}
