package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"time"

	"github.com/skep-bpf/skep/attach"
	"github.com/skep-bpf/skep/internal/view"
)

// A watch is one run of a command and what is shown meanwhile.
type watch struct {
	run   *runCmd
	cmd   *attach.Cmd
	view  view.View
	text  io.Writer
	lines *jsonLines // nil without --json-file
	rings *rings     // nil if nobody looks at records
	tool  bool       // JSON lines are the tool's alone
}

// patience is how long the table waits for processes that end right after the
// command.
const patience = 200 * time.Millisecond

// watch starts the command and returns when its last descendant has ended: the
// processes can't go on without their tracer.
func (w *watch) watch(ctx context.Context) (attach.Status, error) {
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, endSignals...)
	defer signal.Stop(signals)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if err := w.cmd.Start(ctx); err != nil {
		return attach.Status{}, err
	}

	type ending struct {
		status attach.Status
		err    error
	}
	ended, drained := make(chan ending, 1), make(chan error, 1)
	go func() {
		status, err := w.cmd.Wait()
		ended <- ending{status, err}
		drained <- w.cmd.Drain(ctx)
	}()
	var tick <-chan time.Time
	if w.run.Interval > 0 {
		ticker := time.NewTicker(w.run.Interval)
		defer ticker.Stop()
		tick = ticker.C
	}
	start := time.Now()
	var end ending
	for running := true; running; {
		select {
		case <-tick:
			w.table(fmt.Sprintf("after %s", view.Duration(time.Since(start).Round(time.Millisecond))))
		case s := <-signals:
			w.forward(s)
		case end = <-ended:
			running = false
		}
	}
	if end.err != nil {
		return end.status, end.err
	}

	select {
	case err := <-drained:
		w.report("")
		return end.status, err
	case <-time.After(patience):
	}
	w.report("")
	seen := w.cmd.Stats().Events
	w.say("the command has ended, processes that it started have not: skep stays with them, as they need it")
	for {
		select {
		case s := <-signals:
			if isStop(s) {
				w.say("ending, and the processes that are left with it")
				cancel()
			}
		case err := <-drained:
			if ctx.Err() != nil {
				err = nil
			}
			if w.cmd.Stats().Events != seen {
				w.report("after the last process has ended")
			}
			return end.status, err
		}
	}
}

// forward passes on what asks for an end. What the terminal sends, the command
// gets from it; ending is its decision.
func (w *watch) forward(s os.Signal) {
	if isStop(s) {
		if err := w.cmd.Signal(s); err != nil {
			w.say(fmt.Sprintf("%s could not be passed on to the command: %v", s, err))
		}
	}
}

// report is the table of the end, with what went wrong on the way.
func (w *watch) report(title string) {
	if w.rings != nil {
		w.rings.flush()
		for _, r := range w.rings.all {
			if n, _ := r.reader.Dropped(); n > 0 {
				w.say(fmt.Sprintf("%d records of %s were lost: its %s were full", n, r.name, view.Bytes(uint64(r.size))))
			}
		}
	}
	w.table(title)
	if stats := w.cmd.Stats(); stats.Errors > 0 {
		w.say(fmt.Sprintf("%d of %d runs of programs failed, the first: %v", stats.Errors, stats.Runs, stats.FirstError))
	}
}

func (w *watch) table(title string) {
	if w.run.Quiet {
		return
	}
	o := view.For(os.Stderr)
	o.Sort, o.Histogram = w.run.Sort, w.run.Histogram
	if w.run.Rows != nil {
		o.Rows = *w.run.Rows
	}
	var b bytes.Buffer
	if title != "" {
		fmt.Fprintln(&b, o.Note("— "+title+" —"))
	}
	if err := w.view.Table(&b, o); err != nil {
		w.say(fmt.Sprintf("the table can't be written: %v", err))
	}
	w.text.Write(b.Bytes())
}

func (w *watch) say(text string) { fmt.Fprintln(w.text, "skep: "+text) }

// print shows a line of bpf_trace_printk.
func (w *watch) print(line []byte) { fmt.Fprintln(w.text, "print: "+view.Printable(string(line))) }

// record shows a record of a ring buffer.
func (w *watch) record(ring string, sample []byte) {
	v := w.view.Record(ring, sample)
	if !w.run.Quiet {
		fmt.Fprintf(w.text, "%s: %s\n", view.Printable(ring), v)
	}
	if w.lines != nil && !w.tool {
		if err := w.lines.encode(view.RecordLine{Map: ring, Record: v}); err != nil {
			w.say(fmt.Sprintf("%s: %v", w.run.JSONFile, err))
		}
	}
}
