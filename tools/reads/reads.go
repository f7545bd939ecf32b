// Package reads shows which process reads which file: how often, how much, how
// fast. The object counts read, pread64, readv, preadv and preadv2 by process,
// command name and file. What goes another way (mmap, io_uring, sendfile, splice,
// copy_file_range) is not seen.
package reads

import (
	_ "embed"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/skep-bpf/skep"
	"github.com/skep-bpf/skep/internal/view"
)

// Object is reads.bpf.c, compiled.
//
//go:embed reads.bpf.o
var Object []byte

// Source is what Object was compiled from.
//
//go:embed reads.bpf.c
var Source string

type reads struct {
	info view.Info
	rows skep.Map
	used *skep.Variable
	lost *skep.Variable
}

// New makes the view of a loaded Object.
func New(c *skep.Collection, info view.Info) (view.View, error) {
	r := &reads{info: info, rows: c.Maps["rows"], used: c.Variables["rows_used"], lost: c.Variables["reads_lost"]}
	if r.rows == nil || r.used == nil || r.lost == nil || int(r.rows.ValueSize()) != binary.Size(row{}) {
		return nil, errors.New("the object is not that of reads: map rows or variable rows_used or reads_lost is missing or another")
	}
	return r, nil
}

// all are the rows in the order in which they were made.
func (r *reads) all() ([]row, error) {
	var used uint32
	if err := r.used.Get(&used); err != nil {
		return nil, err
	}
	out := make([]row, 0, min(used, r.rows.MaxEntries()))
	value := make([]byte, r.rows.ValueSize())
	for id := range min(used, r.rows.MaxEntries()) {
		if err := r.rows.Lookup(id, value); err != nil {
			return nil, err
		}
		var x row
		x.decode(value)
		// A row is empty between being taken and being filled, and for good if two
		// CPUs made a row for the same file at the same time.
		if x.Reads > 0 {
			out = append(out, x)
		}
	}
	return out, nil
}

// Table writes a line for every process, command and file. FIRST and LAST count
// from the first read that was seen. P50 and P99 lie in the right power of two;
// within it they are interpolated (view.Histogram.Quantile).
func (r *reads) Table(w io.Writer, o view.Options) error {
	rows, err := r.all()
	if err != nil {
		return err
	}
	var total row
	all := make(view.Histogram, slots)
	processes := make(map[uint32]bool)
	start := uint64(math.MaxUint64)
	for _, x := range rows {
		total.Reads += x.Reads
		total.Bytes += x.Bytes
		total.Errors += x.Errors
		all.Add(x.Hist[:])
		processes[x.Name.PID] = true
		start = min(start, x.First)
	}
	lo, hi := view.Span(all)
	latency := "LATENCY"
	if lo < hi {
		latency = fmt.Sprintf("%s..%s", view.Bound(lo), view.Bound(hi))
	}
	table := view.Table{Columns: []view.Column{
		{Name: "PID", Right: true}, {Name: "COMMAND"}, {Name: "READS", Right: true}, {Name: "BYTES", Right: true},
		{Name: "ERRORS", Right: true}, {Name: "P50", Right: true}, {Name: "P99", Right: true},
		{Name: "FIRST", Right: true}, {Name: "LAST", Right: true}, {Name: latency}, {Name: "PATH", Shorten: true},
	}}
	for _, x := range rows {
		h := view.Histogram(x.Hist[:])
		table.Rows = append(table.Rows, []view.Cell{
			view.Number(uint64(x.Name.PID)), view.Text(view.CString(x.Name.Comm[:])), view.Number(x.Reads),
			view.Quantity(float64(x.Bytes), view.Bytes(x.Bytes)), view.Number(x.Errors),
			quantile(h, 0.50), quantile(h, 0.99),
			duration(float64(x.First - start)), duration(float64(x.Last - start)),
			{Text: h.Spark(lo, hi)}, view.Text(view.CString(x.Name.Path[:])),
		})
	}
	sort := o.Sort
	if sort == "" {
		sort = "bytes"
		if err := table.SortBy("reads"); err != nil { // among equals
			return err
		}
	}
	if err := table.SortBy(sort); err != nil {
		return err
	}
	if err := table.Write(w, o); err != nil {
		return err
	}
	notes := []string{strings.Join([]string{
		view.Count(total.Reads, "read", "reads"), view.Bytes(total.Bytes), view.Count(total.Errors, "error", "errors"),
		view.Count(uint64(len(processes)), "process", "processes"), view.Count(uint64(len(rows)), "row", "rows"),
	}, ", ")}
	if o.Histogram {
		if _, err := fmt.Fprintln(w, o.Heading("latency of all reads")); err != nil {
			return err
		}
		if err := all.Block(w, o); err != nil {
			return err
		}
	}
	if cost := r.info.Cost(); cost > 0 {
		notes = append(notes, fmt.Sprintf("latencies contain about %s a read, which the watching takes", view.Duration(cost)))
	}
	notes = append(notes, "not seen: what is read through mmap, io_uring, sendfile, splice, copy_file_range")
	var lost uint64
	if err := r.lost.Get(&lost); err != nil {
		return err
	}
	if lost > 0 {
		notes = append(notes, fmt.Sprintf("%s not counted: there is room for %d rows (process, command, file)", view.Count(lost, "read was", "reads were"), r.rows.MaxEntries()))
	}
	for _, note := range notes {
		if _, err := fmt.Fprintln(w, o.Note(note)); err != nil {
			return err
		}
	}
	return nil
}

