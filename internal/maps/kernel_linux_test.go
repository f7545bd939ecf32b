package maps

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"syscall"
	"testing"
	"unsafe"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"github.com/skep-bpf/skep/internal/abi"
)

// A kernelMap is a map of the running kernel, used by plain bpf() calls so that
// each errno is seen as the kernel gives it.
type kernelMap struct {
	fd    int
	spec  *ebpf.MapSpec
	value int // bytes of a value to and from bpf()
}

// elemAttr is the part of union bpf_attr for BPF_MAP_*_ELEM.
type elemAttr struct {
	fd    uint32
	_     uint32
	key   unsafe.Pointer
	value unsafe.Pointer
	flags uint64
}

const (
	cmdCreate = 0
	cmdLookup = 1
	cmdUpdate = 2
	cmdDelete = 3
	cmdNext   = 4
	cmdTake   = 21 // BPF_MAP_LOOKUP_AND_DELETE_ELEM
	cmdFreeze = 22
)

func bpf(cmd int, attr unsafe.Pointer, size uintptr) (int, error) {
	fd, _, errno := unix.Syscall(unix.SYS_BPF, uintptr(cmd), uintptr(attr), size)
	if errno != 0 {
		return -1, errno
	}
	return int(fd), nil
}

func newKernelMap(spec *ebpf.MapSpec) (*kernelMap, error) { return newKernelMapOf(spec, 0) }

// newKernelMapOf is newKernelMap of a map of maps, with a pattern for those.
func newKernelMapOf(spec *ebpf.MapSpec, inner int) (*kernelMap, error) {
	attr := struct {
		typ, key, value, entries, flags, inner, numa uint32
		_                                            [36]byte // from map_name to btf_vmlinux_value_type_id
		extra                                        uint64
	}{
		typ: uint32(spec.Type), key: spec.KeySize, value: spec.ValueSize, entries: spec.MaxEntries, flags: spec.Flags, inner: uint32(inner), numa: spec.NumaNode, extra: spec.MapExtra,
	}
	fd, err := bpf(cmdCreate, unsafe.Pointer(&attr), unsafe.Sizeof(attr))
	if err != nil {
		return nil, err
	}
	return &kernelMap{fd, spec, ValueBytes(spec, ebpf.MustPossibleCPU())}, nil
}

func (m *kernelMap) elem(cmd int, key, value []byte, flags uint64) error {
	attr := elemAttr{fd: uint32(m.fd), key: data(key), value: data(value), flags: flags}
	_, err := bpf(cmd, unsafe.Pointer(&attr), unsafe.Sizeof(attr))
	return err
}

func (m *kernelMap) Lookup(key, value []byte, flags ebpf.MapLookupFlags) error {
	return m.elem(cmdLookup, key, value, uint64(flags))
}

func (m *kernelMap) LookupAndDelete(key, value []byte, flags ebpf.MapLookupFlags) error {
	return m.elem(cmdTake, key, value, uint64(flags))
}

func (m *kernelMap) Update(key, value []byte, flags ebpf.MapUpdateFlags) error {
	return m.elem(cmdUpdate, key, value, uint64(flags))
}

func (m *kernelMap) Delete(key []byte) error        { return m.elem(cmdDelete, key, nil, 0) }
func (m *kernelMap) NextKey(key, next []byte) error { return m.elem(cmdNext, key, next, 0) }
func (m *kernelMap) Close() error                   { return unix.Close(m.fd) }

func (m *kernelMap) Freeze() error {
	fd := uint32(m.fd)
	_, err := bpf(cmdFreeze, unsafe.Pointer(&fd), 4)
	return err
}

// bpfNotPermitted is why a comparison with the kernel is skipped.
type bpfNotPermitted struct{ err error }

func (e bpfNotPermitted) Error() string {
	return fmt.Sprintf("bpf() is not permitted here, so there is no kernel to compare with: %v", e.err)
}

