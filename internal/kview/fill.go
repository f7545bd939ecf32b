package kview

import (
	"fmt"
	"reflect"
	"unsafe"
)

// A group is a set of fields that is filled at one go.
type group uint16

const wordSize = 4 // groups are known by words of a type's memory

// groupTable gives, for each word of a type's memory, the groups of the fields
// in it, by the tag fill.
func groupTable(t reflect.Type, groups map[string]group) []group {
	table := make([]group, (t.Size()+wordSize-1)/wordSize)
	var visit func(t reflect.Type, at uintptr, under group)
	visit = func(t reflect.Type, at uintptr, under group) {
		for i := range t.NumField() {
			f := t.Field(i)
			g := under
			if name := f.Tag.Get("fill"); name != "" {
				if groups[name] == 0 {
					panic(fmt.Sprintf("kview: %s.%s: no group %q", t, f.Name, name))
				}
				g |= groups[name]
			}
			if g == 0 && f.Type.Kind() == reflect.Struct {
				visit(f.Type, at+f.Offset, g)
				continue
			}
			for w := f.Offset; w < f.Offset+f.Type.Size(); w += wordSize {
				table[(at+w)/wordSize] |= g
			}
		}
	}
	visit(t, 0, 0)
	return table
}

// groupsAt are the groups of the n bytes at off.
func groupsAt(table []group, off, n uint64) group {
	var g group
	for w := off / wordSize; w <= (off+n-1)/wordSize; w++ {
		g |= table[w]
	}
	return g
}

// bytesOf is the memory of an object.
func bytesOf[T any](obj *T) []byte {
	return unsafe.Slice((*byte)(unsafe.Pointer(obj)), unsafe.Sizeof(*obj))
}

// fault fills p from an address outside of the arena (mem.Kernel.Fault).
func (v *View) fault(p []byte, addr uint64) bool {
	if len(p) == 0 {
		return true
	}
	switch {
	case addr-tasksStart < maxTasks*taskStride:
		return v.loadTask(p, addr-tasksStart)
	case addr-filesStart < maxFiles*fileStride:
		return v.loadFile(p, addr-filesStart)
	case addr-inodesStart < maxDentries*inodeStride:
		return v.loadInode(p, addr-inodesStart)
	case addr-fdsStart < maxTasks*fdsStride:
		return v.loadSlots(p, addr-fdsStart)
	}
	return false
}
