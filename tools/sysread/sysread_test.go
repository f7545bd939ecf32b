package sysread

import (
	"bytes"
	"encoding/binary"
	"reflect"
	"strings"
	"testing"

	"github.com/cilium/ebpf/btf"

	"github.com/skep-bpf/skep"
	"github.com/skep-bpf/skep/internal/view"
)

// The fields of reader are the members of struct reader, in order and without
// gaps.
func TestReaderLayout(t *testing.T) {
	spec, err := skep.LoadSpecFromReader(bytes.NewReader(Object))
	if err != nil {
		t.Fatal(err)
	}
	var c *btf.Struct
	if err := spec.Types.TypeByName("reader", &c); err != nil {
		t.Fatal(err)
	}
	g, off := reflect.TypeFor[reader](), 0
	if g.NumField() != len(c.Members) {
		t.Fatalf("%d fields, %d members", g.NumField(), len(c.Members))
	}
	for i, m := range c.Members {
		if f := g.Field(i); !strings.EqualFold(f.Name, m.Name) || off != int(m.Offset.Bytes()) {
			t.Errorf("field %s at %d, member %s at %d", f.Name, off, m.Name, m.Offset.Bytes())
		}
		off += binary.Size(reflect.Zero(g.Field(i).Type).Interface())
	}
	if off != int(c.Size) || off != int(spec.Maps["readers"].ValueSize) {
		t.Errorf("%d bytes, struct reader has %d", off, c.Size)
	}
	if _, err := New(&skep.Collection{}, view.Info{}); err == nil {
		t.Error("a collection without the map of sysread has a view")
	}
}
