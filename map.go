package skep

import (
	"errors"
	"fmt"
	"iter"

	"github.com/cilium/ebpf"

	"github.com/skep-bpf/skep/internal/maps"
)

// A Map is a map of any engine. The methods are those of *ebpf.Map, which
// satisfies it: keys and values are []byte, or values of fixed size that
// encoding/binary knows, or encoding.BinaryMarshaler; per-CPU values are slices
// with one element for every possible CPU.
type Map interface {
	Type() ebpf.MapType
	KeySize() uint32
	ValueSize() uint32
	MaxEntries() uint32
	Flags() uint32

	// Lookup copies a value out: ebpf.ErrKeyNotExist if there is none.
	Lookup(key, valueOut any) error
	LookupWithFlags(key, valueOut any, flags ebpf.MapLookupFlags) error
	// LookupBytes gives the value as bytes, nil if there is none.
	LookupBytes(key any) ([]byte, error)
	LookupAndDelete(key, valueOut any) error
	Put(key, value any) error
	Update(key, value any, flags ebpf.MapUpdateFlags) error
	Delete(key any) error
	// NextKey copies the key after key out; key nil starts. The end is
	// ebpf.ErrKeyNotExist.
	NextKey(key, nextKeyOut any) error
	// NextKeyBytes is NextKey in bytes; the end is nil.
	NextKeyBytes(key any) ([]byte, error)
	// Freeze ends all changes from Go.
	Freeze() error
	Close() error
	String() string
}

var _ Map = (*ebpf.Map)(nil)

// All iterates over a map's keys and values. Entries that are added or removed
// meanwhile may be seen or not; a key that is removed right under the iteration
// starts it again, as in the kernel. It ends early at the first error of the map.
func All[K, V any](m Map) iter.Seq2[K, V] {
	return func(yield func(K, V) bool) {
		var previous any
		for {
			var key K
			if m.NextKey(previous, &key) != nil {
				return
			}
			var value V
			err := m.Lookup(key, &value)
			if err == nil && !yield(key, value) {
				return
			}
			if err != nil && !errors.Is(err, ebpf.ErrKeyNotExist) {
				return
			}
			previous = key
		}
	}
}

// A userMap is a map of the user engine.
type userMap struct {
	m    maps.Map
	name string
	cpus int
}

func (u *userMap) Type() ebpf.MapType { return u.m.Spec().Type }
func (u *userMap) KeySize() uint32    { return u.m.Spec().KeySize }
func (u *userMap) ValueSize() uint32  { return u.m.Spec().ValueSize }
func (u *userMap) MaxEntries() uint32 { return u.m.Spec().MaxEntries }
func (u *userMap) Flags() uint32      { return u.m.Spec().Flags }

func (u *userMap) String() string { return fmt.Sprintf("%s(%s)", u.Type(), u.name) }

// Table is the map behind the interface, for the packages of this module.
func (u *userMap) Table() maps.Map { return u.m }

func (u *userMap) perCPU() bool { return maps.PerCPU(u.Type()) }

// valueBytes is the size of a value as the Go side of maps takes it.
func (u *userMap) valueBytes() int { return maps.ValueBytes(u.m.Spec(), u.cpus) }

func (u *userMap) key(key any) ([]byte, error) {
	if key == nil && u.KeySize() == 0 { // queues, stacks and filters have none
		return nil, nil
	}
	b, err := encode(key, int(u.KeySize()))
	if err != nil {
		return nil, fmt.Errorf("%s: key: %w", u, err)
	}
	return b, nil
}

func (u *userMap) Lookup(key, valueOut any) error { return u.LookupWithFlags(key, valueOut, 0) }

func (u *userMap) LookupWithFlags(key, valueOut any, flags ebpf.MapLookupFlags) error {
	k, err := u.key(key)
	if err != nil {
		return err
	}
	value := make([]byte, u.valueBytes())
	if u.Type() == ebpf.BloomFilter {
		// A filter is asked about the value that is there already.
		if value, err = encode(valueOut, u.valueBytes()); err != nil {
			return fmt.Errorf("%s: value: %w", u, err)
		}
	}
	if err := u.m.Lookup(k, value, flags); err != nil {
		return fmt.Errorf("%s: lookup: %w", u, err)
	}
	return u.decodeValue(value, valueOut)
}

func (u *userMap) decodeValue(value []byte, out any) error {
	var err error
	if _, raw := out.(*[]byte); u.perCPU() && !raw {
		err = decodePerCPU(value, u.cpus, int(u.ValueSize()), out)
	} else {
		err = decode(value, out)
	}
	if err != nil {
		return fmt.Errorf("%s: value: %w", u, err)
	}
	return nil
}

func (u *userMap) LookupBytes(key any) ([]byte, error) {
	k, err := u.key(key)
	if err != nil {
		return nil, err
	}
	value := make([]byte, u.valueBytes())
	err = u.m.Lookup(k, value, 0)
	if errors.Is(err, ebpf.ErrKeyNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("%s: lookup: %w", u, err)
	}
	return value, nil
}

func (u *userMap) LookupAndDelete(key, valueOut any) error {
	k, err := u.key(key)
	if err != nil {
		return err
	}
	value := make([]byte, u.valueBytes())
	if err := u.m.LookupAndDelete(k, value, 0); err != nil {
		return fmt.Errorf("%s: lookup and delete: %w", u, err)
	}
	return u.decodeValue(value, valueOut)
}

func (u *userMap) Put(key, value any) error { return u.Update(key, value, ebpf.UpdateAny) }

func (u *userMap) Update(key, value any, flags ebpf.MapUpdateFlags) error {
	k, err := u.key(key)
	if err != nil {
		return err
	}
	var v []byte
	if _, raw := value.([]byte); u.perCPU() && !raw {
		v, err = encodePerCPU(value, u.valueBytes(), int(u.ValueSize()), u.cpus)
	} else {
		v, err = encode(value, u.valueBytes())
	}
	if err != nil {
		return fmt.Errorf("%s: value: %w", u, err)
	}
	if err := u.m.Update(k, v, flags); err != nil {
		return fmt.Errorf("%s: update: %w", u, err)
	}
	return nil
}

func (u *userMap) Delete(key any) error {
	k, err := u.key(key)
	if err != nil {
		return err
	}
	if err := u.m.Delete(k); err != nil {
		return fmt.Errorf("%s: delete: %w", u, err)
	}
	return nil
}

func (u *userMap) NextKey(key, nextKeyOut any) error {
	next, err := u.nextKey(key)
	if err != nil {
		return err
	}
	return decode(next, nextKeyOut)
}

func (u *userMap) NextKeyBytes(key any) ([]byte, error) {
	next, err := u.nextKey(key)
	if errors.Is(err, ebpf.ErrKeyNotExist) {
		return nil, nil
	}
	return next, err
}

func (u *userMap) nextKey(key any) ([]byte, error) {
	var k []byte
	if key != nil {
		var err error
		if k, err = u.key(key); err != nil {
			return nil, err
		}
	}
	next := make([]byte, u.KeySize())
	if err := u.m.NextKey(k, next); err != nil {
		return nil, fmt.Errorf("%s: next key: %w", u, err)
	}
	return next, nil
}

func (u *userMap) Freeze() error { return u.m.Freeze() }

// Close does nothing: the map lives as long as its collection, whose programs
// use it.
func (u *userMap) Close() error { return nil }
