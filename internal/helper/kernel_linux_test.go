package helper

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/rlimit"
	"golang.org/x/sys/unix"

	"github.com/skep-bpf/skep/internal/maps"
	"github.com/skep-bpf/skep/internal/mem"
)

// The tests here run one helper with the same arguments in the kernel
// (BPF_PROG_TEST_RUN of a raw tracepoint program) and here, and compare R0 and
// all memory that the helper can have written.

// memory is the size of the map value that both sides work on.
const memory = 16 << 10

// An argument is what goes into a register.
type argument struct {
	kind argumentKind
	v    uint64
}

type argumentKind int

const (
	number  argumentKind = iota // v itself
	pointer                     // byte v of the memory
	handle                      // map v of specs
	context                     // the program's context
)

func num(v uint64) argument          { return argument{number, v} }
func ptr(v uint64) argument          { return argument{pointer, v} }
func handleOf(index uint64) argument { return argument{handle, index} }
func ctx() argument                  { return argument{kind: context} }

// sides is the pair of engines that a test compares.
type sides struct {
	kernel []*ebpf.Map // of specs
	ours   []maps.Map
	call   *Call
	start  uint64 // address of our memory
	typ    ebpf.ProgramType
}

// The indices of specs.
const (
	memoryMap = iota
	ringMap
	hashMap
	arrayMap
	perCPUMap
	perCPUHashMap
	lruMap
	trieMap
	queueMap
	stackMap
	bloomMap
	perfMap
)

func specs() []*ebpf.MapSpec {
	return []*ebpf.MapSpec{
		{Name: "memory", Type: ebpf.Array, KeySize: 4, ValueSize: memory, MaxEntries: 1},
		{Name: "ring", Type: ebpf.RingBuf, MaxEntries: 4096},
		{Name: "hash", Type: ebpf.Hash, KeySize: 8, ValueSize: 8, MaxEntries: 2},
		{Name: "array", Type: ebpf.Array, KeySize: 4, ValueSize: 12, MaxEntries: 2},
		{Name: "percpu", Type: ebpf.PerCPUArray, KeySize: 4, ValueSize: 12, MaxEntries: 2},
		{Name: "percpu_hash", Type: ebpf.PerCPUHash, KeySize: 8, ValueSize: 8, MaxEntries: 2},
		{Name: "lru", Type: ebpf.LRUHash, KeySize: 8, ValueSize: 8, MaxEntries: 1000}, // so that none is given up
		{Name: "trie", Type: ebpf.LPMTrie, KeySize: 8, ValueSize: 8, MaxEntries: 2, Flags: 1},
		{Name: "queue", Type: ebpf.Queue, ValueSize: 12, MaxEntries: 3},
		{Name: "stack", Type: ebpf.Stack, ValueSize: 12, MaxEntries: 3},
		{Name: "bloom", Type: ebpf.BloomFilter, ValueSize: 8, MaxEntries: 1000},
		{Name: "perf", Type: ebpf.PerfEventArray, KeySize: 4, ValueSize: 4, MaxEntries: uint32(ebpf.MustPossibleCPU())},
	}
}

// newSides makes both sides, and skips the test where there is no bpf().
func newSides(t *testing.T) *sides {
	t.Helper()
	skipWithoutBPF(t)
	s := &sides{typ: ebpf.RawTracepoint}
	cpus := ebpf.MustPossibleCPU()
	for _, spec := range specs() {
		k, err := ebpf.NewMap(spec)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { k.Close() })
		s.kernel = append(s.kernel, k)
		m, err := maps.New(spec, cpus)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { m.Close() })
		s.ours = append(s.ours, m)
	}
	s.start, _ = s.ours[memoryMap].(maps.Direct).ValueAddr(0)
	s.call = newCall(t, stayOnCPU(t), s.ours...)
	s.call.Runner.Env.Memory = ownProcess{}
	return s
}

// ownProcess is the memory of the test itself, which is what the kernel's side
// sees as the current task's.
type ownProcess struct{}

func (ownProcess) ReadAt(p []byte, addr uint64) int {
	n, err := unix.ProcessVMReadv(os.Getpid(),
		[]unix.Iovec{{Base: &p[0], Len: uint64(len(p))}},
		[]unix.RemoteIovec{{Base: uintptr(addr), Len: len(p)}}, 0)
	if err != nil {
		return 0
	}
	return n
}

// run calls a helper on both sides with the same memory and compares.
func (s *sides) run(t *testing.T, id asm.BuiltinFunc, memory []byte, args ...argument) (r0 uint64, after []byte) {
	t.Helper()
	r0, after = s.runKernel(t, id, memory, args...)

	ours := mem.Slice(s.start, len(memory))
	copy(ours, memory)
	var r [5]uint64
	for i, a := range args {
		switch a.kind {
		case number:
			r[i] = a.v
		case pointer:
			r[i] = s.start + a.v
		case handle:
			r[i] = MapHandle(int(a.v))
		case context:
			r[i] = s.call.Runner.Context.Addr
		}
	}
	got := For(id)(s.call, r[0], r[1], r[2], r[3], r[4])
	if got != r0 {
		t.Errorf("%v%v: R0 is %d here, %d in the kernel", id, args, int64(got), int64(r0))
	}
	if !bytes.Equal(ours, after) {
		t.Errorf("%v%v: memory differs:\nhere   %s\nkernel %s", id, args, difference(ours, after), difference(after, ours))
	}
	return r0, after
}

