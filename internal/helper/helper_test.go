package helper

import (
	"bytes"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"

	"github.com/skep-bpf/skep/internal/abi"
	"github.com/skep-bpf/skep/internal/maps"
	"github.com/skep-bpf/skep/internal/mem"
)

// newCall makes what a program with these maps would be called with.
func newCall(t testing.TB, cpu int, ms ...maps.Map) *Call {
	t.Helper()
	r, err := mem.NewRunner(cpu)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	return &Call{Runner: r, Maps: ms}
}

func newMap(t testing.TB, spec *ebpf.MapSpec) maps.Map {
	t.Helper()
	m, err := maps.New(spec, 2)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	return m
}

// TestTableNamesBodies compares the helpers that the table says have a Go body
// with those that have one.
func TestTableNamesBodies(t *testing.T) {
	n := 0
	for id := asm.BuiltinFunc(0); id < 1000; id++ {
		row := abi.HelperByID(id)
		has := For(id) != nil
		if says := row != nil && row.Support&abi.Go != 0; says != has {
			t.Errorf("%s: the table says %v, there is a body: %v", id, says, has)
		}
		if has {
			n++
		}
	}
	if n != len(bodies) {
		t.Errorf("%d of %d bodies have an id below 1000", n, len(bodies))
	}
}

func TestMapHandles(t *testing.T) {
	a := newMap(t, &ebpf.MapSpec{Type: ebpf.Array, KeySize: 4, ValueSize: 4, MaxEntries: 1})
	b := newMap(t, &ebpf.MapSpec{Type: ebpf.RingBuf, MaxEntries: 4096})
	c := newCall(t, 0, a, b)
	if c.Map(MapHandle(0)) != a || c.Map(MapHandle(1)) != b {
		t.Error("handles don't lead to their maps")
	}
	for _, h := range []uint64{0, 1, MapHandle(2), MapHandle(-1), ^uint64(0), c.Runner.Stack.Addr} {
		if m := c.Map(h); m != nil {
			t.Errorf("handle %#x leads to %v", h, m.Spec())
		}
	}
	// What is no map or another kind of map.
	for _, h := range []uint64{0, MapHandle(0)} {
		for id, want := range map[asm.BuiltinFunc]uint64{
			asm.FnRingbufReserve: 0, asm.FnRingbufOutput: mem.EINVAL.R0(), asm.FnRingbufQuery: 0,
		} {
			if r := For(id)(c, h, 0, 0, 0, 0); r != want {
				t.Errorf("%s of map %#x: %#x", id, h, r)
			}
		}
	}
	for id, want := range map[asm.BuiltinFunc]uint64{
		asm.FnMapLookupElem: 0, asm.FnMapUpdateElem: mem.EINVAL.R0(), asm.FnMapDeleteElem: mem.EINVAL.R0(),
	} {
		if r := For(id)(c, 0, 0, 0, 0, 0); r != want {
			t.Errorf("%s without a map: %#x", id, r)
		}
	}
	for _, id := range []asm.BuiltinFunc{asm.FnMapUpdateElem, asm.FnMapDeleteElem} {
		if r := For(id)(c, MapHandle(1), c.Runner.Stack.Addr, c.Runner.Stack.Addr, 0, 0); r != mem.ENOTSUPP.R0() {
			t.Errorf("%s of a ring buffer: %d", id, int64(r))
		}
	}
}

