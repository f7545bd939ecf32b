package maps

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/cilium/ebpf"

	"github.com/skep-bpf/skep/internal/abi"
)

// TestOuterLikeKernel runs the same random history on maps of maps, here and in
// the kernel, with inner maps that fit and others.
func TestOuterLikeKernel(t *testing.T) {
	skipWithoutBPF(t)
	for i, spec := range []*ebpf.MapSpec{
		{Type: ebpf.ArrayOfMaps, KeySize: 4, ValueSize: 4, MaxEntries: 4, InnerMap: &ebpf.MapSpec{Type: ebpf.Hash, KeySize: 4, ValueSize: 8, MaxEntries: 10}},
		{Type: ebpf.ArrayOfMaps, KeySize: 4, ValueSize: 4, MaxEntries: 3, InnerMap: &ebpf.MapSpec{Type: ebpf.Array, KeySize: 4, ValueSize: 8, MaxEntries: 10}},
		{Type: ebpf.ArrayOfMaps, KeySize: 4, ValueSize: 4, MaxEntries: 3, InnerMap: &ebpf.MapSpec{Type: ebpf.Array, KeySize: 4, ValueSize: 8, MaxEntries: 10, Flags: abi.MapInnerMap}},
		{Type: ebpf.ArrayOfMaps, KeySize: 4, ValueSize: 4, MaxEntries: 3, Flags: abi.MapWronly, InnerMap: &ebpf.MapSpec{Type: ebpf.RingBuf, MaxEntries: 4096}},
		{Type: ebpf.HashOfMaps, KeySize: 4, ValueSize: 4, MaxEntries: 3, InnerMap: &ebpf.MapSpec{Type: ebpf.Array, KeySize: 4, ValueSize: 8, MaxEntries: 10}},
		{Type: ebpf.HashOfMaps, KeySize: 4, ValueSize: 4, MaxEntries: 3, Flags: abi.MapNoPrealloc, InnerMap: &ebpf.MapSpec{Type: ebpf.LPMTrie, KeySize: 8, ValueSize: 8, MaxEntries: 10, Flags: abi.MapNoPrealloc}},
	} {
		t.Run(fmt.Sprint(spec, "/", spec.InnerMap), func(t *testing.T) { outerHistory(t, spec, uint64(i)) })
	}
}

