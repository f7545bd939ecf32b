//go:build linux && amd64

package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
)

// binary is skep itself, built once for all tests of this file.
var binary = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "skep-test-")
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "skep")
	out, err := exec.Command("go", "build", "-o", path, ".").CombinedOutput()
	if err != nil {
		return "", errors.New(string(out))
	}
	return path, nil
})

// compile makes a target of testdata/targets.
func compile(t *testing.T, source string, flags ...string) string {
	t.Helper()
	out := filepath.Join(t.TempDir(), "target")
	var cmd *exec.Cmd
	if strings.HasSuffix(source, ".go") {
		cmd = exec.Command("go", "build", "-o", out, "testdata/targets/"+source)
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	} else {
		if _, err := exec.LookPath("gcc"); err != nil {
			t.Skip("needs gcc: not installed")
		}
		cmd = exec.Command("gcc", append([]string{"-O2", "-pthread", "-o", out, "testdata/targets/" + source}, flags...)...)
	}
	if msg, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, msg)
	}
	return out
}

// readsRow is a line of `skep run reads --json-file`.
type readsRow struct {
	PID     int      `json:"pid"`
	Comm    string   `json:"comm"`
	Path    string   `json:"path"`
	Reads   uint64   `json:"reads"`
	Bytes   uint64   `json:"bytes"`
	FirstNS uint64   `json:"first_ns"`
	LastNS  uint64   `json:"last_ns"`
	P50NS   uint64   `json:"p50_ns"`
	P99NS   uint64   `json:"p99_ns"`
	Hist    []uint64 `json:"hist"`
	HookNS  uint64   `json:"hook_ns"`
}

// runReads runs a command under `skep run reads` and returns its rows and its
// exit status.
func runReads(t *testing.T, dir string, command ...string) ([]readsRow, int) {
	t.Helper()
	return runReadsOn(t, "user", dir, command...)
}

func runReadsOn(t *testing.T, engine, dir string, command ...string) ([]readsRow, int) {
	t.Helper()
	skep, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	lines := filepath.Join(t.TempDir(), "reads.jsonl")
	cmd := exec.Command(skep, append([]string{"run", "--engine", engine, "reads", "--json-file", lines, "--"}, command...)...)
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatalf("%v: %s", err, out)
	}
	f, err := os.Open(lines)
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	defer f.Close()
	var rows []readsRow
	for s := bufio.NewScanner(f); s.Scan(); {
		var row readsRow
		if err := json.Unmarshal(s.Bytes(), &row); err != nil {
			t.Fatalf("%q: %v", s.Text(), err)
		}
		rows = append(rows, row)
	}
	return rows, cmd.ProcessState.ExitCode()
}

// straceCall matches the line of a call at its start: a call that another
// thread's line interrupts has a second line that says resumed.
var straceCall = regexp.MustCompile(`(?m)^\d+ +(?:read|pread64|readv|preadv|preadv2)\(`)

// straceReads counts the reading calls of a command as strace sees them.
func straceReads(t *testing.T, dir string, command ...string) uint64 {
	t.Helper()
	if _, err := exec.LookPath("strace"); err != nil {
		t.Skip("needs strace: not installed")
	}
	log := filepath.Join(t.TempDir(), "strace.log")
	cmd := exec.Command("strace", append([]string{"-f", "-o", log, "-e", "trace=read,pread64,readv,preadv,preadv2", "--"}, command...)...)
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatalf("%v: %s", err, out)
	}
	text, err := os.ReadFile(log)
	if err != nil {
		t.Fatal(err)
	}
	return uint64(len(straceCall.FindAll(text, -1)))
}

