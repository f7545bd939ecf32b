package hooks

import (
	"context"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
)

// The suite runs and its numbers make sense. How fast they are is not for a test
// on a machine that does other things.
func TestRun(t *testing.T) {
	skep := filepath.Join(t.TempDir(), "skep")
	if out, err := exec.Command("go", "build", "-o", skep, "../../cmd/skep").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	var names []string
	err := run(t.Context(), skep, 1, 1, func(r Row) {
		t.Logf("%+v", r)
		names = append(names, r.Name)
		if r.Skipped != "" {
			return
		}
		if r.BaseNS <= 0 || r.NS <= 0 || r.Ratio != r.NS/r.BaseNS || r.AddedNS != r.NS-r.BaseNS {
			t.Errorf("%+v", r)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{"hooked", "hooked-both", "unhooked", "command", "hooked-apart", "hooked-both-apart", "command-apart"}; !slices.Equal(names, want) {
		t.Errorf("rows %v, want %v", names, want)
	}
}

func TestCancel(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := Run(ctx, func(Row) { t.Error("a row") }); err == nil {
		t.Error("a cancelled run ends well")
	}
}
