package maps

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"os"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/cilium/ebpf"

	"github.com/skep-bpf/skep/internal/mem"
)

func newTestPerf(t testing.TB, size int, o PerfOptions) (Perf, *PerfReader, *mem.Region) {
	t.Helper()
	m := newTestMap(t, &ebpf.MapSpec{Type: ebpf.PerfEventArray}).(Perf)
	r, err := m.OpenPerf(size, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	region, err := mem.New("program", 1<<16)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { region.Close() })
	return m, r, region
}

// TestPerfErrors asks for rings that a program can't write.
func TestPerfErrors(t *testing.T) {
	m, r, region := newTestPerf(t, 1, PerfOptions{})
	if n := r.BufferSize(); n != ringPage {
		t.Errorf("a ring of 1 byte has %d", n)
	}
	for _, c := range []struct {
		cpu   int
		size  uint64
		flags uint64
		want  mem.Errno
	}{
		{0, 8, 1<<32 - 1, 0}, {1, 8, 1<<32 - 1, 0}, {0, 8, 0, 0}, {1, 8, 1, 0}, {1, 8, 0, mem.EOPNOTSUPP}, {0, 8, 1, mem.EOPNOTSUPP},
		{0, 8, 2, mem.E2BIG}, {5, 8, 1<<32 - 1, mem.E2BIG}, {0, 8, 1 << 32, mem.EINVAL}, {0, 8, 1<<64 - 1, mem.EINVAL},
		{0, 1<<16 - 1, 0, mem.E2BIG}, {0, 5000, 0, mem.ENOSPC},
	} {
		if e := m.Output(c.cpu, region.Addr(), c.size, c.flags); e != -int64(c.want) {
			t.Errorf("%d bytes on CPU %d with flags %#x: %d, want %d", c.size, c.cpu, c.flags, e, -int64(c.want))
		}
	}
	if err := r.Pause(); err != nil {
		t.Fatal(err)
	}
	if e := m.Output(0, region.Addr(), 8, 0); e != -int64(mem.ENOENT) {
		t.Errorf("output to a reader that pauses: %d", e)
	}
	if err := r.Resume(); err != nil {
		t.Fatal(err)
	}
	if err := m.Delete(key32(0)); err != nil {
		t.Fatal(err)
	}
	if e := m.Output(0, region.Addr(), 8, 0); e != -int64(mem.ENOENT) {
		t.Errorf("output to an element that was deleted: %d", e)
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	if e := m.Output(1, region.Addr(), 8, 1); e != -int64(mem.ENOENT) {
		t.Errorf("output to a reader that is closed: %d", e)
	}
	if err := r.Wait(&Waiter{}); !errors.Is(err, os.ErrClosed) {
		t.Errorf("wait after close: %v", err)
	}
	if err := errors.Join(r.Close(), m.Close()); err != nil {
		t.Error(err)
	}
	if _, err := m.OpenPerf(4096, PerfOptions{}); !errors.Is(err, os.ErrClosed) {
		t.Errorf("a reader of a closed map: %v", err)
	}
}

// TestPerfRecords writes and reads random records on two CPUs, with rings that are
// full at times: each sample comes out as it went in and in order, or is counted
// where it is missing.
func TestPerfRecords(t *testing.T) {
	m, r, region := newTestPerf(t, 4096, PerfOptions{})
	random := rand.New(rand.NewPCG(1, 1))
	type item struct {
		sample []byte
		lost   uint64
	}
	var want [2][]item
	var lost [2]uint64
	var dropped, records uint64
	read := func() {
		var rec PerfRecord
		for random.IntN(4) > 0 && r.ReadRecord(&rec) {
			if len(want[rec.CPU]) == 0 {
				t.Fatalf("record %+v was not written", rec)
			}
			w := want[rec.CPU][0]
			want[rec.CPU] = want[rec.CPU][1:]
			extra := len(rec.RawSample) - len(w.sample)
			if rec.LostSamples != w.lost || w.lost == 0 && (extra < 0 || extra > 7 || !bytes.HasPrefix(rec.RawSample, w.sample)) || w.lost > 0 && extra != 0 {
				t.Fatalf("CPU %d: %d bytes, %d lost; want %d bytes, %d lost", rec.CPU, len(rec.RawSample), rec.LostSamples, len(w.sample), w.lost)
			}
			records++
		}
	}
	for range 20000 {
		cpu, n := random.IntN(2), random.IntN(700)
		for i := range n {
			region.Bytes()[i] = byte(random.Uint32())
		}
		switch e := m.Output(cpu, region.Addr(), uint64(n), perfCurrentCPU); e {
		case 0:
			if lost[cpu] > 0 {
				want[cpu] = append(want[cpu], item{lost: lost[cpu]})
				lost[cpu] = 0
			}
			want[cpu] = append(want[cpu], item{sample: bytes.Clone(region.Bytes()[:n])})
		case -int64(mem.ENOSPC):
			lost[cpu]++
			dropped++
		default:
			t.Fatal(e)
		}
		if random.IntN(2) == 0 {
			read()
		}
	}
	if r.Dropped() != dropped || dropped < 100 || records < 1000 {
		t.Errorf("%d dropped, %d counted, %d read", dropped, r.Dropped(), records)
	}
}

// TestPerfConcurrent has programs on two CPUs, each with its ring, and one reader.
func TestPerfConcurrent(t *testing.T) {
	const each = 30000
	m, r, _ := newTestPerf(t, 8192, PerfOptions{})
	var wg sync.WaitGroup
	for cpu := range 2 {
		region, err := mem.New("program", 4096)
		if err != nil {
			t.Fatal(err)
		}
		defer region.Close()
		wg.Go(func() {
			for i := range uint64(each) {
				fillValue(region.Bytes()[:48], i<<8)
				if e := m.Output(cpu, region.Addr(), 48, perfCurrentCPU); e != 0 && e != -int64(mem.ENOSPC) {
					t.Error(e)
				}
				if i%16 == 0 {
					runtime.Gosched()
				}
			}
			// What was lost last is told with the next record.
			*mem.At[uint64](region.Addr()) = each << 8
			for m.Output(cpu, region.Addr(), 8, perfCurrentCPU) != 0 {
				runtime.Gosched()
			}
		})
	}
	var next [2]uint64
	var w Waiter
	w.SetDeadline(time.Now().Add(20 * time.Second))
	var rec PerfRecord
	for next[0] <= each || next[1] <= each {
		if !r.ReadRecord(&rec) {
			if err := r.Wait(&w); err != nil {
				t.Fatalf("%v at %v", err, next)
			}
			continue
		}
		if rec.LostSamples > 0 {
			next[rec.CPU] += rec.LostSamples
			continue
		}
		v := binary.NativeEndian.Uint64(rec.RawSample) >> 8
		// A loss that comes while the last record waits for room counts it, too.
		if v != next[rec.CPU] && v != each || v != each && tornValue(rec.RawSample[:48]) {
			t.Fatalf("CPU %d: record %d, want %d: % x", rec.CPU, v, next[rec.CPU], rec.RawSample)
		}
		next[rec.CPU] = v + 1
	}
	wg.Wait()
}

// TestPerfWakeups says when a reader that waits is woken up.
func TestPerfWakeups(t *testing.T) {
	for _, c := range []struct {
		options PerfOptions
		after   int
	}{{PerfOptions{}, 1}, {PerfOptions{WakeupEvents: 3}, 3}, {PerfOptions{Watermark: 100}, 5}} {
		m, r, region := newTestPerf(t, 4096, c.options)
		var w Waiter
		for range 3 {
			for i := 1; i <= c.after; i++ {
				m.Output(0, region.Addr(), 12, 0) // 24 bytes
				w.SetDeadline(time.Now().Add(2 * time.Millisecond))
				err := r.Wait(&w)
				if woken := err == nil; woken != (i == c.after) || !woken && !errors.Is(err, os.ErrDeadlineExceeded) {
					t.Errorf("%+v: after %d records: %v", c.options, i, err)
				}
			}
			var rec PerfRecord
			for r.ReadRecord(&rec) {
			}
		}
	}
	m, r, _ := newTestPerf(t, 4096, PerfOptions{})
	var w Waiter
	for _, end := range []struct {
		f    func()
		want error
	}{{w.Flush, ErrFlushed}, {w.Close, os.ErrClosed}} {
		result := make(chan error)
		go func() { result <- r.Wait(&w) }()
		end.f()
		if err := <-result; !errors.Is(err, end.want) {
			t.Errorf("%v, want %v", err, end.want)
		}
	}
	if _, err := m.OpenPerf(0, PerfOptions{}); err == nil {
		t.Error("a ring of no bytes was made")
	}
	if _, err := m.OpenPerf(4096, PerfOptions{Watermark: 1, WakeupEvents: 1}); err == nil {
		t.Error("a reader with two ways to be woken was made")
	}
	// Closing the map wakes its reader up.
	result := make(chan error)
	go func() {
		var w Waiter
		err := r.Wait(&w)
		for err == nil {
			err = r.Wait(&w)
		}
		result <- err
	}()
	m.Close()
	if err := <-result; !errors.Is(err, os.ErrClosed) {
		t.Errorf("wait for a closed map: %v", err)
	}
}

// FuzzDamagedPerf changes bytes of a ring as another process could, and reads it:
// the reader must not leave its memory nor hang.
func FuzzDamagedPerf(f *testing.F) {
	f.Add(uint64(1), uint8(10))
	f.Add(uint64(2), uint8(200))
	f.Fuzz(func(t *testing.T, seed uint64, damage uint8) {
		m, r, region := newTestPerf(t, 4096, PerfOptions{})
		random := rand.New(rand.NewPCG(seed, 1))
		var rec PerfRecord
		for range int(damage) + 1 {
			for range random.IntN(10) {
				m.Output(0, region.Addr(), random.Uint64N(300), 0)
			}
			ring := r.rings[0]
			off := 8 * random.Uint64N(ringPage/4)
			if random.IntN(4) == 0 {
				off = 64 * random.Uint64N(2)
			}
			*mem.At[uint64](ring.region.Addr() + off) = []uint64{0, 1, 8, 0x0009, 9 | 16<<48, 9 | 0xffff<<48, 1 << 63, random.Uint64()}[random.IntN(8)]
			for range 1000 {
				if !r.ReadRecord(&rec) {
					break
				}
			}
		}
	})
}

func BenchmarkPerf(b *testing.B) {
	m, r, region := newTestPerf(b, 1<<16, PerfOptions{})
	var rec PerfRecord
	for b.Loop() {
		m.Output(0, region.Addr(), 64, perfCurrentCPU)
		r.ReadRecord(&rec)
	}
}
