package maps

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"github.com/cilium/ebpf"

	"github.com/skep-bpf/skep/internal/mem"
)

func newTestHash(t testing.TB, key, value, entries uint32) *hash {
	t.Helper()
	m, err := New(&ebpf.MapSpec{Name: "test", Type: ebpf.Hash, KeySize: key, ValueSize: value, MaxEntries: entries}, 2)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	return m.(*hash)
}

// oneBucket makes every key of a new map fall into the first bucket, so that
// chains get long.
func (t *table) oneBucket() { t.mask = 0 }

func key64(k uint64) []byte { return binary.NativeEndian.AppendUint64(nil, k) }

func TestLineIsACacheLine(t *testing.T) {
	var l tableLine
	if unsafe.Sizeof(l) != 64 || unsafe.Offsetof(l.tags) != 8 || unsafe.Offsetof(l.elements) != 24 || unsafe.Offsetof(l.next) != 56 {
		t.Errorf("size %d, tags at %d, elements at %d, next at %d", unsafe.Sizeof(l), unsafe.Offsetof(l.tags), unsafe.Offsetof(l.elements), unsafe.Offsetof(l.next))
	}
	if n := unsafe.Sizeof(tableHeader{}); n > tableHeaderSize {
		t.Errorf("header has %d bytes", n)
	}
}

func TestSame(t *testing.T) {
	for i := range 4 {
		for _, tag := range []uint64{0, 1, 0x7fff, 0x8001, 0xffff} {
			w := uint64(0x1234_5678_9abc_def1)&^(0xffff<<(16*i)) | tag<<(16*i)
			if m := same(w, tag*lanes); m&-m != 0x8000<<(16*i) {
				t.Errorf("lane %d of %#x for tag %#x: %#x", i, w, tag, m)
			}
		}
	}
	if m := same(0x0001_0002_0003_0004, 5*lanes); m != 0 {
		t.Errorf("a lane that is not there: %#x", m)
	}
}

// TestOverflow fills one bucket with all keys, with every pattern of removal.
func TestOverflow(t *testing.T) {
	const n = 100
	h := newTestHash(t, 8, 8, n)
	h.oneBucket()
	r := rand.New(rand.NewPCG(3, 3))
	there := map[uint64]uint64{}
	for round := range 200 {
		for range 50 {
			k := r.Uint64N(2 * n)
			if _, ok := there[k]; ok != (round%2 == 0) {
				continue
			}
			if round%2 == 0 {
				delete(there, k)
				if err := h.Delete(key64(k)); err != nil {
					t.Fatal(err)
				}
				continue
			}
			v := r.Uint64()
			err := h.Update(key64(k), key64(v), ebpf.UpdateNoExist)
			if full := len(there) == n; full != errors.Is(err, syscall.E2BIG) || !full && err != nil {
				t.Fatalf("update of element %d: %v", len(there), err)
			} else if !full {
				there[k] = v
			}
		}
		for k := range uint64(2 * n) {
			v, ok := there[k]
			got := make([]byte, 8)
			err := h.Lookup(key64(k), got, 0)
			if ok && (err != nil || !bytes.Equal(got, key64(v))) || !ok && !errors.Is(err, ebpf.ErrKeyNotExist) {
				t.Fatalf("lookup: % x, %v; want %#x, %v", got, err, v, ok)
			}
		}
		lines := 0
		for l := h.after(h.bucket(0)); l != nil; l = h.after(l) {
			if l.tags[0]|l.tags[1] == 0 {
				t.Fatal("an empty line is in the chain")
			}
			lines++
		}
		if used := int(h.header.lines.used); lines > len(there) || used > n {
			t.Fatalf("%d elements have %d overflow lines, %d were ever used", len(there), lines, used)
		}
	}
	// All elements come back.
	for k := range there {
		if err := h.Delete(key64(k)); err != nil {
			t.Fatal(err)
		}
	}
	if h.header.count != 0 || h.bucket(0).next != 0 {
		t.Errorf("count %d, next line %d of an empty map", h.header.count, h.bucket(0).next)
	}
	for k := range uint64(n) {
		if err := h.Update(key64(k), key64(k), ebpf.UpdateAny); err != nil {
			t.Fatalf("element %d: %v", k, err)
		}
	}
}

// A torn value is one whose words do not belong together.
func tornValue(v []byte) bool {
	first := binary.NativeEndian.Uint64(v)
	for i := 8; i < len(v); i += 8 {
		if binary.NativeEndian.Uint64(v[i:]) != first+uint64(i) {
			return true
		}
	}
	return false
}

