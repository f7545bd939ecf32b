package kview

import (
	"bytes"
	"errors"
	"reflect"
	"syscall"
	"unsafe"

	"github.com/skep-bpf/skep/internal/mem"
)

// taskMemory is what lies at a task's address: its task_struct and the objects
// that belong to it alone. Threads that share a files_struct show it at an
// address each, with the same contents.
type taskMemory struct {
	Task  TaskStruct
	Pid   Pid
	Files FilesStruct
	Table Fdtable
	FS    FsStruct
}

const (
	groupStat group = 1 << iota
	groupParent
	groupStart
	groupComm
	groupPid
	groupMaxFDs
	groupRoot
	groupPwd

	// lasting groups stay true as long as the task lives, others for one stop.
	groupsLasting = groupStart | groupPid
)

var taskGroups = groupTable(reflect.TypeFor[taskMemory](), map[string]group{
	"stat": groupStat, "parent": groupParent, "start": groupStart, "comm": groupComm,
	"pid": groupPid, "max_fds": groupMaxFDs, "root": groupRoot, "pwd": groupPwd,
})

// A task is a thread that programs may look at: of the traced tree, or one that
// the tree descends from.
type task struct {
	tid, tgid int32
	index     uint32
	addr      uint64
	traced    bool // events tell its exec and exit
	gone      bool // it has exited: what is known stays
	forkedBy  *task

	parent  *task // as last seen
	filled  group
	stop    uint64 // the stop at which the groups that don't last were filled
	memory  taskMemory
	handles [handleKinds]int // index into View.handles.all plus one, 0 for none
	fds     map[uint32]*file

	identity mem.Task // what Task gives
	known    uint64   // the stop of identity
}

// exitedKept is how many tasks that are gone keep their address, at least.
const exitedKept = 4096

// task finds or makes the task of a thread.
func (v *View) task(tid, tgid int32, traced bool) *task {
	if t := v.tasks[tid]; t != nil {
		if t.tgid == tgid || !traced {
			t.traced = t.traced || traced
			return t
		}
		v.exit(t) // the number is used again
	}
	t := &task{tid: tid, tgid: tgid, traced: traced, fds: map[uint32]*file{}}
	switch {
	case len(v.exited) > exitedKept || len(v.table) == maxTasks && len(v.exited) > 0:
		t.index = v.exited[0]
		v.exited = v.exited[1:]
		v.table[t.index] = t
	case len(v.table) < maxTasks:
		t.index = uint32(len(v.table))
		v.table = append(v.table, t)
	default:
		return nil
	}
	v.tasks[tid] = t
	t.addr = tasksStart + uint64(t.index)*taskStride
	m := &t.memory
	m.Task.Pid, m.Task.Tgid = tid, tgid
	m.Task.GroupLeader.Addr = t.addr
	if tid != tgid {
		if leader := v.task(tgid, tgid, traced); leader != nil {
			m.Task.GroupLeader.Addr = leader.addr
		}
	}
	m.Task.FS.Addr = t.addr + uint64(unsafe.Offsetof(m.FS))
	m.Task.Files.Addr = t.addr + uint64(unsafe.Offsetof(m.Files))
	m.Task.ThreadPid.Addr = t.addr + uint64(unsafe.Offsetof(m.Pid))
	m.Files.Fdt.Addr = t.addr + uint64(unsafe.Offsetof(m.Table))
	m.Table.Fd.Addr = fdsStart + uint64(t.index)*fdsStride
	t.identity = mem.Task{PID: uint32(tid), TGID: uint32(tgid)}
	return t
}

// process is the task of a process that some task descends from.
func (v *View) process(pid int32) *task { return v.task(pid, pid, false) }

// now is the task of the current stop, nil if there is none.
func (v *View) now() *task {
	if v.current == nil && v.tid > 0 {
		v.current = v.task(v.tid, v.tgid, true)
	}
	return v.current
}

// currentTask is mem.Kernel.CurrentTask.
func (v *View) currentTask() uint64 {
	if t := v.now(); t != nil {
		return t.addr
	}
	return 0
}

