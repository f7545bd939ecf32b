package reads

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

func spec(t *testing.T) *skep.CollectionSpec {
	t.Helper()
	spec, err := skep.LoadSpecFromReader(bytes.NewReader(Object))
	if err != nil {
		t.Fatal(err)
	}
	return spec
}

// The members of row lie where those of struct row lie.
func TestRowLayout(t *testing.T) {
	s := spec(t)
	var c *btf.Struct
	if err := s.Types.TypeByName("row", &c); err != nil {
		t.Fatal(err)
	}
	var x row
	if binary.Size(x) != int(c.Size) {
		t.Fatalf("a row has %d bytes, struct row %d", binary.Size(x), c.Size)
	}
	if got := s.Maps["rows"].ValueSize; got != c.Size {
		t.Errorf("values of rows have %d bytes, struct row %d", got, c.Size)
	}
	names := map[string]string{"first_ns": "First", "last_ns": "Last"}
	same(t, reflect.TypeFor[row](), c, names)
	var n *btf.Struct
	if err := s.Types.TypeByName("name", &n); err != nil {
		t.Fatal(err)
	}
	same(t, reflect.TypeFor[name](), n, names)
}

// same compares offsets and sizes by the names of members.
func same(t *testing.T, g reflect.Type, c *btf.Struct, names map[string]string) {
	t.Helper()
	for _, m := range c.Members {
		field, ok := g.FieldByNameFunc(func(s string) bool { return strings.EqualFold(s, m.Name) || s == names[m.Name] })
		if !ok {
			t.Errorf("%s.%s has no field in %s", c.Name, m.Name, g)
			continue
		}
		// Offsets as encoding/binary counts: without Go's own padding.
		off := 0
		for i := range g.NumField() {
			if f := g.Field(i); f.Name == field.Name {
				break
			}
			off += binary.Size(reflect.Zero(g.Field(i).Type).Interface())
		}
		size, err := btf.Sizeof(m.Type)
		if err != nil {
			t.Fatal(err)
		}
		if off != int(m.Offset.Bytes()) || binary.Size(reflect.Zero(field.Type).Interface()) != size {
			t.Errorf("%s.%s: offset %d and size %d, %s.%s has %d and %d", c.Name, m.Name, m.Offset.Bytes(), size,
				g, field.Name, off, binary.Size(reflect.Zero(field.Type).Interface()))
		}
	}
}

func TestObjectHasWhatTheViewReads(t *testing.T) {
	s := spec(t)
	for name, size := range map[string]uint32{"rows_used": 4, "reads_lost": 8, "each_read": 1} {
		if v := s.Variables[name]; v == nil || v.Size() != size {
			t.Errorf("variable %s: %v, want %d bytes", name, v, size)
		}
	}
	if m := s.Maps["events"]; m == nil {
		t.Error("there is no map events")
	}
	if _, err := New(&skep.Collection{}, view.Info{}); err == nil {
		t.Error("a collection without the maps of reads has a view")
	}
}

func TestRecordOfWrongSizeIsShownAsBytes(t *testing.T) {
	r := &reads{}
	if got := r.Record("events", []byte{1, 2}).String(); got != "01 02" {
		t.Errorf("got %s", got)
	}
}