func skipWithoutBPF(t testing.TB) {
	t.Helper()
	m, err := newKernelMap(&ebpf.MapSpec{Type: ebpf.Array, KeySize: 4, ValueSize: 4, MaxEntries: 1})
	switch {
	case err == nil:
		m.Close()
	case errors.Is(err, unix.EPERM) || errors.Is(err, unix.ENOSYS):
		t.Skip(bpfNotPermitted{err})
	default:
		t.Fatal(err)
	}
}

// sameError reports whether ours is what the kernel's errno stands for.
func sameError(ours, kernel error) bool {
	if errors.Is(kernel, syscall.Errno(524)) {
		return errors.Is(ours, ebpf.ErrNotSupported)
	}
	return errors.Is(ours, kernel)
}

// TestNewLikeKernel makes maps of good and bad specs here and in the kernel.
func TestNewLikeKernel(t *testing.T) {
	skipWithoutBPF(t)
	r := rand.New(rand.NewPCG(1, 1))
	sizes := []uint32{0, 1, 2, 3, 4, 5, 7, 8, 16, 100, 512, 513, 4096, 32 << 10, 32<<10 - 7, 32<<10 + 1, 4<<20 - 50, 4<<20 - 57, 4<<20 - 49, 4 << 20, 4<<20 + 1, 4<<20 - 280, 4<<20 - 279, 260, 261, 1 << 31, 1<<32 - 1}
	entries := []uint32{0, 1, 2, 3, 4, 100, 4095, 4096, 4097, 8192, 12288, 1 << 16}
	// BPF_F_NO_COMMON_LRU, BPF_F_NUMA_NODE and flags that other types have are
	// among the bits.
	flags := []uint32{0, 0, 0, 0, 1, 2, 4, 8, 16, 8 | 16, 32, 64, 64 | 1, 128, 256, 128 | 256, 8 | 128, 512, 1024, 1024 | 128, 2048, 4096, 8192, 1 << 17, 1 << 20, 1 << 31}
	types := []ebpf.MapType{ebpf.CGroupArray, ebpf.ProgramArray, ebpf.ArrayOfMaps, ebpf.HashOfMaps, ebpf.PerfEventArray, ebpf.Queue, ebpf.Stack, ebpf.BloomFilter, ebpf.LPMTrie, ebpf.Array, ebpf.Hash, ebpf.PerCPUArray, ebpf.RingBuf, ebpf.LRUHash, ebpf.PerCPUHash, ebpf.LRUCPUHash}
	pattern := &ebpf.MapSpec{Type: ebpf.Hash, KeySize: 4, ValueSize: 4, MaxEntries: 3}
	kernelPattern, err := newKernelMap(pattern)
	if err != nil {
		t.Fatal(err)
	}
	defer kernelPattern.Close()
	made := map[ebpf.MapType]int{}
	refused := map[ebpf.MapType]int{}
	for range 8000 {
		spec := &ebpf.MapSpec{
			Type:       types[r.IntN(len(types))],
			KeySize:    sizes[r.IntN(len(sizes))],
			ValueSize:  sizes[r.IntN(len(sizes))],
			MaxEntries: entries[r.IntN(len(entries))],
			Flags:      flags[r.IntN(len(flags))],
		}
		switch { // or else most specs are bad
		case spec.Type == ebpf.RingBuf && r.IntN(3) > 0:
			spec.KeySize, spec.ValueSize = 0, 0
		case slices.Contains([]ebpf.MapType{ebpf.Queue, ebpf.Stack, ebpf.BloomFilter}, spec.Type) && r.IntN(3) > 0:
			spec.KeySize = 0
			if spec.Type == ebpf.BloomFilter && r.IntN(3) == 0 {
				spec.MapExtra = r.Uint64N(20)
			}
		case r.IntN(2) > 0:
			spec.KeySize = 4
		}
		if spec.Type == ebpf.LPMTrie && r.IntN(2) > 0 {
			spec.KeySize, spec.Flags = 8, abi.MapNoPrealloc
		} else if r.IntN(2) > 0 {
			spec.Flags = 0
		}
		// What is large takes the kernel's time and memory, and then it is the
		// machine's affair.
		if slices.Contains([]ebpf.MapType{ebpf.PerfEventArray, ebpf.CGroupArray, ebpf.ProgramArray, ebpf.ArrayOfMaps, ebpf.HashOfMaps}, spec.Type) {
			if r.IntN(3) > 0 {
				spec.ValueSize = 4
			}
			spec.InnerMap = pattern
			spec = complete(spec, ebpf.MustPossibleCPU())
		}
		if uint64(spec.MaxEntries)*(uint64(spec.KeySize)+uint64(spec.ValueSize)) > 1<<20 {
			spec.MaxEntries = 1
		}
		k, errKernel := newKernelMapOf(spec, map[bool]int{true: kernelPattern.fd}[HoldsMaps(spec.Type)])
		if errKernel == nil {
			k.Close()
			made[spec.Type]++
		} else {
			refused[spec.Type]++
		}
		m, err := New(spec, ebpf.MustPossibleCPU())
		if err == nil {
			m.Close()
		}
		if !sameError(err, errKernel) {
			t.Errorf("%v: %v here, %v in the kernel", spec, err, errKernel)
		}
	}
	for _, typ := range types {
		if made[typ] < 30 || refused[typ] < 30 {
			t.Errorf("%s: %d made, %d refused: too few to tell", typ, made[typ], refused[typ])
		}
	}
}

