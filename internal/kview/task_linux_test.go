package kview

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/skep-bpf/skep/internal/mem"
)

func currentTask(v *View) TaskStruct {
	return load[TaskStruct](v.Kernel(), v.Kernel().CurrentTask())
}

func comm(c [16]uint8) string { return strings.TrimRight(string(c[:]), "\x00") }

// bothWays runs a test with what new kernels tell by pidfd, and without.
func bothWays(t *testing.T, test func(t *testing.T, v *View)) {
	t.Run("pidfd", func(t *testing.T) {
		v := newView(t)
		v.Stop(os.Getpid(), os.Getpid())
		v.Task()
		if v.noInfo {
			t.Skip("this kernel has no PIDFD_GET_INFO: Linux 6.13 brought it")
		}
		test(t, v)
	})
	t.Run("proc", func(t *testing.T) {
		v := newView(t)
		v.noInfo = true
		test(t, v)
	})
}

func TestTaskIdentity(t *testing.T) { bothWays(t, testTaskIdentity) }

func testTaskIdentity(t *testing.T, v *View) {
	c := start(t, t.TempDir(), "KVIEW_IDLE=1")
	v.Stop(c.pid, c.pid)
	k := v.Kernel()
	task := currentTask(v)
	if int(task.Pid) != c.pid || int(task.Tgid) != c.pid {
		t.Errorf("pid %d, tgid %d, want %d", task.Pid, task.Tgid, c.pid)
	}
	if parent := load[TaskStruct](k, task.RealParent.Addr); int(parent.Tgid) != os.Getpid() {
		t.Errorf("real_parent->tgid %d, want %d", parent.Tgid, os.Getpid())
	}
	if task.GroupLeader.Addr != k.CurrentTask() {
		t.Error("a first thread is not its own group_leader")
	}
	// Up to the first process and what lies above it.
	up, seen := k.CurrentTask(), 0
	for ; seen < 100; seen++ {
		parent := loadPtr(k, up, unsafe.Offsetof(TaskStruct{}.RealParent))
		if parent == up {
			break
		}
		up = parent
	}
	if pid := k.Load(up+uint64(unsafe.Offsetof(TaskStruct{}.Pid)), 4); pid != 0 || seen == 100 {
		t.Errorf("the ancestors end with pid %d after %d steps", pid, seen)
	}
	identity := v.Task()
	if int(identity.PID) != c.pid || int(identity.TGID) != c.pid || int(identity.UID) != os.Getuid() || int(identity.GID) != os.Getgid() {
		t.Errorf("identity %+v", identity)
	}
}

func TestThreads(t *testing.T) {
	c := start(t, t.TempDir(), "KVIEW_IDLE=1")
	entries, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", c.pid))
	if err != nil {
		t.Fatal(err)
	}
	v := newView(t)
	k := v.Kernel()
	v.Stop(c.pid, c.pid)
	leader, first := k.CurrentTask(), currentTask(v)
	if len(entries) < 2 {
		t.Fatal("the target has no threads")
	}
	for _, e := range entries {
		tid, _ := strconv.Atoi(e.Name())
		v.Stop(tid, c.pid)
		task := currentTask(v)
		if int(task.Pid) != tid || int(task.Tgid) != c.pid || task.GroupLeader.Addr != leader {
			t.Errorf("thread %d: %+v", tid, task)
		}
		if task.RealParent != first.RealParent {
			t.Errorf("thread %d has another real_parent than its process", tid)
		}
		if fileOf(k, k.CurrentTask(), 0) == 0 {
			t.Errorf("thread %d: no file at 0", tid)
		}
	}
}

func TestComm(t *testing.T) {
	c := start(t, t.TempDir(), "KVIEW_IDLE=1")
	v := newView(t)
	for _, name := range []string{"one", ") R 1 (", "a\nb", "fifteen bytes !"} {
		v.Stop(c.pid, c.pid)
		before := currentTask(v).Comm
		c.tell(t, "name "+strings.ReplaceAll(name, "\n", "_"))
		name := strings.ReplaceAll(name, "\n", "_")
		if currentTask(v).Comm != before {
			t.Error("comm changed within a stop")
		}
		v.Stop(c.pid, c.pid)
		if got := comm(currentTask(v).Comm); got != name {
			t.Errorf("comm %q, want %q", got, name)
		}
		if got := comm(v.Task().Comm); got != name {
			t.Errorf("Task: comm %q, want %q", got, name)
		}
	}
}

