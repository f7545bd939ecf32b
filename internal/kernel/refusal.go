package kernel

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/cilium/ebpf"
)

// explain turns an error of loading spec into an *Error that says which program
// or map it is about.
func explain(spec *ebpf.CollectionSpec, err error) error {
	if name := named(err, "program", maps.Keys(spec.Programs)); name != "" {
		return explainProgram(spec.Programs[name], err)
	}
	if name := named(err, "map", maps.Keys(spec.Maps)); name != "" {
		m := spec.Maps[name]
		return &Error{
			What: "map " + name, Kind: ErrMap, Err: err,
			Reason: fmt.Sprintf("%s with keys of %d and values of %d bytes, %d entries, flags %#x: %v",
				m.Type, m.KeySize, m.ValueSize, m.MaxEntries, m.Flags, last(err)),
		}
	}
	if name := named(err, "using replacement map", maps.Keys(spec.Maps)); name != "" {
		return &Error{What: "map " + name, Kind: ErrMap, Reason: fmt.Sprintf("the map to use in its place has another shape: %v", last(err)), Err: err}
	}
	return &Error{What: "object", Kind: ErrRefused, Reason: err.Error(), Err: err}
}

// named is which of the names the error is about. cilium/ebpf puts it in front
// ("program NAME: …"), as text only.
func named(err error, what string, names func(func(string) bool)) string {
	text := err.Error()
	// The longest first: one name may begin with another, and hold a colon.
	for _, name := range slices.SortedFunc(names, func(a, b string) int { return cmp.Compare(len(b), len(a)) }) {
		if strings.HasPrefix(text, what+" "+name+": ") {
			return name
		}
	}
	return ""
}

// last is the innermost error: what the kernel said.
func last(err error) error {
	for {
		inner := errors.Unwrap(err)
		if inner == nil {
			return err
		}
		err = inner
	}
}

// explainProgram says why p was not loaded.
func explainProgram(p *ebpf.ProgramSpec, err error) error {
	e := &Error{What: "program " + p.Name, Section: p.SectionName, Kind: ErrRefused, Err: err}
	var refusal *ebpf.VerifierError
	switch {
	case errors.As(err, &refusal) && len(refusal.Log) > 0:
		e.Section = ""
		e.Reason, e.Source = readLog(refusal.Log)
	case !haveProgramType(p.Type):
		e.Kind, e.Reason = ErrProgramType, fmt.Sprintf("%s: %v", p.Type, last(err))
	case isPermission(err):
		e.Reason, e.Kind = denied(err)
	case p.AttachTo != "":
		e.Kind, e.Reason = ErrNotPossible, err.Error()
	default:
		e.Reason = err.Error()
	}
	return e
}

// readLog finds in a verifier log what is wrong, and where.
//
// The log follows a path through the program: instructions, lines of source
// (after "; ", since Linux 6.8 with " @ file:line" behind them) and states. Its
// end is the reason, and figures about the verification.
func readLog(log []string) (reason string, source Source) {
	for i := len(log) - 1; i >= 0; i-- {
		line := strings.TrimSpace(log[i])
		if text, ok := strings.CutPrefix(line, "; "); ok {
			source = readSource(text)
			break
		}
		if reason == "" && line != "" && !isFigure(line) {
			reason = line
		}
	}
	if reason == "" {
		reason = "the verifier gave no reason"
	}
	return reason, source
}

// isFigure reports whether a line of the log only counts something.
func isFigure(line string) bool {
	for _, start := range []string{"processed ", "verification time ", "stack depth ", "mark_precise: "} {
		if strings.HasPrefix(line, start) {
			return true
		}
	}
	return false
}

// readSource reads "text @ file:line", or only text.
func readSource(s string) Source {
	at := strings.LastIndex(s, " @ ")
	if at < 0 {
		return Source{Text: strings.TrimSpace(s)}
	}
	text, place := strings.TrimSpace(s[:at]), s[at+len(" @ "):]
	colon := strings.LastIndexByte(place, ':')
	if colon < 0 {
		return Source{Text: strings.TrimSpace(s)}
	}
	line, err := strconv.Atoi(place[colon+1:])
	if err != nil {
		return Source{Text: strings.TrimSpace(s)}
	}
	return Source{File: place[:colon], Line: line, Text: text}
}
