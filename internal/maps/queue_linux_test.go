package maps

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"syscall"
	"testing"

	"github.com/cilium/ebpf"

	"github.com/skep-bpf/skep/internal/abi"
)

// TestKeylessLikeKernel runs the same random history on maps without keys, here
// and in the kernel. The answers of a bloom filter are its own where a value was
// not put in; see TestBloom.
func TestKeylessLikeKernel(t *testing.T) {
	skipWithoutBPF(t)
	for i, spec := range []*ebpf.MapSpec{
		{Type: ebpf.Queue, ValueSize: 1, MaxEntries: 1},
		{Type: ebpf.Queue, ValueSize: 20, MaxEntries: 7},
		{Type: ebpf.Queue, ValueSize: 8, MaxEntries: 64, Flags: abi.MapRdonlyProg},
		{Type: ebpf.Queue, ValueSize: 4, MaxEntries: 5, Flags: abi.MapRdonly},
		{Type: ebpf.Queue, ValueSize: 4, MaxEntries: 5, Flags: abi.MapWronly},
		{Type: ebpf.Stack, ValueSize: 1, MaxEntries: 1},
		{Type: ebpf.Stack, ValueSize: 13, MaxEntries: 9},
		{Type: ebpf.Stack, ValueSize: 8, MaxEntries: 100},
		{Type: ebpf.BloomFilter, ValueSize: 2, MaxEntries: 1000},
		{Type: ebpf.BloomFilter, ValueSize: 2, MaxEntries: 1000, MapExtra: 3},
		{Type: ebpf.BloomFilter, ValueSize: 2, MaxEntries: 1000, Flags: abi.MapWronly},
	} {
		t.Run(fmt.Sprint(spec), func(t *testing.T) { keylessHistory(t, spec, uint64(i)) })
	}
}

func keylessHistory(t *testing.T, spec *ebpf.MapSpec, seed uint64) {
	ours := newTestMap(t, spec)
	kernel, err := newKernelMap(spec)
	if err != nil {
		t.Fatal(err)
	}
	defer kernel.Close()
	bloom := spec.Type == ebpf.BloomFilter
	r := rand.New(rand.NewPCG(seed, 3))
	updateFlags := []uint64{0, 0, 0, 0, 0, 2, 2, 1, 3, 4, 5, 6, 8, 1 << 32}
	lookupFlags := []uint64{0, 0, 0, 0, 0, 1, 2, 4, 5, 8, 1 << 40}
	pushed := map[string]bool{}
	counts := map[string]int{}
	for step := range 4000 {
		var op string
		var errOurs, errKernel error
		got := make([]byte, spec.ValueSize)
		for i := range got {
			got[i] = byte(r.Uint32())
		}
		want := bytes.Clone(got)
		lf := ebpf.MapLookupFlags(lookupFlags[r.IntN(len(lookupFlags))])
		uf := ebpf.MapUpdateFlags(updateFlags[r.IntN(len(updateFlags))])
		n := r.IntN(20)
		if n > 6 && step/200%2 == 0 {
			n = 0 // phases that mostly add and phases that mostly remove
		}
		switch {
		case n < 4:
			op = fmt.Sprintf("push with flags %#x", uf)
			errOurs, errKernel = ours.Update(nil, got, uf), kernel.Update(nil, want, uf)
			if errKernel == nil {
				pushed[string(want)] = true
			}
		case n < 7:
			if bloom && !pushed[string(got)] {
				continue
			}
			op = fmt.Sprintf("peek with flags %#x", lf)
			errOurs, errKernel = ours.Lookup(nil, got, lf), kernel.Lookup(nil, want, lf)
		case n == 7:
			op, errOurs, errKernel = "delete", ours.Delete(nil), kernel.Delete(nil)
		case n == 8:
			op, errOurs, errKernel = "next key", ours.NextKey(nil, nil), kernel.NextKey(nil, make([]byte, 8))
		default:
			op = fmt.Sprintf("pop with flags %#x", lf)
			errOurs, errKernel = ours.LookupAndDelete(nil, got, lf), kernel.LookupAndDelete(nil, want, lf)
		}
		counts[fmt.Sprintf("%s: %v", op, errKernel)]++
		if !sameError(errOurs, errKernel) {
			t.Fatalf("step %d: %s: %v here, %v in the kernel", step, op, errOurs, errKernel)
		}
		if errKernel == nil && !bytes.Equal(got, want) {
			t.Fatalf("step %d: %s: % x here, % x in the kernel", step, op, got, want)
		}
		if step == 3800 && seed%2 == 0 {
			if errOurs, errKernel := ours.Freeze(), kernel.Freeze(); !sameError(errOurs, errKernel) {
				t.Fatalf("freeze: %v here, %v in the kernel", errOurs, errKernel)
			}
		}
	}
	if testing.Verbose() {
		t.Log(counts)
	}
	if counts["push with flags 0x0: "+fmt.Sprint(error(nil))] == 0 && spec.Flags&abi.MapRdonly == 0 {
		t.Errorf("nothing was ever put in: %v", counts)
	}
	if full := fmt.Sprintf("push with flags 0x0: %v", syscall.E2BIG); counts[full] == 0 && !bloom && spec.Flags&abi.MapRdonly == 0 {
		t.Errorf("the map was never full: %v", counts)
	}
}