// Task is the identity of the current task as helpers give it: pid and tgid
// always, comm, uid and gid if the plan needs them, as they are at this stop.
func (v *View) Task() mem.Task {
	t := v.now()
	if t == nil {
		return mem.Task{PID: uint32(v.tid), TGID: uint32(v.tgid)}
	}
	if t.known == v.stop {
		return t.identity
	}
	t.known = v.stop
	if v.plan.NeedComm && v.fillTask(t, groupComm) {
		t.identity.Comm = t.memory.Task.Comm
	}
	if v.plan.NeedCred {
		if i, ok := v.info(t); ok {
			t.identity.UID, t.identity.GID = i.uid, i.gid
		} else if s, ok := v.status(t); ok {
			t.identity.UID, t.identity.GID = s.uid, s.gid
		}
	}
	return t.identity
}

// Forked says that thread parentTID has made thread childTID of process
// childTGID.
func (v *View) Forked(parentTID, childTID, childTGID int) {
	if old := v.tasks[int32(childTID)]; old != nil {
		if old.traced && !old.gone && old.tgid == int32(childTGID) {
			old.forkedBy = v.tasks[int32(parentTID)]
			return
		}
		v.exit(old)
	}
	by := v.tasks[int32(parentTID)]
	if by == nil && int32(parentTID) == v.tid {
		by = v.now()
	}
	if t := v.task(int32(childTID), int32(childTGID), true); t != nil {
		t.forkedBy = by
	}
}

// Execed says that thread tid, the only one that its process has left, runs
// another program.
func (v *View) Execed(tid int) {
	if t := v.tasks[int32(tid)]; t != nil {
		t.filled = 0
		t.memory.Table.MaxFds = 0
	}
}

// Exited says that thread tid is gone.
func (v *View) Exited(tid int) {
	if t := v.tasks[int32(tid)]; t != nil {
		v.exit(t)
	}
}

func (v *View) exit(t *task) {
	if t.gone {
		return
	}
	v.drop(t)
	for i := len(v.tables) - 1; i > 0; i-- {
		if v.tables[i].task == t {
			v.dropMounts(i)
		}
	}
	t.gone = true
	t.fds = nil
	t.forkedBy = nil
	v.exited = append(v.exited, t.index)
	delete(v.tasks, t.tid)
}

// loadTask fills p from the memory of tasks.
func (v *View) loadTask(p []byte, off uint64) bool {
	index, off := off/taskStride, off%taskStride
	if index >= uint64(len(v.table)) || off+uint64(len(p)) > uint64(unsafe.Sizeof(taskMemory{})) {
		return false
	}
	t := v.table[index]
	if !v.fillTask(t, groupsAt(taskGroups, off, uint64(len(p)))) {
		return false
	}
	copy(p, bytesOf(&t.memory)[off:])
	return true
}

// fillTask fills groups of a task that are stale, and reports whether they all
// are good. Of a task that is gone they are good if they have ever been filled.
func (v *View) fillTask(t *task, need group) bool {
	if t.stop != v.stop && !t.gone {
		t.stop = v.stop
		t.filled &= groupsLasting
		if !t.traced {
			t.filled &^= groupStart // it may be another of the same number
		}
	}
	missing := need &^ t.filled
	if missing == 0 {
		return true
	}
	if t.gone {
		return false
	}
	m := &t.memory
	if t.tid == 0 {
		return v.fillTop(t, missing)
	}
	if missing&(groupStat|groupStart) != 0 || missing&groupParent != 0 && !v.fillParent(t) {
		v.fillStat(t)
	}
	if missing&groupComm != 0 {
		v.fillComm(t)
	}
	if missing&groupPid != 0 {
		if s, ok := v.status(t); ok {
			m.Pid.Level = uint32(s.levels - 1)
			for i, n := range s.nspid[:s.levels] {
				m.Pid.Numbers[i].Nr = n
			}
			t.filled |= groupPid
		}
	}
	if missing&groupMaxFDs != 0 && v.fillMaxFDs(t) {
		t.filled |= groupMaxFDs
	}
	if missing&groupRoot != 0 && v.fillPath(t, "root", &m.FS.Root) {
		t.filled |= groupRoot
	}
	if missing&groupPwd != 0 && v.fillPath(t, "cwd", &m.FS.Pwd) {
		t.filled |= groupPwd
	}
	return need&^t.filled == 0
}

// fillTop fills the task above the first one: the kernel's idle task, or in a
// pid namespace whatever lies outside of it. Its number is 0 and it is its own
// parent; no more is known.
func (v *View) fillTop(t *task, need group) bool {
	t.memory.Task.RealParent.Addr = t.addr
	t.memory.Task.Parent.Addr = t.addr
	t.filled |= groupParent
	return need&^t.filled == 0
}

