package maps

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cilium/ebpf"

	"github.com/skep-bpf/skep/internal/mem"
)

func newTestRing(t testing.TB, size uint32) *ring {
	t.Helper()
	m, err := New(&ebpf.MapSpec{Name: "test", Type: ebpf.RingBuf, MaxEntries: size}, 2)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	return m.(*ring)
}

// TestRingConcurrent has several producers that reserve, fill, and submit or
// discard, and a reader that waits. Each record arrives once, whole and in the
// order of its producer; what does not fit is counted.
func TestRingConcurrent(t *testing.T) {
	const producers, records = 4, 8000
	r := newTestRing(t, 4096)
	var wg sync.WaitGroup
	var dropped, discarded atomic.Uint64
	for p := range producers {
		wg.Go(func() {
			random := rand.New(rand.NewPCG(uint64(p), 4))
			for i := uint64(0); i < records; {
				size := 16 + random.Uint64N(300)
				a := r.Reserve(size, 0)
				if a == 0 {
					dropped.Add(1)
					time.Sleep(20 * time.Microsecond)
					continue
				}
				b := mem.Slice(a, int(size))
				for j := range b {
					b[j] = byte(size)
				}
				binary.NativeEndian.PutUint64(b, uint64(p))
				binary.NativeEndian.PutUint64(b[8:], i)
				if random.IntN(8) == 0 {
					discarded.Add(1)
					r.Discard(a, 0)
					continue
				}
				r.Submit(a, 0)
				i++
			}
		})
	}
	next := [producers]uint64{}
	var w Waiter
	w.SetDeadline(time.Now().Add(time.Minute))
	var b []byte
	for range producers * records {
		var ok bool
		for {
			if b, _, ok = r.ReadRecord(b[:0]); ok {
				break
			}
			if err := r.Wait(&w); err != nil {
				t.Fatalf("after %v records: %v", next, err)
			}
		}
		p, i := binary.NativeEndian.Uint64(b), binary.NativeEndian.Uint64(b[8:])
		if p >= producers || next[p] != i {
			t.Fatalf("record %d of producer %d, want %v", i, p, next)
		}
		next[p]++
		for _, c := range b[16:] {
			if c != byte(len(b)) {
				t.Fatalf("record of %d bytes holds % x", len(b), b)
			}
		}
	}
	wg.Wait()
	if _, _, ok := r.ReadRecord(nil); ok || r.Query(ringAvailData) != 0 {
		// Discarded records may be left.
		t.Errorf("%d bytes are left", r.Query(ringAvailData))
	}
	if r.Dropped() != dropped.Load() {
		t.Errorf("%d dropped, counted %d", dropped.Load(), r.Dropped())
	}
	if dropped.Load() == 0 || discarded.Load() == 0 {
		t.Errorf("%d dropped, %d discarded: the ring was never full", dropped.Load(), discarded.Load())
	}
}

// TestRingHoldsBack keeps the first record reserved while the reader claims to
// have read everything: its place must not be handed out again.
func TestRingHoldsBack(t *testing.T) {
	r := newTestRing(t, 4096)
	first := r.Reserve(1000, 0)
	for range 3 {
		if a := r.Reserve(900, 0); a == 0 {
			t.Fatal("the ring is full too early")
		} else {
			r.Submit(a, 0)
		}
	}
	atomic.StoreUint64(r.consumer, r.producer.position)
	if a := r.Reserve(1000, 0); a != 0 {
		t.Errorf("got the place of a record that is still reserved: %#x after %#x", a, first)
	}
	r.Submit(first, 0)
	if a := r.Reserve(1000, 0); a == 0 {
		t.Error("the ring is still full")
	}
}

func TestRingWakeups(t *testing.T) {
	r := newTestRing(t, 4096)
	woken := func() bool {
		select {
		case <-r.wake:
			return true
		default:
			return false
		}
	}
	submit := func(flags uint64) {
		a := r.Reserve(8, 0)
		if a == 0 {
			t.Fatal("the ring is full")
		}
		r.Submit(a, flags)
	}
	steps := []struct {
		flags uint64
		read  bool // before
		want  bool
	}{
		{0, false, true},               // the reader is at this record
		{0, false, false},              // it has not read the one before
		{ringForceWakeup, false, true}, // all the same
		{ringNoWakeup, true, false},
		{0, true, true},
		{ringNoWakeup | ringForceWakeup, false, true},
	}
	for i, s := range steps {
		for s.read {
			_, _, s.read = r.ReadRecord(nil)
		}
		submit(s.flags)
		if got := woken(); got != s.want {
			t.Errorf("step %d, flags %d: woken %v, want %v", i, s.flags, got, s.want)
		}
	}
}

