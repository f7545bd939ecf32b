package kview

import (
	"reflect"
	"unsafe"
)

// An inode is what a dentry leads to. It is asked for when a program looks: of
// the descriptor that the dentry was reached by, or of the path to a directory.
type inode struct {
	stop   uint64 // of what is known, 0 for nothing
	memory Inode
}

const (
	groupInodeStat group = 1 << iota
	groupInodeNumber
)

var inodeGroups = groupTable(reflect.TypeFor[Inode](), map[string]group{
	"stat": groupInodeStat, "ino": groupInodeNumber,
})

func inodeAddr(dentry uint32) uint64 { return inodesStart + uint64(dentry)*inodeStride }

// loadInode fills p from the memory of inodes.
func (v *View) loadInode(p []byte, off uint64) bool {
	i := off / inodeStride
	off %= inodeStride
	if i >= uint64(len(v.notes)) || off+uint64(len(p)) > uint64(unsafe.Sizeof(Inode{})) {
		return false
	}
	if v.notes[i].inode == nil {
		v.notes[i].inode = &inode{memory: Inode{ISb: v.arena.dentries.at(uint32(i)).DSb}}
	}
	in := v.notes[i].inode
	need := groupsAt(inodeGroups, off, uint64(len(p)))
	if need&groupInodeStat != 0 || need&groupInodeNumber != 0 && !v.numberByLink(uint32(i), in) {
		if !v.fillInode(uint32(i), in) {
			return false
		}
	}
	copy(p, bytesOf(&in.memory)[off:])
	return true
}

// numberByLink fills i_ino of a file that has it in its link text.
func (v *View) numberByLink(i uint32, in *inode) bool {
	f := v.notes[i].file
	if f == nil || f.link.dentry != i || f.link.ino == 0 {
		return false
	}
	in.memory.IIno = f.link.ino
	return true
}

// fillInode asks for what stat tells, once per stop. Of a file that can't be
// reached any more, what was last known stays.
func (v *View) fillInode(i uint32, in *inode) bool {
	if in.stop == v.stop {
		return true
	}
	var st fileStat
	if !v.statDescriptor(i, &st) && !v.statPath(i, &st) {
		return in.stop != 0
	}
	in.stop = v.stop
	in.memory = Inode{
		IMode: st.mode, IUID: ID{st.uid}, IGID: ID{st.gid},
		ISb: in.memory.ISb, IIno: st.ino, INlink: st.nlink, IRdev: st.rdev, ISize: st.size,
		IAtime: st.atime, IMtime: st.mtime, ICtime: st.ctime,
		IAtimeNs: st.atimeNs, IMtimeNs: st.mtimeNs, ICtimeNs: st.ctimeNs,
	}
	return true
}

// statDescriptor asks by the descriptor that dentry i was last reached by, if it
// still leads there.
func (v *View) statDescriptor(i uint32, st *fileStat) bool {
	f := v.notes[i].file
	if f == nil || f.link.dentry != i {
		return false
	}
	if now, _ := v.slot(f.owner, f.fd); now != f || f.link.dentry != i {
		return false
	}
	return v.statPlace(place{f.owner, "fd/", int(f.fd)}, st) == nil
}

// statPath asks by path, which must lead to the same mount.
func (v *View) statPath(i uint32, st *fileStat) bool {
	note := &v.notes[i]
	if note.path == "" || note.mount.table == nil {
		return false
	}
	t := v.now()
	return t != nil && v.statNamed(note.mount.table, t, note.path, st) == nil && st.mount == note.mount.id
}
