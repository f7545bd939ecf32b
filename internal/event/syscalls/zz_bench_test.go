//go:build linux && amd64

package syscalls

import (
	"testing"

	"github.com/skep-bpf/skep/internal/tracer"
)

func BenchmarkReadsTool(b *testing.B) {
	for range b.N {
		c := load(b, "../../../../tools/reads/reads.bpf.o")
		var s Source
		for name := range c.programs {
			c.attach(b, &s, name)
		}
		run(b, &s, tracer.Command{Path: "sh", Args: []string{"sh", "-c", `i=0; while [ $i -lt 150 ]; do cat /proc/self/status /etc/passwd >/dev/null; i=$((i+1)); done`}})
		b.Logf("%+v", s.Stats())
	}
}