// lastingParent reports whether the parent is still the one that was seen: a
// task gets another when its parent exits, and of those in the tree, of
// ourselves and of the first process that is known.
func (v *View) lastingParent(t *task) bool {
	p := t.parent
	return p != nil && !p.gone && (p.traced || p.tgid == v.self || p.tgid <= 1)
}

// fillStat fills what /proc/TID/stat tells.
func (v *View) fillStat(t *task) {
	text, err := v.readText(v.name.proc(int(t.tid), "stat"))
	if err != nil {
		return
	}
	s, ok := parseStat(text)
	if !ok {
		return
	}
	m := &t.memory.Task
	const tick = 1e9 / 100
	boot := s.start * tick
	if !t.traced && m.StartBoottime != 0 && m.StartBoottime != boot {
		v.exit(t)
		return
	}
	m.StartBoottime = boot
	m.StartTime = boot - min(boot, uint64(max(suspended(), 0))/tick*tick)
	m.Flags = s.flags
	t.filled |= groupStat | groupStart
	v.setParent(t, s.ppid)
}

// fillParent finds the parent without /proc/TID/stat, and reports false if it
// can't.
func (v *View) fillParent(t *task) bool {
	if v.lastingParent(t) {
		t.filled |= groupParent
		return true
	}
	i, ok := v.info(t)
	if ok {
		v.setParent(t, i.ppid)
	}
	return ok
}

// setParent says which process the parent is. The kernel's real_parent is the
// thread that forked, as long as it lives; a new thread has that of the thread
// that made it.
func (v *View) setParent(t *task, ppid int32) {
	parent := v.process(ppid)
	if by := t.forkedBy; by != nil {
		if by.tgid == t.tgid && by.parent != nil {
			by = by.parent
		}
		if !by.gone && by.tgid == ppid {
			parent = by
		}
	}
	if parent == nil {
		return
	}
	t.parent = parent
	t.memory.Task.RealParent.Addr = parent.addr
	t.memory.Task.Parent.Addr = parent.addr
	t.filled |= groupParent
}

// fillComm reads the name, which any thread of the process may change.
func (v *View) fillComm(t *task) {
	n, err := v.readComm(t)
	if err != nil { // a number that is in use again has another file
		v.drop(t)
		if n, err = v.readComm(t); err != nil {
			return
		}
	}
	text := bytes.TrimSuffix(v.buffer[:n], []byte{'\n'})
	comm := &t.memory.Task.Comm
	clear(comm[copy(comm[:len(comm)-1], text):])
	t.filled |= groupComm
}

func (v *View) readComm(t *task) (int, error) {
	fd, err := v.handle(t, handleComm)
	if err != nil {
		return 0, err
	}
	return v.system.readAt(fd, v.buffer[:64], 0)
}

// info asks the task's pidfd. It reports false where the kernel has no answer.
func (v *View) info(t *task) (i taskInfo, ok bool) {
	for again := true; !v.noInfo; again = false {
		fd, err := v.handle(t, handleTask)
		if err == nil {
			if err = v.system.task(fd, &v.taskInfo); err == nil {
				return v.taskInfo, true
			}
			v.drop(t)
		}
		if !errors.Is(err, syscall.ESRCH) {
			v.noInfo = true
		}
		if !again {
			break
		}
	}
	return i, false
}

func (v *View) status(t *task) (statusText, bool) {
	text, err := v.readText(v.name.proc(int(t.tid), "status"))
	if err != nil {
		return statusText{}, false
	}
	return parseStatus(text)
}

// fillMaxFDs finds the size of the table of descriptors. It grows when a
// descriptor beyond it is opened: while none beyond it is open, that it may
// have grown makes no difference.
func (v *View) fillMaxFDs(t *task) bool {
	size := &t.memory.Table.MaxFds
	if *size > 0 {
		dir, err := v.handle(t, handleFDs)
		if err != nil {
			return false
		}
		if more, err := v.system.anyFrom(dir, *size); err != nil {
			return false
		} else if !more {
			return true
		}
	}
	s, ok := v.status(t)
	if !ok || s.fdSize == 0 {
		return false
	}
	*size = min(s.fdSize, maxFDs)
	return true
}

// fillPath fills a path of fs_struct from a link in /proc/TID.
func (v *View) fillPath(t *task, what string, p *Path) bool {
	at := place{task: t, what: what}
	n, err := v.system.readLink(cwd, at.path(&v.name).c(), v.text)
	if err != nil {
		return false
	}
	v.checkMounts()
	*p = v.resolve(at, v.text[:n]).path(v)
	return true
}
