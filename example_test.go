package skep_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"path/filepath"

	"github.com/skep-bpf/skep"
	"github.com/skep-bpf/skep/ringbuf"
	"github.com/skep-bpf/skep/verify"
)

// clock is a clock that stands still.
type clock uint64

func (c clock) Monotonic() uint64 { return uint64(c) }
func (c clock) Boot() uint64      { return uint64(c) }

// Load an object, run its program with a context of our own, and read what it
// left in its map, its global variable and its ring buffer.
func ExampleLoad() {
	spec, err := skep.LoadSpec("testdata/count.bpf.o")
	if err != nil {
		log.Fatal(err)
	}
	coll, err := skep.Load(context.Background(), skep.User(), spec,
		skep.WithClock(clock(1000)), skep.WithRandom(func() uint32 { return 7 }),
		skep.WithPrint(func(line []byte) { fmt.Printf("print: %s\n", line) }))
	if err != nil {
		log.Fatal(err)
	}
	defer coll.Close()

	// A raw tracepoint's context are its arguments: the registers, and the number
	// of the system call.
	const getpid = 39
	ret, err := coll.Programs["count"].Run(&skep.RunOptions{Context: [2]uint64{0, getpid}, Repeat: 1})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("returned", ret)

	for number, count := range skep.All[uint64, uint64](coll.Maps["counts"]) {
		fmt.Println("call", number, "count", count)
	}
	var total uint64
	if err := coll.Variables["total"].Get(&total); err != nil {
		log.Fatal(err)
	}
	fmt.Println("total", total)

	reader, err := ringbuf.NewReader(coll.Maps["calls"])
	if err != nil {
		log.Fatal(err)
	}
	defer reader.Close()
	record, err := reader.Read()
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("record of", len(record.RawSample), "bytes")

	// Output:
	// print: call 39 on cpu 0
	// returned 1
	// call 39 count 1
	// total 1
	// record of 24 bytes
}

// A refused program says where and why.
func ExampleLoad_refused() {
	spec, err := skep.LoadSpec("testdata/refused.bpf.o")
	if err != nil {
		log.Fatal(err)
	}
	_, err = skep.Load(context.Background(), skep.User(), spec)
	var refusal *verify.Error
	if errors.As(err, &refusal) {
		fmt.Println(refusal.Code)
		fmt.Printf("%s:%d: %s\n", filepath.Base(refusal.Source.File), refusal.Source.Line, refusal.Source.Text)
	}
	// Output:
	// null-pointer
	// refused.bpf.c:21: *n += 1;
}