// A model is what a map should do, in plain Go.
type model struct {
	spec     *ebpf.MapSpec
	size     int               // of a value
	elements map[string][]byte // by what makes a key one, see id
	stored   map[string]string // the key as it was put in, by the same
	frozen   bool
}

func newModel(spec *ebpf.MapSpec, size int) *model {
	m := &model{spec: spec, size: size, elements: map[string][]byte{}, stored: map[string]string{}}
	if m.isArray() {
		for i := range spec.MaxEntries {
			key := string(binary.NativeEndian.AppendUint32(nil, i))
			m.elements[key], m.stored[key] = make([]byte, size), key
		}
	}
	return m
}

func (m *model) isArray() bool {
	return m.spec.Type == ebpf.Array || m.spec.Type == ebpf.PerCPUArray
}

func (m *model) isTrie() bool { return m.spec.Type == ebpf.LPMTrie }

// id is what makes a key one: of a trie, the bits of its prefix. It is not ok for
// a prefix that is too long.
func (m *model) id(key []byte) (id string, ok bool) {
	if !m.isTrie() {
		return string(key), true
	}
	return prefixOf(key, binary.NativeEndian.Uint32(key))
}

// prefixOf is the first bits of an address, as text.
func prefixOf(key []byte, n uint32) (string, bool) {
	bits := new(strings.Builder)
	for _, b := range key[4:] {
		fmt.Fprintf(bits, "%08b", b)
	}
	if n > uint32(bits.Len()) {
		return "", false
	}
	return bits.String()[:n], true
}

// find gives the value that a lookup finds.
func (m *model) find(key []byte) (v []byte, ok bool) {
	id, ok := m.id(key)
	if !ok {
		return nil, false
	}
	v, ok = m.elements[id]
	for m.isTrie() && !ok && len(id) > 0 {
		id = id[:len(id)-1]
		v, ok = m.elements[id]
	}
	return v, ok
}

func (m *model) mayWrite() bool { return !m.frozen && m.spec.Flags&abi.MapRdonly == 0 }

