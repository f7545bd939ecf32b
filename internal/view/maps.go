package view

import (
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/btf"

	"github.com/skep-bpf/skep"
)

// An Entry is one element of a map.
type Entry struct {
	Key   Value
	CPU   int // of a per-CPU map, else -1
	Value Value
}

// Entries reads all elements of a map, decoded by the types of its spec, in the
// order of their keys and CPUs. Elements of arrays and per-CPU values that are
// all zero are not returned but counted. Elements that programs add or remove
// meanwhile may be in it or not.
func Entries(m skep.Map, spec *skep.MapSpec) (entries []Entry, zero int, err error) {
	keys := spec.Key
	var previous any
	seen := make(map[string]bool)
	// A key that goes away under the iteration starts it again: the bound ends
	// what would otherwise chase a busy program for ever.
	for range 2*uint64(m.MaxEntries()) + 1 {
		key, err := m.NextKeyBytes(previous)
		if err != nil {
			return nil, 0, err
		}
		if key == nil {
			break
		}
		previous = key
		if seen[string(key)] {
			continue
		}
		seen[string(key)] = true
		value, err := m.LookupBytes(key)
		if err != nil {
			return nil, 0, err
		}
		if value == nil {
			continue // removed since
		}
		for _, e := range split(m, value) {
			if e.zero && (isArray(m.Type()) || e.cpu >= 0) {
				zero++
				continue
			}
			entries = append(entries, Entry{Key: Decode(keys, key), CPU: e.cpu, Value: Decode(spec.Value, e.data)})
		}
	}
	slices.SortStableFunc(entries, func(a, b Entry) int { return Compare(a.Key, b.Key) })
	return entries, zero, nil
}

type element struct {
	cpu  int
	data []byte
	zero bool
}

// split cuts what a look-up gave into the values of the CPUs.
func split(m skep.Map, value []byte) []element {
	size := int(m.ValueSize())
	switch m.Type() {
	case ebpf.PerCPUArray, ebpf.PerCPUHash, ebpf.LRUCPUHash:
		stride := (size + 7) &^ 7
		var out []element
		for off := 0; off+stride <= len(value); off += stride {
			data := value[off : off+size]
			out = append(out, element{off / stride, data, isZero(data)})
		}
		return out
	}
	return []element{{-1, value, isZero(value)}}
}

func isZero(b []byte) bool { return !slices.ContainsFunc(b, func(c byte) bool { return c != 0 }) }

func isArray(t ebpf.MapType) bool { return t == ebpf.Array || t == ebpf.PerCPUArray }

// isRing reports whether a map holds a stream of records and no elements.
func isRing(t ebpf.MapType) bool {
	return t == ebpf.RingBuf || t == ebpf.UserRingbuf || t == ebpf.PerfEventArray
}

// writeMap writes one map as a table: a column for each member of a struct.
func writeMap(w io.Writer, o Options, name string, m skep.Map, spec *skep.MapSpec) error {
	entries, zero, err := Entries(m, spec)
	title := fmt.Sprintf("map %s: %s", Printable(name), kindOf(m.Type()))
	if err != nil {
		if errors.Is(err, ebpf.ErrNotSupported) {
			_, err = fmt.Fprintln(w, o.Heading(title+", its elements can't be listed"))
			return err
		}
		return fmt.Errorf("map %s: %w", name, err)
	}
	switch {
	case zero > 0 && len(entries) == 0:
		title += ", all zero"
	case zero > 0:
		title += fmt.Sprintf(", %s, %d more are zero", Count(uint64(len(entries)), "value", "values"), zero)
	default:
		title += fmt.Sprintf(", %d of %d elements", len(entries), m.MaxEntries())
	}
	if _, err := fmt.Fprintln(w, o.Heading(title)); err != nil || len(entries) == 0 {
		return err
	}
	table := Table{}
	first := entries[0]
	table.columns("KEY", first.Key)
	if first.CPU >= 0 {
		table.Columns = append(table.Columns, Column{Name: "CPU", Right: true})
	}
	table.columns("VALUE", first.Value)
	for _, e := range entries {
		row := cells(nil, e.Key)
		if e.CPU >= 0 {
			row = append(row, Number(uint64(e.CPU)))
		}
		table.Rows = append(table.Rows, cells(row, e.Value))
	}
	return table.Write(w, o)
}

func kindOf(t ebpf.MapType) string {
	if name, ok := kinds[t]; ok {
		return name
	}
	return t.String()
}

// kinds are the map types in words.
var kinds = map[ebpf.MapType]string{
	ebpf.Array:       "array",
	ebpf.Hash:        "hash",
	ebpf.PerCPUArray: "per-CPU array",
	ebpf.PerCPUHash:  "per-CPU hash",
	ebpf.LRUHash:     "LRU hash",
	ebpf.LRUCPUHash:  "per-CPU LRU hash",
	ebpf.RingBuf:     "ring buffer",
}

// columns adds the columns for values like v.
func (t *Table) columns(name string, v Value) {
	if members, ok := v.v.(fields); ok && len(members) > 0 {
		for _, m := range members {
			t.Columns = append(t.Columns, Column{Name: Printable(m.Name), Right: m.Value.numeric(), Shorten: !m.Value.numeric()})
		}
		return
	}
	t.Columns = append(t.Columns, Column{Name: name, Right: v.numeric(), Shorten: !v.numeric()})
}

// cells appends the cells of v. All values of a type have the same members, so a
// row is as long as the columns.
func cells(row []Cell, v Value) []Cell {
	if members, ok := v.v.(fields); ok && len(members) > 0 {
		for _, m := range members {
			row = append(row, cell(m.Value))
		}
		return row
	}
	return append(row, cell(v))
}

func cell(v Value) Cell {
	if s, ok := v.v.(string); ok {
		return Text(s)
	}
	return Quantity(v.number(), v.String())
}

// typeOf is the type of a variable, nil if unknown.
func typeOf(v *skep.VariableSpec) btf.Type {
	if v.Type == nil {
		return nil
	}
	return v.Type.Type
}
