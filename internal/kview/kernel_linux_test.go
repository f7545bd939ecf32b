package kview

import (
	"errors"
	"fmt"
	"io"
	"reflect"
	"strings"
	"testing"
	"unsafe"

	"github.com/cilium/ebpf"
	attach "github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"

	"github.com/skep-bpf/skep/internal/mem"
)

// The structs of testdata/dump.bpf.c.

const dumpNames, dumpName = 24, 256

type dumpWalk struct {
	MntID, Unhashed, Alone, AtRoot, Unmounted, Names uint32
	Name                                             [dumpNames][dumpName]byte
}

type dumpSuper struct {
	Magic uint64
	Dev   uint32
	Type  [16]byte
	Root  [dumpName]byte
	_     uint32
}

type dumpInfo struct {
	Open, Flags                 uint32
	Pos                         int64
	Ino                         uint64
	Size, Atime, Mtime, Ctime   int64
	AtimeNs, MtimeNs, CtimeNs   uint32
	Mode, UID, GID, Nlink, Rdev uint32
	SameInode, SameSuper        uint32
	Super                       dumpSuper
	Walk                        dumpWalk
}

type dumpTask struct {
	PID, TGID, PPID, Leader, Flags, Level uint32
	Nr                                    [4]int32
	MaxFDs                                uint32
	_                                     uint32
	Start, StartBoot                      uint64
	Comm                                  [16]byte
	Root, Pwd                             dumpWalk
}

// dumper runs testdata/dump.bpf.o in the kernel.
type dumper struct {
	coll *ebpf.Collection
	iter *attach.Iter
}

func newDumper(t *testing.T) *dumper {
	t.Helper()
	spec, err := ebpf.LoadCollectionSpec("testdata/dump.bpf.o")
	if err != nil {
		t.Fatal(err)
	}
	coll, err := ebpf.NewCollection(spec)
	if errors.Is(err, unix.EPERM) || errors.Is(err, unix.ENOSYS) || errors.Is(err, ebpf.ErrNotSupported) {
		t.Skipf("the kernel's own eBPF is not for us: %v", err)
	}
	if err != nil {
		t.Fatalf("%+v", err)
	}
	t.Cleanup(coll.Close)
	iter, err := attach.AttachIter(attach.IterOptions{Program: coll.Programs["dump"]})
	if err != nil {
		t.Skipf("no task iterator: %v", err)
	}
	t.Cleanup(func() { iter.Close() })
	return &dumper{coll, iter}
}

func (d *dumper) run(t *testing.T, tid, fd int, name string, out []byte) {
	t.Helper()
	set := func(name string, value any) {
		if err := d.coll.Variables[name].Set(value); err != nil {
			t.Fatal(err)
		}
	}
	set("want_tid", int32(tid))
	set("want_fd", int32(fd))
	set("found", int32(0))
	set(name, make([]byte, len(out)))
	r, err := d.iter.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if _, err := io.Copy(io.Discard, r); err != nil {
		t.Fatal(err)
	}
	var found int32
	if err := d.coll.Variables["found"].Get(&found); err != nil || found == 0 {
		t.Fatalf("the kernel did not meet task %d: %v", tid, err)
	}
	if err := d.coll.Variables[name].Get(out); err != nil {
		t.Fatal(err)
	}
}

// dumpPath does what walk_path does.
func dumpPath(k *mem.Kernel, addr uint64) (w dumpWalk) {
	p := load[Path](k, addr)
	m := p.Mnt.Addr - uint64(unsafe.Offsetof(Mount{}.Mnt))
	mount := load[Mount](k, m)
	d := p.Dentry.Addr
	dentry := load[Dentry](k, d)
	root := mount.Mnt.MntRoot.Addr
	bit := func(b bool) uint32 {
		if b {
			return 1
		}
		return 0
	}
	w.MntID = uint32(mount.MntID)
	w.Unhashed = bit(dentry.DHash.Pprev.Addr == 0)
	w.Alone = bit(d == dentry.DParent.Addr)
	w.AtRoot = bit(d == root)
	w.Unmounted = bit(mount.MntParent.Addr == m)
	copy(w.Name[dumpNames-1][:], loadString(k, dentry.DName.Name.Addr))
	for w.Names < dumpNames-1 {
		dentry = load[Dentry](k, d)
		if d == root {
			if mount.MntParent.Addr == m {
				break
			}
			d, m = mount.MntMountpoint.Addr, mount.MntParent.Addr
			mount = load[Mount](k, m)
			root = mount.Mnt.MntRoot.Addr
			continue
		}
		if d == dentry.DParent.Addr {
			break
		}
		copy(w.Name[w.Names][:], loadString(k, dentry.DName.Name.Addr))
		w.Names++
		d = dentry.DParent.Addr
	}
	return w
}

