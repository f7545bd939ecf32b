package skep

import (
	"errors"
	"fmt"
	"io"
	"reflect"

	"github.com/cilium/ebpf"

	"github.com/skep-bpf/skep/internal/maps"
	"github.com/skep-bpf/skep/internal/mem"
)

// A Collection is a loaded spec.
type Collection struct {
	Programs  map[string]*Program
	Maps      map[string]Map
	Variables map[string]*Variable

	closers []io.Closer
}

func newCollection() *Collection {
	return &Collection{
		Programs:  make(map[string]*Program),
		Maps:      make(map[string]Map),
		Variables: make(map[string]*Variable),
	}
}

// Close frees everything. Links to its programs must have been closed before.
func (c *Collection) Close() error {
	var errs []error
	for i := len(c.closers) - 1; i >= 0; i-- {
		errs = append(errs, c.closers[i].Close())
	}
	c.closers = nil
	return errors.Join(errs...)
}

// Assign sets the fields of the struct that to points to, by their `ebpf:"name"`
// tags, as cilium/ebpf's method of this name does: fields of type *[Program],
// [Map] and *[Variable], and structs of such fields. What is assigned is closed
// with the collection.
func (c *Collection) Assign(to any) error {
	v := reflect.ValueOf(to)
	if v.Kind() != reflect.Pointer || v.IsNil() || v.Elem().Kind() != reflect.Struct {
		return fmt.Errorf("assign: %T is not a pointer to a struct", to)
	}
	return c.assign(v.Elem())
}

func (c *Collection) assign(v reflect.Value) error {
	for i := range v.NumField() {
		field, value := v.Type().Field(i), v.Field(i)
		name, tagged := field.Tag.Lookup("ebpf")
		if !tagged {
			if field.Type.Kind() == reflect.Struct {
				if err := c.assign(value); err != nil {
					return err
				}
			}
			continue
		}
		if !field.IsExported() {
			return fmt.Errorf("assign: field %s is not exported", field.Name)
		}
		var from any
		switch field.Type {
		case reflect.TypeFor[*Program]():
			if p, ok := c.Programs[name]; ok {
				from = p
			}
		case reflect.TypeFor[Map]():
			if m, ok := c.Maps[name]; ok {
				from = m
			}
		case reflect.TypeFor[*Variable]():
			if x, ok := c.Variables[name]; ok {
				from = x
			}
		default:
			return fmt.Errorf("assign: field %s has type %s: want *skep.Program, skep.Map or *skep.Variable", field.Name, field.Type)
		}
		if from == nil {
			return fmt.Errorf("assign: the collection has no %s %q for field %s", field.Type, name, field.Name)
		}
		value.Set(reflect.ValueOf(from))
	}
	return nil
}

// A Variable is a global variable of the object.
type Variable struct {
	spec   *ebpf.VariableSpec
	m      maps.Direct    // of the user engine
	kernel *ebpf.Variable // of the kernel engine
}

// bytes is the memory of the variable.
func (v *Variable) bytes() ([]byte, error) {
	addr, ok := v.m.ValueAddr(v.spec.Offset)
	size := v.spec.Size()
	if _, end := v.m.ValueAddr(v.spec.Offset + size - 1); !ok || !end || size == 0 {
		return nil, fmt.Errorf("variable %s: its %d bytes at offset %d are outside %s", v.spec.Name, size, v.spec.Offset, v.spec.SectionName)
	}
	return mem.Slice(addr, int(size)), nil
}

// Size is the size in bytes.
func (v *Variable) Size() uint32 { return v.spec.Size() }

// ReadOnly reports whether the variable is const: it can't be set after Load.
func (v *Variable) ReadOnly() bool { return v.spec.Constant() }

// String describes the variable.
func (v *Variable) String() string { return v.spec.String() }

// Get copies the value into out, a pointer to a type of the variable's size.
// Programs may write it at the same time.
func (v *Variable) Get(out any) error {
	if v.kernel != nil {
		return v.kernel.Get(out)
	}
	b, err := v.bytes()
	if err != nil {
		return err
	}
	return decode(b, out)
}

// Set stores in, a value of the variable's size.
func (v *Variable) Set(in any) error {
	if v.ReadOnly() {
		return fmt.Errorf("variable %s: %w: it is const, set it in the spec before Load", v.spec.Name, ebpf.ErrReadOnly)
	}
	if v.kernel != nil {
		return v.kernel.Set(in)
	}
	b, err := v.bytes()
	if err != nil {
		return err
	}
	data, err := encode(in, len(b))
	if err != nil {
		return fmt.Errorf("variable %s: %w", v.spec.Name, err)
	}
	copy(b, data)
	return nil
}
