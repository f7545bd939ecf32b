package main

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/skep-bpf/skep"
	"github.com/skep-bpf/skep/attach"
	"github.com/skep-bpf/skep/verify"
)

// The document is the table of the code.
func TestExitCodesAreDocumented(t *testing.T) {
	doc, err := os.ReadFile("../../docs/exit-codes.md")
	if err != nil {
		t.Fatal(err)
	}
	kinds := slices.Clone(exitKinds)
	slices.SortFunc(kinds, func(a, b exitKind) int { return a.Code - b.Code })
	var want strings.Builder
	for i, k := range kinds {
		if i > 0 && kinds[i-1].Code == k.Code {
			t.Errorf("code %d stands twice in the table", k.Code)
		}
		fmt.Fprintf(&want, "| %d | %s |\n", k.Code, k.Means)
	}
	_, table, _ := strings.Cut(string(doc), "| --- | --- |\n")
	if table != want.String() {
		t.Errorf("docs/exit-codes.md has the table\n%s\nwant\n%s", table, want.String())
	}
}

func TestKindOf(t *testing.T) {
	for _, test := range []struct {
		err  error
		code int
	}{
		{errors.New("anything"), 1},
		{usagef("no such flag"), 2},
		{fmt.Errorf("x.o: %w", skep.ErrNotELF), 100},
		{fmt.Errorf("x.o: %w", skep.ErrTruncated), 101},
		{fmt.Errorf("x.o: %w", skep.ErrMachine), 102},
		{fmt.Errorf("x.o: %w", skep.ErrByteOrder), 103},
		{fmt.Errorf("x.o: %w", skep.ErrNoProgram), 104},
		{fmt.Errorf("x.o: %w", attach.ErrUnknownSection), 105},
		{fmt.Errorf("x.o: %w", errors.Join(errors.New("one"), &verify.Error{Program: "p"})), 106},
		{fmt.Errorf("x.o: %w", attach.ErrHookNotPossible), 107},
		{attach.ErrNotPermitted, 108},
		{attach.ErrNotSupported, 109},
		{attach.ErrNotExecutable, 126},
		{attach.ErrCommandNotFound, 127},
	} {
		if got := kindOf(test.err).Code; got != test.code {
			t.Errorf("%v: code %d, want %d", test.err, got, test.code)
		}
	}
}