func fillValue(v []byte, seed uint64) {
	for i := 0; i < len(v); i += 8 {
		binary.NativeEndian.PutUint64(v[i:], seed+uint64(i))
	}
}

// TestConcurrentHash has writers and deleters from Go and from programs on keys
// that all share, and on keys of their own, and readers of everything. No value
// is torn, no own key is lost, the count is right at the end.
func TestConcurrentHash(t *testing.T) {
	for _, one := range []bool{false, true} {
		t.Run(fmt.Sprintf("oneBucket=%v", one), func(t *testing.T) { concurrentHash(t, one) })
	}
}

func concurrentHash(t *testing.T, one bool) {
	const shared, own, writers, valueSize = 40, 20, 6, 64
	h := newTestHash(t, 8, valueSize, shared+writers*own)
	if one {
		h.oneBucket()
	}
	end := time.Now().Add(700 * time.Millisecond)
	var wg sync.WaitGroup
	var stop atomic.Bool
	var found, iterated atomic.Uint64
	for w := range writers {
		wg.Go(func() {
			// Half of them are programs: their keys and values lie outside the heap.
			program := w%2 == 0
			region, err := mem.New("program", 4096)
			if err != nil {
				t.Error(err)
				return
			}
			defer region.Close()
			key, value := region.Bytes()[:8], region.Bytes()[8:8+valueSize]
			update := func(k, v, flags uint64) error {
				binary.NativeEndian.PutUint64(key, k)
				fillValue(value, v)
				if program {
					if r := h.UpdateElem(0, region.Addr(), region.Addr()+8, flags); r != 0 {
						return syscall.Errno(-r)
					}
					return nil
				}
				return h.Update(key, value, ebpf.MapUpdateFlags(flags))
			}
			remove := func(k uint64) error {
				binary.NativeEndian.PutUint64(key, k)
				if program {
					if r := h.DeleteElem(region.Addr()); r != 0 {
						return syscall.Errno(-r)
					}
					return nil
				}
				return h.Delete(key)
			}
			r := rand.New(rand.NewPCG(uint64(w), 9))
			mine := map[uint64]uint64{}
			for !stop.Load() {
				runtime.Gosched()
				k, v := r.Uint64N(shared), r.Uint64()
				switch r.IntN(4) {
				case 0, 1:
					if err := update(k, v, uint64(r.IntN(2))); err != nil && !errors.Is(err, syscall.EEXIST) {
						t.Errorf("update of a shared key: %v", err)
					}
				case 2:
					if err := remove(k); err != nil && !errors.Is(err, syscall.ENOENT) {
						t.Errorf("delete of a shared key: %v", err)
					}
				}
				k = 1000*uint64(w+1) + r.Uint64N(own)
				old, there := mine[k]
				got := make([]byte, valueSize)
				err := h.Lookup(key64(k), got, 0)
				if there && (err != nil || binary.NativeEndian.Uint64(got) != old) || !there && !errors.Is(err, syscall.ENOENT) {
					t.Errorf("own key %d: % x, %v; want %#x, %v", k, got, err, old, there)
					return
				}
				switch {
				case !there:
					err = update(k, v, 1)
					mine[k] = v
				case r.IntN(2) == 0:
					err = update(k, v, 2)
					mine[k] = v
				default:
					err = remove(k)
					delete(mine, k)
				}
				if err != nil {
					t.Errorf("own key %d, there: %v: %v", k, there, err)
					return
				}
			}
			// What is left is there, and is the only thing that is.
			for k, v := range mine {
				got := make([]byte, valueSize)
				if err := h.Lookup(key64(k), got, 0); err != nil || binary.NativeEndian.Uint64(got) != v {
					t.Errorf("own key %d at the end: % x, %v", k, got, err)
				}
				if err := remove(k); err != nil {
					t.Error(err)
				}
			}
		})
	}
	for range 2 {
		wg.Go(func() {
			value, key, next := make([]byte, valueSize), make([]byte, 8), make([]byte, 8)
			r := rand.New(rand.NewPCG(5, 5))
			for !stop.Load() {
				runtime.Gosched()
				binary.NativeEndian.PutUint64(key, r.Uint64N(shared))
				switch err := h.Lookup(key, value, 0); {
				case err == nil:
					found.Add(1)
					if tornValue(value) {
						t.Errorf("torn value % x", value)
						return
					}
				case !errors.Is(err, ebpf.ErrKeyNotExist):
					t.Error(err)
				}
				if err := h.NextKey(key, next); err == nil {
					iterated.Add(1)
					if k := binary.NativeEndian.Uint64(next); k >= shared && (k < 1000 || k >= 1000*(writers+1)) {
						t.Errorf("key %d was never there", k)
						return
					}
				}
			}
		})
	}
	time.Sleep(time.Until(end))
	stop.Store(true)
	wg.Wait()
	for k := range uint64(shared) {
		if err := h.Delete(key64(k)); err != nil && !errors.Is(err, ebpf.ErrKeyNotExist) {
			t.Error(err)
		}
	}
	if n := h.header.count; n != 0 {
		t.Errorf("%d elements are counted in an empty map", n)
	}
	for k := range uint64(h.maxEntries) {
		if err := h.Update(key64(k), make([]byte, valueSize), ebpf.UpdateNoExist); err != nil {
			t.Fatalf("element %d of a map that is empty: %v", k, err)
		}
	}
	if err := h.Update(key64(1e6), make([]byte, valueSize), ebpf.UpdateAny); !errors.Is(err, syscall.E2BIG) {
		t.Errorf("one more: %v", err)
	}
	if found.Load() < 100 || iterated.Load() < 100 {
		t.Errorf("%d values and %d keys seen: too few to tell", found.Load(), iterated.Load())
	}
}

