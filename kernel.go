package skep

import (
	"context"
	"fmt"

	"github.com/cilium/ebpf"

	"github.com/skep-bpf/skep/internal/kernel"
)

type kernelEngine struct{}

// Kernel is the engine that runs programs in the running Linux kernel, where bpf()
// is allowed. Tracing programs are confined: they run for the command that they
// are attached to with its descendants, and for nobody else.
func Kernel() Engine { return kernelEngine{} }

func (kernelEngine) String() string { return "kernel" }

func (kernelEngine) load(ctx context.Context, spec *CollectionSpec, o *loadOptions) (*Collection, error) {
	if o.checked || o.clock != nil || o.random != nil || o.print != nil {
		return nil, fmt.Errorf("the kernel engine has its own clock, random source, checks and trace_printk (/sys/kernel/tracing/trace_pipe): load options are %w there", ebpf.ErrNotSupported)
	}
	loaded, err := kernel.Load(ctx, spec, kernel.Options{})
	if err != nil {
		return nil, err
	}
	c := newCollection()
	c.closers = append(c.closers, loaded)
	for name, p := range loaded.Programs {
		c.Programs[name] = &Program{spec: p.Spec, kernel: p}
	}
	for name, m := range loaded.Maps {
		c.Maps[name] = m
	}
	for name, v := range loaded.Variables {
		if s := spec.Variables[name]; s != nil {
			c.Variables[name] = &Variable{spec: s, kernel: v}
		}
	}
	return c, nil
}
