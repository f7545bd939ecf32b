package kernel

import (
	"errors"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
)

// BenchmarkQuestion measures what the question before a program costs at each
// event, by the states of the scope. The programs are classifiers here, which the
// kernel runs many times in one call; "none" has no question, and what all others
// take beyond it is the question's.
func BenchmarkQuestion(b *testing.B) {
	s := needScope(b)
	group, err := newCgroup()
	if err != nil {
		b.Skipf("skip: %v", err)
	}
	defer group.Close()
	program := asm.Instructions{asm.Mov.Imm(asm.R0, 0), asm.Return()}
	confined := s.confine(program, 0)
	for _, bb := range []struct {
		name string
		set  func() error
		code asm.Instructions
	}{
		{"none", s.Nobody, program},
		{"nobody", s.Nobody, confined},
		{"system", s.System, confined},
		{"outside the cgroup", func() error { return errors.Join(s.Nobody(), s.arm(group), s.begun()) }, confined},
		{"outside the processes", func() error { return s.Processes(1) }, confined},
	} {
		b.Run(bb.name, func(b *testing.B) {
			p, err := ebpf.NewProgram(&ebpf.ProgramSpec{Type: ebpf.SchedCLS, License: "GPL", Instructions: bb.code})
			if err != nil {
				b.Fatal(err)
			}
			defer p.Close()
			if err := bb.set(); err != nil {
				b.Fatal(err)
			}
			_, each, err := p.Benchmark(make([]byte, 64), b.N, b.ResetTimer)
			if err != nil {
				b.Fatal(err)
			}
			b.ReportMetric(float64(each.Nanoseconds()), "ns/run")
		})
	}
}
