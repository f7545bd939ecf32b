package helper

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"os"
	"testing"
	"time"

	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/ringbuf"

	"github.com/skep-bpf/skep/internal/maps"
	"github.com/skep-bpf/skep/internal/mem"
)

// TestRingHelpersLikeKernel fills and reads a ring buffer of one page on both
// sides, from nothing to full, with records of all sizes and their headers.
func TestRingHelpersLikeKernel(t *testing.T) {
	s := newSides(t)
	reader, err := ringbuf.NewReader(s.kernel[ringMap])
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	reader.SetDeadline(time.Unix(1, 0))
	ring := s.ours[ringMap].(maps.Ring)

	const source = 0
	memory := make([]byte, memory)
	random := rand.New(rand.NewPCG(1, 2))
	for i := range memory {
		memory[i] = byte(random.Uint32())
	}
	sizes := []uint64{0, 1, 7, 8, 9, 100, 1000, 1020, 2000, 4072, 4079, 4080, 4081, 4088, 4089, 5000}
	flags := []uint64{0, 0, 0, 1, 2, 3, 4, 1 << 40}
	questions := []uint64{0, 1, 2, 3, 5, 1 << 40}
	read := func() {
		t.Helper()
		var record ringbuf.Record
		err := reader.ReadInto(&record)
		p, remaining, ok := ring.ReadRecord(nil)
		switch {
		case err == nil != ok:
			t.Errorf("record here: %v, in the kernel: %v", ok, err)
		case ok && (!bytes.Equal(p, record.RawSample) || remaining != record.Remaining):
			t.Errorf("record of %d bytes, %d remaining here; %d, %d in the kernel", len(p), remaining, len(record.RawSample), record.Remaining)
		case err != nil && !errors.Is(err, os.ErrDeadlineExceeded):
			t.Fatal(err)
		}
	}
	for range 400 {
		memory[source]++
		switch random.IntN(5) {
		case 0, 1:
			s.run(t, asm.FnRingbufOutput, memory, handleOf(ringMap), ptr(source), num(pick(random, sizes)), num(pick(random, flags)))
		case 2:
			end := []asm.BuiltinFunc{asm.FnRingbufSubmit, asm.FnRingbufDiscard}[random.IntN(2)]
			s.reserve(t, pick(random, sizes), pick(random, flags), end, pick(random, flags))
		case 3, 4:
			read()
		}
		for _, q := range questions {
			s.run(t, asm.FnRingbufQuery, memory, handleOf(ringMap), num(q))
		}
		if t.Failed() {
			return
		}
	}
}

func pick(r *rand.Rand, from []uint64) uint64 { return from[r.IntN(len(from))] }

// reserve runs bpf_ringbuf_reserve and, if it succeeded, ends the reservation.
func (s *sides) reserve(t *testing.T, size, flags uint64, end asm.BuiltinFunc, endFlags uint64) {
	t.Helper()
	insns := asm.Instructions{
		asm.LoadMapPtr(asm.R1, s.kernel[ringMap].FD()),
		asm.LoadImm(asm.R2, int64(size), asm.DWord),
		asm.LoadImm(asm.R3, int64(flags), asm.DWord),
		asm.FnRingbufReserve.Call(),
		asm.JEq.Imm(asm.R0, 0, "done"),
	}
	if size > 0 {
		insns = append(insns, asm.StoreImm(asm.R0, 0, 77, asm.Byte))
	}
	for i := int64(1); i < int64(size); i++ {
		insns = append(insns, asm.StoreImm(asm.R0, int16(i), i&0x7f, asm.Byte))
	}
	insns = append(insns,
		asm.Mov.Reg(asm.R1, asm.R0),
		asm.LoadImm(asm.R2, int64(endFlags), asm.DWord),
		end.Call(),
		asm.Mov.Imm(asm.R0, 1),
		asm.Mov.Reg(asm.R0, asm.R0).WithSymbol("done"),
	)
	want := s.runProgram(t, insns, memory)
	got := uint64(0)
	if r := For(asm.FnRingbufReserve)(s.call, MapHandle(ringMap), size, flags, 0, 0); r != 0 {
		p := mem.Slice(r, int(size))
		for i := range p {
			p[i] = byte(i & 0x7f)
		}
		if size > 0 {
			p[0] = 77
		}
		For(end)(s.call, r, endFlags, 0, 0, 0)
		got = 1
	}
	if got != want {
		t.Errorf("reserving %d bytes with flags %#x: %d here, %d in the kernel", size, flags, got, want)
	}
}
