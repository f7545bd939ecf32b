package verify

import (
	"strings"
	"testing"

	"github.com/cilium/ebpf"

	"github.com/skep-bpf/skep/internal/image"
)

// opcodeDifferences are messages of the running kernel to single instructions
// that we judge otherwise.
var opcodeDifferences = []struct{ ours, kernel, why string }{
	{"unsupported", "", "not known here yet"},
	{"pointer-", "", leaks},
}

// Every opcode, with every kind of field set or not, is refused by both or by
// neither.
func TestOpcodesAgainstKernel(t *testing.T) {
	needBPF(t)
	before := []image.Insn{
		{Op: 0x7a, Dst: 10, Off: -8}, {Op: 0x7a, Dst: 10, Off: -16},
		{Op: 0xbf, Dst: 1, Src: 10}, {Op: 0x07, Dst: 1, Imm: -16},
		{Op: 0xb7, Dst: 0, Imm: 1}, {Op: 0xb7, Dst: 2, Imm: 1},
	}
	after := []image.Insn{{Op: 0xb7, Dst: 0}, {Op: 0xb7, Dst: 0}, {Op: opExit}}
	asked, accepted := 0, 0
	for op := range 256 {
		if op == int(opLoadImm64) {
			continue // it has two slots
		}
		for _, dst := range []uint8{0, 1, 2, 10, 11} {
			for _, src := range []uint8{0, 1, 2, 10, 11} {
				for _, off := range []int16{0, 1, 8, 32} {
					for _, imm := range []int32{0, 1, 16} {
						if (op*7+int(dst)*5+int(src)*3+int(off)+int(imm))%4 != 0 {
							continue // a quarter of them is enough
						}
						in := image.Insn{Op: uint8(op), Dst: dst, Src: src, Off: off, Imm: imm}
						p := &image.Program{Name: "opcode", Type: ebpf.RawTracepoint, License: "GPL",
							Insns: append(append(append([]image.Insn{}, before...), in), after...)}
						r := Image(&image.Image{}, p, nil)
						k, err := askKernel(&image.Image{}, p, 4)
						if err != nil && !strings.Contains(err.Error(), "invalid argument") && !strings.Contains(err.Error(), "bad file") {
							t.Fatalf("%+v: %v", in, err)
						}
						asked++
						if k.accepted {
							accepted++
						}
						if r.Accepted() == k.accepted || !r.Accepted() && different(r.Err, k) {
							continue
						}
						t.Errorf("%+v: %v; the kernel: %v %s %v", in, r.Err, k.accepted, k.reason, err)
					}
				}
			}
		}
	}
	if accepted < 100 || asked-accepted < 100 {
		t.Errorf("the kernel accepts %d of %d instructions: that tells nothing", accepted, asked)
	}
}

func different(err *Error, k kernelVerdict) bool {
	for _, d := range opcodeDifferences {
		if strings.HasPrefix(string(err.Code), d.ours) && strings.Contains(k.reason, d.kernel) {
			return true
		}
	}
	return false
}
