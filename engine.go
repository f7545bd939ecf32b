package skep

import (
	"context"
)

// An Engine runs programs: [User] in this process, [Kernel] in the Linux kernel.
type Engine interface {
	// String is the engine's name: "user" or "kernel".
	String() string

	load(ctx context.Context, spec *CollectionSpec, o *loadOptions) (*Collection, error)
}

// LoadOption changes how Load works.
type LoadOption func(*loadOptions)

type loadOptions struct {
	checked bool
	clock   Clock
	random  func() uint32
	print   func(line []byte)
}

// WithChecks runs every program in the interpreter's checked mode: each access
// outside what the program owns ends the run with an error. It is a second wall
// behind the verifier, for tests. Like all options it is for the user engine.
func WithChecks() LoadOption { return func(o *loadOptions) { o.checked = true } }

// Clock tells a program the time in ns since boot.
type Clock interface {
	Monotonic() uint64 // bpf_ktime_get_ns
	Boot() uint64      // bpf_ktime_get_boot_ns
}

// WithClock replaces the system's clocks.
func WithClock(c Clock) LoadOption { return func(o *loadOptions) { o.clock = c } }

// WithRandom replaces the random source behind bpf_get_prandom_u32.
func WithRandom(next func() uint32) LoadOption { return func(o *loadOptions) { o.random = next } }

// WithPrint receives every line of bpf_trace_printk, without its newline. It is
// called while the program runs and must not keep line.
func WithPrint(print func(line []byte)) LoadOption { return func(o *loadOptions) { o.print = print } }

// Load links, verifies and prepares everything in spec on an engine. spec is not
// changed. On error nothing is left behind.
func Load(ctx context.Context, e Engine, spec *CollectionSpec, options ...LoadOption) (*Collection, error) {
	var o loadOptions
	for _, option := range options {
		option(&o)
	}
	return e.load(ctx, spec, &o)
}
