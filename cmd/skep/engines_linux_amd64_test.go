package main

import (
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/skep-bpf/skep/internal/kernel"
)

// changing is what differs from run to run in a path: numbers of pipes, sockets
// and processes, and random names.
var changing = regexp.MustCompile(`\[\d+\]|/proc/\d+|-\w{6}\b|/\d{3}/`)

// TestEnginesAgree runs the same object on both engines: the rows, counts and
// paths are the same.
func TestEnginesAgree(t *testing.T) {
	if err := kernel.Permitted(); err != nil {
		t.Skipf("needs the kernel's bpf(): %v", err)
	}
	t.Setenv("GODEBUG", "updatemaxprocs=0")
	for _, test := range []struct {
		name    string
		command func(t *testing.T) []string
	}{
		{"every kind of file", func(t *testing.T) []string { return []string{compile(t, "reads.c")} }},
		{"static Go", func(t *testing.T) []string { return []string{compile(t, "reads.go")} }},
		{"8 threads", func(t *testing.T) []string { return []string{compile(t, "threads.c")} }},
		{"fork, vfork, exec", func(t *testing.T) []string { return []string{compile(t, "chain.c")} }},
		{"50 short commands", func(t *testing.T) []string {
			return []string{"sh", "-c", "i=0; while [ $i -lt 50 ]; do /bin/true; i=$((i+1)); done"}
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			command := test.command(t)
			var rows [2]map[string]int
			for i, engine := range []string{"user", "kernel"} {
				list, status := runReadsOn(t, engine, t.TempDir(), command...)
				rows[i] = make(map[string]int)
				for _, r := range list {
					if strings.HasSuffix(r.Path, "/cgroup") {
						r.Bytes = 0 // its text differs: the kernel engine puts the command into a cgroup
					}
					rows[i][fmt.Sprintf("%s %s: %d reads, %d bytes", r.Comm, changing.ReplaceAllString(r.Path, "*"), r.Reads, r.Bytes)]++
				}
				rows[i][fmt.Sprintf("exit status %d", status)]++
			}
			if len(rows[0]) < 2 {
				t.Errorf("the user engine has no rows")
			}
			if diff := cmp.Diff(rows[1], rows[0]); diff != "" {
				t.Errorf("rows of the kernel (-) and of the user engine (+):\n%s", diff)
			}
		})
	}
}
