package interp

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/cilium/ebpf"

	"github.com/skep-bpf/skep/internal/image"
	"github.com/skep-bpf/skep/internal/maps"
	"github.com/skep-bpf/skep/internal/mem"
	"github.com/skep-bpf/skep/internal/progen"
	"github.com/skep-bpf/skep/verify"
)

// runsVariable is the environment variable with the number of checked runs that
// TestAccepted makes, and firstVariable the one with its first seed.
const (
	runsVariable  = "SKEP_RANDOM_RUNS"
	firstVariable = "SKEP_RANDOM_SEED"
)

// inputs is how many contexts each program runs on.
const inputs = 2

// TestAccepted runs random programs that the verifier accepts, on random
// contexts: the checked mode must not trap, and the fast mode must do the same.
func TestAccepted(t *testing.T) {
	runs, seed := 4000, uint64(0)
	if s := os.Getenv(runsVariable); s != "" {
		n, err := strconv.Atoi(s)
		if err != nil {
			t.Fatal(err)
		}
		runs = n
	}
	if s := os.Getenv(firstVariable); s != "" {
		n, err := strconv.ParseUint(s, 0, 64)
		if err != nil {
			t.Fatal(err)
		}
		seed = n
	}
	side := newSide(t)
	done, refused, accepted, executed := 0, 0, 0, uint64(0)
	for ; done < runs; seed++ {
		img, p := progen.Generate(seed)
		verdict := verify.Image(img, p, &verify.Options{})
		if !verdict.Accepted() {
			refused++
			continue
		}
		if verdict.Facts.ContextSize > mem.ContextSize {
			continue // no hook here has such a context
		}
		accepted++
		differ := func() string {
			want := side.outcome(t, seed, img, p, verdict.Facts, Options{Checked: true, Budget: 1 << 30})
			executed += side.code.Executed()
			if got := side.outcome(t, seed, img, p, verdict.Facts, Options{}); got != want {
				return fmt.Sprintf("the checked mode gives\n%s\nthe fast one\n%s", want, got)
			}
			return ""
		}
		// A program may look at the bits of an address, and those of records and of
		// a hash map's values change: what differs by that hardly does so twice.
		difference := differ()
		if difference != "" {
			difference = differ()
		}
		if difference != "" {
			t.Errorf("seed %d: %s", seed, difference)
		}
		done += inputs
	}
	t.Logf("%d runs of %d accepted programs (%d refused), %d instructions", done, accepted, refused, executed)
	// A verifier that refuses everything, or programs that do nothing, would pass.
	if accepted < refused/20 || executed < uint64(10*done) {
		t.Error("too few programs were accepted, or they are too short, to say anything")
	}
}

// A side is a bench with maps that every program uses in turn.
type side struct {
	*bench
	maps map[string]maps.Map
	code *Code
	rng  *rand.Rand
}

func newSide(tb testing.TB) *side {
	s := &side{bench: newBench(tb), maps: map[string]maps.Map{}}
	img, _ := progen.Generate(0)
	for name, spec := range img.Maps {
		m, err := maps.New(spec, 1)
		if err != nil {
			tb.Fatal(err)
		}
		tb.Cleanup(func() { m.Close() })
		s.maps[name] = m
	}
	s.runner.Env.Clock = clock{}
	s.runner.Env.Random = func() uint32 { return s.rng.Uint32() }
	s.runner.Env.Task = mem.Task{PID: 7, TGID: 6, UID: 5, GID: 4, Comm: [16]byte{'s', 'k', 'e', 'p'}}
	s.runner.Env.Print = func([]byte) {}
	return s
}

// outcome runs a program on each input and tells what it returned and left
// behind.
func (s *side) outcome(t *testing.T, seed uint64, img *image.Image, p *image.Program, facts *verify.Facts, o Options) string {
	t.Helper()
	if err := s.load(img, p, facts, o); err != nil {
		t.Fatalf("seed %d: %v", seed, err)
	}
	all := ""
	for input := range uint64(inputs) {
		one, err := s.run(seed, input)
		if err != nil {
			t.Fatalf("seed %d, input %d, %+v: %v", seed, input, o, err)
		}
		all += one + "\n"
	}
	return all
}

// load makes a program ready and the maps as new.
func (s *side) load(img *image.Image, p *image.Program, facts *verify.Facts, o Options) error {
	s.call.Maps = nil
	for _, name := range p.Maps {
		m, spec := s.maps[name], img.Maps[name]
		if spec.Type == ebpf.Hash {
			for _, key := range s.keys(m) {
				if err := m.Delete(key); err != nil {
					return err
				}
			}
		} else {
			// A record begins with what an older one left there.
			for _, r := range m.Ranges() {
				clear(mem.Slice(r.Addr, int(r.Size)))
			}
		}
		for _, kv := range spec.Contents {
			copy(mem.Slice(m.Ranges()[0].Addr, progen.ValueSize), kv.Value.([]byte))
		}
		s.call.Maps = append(s.call.Maps, m)
	}
	code, err := Compile(p, facts, s.call.Maps, o)
	s.code = code
	return err
}

func (s *side) ring() maps.Ring { return s.maps["ring"].(maps.Ring) }

// keys are those of a hash, sorted.
func (s *side) keys(m maps.Map) [][]byte {
	var keys [][]byte
	var last []byte
	for {
		next := make([]byte, m.Spec().KeySize)
		if err := m.NextKey(last, next); err != nil {
			break
		}
		keys = append(keys, next)
		last = next
	}
	slices.SortFunc(keys, bytes.Compare)
	return keys
}

// run runs the program on an input and tells everything that it left behind.
func (s *side) run(seed, input uint64) (string, error) {
	s.rng = rand.New(rand.NewPCG(seed, input))
	context := mem.Slice(s.runner.Context.Addr, mem.ContextSize)
	for i := range context[:512] {
		context[i] = byte(s.rng.Uint32()) & byte(s.rng.Uint32()|s.rng.Uint32())
	}
	r0, err := s.code.Run(s.call, s.runner.Context.Addr)
	if err != nil {
		return "", err
	}
	var out bytes.Buffer
	fmt.Fprintf(&out, "r0 %#x", r0)
	for _, m := range s.call.Maps {
		switch m.Spec().Type {
		case ebpf.Hash:
			for _, key := range s.keys(m) {
				value := make([]byte, m.Spec().ValueSize)
				if err := m.Lookup(key, value, 0); err != nil {
					return "", err
				}
				fmt.Fprintf(&out, " hash %x: %x", key, value)
			}
		case ebpf.RingBuf:
			for {
				record, _, ok := s.ring().ReadRecord(nil)
				if !ok {
					break
				}
				fmt.Fprintf(&out, " record %x", record)
			}
		default:
			for _, r := range m.Ranges() {
				fmt.Fprintf(&out, " %s %x", m.Spec().Name, bytes.TrimRight(mem.Slice(r.Addr, int(r.Size)), "\x00"))
			}
		}
	}
	return out.String(), nil
}

// clock stands still.
type clock struct{}

func (clock) Monotonic() uint64 { return uint64(time.Hour) }
func (clock) Boot() uint64      { return uint64(2 * time.Hour) }
