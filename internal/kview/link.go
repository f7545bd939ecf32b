package kview

import (
	"bytes"
	"errors"
	"strings"
)

// A link is where the text of a link in /proc leads: a mount and a dentry.
type link struct {
	text   string
	mount  uint64
	dentry uint32
	ino    uint64 // if the text has it, else 0
}

// linkKey is a link text and the mount of the file: the same text is another
// place when something was mounted over it, or in another mount namespace.
type linkKey struct {
	mount int32
	text  string
}

func (l *link) path(v *View) Path {
	return Path{Mnt: Ptr[Vfsmount]{Addr: vfsmountOf(l.mount)}, Dentry: Ptr[Dentry]{Addr: v.arena.dentries.addr(l.dentry)}}
}

// A place is a link of a task in /proc: fd/N, cwd or root.
type place struct {
	task *task
	what string // "fd/", "cwd", "root"
	fd   int    // of "fd/"
}

func (p place) path(n *name) *name {
	n.proc(int(p.task.tid), p.what)
	if p.what == "fd/" {
		n.number(p.fd)
	}
	return n
}

// statPlace asks about the file behind a place.
func (v *View) statPlace(p place, st *fileStat) error {
	if p.what == "fd/" {
		dir, err := v.handle(p.task, handleFDs)
		if err != nil {
			return err
		}
		return v.system.stat(dir, v.name.start("").number(p.fd).c(), st)
	}
	return v.system.stat(cwd, p.path(&v.name).c(), st)
}

// internal are the file systems that only the kernel itself mounts, by the start
// of their link texts. Their files have no path: the text is made of the inode's
// number or of the dentry's name.
var internal = []struct {
	prefix string
	fsType string
	magic  uint64                                      // tells file systems with the same text apart, 0 for any
	name   func(v *View, rest string, at place) string // of the dentry
}{
	{"pipe:", "pipefs", 0, noName},
	{"socket:", "sockfs", 0, protocolName},
	{"anon_inode:[pidfd]", "pidfs", 0x50494446, rootName}, // from Linux 6.9 on
	{"anon_inode:", "anon_inodefs", 0, restName},
	{"cgroup:", "nsfs", 0, rootName},
	{"ipc:", "nsfs", 0, rootName},
	{"mnt:", "nsfs", 0, rootName},
	{"net:", "nsfs", 0, rootName},
	{"pid:", "nsfs", 0, rootName},
	{"time:", "nsfs", 0, rootName},
	{"user:", "nsfs", 0, rootName},
	{"uts:", "nsfs", 0, rootName},
}

func noName(*View, string, place) string            { return "" }
func rootName(*View, string, place) string          { return "/" }
func restName(_ *View, rest string, _ place) string { return rest }

// protocolName is the name of a socket's protocol ("TCP", "UNIX-STREAM"), which
// its dentry has for a name.
func protocolName(v *View, _ string, at place) string {
	n, err := v.system.xattr(at.path(&v.name).c(), &sockProtocol[0], v.buffer[:dentryName])
	if err != nil {
		return ""
	}
	name, _, _ := bytes.Cut(v.buffer[:n], []byte{0})
	return string(name)
}

// sockProtocol is the extended attribute that sockfs gives its files.
var sockProtocol = []byte("system.sockprotoname\x00")

const dentryName = 256 // NAME_MAX and a NUL

const deletedSuffix = " (deleted)"

// resolve finds or makes what a link text leads to. The text of a file whose
// path is too long is empty.
func (v *View) resolve(at place, text []byte) *link {
	v.flush()
	var st fileStat
	if v.statPlace(at, &st) != nil {
		st = fileStat{}
	}
	path := len(text) > 0 && text[0] == '/'
	deleted := path && bytes.HasSuffix(text, []byte(deletedSuffix)) && v.deleted(at.task, text, &st)
	if !deleted && path {
		if l := v.links[linkKey{st.mount, string(text)}]; l != nil {
			return l
		}
	}
	l := &link{text: string(text)}
	var e *mountEntry
	switch {
	case !path:
		e = v.resolveInternal(l, &st, at)
	case deleted && st.dev == v.sharedDev:
		e = v.resolveShared(l, &st, "tmpfs")
	case deleted && st.dev == v.hugeDev:
		e = v.resolveShared(l, &st, "hugetlbfs")
	default:
		e = v.resolvePath(l, &st, at.task, deleted)
	}
	l.mount = v.mountObject(e, 0)
	v.findMagic(e.super, e.fsType, at)
	if path && !deleted && e.table != nil {
		v.links[linkKey{st.mount, l.text}] = l
		v.textBytes += len(l.text)
	}
	return l
}

// resolveShared makes the dentry of a file in one of the kernel's own file
// systems for shared memory: its text looks like a path.
func (v *View) resolveShared(l *link, st *fileStat, fsType string) *mountEntry {
	e := v.stray(st, fsType)
	l.dentry = v.lone(e.super, strings.TrimSuffix(l.text[1:], deletedSuffix))
	return e
}