func TestRingWait(t *testing.T) {
	r := newTestRing(t, 4096)
	var w Waiter
	w.SetDeadline(time.Now().Add(-time.Second))
	if err := r.Wait(&w); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("deadline in the past: %v", err)
	}
	w.SetDeadline(time.Now().Add(5 * time.Millisecond))
	if err := r.Wait(&w); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("deadline soon: %v", err)
	}
	w.SetDeadline(time.Time{})
	result := make(chan error)
	wait := func() { result <- r.Wait(&w) }
	later := func(f func()) error {
		go wait()
		time.Sleep(5 * time.Millisecond)
		f()
		select {
		case err := <-result:
			return err
		case <-time.After(10 * time.Second):
			t.Fatal("still waiting")
			return nil
		}
	}
	if err := later(func() { w.SetDeadline(time.Now()) }); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("deadline set while waiting: %v", err)
	}
	w.SetDeadline(time.Time{})
	if err := later(w.Flush); !errors.Is(err, ErrFlushed) {
		t.Errorf("flush: %v", err)
	}
	a := r.Reserve(5, 0)
	if err := later(func() { r.Submit(a, 0) }); err != nil {
		t.Errorf("record: %v", err)
	}
	if p, remaining, ok := r.ReadRecord([]byte("x")); !ok || remaining != 0 || len(p) != 6 || p[0] != 'x' {
		t.Errorf("record %q, %d remaining, %v", p, remaining, ok)
	}
	if err := later(w.Close); !errors.Is(err, os.ErrClosed) {
		t.Errorf("closed reader: %v", err)
	}
	w = Waiter{}
	if err := later(func() { r.Close() }); !errors.Is(err, os.ErrClosed) {
		t.Errorf("closed map: %v", err)
	}
	if _, _, ok := r.ReadRecord(nil); ok {
		t.Error("a closed map has a record")
	}
}

// TestRingIgnoresStrangeRecords ends reservations that there are not.
func TestRingIgnoresStrangeRecords(t *testing.T) {
	r := newTestRing(t, 4096)
	before := bytes.Clone(r.region.Bytes())
	for _, a := range []uint64{0, 1, r.data, r.data + 4, r.data + 9, r.data + r.size + 8, r.data + 2*r.size, r.region.Addr(), r.region.Addr() + 8, ^uint64(0)} {
		r.Submit(a, 0)
		r.Discard(a, 0)
	}
	if !bytes.Equal(before, r.region.Bytes()) {
		t.Error("memory has changed")
	}
}

// FuzzDamagedRing puts anything into the shared memory of a ring, as a hostile
// process could, and goes on using it: nobody leaves the memory, nobody hangs,
// and after a damage the ring works again.
func FuzzDamagedRing(f *testing.F) {
	f.Add([]byte{}, uint64(0), uint64(0), uint64(0))
	f.Add(bytes.Repeat([]byte{0xff}, 64), uint64(8), uint64(0), uint64(0))
	f.Add(bytes.Repeat([]byte{0xff, 0xff, 0xff, 0x3f}, 16), uint64(64), uint64(0), uint64(8))
	f.Add(bytes.Repeat([]byte{0}, 64), ^uint64(0), ^uint64(0)-3, uint64(4095))
	f.Add(bytes.Repeat([]byte{8, 0, 0, 0x40, 0, 0, 0, 0}, 8), uint64(1<<40), uint64(4096), uint64(1<<63))
	f.Fuzz(func(t *testing.T, header []byte, producer, consumer, pending uint64) {
		const size = 4096
		r := newTestRing(t, size)
		// The memory behind the data is not ours: a write there faults.
		for i := 0; i < size && len(header) > 0; i += len(header) {
			copy(mem.Slice(r.data, size)[i:], header)
		}
		r.producer.position, r.producer.pending, *r.consumer = producer, pending, consumer
		for range 10 {
			r.Query(ringAvailData)
			if a := r.Reserve(100, 0); a != 0 {
				if a < r.data || a+100 > r.data+2*size {
					t.Fatalf("record at %#x of data at %#x", a, r.data)
				}
				copy(mem.Slice(a, 100), bytes.Repeat([]byte{1}, 100))
				r.Submit(a, 0)
			}
			for range size {
				p, remaining, ok := r.ReadRecord(nil)
				if len(p) > size || remaining < 0 || remaining > size {
					t.Fatalf("record of %d bytes, %d remaining", len(p), remaining)
				}
				if !ok {
					break
				}
			}
		}
		// A record that stays reserved is not damage. Where there is none, and the
		// positions are multiples of 8 as they were made, the ring works again.
		for i := 0; i < size; i += 8 {
			*mem.At[uint32](r.data + uint64(i)) &^= recordBusy
		}
		for range 2 * size / 8 {
			if _, _, ok := r.ReadRecord(nil); !ok {
				break
			}
		}
		a := r.Reserve(8, 0)
		if a == 0 {
			t.Fatalf("no room in an empty ring: %+v, consumer %d", *r.producer, *r.consumer)
		}
		*mem.At[uint64](a) = 42
		r.Submit(a, 0)
		if p, _, ok := r.ReadRecord(nil); !ok || binary.NativeEndian.Uint64(p) != 42 {
			t.Fatalf("record % x, %v: %+v, consumer %d", p, ok, *r.producer, *r.consumer)
		}
	})
}
