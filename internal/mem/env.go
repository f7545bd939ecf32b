package mem

import "encoding/binary"

// Env is what an event tells the helpers of the program that it runs. The zero
// Env is a run without a task: identity is 0, every read of target memory is
// EFAULT, time and random come from the system.
type Env struct {
	// Task is who the program runs for.
	Task Task
	// Memory is the memory of that task's process (probe_read_user), nil if none.
	Memory Memory
	// Kernel is the kernel memory that the program may look at, nil if none.
	Kernel *Kernel
	// Clock replaces the system's clocks, nil for the system's.
	Clock Clock
	// Random replaces the system's random source, nil for the system's.
	Random func() uint32
	// Print receives each trace_printk line without its newline, which is valid
	// until it returns; nil drops them.
	Print func(line []byte)
}

// Task is the identity of the current task, as the helpers give it.
type Task struct {
	PID  uint32 // thread id: the kernel's task->pid
	TGID uint32 // process id: the kernel's task->tgid
	UID  uint32
	GID  uint32
	Comm [16]byte // NUL-padded
}

// Memory is the memory of a target process. Nothing in it is to be trusted, and
// it changes while it is read.
type Memory interface {
	// ReadAt fills p from addr and returns how many bytes it could read from the
	// start of p: fewer than len(p) is a fault at addr+n.
	ReadAt(p []byte, addr uint64) int
}

// Clock tells the time in ns since boot.
type Clock interface {
	Monotonic() uint64 // CLOCK_MONOTONIC: bpf_ktime_get_ns
	Boot() uint64      // CLOCK_BOOTTIME: bpf_ktime_get_boot_ns
}

// Kernel is kernel memory as programs see it: one always-readable arena of Size
// bytes that really is at Base and that programs see at VBase. An address
// outside the arena goes through Fault.
type Kernel struct {
	VBase uint64
	Base  uint64
	Size  uint64
	// Fault fills p from an address outside the arena whose bytes are made on
	// demand, and reports false where there is nothing (EFAULT).
	Fault func(p []byte, addr uint64) bool
	// CurrentTask is the address (as programs see it) of the current task's
	// task_struct; it fills what is stale. 0 if there is none.
	CurrentTask func() uint64

	// word is what Fault fills for Load: a local one would be allocated.
	word [8]byte
}

// ReadAt fills p from a kernel address as programs see it. It reports false for
// an address that has nothing behind it; p is then unchanged.
func (k *Kernel) ReadAt(p []byte, addr uint64) bool {
	if k == nil {
		return false
	}
	if (Range{k.VBase, k.Size}).Contains(addr, uint64(len(p))) {
		copy(p, Slice(k.Base+(addr-k.VBase), len(p)))
		return true
	}
	return k.Fault != nil && k.Fault(p, addr)
}

// Load is a typed load of size 1, 2, 4 or 8 bytes, zero-extended. Where there
// is nothing it gives 0, as a faulting load in a tracing program of the kernel.
func (k *Kernel) Load(addr uint64, size int) uint64 {
	if k == nil {
		return 0
	}
	if off := addr - k.VBase; off < k.Size && uint64(size) <= k.Size-off {
		a := k.Base + off
		switch size {
		case 1:
			return uint64(*At[uint8](a))
		case 2:
			return uint64(*At[uint16](a))
		case 4:
			return uint64(*At[uint32](a))
		case 8:
			return *At[uint64](a)
		}
	}
	if k.Fault == nil {
		return 0
	}
	k.word = [8]byte{}
	if !k.Fault(k.word[:size], addr) {
		return 0
	}
	return binary.NativeEndian.Uint64(k.word[:])
}
