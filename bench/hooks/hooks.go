// Package hooks is the suite "hooks" of skep bench: what it costs a process that
// programs are attached to system calls.
//
// The rows whose names begin with hooked or unhooked time getppid, the cheapest
// system call, in a target that does nothing else:
//
//	hooked       a program at its entry counts per process in a hash map: one stop
//	hooked-both  the same at entry and exit: two stops
//	unhooked     programs are attached to another call
//
// base_ns is the same call without a tracer. The row command compares `skep run
// reads` with strace on the same command, a shell that starts short ones; base_ns
// is strace's time.
//
// In these rows target and tracer share one CPU, so that they show what a stop
// costs and not what it takes to wake an idle CPU, which differs by a factor of 20
// between machines and with their load. The same rows with -apart leave both to
// the scheduler.
package hooks

import (
	"bytes"
	"cmp"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"time"

	"github.com/skep-bpf/skep"
	"github.com/skep-bpf/skep/attach"
	"github.com/skep-bpf/skep/internal/event/syscalls/nullcalls"
)

// A Row is one line of the report: medians over interleaved rounds, in ns of
// wall-clock time for one call, or for one run of the command.
type Row struct {
	Name    string  `json:"name"`
	BaseNS  float64 `json:"base_ns"`
	NS      float64 `json:"ns"`
	AddedNS float64 `json:"added_ns"` // NS - BaseNS
	Ratio   float64 `json:"ratio"`    // NS / BaseNS
	// Skipped says why there are no numbers.
	Skipped string `json:"skipped,omitempty"`
}

//go:embed count.bpf.o
var object []byte

const (
	rounds        = 15
	commandRounds = 7
)

// Run measures and reports each row as it is done. It takes some seconds.
func Run(ctx context.Context, report func(Row)) error {
	skep, err := os.Executable()
	if err != nil {
		return fmt.Errorf("bench hooks: %w", err)
	}
	return run(ctx, skep, rounds, commandRounds, report)
}

// A series is one way to make the calls.
type series struct {
	name     string
	programs []string // of the object, nil for no tracer
	calls    uint32   // about 30 ms
}

var (
	bare = series{"bare", nil, 200_000}
	all  = []series{
		{"hooked", []string{"at_entry"}, 4000},
		{"hooked-both", []string{"at_entry", "at_exit"}, 2000},
		{"unhooked", []string{"elsewhere"}, 200_000},
	}
	apart = []series{
		{"hooked-apart", []string{"at_entry"}, 2000},
		{"hooked-both-apart", []string{"at_entry", "at_exit"}, 1000},
	}
)

// run is Run with the binary of skep, which a test has to build.
func run(ctx context.Context, skep string, rounds, commandRounds int, report func(Row)) error {
	err := onOneCPU(func() error {
		if err := compare(ctx, all, rounds, report); err != nil {
			return err
		}
		return command(ctx, "command", skep, commandRounds, report)
	})
	if err == nil {
		err = compare(ctx, apart, rounds, report)
	}
	if err == nil {
		err = command(ctx, "command-apart", skep, commandRounds, report)
	}
	if err != nil {
		return fmt.Errorf("bench hooks: %w", err)
	}
	return nil
}

// compare times the bare calls and each series in turn.
func compare(ctx context.Context, list []series, rounds int, report func(Row)) error {
	list = append([]series{bare}, list...)
	ns := make([][]float64, len(list))
	for range rounds {
		for i := range list {
			if err := ctx.Err(); err != nil {
				return err
			}
			took, err := list[i].time(ctx)
			if err != nil {
				return fmt.Errorf("%s: %w", list[i].name, err)
			}
			ns[i] = append(ns[i], float64(took.Nanoseconds())/float64(list[i].calls))
		}
	}
	for i := range list[1:] {
		report(row(list[i+1].name, median(ns[0]), median(ns[i+1])))
	}
	return nil
}

func row(name string, base, ns float64) Row {
	return Row{Name: name, BaseNS: base, NS: ns, AddedNS: ns - base, Ratio: ns / base}
}

func median(ns []float64) float64 {
	slices.Sort(ns)
	return ns[len(ns)/2]
}

// time makes the calls once and says how long they took together, by the
// target's own clock.
func (s *series) time(ctx context.Context) (time.Duration, error) {
	target, err := nullcalls.New(s.calls)
	if err != nil {
		return 0, err
	}
	defer target.Close()
	r, w, err := os.Pipe()
	if err != nil {
		return 0, err
	}
	defer r.Close()
	defer w.Close()
	if s.programs == nil {
		c := exec.CommandContext(ctx, target.Path())
		c.Stdout = w
		if err := c.Run(); err != nil {
			return 0, err
		}
		return nullcalls.Took(r)
	}

	spec, err := skep.LoadSpecFromReader(bytes.NewReader(object))
	if err != nil {
		return 0, err
	}
	coll, err := skep.Load(ctx, skep.User(), spec)
	if err != nil {
		return 0, err
	}
	defer coll.Close()
	c := attach.Command(target.Path())
	c.Stdout = w
	for _, name := range s.programs {
		link, err := c.Attach(coll.Programs[name])
		if err != nil {
			return 0, err
		}
		defer link.Close()
	}
	if err := c.Start(ctx); err != nil {
		return 0, err
	}
	status, err := c.Wait()
	if err := errors.Join(err, c.Drain(ctx)); err != nil {
		return 0, err
	}
	if status.ExitCode() != 0 {
		return 0, fmt.Errorf("the target ended with status %d", status.ExitCode())
	}
	return nullcalls.Took(r)
}

// script reads files in many short processes.
const script = `i=0; while [ $i -lt 1000 ]; do cat /proc/self/status /etc/passwd >/dev/null; i=$((i+1)); done`

// command times `skep run reads` and strace on the same command.
func command(ctx context.Context, name, skep string, rounds int, report func(Row)) error {
	strace, err := exec.LookPath("strace")
	if err != nil {
		report(Row{Name: name, Skipped: "there is no strace to compare with"})
		return nil
	}
	dir, err := os.MkdirTemp("", "skep-bench")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	out := filepath.Join(dir, "out")
	target := []string{"sh", "-c", script}
	ways := [][]string{
		append([]string{strace, "--seccomp-bpf", "-f", "-e", "trace=read,pread64,readv,preadv,preadv2", "-o", out, "--"}, target...),
		append([]string{skep, "run", "reads", "--json-file", out, "--"}, target...),
	}
	ns := make([][]float64, len(ways))
	for range rounds {
		for i, way := range ways {
			c := exec.CommandContext(ctx, way[0], way[1:]...)
			var text bytes.Buffer
			c.Stderr = &text
			start := time.Now()
			err := c.Run()
			took := time.Since(start)
			if err != nil {
				return fmt.Errorf("%s: %w: %s", filepath.Base(way[0]), cmp.Or(ctx.Err(), err), bytes.TrimSpace(text.Bytes()))
			}
			ns[i] = append(ns[i], float64(took.Nanoseconds()))
		}
	}
	report(row(name, median(ns[0]), median(ns[1])))
	return nil
}
