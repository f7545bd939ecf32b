package skep

import (
	"runtime"

	"github.com/cilium/ebpf"
)

// possibleCPUs is the number of runners and of values in a per-CPU map: what the
// kernel would use, or the CPUs that Go sees where no kernel says.
func possibleCPUs() int {
	if n, err := ebpf.PossibleCPU(); err == nil {
		return n
	}
	return runtime.NumCPU()
}
