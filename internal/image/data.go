package image

import (
	"fmt"
	"maps"
	"slices"

	"github.com/cilium/ebpf"
)

// addMaps copies the maps of the spec and puts the values of its variables into
// those that are data sections.
func (m *Image) addMaps(spec *ebpf.CollectionSpec) error {
	for name, s := range spec.Maps {
		if s == nil {
			return fmt.Errorf("%w: the spec of map %s is nil", ErrMalformed, name)
		}
		c := s.Copy()
		for i := range c.Contents {
			if b, ok := c.Contents[i].Value.([]byte); ok {
				c.Contents[i].Value = slices.Clone(b)
			}
		}
		m.Maps[name] = c
	}
	for _, name := range slices.Sorted(maps.Keys(spec.Variables)) {
		v := spec.Variables[name]
		if v == nil || v.Value == nil || m.Maps[v.SectionName] == nil {
			continue
		}
		s := m.Maps[v.SectionName]
		var contents []byte
		if len(s.Contents) == 1 {
			contents, _ = s.Contents[0].Value.([]byte)
		}
		if uint64(v.Offset)+uint64(len(v.Value)) > uint64(len(contents)) {
			return fmt.Errorf("%w: the variable %s has bytes %d to %d of %s, which has %d", ErrMalformed,
				name, v.Offset, uint64(v.Offset)+uint64(len(v.Value)), v.SectionName, len(contents))
		}
		copy(contents[v.Offset:], v.Value)
	}
	return nil
}
