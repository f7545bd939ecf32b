package verify

import (
	"os"
	"testing"

	"github.com/cilium/ebpf/btf"

	"github.com/skep-bpf/skep/internal/progen"
)

// deliberate are the programs that we refuse and the running kernel accepts, for
// it is asked as root and trusts a privileged loader (CAP_PERFMON). Here nobody
// is trusted, so it is refused what no tool in use was seen to need.
var deliberate = map[string]string{
	"context_returned":                  leaks,
	"frame_pointer_returned":            leaks,
	"context_stored_in_value":           leaks,
	"value_address_stored_in_value":     leaks,
	"context_stored_in_record":          leaks,
	"context_given_to_ring":             leaks,
	"context_as_key":                    leaks,
	"context_added_to_value":            leaks,
	"pointer_negated":                   leaks,
	"pointer_on_one_path":               leaks,
	"stack_pointer_overwritten_in_part": leaks,
	"pointers_of_two_kinds_subtracted":  leaks,

	"stack_unwritten":              oldBytes,
	"stack_half_written":           oldBytes,
	"stack_index_unwritten":        oldBytes,
	"key_unwritten":                oldBytes,
	"call_fills_one_byte":          oldBytes,
	"stack_written_on_one_path":    oldBytes,
	"filter_asked_about_old_bytes": oldBytes,

	"helper_not_known_yet": "unsupported: bpf_get_current_ancestor_cgroup_id has no body here",
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

// What the running kernel accepts of generated programs, we accept, but for what
// it trusts a privileged loader with. The other way round we know more than it
// does of remainders and byte swaps; that this is sound the engines' tests show.
func TestGeneratedAgainstKernel(t *testing.T) {
	needBPF(t)
	stricter := map[Code]string{
		CodePointerLeak: leaks, CodePointerArith: leaks, CodeUninitialized: oldBytes,
	}
	both, ours := 0, 0
	for seed := range uint64(400) {
		img, p := progen.Generate(seed)
		r := Image(img, p, nil)
		k, err := askKernel(img, p, 4)
		if err != nil {
			t.Fatalf("seed %d: the kernel can't be asked: %v", seed, err)
		}
		switch {
		case k.accepted && !r.Accepted() && stricter[r.Err.Code] == "":
			t.Errorf("seed %d: %v; the kernel accepts", seed, r.Err)
		case k.accepted && r.Accepted():
			both++
		case r.Accepted():
			ours++
		}
	}
	t.Logf("accepted by both %d, by us alone %d", both, ours)
	if both < 50 {
		t.Errorf("both accept %d programs only", both)
	}
}