func outerHistory(t *testing.T, spec *ebpf.MapSpec, seed uint64) {
	// The inner maps of both sides by the same index; index 0 is none.
	inner := []*ebpf.MapSpec{
		nil, spec.InnerMap, spec.InnerMap,
		{Type: ebpf.Hash, KeySize: 4, ValueSize: 8, MaxEntries: 10},
		{Type: ebpf.Hash, KeySize: 4, ValueSize: 8, MaxEntries: 11},
		{Type: ebpf.Hash, KeySize: 8, ValueSize: 8, MaxEntries: 10},
		{Type: ebpf.Hash, KeySize: 4, ValueSize: 16, MaxEntries: 10},
		{Type: ebpf.Hash, KeySize: 4, ValueSize: 8, MaxEntries: 10, Flags: abi.MapNoPrealloc},
		{Type: ebpf.Array, KeySize: 4, ValueSize: 8, MaxEntries: 10},
		{Type: ebpf.Array, KeySize: 4, ValueSize: 8, MaxEntries: 11},
		{Type: ebpf.Array, KeySize: 4, ValueSize: 8, MaxEntries: 11, Flags: abi.MapInnerMap},
		{Type: ebpf.RingBuf, MaxEntries: 8192},
	}
	ids := [2][]uint32{{1 << 20}, {0}}
	fds := []int{-1}
	for _, s := range inner[1:] {
		ids[0] = append(ids[0], ID(newTestMap(t, s)))
		k, err := ebpf.NewMap(s)
		if err != nil {
			t.Fatal(err)
		}
		defer k.Close()
		info, err := k.Info()
		if err != nil {
			t.Fatal(err)
		}
		id, _ := info.ID()
		ids[1] = append(ids[1], uint32(id))
		fds = append(fds, k.FD())
	}
	ours := newTestMap(t, spec)
	kernel, err := newKernelMapOf(spec, fds[1])
	if err != nil {
		t.Fatal(err)
	}
	defer kernel.Close()

	r := rand.New(rand.NewPCG(seed, 5))
	flags := []uint64{0, 0, 0, 0, 1, 2, 3, 4, 5}
	refused, put, found := 0, 0, 0
	// The kernel waits for all programs that run after each update.
	for step := range 400 {
		key := key32(r.Uint32N(spec.MaxEntries + 2))
		f := flags[r.IntN(len(flags))]
		var op string
		var errOurs, errKernel error
		switch n := r.IntN(10); {
		case n < 4:
			i := r.IntN(len(inner))
			op = fmt.Sprintf("update with map %d and flags %d", i, f)
			errOurs = ours.Update(key, key32(ids[0][i]), ebpf.MapUpdateFlags(f))
			errKernel = kernel.Update(key, key32(uint32(fds[i])), ebpf.MapUpdateFlags(f))
			if errKernel == nil {
				put++
			} else {
				refused++
			}
		case n < 7:
			op = fmt.Sprintf("lookup with flags %d", f)
			got, want := make([]byte, 4), make([]byte, 4)
			errOurs = ours.Lookup(key, got, ebpf.MapLookupFlags(f))
			errKernel = kernel.Lookup(key, want, ebpf.MapLookupFlags(f))
			if errKernel == nil && errOurs == nil {
				found++
				for i := range inner {
					if (ids[0][i] == binary.NativeEndian.Uint32(got)) != (ids[1][i] == binary.NativeEndian.Uint32(want)) {
						t.Fatalf("step %d: map %d is found on one side only", step, i)
					}
				}
			}
		case n < 8:
			op, errOurs, errKernel = "delete", ours.Delete(key), kernel.Delete(key)
		case n < 9 && spec.Type == ebpf.ArrayOfMaps:
			op, errOurs, errKernel = "next key", ours.NextKey(key, make([]byte, 4)), kernel.NextKey(key, make([]byte, 4))
		default:
			value := make([]byte, 4)
			op = fmt.Sprintf("lookup and delete with flags %d", f)
			errOurs = ours.LookupAndDelete(key, value, ebpf.MapLookupFlags(f))
			errKernel = kernel.LookupAndDelete(key, value, ebpf.MapLookupFlags(f))
		}
		if !sameError(errOurs, errKernel) {
			t.Fatalf("step %d: %s: %v here, %v in the kernel", step, op, errOurs, errKernel)
		}
	}
	if refused < 20 || put < 5 || found < 5 && spec.Flags&abi.MapWronly == 0 {
		t.Errorf("%d maps put in, %d refused, %d found: too few to tell", put, refused, found)
	}
}

// TestHandleArrayErrorsLikeKernel compares what can be without a program or
// cgroup.
func TestHandleArrayErrorsLikeKernel(t *testing.T) {
	skipWithoutBPF(t)
	for _, typ := range []ebpf.MapType{ebpf.ProgramArray, ebpf.CGroupArray} {
		t.Run(typ.String(), func(t *testing.T) { handleArrayErrors(t, typ) })
	}
}

func handleArrayErrors(t *testing.T, typ ebpf.MapType) {
	spec := &ebpf.MapSpec{Type: typ, KeySize: 4, ValueSize: 4, MaxEntries: 3}
	ours := newTestMap(t, spec)
	kernel, err := newKernelMap(spec)
	if err != nil {
		t.Fatal(err)
	}
	defer kernel.Close()
	none := key32(1<<32 - 1)
	for _, i := range []uint32{0, 2, 3, 1 << 31} {
		for f := range uint64(6) {
			value := make([]byte, 4)
			for op, err := range map[string][2]error{
				"lookup":            {ours.Lookup(key32(i), value, ebpf.MapLookupFlags(f)), kernel.Lookup(key32(i), value, ebpf.MapLookupFlags(f))},
				"update":            {ours.Update(key32(i), none, ebpf.MapUpdateFlags(f)), kernel.Update(key32(i), none, ebpf.MapUpdateFlags(f))},
				"delete":            {ours.Delete(key32(i)), kernel.Delete(key32(i))},
				"next key":          {ours.NextKey(key32(i), value), kernel.NextKey(key32(i), value)},
				"lookup and delete": {ours.LookupAndDelete(key32(i), value, ebpf.MapLookupFlags(f)), kernel.LookupAndDelete(key32(i), value, ebpf.MapLookupFlags(f))},
			} {
				if !sameError(err[0], err[1]) {
					t.Errorf("%s of %d with flags %d: %v here, %v in the kernel", op, i, f, err[0], err[1])
				}
			}
		}
	}
	if err := ours.Update(key32(0), none, 0); errors.Is(err, ebpf.ErrNotSupported) {
		t.Error(err)
	}
}
