package kview

import (
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"unsafe"
)

var (
	offTgid   = uint64(unsafe.Offsetof(TaskStruct{}.Tgid))
	offFiles  = unsafe.Offsetof(TaskStruct{}.Files)
	offParent = unsafe.Offsetof(TaskStruct{}.RealParent)
)

// BenchmarkStop is a stop whose program asks who it runs for.
func BenchmarkStop(b *testing.B) {
	c := start(b, b.TempDir(), "KVIEW_IDLE=1")
	v := viewWith(b, Plan{})
	for b.Loop() {
		v.Stop(c.pid, c.pid)
		v.Task()
	}
}

// BenchmarkIdentity is a stop whose program loads task->tgid.
func BenchmarkIdentity(b *testing.B) {
	c := start(b, b.TempDir(), "KVIEW_IDLE=1")
	v := viewWith(b, Plan{})
	k := v.Kernel()
	for b.Loop() {
		v.Stop(c.pid, c.pid)
		k.Load(k.CurrentTask()+offTgid, 4)
	}
}

// BenchmarkIdentityOfTwo is the same with the stops of two threads in turn.
func BenchmarkIdentityOfTwo(b *testing.B) {
	c := start(b, b.TempDir(), "KVIEW_IDLE=1")
	v := viewWith(b, Plan{})
	k := v.Kernel()
	self := os.Getpid()
	for b.Loop() {
		v.Stop(c.pid, c.pid)
		k.Load(k.CurrentTask()+offTgid, 4)
		v.Stop(self, self)
		k.Load(k.CurrentTask()+offTgid, 4)
	}
}

// BenchmarkParent loads task->real_parent->tgid.
func BenchmarkParent(b *testing.B) {
	c := start(b, b.TempDir(), "KVIEW_IDLE=1")
	v := viewWith(b, Plan{})
	k := v.Kernel()
	for b.Loop() {
		v.Stop(c.pid, c.pid)
		k.Load(loadPtr(k, k.CurrentTask(), offParent)+offTgid, 4)
	}
}

// BenchmarkComm is a stop whose program wants the name.
func BenchmarkComm(b *testing.B) {
	c := start(b, b.TempDir(), "KVIEW_IDLE=1")
	v := viewWith(b, Plan{NeedComm: true})
	for b.Loop() {
		v.Stop(c.pid, c.pid)
		v.Task()
	}
}

// BenchmarkCred is a stop whose program wants uid and gid.
func BenchmarkCred(b *testing.B) {
	c := start(b, b.TempDir(), "KVIEW_IDLE=1")
	v := viewWith(b, Plan{NeedCred: true})
	for b.Loop() {
		v.Stop(c.pid, c.pid)
		v.Task()
	}
}

// BenchmarkSlot is a stop whose program loads fd[n] of a descriptor that it has
// met, and no more.
func BenchmarkSlot(b *testing.B) {
	c := start(b, b.TempDir())
	v := viewWith(b, Plan{})
	k := v.Kernel()
	v.Stop(c.pid, c.pid)
	slot := v.tableOf(k.CurrentTask()) + 8*uint64(c.opened[0].FD)
	b.ReportAllocs()
	for b.Loop() {
		v.Stop(c.pid, c.pid)
		if k.Load(slot, 8) == 0 {
			b.Fatal("no file")
		}
	}
}

// BenchmarkWalk is a stop whose program checks max_fds and walks the path.
func BenchmarkWalk(b *testing.B) {
	c := start(b, b.TempDir())
	v := viewWith(b, Plan{})
	k := v.Kernel()
	b.ReportAllocs()
	for b.Loop() {
		v.Stop(c.pid, c.pid)
		f := fileOf(k, k.CurrentTask(), c.opened[0].FD)
		path := load[Path](k, f+uint64(unsafe.Offsetof(File{}.FPath)))
		depth := 0
		for d := path.Dentry.Addr; ; depth++ {
			up := loadPtr(k, d, unsafe.Offsetof(Dentry{}.DParent))
			if up == d {
				break
			}
			k.Load(loadPtr(k, d, unsafe.Offsetof(Dentry{}.DName)+unsafe.Offsetof(Qstr{}.Name)), 1)
			d = up
		}
		if depth < 3 {
			b.Fatal("no path")
		}
	}
}