func dumpFile(k *mem.Kernel, fd int) (i dumpInfo) {
	addr := fileOf(k, k.CurrentTask(), fd)
	if addr == 0 {
		return i
	}
	f := load[File](k, addr)
	in := load[Inode](k, f.FInode.Addr)
	d := load[Dentry](k, f.FPath.Dentry.Addr)
	mnt := load[Vfsmount](k, f.FPath.Mnt.Addr)
	sb := load[SuperBlock](k, in.ISb.Addr)
	i = dumpInfo{
		Open: 1, Flags: f.FFlags, Pos: f.FPos, Ino: in.IIno,
		Size: in.ISize, Atime: in.IAtime, Mtime: in.IMtime, Ctime: in.ICtime,
		AtimeNs: in.IAtimeNs, MtimeNs: in.IMtimeNs, CtimeNs: in.ICtimeNs,
		Mode: uint32(in.IMode), UID: in.IUID.Val, GID: in.IGID.Val, Nlink: in.INlink, Rdev: in.IRdev,
	}
	if f.FInode == d.DInode {
		i.SameInode = 1
	}
	if in.ISb == d.DSb && in.ISb == mnt.MntSb {
		i.SameSuper = 1
	}
	i.Super.Magic, i.Super.Dev = sb.SMagic, sb.SDev
	copy(i.Super.Type[:15], loadString(k, load[FileSystemType](k, sb.SType.Addr).Name.Addr))
	copy(i.Super.Root[:], loadString(k, load[Dentry](k, sb.SRoot.Addr).DName.Name.Addr))
	i.Walk = dumpPath(k, addr+uint64(unsafe.Offsetof(File{}.FPath)))
	return i
}

func dumpTaskOf(k *mem.Kernel) (d dumpTask) {
	addr := k.CurrentTask()
	t := load[TaskStruct](k, addr)
	pid := load[Pid](k, t.ThreadPid.Addr)
	d = dumpTask{
		PID: uint32(t.Pid), TGID: uint32(t.Tgid), Flags: t.Flags, Level: pid.Level,
		PPID:   uint32(load[TaskStruct](k, t.RealParent.Addr).Tgid),
		Leader: uint32(load[TaskStruct](k, t.GroupLeader.Addr).Pid),
		Start:  t.StartTime, StartBoot: t.StartBoottime, Comm: t.Comm,
		Root: dumpPath(k, t.FS.Addr+uint64(unsafe.Offsetof(FsStruct{}.Root))),
		Pwd:  dumpPath(k, t.FS.Addr+uint64(unsafe.Offsetof(FsStruct{}.Pwd))),
	}
	for i := range d.Nr {
		d.Nr[i] = pid.Numbers[i].Nr
	}
	fdt := load[FilesStruct](k, t.Files.Addr).Fdt.Addr
	d.MaxFDs = load[Fdtable](k, fdt).MaxFds
	return d
}

// differences lists the fields that are not the same.
func differences(kernel, view reflect.Value, path string) (out []string) {
	switch kernel.Kind() {
	case reflect.Struct:
		for i := range kernel.NumField() {
			if name := kernel.Type().Field(i).Name; name != "_" {
				out = append(out, differences(kernel.Field(i), view.Field(i), path+"."+name)...)
			}
		}
	case reflect.Array:
		if kernel.Type().Elem().Kind() == reflect.Uint8 {
			a, b := cString(kernel), cString(view)
			if a != b {
				out = append(out, fmt.Sprintf("%s: kernel %q, view %q", path, a, b))
			}
			break
		}
		for i := range kernel.Len() {
			out = append(out, differences(kernel.Index(i), view.Index(i), fmt.Sprintf("%s[%d]", path, i))...)
		}
	default:
		if !kernel.Equal(view) {
			out = append(out, fmt.Sprintf("%s: kernel %#x, view %#x", path, kernel, view))
		}
	}
	return out
}

func cString(v reflect.Value) string {
	var b strings.Builder
	for i := range v.Len() {
		c := byte(v.Index(i).Uint())
		if c == 0 {
			break
		}
		b.WriteByte(c)
	}
	return b.String()
}

// TestKernel compares each field with the running kernel's own.
func TestKernel(t *testing.T) {
	d := newDumper(t)
	target := start(t, t.TempDir())
	v := newView(t)
	v.Stop(target.pid, target.pid)
	d.compareTask(t, v, target.pid)
	d.compareFiles(t, v, target)
	t.Run("mounts", func(t *testing.T) {
		target := startMounts(t)
		v.Stop(target.pid, target.pid)
		d.compareTask(t, v, target.pid)
		d.compareFiles(t, v, target)
	})
}

func (d *dumper) compareTask(t *testing.T, v *View, tid int) {
	t.Helper()
	var kernel dumpTask
	d.run(t, tid, -1, "task", bytesOf(&kernel))
	view := dumpTaskOf(v.Kernel())
	// /proc tells start times in clock ticks.
	kernel.StartBoot -= kernel.StartBoot % 1e7
	if late := int64(kernel.Start - view.Start); late >= 0 && late < 2e7 {
		kernel.Start = view.Start
	}
	for _, line := range differences(reflect.ValueOf(kernel), reflect.ValueOf(view), "task") {
		t.Error(line)
	}
}

func (d *dumper) compareFiles(t *testing.T, v *View, target *target) {
	t.Helper()
	for _, o := range target.opened {
		var kernel dumpInfo
		d.run(t, target.pid, o.FD, "info", bytesOf(&kernel))
		view := dumpFile(v.Kernel(), o.FD)
		// From Linux 6.13 on the highest bit says that the time was asked for.
		kernel.CtimeNs &^= 1 << 31
		// The kernel keeps the flag that open had, /proc tells the descriptor's.
		kernel.Flags &^= unix.O_CLOEXEC
		view.Flags &^= unix.O_CLOEXEC
		if o.What == "pidfd" { // stat hides the type
			kernel.Mode &^= unix.S_IFMT
		}
		if strings.HasPrefix(o.What, "taken off") { // no table lists the mount
			kernel.Super.Type, kernel.Super.Magic = [16]byte{}, 0
		}
		for _, line := range differences(reflect.ValueOf(kernel), reflect.ValueOf(view), o.What) {
			t.Error(line)
		}
	}
}
