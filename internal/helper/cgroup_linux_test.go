package helper

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"

	"github.com/skep-bpf/skep/internal/maps"
)

// noCgroups is why nothing can be said about cgroups here.
type noCgroups struct{ err error }

func (e noCgroups) Error() string {
	return fmt.Sprintf("cgroups (version 2) can't be made below %q: %v", cgroupRoot(), e.err)
}

// newCgroup makes a cgroup and gives its directory.
func newCgroup(t *testing.T, dir ...string) *os.File {
	t.Helper()
	if cgroupRoot() == "" {
		t.Skip(noCgroups{errors.New("they are not mounted")})
	}
	path := filepath.Join(append([]string{cgroupRoot()}, dir...)...)
	if err := os.Mkdir(path, 0o755); err != nil {
		t.Skip(noCgroups{err})
	}
	t.Cleanup(func() { os.Remove(path) })
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

// TestCgroupsLikeKernel asks where the test itself is: in a cgroup of its own, which
// has one above, one below and one beside it.
func TestCgroupsLikeKernel(t *testing.T) {
	s := newSides(t)
	name := fmt.Sprintf("skep-test-%d", os.Getpid())
	above := newCgroup(t, name)
	own := newCgroup(t, name, "own")
	below := newCgroup(t, name, "own", "below")
	beside := newCgroup(t, name, "owner")
	root, err := os.Open(cgroupRoot())
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()

	pid := fmt.Append(nil, os.Getpid())
	s.call.Runner.Env.Task.PID = uint32(os.Getpid())
	before := string(s.call.cgroup())
	if before == "" {
		t.Fatal("the test is in no cgroup")
	}
	if err := os.WriteFile(own.Name()+"/cgroup.procs", pid, 0); err != nil {
		t.Skip(noCgroups{err})
	}
	t.Cleanup(func() {
		if err := os.WriteFile(filepath.Join(cgroupRoot(), before, "cgroup.procs"), pid, 0); err != nil {
			t.Error(err)
		}
	})
	s.run(t, asm.FnGetCurrentCgroupId, make([]byte, memory))

	spec := &ebpf.MapSpec{Type: ebpf.CGroupArray, KeySize: 4, ValueSize: 4, MaxEntries: 6}
	kernel, err := ebpf.NewMap(spec)
	if err != nil {
		t.Fatal(err)
	}
	defer kernel.Close()
	s.kernel = append(s.kernel, kernel)
	ours := newMap(t, spec)
	s.call.Maps = append(s.call.Maps, ours)
	index := uint64(len(s.kernel) - 1)
	for i, f := range []*os.File{own, above, below, beside, root} {
		if err := kernel.Put(uint32(i), uint32(f.Fd())); err != nil {
			t.Fatal(err)
		}
		key := binary.NativeEndian.AppendUint32(nil, uint32(i))
		if err := ours.Update(key, binary.NativeEndian.AppendUint32(nil, uint32(f.Fd())), 0); err != nil {
			t.Fatal(err)
		}
	}
	var answers [2]int
	for _, i := range []uint64{0, 1, 2, 3, 4, 5, 6, 1 << 31} {
		if r0, _ := s.run(t, asm.FnCurrentTaskUnderCgroup, make([]byte, memory), handleOf(index), num(i)); r0 < 2 {
			answers[r0]++
		}
	}
	if answers != [2]int{2, 3} {
		t.Errorf("not in %d and in %d cgroups, want 2 and 3", answers[0], answers[1])
	}
	// A file that is no cgroup.
	f, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := ours.Update(make([]byte, 4), binary.NativeEndian.AppendUint32(nil, uint32(f.Fd())), 0); err == nil {
		t.Error("a device was put in as a cgroup")
	}
	if a := ours.(maps.CgroupArray); a == nil {
		t.Error("no cgroup array")
	}
	// Without a task there is no cgroup.
	s.call.Runner.Env.Task.PID = 0
	if id := For(asm.FnGetCurrentCgroupId)(s.call, 0, 0, 0, 0, 0); id != 0 {
		t.Errorf("nobody is in cgroup %d", id)
	}
}

func TestParent(t *testing.T) {
	for path, want := range map[string]string{"/": "", "/a": "/", "/a/b": "/a", "/a/bc/d": "/a/bc"} {
		if got := parent([]byte(path)); string(got) != want {
			t.Errorf("above %q: %q, want %q", path, got, want)
		}
	}
}
