package helper

import (
	"math"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// started is some moment; time.Since reads the monotonic clock through the vDSO,
// which golang.org/x/sys can't, so CLOCK_MONOTONIC is a constant and that.
var started = time.Now()

// startedNs is CLOCK_MONOTONIC at started. Each round bounds it by a reading of
// the one clock between two of the other; the bounds meet within a few ns.
var startedNs = sync.OnceValue(func() uint64 {
	low, high := int64(math.MinInt64), int64(math.MaxInt64)
	for range 100 {
		before := time.Since(started)
		now := clock(unix.CLOCK_MONOTONIC)
		after := time.Since(started)
		low, high = max(low, int64(now)-int64(after)), min(high, int64(now)-int64(before))
	}
	return uint64(low + (high-low)/2)
})

func monotonic() uint64 { return startedNs() + uint64(time.Since(started)) }

// boot is a system call: how far CLOCK_BOOTTIME is ahead changes with each
// suspend.
func boot() uint64 { return clock(unix.CLOCK_BOOTTIME) }

// coarse and tai are system calls, too.
func coarse() uint64 { return clock(unix.CLOCK_MONOTONIC_COARSE) }
func tai() uint64    { return clock(unix.CLOCK_TAI) }

// ticksPerSecond is the kernel's CONFIG_HZ: the coarse clock moves with the ticks.
var ticksPerSecond = sync.OnceValue(func() uint64 {
	var t unix.Timespec
	if err := unix.ClockGetres(unix.CLOCK_MONOTONIC_COARSE, &t); err != nil || t.Nano() <= 0 {
		return 100
	}
	return 1e9 / uint64(t.Nano())
})

func clock(id int32) uint64 {
	var t unix.Timespec
	if err := unix.ClockGettime(id, &t); err != nil {
		return 0
	}
	return uint64(t.Nano())
}
