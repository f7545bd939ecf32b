package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"

	"github.com/skep-bpf/skep"
	"github.com/skep-bpf/skep/internal/view"
	"github.com/skep-bpf/skep/verify"
)

type verifyCmd struct {
	JSON    bool     `name:"json" help:"Print JSON lines."`
	Objects []string `arg:"" name:"object" help:"Tools or object files."`
}

// verdict is a JSON line of skep verify.
type verdict struct {
	Object    string `json:"object"`
	Program   string `json:"program"`
	Type      string `json:"type"`
	Verdict   string `json:"verdict"` // accept or reject
	Code      string `json:"code"`    // why, in one word
	Message   string `json:"message"` // why, in one sentence
	Source    string `json:"source"`  // file:line
	Insn      *int   `json:"insn"`    // the 8-byte slot that was refused; null if it is about the whole
	Insns     int    `json:"insns"`   // slots of the program
	Processed int    `json:"processed"`
	States    int    `json:"states"`
	Time      int64  `json:"time_ns"`
}

func (v *verifyCmd) Run() error {
	rejected := false
	var failed []error
	encoder := json.NewEncoder(os.Stdout)
	encoder.SetEscapeHTML(false)
	for _, name := range v.Objects {
		results, err := judge(name)
		if err != nil {
			failed = append(failed, err)
			continue
		}
		for _, r := range results {
			rejected = rejected || !r.Accepted()
			if !v.JSON {
				writeVerdict(name, r)
				continue
			}
			if err := encoder.Encode(verdictOf(name, r)); err != nil {
				return err
			}
		}
	}
	if err := errors.Join(failed...); err != nil {
		return err
	}
	if rejected {
		return commandStatus(1)
	}
	return nil
}

func judge(name string) ([]*verify.Result, error) {
	what, err := open(name)
	if err != nil {
		return nil, err
	}
	results, err := skep.Verify(what.spec)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return results, nil
}

func verdictOf(object string, r *verify.Result) verdict {
	out := verdict{
		Object: object, Program: r.Program, Type: r.Type.String(), Verdict: "accept",
		Insns: r.Stats.Insns, Processed: r.Stats.Processed, States: r.Stats.States, Time: int64(r.Stats.Time),
	}
	if e := r.Err; e != nil {
		out.Verdict, out.Code, out.Message = "reject", string(e.Code), e.Message
		if e.Insn >= 0 {
			out.Insn = &e.Insn
		}
		if e.Source != nil {
			out.Source = fmt.Sprintf("%s:%d", e.Source.File, e.Source.Line)
		}
	}
	return out
}

func writeVerdict(object string, r *verify.Result) {
	o := view.For(os.Stdout)
	l := verdictOf(object, r)
	fmt.Printf("%s: %s (%s): %s\n", object, l.Program, l.Type, o.Heading(l.Verdict))
	fmt.Println(o.Note(fmt.Sprintf("    %d instructions, %d walked, %d states, %s", l.Insns, l.Processed, l.States, view.Duration(r.Stats.Time))))
	if r.Err == nil {
		return
	}
	fmt.Printf("    %s: %s\n", l.Code, l.Message)
	if l.Source != "" {
		fmt.Printf("    %s: %s\n", l.Source, view.Printable(r.Err.Source.Text))
	}
	if l.Insn != nil {
		fmt.Printf("    instruction %d\n", *l.Insn)
	}
}