func TestTask(t *testing.T) {
	c := newCall(t, 3)
	buf := c.Runner.Context.Addr
	call := func(id asm.BuiltinFunc, r ...uint64) uint64 {
		r = append(r, 0, 0)
		return For(id)(c, r[0], r[1], 0, 0, 0)
	}
	if id := call(asm.FnGetCurrentPidTgid) | call(asm.FnGetCurrentUidGid) | call(asm.FnGetCurrentTask) | call(asm.FnGetCurrentTaskBtf); id != 0 {
		t.Errorf("nobody has an identity: %#x", id)
	}
	c.Runner.Env = mem.Env{
		Task:   mem.Task{PID: 11, TGID: 10, UID: 1000, GID: 100, Comm: [16]byte{'s', 'k', 'e', 'p'}},
		Kernel: &mem.Kernel{CurrentTask: func() uint64 { return 0xffff_8880_0000_1000 }},
	}
	for id, want := range map[asm.BuiltinFunc]uint64{
		asm.FnGetCurrentPidTgid: 10<<32 | 11, asm.FnGetCurrentUidGid: 100<<32 | 1000, asm.FnGetSmpProcessorId: 3,
		asm.FnGetCurrentTask: 0xffff_8880_0000_1000, asm.FnGetCurrentTaskBtf: 0xffff_8880_0000_1000,
	} {
		if got := call(id); got != want {
			t.Errorf("%s: %#x, want %#x", id, got, want)
		}
	}
	for size, want := range map[uint64]string{1: "\x00", 3: "sk\x00", 4: "ske\x00", 5: "skep\x00", 16: "skep" + string(make([]byte, 12)), 20: "skep" + string(make([]byte, 16))} {
		b := mem.Slice(buf, 24)
		for i := range b {
			b[i] = 0xaa
		}
		if r := call(asm.FnGetCurrentComm, buf, size); r != 0 || string(b[:size]) != want || b[size] != 0xaa {
			t.Errorf("comm into %d bytes: %d, %q", size, int64(r), b)
		}
	}
}

// fixed is a clock that stands still.
type fixed struct{}

func (fixed) Monotonic() uint64 { return 1_000 }
func (fixed) Boot() uint64      { return 2_000 }

func TestTimeAndRandom(t *testing.T) {
	c := newCall(t, 0)
	call := func(id asm.BuiltinFunc) uint64 { return For(id)(c, 0, 0, 0, 0, 0) }
	last := uint64(0)
	for range 1000 {
		now := call(asm.FnKtimeGetNs)
		if now < last {
			t.Fatalf("time goes from %d to %d", last, now)
		}
		last = now
	}
	if m, b := call(asm.FnKtimeGetNs), call(asm.FnKtimeGetBootNs); b < m {
		t.Errorf("time since boot %d is less than without suspension, %d", b, m)
	}
	var or, and uint64
	and--
	for range 1000 {
		r := call(asm.FnGetPrandomU32)
		or, and = or|r, and&r
	}
	if or != 0xffff_ffff || and != 0 {
		t.Errorf("1000 random numbers have bits %#x set and %#x always", or, and)
	}
	c.Runner.Env = mem.Env{Clock: fixed{}, Random: func() uint32 { return 7 }}
	if a, b, r := call(asm.FnKtimeGetNs), call(asm.FnKtimeGetBootNs), call(asm.FnGetPrandomU32); a != 1000 || b != 2000 || r != 7 {
		t.Errorf("fixed: %d, %d, %d", a, b, r)
	}
}

// user is the memory of a process with one page at 0x10000.
type user struct{ page []byte }

func (u user) ReadAt(p []byte, addr uint64) int {
	if off := addr - 0x10000; off < uint64(len(u.page)) {
		return copy(p, u.page[off:])
	}
	return 0
}

