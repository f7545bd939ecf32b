package mem

import "fmt"

const (
	// StackSize is the number of stack bytes of one frame (MAX_BPF_STACK).
	StackSize = 512
	// MaxFrames is how deep BPF-to-BPF calls may nest (MAX_CALL_FRAMES).
	MaxFrames = 8
	// ContextSize is the size of a runner's context slot in bytes.
	ContextSize = 4096
)

// A Runner is to a program what a CPU is to the kernel: the place where it
// runs. Two runs never share a runner at the same time and a run never changes
// its runner, so per-CPU values need no atomics.
type Runner struct {
	// CPU is what bpf_get_smp_processor_id returns.
	CPU int
	// Stack is the memory of MaxFrames frames of StackSize bytes. Frame 0 is the
	// highest: its r10 is Stack.Addr+Stack.Size.
	Stack Range
	// Context is the slot that an event builds its context in.
	Context Range
	// Env is what the event tells helpers. The event fills it before each run.
	Env Env

	region *Region
}

// NewRunner makes one runner outside any pool. Close frees it.
func NewRunner(cpu int) (*Runner, error) {
	// Between the two lies memory of neither, so that a run over the end of one is
	// not in the other.
	const (
		stack = MaxFrames * StackSize
		gap   = ContextSize
	)
	region, err := New(fmt.Sprintf("runner%d", cpu), stack+gap+ContextSize)
	if err != nil {
		return nil, err
	}
	return &Runner{
		CPU:     cpu,
		Stack:   Range{region.Addr(), stack},
		Context: Range{region.Addr() + stack + gap, ContextSize},
		region:  region,
	}, nil
}

// Close frees the runner's memory.
func (r *Runner) Close() error { return r.region.Close() }
