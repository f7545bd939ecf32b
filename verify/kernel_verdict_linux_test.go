package verify

import (
	"os"
	"testing"

	"github.com/cilium/ebpf/btf"
)

// deliberate are the programs that we refuse and the running kernel accepts, for
// it is asked as root and trusts a privileged loader (CAP_PERFMON). Here nobody
// is trusted, so it is refused what no tool in use was seen to need.
var deliberate = map[string]string{
	"context_returned":                 leaks,
	"frame_pointer_returned":           leaks,
	"context_stored_in_value":          leaks,
	"value_address_stored_in_value":    leaks,
	"context_stored_in_record":         leaks,
	"context_given_to_ring":            leaks,
	"context_as_key":                   leaks,
	"context_added_to_value":           leaks,
	"pointer_negated":                  leaks,
	"pointers_of_two_kinds_subtracted": leaks,

	"stack_unwritten":       oldBytes,
	"stack_half_written":    oldBytes,
	"stack_index_unwritten": oldBytes,
	"key_unwritten":         oldBytes,
	"call_fills_one_byte":   oldBytes,

	"helper_not_known_yet": "unsupported: bpf_get_current_cgroup_id has no body here",
}

const (
	leaks    = "addresses of the program's own memory stay inside"
	oldBytes = "old bytes of the stack are not read; kernels before 6.3 refuse that of everybody"
)

// What we say of each program of testdata, the running kernel says, but for
// those in deliberate.
func TestVerdictsAgainstKernel(t *testing.T) {
	needBPF(t)
	types, err := btf.LoadKernelSpec()
	if err != nil {
		t.Skipf("the running kernel has no BTF: %v", err)
	}
	images := linked(t, types)
	asked := 0
	for _, c := range verdictCases(t) {
		img := images[c.object]
		p := img.Programs[c.program]
		if p == nil {
			continue // TestVerdicts says so
		}
		r := Image(img, p, &Options{Types: types})
		k, err := askKernel(img, p, 4)
		if err != nil {
			t.Errorf("%s: the kernel can't be asked: %v", c.program, err)
			continue
		}
		asked++
		switch {
		case r.Accepted() && !k.accepted:
			t.Errorf("%s: accepted, the kernel refuses: %s", c.program, k.reason)
		case !r.Accepted() && k.accepted && deliberate[c.program] == "":
			t.Errorf("%v; the kernel accepts", r.Err)
		case r.Accepted() == k.accepted && deliberate[c.program] != "":
			t.Errorf("%s: is in the table of differences, but the kernel agrees", c.program)
		}
		if os.Getenv("SKEP_VERDICTS") != "" {
			t.Logf("%-40s %v | %v %s", c.program, r.Err, k.accepted, k.reason)
		}
	}
	if asked == 0 {
		t.Error("no program was judged")
	}
}