// difference shows the bytes of a around the first that differs from b.
func difference(a, b []byte) string {
	i := 0
	for i < len(a) && a[i] == b[i] {
		i++
	}
	return fmt.Sprintf("at %d: %q", i, a[max(i-8, 0):min(i+24, len(a))])
}

func (s *sides) runKernel(t *testing.T, id asm.BuiltinFunc, memory []byte, args ...argument) (r0 uint64, after []byte) {
	t.Helper()
	if err := s.kernel[memoryMap].Put(uint32(0), memory); err != nil {
		t.Fatal(err)
	}
	insns := asm.Instructions{asm.Mov.Reg(asm.R6, asm.R1)}
	for i, a := range args {
		r := asm.R1 + asm.Register(i)
		switch a.kind {
		case number:
			insns = append(insns, asm.LoadImm(r, int64(a.v), asm.DWord))
		case pointer:
			insns = append(insns, asm.LoadMapValue(r, s.kernel[memoryMap].FD(), uint32(a.v)))
		case handle:
			insns = append(insns, asm.LoadMapPtr(r, s.kernel[a.v].FD()))
		case context:
			insns = append(insns, asm.Mov.Reg(r, asm.R6))
		}
	}
	insns = append(insns, id.Call())
	r0 = s.runProgram(t, insns, len(memory))
	after = make([]byte, len(memory))
	if err := s.kernel[memoryMap].Lookup(uint32(0), after); err != nil {
		t.Fatal(err)
	}
	copy(after[len(after)-8:], memory[len(memory)-8:])
	return r0, after
}

// runProgram runs instructions in the kernel and gives what they leave in R0,
// which goes through the last 8 bytes of the memory.
func (s *sides) runProgram(t *testing.T, insns asm.Instructions, memory int) (r0 uint64) {
	t.Helper()
	spec := &ebpf.ProgramSpec{
		Type: s.typ, License: "GPL",
		Instructions: append(insns[:len(insns):len(insns)],
			asm.LoadMapValue(asm.R1, s.kernel[memoryMap].FD(), uint32(memory-8)),
			asm.StoreMem(asm.R1, 0, asm.R0, asm.DWord),
			asm.Mov.Imm(asm.R0, 0),
			asm.Return(),
		),
	}
	options := &ebpf.RunOptions{}
	switch s.typ {
	case ebpf.Syscall:
		spec.Flags = unix.BPF_F_SLEEPABLE
	case ebpf.SchedCLS:
		options.Data = make([]byte, 64)
	}
	p, err := ebpf.NewProgram(spec)
	if err != nil {
		var verifier *ebpf.VerifierError
		if errors.As(err, &verifier) {
			t.Fatalf("the kernel refuses the program\n%v\n%s", insns, strings.Join(verifier.Log, "\n"))
		}
		t.Fatal(err)
	}
	defer p.Close()
	if _, err := p.Run(options); err != nil {
		t.Fatal(err)
	}
	value := make([]byte, memory)
	if err := s.kernel[memoryMap].Lookup(uint32(0), value); err != nil {
		t.Fatal(err)
	}
	return binary.NativeEndian.Uint64(value[memory-8:])
}

// stayOnCPU keeps the test on one CPU, on which the kernel then runs its programs
// too, and gives its number.
func stayOnCPU(t *testing.T) int {
	t.Helper()
	runtime.LockOSThread()
	t.Cleanup(runtime.UnlockOSThread)
	var before, one unix.CPUSet
	if err := unix.SchedGetaffinity(0, &before); err != nil {
		t.Fatal(err)
	}
	cpu := 0
	for !before.IsSet(cpu) {
		cpu++
	}
	one.Set(cpu)
	if err := unix.SchedSetaffinity(0, &one); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.SchedSetaffinity(0, &before) })
	return cpu
}

// bpfNotPermitted is why a comparison with the kernel is skipped.
type bpfNotPermitted struct{ err error }

func (e bpfNotPermitted) Error() string {
	return fmt.Sprintf("bpf() is not permitted here, so there is no kernel to compare with: %v", e.err)
}

func skipWithoutBPF(t testing.TB) {
	t.Helper()
	rlimit.RemoveMemlock()
	m, err := ebpf.NewMap(&ebpf.MapSpec{Type: ebpf.Array, KeySize: 4, ValueSize: 4, MaxEntries: 1})
	switch {
	case err == nil:
		m.Close()
	case errors.Is(err, unix.EPERM) || errors.Is(err, unix.ENOSYS):
		t.Skip(bpfNotPermitted{err})
	default:
		t.Fatal(err)
	}
}
