package engine

import (
	"context"
	"io"
	"io/fs"
	"runtime"
	"slices"
	"time"
)

const (
	// A round is long enough that reading the clock does not show, and short
	// enough that most rounds are not interrupted.
	roundTime = 10 * time.Millisecond
	rounds    = 11
)

type readerAt interface {
	fs.File
	io.ReaderAt
}

// measure gives the CPU time in ns of one repetition: the median over rounds.
// run does n repetitions.
func measure(ctx context.Context, run func(n int) error) (float64, error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()

	n := 1
	for {
		took, err := timed(run, n)
		if err != nil {
			return 0, err
		}
		if took >= roundTime/4 {
			n = max(1, int(float64(n)*float64(roundTime)/float64(took)))
			break
		}
		n *= 2
	}
	var ns []float64
	for range rounds {
		if err := ctx.Err(); err != nil {
			return 0, err
		}
		took, err := timed(run, n)
		if err != nil {
			return 0, err
		}
		ns = append(ns, float64(took.Nanoseconds())/float64(n))
	}
	slices.Sort(ns)
	return ns[rounds/2], nil
}

func timed(run func(n int) error, n int) (time.Duration, error) {
	start := threadTime()
	err := run(n)
	return threadTime() - start, err
}
