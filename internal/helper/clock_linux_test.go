package helper

import (
	"testing"

	"golang.org/x/sys/unix"
)

// TestMonotonicIsTheKernels compares with the clock that it stands for.
func TestMonotonicIsTheKernels(t *testing.T) {
	for range 1000 {
		before := clock(unix.CLOCK_MONOTONIC)
		now := monotonic()
		if after := clock(unix.CLOCK_MONOTONIC); now < before || now > after {
			t.Fatalf("%d is not between %d and %d", now, before, after)
		}
	}
}

func BenchmarkClock(b *testing.B) {
	b.Run("monotonic", func(b *testing.B) {
		for b.Loop() {
			monotonic()
		}
	})
	b.Run("syscall", func(b *testing.B) {
		for b.Loop() {
			clock(unix.CLOCK_MONOTONIC)
		}
	})
}
