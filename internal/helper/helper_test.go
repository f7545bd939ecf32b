package helper

import (
	"testing"

	"github.com/skep-bpf/skep/internal/maps"
	"github.com/skep-bpf/skep/internal/mem"
)

// newCall makes what a program with these maps would be called with.
func newCall(t testing.TB, cpu int, ms ...maps.Map) *Call {
	t.Helper()
	r, err := mem.NewRunner(cpu)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	return &Call{Runner: r, Maps: ms}
}