// TestProbe reads from all memory that there is: the kernel's arena and what is
// made on demand, the task's, the program's own.
func TestProbe(t *testing.T) {
	const vbase, made = 0xffff_8880_0000_0000, 0xffff_c900_0000_0000
	arena, err := mem.New("arena", 4096)
	if err != nil {
		t.Fatal(err)
	}
	defer arena.Close()
	copy(arena.Bytes()[100:], "kernel text\x00behind")
	copy(arena.Bytes()[4090:], "no end")
	onDemand := []byte("on demand\x00")
	page := make([]byte, 4096)
	copy(page[10:], "user text\x00behind")
	copy(page[4090:], "no end")
	values := newMap(t, &ebpf.MapSpec{Type: ebpf.Array, KeySize: 4, ValueSize: 64, MaxEntries: 1})
	value, _ := values.(maps.Direct).ValueAddr(0)
	copy(mem.Slice(value, 64), "value text\x00")

	c := newCall(t, 0, values)
	copy(mem.Slice(c.Runner.Stack.Addr, 64), "stack text\x00")
	copy(mem.Slice(c.Runner.Context.Addr, 64), "context text\x00")
	c.Runner.Env = mem.Env{
		Memory: user{page},
		Kernel: &mem.Kernel{VBase: vbase, Base: arena.Addr(), Size: 4096, Fault: func(p []byte, addr uint64) bool {
			if off := addr - made; off <= uint64(len(onDemand)) && uint64(len(p)) <= uint64(len(onDemand))-off {
				copy(p, onDemand[off:])
				return true
			}
			return false
		}},
	}
	const (
		fault  = -int64(mem.EFAULT)
		strict = -int64(mem.ERANGE)
		size   = 20
	)
	dst := c.Runner.Context.Addr + 1024
	check := func(id asm.BuiltinFunc, addr, n uint64, want int64, text string) {
		t.Helper()
		b := mem.Slice(dst, 32)
		copy(b, bytes.Repeat([]byte{0xaa}, 32))
		if got := int64(For(id)(c, dst, n, addr, 0, 0)); got != want {
			t.Errorf("%s of %d bytes from %#x: %d, want %d", id, n, addr, got, want)
		}
		if want < 0 {
			text = string(make([]byte, n))
		}
		if got := string(b[:len(text)]); got != text || b[n] != 0xaa {
			t.Errorf("%s of %d bytes from %#x: %q, want %q", id, n, addr, b, text)
		}
	}
	for _, test := range []struct {
		addr              uint64
		user, kernel, any int64 // R0 for the task's memory, the kernel's, either
		text              string
	}{
		{0x10000 + 10, 10, strict, 10, "user text\x00"},
		{0x10000 + 4090, fault, strict, fault, ""},
		{0x10000 + 4096, fault, strict, fault, ""},
		{vbase + 100, fault, 12, 12, "kernel text\x00"},
		{vbase + 4090, fault, fault, fault, ""},
		{made, fault, 10, 10, "on demand\x00"},
		{made + 3, fault, 7, 7, "demand\x00"},
		{made + 10, fault, fault, fault, ""},
		{value, fault, 11, 11, "value text\x00"},
		{c.Runner.Stack.Addr, fault, 11, 11, "stack text\x00"},
		{c.Runner.Context.Addr, fault, 13, 13, "context text\x00"},
		{0, fault, strict, fault, ""},
	} {
		check(asm.FnProbeReadUserStr, test.addr, size, test.user, test.text)
		check(asm.FnProbeReadKernelStr, test.addr, size, test.kernel, test.text)
		check(asm.FnProbeReadStr, test.addr, size, test.any, test.text)
		if test.text != "" {
			n := uint64(len(test.text))
			check(asm.FnProbeReadUser, test.addr, n, min(test.user, 0), test.text)
			check(asm.FnProbeReadKernel, test.addr, n, min(test.kernel, 0), test.text)
			check(asm.FnProbeRead, test.addr, n, min(test.any, 0), test.text)
		}
	}
	// Six bytes are there where the string has no end, seven are not.
	check(asm.FnProbeReadUser, 0x10000+4090, 6, 0, "no end")
	check(asm.FnProbeReadUser, 0x10000+4090, 7, fault, "")
	check(asm.FnProbeReadKernel, vbase+4090, 6, 0, "no end")
	check(asm.FnProbeReadKernel, vbase+4090, 7, fault, "")
	// Without a task and a kernel, everything faults but the program's own memory.
	c.Runner.Env = mem.Env{}
	for _, addr := range []uint64{0x10000 + 10, vbase + 100} {
		if r := For(asm.FnProbeRead)(c, c.Runner.Context.Addr, 8, addr, 0, 0); int64(r) != fault {
			t.Errorf("without an Env, %#x: %d", addr, int64(r))
		}
	}
}

