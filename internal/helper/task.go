package helper

import "github.com/skep-bpf/skep/internal/mem"

func getCurrentPidTgid(c *Call, _, _, _, _, _ uint64) uint64 {
	t := &c.Runner.Env.Task
	return uint64(t.TGID)<<32 | uint64(t.PID)
}

func getCurrentUidGid(c *Call, _, _, _, _, _ uint64) uint64 {
	t := &c.Runner.Env.Task
	return uint64(t.GID)<<32 | uint64(t.UID)
}

// getCurrentComm always ends the name with a NUL and fills what is left of buf
// with more of them.
func getCurrentComm(c *Call, buf, size, _, _, _ uint64) uint64 {
	if size == 0 {
		return mem.EINVAL.R0()
	}
	b := mem.Slice(buf, int(uint32(size)))
	clear(b[copy(b[:len(b)-1], c.Runner.Env.Task.Comm[:]):])
	return 0
}

// getCurrentTask serves bpf_get_current_task and its _btf form.
func getCurrentTask(c *Call, _, _, _, _, _ uint64) uint64 {
	if k := c.Runner.Env.Kernel; k != nil && k.CurrentTask != nil {
		return k.CurrentTask()
	}
	return 0
}

func getSmpProcessorID(c *Call, _, _, _, _, _ uint64) uint64 { return uint64(c.Runner.CPU) }

// getNumaNodeID is the node of the CPU that has the runner's number.
func getNumaNodeID(c *Call, _, _, _, _, _ uint64) uint64 {
	if of := nodes(); c.Runner.CPU < len(of) {
		return of[c.Runner.CPU]
	}
	return 0
}
