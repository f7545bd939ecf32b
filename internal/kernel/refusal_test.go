package kernel

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/cilium/ebpf"
)

func TestReadLog(t *testing.T) {
	for _, tt := range []struct {
		name, log, reason string
		source            Source
	}{
		{"since 6.8", `0: R1=ctx() R10=fp0
; __u64 *n = bpf_map_lookup_elem(&counts, &key); @ refused.bpf.c:19
7: (85) call bpf_map_lookup_elem#1    ; R0_w=map_value_or_null(id=1,map=counts,ks=4,vs=8)
; *n += 1; @ refused.bpf.c:21
8: (79) r1 = *(u64 *)(r0 +0)
R0 invalid mem access 'map_value_or_null'
verification time 88 usec
stack depth 4
processed 9 insns (limit 1000000) max_states_per_insn 0 total_states 0 peak_states 0 mark_read 0`,
			"R0 invalid mem access 'map_value_or_null'", Source{"refused.bpf.c", 21, "*n += 1;"}},
		{"before", "; if (a @ b) c(); \n8: (79) r1 = *(u64 *)(r0 +0)\nR0 !read_ok\nprocessed 9 insns\n",
			"R0 !read_ok", Source{"", 0, "if (a @ b) c();"}},
		{"a path with a colon", "; x = 1; @ a:b c.c:7\nbad", "bad", Source{"a:b c.c", 7, "x = 1;"}},
		{"no source", "func#0 @0\n0: (95) exit\nR0 !read_ok", "R0 !read_ok", Source{}},
		{"too large", "BPF program is too large. Processed 1000001 insn\nprocessed 1000001 insns (limit 1000000)", "BPF program is too large. Processed 1000001 insn", Source{}},
		{"figures only", "processed 1 insns", "the verifier gave no reason", Source{}},
	} {
		reason, source := readLog(strings.Split(tt.log, "\n"))
		if reason != tt.reason || source != tt.source {
			t.Errorf("%s: %q, %+v, want %q, %+v", tt.name, reason, source, tt.reason, tt.source)
		}
	}
}

func FuzzReadLog(f *testing.F) {
	f.Add("; x @ y:1\nbad\nprocessed 1 insns")
	f.Add(";  @ :\n; @ :99999999999999999999")
	f.Fuzz(func(t *testing.T, log string) {
		reason, source := readLog(strings.Split(log, "\n"))
		if reason == "" {
			t.Errorf("no reason in %q", log)
		}
		if source.File != "" && !strings.Contains(log, source.File) {
			t.Errorf("file %q in %q", source.File, log)
		}
	})
}

// The name that an error is about may be the beginning of another name.
func TestExplainNames(t *testing.T) {
	spec := &ebpf.CollectionSpec{
		Programs: map[string]*ebpf.ProgramSpec{"a": {Name: "a"}, "a: b": {Name: "a: b"}, "ab": {Name: "ab"}},
		Maps:     map[string]*ebpf.MapSpec{"m": {Name: "m"}},
	}
	for _, tt := range []struct{ text, what string }{
		{"program a: no", "program a"}, {"program a: b: no", "program a: b"}, {"program ab: no", "program ab"},
		{"map m: no", "map m"}, {"map other: no", "object"}, {"something else", "object"},
	} {
		err := explain(spec, fmt.Errorf("%s: %w", tt.text, errors.ErrUnsupported))
		var e *Error
		if !errors.As(err, &e) || e.What != tt.what || !errors.Is(err, errors.ErrUnsupported) {
			t.Errorf("%s: %v, want it to be about %s", tt.text, err, tt.what)
		}
	}
}