// TestReadsEqualStrace compares the number of reads with strace's for commands
// whose number does not change from run to run.
func TestReadsEqualStrace(t *testing.T) {
	// Go's run time reads the cgroup's CPU limit again as time passes.
	t.Setenv("GODEBUG", "updatemaxprocs=0")
	for _, test := range []struct {
		name    string
		status  int
		command func(t *testing.T) []string
	}{
		{"dynamic", 7, func(t *testing.T) []string { return []string{compile(t, "reads.c")} }},
		{"static", 7, func(t *testing.T) []string { return []string{compile(t, "reads.c", "-static")} }},
		{"static Go", 0, func(t *testing.T) []string { return []string{compile(t, "reads.go")} }},
		{"200 short commands", 0, func(t *testing.T) []string {
			return []string{"sh", "-c", "i=0; while [ $i -lt 200 ]; do /bin/true; i=$((i+1)); done"}
		}},
		{"8 threads", 0, func(t *testing.T) []string { return []string{compile(t, "threads.c")} }},
		{"fork, vfork, exec", 0, func(t *testing.T) []string { return []string{compile(t, "chain.c")} }},
		{"signals and stops", 0, func(t *testing.T) []string { return []string{compile(t, "signals.c")} }},
	} {
		t.Run(test.name, func(t *testing.T) {
			command := test.command(t)
			rows, status := runReads(t, t.TempDir(), command...)
			var ours uint64
			for _, row := range rows {
				ours += row.Reads
			}
			if want := straceReads(t, t.TempDir(), command...); ours != want || want == 0 {
				t.Errorf("reads sees %d reads, strace %d", ours, want)
			}
			if status != test.status {
				t.Errorf("exit status %d, want %d", status, test.status)
			}
		})
	}
}

// TestPathsAreThoseOfProc runs a program that reads every kind of file and
// expects the names that /proc/PID/fd shows.
func TestPathsAreThoseOfProc(t *testing.T) {
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	rows, _ := runReads(t, dir, compile(t, "reads.c"))
	want := []struct {
		path  string
		reads uint64
		bytes uint64
	}{
		{`^` + regexp.QuoteMeta(dir) + `/reads-\w{6}$`, 15, 10*100 + 1000 + 3096 + 4096 + 4096},
		{`^` + regexp.QuoteMeta(dir) + `/renamed$`, 1, 5},
		{`^` + regexp.QuoteMeta(dir) + `/gone-\w{6} \(deleted\)$`, 1, 10},
		{`^pipe:\[\d+\]$`, 1, 3},
		{`^socket:\[\d+\]$`, 1, 3},
		{`^/memfd:memory \(deleted\)$`, 1, 3},
		{`^anon_inode:\[eventfd\]$`, 1, 8},
		{`^\(not open\)$`, 1, 0},
	}
	for _, w := range want {
		found := false
		for _, row := range rows {
			if !regexp.MustCompile(w.path).MatchString(row.Path) {
				continue
			}
			found = true
			var calls uint64
			for _, n := range row.Hist {
				calls += n
			}
			if row.Reads != w.reads || row.Bytes != w.bytes || calls != row.Reads {
				t.Errorf("%s: %d reads, %d bytes, %d latencies, want %d reads, %d bytes", row.Path, row.Reads, row.Bytes, calls, w.reads, w.bytes)
			}
			if row.FirstNS == 0 || row.LastNS < row.FirstNS || row.P50NS == 0 || row.P99NS < row.P50NS || row.HookNS == 0 {
				t.Errorf("%s: times make no sense: %+v", row.Path, row)
			}
		}
		if !found {
			t.Errorf("no row matches %s", w.path)
		}
	}
	if t.Failed() {
		for _, row := range rows {
			t.Logf("%+v", row)
		}
	}
}

// TestReadsOfWhoGetsAway runs a child that asks not to be traced, which strace
// loses, and a daemon that outlives the command.
func TestReadsOfWhoGetsAway(t *testing.T) {
	done := filepath.Join(t.TempDir(), "done")
	rows, status := runReads(t, t.TempDir(), compile(t, "untraced.c"), done)
	if status != 0 {
		t.Errorf("exit status %d, want 0", status)
	}
	reads := make(map[uint64]bool)
	for _, row := range rows {
		if row.Path == "/dev/zero" {
			reads[row.Reads] = true
		}
	}
	if !reads[7] || !reads[11] {
		t.Errorf("/dev/zero was read %v times, want 7 by the child and 11 by the daemon", reads)
	}
	if text, err := os.ReadFile(done); err != nil || string(text) != "11" {
		t.Errorf("the daemon could read %q times (%v), want 11", text, err)
	}
}