// TestIterationMissesNothing walks a map while keys next to the constant ones
// come and go, and while every key that was seen is deleted.
func TestIterationMissesNothing(t *testing.T) {
	const constant, others = 100, 100
	h := newTestHash(t, 8, 8, constant+others)
	for k := range uint64(constant) {
		if err := h.Update(key64(2*k), key64(k), ebpf.UpdateAny); err != nil {
			t.Fatal(err)
		}
	}
	var stop atomic.Bool
	var wg sync.WaitGroup
	wg.Go(func() {
		r := rand.New(rand.NewPCG(1, 1))
		for !stop.Load() {
			runtime.Gosched()
			k := key64(2*r.Uint64N(others) + 1)
			if r.IntN(2) == 0 {
				h.Update(k, k, ebpf.UpdateAny)
			} else {
				h.Delete(k)
			}
			// A constant key may get another value.
			k = key64(2 * r.Uint64N(constant))
			h.Update(k, k, ebpf.UpdateExist)
		}
	})
	for range 200 {
		seen := map[uint64]bool{}
		var key []byte
		for range 100 * (constant + others) {
			next := make([]byte, 8)
			if err := h.NextKey(key, next); err != nil {
				break
			}
			seen[binary.NativeEndian.Uint64(next)] = true
			key = next
		}
		for k := range uint64(constant) {
			if !seen[2*k] {
				t.Errorf("key %d was missed", 2*k)
			}
		}
	}
	stop.Store(true)
	wg.Wait()

	// The next key is asked for before the one at hand is deleted.
	n, key, next := 0, make([]byte, 8), make([]byte, 8)
	err := h.NextKey(nil, key)
	for err == nil {
		err = h.NextKey(key, next)
		if err := h.Delete(key); err != nil {
			t.Fatal(err)
		}
		n++
		copy(key, next)
	}
	if c := h.header.count; c != 0 {
		t.Errorf("%d elements are left after %d were deleted", c, n)
	}
}

func TestHashKeySizes(t *testing.T) {
	r := rand.New(rand.NewPCG(2, 2))
	for n := 1; n <= 70; n++ {
		b := make([]byte, n+1)
		for i := range b {
			b[i] = byte(r.Uint32())
		}
		h := hashKey(data(b), n, 1)
		b[n]++ // behind the key
		if hashKey(data(b), n, 1) != h {
			t.Errorf("%d bytes: the hash reads behind the key", n)
		}
		if hashKey(data(b), n, 2) == h {
			t.Errorf("%d bytes: the seed does not matter", n)
		}
		for i := range n {
			b[i] ^= 0x40
			if hashKey(data(b), n, 1) == h {
				t.Errorf("%d bytes: byte %d does not matter", n, i)
			}
			b[i] ^= 0x40
		}
	}
}