func TestCredentials(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("changing the user needs root")
	}
	bothWays(t, testCredentials)
}

func testCredentials(t *testing.T, v *View) {
	c := start(t, t.TempDir(), "KVIEW_IDLE=1")
	v.Stop(c.pid, c.pid)
	if id := v.Task(); id.UID != 0 || id.GID != 0 {
		t.Errorf("uid %d, gid %d", id.UID, id.GID)
	}
	c.tell(t, "become 65534")
	v.Stop(c.pid, c.pid)
	if id := v.Task(); id.UID != 65534 || id.GID != 65534 {
		t.Errorf("uid %d, gid %d", id.UID, id.GID)
	}
}

func TestFork(t *testing.T) { bothWays(t, testFork) }

func testFork(t *testing.T, v *View) {
	c := start(t, t.TempDir(), "KVIEW_IDLE=1")
	k := v.Kernel()
	v.Stop(c.pid, c.pid)
	parent := k.CurrentTask()
	child := c.tell(t, "fork")[0].FD
	defer syscall.Kill(child, syscall.SIGKILL)
	v.Forked(c.pid, child, child)
	v.Stop(child, child)
	if got := currentTask(v).RealParent.Addr; got != parent {
		t.Errorf("real_parent %#x, want %#x", got, parent)
	}
	if err := syscall.Kill(c.pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	var s statLine
	for s.ppid = int32(c.pid); s.ppid == int32(c.pid); { // until it has another parent
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", child))
		if err != nil {
			t.Fatal(err)
		}
		s, _ = parseStat(text)
	}
	v.Exited(c.pid)
	v.Stop(child, child)
	if got := load[TaskStruct](k, currentTask(v).RealParent.Addr); got.Tgid != s.ppid || got.Tgid == int32(c.pid) {
		t.Errorf("orphan: real_parent->tgid %d, want %d", got.Tgid, s.ppid)
	}
	// What was seen of the one that is gone stays, the rest is a fault.
	if got := k.Load(parent+uint64(unsafe.Offsetof(TaskStruct{}.Tgid)), 4); got != uint64(c.pid) {
		t.Errorf("tgid of a task that is gone: %d", got)
	}
	var p [8]byte
	if k.ReadAt(p[:], parent+uint64(unsafe.Offsetof(taskMemory{}.Table))) {
		t.Error("max_fds of a task that is gone can be read")
	}
	if k.ReadAt(p[:], v.tableOf(parent)) {
		t.Error("fd[0] of a task that is gone can be read")
	}
	// The number comes again for another task.
	v.Stop(c.pid, c.pid)
	if k.CurrentTask() == parent {
		t.Error("a new task has the address of an old one")
	}
}

func (v *View) tableOf(task uint64) uint64 {
	return v.table[(task-tasksStart)/taskStride].memory.Table.Fd.Addr
}

func TestExec(t *testing.T) {
	c := start(t, t.TempDir(), "KVIEW_IDLE=1")
	v := newView(t)
	v.Stop(c.pid, c.pid)
	k := v.Kernel()
	c.tell(t, "dup 900")
	if fileOf(k, k.CurrentTask(), 900) == 0 {
		t.Fatal("no file at 900")
	}
	size := v.current.memory.Table.MaxFds
	v.Execed(c.pid)
	c.tell(t, "close 900")
	v.Stop(c.pid, c.pid)
	if task := currentTask(v); int(task.Pid) != c.pid {
		t.Errorf("pid %d", task.Pid)
	}
	if fileOf(k, k.CurrentTask(), 900) != 0 {
		t.Error("a file at 900")
	}
	if v.current.memory.Table.MaxFds != size { // it has not really executed anything
		t.Errorf("max_fds %d, want %d", v.current.memory.Table.MaxFds, size)
	}
}

// TestSlots reads slots that change between stops.
func TestSlots(t *testing.T) {
	dir := t.TempDir()
	c := start(t, dir, "KVIEW_IDLE=1")
	v := newView(t)
	k := v.Kernel()
	pathAt := func(fd int) (string, Inode) {
		f := fileOf(k, k.CurrentTask(), fd)
		if f == 0 {
			return "", Inode{}
		}
		inode := load[Inode](k, loadPtr(k, f, unsafe.Offsetof(File{}.FInode)))
		return pathOf(t, k, f+uint64(unsafe.Offsetof(File{}.FPath))), inode
	}
	for i := range 40 {
		name := filepath.Join(dir, strconv.Itoa(i%3))
		if i%5 == 4 { // another file of the same name
			os.Rename(name, name+".old")
		}
		c.tell(t, "open "+name)
		v.Stop(c.pid, c.pid)
		path, inode := pathAt(100)
		var st unix.Stat_t
		if err := unix.Stat(name, &st); err != nil {
			t.Fatal(err)
		}
		if path != name || inode.IIno != st.Ino {
			t.Errorf("round %d: %q, inode %d, want %q, %d", i, path, inode.IIno, name, st.Ino)
		}
	}
	c.tell(t, "close 100")
	if path, _ := pathAt(100); path == "" {
		t.Error("a slot changed within a stop")
	}
	v.Stop(c.pid, c.pid)
	if path, _ := pathAt(100); path != "" {
		t.Errorf("a closed descriptor has path %q", path)
	}
	for _, n := range []int{70, 200, 1000, 3000} {
		before := v.current.memory.Table.MaxFds
		c.tell(t, fmt.Sprintf("dup %d", n))
		v.Stop(c.pid, c.pid)
		if path, _ := pathAt(n); path == "" && !strings.HasPrefix(path, "/") {
			if f := fileOf(k, k.CurrentTask(), n); f == 0 {
				t.Errorf("descriptor %d: no file, max_fds was %d", n, before)
			}
		}
	}
	// Several slots at one go, and parts of one.
	files := load[FilesStruct](k, currentTask(v).Files.Addr)
	fd := load[Fdtable](k, files.Fdt.Addr).Fd.Addr
	var three [3]uint64
	if !k.ReadAt(bytesOf(&three), fd) || three[0] != k.Load(fd, 8) || three[2] != k.Load(fd+16, 8) {
		t.Errorf("slots 0 to 2: %#x", three)
	}
	if got := k.Load(fd+4, 4); got != three[0]>>32 {
		t.Errorf("half a slot: %#x", got)
	}
	if k.ReadAt(make([]byte, 1<<20), fd) {
		t.Error("more slots than there are could be read")
	}
}

// TestHidden looks at a process that /proc hides from ordinary users.
func TestHidden(t *testing.T) {
	c := start(t, t.TempDir(), "KVIEW_IDLE=1")
	c.tell(t, "hide")
	v := newView(t)
	k := v.Kernel()
	v.Stop(c.pid, c.pid)
	var slot [8]byte
	seen := k.ReadAt(slot[:], v.tableOf(k.CurrentTask()))
	if _, err := os.Readlink(fmt.Sprintf("/proc/%d/fd/0", c.pid)); seen != (err == nil) {
		t.Errorf("fd[0] can be read: %v, but readlink: %v", seen, err)
	}
	if task := currentTask(v); int(task.Pid) != c.pid || comm(task.Comm) == "" {
		t.Errorf("pid %d, comm %q", task.Pid, comm(task.Comm))
	}
}

func TestUnsharedFiles(t *testing.T) {
	c := start(t, t.TempDir(), "KVIEW_IDLE=1")
	thread := c.tell(t, "unshare")[0].FD
	v := newView(t)
	k := v.Kernel()
	v.Stop(c.pid, c.pid)
	if fileOf(k, k.CurrentTask(), 150) != 0 {
		t.Error("the first thread has a file at 150")
	}
	v.Stop(thread, c.pid)
	if fileOf(k, k.CurrentTask(), 150) == 0 {
		t.Error("the thread has no file at 150")
	}
}

func TestTooLongPath(t *testing.T) {
	c := start(t, t.TempDir(), "KVIEW_IDLE=1")
	fd := c.tell(t, "deep")[0].FD
	v := newView(t)
	k := v.Kernel()
	v.Stop(c.pid, c.pid)
	f := fileOf(k, k.CurrentTask(), fd)
	if f == 0 {
		t.Fatal("no file")
	}
	if got := pathOf(t, k, f+uint64(unsafe.Offsetof(File{}.FPath))); got != "" {
		t.Errorf("path %q, want none", got)
	}
	var st unix.Stat_t
	if err := unix.Stat(fmt.Sprintf("/proc/%d/fd/%d", c.pid, fd), &st); err != nil {
		t.Fatal(err)
	}
	inode := load[Inode](k, loadPtr(k, f, unsafe.Offsetof(File{}.FInode)))
	if inode.IIno != st.Ino {
		t.Errorf("inode %d, want %d", inode.IIno, st.Ino)
	}
}

// TestDirectories looks at the inodes of the directories on the way to a file.
func TestDirectories(t *testing.T) {
	dir := t.TempDir()
	c := start(t, dir)
	v := newView(t)
	k := v.Kernel()
	v.Stop(c.pid, c.pid)
	f := fileOf(k, k.CurrentTask(), c.opened[0].FD)
	d := loadPtr(k, f+uint64(unsafe.Offsetof(File{}.FPath)), unsafe.Offsetof(Path{}.Dentry))
	for d = loadPtr(k, d, unsafe.Offsetof(Dentry{}.DParent)); ; dir = filepath.Dir(dir) {
		var st unix.Stat_t
		if err := unix.Stat(dir, &st); err != nil {
			t.Fatal(err)
		}
		inode := load[Inode](k, loadPtr(k, d, unsafe.Offsetof(Dentry{}.DInode)))
		if inode.IIno != st.Ino || uint32(inode.IMode) != st.Mode {
			t.Errorf("%s: inode %d, mode %o, want %d, %o", dir, inode.IIno, inode.IMode, st.Ino, st.Mode)
		}
		up := loadPtr(k, d, unsafe.Offsetof(Dentry{}.DParent))
		if up == d {
			break
		}
		d = up
	}
}

func TestPosition(t *testing.T) {
	c := start(t, t.TempDir())
	v := newView(t)
	k := v.Kernel()
	v.Stop(c.pid, c.pid)
	fd := c.opened[0].FD
	f := load[File](k, fileOf(k, k.CurrentTask(), fd))
	if f.FPos != 0 || f.FFlags&unix.O_ACCMODE != unix.O_RDWR {
		t.Errorf("position %d, flags %#x", f.FPos, f.FFlags)
	}
	c.tell(t, fmt.Sprintf("seek %d", fd))
	v.Stop(c.pid, c.pid)
	if f := load[File](k, fileOf(k, k.CurrentTask(), fd)); f.FPos != 77 {
		t.Errorf("position %d, want 77", f.FPos)
	}
}

func TestWorkingDirectory(t *testing.T) {
	dir := t.TempDir()
	c := start(t, dir)
	v := newView(t)
	k := v.Kernel()
	for _, to := range []string{"a", "b/c", "/proc", dir + "/a/b"} {
		c.tell(t, "chdir "+to)
		v.Stop(c.pid, c.pid)
		want, err := os.Readlink(fmt.Sprintf("/proc/%d/cwd", c.pid))
		if err != nil {
			t.Fatal(err)
		}
		got := pathOf(t, k, currentTask(v).FS.Addr+uint64(unsafe.Offsetof(FsStruct{}.Pwd)))
		if got != want {
			t.Errorf("pwd %q, want %q", got, want)
		}
	}
}

// TestFlush lets the arena come round many times.
func TestFlush(t *testing.T) {
	dir := t.TempDir()
	c := start(t, dir, "KVIEW_IDLE=1")
	v := newView(t)
	k := v.Kernel()
	v.arena.dentries.count = enough + 50
	v.arena.names.count = enough + 50
	addresses := map[uint64]bool{}
	for i := range 100 {
		name := filepath.Join(dir, strings.Repeat("x", i%200+1), strconv.Itoa(i))
		os.MkdirAll(filepath.Dir(name), 0o700)
		c.tell(t, "open "+name)
		v.Stop(c.pid, c.pid)
		f := fileOf(k, k.CurrentTask(), 100)
		if got := pathOf(t, k, f+uint64(unsafe.Offsetof(File{}.FPath))); got != name {
			t.Fatalf("round %d: %q, want %q", i, got, name)
		}
		addresses[v.supers[superKey{dev: v.tables[0].root.dev, fsType: v.tables[0].root.fsType}].addr] = true
	}
	if len(addresses) < 3 {
		t.Errorf("the arena came round %d times", len(addresses)-1)
	}
}

// TestHandles has more tasks than descriptors to keep.
func TestHandles(t *testing.T) {
	v := newView(t)
	v.handles.limit = 3
	var all []*target
	for range 4 {
		all = append(all, start(t, t.TempDir(), "KVIEW_IDLE=1"))
	}
	before := openDescriptors(t)
	for range 5 {
		for _, c := range all {
			v.Stop(c.pid, c.pid)
			k := v.Kernel()
			if fileOf(k, k.CurrentTask(), 0) == 0 {
				t.Errorf("task %d: no file at 0", c.pid)
			}
			if id := v.Task(); comm(id.Comm) == "" {
				t.Errorf("task %d: no comm", c.pid)
			}
		}
	}
	if n := openDescriptors(t) - before; n > 3 {
		t.Errorf("%d descriptors are kept", n)
	}
	for _, c := range all {
		v.Exited(c.pid)
	}
	if n := openDescriptors(t) - before; n > 0 {
		t.Errorf("%d descriptors are left", n)
	}
}

func openDescriptors(t *testing.T) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(entries)
}

