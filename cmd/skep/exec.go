package main

import (
	"context"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"strings"

	"github.com/skep-bpf/skep"
	"github.com/skep-bpf/skep/internal/view"
)

type execCmd struct {
	CtxIn   string  `placeholder:"FILE" help:"The context's bytes, - for stdin; what is missing at its end is 0."`
	DataIn  string  `placeholder:"FILE" help:"The packet's bytes, - for stdin."`
	CtxOut  string  `placeholder:"FILE" help:"Write the context's bytes after the run."`
	Repeat  uint32  `default:"1" help:"How often to run the program."`
	Clock   *uint64 `placeholder:"NS" help:"Let the clocks stand at this time since boot."`
	CPU     *uint32 `name:"cpu" placeholder:"N" help:"Run on this CPU."`
	Seed    *uint64 `placeholder:"N" help:"Let random numbers follow from N."`
	Maps    bool    `help:"Print variables and maps after the run."`
	JSON    bool    `name:"json" help:"Print JSON lines."`
	Checked bool    `help:"Check every access of the program while it runs."`

	Object  string `arg:"" help:"A tool or an object file."`
	Program string `arg:"" help:"The program's name."`
}

// standing is a clock that stands still.
type standing uint64

func (c standing) Monotonic() uint64 { return uint64(c) }
func (c standing) Boot() uint64      { return uint64(c) }

// runOnCPU is BPF_F_TEST_RUN_ON_CPU: RunOptions.CPU is a wish.
const runOnCPU = 1 << 0

// execResult is the first JSON line of skep exec. The others are those of the
// object's view.
type execResult struct {
	Program  string `json:"program"`
	Retval   uint32 `json:"retval"`
	Repeat   uint32 `json:"repeat"`
	Duration int64  `json:"duration_ns"` // of a single run, the mean
}

func (e *execCmd) Run() error {
	what, err := open(e.Object)
	if err != nil {
		return err
	}
	if what.spec.Programs[e.Program] == nil {
		names := slices.Sorted(maps.Keys(what.spec.Programs))
		return usagef("%s has no program %q: it has %s", e.Object, e.Program, strings.Join(names, ", "))
	}
	// The others need not be right for this one to run.
	for name := range what.spec.Programs {
		if name != e.Program {
			delete(what.spec.Programs, name)
		}
	}
	coll, err := skep.Load(context.Background(), skep.User(), what.spec, e.loadOptions()...)
	if err != nil {
		return fmt.Errorf("%s: %w", e.Object, err)
	}
	defer coll.Close()

	opts := &skep.RunOptions{Repeat: e.Repeat}
	if e.CPU != nil {
		opts.CPU, opts.Flags = *e.CPU, runOnCPU
	}
	if e.CtxIn != "" {
		b, err := readInput(e.CtxIn)
		if err != nil {
			return err
		}
		opts.Context = b
	}
	if e.DataIn != "" {
		if opts.Data, err = readInput(e.DataIn); err != nil {
			return err
		}
	}
	var after []byte
	if e.CtxOut != "" {
		opts.ContextOut = &after
	}
	ret, each, err := coll.Programs[e.Program].Benchmark(opts)
	if err != nil {
		return fmt.Errorf("%s: %w", e.Object, err)
	}
	if e.CtxOut != "" {
		if err := os.WriteFile(e.CtxOut, after, 0o666); err != nil {
			return err
		}
	}
	object, err := view.NewObject(coll, view.Info{Spec: what.spec})
	if err != nil {
		return err
	}
	if e.JSON {
		lines := newJSONLines(os.Stdout)
		if err := lines.encode(execResult{e.Program, ret, max(e.Repeat, 1), int64(each)}); err != nil || !e.Maps {
			return err
		}
		return object.Lines(lines.encode)
	}
	fmt.Printf("%s returned %d (%#x), %s a run\n", e.Program, int32(ret), ret, view.Duration(each))
	if !e.Maps {
		return nil
	}
	return object.Table(os.Stdout, view.For(os.Stdout))
}

func (e *execCmd) loadOptions() []skep.LoadOption {
	options := []skep.LoadOption{skep.WithPrint(func(line []byte) {
		fmt.Fprintln(os.Stderr, "print: "+view.Printable(string(line)))
	})}
	if e.Clock != nil {
		options = append(options, skep.WithClock(standing(*e.Clock)))
	}
	if e.Seed != nil {
		options = append(options, skep.WithRandom(rand.New(rand.NewPCG(*e.Seed, 0)).Uint32))
	}
	if e.Checked {
		options = append(options, skep.WithChecks())
	}
	return options
}

func readInput(name string) ([]byte, error) {
	if name == "-" {
		return io.ReadAll(os.Stdin)
	}
	return os.ReadFile(name)
}
