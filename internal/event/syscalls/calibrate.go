package syscalls

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/skep-bpf/skep/internal/event/syscalls/nullcalls"
	"github.com/skep-bpf/skep/internal/kview"
	"github.com/skep-bpf/skep/internal/mem"
	"github.com/skep-bpf/skep/internal/tracer"
)

const (
	calibrationWarmUp = 20
	calibrationCalls  = 100 // 1 to 4 ms in all
)

// Calibrate measures what a pair of stops adds to the time between them: a
// traced process makes the cheapest system call, and the time from the end of a
// program at its entry to the start of one at its exit is taken, the median of
// 80. The call itself, a tenth of a µs, is in it. plan is that of the programs
// whose latencies it is for. What those programs take themselves, after they
// have looked at the clock at the entry and before at the exit, comes on top.
func Calibrate(plan kview.Plan) (time.Duration, error) {
	fail := func(err error) (time.Duration, error) {
		return 0, fmt.Errorf("timing the hooks: %w", err)
	}
	calls, err := nullcalls.New(calibrationCalls)
	if err != nil {
		return fail(err)
	}
	defer calls.Close()
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return fail(err)
	}
	defer null.Close()
	pool, err := mem.NewPool(1)
	if err != nil {
		return fail(err)
	}
	defer pool.Close()

	c := &clock{between: make([]time.Duration, 0, calibrationCalls)}
	call := byNumber(nullcalls.Number)
	tree, err := newTree([]*Link{
		{hook: hook{&forms[0], call}, program: clockEnd{c}, pool: pool, plan: plan},
		{hook: hook{&forms[1], call}, program: clockStart{c}, pool: pool, plan: plan},
	})
	if err != nil {
		return fail(err)
	}
	cmd := tracer.Command{Path: calls.Path(), Env: []string{}, Stdin: null, Stdout: null, Stderr: null}
	if err := tree.start(context.Background(), cmd); err != nil {
		if errors.Is(err, tracer.ErrNotPermitted) || errors.Is(err, tracer.ErrUnsupported) {
			return 0, err // no command can be traced
		}
		return fail(errors.New(err.Error())) // it is not about the caller's command
	}
	<-tree.Done()
	if len(c.between) < calibrationCalls {
		return fail(fmt.Errorf("%d of %d calls were seen", len(c.between), calibrationCalls))
	}
	sample := c.between[calibrationWarmUp:]
	slices.Sort(sample)
	return sample[len(sample)/2], nil
}

// A clock is read at both ends of a call.
type clock struct {
	left    time.Time
	between []time.Duration
}

type clockEnd struct{ *clock }

func (c clockEnd) Run(*mem.Runner, uint64) (uint64, error) {
	c.left = time.Now()
	return 0, nil
}

type clockStart struct{ *clock }

func (c clockStart) Run(*mem.Runner, uint64) (uint64, error) {
	c.between = append(c.between, time.Since(c.left))
	return 0, nil
}
