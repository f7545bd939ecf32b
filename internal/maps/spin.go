package maps

import (
	"runtime"
	"time"
)

// A spin waits for another writer, which holds what is waited for only for a few
// instructions, but may have been interrupted in between.
type spin struct {
	turns int
	since time.Time
}

// spinTurns is how many turns there are before the processor is given away.
const spinTurns = 32

// spinTime is after how long the other one is not coming back: it died, or the
// memory is damaged. Tests that damage memory shorten it.
var spinTime = time.Second

// again waits a little. It is false when there is no hope.
func (s *spin) again() bool {
	if s.turns++; s.turns < spinTurns {
		return true
	}
	if s.turns == spinTurns {
		s.since = time.Now()
	}
	runtime.Gosched()
	return s.turns%1024 != 0 || time.Since(s.since) < spinTime
}
