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

// encodePerCPU takes a slice with a value for every CPU.
func encodePerCPU(in any, stride, size, cpus int) ([]byte, error) {
	values := reflect.ValueOf(in)
	if values.Kind() != reflect.Slice || values.Len() != cpus {
		return nil, fmt.Errorf("%T: a per-CPU value is a slice of %d elements, one for every possible CPU", in, cpus)
	}
	out := make([]byte, stride*cpus)
	for cpu := range cpus {
		b, err := encode(values.Index(cpu).Interface(), size)
		if err != nil {
			return nil, err
		}
		copy(out[cpu*stride:], b)
	}
	return out, nil
}

// decodePerCPU fills a pointer to a slice with the value of every CPU.
func decodePerCPU(b []byte, stride, size int, out any) error {
	p := reflect.ValueOf(out)
	if p.Kind() == reflect.Slice {
		// A slice that already has an element for every CPU is filled in place.
		if p.Len() != len(b)/stride {
			return fmt.Errorf("%T has %d elements, want %d, one for every possible CPU", out, p.Len(), len(b)/stride)
		}
	} else {
		if p.Kind() != reflect.Pointer || p.IsNil() || p.Elem().Kind() != reflect.Slice {
			return fmt.Errorf("%T: a per-CPU value needs a pointer to a slice", out)
		}
		p.Elem().Set(reflect.MakeSlice(p.Elem().Type(), len(b)/stride, len(b)/stride))
		p = p.Elem()
	}
	for cpu := range len(b) / stride {
		if err := decode(b[cpu*stride:cpu*stride+size], p.Index(cpu).Addr().Interface()); err != nil {
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
