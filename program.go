package skep

import (
	"context"
	"fmt"
	"time"

	"github.com/cilium/ebpf"

	"github.com/skep-bpf/skep/internal/abi"
	"github.com/skep-bpf/skep/internal/kernel"
	"github.com/skep-bpf/skep/internal/mem"
	"github.com/skep-bpf/skep/internal/program"
)

// RunOptions are cilium/ebpf's.
type RunOptions = ebpf.RunOptions

// A Program is a verified program, ready to run.
type Program struct {
	spec *ProgramSpec

	// Of the user engine:
	user    *program.Program
	pool    *mem.Pool
	options *loadOptions
	self    *selfView

	kernel *kernel.Program // of the kernel engine
}

// Name is the name of the program's function.
func (p *Program) Name() string { return p.spec.Name }

// Type is the program type.
func (p *Program) Type() ebpf.ProgramType { return p.spec.Type }

// Section is the ELF section, which says where the program wants to be attached.
func (p *Program) Section() string { return p.spec.SectionName }

// String describes the program.
func (p *Program) String() string { return fmt.Sprintf("%s(%s)", p.spec.Type, p.spec.Name) }

// Close does nothing: the program lives as long as its collection.
func (p *Program) Close() error { return nil }

// Binding is what the event sources of this module run programs of the user
// engine with.
type Binding struct {
	Program *program.Program
	Pool    *mem.Pool
	// Env holds what was fixed by options: clock, random, print.
	Env mem.Env
}

// Kernel gives the packages of this module what is behind a program of the kernel
// engine; it is nil for others.
func (p *Program) Kernel() *kernel.Program { return p.kernel }

// Binding gives the packages of this module what is behind a program of the user
// engine.
func (p *Program) Binding() Binding {
	return Binding{
		Program: p.user,
		Pool:    p.pool,
		Env:     mem.Env{Clock: p.options.clock, Random: p.options.random, Print: p.options.print},
	}
}

// Run test-runs the program opts.Repeat times (at least once) for the calling
// process and returns what it returned last. opts.Context is the context: for
// tracing programs the bytes that R1 points to, as []byte or a fixed-size value;
// what is missing at its end is 0. opts.CPU chooses the runner, if Flags has
// BPF_F_TEST_RUN_ON_CPU.
//
// The kernel engine can test-run fewer program types (bpf(2), BPF_PROG_TEST_RUN):
// of tracing programs only raw tracepoints.
func (p *Program) Run(opts *RunOptions) (uint32, error) {
	if p.kernel != nil {
		return p.kernel.Run(opts)
	}
	ret, _, err := p.run(opts)
	return ret, err
}

// Benchmark is Run with the time that a single run took, the mean over all. The
// user engine has it.
func (p *Program) Benchmark(opts *RunOptions) (uint32, time.Duration, error) {
	if p.kernel != nil {
		return 0, 0, fmt.Errorf("%s: the time of a run on the kernel is %w", p, ebpf.ErrNotSupported)
	}
	return p.run(opts)
}

func (p *Program) run(opts *RunOptions) (ret uint32, each time.Duration, err error) {
	if opts == nil {
		opts = &RunOptions{}
	}
	size, err := p.contextSize(opts)
	if err != nil {
		return 0, 0, err
	}
	runner, err := p.runner(opts)
	if err != nil {
		return 0, 0, err
	}
	defer p.pool.Release(runner)

	context := mem.Slice(runner.Context.Addr, size)
	clear(context)
	if opts.Context != nil {
		data, err := encodeUpTo(opts.Context, size)
		if err != nil {
			return 0, 0, fmt.Errorf("%s: context: %w", p, err)
		}
		copy(context, data)
	}
	leave, err := p.self.enter(p, runner)
	if err != nil {
		return 0, 0, fmt.Errorf("%s: %w", p, err)
	}
	defer leave()

	repeat := max(opts.Repeat, 1)
	start := time.Now()
	var r0 uint64
	for range repeat {
		if r0, err = p.user.Run(runner, runner.Context.Addr); err != nil {
			return 0, 0, err
		}
	}
	each = time.Since(start) / time.Duration(repeat)
	if opts.ContextOut != nil {
		if err := decode(context[:min(sizeOf(opts.ContextOut, size), size)], opts.ContextOut); err != nil {
			return 0, 0, fmt.Errorf("%s: context out: %w", p, err)
		}
	}
	return uint32(r0), each, nil
}

// contextSize is the number of context bytes that a run of p gets.
func (p *Program) contextSize(opts *RunOptions) (int, error) {
	row := abi.ProgramTypeOf(p.Type())
	if row == nil || row.Context.Size == 0 {
		return 0, fmt.Errorf("%s: test runs of this program type are %w", p, ebpf.ErrNotSupported)
	}
	if len(opts.Data) > 0 || opts.DataOut != nil {
		return 0, fmt.Errorf("%s: packet data for test runs is %w", p, ebpf.ErrNotSupported)
	}
	size := min(row.Context.Size, mem.ContextSize)
	if p.user.Facts.ContextSize > size {
		return 0, fmt.Errorf("%s: the program may touch %d bytes of its context, test runs have %d", p, p.user.Facts.ContextSize, size)
	}
	return size, nil
}

// runner takes a runner: the one of opts.CPU if it is asked for.
func (p *Program) runner(opts *RunOptions) (*mem.Runner, error) {
	if opts.CPU >= uint32(p.pool.Size()) {
		return nil, fmt.Errorf("%s: CPU %d: there are %d", p, opts.CPU, p.pool.Size())
	}
	if opts.Flags&runOnCPU != 0 {
		return p.pool.AcquireCPU(context.Background(), int(opts.CPU))
	}
	return p.pool.Acquire(context.Background())
}

// runOnCPU is BPF_F_TEST_RUN_ON_CPU.
const runOnCPU = 1 << 0
