package progen_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"testing"

	"github.com/skep-bpf/skep/internal/helper"
	"github.com/skep-bpf/skep/internal/interp"
	"github.com/skep-bpf/skep/internal/maps"
	"github.com/skep-bpf/skep/internal/mem"
	"github.com/skep-bpf/skep/internal/progen"
	"github.com/skep-bpf/skep/verify"
)

type clock struct{ r *rand.Rand }

func (c clock) Monotonic() uint64 { return c.r.Uint64() >> c.r.IntN(64) }
func (c clock) Boot() uint64      { return c.r.Uint64() >> c.r.IntN(64) }

func TestScratchSound(t *testing.T) {
	var from, n, runs uint64 = 0, 500, 20
	fmt.Sscan(os.Getenv("GEN"), &from, &n, &runs)
	runner, err := mem.NewRunner(0)
	if err != nil {
		t.Fatal(err)
	}
	defer runner.Close()
	accepted, total, insns := 0, 0, uint64(0)
	bad := 0
	for seed := from; seed < from+n; seed++ {
		img, p := progen.Generate(seed)
		r := verify.Image(img, p, nil)
		if r.Err != nil {
			continue
		}
		accepted++
		var ms []maps.Map
		for _, name := range p.Maps {
			m, err := maps.New(img.Maps[name], 1)
			if err != nil {
				t.Fatal(err)
			}
			ms = append(ms, m)
		}
		code, err := interp.Compile(p, r.Facts, ms, interp.Options{Checked: true, Budget: 2000000})
		if err != nil {
			t.Fatal(err)
		}
		rr := rand.New(rand.NewPCG(seed, 77))
		call := &helper.Call{Runner: runner, Maps: ms}
		runner.Env.Clock = clock{rr}
		runner.Env.Random = func() uint32 { return uint32(rr.Uint64() >> rr.IntN(64)) }
		for i := uint64(0); i < runs; i++ {
			b := mem.Slice(runner.Context.Addr, int(runner.Context.Size))
			for j := 0; j < 256; j += 8 {
				x := rr.Uint64() >> rr.IntN(64)
				switch rr.IntN(4) { case 0: x = uint64(rr.IntN(80)) - 8; case 1: x = 1<<rr.IntN(64) + uint64(rr.IntN(3)) - 1 }
				for k := 0; k < 8; k++ {
					b[j+k] = byte(x >> (8 * k))
				}
			}
			st := mem.Slice(runner.Stack.Addr, int(runner.Stack.Size))
			for j := range st { st[j] = byte(rr.Uint32()) }
			total++
			_, err := code.Run(call, runner.Context.Addr)
			if err != nil {
				fmt.Println(seed, i, err)
				bad++
				break
			}
		}
		insns += code.Executed()
		for _, m := range ms {
			m.Close()
		}
	}
	fmt.Println("accepted", accepted, "runs", total, "insns", insns, "bad", bad)
}
