package interp

import (
	"fmt"

	"github.com/skep-bpf/skep/internal/image"
)

// A Reason says why a run was ended.
type Reason uint8

const (
	// BadRead and BadWrite are accesses outside what the program owns.
	BadRead Reason = iota + 1
	BadWrite
	// Misaligned is an atomic access at an address that is no multiple of its size.
	Misaligned
	// BadArgument is a helper argument that does not name what the helper asks
	// for: memory that the program owns, a map, its context, a record.
	BadArgument
	// RecordKept is a ring-buffer record that was neither submitted nor discarded.
	RecordKept
	// BudgetSpent is the end of Options.Budget.
	BudgetSpent
	// TooDeep is a call deeper than mem.MaxFrames.
	TooDeep
	// Unreached is an instruction that the verifier holds for unreachable.
	Unreached
	// PastEnd is a run past the last instruction.
	PastEnd
	// Fault is a memory fault in the fast mode. Which instruction it was is not
	// known; the checked mode tells.
	Fault
)

var reasons = [...]string{
	BadRead:     "reads outside its stack, context, maps and records",
	BadWrite:    "writes outside its stack, context, maps and records",
	Misaligned:  "makes a misaligned atomic access",
	BadArgument: "passes a helper what it does not own",
	RecordKept:  "ends with a ring-buffer record that it neither submitted nor discarded",
	BudgetSpent: "has spent its instruction budget",
	TooDeep:     "calls too deep",
	Unreached:   "runs an instruction that the verifier holds for unreachable",
	PastEnd:     "runs past its last instruction",
	Fault:       "faults",
}

func (r Reason) String() string { return reasons[r] }

// A Trap is the end of a run that could not go on.
type Trap struct {
	Program string
	Insn    int         // the 8-byte slot, -1 if unknown
	Source  *image.Line // nil without line information
	Reason  Reason
	Addr    uint64 // the address involved, 0 if none
}

func (t *Trap) Error() string {
	s := "program " + t.Program
	if t.Insn >= 0 {
		s += fmt.Sprintf(", instruction %d", t.Insn)
	}
	if t.Source != nil {
		s += fmt.Sprintf(" (%s:%d: %s)", t.Source.File, t.Source.Line, t.Source.Text)
	}
	s += ": " + t.Reason.String()
	if t.Addr != 0 {
		s += fmt.Sprintf(" at %#x", t.Addr)
	}
	return s
}
