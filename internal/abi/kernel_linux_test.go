package abi

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"golang.org/x/sys/unix"
)

// referenceKernel is the version that the tables are of.
const referenceKernel = "6.18."

// load puts a program to the running kernel and says why it was refused.
func load(t *testing.T, p ebpf.ProgramType, license string, insns ...asm.Instruction) error {
	t.Helper()
	spec := &ebpf.ProgramSpec{Type: p, License: license, Instructions: insns}
	switch p {
	case ebpf.XDP:
		spec.AttachType = ebpf.AttachXDP
	case ebpf.Syscall:
		spec.Flags = 1 << 4 // BPF_F_SLEEPABLE, without which there are none
	}
	prog, err := ebpf.NewProgramWithOptions(spec, ebpf.ProgramOptions{LogSizeStart: 1 << 16})
	if err == nil {
		prog.Close()
	}
	if errors.Is(err, ebpf.ErrNotSupported) {
		t.Skipf("no eBPF in this system: %v", err)
	}
	return err
}

// needBPF skips a test where bpf() is not permitted or the kernel is another.
func needBPF(t *testing.T) {
	t.Helper()
	var name unix.Utsname
	if err := unix.Uname(&name); err != nil {
		t.Fatal(err)
	}
	if release := unix.ByteSliceToString(name.Release[:]); !strings.HasPrefix(release, referenceKernel) {
		t.Skipf("the running kernel is %s; the tables are of %sx", release, referenceKernel)
	}
	err := load(t, ebpf.SocketFilter, "GPL", asm.Mov.Imm(asm.R0, 0), asm.Return())
	if errors.Is(err, os.ErrPermission) {
		t.Skipf("bpf() is not permitted here: %v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// The GPL flags are those of the running kernel.
func TestGPLAgainstKernel(t *testing.T) {
	needBPF(t)
	asked := 0
	for _, h := range helpers {
		for _, p := range []ebpf.ProgramType{ebpf.Kprobe, ebpf.SchedCLS, ebpf.PerfEvent, ebpf.Syscall} {
			if !available[p].has(h.ID) {
				continue
			}
			err := load(t, p, "Proprietary", h.ID.Call(), asm.Mov.Imm(asm.R0, 0), asm.Return())
			if unknown(err) {
				continue // not in this kernel's configuration
			}
			asked++
			if gpl := err != nil && strings.Contains(fmt.Sprintf("%+v", err), "GPL"); gpl != h.GPL {
				t.Errorf("%s in %v: GPL %v, the kernel says %v (%v)", h.Name, p, h.GPL, gpl, err)
			}
			break
		}
	}
	if asked < 100 {
		t.Errorf("the kernel judged %d helpers only", asked)
	}
}

func unknown(err error) bool {
	s := fmt.Sprintf("%+v", err)
	return strings.Contains(s, "unknown func") || strings.Contains(s, "cannot use helper") || strings.Contains(s, "program of this type cannot")
}

// What a program may do with its context is what the running kernel allows.
func TestContextAgainstKernel(t *testing.T) {
	needBPF(t)
	for _, p := range ProgramTypes {
		if p.Context.Size == 0 {
			continue
		}
		// The kernel answers about 10,000 times a second; the whole of the
		// tracepoint's buffer says no more than its beginning.
		size := min(p.Context.Size, 184)
		for off := 0; off < size+8; off += 2 {
			for _, w := range []asm.Size{asm.Byte, asm.Half, asm.Word, asm.DWord} {
				for _, write := range []bool{false, true} {
					access := asm.LoadMem(asm.R2, asm.R1, int16(off), w)
					if write {
						access = asm.StoreMem(asm.R1, int16(off), asm.R0, w)
					}
					err := load(t, p.Type, "GPL", asm.Mov.Imm(asm.R0, 0), access, asm.Return())
					if got := p.Context.Allows(off, w.Sizeof(), write); got != (err == nil) && p.Context.Size >= off+w.Sizeof() {
						t.Errorf("%s: %d bytes at %d, write %v: %v, the kernel says %v", p.Name, w.Sizeof(), off, write, got, err)
					}
				}
			}
		}
	}
}
