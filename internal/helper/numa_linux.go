package helper

import (
	"fmt"
	"path/filepath"
	"sync"
)

// nodes is the NUMA node of each CPU, as far as the system names any.
var nodes = sync.OnceValue(func() (of []uint64) {
	links, err := filepath.Glob("/sys/devices/system/cpu/cpu[0-9]*/node[0-9]*")
	if err != nil {
		return nil
	}
	for _, l := range links {
		var cpu int
		var node uint64
		if _, err := fmt.Sscanf(l, "/sys/devices/system/cpu/cpu%d/node%d", &cpu, &node); err != nil || cpu < 0 || cpu >= 1<<16 {
			continue
		}
		for len(of) <= cpu {
			of = append(of, 0)
		}
		of[cpu] = node
	}
	return of
})
