package view

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/cilium/ebpf/btf"

	"github.com/skep-bpf/skep"
)

// A Record says how the records of one ring buffer are decoded. The map itself
// does not say, so the struct is looked for. The first rule that fits wins:
//
//  1. the struct that the user names;
//  2. the struct that a global pointer marks, as in
//     "const struct event *unused __attribute__((unused))" (bpf2go's custom). Of
//     several, the one that rule 3 or 4 finds among them;
//  3. the struct or typedef that is named as the map, in the singular too, with
//     or without a suffix: for events it is event, event_t, event_s, event_data,
//     event_info, events, events_t, …;
//  4. the only struct of the object that is as large as the record and no key
//     and no value of a map;
//  5. none: bytes.
//
// A struct larger than the record never fits; bytes behind the struct follow as
// a member "…".
type Record struct {
	// Type was found by rules 1 to 3, nil if none of them fits.
	Type btf.Type
	// others are what rule 4 chooses from.
	others []btf.Type
}

// NewRecord looks for the records of ring in spec. as is the struct that the
// user names, "" for none.
func NewRecord(spec *skep.CollectionSpec, ring, as string) (Record, error) {
	if spec.Types == nil {
		if as != "" {
			return Record{}, fmt.Errorf("records of %s: the object has no BTF (compile it with -g), so there is no struct %q", ring, as)
		}
		return Record{}, nil
	}
	all := structs(spec.Types)
	if as != "" {
		as = strings.TrimPrefix(as, "struct ")
		for _, t := range all {
			if nameOf(t) == as {
				return Record{Type: t}, nil
			}
		}
		return Record{}, fmt.Errorf("records of %s: the object's BTF has no struct %q: clang leaves out what only programs use, a global `const struct %s *unused` keeps it in", ring, as, as)
	}
	marked := markedBy(spec)
	if len(marked) == 1 {
		return Record{Type: marked[0]}, nil
	}
	for _, from := range [][]btf.Type{marked, all} {
		for _, name := range namesFor(ring) {
			for _, t := range from {
				if nameOf(t) == name {
					return Record{Type: t}, nil
				}
			}
		}
	}
	if len(marked) > 0 {
		return Record{others: marked}, nil
	}
	return Record{others: slices.DeleteFunc(all, func(t btf.Type) bool { return inMap(spec, t) })}, nil
}

// Decode decodes one record.
func (r Record) Decode(sample []byte) Value {
	if size, err := btf.Sizeof(r.Type); err == nil && size <= len(sample) {
		v := Decode(r.Type, sample)
		if members, ok := v.v.(fields); ok && size < len(sample) && !isZero(sample[size:]) {
			return Value{append(members, Field{"…", Raw(sample[size:])})}
		}
		return v
	}
	var only btf.Type
	for _, t := range r.others {
		if size, err := btf.Sizeof(t); err != nil || size != len(sample) {
			continue
		}
		if only != nil && btf.UnderlyingType(only) != btf.UnderlyingType(t) {
			return Raw(sample)
		}
		only = t
	}
	if only == nil {
		return Raw(sample)
	}
	return Decode(only, sample)
}

// structs are the named structs and the typedefs of structs.
func structs(types *btf.Spec) []btf.Type {
	var out []btf.Type
	for t, err := range types.All() {
		if err != nil {
			break
		}
		switch t := t.(type) {
		case *btf.Struct:
			if t.Name != "" {
				out = append(out, t)
			}
		case *btf.Typedef:
			if _, ok := btf.UnderlyingType(t).(*btf.Struct); ok {
				out = append(out, t)
			}
		}
	}
	return out
}

func nameOf(t btf.Type) string { return t.TypeName() }

// markedBy are the structs that global pointers mark, each once, by the names of
// the variables.
func markedBy(spec *skep.CollectionSpec) []btf.Type {
	var out []btf.Type
	for _, name := range slices.Sorted(maps.Keys(spec.Variables)) {
		if t := marks(spec.Variables[name]); t != nil && !slices.Contains(out, t) {
			out = append(out, t)
		}
	}
	return out
}

// suffixes are what names of record types end in.
var suffixes = []string{"", "_t", "_s", "_data", "_info", "_event"}

// namesFor are the names of a struct that fit a map's name, the best first.
func namesFor(ring string) []string {
	var out []string
	bases := []string{ring}
	if singular, ok := strings.CutSuffix(ring, "s"); ok && singular != "" {
		bases = []string{singular, ring}
	}
	for _, base := range bases {
		for _, suffix := range suffixes {
			out = append(out, base+suffix)
		}
	}
	return out
}

// inMap reports whether a map of spec has keys or values of type t.
func inMap(spec *skep.CollectionSpec, t btf.Type) bool {
	for _, m := range spec.Maps {
		for _, used := range []btf.Type{m.Key, m.Value} {
			if used != nil && (btf.UnderlyingType(used) == btf.UnderlyingType(t) || nameOf(used) == nameOf(t)) {
				return true
			}
		}
	}
	return false
}
