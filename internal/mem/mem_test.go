package mem

import (
	"context"
	"errors"
	"testing"
	"time"
)

func TestRegion(t *testing.T) {
	r, err := New("test", 5000)
	if err != nil {
		t.Fatal(err)
	}
	if r.Addr()%4096 != 0 {
		t.Errorf("address %#x is not page-aligned", r.Addr())
	}
	if r.Size() != 5000 || len(r.Bytes()) != 5000 {
		t.Errorf("size %d, %d bytes, want 5000", r.Size(), len(r.Bytes()))
	}
	*At[uint64](r.Addr() + 4992) = 0x0102030405060708
	if got := Slice(r.Addr()+4992, 8)[7]; got != r.Bytes()[4999] || got == 0 {
		t.Errorf("byte 4999 is %d through Slice, %d through Bytes", got, r.Bytes()[4999])
	}
	for i := 1; i < 100; i++ {
		n, err := New("test", i*1000)
		if err != nil {
			t.Fatal(err)
		}
		defer n.Close()
		own := Range{r.Addr(), uint64(r.Size())}
		if own.Contains(n.Addr(), 1) || (Range{n.Addr(), uint64(n.Size())}).Contains(r.Addr(), 1) {
			t.Fatalf("regions %#x and %#x overlap", r.Addr(), n.Addr())
		}
	}
	if err := r.Close(); err != nil {
		t.Error(err)
	}
	if err := r.Close(); err != nil {
		t.Errorf("closing twice: %v", err)
	}
	for _, size := range []int{0, -1, 1<<40 + 1} {
		if r, err := New("test", size); err == nil {
			r.Close()
			t.Errorf("size %d: no error", size)
		}
	}
}

func TestRangeContains(t *testing.T) {
	r := Range{100, 10}
	top := Range{^uint64(0) - 9, 10}
	for _, c := range []struct {
		r       Range
		addr, n uint64
		want    bool
	}{
		{r, 100, 10, true}, {r, 109, 1, true}, {r, 110, 0, true}, {r, 110, 1, false},
		{r, 99, 1, false}, {r, 99, 2, false}, {r, 101, 10, false}, {r, 105, ^uint64(0), false},
		{r, 0, ^uint64(0), false}, {top, ^uint64(0), 1, true}, {top, ^uint64(0), 2, false}, {top, 0, 1, false},
	} {
		if got := c.r.Contains(c.addr, c.n); got != c.want {
			t.Errorf("%+v.Contains(%d, %d) = %v", c.r, c.addr, c.n, got)
		}
	}
}

func TestKernel(t *testing.T) {
	arena, err := New("arena", 4096)
	if err != nil {
		t.Fatal(err)
	}
	defer arena.Close()
	const vbase = 0xffff_8880_0000_0000
	k := &Kernel{VBase: vbase, Base: arena.Addr(), Size: 4096, Fault: func(p []byte, addr uint64) bool {
		for i := range p {
			p[i] = 0xee
		}
		return addr == 0xffff_9000_0000_0000
	}}
	for i := range arena.Bytes() {
		arena.Bytes()[i] = byte(i)
	}
	for _, c := range []struct {
		addr uint64
		size int
		want uint64
	}{
		{vbase, 1, 0}, {vbase + 1, 1, 1}, {vbase + 1, 2, 0x0201}, {vbase + 4, 4, 0x07060504},
		{vbase + 4088, 8, 0xfffefdfcfbfaf9f8}, {vbase + 4089, 8, 0}, {vbase - 1, 1, 0}, {vbase + 4096, 1, 0},
		{0xffff_9000_0000_0000, 2, 0xeeee}, {0, 8, 0}, {arena.Addr(), 8, 0},
	} {
		if got := k.Load(c.addr, c.size); got != c.want {
			t.Errorf("Load(%#x, %d) = %#x, want %#x", c.addr, c.size, got, c.want)
		}
	}
	var p [8]byte
	if !k.ReadAt(p[:], vbase+8) || p[0] != 8 || p[7] != 15 {
		t.Errorf("ReadAt in the arena gave % x", p)
	}
	if (*Kernel)(nil).ReadAt(p[:], vbase) || (*Kernel)(nil).Load(vbase, 8) != 0 {
		t.Error("a kernel that is not there has memory")
	}
}

func TestPool(t *testing.T) {
	p, err := NewPool(2)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	a, err := p.Acquire(ctx)
	if err != nil {
		t.Fatal(err)
	}
	b, err := p.AcquireCPU(ctx, 1)
	if err != nil {
		t.Fatal(err)
	}
	if a.CPU != 0 || b.CPU != 1 || p.Size() != 2 {
		t.Errorf("runners %d and %d of %d", a.CPU, b.CPU, p.Size())
	}
	if a.Stack.Size != MaxFrames*StackSize || a.Context.Size != ContextSize || a.Stack.Contains(a.Context.Addr, 1) {
		t.Errorf("stack %+v, context %+v", a.Stack, a.Context)
	}
	short, stop := context.WithTimeout(ctx, time.Millisecond)
	defer stop()
	if _, err := p.Acquire(short); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("acquiring a third of two runners: %v", err)
	}
	for _, cpu := range []int{-2, 2} {
		if _, err := p.AcquireCPU(ctx, cpu); err == nil || ctx.Err() != nil {
			t.Errorf("acquiring runner %d of two: %v", cpu, err)
		}
	}
	got := make(chan *Runner)
	go func() {
		r, err := p.Acquire(ctx)
		if err != nil {
			t.Error(err)
		}
		got <- r
	}()
	b.Env.Task.PID = 7
	p.Release(b)
	r := <-got
	if r != b || r.Env.Task.PID != 0 {
		t.Errorf("got runner %d with pid %d", r.CPU, r.Env.Task.PID)
	}
}
