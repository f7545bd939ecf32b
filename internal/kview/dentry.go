package kview

import (
	"strings"
	"unsafe"
)

// Dentries are interned by parent and name, so that one place in a file system
// has one dentry as long as the arena lasts.
type dentryKey struct {
	parent uint32
	name   string // in the arena
}

// dentryNote is what the view remembers of a dentry.
type dentryNote struct {
	file  *file  // the descriptor that it was last reached by, nil if none
	inode *inode // once a program has looked at it
	// path leads to the dentry, and mount is the mount on that way. Only of
	// dentries that are on the way to a file.
	path  string
	mount *mountEntry
}

func (v *View) noteDentry(i uint32) {
	for uint32(len(v.notes)) <= i {
		v.notes = append(v.notes, dentryNote{})
	}
	v.notes[i] = dentryNote{}
}

func (v *View) notePath(i uint32, e *mountEntry, path string) {
	if note := &v.notes[i]; note.path == "" {
		if path == "" {
			path = "/"
		}
		note.path, note.mount = path, e
	}
}

// walk is the dentry at a path below another, made as far as it isn't there.
func (v *View) walk(s *superEntry, d uint32, path string) uint32 {
	for len(path) > 0 {
		var part string
		part, path, _ = strings.Cut(path, "/")
		if part != "" {
			d = v.child(s, d, part)
		}
	}
	return d
}

// child is the dentry of a name in a directory.
func (v *View) child(s *superEntry, parent uint32, name string) uint32 {
	if i, ok := v.dentries[dentryKey{parent, name}]; ok {
		return i
	}
	i := v.newDentry(s, parent, name)
	d := v.arena.dentries.at(i)
	d.DHash.Pprev.Addr = v.arena.dentries.addr(i)
	v.dentries[dentryKey{parent, unsafe.String((*byte)(v.arena.pointer(d.DName.Name.Addr)), len(name))}] = i
	return i
}

// newDentry makes a dentry that nothing finds again and that is unhashed.
func (v *View) newDentry(s *superEntry, parent uint32, name string) uint32 {
	d, i, at := v.arena.dentries.take()
	v.noteDentry(i)
	d.DParent.Addr = v.arena.dentries.addr(parent)
	d.DSb.Addr = s.addr
	d.DInode.Addr = inodeAddr(i)
	v.setName(d, at, name)
	return i
}

// lone makes a dentry that is its own parent, as those of the kernel's internal
// file systems are.
func (v *View) lone(s *superEntry, name string) uint32 {
	i := v.newDentry(s, 0, name)
	v.arena.dentries.at(i).DParent.Addr = v.arena.dentries.addr(i)
	return i
}

func (v *View) setName(d *Dentry, at uint64, name string) {
	d.DName.Len = uint32(len(name))
	if len(name) < len(d.DIname) {
		copy(d.DIname[:], name)
		d.DName.Name.Addr = at + uint64(unsafe.Offsetof(d.DIname))
		return
	}
	d.DName.Name.Addr = v.arena.name(name)
}

// flush forgets every path when one of the arena's slabs is about to come round,
// so that nothing that is still used is overwritten.
func (v *View) flush() {
	if rewound := v.arena.rewind(); !rewound && v.textBytes <= maxTexts {
		return
	}
	v.forgetPaths()
	clear(v.dentries)
	clear(v.supers)
	clear(v.fsTypes)
	clear(v.strays)
	for _, t := range v.tables {
		for _, e := range t.byID {
			e.addr, e.super = 0, nil
		}
	}
}

// forgetPaths makes every link text to be resolved again.
func (v *View) forgetPaths() {
	clear(v.links)
	v.textBytes = 0
	v.pathsKnown++
}