func TestNoTask(t *testing.T) {
	v := newView(t)
	k := v.Kernel()
	if k.CurrentTask() != 0 {
		t.Error("a task before the first stop")
	}
	const nobody = 1<<22 - 1 // the kernel's highest
	v.Stop(nobody, nobody)
	task := k.CurrentTask()
	if got := k.Load(task+uint64(unsafe.Offsetof(TaskStruct{}.Pid)), 4); got != nobody {
		t.Errorf("pid %d", got)
	}
	var p [8]byte
	for _, off := range []uintptr{unsafe.Offsetof(TaskStruct{}.Comm), unsafe.Offsetof(TaskStruct{}.StartTime), unsafe.Offsetof(TaskStruct{}.RealParent)} {
		if k.ReadAt(p[:], task+uint64(off)) {
			t.Errorf("offset %d of a task that is not there can be read", off)
		}
	}
	if k.ReadAt(p[:], v.tableOf(task)) {
		t.Error("fd[0] of a task that is not there can be read")
	}
	if got := v.Task(); got != (mem.Task{PID: nobody, TGID: nobody}) {
		t.Errorf("identity %+v", got)
	}
	for _, addr := range []uint64{0, 8, 1 << 40, tasksStart - 8, tasksStart + maxTasks*taskStride, filesStart, filesStart + maxFiles*fileStride - 4,
		inodesStart + (maxDentries-1)*inodeStride, fdsStart + (maxTasks-1)*fdsStride, ^uint64(0), arenaStart - 4} {
		if k.ReadAt(p[:], addr) {
			t.Errorf("there is something at %#x", addr)
		}
	}
}

func TestRegs(t *testing.T) {
	v := newView(t)
	k := v.Kernel()
	first := v.Regs(&PtRegs{Di: 1, OrigAx: 2})
	var last uint64
	for i := range countRegs - 1 {
		last = v.Regs(&PtRegs{Di: uint64(100 + i)})
	}
	if r := load[PtRegs](k, first); r.Di != 1 || r.OrigAx != 2 {
		t.Errorf("the first registers are overwritten: %+v", r)
	}
	if r := load[PtRegs](k, last); r.Di != 100+countRegs-2 {
		t.Errorf("the last registers: %+v", r)
	}
}
