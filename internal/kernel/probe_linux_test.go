package kernel

import (
	"context"
	"errors"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/skep-bpf/skep/internal/abi"
)

func TestProbe(t *testing.T) {
	needScope(t)
	var calls, last atomic.Int64
	start := time.Now()
	rows, err := Probe(context.Background(), func(done, total int) {
		calls.Add(1)
		last.Store(int64(total))
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d rows in %v", len(rows), time.Since(start))
	if calls.Load() != int64(len(rows)) || last.Load() != int64(len(rows)) {
		t.Errorf("progress was told %d times of %d, there are %d rows", calls.Load(), last.Load(), len(rows))
	}
	found := make(map[string]Feature)
	for _, r := range rows {
		key := strings.TrimSpace(r.Kind + " " + r.Name + " " + r.Program)
		if _, twice := found[key]; twice {
			t.Errorf("two rows of %s", key)
		}
		found[key] = r
		if r.Available != (r.Reason == "") {
			t.Errorf("%+v: a reason, and only one, says why it is not there", r)
		}
	}
	// What the tests of this package do is there.
	for _, key := range []string{
		"program tracepoint", "program raw_tracepoint", "map Hash", "map CGroupArray", "confinement processes",
		"attachment tracepoint", "attachment raw_tp", "helper bpf_map_lookup_elem tracepoint", "helper bpf_current_task_under_cgroup raw_tracepoint",
	} {
		if !found[key].Available {
			t.Errorf("%s: %+v", key, found[key])
		}
	}
	_, err = os.Stat(kprobes)
	for _, form := range []string{"kprobe", "kretprobe", "ksyscall", "kretsyscall"} {
		r := found["attachment "+form]
		if want := err == nil; r.Available != want || !want && !strings.Contains(r.Reason, "CONFIG_KPROBES") {
			t.Errorf("kprobes are there: %v, but %+v", want, r)
		}
	}
}

// The tables say of each helper and program type what the kernel says, where it is
// the kernel that they were made for.
func TestProbeAgreesWithTables(t *testing.T) {
	needScope(t)
	var name unix.Utsname
	if err := unix.Uname(&name); err != nil {
		t.Fatal(err)
	}
	if release := unix.ByteSliceToString(name.Release[:]); !strings.HasPrefix(release, "6.18.") {
		t.Skipf("skip: the tables are those of Linux 6.18, this is %s", release)
	}
	except := map[string]string{
		"bpf_probe_write_user": "kernel lockdown forbids it",
		"bpf_override_return":  "needs CONFIG_BPF_KPROBE_OVERRIDE",
		"bpf_get_retval":       "by attach type",
		"bpf_set_retval":       "by attach type",
		"bpf_getsockopt":       "by attach type",
		"bpf_setsockopt":       "by attach type",
		"bpf_get_func_arg":     "by attach type",
		"bpf_get_func_ret":     "by attach type",
		"bpf_get_func_arg_cnt": "by attach type",
		"bpf_d_path":           "by the function that the program is attached to",
		"bpf_get_func_ip":      "the kernel lists it for syscall programs and refuses it in a later check",
	}
	asked := 0
	for _, row := range abi.ProgramTypes {
		if noTarget[row.Type] || !haveProgramType(row.Type) {
			continue
		}
		agree, attach := 0, targets[row.Type].attachType
		for id := abi.HelperByID(1).ID; abi.HelperByID(id) != nil; id++ {
			err := askHelper(row.Type, id)
			if errors.Is(err, errSleepable) {
				continue // the tables leave that to the verifier
			}
			if err != nil && !errors.Is(err, errNotForAll) && !errors.Is(err, errNoHelper) {
				t.Errorf("%s, %s: %v", row.Name, abi.HelperByID(id).Name, err)
			}
			name := abi.HelperByID(id).Name
			if table := abi.HelperAllowed(row.Type, attach, id); table == (err == nil) {
				agree++
			} else if except[name] == "" {
				t.Errorf("%s, %s: the table says %v, the kernel %v", row.Name, name, table, err)
			}
		}
		asked += agree
	}
	t.Logf("they agree on %d pairs", asked)
}

func TestProbeCancelled(t *testing.T) {
	needScope(t)
	ctx, cancel := context.WithCancel(context.Background())
	if rows, err := Probe(ctx, func(done, _ int) {
		if done == 10 {
			cancel()
		}
	}); !errors.Is(err, context.Canceled) || rows != nil {
		t.Errorf("%d rows, %v", len(rows), err)
	}
}