func (m *model) lookup(key, value []byte, flags uint64) error {
	v, ok := m.find(key)
	switch {
	case flags&^4 != 0:
		return syscall.EINVAL
	case m.spec.Flags&abi.MapWronly != 0:
		return syscall.EPERM
	case flags != 0:
		return syscall.EINVAL
	case !ok:
		return syscall.ENOENT
	}
	copy(value, v)
	return nil
}

func (m *model) lookupAndDelete(key, value []byte, flags uint64) error {
	switch {
	case flags&^4 != 0:
		return syscall.EINVAL
	case !m.mayWrite():
		return syscall.EPERM
	}
	if err := m.lookup(key, value, flags); err != nil && !((m.isArray() || m.isTrie()) && err == syscall.ENOENT) {
		return err
	}
	if m.isArray() || m.isTrie() {
		clear(value)
		return syscall.Errno(524)
	}
	m.remove(key)
	return nil
}

func (m *model) remove(key []byte) {
	id, _ := m.id(key)
	delete(m.elements, id)
	delete(m.stored, id)
}

func (m *model) update(key, value []byte, flags uint64) error {
	id, ok := m.id(key)
	_, there := m.elements[id]
	switch {
	case !m.mayWrite():
		return syscall.EPERM
	case flags > 2 || !ok:
		return syscall.EINVAL
	case m.isArray() && !there:
		return syscall.E2BIG
	case flags == 1 && there:
		return syscall.EEXIST
	case flags == 2 && !there:
		return syscall.ENOENT
	case !there && len(m.elements) == int(m.spec.MaxEntries) && m.isTrie():
		return syscall.ENOSPC
	case !there && len(m.elements) == int(m.spec.MaxEntries):
		return syscall.E2BIG
	}
	m.elements[id], m.stored[id] = bytes.Clone(value), string(key)
	return nil
}

func (m *model) delete(key []byte) error {
	id, ok := m.id(key)
	_, there := m.elements[id]
	switch {
	case !m.mayWrite():
		return syscall.EPERM
	case m.isArray() || !ok:
		return syscall.EINVAL
	case !there:
		return syscall.ENOENT
	}
	m.remove(key)
	return nil
}

func (m *model) freeze() error {
	if !m.mayWrite() {
		return syscall.EPERM
	}
	m.frozen = true
	return nil
}

