package reads

import (
	"bytes"
	"encoding/binary"
	"fmt"
)

const slots = 40 // SLOTS

// row is struct row of reads.bpf.c.
type row struct {
	Name   name
	_      [4]byte
	Reads  uint64
	Errors uint64
	Bytes  uint64
	First  uint64
	Last   uint64
	Hist   [slots]uint64
}

// name is struct name.
type name struct {
	PID  uint32
	Comm [16]byte
	Path [464]byte
}

// event is struct event, a record of the ring buffer.
type event struct {
	Time    uint64
	Latency uint64
	Ret     int64
	TID     uint32
	Row     uint32
}

func decodeEvent(sample []byte) (event, error) {
	var e event
	if len(sample) != binary.Size(e) {
		return e, fmt.Errorf("a record of %d bytes, want %d", len(sample), binary.Size(e))
	}
	err := binary.Read(bytes.NewReader(sample), binary.NativeEndian, &e)
	return e, err
}
