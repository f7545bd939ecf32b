package maps

import (
	"encoding"
	"encoding/binary"
	"fmt"
	"reflect"
	"strings"

	"github.com/cilium/ebpf"
)

// fill puts a spec's initial contents into a new map and freezes constant data,
// as cilium/ebpf does with a map of the kernel.
func fill(m Map, cpus int) error {
	spec := m.Spec()
	contents := spec.Contents
	if HoldsMaps(spec.Type) || spec.Type == ebpf.ProgramArray {
		contents = nil // names, which mean something to the caller only
	}
	for _, kv := range contents {
		key, err := encode(kv.Key, int(spec.KeySize))
		if err != nil {
			return fmt.Errorf("initial contents: key %v: %w", kv.Key, err)
		}
		encodeValue := encode
		if PerCPU(spec.Type) {
			encodeValue = func(v any, size int) ([]byte, error) { return encodePerCPU(v, size, cpus) }
		}
		value, err := encodeValue(kv.Value, int(spec.ValueSize))
		if err != nil {
			return fmt.Errorf("initial contents: value of key %v: %w", kv.Key, err)
		}
		if err := m.Update(key, value, ebpf.UpdateAny); err != nil {
			return fmt.Errorf("initial contents: key %v: %w", kv.Key, err)
		}
	}
	if strings.HasPrefix(spec.Name, ".rodata") || spec.Name == ".kconfig" {
		return m.Freeze()
	}
	return nil
}

// encode gives the bytes of a key or value in the forms that cilium/ebpf takes.
func encode(v any, size int) ([]byte, error) {
	var b []byte
	var err error
	switch v := v.(type) {
	case encoding.BinaryMarshaler:
		b, err = v.MarshalBinary()
	case []byte:
		b = v
	case string:
		b = []byte(v)
	default:
		if r := reflect.ValueOf(v); !r.IsValid() || r.Kind() == reflect.Pointer && r.IsNil() {
			return nil, fmt.Errorf("%T nil has no bytes", v)
		}
		b, err = binary.Append(nil, binary.NativeEndian, v)
	}
	if err != nil {
		return nil, err
	}
	if len(b) != size {
		return nil, fmt.Errorf("%T has %d bytes, the map wants %d", v, len(b), size)
	}
	return b, nil
}

// encodePerCPU gives the bytes of a slice with a value for each CPU. CPUs that
// the slice leaves out get 0.
func encodePerCPU(v any, size, cpus int) ([]byte, error) {
	s := reflect.ValueOf(v)
	if s.Kind() != reflect.Slice {
		return nil, fmt.Errorf("%T is not a slice with a value for each CPU", v)
	}
	if s.Len() > cpus {
		return nil, fmt.Errorf("%d values for %d CPUs", s.Len(), cpus)
	}
	stride := int(round8(uint64(size)))
	out := make([]byte, stride*cpus)
	for cpu := range s.Len() {
		b, err := encode(s.Index(cpu).Interface(), size)
		if err != nil {
			return nil, err
		}
		copy(out[cpu*stride:], b)
	}
	return out, nil
}
