package kview

import (
	"encoding/binary"
	"errors"
	"reflect"
	"syscall"
	"unsafe"
)

// A file is an open descriptor of a task, as long as it leads to the same place.
type file struct {
	addr   uint64
	owner  *task
	fd     uint32
	link   *link
	paths  uint64 // View.pathsKnown when the link was resolved
	stop   uint64 // the last stop at which it was seen open
	told   uint64 // the stop of what fdinfo told
	memory File
}

const groupFdinfo group = 1

var fileGroups = groupTable(reflect.TypeFor[File](), map[string]group{"fdinfo": groupFdinfo})

// keptFDs bounds how many descriptors of a task are remembered.
const keptFDs = 1 << 16

// loadSlots fills p from fd[] arrays.
func (v *View) loadSlots(p []byte, off uint64) bool {
	index, off := off/fdsStride, off%fdsStride
	if index >= uint64(len(v.table)) {
		return false
	}
	t := v.table[index]
	if len(p) > 8 { // as many slots as there are, but not each of those that could be
		if !v.fillTask(t, groupMaxFDs) || off+uint64(len(p)) > 8*uint64(t.memory.Table.MaxFds) {
			return false
		}
	}
	var word [8]byte
	for len(p) > 0 {
		f, ok := v.slot(t, uint32(off/8))
		if !ok {
			return false
		}
		var addr uint64
		if f != nil {
			addr = f.addr
		}
		binary.NativeEndian.PutUint64(word[:], addr)
		n := copy(p, word[off%8:])
		p, off = p[n:], off+uint64(n)
	}
	return true
}

// slot is the file behind a descriptor at this stop, nil if it is not open. It
// reports false if that can't be told.
func (v *View) slot(t *task, fd uint32) (*file, bool) {
	if t.gone || fd >= maxFDs {
		return nil, false
	}
	f := t.fds[fd]
	if f != nil && f.stop == v.stop {
		return f, true
	}
	v.checkMounts()
	n, err := v.readSlot(t, fd)
	if err != nil {
		return nil, err == errClosed
	}
	text := v.text[:n]
	if f == nil || f.paths != v.pathsKnown || f.link.text != string(text) {
		l := v.resolve(place{t, "fd/", int(fd)}, text)
		if f == nil || f.link != l {
			f = v.newFile(t, fd)
		}
		f.link, f.paths = l, v.pathsKnown
		f.memory.FPath = l.path(v)
		f.memory.FInode.Addr = inodeAddr(l.dentry)
	}
	f.stop = v.stop
	v.notes[f.link.dentry].file = f
	return f, true
}

// errClosed says that a descriptor is not open.
var errClosed = errors.New("not open")

// readSlot reads the link of a descriptor into v.text. A path that is too long
// for that reads as an empty text.
//
// The kept directory of a task that is gone without an event has no entries: it
// is opened again then, in case that the number is in use again.
func (v *View) readSlot(t *task, fd uint32) (int, error) {
	for again := true; ; again = false {
		dir, err := v.handle(t, handleFDs)
		if err != nil {
			return 0, err
		}
		n, err := v.system.readLink(dir, v.name.start("").number(int(fd)).c(), v.text)
		switch {
		case err == nil:
			return n, nil
		case errors.Is(err, syscall.ENAMETOOLONG):
			return 0, nil
		case !errors.Is(err, syscall.ENOENT):
			return 0, err
		}
		if _, err := v.system.anyFrom(dir, 0); err == nil || !again {
			return 0, errClosed
		}
		v.drop(t)
		t.filled = 0
	}
}

// newFile makes the file of a descriptor. It takes the oldest file's address.
func (v *View) newFile(t *task, fd uint32) *file {
	i := v.nextFile
	v.nextFile = (i + 1) % maxFiles
	if i == len(v.files) {
		v.files = append(v.files, nil)
	} else if old := v.files[i]; old.owner.fds[old.fd] == old {
		delete(old.owner.fds, old.fd)
	}
	if len(t.fds) == keptFDs {
		clear(t.fds)
	}
	f := &file{addr: filesStart + uint64(i)*fileStride, owner: t, fd: fd}
	v.files[i] = f
	t.fds[fd] = f
	return f
}

// loadFile fills p from the memory of files.
func (v *View) loadFile(p []byte, off uint64) bool {
	i, off := off/fileStride, off%fileStride
	if i >= uint64(len(v.files)) || off+uint64(len(p)) > uint64(unsafe.Sizeof(File{})) {
		return false
	}
	f := v.files[i]
	if groupsAt(fileGroups, off, uint64(len(p)))&groupFdinfo != 0 && !v.fillFdinfo(f) {
		return false
	}
	copy(p, bytesOf(&f.memory)[off:])
	return true
}

// fillFdinfo fills position and flags. Of a descriptor that is no longer this
// file, what was last known stays.
func (v *View) fillFdinfo(f *file) bool {
	if f.told == v.stop {
		return true
	}
	if now, _ := v.slot(f.owner, f.fd); now != f {
		return f.told != 0
	}
	text, err := v.readText(v.name.proc(int(f.owner.tid), "fdinfo/").number(int(f.fd)))
	if err != nil {
		return false
	}
	pos, flags, ok := parseFdinfo(text)
	if !ok {
		return false
	}
	f.memory.FPos, f.memory.FFlags = pos, flags
	f.told = v.stop
	return true
}
