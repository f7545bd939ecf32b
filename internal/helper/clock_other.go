//go:build !linux

package helper

import "time"

// Without Linux's clocks, both count from the start of the process.
var started = time.Now()

func monotonic() uint64 { return uint64(time.Since(started)) }
func boot() uint64      { return monotonic() }
func coarse() uint64    { return monotonic() }

// taiOffset is how far atomic time is ahead of UTC, since 2017.
const taiOffset = 37 * time.Second

func tai() uint64 { return uint64(time.Now().Add(taiOffset).UnixNano()) }

func ticksPerSecond() uint64 { return 100 }
