package interp

import (
	"runtime"
	"testing"
	"time"

	"github.com/cilium/ebpf/asm"
)

// TestCollectorIsNotHeldUp runs a long program beside garbage collections: each
// must be able to stop the program.
func TestCollectorIsNotHeldUp(t *testing.T) {
	if runtime.GOARCH == "wasm" {
		t.Skip(reason("js/wasm has one thread"))
	}
	for _, m := range []struct {
		name    string
		options Options
		rounds  int32
	}{
		{"fast", Options{}, 1 << 26},
		{"checked", Options{Checked: true}, 1 << 23},
	} {
		t.Run(m.name, func(t *testing.T) {
			b := newBench(t)
			code := b.compile(assemble(t,
				asm.Mov.Imm(asm.R1, m.rounds),
				asm.Mov.Imm(asm.R0, 0),
				asm.Add.Imm(asm.R0, 1).WithSymbol("loop"),
				asm.Sub.Imm(asm.R1, 1),
				asm.JNE.Imm(asm.R1, 0, "loop"),
				asm.Return(),
			), nil, m.options)
			start := time.Now()
			done := make(chan error)
			go func() {
				_, err := code.Run(b.call, 0)
				done <- err
			}()
			collections := 0
			for {
				select {
				case err := <-done:
					took := time.Since(start)
					if err != nil {
						t.Fatal(err)
					}
					t.Logf("%d collections in %v", collections, took)
					if collections < 3 {
						t.Errorf("only %d collections in %v", collections, took)
					}
					return
				default:
					runtime.GC()
					collections++
				}
			}
		})
	}
}