// keys are all keys, sorted.
func (m *model) keys() []string {
	var keys []string
	for _, k := range m.stored {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// TestHistoryLikeKernel runs the same random history on a map here, on one of
// the kernel's, and on a model.
func TestHistoryLikeKernel(t *testing.T) {
	skipWithoutBPF(t)
	for i, spec := range []*ebpf.MapSpec{
		{Type: ebpf.Array, KeySize: 4, ValueSize: 1, MaxEntries: 1},
		{Type: ebpf.Array, KeySize: 4, ValueSize: 13, MaxEntries: 10},
		{Type: ebpf.Array, KeySize: 4, ValueSize: 8, MaxEntries: 100, Flags: abi.MapMmapable},
		{Type: ebpf.Array, KeySize: 4, ValueSize: 300, MaxEntries: 3, Flags: abi.MapRdonlyProg},
		{Type: ebpf.Array, KeySize: 4, ValueSize: 4, MaxEntries: 3, Flags: abi.MapRdonly},
		{Type: ebpf.Array, KeySize: 4, ValueSize: 4, MaxEntries: 3, Flags: abi.MapWronly},
		{Type: ebpf.PerCPUArray, KeySize: 4, ValueSize: 1, MaxEntries: 1},
		{Type: ebpf.PerCPUArray, KeySize: 4, ValueSize: 20, MaxEntries: 7},
		{Type: ebpf.PerCPUArray, KeySize: 4, ValueSize: 64, MaxEntries: 7, Flags: abi.MapWronly},
		{Type: ebpf.Hash, KeySize: 1, ValueSize: 1, MaxEntries: 200},
		{Type: ebpf.Hash, KeySize: 3, ValueSize: 7, MaxEntries: 1},
		{Type: ebpf.Hash, KeySize: 4, ValueSize: 4, MaxEntries: 10},
		{Type: ebpf.Hash, KeySize: 4, ValueSize: 16, MaxEntries: 100, Flags: abi.MapNoPrealloc},
		{Type: ebpf.Hash, KeySize: 8, ValueSize: 8, MaxEntries: 64, Flags: abi.MapZeroSeed},
		{Type: ebpf.Hash, KeySize: 8, ValueSize: 100, MaxEntries: 33, Flags: abi.MapRdonlyProg},
		{Type: ebpf.Hash, KeySize: 12, ValueSize: 5, MaxEntries: 50},
		{Type: ebpf.Hash, KeySize: 300, ValueSize: 24, MaxEntries: 20},
		{Type: ebpf.Hash, KeySize: 16, ValueSize: 8, MaxEntries: 5, Flags: abi.MapRdonly},
		{Type: ebpf.Hash, KeySize: 17, ValueSize: 8, MaxEntries: 5, Flags: abi.MapWronly},
		{Type: ebpf.PerCPUHash, KeySize: 4, ValueSize: 4, MaxEntries: 10},
		{Type: ebpf.PerCPUHash, KeySize: 12, ValueSize: 20, MaxEntries: 60},
		{Type: ebpf.PerCPUHash, KeySize: 8, ValueSize: 8, MaxEntries: 30, Flags: abi.MapNoPrealloc},
		{Type: ebpf.PerCPUHash, KeySize: 8, ValueSize: 8, MaxEntries: 5, Flags: abi.MapRdonly},
		{Type: ebpf.LPMTrie, KeySize: 5, ValueSize: 1, MaxEntries: 300, Flags: abi.MapNoPrealloc},
		{Type: ebpf.LPMTrie, KeySize: 8, ValueSize: 9, MaxEntries: 100, Flags: abi.MapNoPrealloc},
		{Type: ebpf.LPMTrie, KeySize: 7, ValueSize: 4, MaxEntries: 1, Flags: abi.MapNoPrealloc | abi.MapRdonlyProg},
		{Type: ebpf.LPMTrie, KeySize: 20, ValueSize: 8, MaxEntries: 200, Flags: abi.MapNoPrealloc},
		{Type: ebpf.LPMTrie, KeySize: 260, ValueSize: 8, MaxEntries: 50, Flags: abi.MapNoPrealloc},
		{Type: ebpf.LPMTrie, KeySize: 13, ValueSize: 8, MaxEntries: 50, Flags: abi.MapNoPrealloc | abi.MapWronly},
		{Type: ebpf.LRUHash, KeySize: 4, ValueSize: 13, MaxEntries: 1000},
		{Type: ebpf.LRUHash, KeySize: 9, ValueSize: 8, MaxEntries: 1000, Flags: abi.MapNoCommonLRU | abi.MapWronlyProg},
		{Type: ebpf.LRUCPUHash, KeySize: 16, ValueSize: 12, MaxEntries: 1000},
		{Type: ebpf.LRUCPUHash, KeySize: 8, ValueSize: 8, MaxEntries: 1000, Flags: abi.MapNoCommonLRU},
	} {
		t.Run(fmt.Sprint(spec), func(t *testing.T) { history(t, spec, uint64(i)) })
	}
}

func history(t *testing.T, spec *ebpf.MapSpec, seed uint64) {
	cpus := ebpf.MustPossibleCPU()
	ours, err := New(spec, cpus)
	if err != nil {
		t.Fatal(err)
	}
	defer ours.Close()
	kernel, err := newKernelMap(spec)
	if err != nil {
		t.Fatal(err)
	}
	defer kernel.Close()
	m := newModel(spec, kernel.value)

	r := rand.New(rand.NewPCG(seed, 7))
	// A few keys more than there is room for, so that the map is full at times.
	// Of an LRU map only so few that the kernel's never gives up any: it keeps
	// free elements for each CPU.
	n := spec.MaxEntries + spec.MaxEntries/4 + 2
	if isLRU(spec.Type) {
		n = spec.MaxEntries / 5
	}
	keys := make([][]byte, n)
	for i := range keys {
		keys[i] = make([]byte, spec.KeySize)
		for j := range keys[i] {
			keys[i][j] = byte(r.Uint32())
		}
		if m.isArray() {
			binary.NativeEndian.PutUint32(keys[i], uint32(i))
		} else if m.isTrie() {
			// Few bits differ, so that prefixes share many.
			for j := range keys[i] {
				keys[i][j] = []byte{0, 0, 0, 0, 1, 128, 16, byte(r.Uint32())}[r.IntN(8)]
			}
			binary.NativeEndian.PutUint32(keys[i], r.Uint32N(8*(spec.KeySize-4)+2))
		} else if i > 0 && r.IntN(2) == 0 {
			// The neighbour in the last byte only.
			copy(keys[i], keys[i-1])
			keys[i][spec.KeySize-1]++
		}
	}
	updateFlags := []uint64{0, 0, 0, 0, 0, 1, 1, 2, 2, 3, 4, 5, 6, 7, 8, 1 << 32, 1 << 63}
	lookupFlags := []uint64{0, 0, 0, 0, 0, 0, 1, 2, 4, 5, 8, 1 << 40}
	counts := map[string]int{}
	agree := func(op string, ours, kernel, model error) {
		t.Helper()
		counts[fmt.Sprintf("%s: %v", op, model)]++
		if !sameError(ours, kernel) || !errors.Is(kernel, model) {
			t.Fatalf("%s: %v here, %v in the kernel, %v in the model", op, ours, kernel, model)
		}
	}
	const steps = 6000
	// Phases that mostly add and phases that mostly remove.
	for step := range steps {
		key := keys[r.IntN(len(keys))]
		op := r.IntN(10)
		if op >= 8 && step/500%2 == 0 {
			op = 0
		}
		switch {
		case op < 4:
			value := make([]byte, kernel.value)
			for i := range value {
				// What rounds a per-CPU value up to 8 is not part of it.
				if uint64(i)%round8(uint64(spec.ValueSize)) < uint64(spec.ValueSize) {
					value[i] = byte(r.Uint32())
				}
			}
			f := updateFlags[r.IntN(len(updateFlags))]
			agree(fmt.Sprintf("update with flags %#x", f), ours.Update(key, value, ebpf.MapUpdateFlags(f)), kernel.Update(key, value, ebpf.MapUpdateFlags(f)), m.update(key, value, f))
		case op < 7:
			got, want, model := make([]byte, kernel.value), make([]byte, kernel.value), make([]byte, kernel.value)
			f := lookupFlags[r.IntN(len(lookupFlags))]
			agree(fmt.Sprintf("lookup with flags %#x", f), ours.Lookup(key, got, ebpf.MapLookupFlags(f)), kernel.Lookup(key, want, ebpf.MapLookupFlags(f)), m.lookup(key, model, f))
			if !bytes.Equal(got, want) || !bytes.Equal(got, model) {
				t.Fatalf("lookup of % x: % x here, % x in the kernel, % x in the model", key, got, want, model)
			}
		case op < 8:
			if m.isArray() || m.isTrie() {
				got, want := make([]byte, spec.KeySize), make([]byte, spec.KeySize)
				errOurs, errKernel := ours.NextKey(key, got), kernel.NextKey(key, want)
				if !sameError(errOurs, errKernel) || !bytes.Equal(got, want) {
					t.Fatalf("key after % x: % x (%v) here, % x (%v) in the kernel", key, got, errOurs, want, errKernel)
				}
			} else if step%50 == 0 {
				compareKeys(t, ours, kernel, m)
			}
		case r.IntN(3) == 0:
			got, want, model := make([]byte, kernel.value), make([]byte, kernel.value), make([]byte, kernel.value)
			f := lookupFlags[r.IntN(len(lookupFlags))]
			agree(fmt.Sprintf("lookup and delete with flags %#x", f), ours.LookupAndDelete(key, got, ebpf.MapLookupFlags(f)), kernel.LookupAndDelete(key, want, ebpf.MapLookupFlags(f)), m.lookupAndDelete(key, model, f))
			if !bytes.Equal(got, want) || !bytes.Equal(got, model) {
				t.Fatalf("lookup and delete of % x: % x here, % x in the kernel, % x in the model", key, got, want, model)
			}
		default:
			agree("delete", ours.Delete(key), kernel.Delete(key), m.delete(key))
		}
		if step == steps-500 && seed%2 == 0 {
			agree("freeze", ours.Freeze(), kernel.Freeze(), m.freeze())
			agree("freeze again", ours.Freeze(), kernel.Freeze(), m.freeze())
		}
	}
	compareKeys(t, ours, kernel, m)
	if testing.Verbose() {
		t.Log(counts)
	}
}

// compareKeys walks all three maps. A hash has no order, but each key comes once;
// arrays and tries have one.
func compareKeys(t *testing.T, ours Map, kernel *kernelMap, m *model) {
	t.Helper()
	got, errOurs := walk(ours, m.spec)
	want, errKernel := walk(kernel, m.spec)
	if !sameError(errOurs, errKernel) {
		t.Fatalf("iteration ends with %v here, %v in the kernel", errOurs, errKernel)
	}
	if m.spec.Flags&abi.MapWronly != 0 {
		return // may not be read
	}
	if m.isTrie() && !slices.Equal(got, want) {
		t.Fatalf("the order of keys: %q here, %q in the kernel", got, want)
	}
	if !m.isArray() {
		slices.Sort(got)
		slices.Sort(want)
	}
	if !slices.Equal(got, want) || !slices.Equal(want, m.keys()) {
		t.Fatalf("keys: %q here, %q in the kernel, %q in the model", got, want, m.keys())
	}
	// A key that is not there starts again.
	if !m.isArray() && !m.isTrie() && len(got) > 0 {
		gone := bytes.Repeat([]byte{0xa5}, int(m.spec.KeySize))
		if m.elements[string(gone)] != nil {
			return
		}
		first, again := make([]byte, len(gone)), make([]byte, len(gone))
		if err := errors.Join(ours.NextKey(nil, first), ours.NextKey(gone, again)); err != nil || !bytes.Equal(first, again) {
			t.Fatalf("the key after a missing one is % x, the first % x: %v", again, first, err)
		}
	}
}

// walk gives all keys in their order and the error that ends them.
func walk(m interface {
	NextKey(key, next []byte) error
}, spec *ebpf.MapSpec) (keys []string, err error) {
	var key []byte
	for {
		next := make([]byte, spec.KeySize)
		if err := m.NextKey(key, next); err != nil {
			return keys, err
		}
		keys = append(keys, string(next))
		key = next
		if len(keys) > 2*int(spec.MaxEntries) {
			return keys, errors.New("iteration does not end")
		}
	}
}

// BenchmarkKernel is what the same operations cost as bpf() calls.
func BenchmarkKernel(b *testing.B) {
	skipWithoutBPF(b)
	for _, spec := range benchSpecs() {
		m, err := newKernelMap(spec)
		if err != nil {
			b.Fatal(err)
		}
		defer m.Close()
		key, value := make([]byte, spec.KeySize), make([]byte, m.value)
		b.Run("update/"+benchName(spec), func(b *testing.B) {
			for b.Loop() {
				if err := m.Update(key, value, 0); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run("lookup/"+benchName(spec), func(b *testing.B) {
			for b.Loop() {
				if err := m.Lookup(key, value, 0); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
