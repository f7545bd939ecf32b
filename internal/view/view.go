// Package view shows what programs have gathered: as text tables for people and
// as JSON lines for programs. It reads maps and ring buffers through the public
// API alone and knows no tool.
package view

import (
	"io"
	"time"

	"github.com/skep-bpf/skep"
)

// A View shows one collection. Its methods may be called while programs run.
type View interface {
	// Table writes the state for people.
	Table(w io.Writer, o Options) error
	// Lines gives the state to encode, one value for each JSON line.
	Lines(encode func(any) error) error
	// Record decodes one record of a ring buffer of the collection.
	Record(ring string, sample []byte) Value
}

// Info is what a view is told about the run that it shows.
type Info struct {
	Spec *skep.CollectionSpec
	// HookCost is about how long the stop of a hooked system call takes: what the
	// program measures between entry and exit contains it. nil is 0.
	HookCost func() time.Duration
	// Records names the struct of a ring buffer's records, by map.
	Records map[string]string
}

// Cost is HookCost's answer.
func (i Info) Cost() time.Duration {
	if i.HookCost == nil {
		return 0
	}
	return i.HookCost()
}
