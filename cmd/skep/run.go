package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/cilium/ebpf"

	"github.com/skep-bpf/skep"
	"github.com/skep-bpf/skep/attach"
	"github.com/skep-bpf/skep/internal/event/syscalls"
	"github.com/skep-bpf/skep/internal/view"
	"github.com/skep-bpf/skep/tools"
)

type runCmd struct {
	Engine        string            `enum:"user,kernel" default:"user" help:"Where programs run: in skep, or in the Linux kernel (${enum})."`
	Interval      time.Duration     `placeholder:"DURATION" help:"Print the table every so often, too."`
	JSONFile      string            `name:"json-file" placeholder:"FILE" help:"Write JSON lines to a file at the end, - for stdout."`
	CommandStdout string            `placeholder:"FILE" help:"Send the command's standard output to a file."`
	Events        bool              `help:"Print each event of a tool as it comes."`
	Quiet         bool              `short:"q" help:"Print no table."`
	Rows          *int              `placeholder:"N" help:"Rows of a table at most, 0 for all (default: all, 40 on a terminal)."`
	Sort          string            `placeholder:"COLUMN" help:"Column to sort the table of a tool by."`
	Histogram     bool              `help:"Print distributions as blocks, too."`
	Record        map[string]string `placeholder:"MAP=STRUCT" help:"Struct of a ring buffer's records."`
	Checked       bool              `help:"Check every access of the programs while they run."`

	Object  string   `arg:"" optional:"" name:"tool|object" help:"A tool, or the path of an object file. Without it the tools are listed."`
	Command []string `arg:"" optional:"" passthrough:"" name:"command" help:"-- and the command with its arguments."`
}

// Help is the second part of skep run --help.
func (*runCmd) Help() string {
	return `skep run [flags] TOOL|OBJECT -- COMMAND [ARG…]

The command keeps stdin, stdout and the terminal. What the programs have gathered is printed to stderr when it has ended, and its exit status becomes ours.

An object's programs are attached by their sections: tracepoint/syscalls/sys_enter_NAME, ksyscall/NAME, kprobe/__x64_sys_NAME, raw_tp/sys_enter and their counterparts at the exit. Records of its ring buffers and lines of trace_printk are printed to stderr as they come. The struct of a record is, in this order: the one of --record; the one that a global pointer of the object marks (const struct event *unused); the one named as the map (events: event, event_t, …); the only one of the record's size.`
}

func (r *runCmd) Run() error {
	if r.Object == "" {
		return listTools(os.Stdout)
	}
	// The parser leaves the -- in place, and flags that it does not know.
	if len(r.Command) > 0 && r.Command[0] == "--" {
		r.Command = r.Command[1:]
	} else if len(r.Command) > 0 && strings.HasPrefix(r.Command[0], "-") {
		return usagef("unknown flag %s: see skep run --help", r.Command[0])
	}
	if len(r.Command) == 0 {
		return usagef("there is no command to run: skep run %s -- COMMAND", r.Object)
	}
	if r.JSONFile == "-" && r.CommandStdout == "" {
		return usagef("--json-file - would mix its lines with what the command writes to stdout: add --command-stdout FILE, or name a file")
	}
	what, err := open(r.Object)
	if err != nil {
		return err
	}
	if err := knownSections(what.spec); err != nil {
		return fmt.Errorf("%s: %w", r.Object, err)
	}
	if err := r.askForEvents(what); err != nil {
		return err
	}
	lines, err := r.jsonFile()
	if err != nil {
		return err
	}
	cmd := attach.Command(r.Command[0], r.Command[1:]...)
	if r.CommandStdout != "" {
		f, err := os.Create(r.CommandStdout)
		if err != nil {
			return err
		}
		defer f.Close()
		cmd.Stdout = f
	}

	w := &watch{run: r, cmd: cmd, text: &locked{w: os.Stderr}, lines: lines, tool: what.tool != nil}
	engine, options := r.engine(w)
	ctx := context.Background()
	coll, err := skep.Load(ctx, engine, what.spec, options...)
	if err != nil {
		return fmt.Errorf("%s: %w", r.Object, err)
	}
	defer coll.Close()
	if w.view, err = what.new(coll, view.Info{Spec: what.spec, HookCost: cmd.StopCost, Records: r.Record}); err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(coll.Programs)) {
		link, err := cmd.Attach(coll.Programs[name])
		if err != nil {
			return fmt.Errorf("%s: %w", r.Object, err)
		}
		defer link.Close()
	}
	if what.tool == nil || r.Events {
		if w.rings, err = follow(coll, w.record); err != nil {
			return err
		}
		defer w.rings.Close()
	}
	status, err := w.watch(ctx)
	if err != nil {
		return err
	}
	if lines != nil {
		if err := errors.Join(w.view.Lines(lines.encode), lines.Close()); err != nil {
			return fmt.Errorf("%s: %w", r.JSONFile, err)
		}
	}
	if code := status.ExitCode(); code != 0 {
		return commandStatus(code)
	}
	return nil
}

