// Package engine is the suite "engine" of skep bench: how long a run of each of
// its programs takes under each engine that runs programs in this process.
//
// The programs are of the families that packet and tracing programs are made of.
// Each works on 1024 bytes that the suite puts into its global data, and returns
// a digest that the tests compare with the same work done in Go.
package engine

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/skep-bpf/skep/internal/helper"
	"github.com/skep-bpf/skep/internal/image"
	"github.com/skep-bpf/skep/internal/interp"
	bpfmaps "github.com/skep-bpf/skep/internal/maps"
	"github.com/skep-bpf/skep/internal/mem"
	"github.com/skep-bpf/skep/verify"
)

// A Row is one line of the report.
type Row struct {
	Name          string  `json:"name"`
	Family        string  `json:"family"`
	Engine        string  `json:"engine"`         // "interpreter"
	NS            float64 `json:"ns"`             // CPU time of a run, the entry included
	Insns         int     `json:"insns"`          // 8-byte slots of the program
	InsnsExecuted uint64  `json:"insns_executed"` // in a run
}

// Run measures every program and reports a row for each as it is done. It takes
// some seconds.
func Run(ctx context.Context, report func(Row)) error {
	return run(ctx, benchmarks, report)
}

func run(ctx context.Context, list []benchmark, report func(Row)) error {
	for _, b := range list {
		if err := ctx.Err(); err != nil {
			return err
		}
		p, err := b.load()
		if err != nil {
			return fmt.Errorf("benchmark %s: %w", b.name, err)
		}
		row, err := p.measure(ctx)
		p.close()
		if err != nil {
			return fmt.Errorf("benchmark %s: %w", b.name, err)
		}
		report(row)
	}
	return nil
}

// A program is a benchmark ready to run.
type program struct {
	benchmark
	image  *image.Program
	facts  *verify.Facts
	call   *helper.Call
	runner *mem.Runner
	random uint32 // state behind bpf_get_prandom_u32
}

// load reads, links and verifies a benchmark and makes its maps.
func (b *benchmark) load() (_ *program, err error) {
	file, err := objects.Open("programs/" + b.object + ".bpf.o")
	if err != nil {
		return nil, err
	}
	defer file.Close()
	spec, err := image.Load(file.(readerAt))
	if err != nil {
		return nil, err
	}
	if v := spec.Variables["input"]; v != nil {
		if err := v.Set(b.input()); err != nil {
			return nil, err
		}
	}
	img, err := image.Link(spec, image.Target{})
	if err != nil {
		return nil, err
	}
	if err := img.Failed[b.name]; err != nil {
		return nil, err
	}
	p := &program{benchmark: *b, image: img.Programs[b.name]}
	verdict := verify.Image(img, p.image, &verify.Options{})
	if !verdict.Accepted() {
		return nil, verdict.Err
	}
	p.facts = verdict.Facts

	p.runner, err = mem.NewRunner(0)
	if err != nil {
		return nil, err
	}
	p.call = &helper.Call{Runner: p.runner}
	defer func() {
		if err != nil {
			p.close()
		}
	}()
	all := map[string]bpfmaps.Map{}
	for _, name := range slices.Sorted(maps.Keys(img.Maps)) {
		m, err := bpfmaps.New(img.Maps[name], 1)
		if err != nil {
			return nil, err
		}
		all[name] = m
	}
	for _, name := range p.image.Maps {
		p.call.Maps = append(p.call.Maps, all[name])
		delete(all, name)
	}
	for _, unused := range all {
		unused.Close()
	}
	p.runner.Env.Random = func() uint32 {
		p.random = p.random*1664525 + 1013904223
		return p.random
	}
	return p, nil
}

func (p *program) close() {
	for _, m := range p.call.Maps {
		m.Close()
	}
	p.runner.Close()
}

// interpreter compiles the program for the interpreter.
func (p *program) interpreter(o interp.Options) (*interp.Code, error) {
	return interp.Compile(p.image, p.facts, p.call.Maps, o)
}

func (p *program) measure(ctx context.Context) (Row, error) {
	counted, err := p.interpreter(interp.Options{Count: true})
	if err != nil {
		return Row{}, err
	}
	if _, err := counted.Run(p.call, p.runner.Context.Addr); err != nil {
		return Row{}, err
	}
	code, err := p.interpreter(interp.Options{})
	if err != nil {
		return Row{}, err
	}
	ns, err := measure(ctx, func(n int) error {
		for range n {
			if _, err := code.Run(p.call, p.runner.Context.Addr); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return Row{}, err
	}
	return Row{
		Name:          p.name,
		Family:        p.family,
		Engine:        "interpreter",
		NS:            ns,
		Insns:         len(p.image.Insns),
		InsnsExecuted: counted.Executed(),
	}, nil
}