// TestHashSpreads looks at the longest chain of keys as programs use them.
func TestHashSpreads(t *testing.T) {
	const n = 1 << 16
	for name, f := range map[string]func(i uint64) []byte{
		"counter64":   key64,
		"counter32":   func(i uint64) []byte { return key64(i)[:4] },
		"multiple":    func(i uint64) []byte { return key64(i * 4096) },
		"high":        func(i uint64) []byte { return key64(i << 40) },
		"pid_tgid":    func(i uint64) []byte { return key64(i<<32 | i) },
		"address":     func(i uint64) []byte { return key64(0xffff_8880_0000_0000 + i*192) },
		"two words":   func(i uint64) []byte { return append(key64(i%256), key64(i/256)...) },
		"three words": func(i uint64) []byte { return append(append(key64(7), key64(i)...), key64(7)...) },
		"text":        func(i uint64) []byte { return fmt.Appendf(nil, "/usr/lib/file%06d.so", i) },
	} {
		const buckets = n / bucketFill
		var count [buckets]int
		tags := map[uint64]int{}
		for i := range uint64(n) {
			k := f(i)
			h := hashKey(data(k), len(k), 0x1234_5678_9abc_def0)
			count[h%buckets]++
			tags[h>>48|1]++
		}
		over := 0
		for _, c := range count {
			over += max(c-slots, 0)
		}
		// Poisson: 2 % of the buckets overflow, by 0.8 % of the elements.
		if over > n/50 {
			t.Errorf("%s: %d of %d elements are in overflow lines", name, over, n)
		}
		if len(tags) < 25000 { // of 32768
			t.Errorf("%s: only %d tags", name, len(tags))
		}
	}
}

// TestDeadWriter uses a map whose bucket is held by a writer that does not come
// back. Only the first one waits for it, until it comes back after all.
func TestDeadWriter(t *testing.T) {
	spinTime = 50 * time.Millisecond
	t.Cleanup(func() { spinTime = time.Second })
	h := newTestHash(t, 8, 8, 10)
	h.oneBucket()
	if err := h.Update(key64(1), key64(1), ebpf.UpdateAny); err != nil {
		t.Fatal(err)
	}
	first := h.bucket(0)
	if !first.lock() {
		t.Fatal("no lock")
	}
	start := time.Now()
	value := make([]byte, 8)
	for range 100 {
		for op, err := range map[string]error{
			"lookup": h.Lookup(key64(1), value, 0), "update": h.Update(key64(1), value, 0), "delete": h.Delete(key64(1)), "next key": h.NextKey(nil, value),
		} {
			if !errors.Is(err, syscall.EBUSY) {
				t.Fatalf("%s of a locked bucket: %v", op, err)
			}
		}
	}
	if d := time.Since(start); d < spinTime || d > 20*spinTime {
		t.Errorf("400 operations on a locked bucket took %v", d)
	}
	first.unlock()
	if err := h.Lookup(key64(1), value, 0); err != nil {
		t.Errorf("lookup after the writer came back: %v", err)
	}
	if !first.lock() {
		t.Error("the bucket can't be locked again")
	}
}

// FuzzDamagedTable changes words of a table as another process could, and uses
// it: it must not leave its memory nor hang.
func FuzzDamagedTable(f *testing.F) {
	f.Add(uint64(1), uint8(10))
	f.Add(uint64(2), uint8(200))
	for seed := range uint64(16) {
		f.Add(1<<40+seed, uint8(255))
	}
	spinTime = time.Millisecond
	f.Cleanup(func() { spinTime = time.Second })
	f.Fuzz(func(t *testing.T, seed uint64, damage uint8) {
		const n = 60
		types := []ebpf.MapType{ebpf.Hash, ebpf.LRUHash, ebpf.PerCPUHash, ebpf.LRUCPUHash}
		m := newTestMap(t, &ebpf.MapSpec{Type: types[seed/2%4], KeySize: 8, ValueSize: 8, MaxEntries: n})
		h := tableOf(m)
		memory := mem.Range{Addr: h.buckets - tableHeaderSize, Size: h.elements - h.buckets + tableHeaderSize + 200*h.stride}
		value := make([]byte, ValueBytes(m.Spec(), 2))
		r := rand.New(rand.NewPCG(seed, 1))
		if seed%2 == 0 {
			h.oneBucket()
		}
		for range int(damage) + 1 {
			for range 20 {
				m.Update(key64(r.Uint64N(2*n)), value, ebpf.UpdateAny)
				m.Delete(key64(r.Uint64N(2 * n)))
			}
			// Anything but a lock that nobody gives back.
			off := r.Uint64N(memory.Size / 4)
			if off *= 4; off >= tableHeaderSize && off < h.elements-memory.Addr && off%64 == 0 {
				continue
			}
			v := []uint32{0, 1, 2, n, n + 1, n + 10, 1 << 16, 1 << 31, 1<<32 - 1, r.Uint32()}[r.IntN(10)]
			*mem.At[uint32](memory.Addr + off) = v
			m.Lookup(key64(r.Uint64N(2*n)), value, 0)
			var key [8]byte
			for range 3 * n {
				if m.NextKey(key[:], key[:]) != nil {
					break
				}
			}
		}
	})
}