// BenchmarkNewSlot is a slot with another file at each stop, whose paths are
// known.
func BenchmarkNewSlot(b *testing.B) { benchmarkFiles(b, func(v *View) {}) }

// BenchmarkNewFile is a slot with a file of an unknown path at each stop.
func BenchmarkNewFile(b *testing.B) {
	benchmarkFiles(b, func(v *View) {
		v.forgetPaths()
		clear(v.dentries)
	})
}

func benchmarkFiles(b *testing.B, forget func(*View)) {
	v := viewWith(b, Plan{})
	k := v.Kernel()
	pid := os.Getpid()
	dir := b.TempDir()
	var files []int
	for i := range 64 {
		f, err := os.Create(filepath.Join(dir, strconv.Itoa(i)))
		if err != nil {
			b.Fatal(err)
		}
		defer f.Close()
		files = append(files, int(f.Fd()))
	}
	v.Stop(pid, pid)
	table := v.tableOf(k.CurrentTask())
	i := 0
	for b.Loop() {
		if i%len(files) == 0 {
			clear(v.current.fds)
			forget(v)
		}
		v.Stop(pid, pid)
		if k.Load(table+8*uint64(files[i%len(files)]), 8) == 0 {
			b.Fatal("no file")
		}
		i++
	}
}

// BenchmarkInode is a stop whose program loads f_inode->i_ino.
func BenchmarkInode(b *testing.B) {
	c := start(b, b.TempDir())
	v := viewWith(b, Plan{})
	k := v.Kernel()
	v.Stop(c.pid, c.pid)
	f := fileOf(k, k.CurrentTask(), c.opened[0].FD)
	inode := loadPtr(k, f, unsafe.Offsetof(File{}.FInode))
	slot := v.tableOf(k.CurrentTask()) + 8*uint64(c.opened[0].FD)
	b.ReportAllocs()
	for b.Loop() {
		v.Stop(c.pid, c.pid)
		k.Load(slot, 8)
		if k.Load(inode+uint64(unsafe.Offsetof(Inode{}.IIno)), 8) == 0 {
			b.Fatal("no inode")
		}
	}
}

// BenchmarkFirstTask meets a task and loads all that task_struct has.
func BenchmarkFirstTask(b *testing.B) {
	v := viewWith(b, Plan{NeedComm: true, NeedCred: true})
	pid := os.Getpid()
	for b.Loop() {
		v.Stop(pid, pid)
		load[TaskStruct](v.Kernel(), v.Kernel().CurrentTask())
		v.Task()
		v.Exited(pid)
	}
}

// BenchmarkLoad is a typed load from the arena, from a task and from a file.
func BenchmarkLoad(b *testing.B) {
	c := start(b, b.TempDir())
	v := viewWith(b, Plan{})
	k := v.Kernel()
	v.Stop(c.pid, c.pid)
	f := fileOf(k, k.CurrentTask(), c.opened[0].FD)
	for name, addr := range map[string]uint64{
		"arena": loadPtr(k, f, unsafe.Offsetof(File{}.FPath)+unsafe.Offsetof(Path{}.Dentry)),
		"task":  k.CurrentTask() + uint64(offFiles),
		"file":  f + uint64(unsafe.Offsetof(File{}.FPath)),
	} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				k.Load(addr, 8)
			}
		})
	}
}

// BenchmarkNew makes a view: the arena, and the mounts of our namespace.
func BenchmarkNew(b *testing.B) {
	for b.Loop() {
		v, err := New(Plan{})
		if err != nil {
			b.Fatal(err)
		}
		v.Close()
	}
}

func viewWith(b *testing.B, plan Plan) *View {
	v, err := New(plan)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { v.Close() })
	return v
}
