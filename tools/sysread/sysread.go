// Package sysread shows who calls read and pread64, how much was asked for and
// given. Its object is in kprobe form.
package sysread

import (
	_ "embed"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/skep-bpf/skep"
	"github.com/skep-bpf/skep/internal/view"
)

// Object is sysread.bpf.c, compiled.
//
//go:embed sysread.bpf.o
var Object []byte

// Source is what Object was compiled from.
//
//go:embed sysread.bpf.c
var Source string

// reader is struct reader of sysread.bpf.c.
type reader struct {
	Comm   [16]byte
	Calls  uint64
	Errors uint64
	Asked  uint64
	Given  uint64
}

type sysread struct{ readers skep.Map }

// New makes the view of a loaded Object.
func New(c *skep.Collection, _ view.Info) (view.View, error) {
	s := &sysread{c.Maps["readers"]}
	if s.readers == nil {
		return nil, errors.New("the object is not that of sysread: map readers is missing")
	}
	return s, nil
}

// line is a JSON line. Sizes are bytes.
type line struct {
	PID    uint32 `json:"pid"`
	Comm   string `json:"comm"`
	Calls  uint64 `json:"calls"`
	Errors uint64 `json:"errors"`
	Asked  uint64 `json:"asked"`
	Given  uint64 `json:"given"`
}

// all are the processes in order of their ids.
func (s *sysread) all() []line {
	var out []line
	for pid, r := range skep.All[uint32, reader](s.readers) {
		out = append(out, line{pid, view.CString(r.Comm[:]), r.Calls, r.Errors, r.Asked, r.Given})
	}
	slices.SortFunc(out, func(a, b line) int { return int(a.PID) - int(b.PID) })
	return out
}

// Table writes a line for every process.
func (s *sysread) Table(w io.Writer, o view.Options) error {
	table := view.Table{Columns: []view.Column{
		{Name: "PID", Right: true}, {Name: "COMMAND"}, {Name: "CALLS", Right: true}, {Name: "ERRORS", Right: true},
		{Name: "ASKED", Right: true}, {Name: "GIVEN", Right: true},
	}}
	var total line
	for _, x := range s.all() {
		total.Calls += x.Calls
		total.Given += x.Given
		table.Rows = append(table.Rows, []view.Cell{
			view.Number(uint64(x.PID)), view.Text(x.Comm), view.Number(x.Calls), view.Number(x.Errors),
			view.Quantity(float64(x.Asked), view.Bytes(x.Asked)), view.Quantity(float64(x.Given), view.Bytes(x.Given)),
		})
	}
	sort := o.Sort
	if sort == "" {
		sort = "given"
	}
	if err := table.SortBy(sort); err != nil {
		return err
	}
	if err := table.Write(w, o); err != nil {
		return err
	}
	_, err := fmt.Fprintln(w, o.Note(fmt.Sprintf("%s of read and pread64, %s, %s",
		view.Count(total.Calls, "call", "calls"), view.Bytes(total.Given), view.Count(uint64(len(table.Rows)), "process", "processes"))))
	return err
}

// Lines gives a line for every process.
func (s *sysread) Lines(encode func(any) error) error {
	for _, x := range s.all() {
		if err := encode(x); err != nil {
			return err
		}
	}
	return nil
}

// Record shows bytes: the object has no ring buffer.
func (s *sysread) Record(_ string, sample []byte) view.Value { return view.Raw(sample) }
