// Package tools is the list of the ready-made tools. A tool is an object and a
// view of its maps; the engine knows nothing of it.
package tools

import (
	"github.com/skep-bpf/skep"
	"github.com/skep-bpf/skep/internal/view"
	"github.com/skep-bpf/skep/tools/reads"
	"github.com/skep-bpf/skep/tools/sysread"
)

// A Tool is one of the folders here.
type Tool struct {
	Name    string
	Summary string // one line
	Object  []byte // NAME.bpf.c, compiled
	Source  string // NAME.bpf.c
	New     func(*skep.Collection, view.Info) (view.View, error)
	// EachEvent is the constant of the object that asks for a ring-buffer record of
	// every event, "" if it has none.
	EachEvent string
}

// All are the tools by name.
var All = []Tool{
	{
		Name: "reads", Summary: "which process reads which file, how often, how much, how fast",
		Object: reads.Object, Source: reads.Source, New: reads.New, EachEvent: "each_read",
	},
	{
		Name: "sysread", Summary: "who calls read and pread64, how much was asked for and given",
		Object: sysread.Object, Source: sysread.Source, New: sysread.New,
	},
}

// Find is the tool of that name.
func Find(name string) (Tool, bool) {
	for _, t := range All {
		if t.Name == name {
			return t, true
		}
	}
	return Tool{}, false
}
