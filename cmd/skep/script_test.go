package main

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

// TestMain makes this test binary stand for skep and for the commands that the
// scripts watch.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"skep":        main,
		"walk":        walk,
		"deny-ptrace": denyPtrace,
	})
}

// walk goes to each directory that it is given and ends with 7 if one of them
// is not there.
func walk() {
	code := 0
	for _, dir := range os.Args[1:] {
		if os.Chdir(dir) != nil {
			code = 7
		}
	}
	os.Exit(code)
}

// TestScripts runs testdata/script. Commands beside those of testscript:
//
//	code N COMMAND…           the command ends with this exit code
//	jsonl FILE KEY…           every line is a JSON object with exactly these keys, in order
//	bytes FILE HEX            makes a binary file
//	patch FROM TO OFFSET HEX  copies a file with some bytes changed
func TestScripts(t *testing.T) {
	objects, err := filepath.Abs("testdata/objects")
	if err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		Setup: func(e *testscript.Env) error {
			e.Setenv("OBJECTS", objects)
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"code": code, "jsonl": jsonl, "bytes": makeBytes, "patch": patch,
		},
	})
}

func code(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: code N COMMAND…")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	if err := ts.Exec(args[1], args[2:]...); err != nil {
		exit := new(exec.ExitError)
		if !errors.As(err, &exit) {
			ts.Fatalf("%v", err)
		}
		got = exit.ExitCode()
	}
	if got != want {
		ts.Fatalf("exit code %d, want %d; stderr:\n%s", got, want, ts.ReadFile("stderr"))
	}
}

func jsonl(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: jsonl FILE KEY…")
	}
	text := ts.ReadFile(args[0])
	if text == "" {
		ts.Fatalf("%s is empty", args[0])
	}
	for line := range strings.Lines(text) {
		keys, err := keysOf([]byte(line))
		if err != nil {
			ts.Fatalf("%v: %s", err, line)
		}
		if !slices.Equal(keys, args[1:]) {
			ts.Fatalf("keys %v, want %v: %s", keys, args[1:], line)
		}
	}
}

// keysOf are the keys of a JSON object in their order.
func keysOf(line []byte) ([]string, error) {
	d := json.NewDecoder(bytes.NewReader(line))
	if open, err := d.Token(); err != nil || open != json.Delim('{') {
		return nil, fmt.Errorf("not a JSON object: %v", err)
	}
	var keys []string
	for d.More() {
		key, err := d.Token()
		if err != nil {
			return nil, err
		}
		keys = append(keys, key.(string))
		var value json.RawMessage
		if err := d.Decode(&value); err != nil {
			return nil, err
		}
	}
	return keys, nil
}

func makeBytes(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: bytes FILE HEX")
	}
	b, err := hex.DecodeString(args[1])
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), b, 0o666))
}

func patch(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 4 {
		ts.Fatalf("usage: patch FROM TO OFFSET HEX")
	}
	data, err := os.ReadFile(ts.MkAbs(args[0]))
	ts.Check(err)
	off, err := strconv.Atoi(args[2])
	ts.Check(err)
	b, err := hex.DecodeString(args[3])
	ts.Check(err)
	copy(data[off:], b)
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), data, 0o666))
}