// knownSections refuses programs whose section stands for no program type: the
// verifier has nothing to judge them by, so they never get as far as Attach.
func knownSections(spec *skep.CollectionSpec) error {
	for _, name := range slices.Sorted(maps.Keys(spec.Programs)) {
		if p := spec.Programs[name]; p.Type == ebpf.UnspecifiedProgram {
			return fmt.Errorf("program %s: %w %q: known are %s", name, attach.ErrUnknownSection, p.SectionName, strings.Join(syscalls.Forms, ", "))
		}
	}
	return nil
}

// engine is where programs run, with what they are told there. In the kernel
// bpf_trace_printk goes to trace_pipe.
func (r *runCmd) engine(w *watch) (skep.Engine, []skep.LoadOption) {
	var options []skep.LoadOption
	if r.Checked {
		options = append(options, skep.WithChecks())
	}
	if r.Engine == "kernel" {
		return skep.Kernel(), options
	}
	return skep.User(), append(options, skep.WithPrint(w.print))
}

// askForEvents sets the tool's constant before it is loaded.
func (r *runCmd) askForEvents(what *subject) error {
	if !r.Events || what.tool == nil {
		return nil
	}
	v := what.spec.Variables[what.tool.EachEvent]
	if v == nil {
		return usagef("--events: the tool %s has none", what.tool.Name)
	}
	return v.Set(true)
}

func listTools(w io.Writer) error {
	table := view.Table{Columns: []view.Column{{Name: "TOOL"}, {Name: "WHAT IT SHOWS"}}}
	for _, t := range tools.All {
		table.Rows = append(table.Rows, []view.Cell{view.Text(t.Name), view.Text(t.Summary)})
	}
	if err := table.Write(w, view.For(os.Stdout)); err != nil {
		return err
	}
	_, err := fmt.Fprintln(w, "\nskep run TOOL -- COMMAND, or skep run OBJECT.bpf.o -- COMMAND")
	return err
}

// jsonLines are a file of JSON values, one a line.
type jsonLines struct {
	mu      sync.Mutex
	f       *os.File
	encoder *json.Encoder
}

// jsonFile opens what --json-file names, nil without it. It is opened before the
// command starts, so that a mistake doesn't cost its run.
func (r *runCmd) jsonFile() (*jsonLines, error) {
	switch r.JSONFile {
	case "":
		return nil, nil
	case "-":
		return newJSONLines(os.Stdout), nil
	}
	f, err := os.Create(r.JSONFile)
	if err != nil {
		return nil, err
	}
	return newJSONLines(f), nil
}

func newJSONLines(f *os.File) *jsonLines {
	l := &jsonLines{f: f, encoder: json.NewEncoder(f)}
	l.encoder.SetEscapeHTML(false)
	return l
}

func (l *jsonLines) encode(v any) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.encoder.Encode(v)
}

func (l *jsonLines) Close() error { return l.f.Close() }

// locked is a writer for several goroutines.
type locked struct {
	mu sync.Mutex
	w  io.Writer
}

func (l *locked) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(p)
}