func quantile(h view.Histogram, q float64) view.Cell {
	if h.Count() == 0 {
		return view.Cell{Text: "-"}
	}
	return duration(h.Quantile(q))
}

func duration(ns float64) view.Cell { return view.Quantity(ns, view.Duration(time.Duration(ns))) }

// line is a JSON line. Times are nanoseconds: first_ns and last_ns of the
// monotonic clock, hist[i] counts latencies in [2^i, 2^(i+1)), hook_ns is about
// what each latency contains for being watched.
type line struct {
	PID   uint32        `json:"pid"`
	Comm  string        `json:"comm"`
	Path  string        `json:"path"`
	Reads uint64        `json:"reads"`
	Bytes uint64        `json:"bytes"`
	First uint64        `json:"first_ns"`
	Last  uint64        `json:"last_ns"`
	P50   uint64        `json:"p50_ns"`
	P99   uint64        `json:"p99_ns"`
	Hist  [slots]uint64 `json:"hist"`
	Hook  int64         `json:"hook_ns"`
}

// Lines gives a line for every row, in the order of their first reads.
func (r *reads) Lines(encode func(any) error) error {
	rows, err := r.all()
	if err != nil {
		return err
	}
	slices.SortStableFunc(rows, func(a, b row) int {
		if a.First < b.First {
			return -1
		}
		return 1
	})
	for _, x := range rows {
		h := view.Histogram(x.Hist[:])
		if err := encode(line{
			PID: x.Name.PID, Comm: view.CString(x.Name.Comm[:]), Path: view.CString(x.Name.Path[:]),
			Reads: x.Reads, Bytes: x.Bytes, First: x.First, Last: x.Last,
			P50: uint64(h.Quantile(0.50)), P99: uint64(h.Quantile(0.99)), Hist: x.Hist, Hook: int64(r.info.Cost()),
		}); err != nil {
			return err
		}
	}
	return nil
}

// Record decodes a record of events: one read, with the process and file of the
// row that it counts for.
func (r *reads) Record(_ string, sample []byte) view.Value {
	e, err := decodeEvent(sample)
	if err != nil {
		return view.Raw(sample)
	}
	members := []view.Field{
		{Name: "time_ns", Value: view.Uint(e.Time)},
		{Name: "tid", Value: view.Uint(uint64(e.TID))},
	}
	var x row
	if r.rows.Lookup(e.Row, &x) == nil {
		members = append(members,
			view.Field{Name: "pid", Value: view.Uint(uint64(x.Name.PID))},
			view.Field{Name: "comm", Value: view.Str(view.CString(x.Name.Comm[:]))},
			view.Field{Name: "path", Value: view.Str(view.CString(x.Name.Path[:]))})
	}
	return view.Fields(append(members,
		view.Field{Name: "ret", Value: view.Int(e.Ret)},
		view.Field{Name: "latency_ns", Value: view.Uint(e.Latency)})...)
}
