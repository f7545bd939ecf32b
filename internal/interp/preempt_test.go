package interp

import (
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cilium/ebpf/asm"

	"github.com/skep-bpf/skep/internal/mem"
)

// TestCollectorIsNotHeldUp collects garbage while a program waits in a loop for
// its context to change: a collection must be able to stop it.
func TestCollectorIsNotHeldUp(t *testing.T) {
	if runtime.GOARCH == "wasm" {
		t.Skip(oneThread)
	}
	for _, m := range modes {
		t.Run(m.name, func(t *testing.T) {
			b := newBench(t)
			m.options.Budget = 0
			code := b.compile(assemble(t,
				asm.Mov.Imm(asm.R0, 0),
				asm.Add.Imm(asm.R0, 1).WithSymbol("loop"),
				asm.LoadMem(asm.R2, asm.R1, 0, asm.Word),
				asm.JEq.Imm(asm.R2, 0, "loop"),
				asm.Return(),
			), nil, m.options)
			flag := mem.At[uint32](b.runner.Context.Addr)
			*flag = 0

			ended := make(chan uint64)
			go func() {
				rounds, err := code.Run(b.call, b.runner.Context.Addr)
				if err != nil {
					t.Error(err)
				}
				ended <- rounds
			}()
			collected := make(chan time.Duration)
			go func() {
				start := time.Now()
				for range 20 {
					runtime.GC()
				}
				collected <- time.Since(start)
			}()
			select {
			case took := <-collected:
				t.Logf("20 collections took %v", took)
			case <-time.After(20 * time.Second):
				t.Error("the program holds up the collector")
			}
			atomic.StoreUint32(flag, 1)
			if rounds := <-ended; rounds == 0 {
				t.Error("the program did not run")
			}
		})
	}
}
