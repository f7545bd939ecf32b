package verify

import (
	"testing"

	"github.com/cilium/ebpf"

	"github.com/skep-bpf/skep/internal/image"
	"github.com/skep-bpf/skep/internal/progen"
)

// Generated programs lie on both sides of the border, and an answer is an answer:
// a code of the table, an instruction of the program, facts only if accepted.
func TestGenerated(t *testing.T) {
	n := uint64(2000)
	if testing.Short() {
		n = 200
	}
	known := map[Code]bool{}
	for _, c := range Codes {
		known[c.Code] = true
	}
	accepted := uint64(0)
	for seed := range n {
		img, p := progen.Generate(seed)
		r := Image(img, p, nil)
		checkResult(t, p, r, known)
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
		if r.Accepted() {
			accepted++
		}
	}
	if accepted < n/4 || accepted > n*3/4 {
		t.Errorf("%d of %d programs were accepted: the generator is off the border", accepted, n)
	}
}

func checkResult(t *testing.T, p *image.Program, r *Result, known map[Code]bool) {
	t.Helper()
	if r.Accepted() != (r.Facts != nil) {
		t.Errorf("error %v with facts %v", r.Err, r.Facts)
	}
	if r.Accepted() {
		if len(r.Facts.Insns) != len(p.Insns) || !r.Facts.Insns[0].Reached {
			t.Errorf("facts for %d of %d instructions", len(r.Facts.Insns), len(p.Insns))
		}
		for s, depth := range r.Facts.StackDepth {
			if depth < 0 || depth > stackSize {
				t.Errorf("subprogram %d uses %d bytes of stack", s, depth)
			}
		}
		return
	}
	if !known[r.Err.Code] || r.Err.Message == "" || r.Err.Error() == "" {
		t.Errorf("%+v", r.Err)
	}
	if r.Err.Insn < -1 || r.Err.Insn >= len(p.Insns) {
		t.Errorf("instruction %d of %d", r.Err.Insn, len(p.Insns))
	}
	for _, at := range r.Err.Path {
		if at < 0 || at >= len(p.Insns) {
			t.Errorf("the path goes through instruction %d of %d", at, len(p.Insns))
		}
	}
}

// Whatever the instructions are, the verifier ends with an answer.
func FuzzVerify(f *testing.F) {
	for seed := range uint64(20) {
		_, p := progen.Generate(seed)
		f.Add(progen.Encode(p.Insns), uint8(p.Type), uint16(len(p.Insns)/2))
	}
	known := map[Code]bool{}
	for _, c := range Codes {
		known[c.Code] = true
	}
	f.Fuzz(func(t *testing.T, code []byte, typ uint8, start uint16) {
		img, p := progen.Generate(uint64(typ))
		p.Insns = progen.Decode(code)
		p.Type = ebpf.ProgramType(typ)
		p.Subprograms = []image.Subprogram{{Start: 0, Name: "main"}, {Start: int(start), Name: "other"}}
		if start == 0 {
			p.Subprograms = p.Subprograms[:1]
		}
		checkResult(t, p, Image(img, p, nil), known)
	})
}

func BenchmarkGenerated(b *testing.B) {
	var imgs []*image.Image
	var ps []*image.Program
	for seed := range uint64(100) {
		img, p := progen.Generate(seed)
		if r := Image(img, p, nil); r.Accepted() && r.Stats.Processed < 10_000 {
			imgs, ps = append(imgs, img), append(ps, p)
		}
	}
	insns := 0
	for b.Loop() {
		for i, p := range ps {
			insns += Image(imgs[i], p, nil).Stats.Processed
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(insns), "ns/insn")
}
