package verify_test

import (
	"flag"
	"math/rand/v2"
	"testing"

	"github.com/skep-bpf/skep/internal/helper"
	"github.com/skep-bpf/skep/internal/interp"
	"github.com/skep-bpf/skep/internal/maps"
	"github.com/skep-bpf/skep/internal/mem"
	"github.com/skep-bpf/skep/internal/progen"
	"github.com/skep-bpf/skep/verify"
)

var (
	soundFrom     = flag.Uint64("sound.from", 0, "first seed of TestSound")
	soundPrograms = flag.Uint64("sound.programs", 1500, "programs that TestSound generates")
	soundRuns     = flag.Int("sound.runs", 20, "runs of each accepted program")
)

// A randomClock gives any time.
type randomClock struct{ *rand.Rand }

func (c randomClock) Monotonic() uint64 { return c.Uint64() >> c.IntN(64) }
func (c randomClock) Boot() uint64      { return c.Uint64() >> c.IntN(64) }

// What was accepted never traps in the checked interpreter, whatever its inputs
// are, and never runs an instruction that is said not to be reached. For an hour:
//
//	go test ./verify -run TestSound -timeout 0 -sound.from 1000000 -sound.programs 2000000
func TestSound(t *testing.T) {
	runner, err := mem.NewRunner(0)
	if err != nil {
		t.Fatal(err)
	}
	defer runner.Close()
	programs, executed := 0, uint64(0)
	for seed := *soundFrom; seed < *soundFrom+*soundPrograms; seed++ {
		n, accepted := runGenerated(t, runner, seed)
		if accepted {
			programs++
		}
		executed += n
	}
	t.Logf("%d programs, %d runs, %d instructions", programs, programs**soundRuns, executed)
	if executed == 0 {
		t.Error("nothing was run")
	}
}

// runGenerated runs the program of a seed if it is accepted, and gives the
// number of instructions that were executed.
func runGenerated(t *testing.T, runner *mem.Runner, seed uint64) (executed uint64, accepted bool) {
	img, p := progen.Generate(seed)
	r := verify.Image(img, p, nil)
	if !r.Accepted() {
		return 0, false
	}
	var ms []maps.Map
	for _, name := range p.Maps {
		m, err := maps.New(img.Maps[name], 1)
		if err != nil {
			t.Fatal(err)
		}
		defer m.Close()
		ms = append(ms, m)
	}
	// A path that stops goes on where others were walked to their end before, so
	// no run is longer than the whole walk.
	code, err := interp.Compile(p, r.Facts, ms, interp.Options{Checked: true, Budget: uint64(r.Stats.Processed)})
	if err != nil {
		t.Fatalf("seed %d: %v", seed, err)
	}
	random := rand.New(rand.NewPCG(seed, 1))
	call := &helper.Call{Runner: runner, Maps: ms}
	for range *soundRuns {
		runner.Env = mem.Env{
			Clock:  randomClock{random},
			Random: func() uint32 { return uint32(random.Uint64() >> random.IntN(64)) },
			Task:   mem.Task{PID: random.Uint32() >> random.IntN(32), UID: random.Uint32() >> random.IntN(32)},
		}
		fill(random, mem.Slice(runner.Context.Addr, 256))
		fill(random, mem.Slice(runner.Stack.Addr, int(runner.Stack.Size)))
		if _, err := code.Run(call, runner.Context.Addr); err != nil {
			t.Fatalf("seed %d, accepted: %v", seed, err)
		}
	}
	return code.Executed(), true
}

// fill writes numbers as programs compare them with: small ones, powers of two.
func fill(r *rand.Rand, b []byte) {
	for ; len(b) >= 8; b = b[8:] {
		x := r.Uint64() >> r.IntN(64)
		switch r.IntN(4) {
		case 0:
			x = uint64(r.IntN(80)) - 8
		case 1:
			x = 1<<r.IntN(64) + uint64(r.IntN(3)) - 1
		}
		for i := range 8 {
			b[i] = byte(x >> (8 * i))
		}
	}
}
