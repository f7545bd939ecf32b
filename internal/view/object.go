package view

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/btf"

	"github.com/skep-bpf/skep"
)

// An Object is the view of any collection, by its types alone: its variables,
// its maps, the records of its ring buffers.
type Object struct {
	c       *skep.Collection
	spec    *skep.CollectionSpec
	records map[string]Record
}

// NewObject makes the view of c.
func NewObject(c *skep.Collection, info Info) (View, error) {
	o := &Object{c: c, spec: info.Spec, records: make(map[string]Record)}
	for name := range info.Records {
		if m := c.Maps[name]; m == nil || !isRing(m.Type()) {
			return nil, fmt.Errorf("the object has no ring buffer %q to decode records of", name)
		}
	}
	for name, m := range c.Maps {
		if !isRing(m.Type()) {
			continue
		}
		r, err := NewRecord(info.Spec, name, info.Records[name])
		if err != nil {
			return nil, err
		}
		o.records[name] = r
	}
	return o, nil
}

// Table writes the variables that programs can change, then every map.
func (v *Object) Table(w io.Writer, o Options) error {
	variables, err := v.variables()
	if err != nil {
		return err
	}
	if len(variables) > 0 {
		if _, err := fmt.Fprintln(w, o.Heading("variables")); err != nil {
			return err
		}
	}
	for _, f := range variables {
		if _, err := fmt.Fprintf(w, "%s = %s\n", Printable(f.Name), f.Value); err != nil {
			return err
		}
	}
	for _, name := range slices.Sorted(maps.Keys(v.c.Maps)) {
		if isRing(v.c.Maps[name].Type()) {
			continue
		}
		if err := writeMap(w, o, name, v.c.Maps[name], v.spec.Maps[name]); err != nil {
			return err
		}
	}
	return nil
}

// variables are the values of what programs can change, by name.
func (v *Object) variables() ([]Field, error) {
	var out []Field
	for _, name := range slices.Sorted(maps.Keys(v.c.Variables)) {
		x, spec := v.c.Variables[name], v.spec.Variables[name]
		if x.ReadOnly() || strings.HasPrefix(spec.SectionName, ".kconfig") || marks(spec) != nil {
			continue
		}
		var b []byte
		if err := x.Get(&b); err != nil {
			return nil, err
		}
		out = append(out, Field{name, Decode(typeOf(spec), b)})
	}
	return out, nil
}

type variableLine struct {
	Variable string `json:"variable"`
	Value    Value  `json:"value"`
}

type entryLine struct {
	Map   string `json:"map"`
	Key   Value  `json:"key"`
	CPU   *int   `json:"cpu,omitempty"`
	Value Value  `json:"value"`
}

// RecordLine is the JSON line of a ring buffer's record.
type RecordLine struct {
	Map    string `json:"map"`
	Record Value  `json:"record"`
}

// Lines gives a line for every variable, {"variable", "value"}, and for every
// element of a map, {"map", "key", "cpu" (of per-CPU maps), "value"}.
func (v *Object) Lines(encode func(any) error) error {
	variables, err := v.variables()
	if err != nil {
		return err
	}
	for _, f := range variables {
		if err := encode(variableLine{f.Name, f.Value}); err != nil {
			return err
		}
	}
	for _, name := range slices.Sorted(maps.Keys(v.c.Maps)) {
		m := v.c.Maps[name]
		if isRing(m.Type()) {
			continue
		}
		entries, _, err := Entries(m, v.spec.Maps[name])
		if errors.Is(err, ebpf.ErrNotSupported) {
			continue // the table says so
		}
		if err != nil {
			return fmt.Errorf("map %s: %w", name, err)
		}
		for _, e := range entries {
			line := entryLine{Map: name, Key: e.Key, Value: e.Value}
			if e.CPU >= 0 {
				line.CPU = &e.CPU
			}
			if err := encode(line); err != nil {
				return err
			}
		}
	}
	return nil
}

// Record decodes a record by the struct that was found for its ring buffer.
func (v *Object) Record(ring string, sample []byte) Value {
	return v.records[ring].Decode(sample)
}

// marks is the struct that a variable stands for: one that is a pointer to a
// struct and nothing else, as in
//
//	const struct event *unused __attribute__((unused));
//
// which is how C keeps a type that only programs use in the object's BTF.
func marks(v *skep.VariableSpec) btf.Type {
	p, ok := btf.UnderlyingType(typeOf(v)).(*btf.Pointer)
	if !ok {
		return nil
	}
	if s, ok := btf.UnderlyingType(p.Target).(*btf.Struct); ok && isZero(v.Value) {
		return s
	}
	return nil
}
