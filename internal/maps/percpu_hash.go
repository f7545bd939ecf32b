package maps

import (
	"runtime"
	"unsafe"

	"github.com/cilium/ebpf"

	"github.com/skep-bpf/skep/internal/mem"
)

// perCPUHash is BPF_MAP_TYPE_PERCPU_HASH and BPF_MAP_TYPE_LRU_PERCPU_HASH. A
// program works on the value of its CPU, Go on those of all.
type perCPUHash struct{ hash }

func newPerCPUHash(spec *ebpf.MapSpec, cpus int) (Map, error) {
	h := new(perCPUHash)
	if err := h.init(spec, cpus); err != nil {
		return nil, err
	}
	return h, nil
}

// allCPUs is all of them where one is asked for.
const allCPUs = -1

func (h *perCPUHash) LookupElem(cpu int, key uint64) uint64 {
	if uint(cpu) >= uint(h.cpus) {
		return 0
	}
	e := h.lookup(mem.Pointer(key))
	if e == 0 {
		return 0
	}
	h.touch(e)
	return h.value(e, cpu)
}

func (h *perCPUHash) UpdateElem(cpu int, key, value, flags uint64) int64 {
	if uint(cpu) >= uint(h.cpus) {
		return -int64(mem.EINVAL)
	}
	return -int64(h.updateCPU(cpu, mem.Pointer(key), mem.Pointer(value), flags))
}

func (h *perCPUHash) Update(key, value []byte, flags ebpf.MapUpdateFlags) error {
	if err := h.mayWrite(); err != nil {
		return err
	}
	if err := h.checkKey(key); err != nil {
		return err
	}
	if err := checkValue(value, h.valueBytes); err != nil {
		return err
	}
	errno := h.updateCPU(allCPUs, data(key), data(value), uint64(flags))
	runtime.KeepAlive(h)
	return hashError(errno)
}

// updateCPU stores the value of one CPU, or those of all. A key that is there
// keeps its element, and the other CPUs their values.
func (t *table) updateCPU(cpu int, key, value unsafe.Pointer, flags uint64) mem.Errno {
	if flags > uint64(ebpf.UpdateExist) {
		return mem.EINVAL
	}
	first, tags := t.chain(key)
	e := uint32(0) // taken for a key that was not there
	for {
		if !first.lock() {
			t.giveBack(e)
			return mem.EBUSY
		}
		_, _, old := t.find(first, tags, key)
		var errno mem.Errno
		switch {
		case old != 0 && flags == uint64(ebpf.UpdateNoExist):
			errno = mem.EEXIST
		case old != 0:
			t.storeCPU(old, cpu, value)
			t.touch(old)
		case flags == uint64(ebpf.UpdateExist):
			errno = mem.ENOENT
		case e != 0:
			if errno = t.add(first, tags, e); errno == 0 {
				first.unlock()
				return 0
			}
		default:
			errno = mem.EAGAIN
		}
		first.unlock()
		switch {
		case errno == mem.EAGAIN:
			if e = t.takeFor(key); e == 0 {
				return mem.ENOMEM
			}
			for other := range t.cpus {
				clear(mem.Slice(t.value(e, other), int(t.valueStride)))
			}
			t.storeCPU(e, cpu, value)
		case errno == mem.E2BIG && t.evict():
		default:
			t.giveBack(e)
			return errno
		}
	}
}

// giveBack frees an element, if there is one, that was taken in vain.
func (t *table) giveBack(e uint32) {
	if e != 0 {
		t.give(e)
	}
}

// storeCPU copies in the value of one CPU, or those of all.
func (t *table) storeCPU(e uint32, cpu int, value unsafe.Pointer) {
	if cpu != allCPUs {
		copyIn(mem.Pointer(t.value(e, cpu)), value, t.valueSize)
		return
	}
	for cpu := range t.cpus {
		copyIn(mem.Pointer(t.value(e, cpu)), unsafe.Add(value, uint64(cpu)*t.valueStride), int(t.valueStride))
	}
}
