package syscalls

import (
	"fmt"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/skep-bpf/skep/internal/tracer"
)

// Calibrate measures what a program that takes the time at both ends of a system
// call sees because of the stops: the median, over some hundreds of calls of a
// small process of our own, of the time from the end of Enter to the begin of
// Exit. The call itself, getppid, takes some 100 ns of it. It is measured once.
var Calibrate = sync.OnceValues(calibrate)

// calibrationCalls is how often the small process calls getppid.
const calibrationCalls = 256

func calibrate() (time.Duration, error) {
	file, err := calibrationProgram()
	if err != nil {
		return 0, fmt.Errorf("calibration: %w", err)
	}
	defer file.Close()
	c := &stopwatch{}
	tree, err := tracer.Start(tracer.Command{
		Path: fmt.Sprintf("/proc/self/fd/%d", file.Fd()),
		Env:  []string{},
	}, tracer.Options{Calls: map[int]tracer.When{numbers["getppid"]: tracer.Enter | tracer.Exit}}, c)
	if err != nil {
		return 0, err
	}
	status, err := tree.Wait()
	<-tree.Done()
	if err != nil {
		return 0, fmt.Errorf("calibration: %w", err)
	}
	if status.Shell() != 0 || len(c.times) != calibrationCalls {
		return 0, fmt.Errorf("calibration: %d of %d calls were seen, status %d", len(c.times), calibrationCalls, status.Shell())
	}
	slices.Sort(c.times)
	return c.times[len(c.times)/2], nil
}

// A stopwatch is a Handler that takes times.
type stopwatch struct {
	entered time.Time
	times   []time.Duration
}

func (c *stopwatch) Enter(*tracer.Thread)       { c.entered = time.Now() }
func (c *stopwatch) Exit(*tracer.Thread)        { c.times = append(c.times, time.Since(c.entered)) }
func (c *stopwatch) Forked(_, _ *tracer.Thread) {}
func (c *stopwatch) Execed(*tracer.Thread, int) {}
func (c *stopwatch) Exited(*tracer.Thread)      {}

// calibrationProgram is an executable that calls getppid and exits.
func calibrationProgram() (*os.File, error) {
	return getppidProgram(calibrationCalls)
}