// TestNoAllocation calls every helper.
func TestNoAllocation(t *testing.T) {
	values := newMap(t, &ebpf.MapSpec{Type: ebpf.Hash, KeySize: 8, ValueSize: 8, MaxEntries: 10})
	ring := newMap(t, &ebpf.MapSpec{Type: ebpf.RingBuf, MaxEntries: 4096})
	perCPU := newMap(t, &ebpf.MapSpec{Type: ebpf.PerCPUHash, KeySize: 8, ValueSize: 8, MaxEntries: 10})
	queue := newMap(t, &ebpf.MapSpec{Type: ebpf.Queue, ValueSize: 8, MaxEntries: 10})
	events := newMap(t, &ebpf.MapSpec{Type: ebpf.PerfEventArray})
	reader, err := events.(maps.Perf).OpenPerf(4096, maps.PerfOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	text := newMap(t, &ebpf.MapSpec{Type: ebpf.Array, KeySize: 4, ValueSize: 32, MaxEntries: 1})
	constants, _ := text.(maps.Direct).ValueAddr(0)
	copy(mem.Slice(constants, 32), "pid %d %5s %pI4 ")
	cgroups := newMap(t, &ebpf.MapSpec{Type: ebpf.CGroupArray, KeySize: 4, ValueSize: 4, MaxEntries: 1})
	c := newCall(t, 0, values, ring, perCPU, queue, events, text, cgroups)
	page := make([]byte, 4096)
	c.Runner.Env.Memory = user{page}
	lines := 0
	c.Runner.Env.Print = func([]byte) { lines++ }
	stack, buf := c.Runner.Stack.Addr, c.Runner.Context.Addr
	format := "pid %d %5s %pI4 \x00"
	copy(mem.Slice(buf+100, len(format)), format)
	copy(mem.Slice(buf+300, 3), "-12")
	called := map[asm.BuiltinFunc]bool{}
	call := func(id asm.BuiltinFunc, r1, r2, r3, r4, r5 uint64) uint64 {
		called[id] = true
		return bodies[id](c, r1, r2, r3, r4, r5)
	}
	n := testing.AllocsPerRun(100, func() {
		call(asm.FnMapUpdateElem, MapHandle(0), stack, buf, 0, 0)
		call(asm.FnMapLookupElem, MapHandle(0), stack, 0, 0, 0)
		call(asm.FnMapDeleteElem, MapHandle(0), stack, 0, 0, 0)
		call(asm.FnMapLookupPercpuElem, MapHandle(2), stack, 1, 0, 0)
		call(asm.FnMapPushElem, MapHandle(3), buf, 0, 0, 0)
		call(asm.FnMapPeekElem, MapHandle(3), buf, 0, 0, 0)
		call(asm.FnMapPopElem, MapHandle(3), buf, 0, 0, 0)
		call(asm.FnPerfEventOutput, 0, MapHandle(4), 1<<32-1, buf, 30)
		for _, id := range []asm.BuiltinFunc{
			asm.FnKtimeGetNs, asm.FnKtimeGetBootNs, asm.FnGetPrandomU32, asm.FnGetSmpProcessorId,
			asm.FnGetCurrentPidTgid, asm.FnGetCurrentUidGid, asm.FnGetCurrentTask, asm.FnGetCurrentTaskBtf,
			asm.FnGetCurrentCgroupId, asm.FnKtimeGetCoarseNs, asm.FnKtimeGetTaiNs, asm.FnJiffies64, asm.FnGetNumaNodeId,
		} {
			call(id, 0, 0, 0, 0, 0)
		}
		call(asm.FnGetCurrentComm, buf, 16, 0, 0, 0)
		for _, id := range []asm.BuiltinFunc{
			asm.FnProbeRead, asm.FnProbeReadStr, asm.FnProbeReadUser, asm.FnProbeReadUserStr,
			asm.FnProbeReadKernel, asm.FnProbeReadKernelStr, asm.FnCopyFromUser,
		} {
			call(id, buf, 16, 0x10000, 0, 0)
			call(id, buf, 16, stack, 0, 0)
		}
		call(asm.FnRingbufSubmit, call(asm.FnRingbufReserve, MapHandle(1), 8, 0, 0, 0), 0, 0, 0, 0)
		call(asm.FnRingbufDiscard, call(asm.FnRingbufReserve, MapHandle(1), 8, 0, 0, 0), 0, 0, 0, 0)
		call(asm.FnRingbufOutput, MapHandle(1), buf, 8, 0, 0)
		call(asm.FnRingbufQuery, MapHandle(1), 0, 0, 0, 0)
		call(asm.FnTracePrintk, buf+100, uint64(len(format)), 1, stack, stack)
		call(asm.FnTraceVprintk, buf+100, uint64(len(format)), stack, 24, 0)
		call(asm.FnSnprintf, buf+200, 50, constants, stack, 24)
		call(asm.FnStrncmp, buf+100, uint64(len(format)), constants, 0, 0)
		call(asm.FnCurrentTaskUnderCgroup, MapHandle(6), 0, 0, 0, 0)
		call(asm.FnStrtol, buf+300, 3, 0, stack+64, 0)
		call(asm.FnStrtoul, buf+300, 3, 16, stack+64, 0)
		call(asm.FnCsumDiff, buf, 40, buf+100, 8, 1)
	})
	if n != 0 {
		t.Errorf("%v allocations", n)
	}
	if lines == 0 {
		t.Error("nothing was printed")
	}
	for id := range bodies {
		if !called[id] {
			t.Errorf("%s was not called", id)
		}
	}
}

func BenchmarkHelpers(b *testing.B) {
	values := newMap(b, &ebpf.MapSpec{Type: ebpf.Hash, KeySize: 8, ValueSize: 8, MaxEntries: 1000})
	c := newCall(b, 0, values)
	stack, buf := c.Runner.Stack.Addr, c.Runner.Context.Addr
	page := make([]byte, 4096)
	copy(page, "/usr/lib/x86_64-linux-gnu/libc.so.6")
	c.Runner.Env.Memory = user{page}
	c.Runner.Env.Print = func([]byte) {}
	format := "read %d of %s\n\x00"
	copy(mem.Slice(buf+100, len(format)), format)
	bodies[asm.FnMapUpdateElem](c, MapHandle(0), stack, buf, 0, 0)
	for _, h := range []struct {
		id asm.BuiltinFunc
		r  [5]uint64
	}{
		{asm.FnMapLookupElem, [5]uint64{MapHandle(0), stack}},
		{asm.FnMapUpdateElem, [5]uint64{MapHandle(0), stack, buf}},
		{asm.FnKtimeGetNs, [5]uint64{}},
		{asm.FnKtimeGetBootNs, [5]uint64{}},
		{asm.FnGetPrandomU32, [5]uint64{}},
		{asm.FnGetCurrentPidTgid, [5]uint64{}},
		{asm.FnGetCurrentComm, [5]uint64{buf, 16}},
		{asm.FnProbeReadKernel, [5]uint64{buf, 8, stack}},
		{asm.FnProbeReadUserStr, [5]uint64{buf, 256, 0x10000}},
		{asm.FnTracePrintk, [5]uint64{buf + 100, uint64(len(format)), 17, 0x10000}},
	} {
		b.Run(h.id.String(), func(b *testing.B) {
			f := For(h.id)
			for b.Loop() {
				f(c, h.r[0], h.r[1], h.r[2], h.r[3], h.r[4])
			}
		})
	}
}
