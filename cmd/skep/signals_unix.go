//go:build unix

package main

import (
	"os"
	"slices"
	"syscall"
)

// What a terminal sends to everything in its foreground, the command included.
var fromTerminal = []os.Signal{syscall.SIGINT, syscall.SIGQUIT}

// What asks skep itself to end.
var stops = []os.Signal{syscall.SIGTERM, syscall.SIGHUP}

// endSignals are caught, not ignored: ignoring is inherited by the command.
var endSignals = slices.Concat(fromTerminal, stops)

func isStop(s os.Signal) bool { return slices.Contains(stops, s) }
