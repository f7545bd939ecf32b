package skep

import (
	"encoding"
	"encoding/binary"
	"fmt"
	"reflect"
)

// encode turns a Go value into size bytes in the machine's byte order.
func encode(in any, size int) ([]byte, error) {
	var b []byte
	switch v := in.(type) {
	case []byte:
		b = v
	case *[]byte:
		b = *v
	case string:
		b = []byte(v)
	case encoding.BinaryMarshaler:
		var err error
		if b, err = v.MarshalBinary(); err != nil {
			return nil, err
		}
	default:
		var err error
		if b, err = binary.Append(make([]byte, 0, size), binary.NativeEndian, in); err != nil {
			return nil, fmt.Errorf("%T has no fixed binary form: use a fixed-size type, []byte or encoding.BinaryMarshaler", in)
		}
	}
	if len(b) != size {
		return nil, fmt.Errorf("%T has %d bytes, want %d (C pads structs: add the padding as _ fields)", in, len(b), size)
	}
	return b, nil
}

// decode is the reverse of encode. out is a pointer, or a []byte of the size.
func decode(b []byte, out any) error {
	switch v := out.(type) {
	case []byte:
		if len(v) != len(b) {
			return fmt.Errorf("%d bytes do not fit a []byte of %d", len(b), len(v))
		}
		copy(v, b)
		return nil
	case *[]byte:
		*v = append((*v)[:0], b...)
		return nil
	case *string:
		*v = string(b)
		return nil
	case encoding.BinaryUnmarshaler:
		return v.UnmarshalBinary(b)
	}
	if p := reflect.ValueOf(out); p.Kind() != reflect.Pointer || p.IsNil() {
		return fmt.Errorf("%T is not a pointer to put a value in", out)
	}
	n, err := binary.Decode(b, binary.NativeEndian, out)
	if err != nil {
		return fmt.Errorf("%T can't hold %d bytes: use a pointer to a fixed-size type, []byte or encoding.BinaryUnmarshaler", out, len(b))
	}
	if n != len(b) {
		return fmt.Errorf("%T has %d bytes, want %d (C pads structs: add the padding as _ fields)", out, n, len(b))
	}
	return nil
}

// encodePerCPU turns a slice with a value of size bytes for every CPU into total
// bytes, the values at equal distances.
func encodePerCPU(in any, total, size, cpus int) ([]byte, error) {
	values := reflect.ValueOf(in)
	if values.Kind() != reflect.Slice || values.Len() != cpus {
		return nil, fmt.Errorf("%T: a per-CPU value is a slice of %d elements, one for every possible CPU", in, cpus)
	}
	out := make([]byte, total)
	for cpu := range cpus {
		b, err := encode(values.Index(cpu).Interface(), size)
		if err != nil {
			return nil, err
		}
		copy(out[cpu*total/cpus:], b)
	}
	return out, nil
}

// decodePerCPU is the reverse of encodePerCPU. out is a slice with an element for
// every CPU, or a pointer to a slice, which is made anew.
func decodePerCPU(b []byte, cpus, size int, out any) error {
	values := reflect.ValueOf(out)
	switch {
	case values.Kind() == reflect.Pointer && !values.IsNil() && values.Elem().Kind() == reflect.Slice:
		values = values.Elem()
		values.Set(reflect.MakeSlice(values.Type(), cpus, cpus))
	case values.Kind() != reflect.Slice || values.Len() != cpus:
		return fmt.Errorf("%T: a per-CPU value needs a pointer to a slice, or a slice of %d elements", out, cpus)
	}
	for cpu := range cpus {
		from := cpu * len(b) / cpus
		if err := decode(b[from:from+size], values.Index(cpu).Addr().Interface()); err != nil {
			return err
		}
	}
	return nil
}

// encodeUpTo turns a Go value into at most limit bytes.
func encodeUpTo(in any, limit int) ([]byte, error) {
	size := sizeOf(in, limit)
	if size > limit {
		return nil, fmt.Errorf("%d bytes are too many: at most %d", size, limit)
	}
	return encode(in, size)
}

// sizeOf is the number of bytes of a Go value, or unknown for one that only its
// own methods can tell.
func sizeOf(v any, unknown int) int {
	if b, ok := v.([]byte); ok {
		return len(b)
	}
	if n := binary.Size(v); n >= 0 {
		return n
	}
	return unknown
}
