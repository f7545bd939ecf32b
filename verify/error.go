package verify

import (
	"fmt"
	"path"
)

// Error is one sentence: program, C line, what is wrong, code.
func (e *Error) Error() string {
	where := fmt.Sprintf("instruction %d", e.Insn)
	if e.Insn < 0 {
		where = ""
	}
	if s := e.Source; s != nil && s.File != "" {
		where = fmt.Sprintf("%s:%d", path.Base(s.File), s.Line)
	}
	if where != "" {
		where = ", " + where
	}
	return fmt.Sprintf("program %s%s: %s [%s]", e.Program, where, e.Message, e.Code)
}

// fail is the refusal of the current instruction.
func (v *verifier) fail(code Code, format string, args ...any) *Error {
	return v.failAt(v.insn, code, format, args...)
}

func (v *verifier) failAt(insn int, code Code, format string, args ...any) *Error {
	e := &Error{Program: v.p.Name, Code: code, Message: fmt.Sprintf(format, args...), Insn: insn}
	if insn >= 0 {
		if l := v.p.Source(insn); l != nil {
			e.Source = &Source{File: l.File, Line: l.Line, Column: l.Column, Text: l.Text}
		}
	}
	for _, to := range v.path {
		e.Path = append(e.Path, int(to))
	}
	return e
}
