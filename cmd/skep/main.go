// Command skep runs eBPF objects outside the kernel: it watches a command with
// one, judges programs, runs one program by itself and measures the engine.
package main

import (
	"errors"
	"fmt"
	"os"
	"runtime/debug"
	"strings"

	"github.com/alecthomas/kong"
)

// commands is the command line: one field, one file each.
type commands struct {
	Run     runCmd     `cmd:"" help:"Run a command and watch it with a tool or with the programs of an object file."`
	Verify  verifyCmd  `cmd:"" help:"Judge every program of object files."`
	Exec    execCmd    `cmd:"" help:"Run one program of an object file by itself."`
	Bench   benchCmd   `cmd:"" help:"Measure the engine or the hooks."`
	Version versionCmd `cmd:"" help:"Print the version."`
}

func main() {
	// A run is short and its memory small: collecting at 4 MB, as Go begins, takes a
	// tenth of the start.
	debug.SetGCPercent(400)
	os.Exit(execute(os.Args[1:]))
}

// execute runs one command line and gives its exit code.
func execute(args []string) int {
	parser := kong.Must(new(commands),
		kong.Name("skep"),
		kong.Description("eBPF outside the kernel: verified programs watch what a command does. No root, no kernel eBPF."),
		kong.UsageOnError(),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true}),
	)
	parsed, err := parser.Parse(args)
	if err == nil {
		err = parsed.Run()
	} else {
		err = usagef("%w: see skep --help", err)
	}
	if err == nil {
		return 0
	}
	if status := commandStatus(0); errors.As(err, &status) {
		return int(status)
	}
	kind := kindOf(err)
	complain(err, kind.Hint)
	return kind.Code
}

// complain writes each line of an error as a line of ours.
func complain(err error, hint string) {
	text := strings.TrimRight(err.Error(), "\n")
	if hint != "" {
		text += "; " + hint
	}
	for line := range strings.SplitSeq(text, "\n") {
		fmt.Fprintln(os.Stderr, "skep: "+line)
	}
}

// A commandStatus ends skep with the exit code of the command that it ran. There
// is nothing to say.
type commandStatus int

func (s commandStatus) Error() string { return fmt.Sprintf("the command exited with %d", int(s)) }
