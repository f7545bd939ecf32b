//go:build !linux

package engine

import "time"

var start = time.Now()

// threadTime is the time since the process started: Go has no portable clock of
// a thread.
func threadTime() time.Duration { return time.Since(start) }
