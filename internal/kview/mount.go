package kview

import (
	"bytes"
	"strings"
	"unsafe"
)

// mountTable are the mounts of one mount namespace, as one of its processes sees
// them.
type mountTable struct {
	file      int   // its mountinfo, kept open: it says when it has changed
	task      *task // whose mountinfo it is, nil for our own
	namespace string
	// prefix is the way from the namespace's root to the reader's, if that is not
	// the same (chroot): mount points begin at the reader's root, link texts do not.
	prefix  string
	byID    map[int32]*mountEntry
	covered map[mountPoint]*mountEntry
	root    *mountEntry // where a walk from "/" starts, nil if unknown
}

// mountPoint is a place where something is mounted.
type mountPoint struct {
	mount int32 // the mount that is covered there
	path  string
}

// mountEntry is a mount and, once a program may have seen it, its object.
type mountEntry struct {
	mountLine
	table *mountTable // nil for a mount that is in no table
	super *superEntry
	addr  uint64 // of the struct mount, 0 if there is none yet
}

type superEntry struct {
	addr  uint64
	obj   *SuperBlock
	root  uint32 // index of the root dentry
	known bool   // whether s_magic need not be asked for any more
}

// superKey tells file systems apart. Where the place of a mount in its file
// system is unknown it has a tree of dentries for itself.
type superKey struct {
	dev    uint32
	fsType string
	stray  int32 // id of such a mount, else 0
}

const (
	maxMountinfo = 64 << 20 // bytes that are read of one
	maxTables    = 16       // namespaces whose mounts are kept
	maxNesting   = 512      // mounts on mounts that are followed
)

// loadMounts reads the table's mountinfo.
func (v *View) loadMounts(t *mountTable) error {
	text, err := v.readAll(t.file, maxMountinfo)
	if err != nil {
		return err
	}
	t.fill(text)
	return nil
}

// fill takes the mounts of a mountinfo for those of before. A mount that is the
// same keeps its object.
func (t *mountTable) fill(mountinfo []byte) {
	old := t.byID
	t.byID = make(map[int32]*mountEntry, len(old))
	t.covered = make(map[mountPoint]*mountEntry, len(old))
	t.root = nil
	for len(mountinfo) > 0 {
		var line []byte
		line, mountinfo, _ = bytes.Cut(mountinfo, []byte{'\n'})
		m, ok := parseMountinfo(line)
		if !ok || len(m.root)+len(m.point)+len(t.prefix) > pathLimit {
			continue
		}
		if t.prefix != "" {
			m.point = t.prefix + strings.TrimSuffix(m.point, "/")
		}
		e := &mountEntry{mountLine: m, table: t}
		if was := old[m.id]; was != nil && was.mountLine == m {
			e = was
		}
		t.byID[m.id] = e
	}
	for _, e := range t.byID {
		if t.top(e) {
			if e.point == "/" {
				t.root = e
			}
			continue
		}
		t.covered[mountPoint{e.parent, e.point}] = e
	}
}

// top reports whether a mount lies on none of the table.
func (t *mountTable) top(e *mountEntry) bool {
	return e.parent == e.id || t.byID[e.parent] == nil
}

// checkMounts reloads, once per stop, the tables that have changed.
func (v *View) checkMounts() {
	if v.mountsChecked == v.stop {
		return
	}
	v.mountsChecked = v.stop
	for i := 0; i < len(v.tables); i++ {
		t := v.tables[i]
		if !v.system.changed(t.file) {
			continue
		}
		v.forgetPaths()
		if v.loadMounts(t) != nil && i > 0 {
			v.dropMounts(i)
			i--
		}
	}
}

// dropMounts lets go of a table. Its open mountinfo keeps a namespace alive, so
// it must not outlive the task that it belongs to.
func (v *View) dropMounts(i int) {
	v.system.close(v.tables[i].file)
	v.tables = append(v.tables[:i], v.tables[i+1:]...)
	v.forgetPaths()
}

// mountByID finds the mount of a file in the tables, and when it is in none in
// the mountinfo of the task that has the file. It is nil for one that nobody
// lists: the kernel's own mounts and those that were taken off while in use.
func (v *View) mountByID(st *fileStat, t *task) *mountEntry {
	for _, table := range v.tables {
		if e := table.byID[st.mount]; e != nil {
			return e
		}
	}
	if e := v.strays[st.mount]; e != nil && e.dev == st.dev {
		return e
	}
	if table := v.addTable(t); table != nil {
		return table.byID[st.mount]
	}
	return nil
}

// addTable reads the mounts of a task's namespace. It gives nil if they are known
// already, or can't be read.
func (v *View) addTable(t *task) *mountTable {
	ns := v.linkText(v.name.proc(int(t.tid), "ns/mnt"))
	root := v.linkText(v.name.proc(int(t.tid), "root"))
	if ns == "" || root == "" {
		return nil
	}
	for i, table := range v.tables {
		if table.namespace != ns {
			continue
		}
		if i == 0 || table.prefix == "" || root != "/" {
			return nil
		}
		v.dropMounts(i) // this task sees more of the namespace
		break
	}
	fd, err := v.system.open(v.name.proc(int(t.tid), "mountinfo").c())
	if err != nil {
		return nil
	}
	table := &mountTable{file: fd, task: t, namespace: ns}
	if root != "/" {
		table.prefix = root
	}
	if err := v.loadMounts(table); err != nil {
		v.system.close(fd)
		return nil
	}
	if len(v.tables) == maxTables { // the first is our own
		v.dropMounts(1)
	}
	v.tables = append(v.tables, table)
	return table
}

