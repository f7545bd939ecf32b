package maps

import (
	"runtime"
	"sync/atomic"
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

// unlocked waits a little for the writer that holds what seq stands for. Who gives
// up leaves a note in stuck, so that nobody waits in vain for the same writer
// again; should it go on after all, seq changes and the note means nothing.
func (s *spin) unlocked(seq, stuck *uint32) bool {
	at := atomic.LoadUint32(seq)
	held := at&1 != 0
	if held && atomic.LoadUint32(stuck) == at {
		return false
	}
	if s.again() {
		return true
	}
	if held {
		store32(stuck, at)
	}
	return false
}

// lock makes a sequence number odd, unlock makes it even again. Who reads what it
// stands for without a lock can tell by it whether that has changed meanwhile.
func lock(seq, stuck *uint32) bool {
	var s spin
	for {
		if at := atomic.LoadUint32(seq); at&1 == 0 && atomic.CompareAndSwapUint32(seq, at, at+1) {
			return true
		}
		if !s.unlocked(seq, stuck) {
			return false
		}
	}
}

func unlock(seq *uint32) { store32(seq, *seq+1) }
