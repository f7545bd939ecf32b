//go:build !linux

package helper

import "time"

// Without Linux's clocks, both count from the start of the process.
var started = time.Now()

func monotonic() uint64 { return uint64(time.Since(started)) }
func boot() uint64      { return monotonic() }