// mountOf finds the mount that a walk along path ends in, as the kernel walks:
// whatever is mounted on a place covers it.
func (t *mountTable) mountOf(path string) *mountEntry {
	e := t.root
	if e == nil {
		return nil
	}
	for i := 1; i <= len(path); i++ {
		if i < len(path) && path[i] != '/' {
			continue
		}
		for depth := 0; depth < maxNesting; depth++ {
			over := t.covered[mountPoint{e.id, path[:i]}]
			if over == nil {
				break
			}
			e = over
		}
	}
	return e
}

// below is the path of a place from the mount point on: "" is the mount point
// itself.
func (e *mountEntry) below(path string) (string, bool) {
	if e.point == "/" {
		if path == "/" {
			return "", true
		}
		return path, strings.HasPrefix(path, "/")
	}
	rest, ok := strings.CutPrefix(path, e.point)
	return rest, ok && (rest == "" || rest[0] == '/')
}

// mountObject gives the address of the struct mount, which it makes with all the
// mounts that it lies on. It ends where they are too many for the arena, or go
// round in a circle: a mountinfo is not read at one moment.
func (v *View) mountObject(e *mountEntry, depth int) uint64 {
	if e.addr != 0 {
		return e.addr
	}
	m, _, addr := v.arena.mounts.take()
	e.addr = addr
	key := superKey{dev: e.dev, fsType: e.fsType}
	if e.table == nil {
		key.stray = e.id
	}
	e.super = v.superBlock(key)
	m.MntID = e.id
	m.Mnt.MntSb.Addr = e.super.addr
	root := v.walk(e.super, e.super.root, e.root)
	m.Mnt.MntRoot.Addr = v.arena.dentries.addr(root)
	m.MntParent.Addr = addr
	m.MntMountpoint = m.Mnt.MntRoot
	if e.table == nil || e.parent == e.id || depth == maxNesting || v.arena.scarce() {
		return addr
	}
	parent := e.table.byID[e.parent]
	if parent == nil {
		parent = v.hidden(e)
	}
	rest, ok := parent.below(e.point)
	if !ok {
		return addr
	}
	up := v.mountObject(parent, depth+1)
	if v.leadsTo(up, addr) {
		return addr
	}
	m.MntParent.Addr = up
	m.MntMountpoint.Addr = v.arena.dentries.addr(v.placeOf(parent, rest, e.point))
	return addr
}

// leadsTo reports whether a mount lies on another.
func (v *View) leadsTo(mount, other uint64) bool {
	for mount != other {
		up := (*Mount)(v.arena.pointer(mount)).MntParent.Addr
		if up == mount {
			return false
		}
		mount = up
	}
	return true
}

// hidden is the mount that the topmost one of a table lies on. The table does not
// list it, as it is out of sight: of it only the id is known.
func (v *View) hidden(top *mountEntry) *mountEntry {
	e := v.strays[top.parent]
	if e == nil {
		e = &mountEntry{mountLine: mountLine{id: top.parent, root: "/", point: "/"}}
		v.strays[top.parent] = e
	}
	return e
}

// placeOf is the dentry at path rest below the mount point of a mount that has
// its object. path is the whole way.
func (v *View) placeOf(e *mountEntry, rest, path string) uint32 {
	d := v.walk(e.super, e.super.root, e.root)
	v.notePath(d, e, path[:len(path)-len(rest)])
	for from := 0; from < len(rest); {
		if rest[from] == '/' {
			from++
			continue
		}
		end := len(rest)
		if n := strings.IndexByte(rest[from:], '/'); n >= 0 {
			end = from + n
		}
		d = v.child(e.super, d, rest[from:end])
		v.notePath(d, e, path[:len(path)-len(rest)+end])
		from = end
	}
	return d
}

// superBlock gives the super_block of a file system. That of an unknown one has
// a tree of dentries, but no address.
func (v *View) superBlock(key superKey) *superEntry {
	if s := v.supers[key]; s != nil {
		return s
	}
	s := &superEntry{known: true}
	v.supers[key] = s
	if key.dev != 0 {
		var obj *SuperBlock
		obj, _, s.addr = v.arena.supers.take()
		s.obj = obj
		obj.SDev = key.dev
		obj.SMagic, s.known = v.magics[key.fsType]
		if key.fsType != "" {
			obj.SType.Addr = v.fsType(key.fsType)
		}
	}
	s.root = v.lone(s, "/")
	if s.obj != nil {
		s.obj.SRoot.Addr = v.arena.dentries.addr(s.root)
	}
	return s
}

func (v *View) fsType(name string) uint64 {
	if addr := v.fsTypes[name]; addr != 0 {
		return addr
	}
	obj, _, addr := v.arena.fsTypes.take()
	copy(obj.nameData[:len(obj.nameData)-1], name)
	obj.Name.Addr = addr + uint64(unsafe.Offsetof(obj.nameData))
	v.fsTypes[name] = addr
	return addr
}

// vfsmountOf is the address of the struct vfsmount inside of a struct mount.
func vfsmountOf(mount uint64) uint64 { return mount + uint64(unsafe.Offsetof(Mount{}.Mnt)) }