// remoteMagics are the magic numbers (linux/magic.h) of file systems that some
// process or machine serves, alone or below another. That may be the target, or
// nobody any more: asking it with statfs could take forever.
var remoteMagics = map[string]uint64{
	"9p":       0x01021997,
	"afs":      0x6b414653,
	"ceph":     0x00c36400,
	"cifs":     0xff534d42,
	"coda":     0x73757245,
	"ecryptfs": 0xf15f,
	"fuse":     0x65735546,
	"fuseblk":  0x65735546,
	"nfs":      0x6969,
	"nfs4":     0x6969,
	"overlay":  0x794c7630,
	"smb3":     0xfe534d42,
	"virtiofs": 0x65735546,
}

// findMagic finds s_magic by a file of the file system.
func (v *View) findMagic(s *superEntry, fsType string, at place) {
	if s.known || fsType == "" {
		return
	}
	magic, err := v.system.magic(at.path(&v.name).c())
	if err != nil {
		return
	}
	s.obj.SMagic, s.known = magic, true
	v.magics[fsType] = magic
}

// deleted tells a deleted file from one whose name only looks like it: the
// latter is found under that name.
func (v *View) deleted(t *task, text []byte, st *fileStat) bool {
	if st.nlink == 0 {
		return true
	}
	var named fileStat
	for _, in := range []*mountTable{v.tables[0], nil} {
		if v.statNamed(in, t, string(text), &named) == nil &&
			named.ino == st.ino && named.dev == st.dev && named.mount == st.mount {
			return false
		}
	}
	return true
}

// statNamed asks about a path as the namespace of a table has it, nil for that
// of the task.
func (v *View) statNamed(in *mountTable, t *task, path string, st *fileStat) error {
	if in == v.tables[0] {
		return v.system.statCached(cwd, v.name.start(path).c(), st)
	}
	if in != nil {
		below, ok := strings.CutPrefix(path, in.prefix)
		if !ok {
			return errOutside
		}
		path = below
	}
	root, err := v.system.openPlace(place{task: t, what: "root"}.path(&v.name).c())
	if err != nil {
		return err
	}
	defer v.system.close(root)
	return v.system.statCached(root, v.name.start(".").add(path).c(), st)
}

// errOutside says that a path lies outside of the root that it is asked from.
var errOutside = errors.New("outside of the root")

// resolvePath finds the mount and the dentry of a path.
func (v *View) resolvePath(l *link, st *fileStat, t *task, deleted bool) *mountEntry {
	path := l.text
	if deleted {
		path = strings.TrimSuffix(path, deletedSuffix)
	}
	var e *mountEntry
	if st.mount != 0 {
		e = v.mountByID(st, t)
	} else {
		e = v.tables[0].mountOf(path)
	}
	var rest string
	ok := false
	if e != nil {
		rest, ok = e.below(path)
	}
	if !ok {
		e = v.stray(st, v.typeOf(st.dev))
		rest = path
	}
	v.mountObject(e, 0)
	if deleted {
		dir, base := cutLast(rest)
		parent := v.placeOf(e, dir, path[:len(path)-len(rest)+len(dir)])
		l.dentry = v.newDentry(e.super, parent, base)
		return e
	}
	l.dentry = v.placeOf(e, rest, path)
	return e
}

// cutLast cuts a path at its last slash.
func cutLast(path string) (dir, base string) {
	i := strings.LastIndexByte(path, '/')
	return path[:max(i, 0)], path[i+1:]
}

// stray is the entry of a mount that no table lists.
func (v *View) stray(st *fileStat, fsType string) *mountEntry {
	if e := v.strays[st.mount]; e != nil && e.dev == st.dev && e.fsType == fsType {
		return e
	}
	e := &mountEntry{mountLine: mountLine{id: st.mount, dev: st.dev, root: "/", point: "/", fsType: fsType}}
	v.strays[st.mount] = e
	v.mountObject(e, 0)
	return e
}

// typeOf is the type of a file system that some table lists, "" if none does.
func (v *View) typeOf(dev uint32) string {
	for _, t := range v.tables {
		for _, e := range t.byID {
			if e.dev == dev {
				return e.fsType
			}
		}
	}
	return ""
}

// resolveInternal makes the dentry of a file that has no path.
func (v *View) resolveInternal(l *link, st *fileStat, at place) *mountEntry {
	for _, kind := range internal {
		rest, ok := strings.CutPrefix(l.text, kind.prefix)
		if !ok {
			continue
		}
		if kind.magic != 0 {
			if magic, err := v.system.magic(at.path(&v.name).c()); err != nil || magic != kind.magic {
				continue
			}
		}
		e := v.stray(st, kind.fsType)
		l.ino, _ = parseInode(rest)
		l.dentry = v.lone(e.super, kind.name(v, rest, at))
		return e
	}
	e := v.stray(st, "")
	l.dentry = v.lone(e.super, l.text)
	return e
}

// parseInode reads the number of "[123]".
func parseInode(s string) (uint64, bool) {
	s, opened := strings.CutPrefix(s, "[")
	s, closed := strings.CutSuffix(s, "]")
	if !opened || !closed {
		return 0, false
	}
	return number([]byte(s), 64)
}
