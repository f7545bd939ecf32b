package kview

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/skep-bpf/skep/internal/mem"
)

// TestMain is also the process that the tests look at.
func TestMain(m *testing.M) {
	if dir := os.Getenv("KVIEW_TARGET"); dir != "" {
		if err := runTarget(dir); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func newView(t testing.TB) *View {
	t.Helper()
	v, err := New(Plan{NeedComm: true, NeedCred: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { v.Close() })
	return v
}

// fileOf loads task->files->fdt->fd[n].
func fileOf(k *mem.Kernel, task uint64, n int) uint64 {
	files := loadPtr(k, task, unsafe.Offsetof(TaskStruct{}.Files))
	fdt := loadPtr(k, files, unsafe.Offsetof(FilesStruct{}.Fdt))
	if uint64(n) >= k.Load(fdt+uint64(unsafe.Offsetof(Fdtable{}.MaxFds)), 4) {
		return 0
	}
	return k.Load(loadPtr(k, fdt, unsafe.Offsetof(Fdtable{}.Fd))+uint64(8*n), 8)
}

// pathOf is the text of the struct path at an address.
func pathOf(t testing.TB, k *mem.Kernel, path uint64) string {
	t.Helper()
	return walkUp(t, k, load[Path](k, path))
}

func unhashed(k *mem.Kernel, d uint64) bool {
	return loadPtr(k, d, unsafe.Offsetof(Dentry{}.DHash)) == 0
}

// checkFile compares a descriptor with what /proc says about it.
func checkFile(t *testing.T, v *View, pid int, o opened) {
	t.Helper()
	k := v.Kernel()
	proc := fmt.Sprintf("/proc/%d/fd/%d", pid, o.FD)
	want, err := os.Readlink(proc)
	if err != nil {
		t.Fatal(err)
	}
	var st unix.Statx_t
	if err := unix.Statx(unix.AT_FDCWD, proc, unix.AT_STATX_DONT_SYNC, unix.STATX_BASIC_STATS|unix.STATX_MNT_ID, &st); err != nil {
		t.Fatal(err)
	}
	file := fileOf(k, k.CurrentTask(), o.FD)
	if file == 0 {
		t.Fatalf("%s: no file", o.What)
	}
	path := file + uint64(unsafe.Offsetof(File{}.FPath))
	d := loadPtr(k, path, unsafe.Offsetof(Path{}.Dentry))
	got := pathOf(t, k, path)
	inode := loadPtr(k, file, unsafe.Offsetof(File{}.FInode))
	in := load[Inode](k, inode)
	sb := load[SuperBlock](k, in.ISb.Addr)
	switch {
	case strings.HasPrefix(want, "/memfd:"):
		want = strings.TrimSuffix(want[1:], deletedSuffix)
	case strings.HasPrefix(want, "pipe:["), strings.HasPrefix(want, "socket:["):
		magic := map[byte]uint64{'p': 0x50495045, 's': 0x534F434B}[want[0]]
		if sb.SMagic != magic {
			t.Errorf("%s: s_magic %#x, want %#x", o.What, sb.SMagic, magic)
		}
		if text := fmt.Sprintf("%s[%d]", want[:strings.IndexByte(want, '[')], in.IIno); text != want {
			t.Errorf("%s: %s, want %s", o.What, text, want)
		}
		want = nameOf(k, d) // compared with the kernel's
	case want == "anon_inode:[pidfd]", strings.HasPrefix(want, "uts:"):
		want = got // compared with the kernel's
	case strings.HasPrefix(want, "anon_inode:"):
		if sb.SMagic != 0x09041934 {
			t.Errorf("%s: s_magic %#x", o.What, sb.SMagic)
		}
		want = strings.TrimPrefix(want, "anon_inode:")
	case o.Deleted:
		want = strings.TrimSuffix(want, deletedSuffix)
	}
	if got != want {
		t.Errorf("%s: path %q, want %q", o.What, got, want)
	}
	if loadPtr(k, d, unsafe.Offsetof(Dentry{}.DInode)) != inode {
		t.Errorf("%s: d_inode is not f_inode", o.What)
	}
	if gone := unhashed(k, d) && loadPtr(k, d, unsafe.Offsetof(Dentry{}.DParent)) != d; gone != (o.Deleted && !strings.HasSuffix(o.What, "memfd")) {
		t.Errorf("%s: unhashed %v, want %v", o.What, gone, o.Deleted)
	}
	if in.IIno != st.Ino || in.IMode != st.Mode || in.INlink != st.Nlink || in.ISize != int64(st.Size) || in.IMtime != st.Mtime.Sec || in.IMtimeNs != st.Mtime.Nsec || in.IUID.Val != st.Uid {
		t.Errorf("%s: inode %+v, statx %+v", o.What, in, st)
	}
	mount := loadPtr(k, path, unsafe.Offsetof(Path{}.Mnt)) - uint64(unsafe.Offsetof(Mount{}.Mnt))
	if id := load[Mount](k, mount).MntID; uint64(id) != st.Mnt_id {
		t.Errorf("%s: mnt_id %d, want %d", o.What, id, st.Mnt_id)
	}
}

func TestFiles(t *testing.T) {
	target := start(t, t.TempDir())
	pid, all := target.pid, target.opened
	v := newView(t)
	for range 3 { // what is cached says the same
		v.Stop(pid, pid)
		for _, o := range all {
			checkFile(t, v, pid, o)
		}
	}
	v.Stop(pid, pid)
	for _, n := range []int{250, 5000, 1 << 20, 1 << 24, 1 << 30} {
		if f := fileOf(v.Kernel(), v.Kernel().CurrentTask(), n); f != 0 {
			t.Errorf("descriptor %d: file %#x, want none", n, f)
		}
	}
}

func TestPassedFile(t *testing.T) {
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(pair[0])
	other := os.NewFile(uintptr(pair[1]), "socket")
	name := filepath.Join(t.TempDir(), "sent")
	sent, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	defer sent.Close()
	if err := unix.Sendmsg(pair[0], []byte{0}, unix.UnixRights(int(sent.Fd())), nil, 0); err != nil {
		t.Fatal(err)
	}
	target := startWith(t, nil, []*os.File{other}, t.TempDir(), "KVIEW_PASSED=1")
	other.Close()
	v := newView(t)
	v.Stop(target.pid, target.pid)
	checkFile(t, v, target.pid, target.opened[len(target.opened)-1])
}

func TestChroot(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("chroot needs root")
	}
	dir := t.TempDir()
	target := start(t, dir, "KVIEW_CHROOT="+dir)
	v := newView(t)
	v.Stop(target.pid, target.pid)
	for _, o := range target.opened {
		checkFile(t, v, target.pid, o)
	}
	k := v.Kernel()
	fs := loadPtr(k, k.CurrentTask(), unsafe.Offsetof(TaskStruct{}.FS))
	if got := pathOf(t, k, fs+uint64(unsafe.Offsetof(FsStruct{}.Root))); got != dir {
		t.Errorf("root %q, want %q", got, dir)
	}
}

// TestMounts looks into a mount namespace with all sorts of mounts, and then
// with more.
func TestMounts(t *testing.T) {
	target := startMounts(t)
	v := newView(t)
	for range 2 {
		v.Stop(target.pid, target.pid)
		for _, o := range target.opened {
			checkFile(t, v, target.pid, o)
		}
	}
	if len(v.tables) != 2 {
		t.Errorf("%d mount tables, want ours and the target's", len(v.tables))
	}
	for range 3 { // each takes off the last and mounts another in its place
		more := target.tell(t, "mount")
		v.Stop(target.pid, target.pid)
		for _, o := range more {
			checkFile(t, v, target.pid, o)
		}
	}
	// Who is in a chroot sees only some of the mounts, at other places.
	target.tell(t, "chroot moved")
	fresh := newView(t)
	fresh.Stop(target.pid, target.pid)
	for _, o := range target.opened {
		checkFile(t, fresh, target.pid, o)
	}
	if prefix := fresh.tables[len(fresh.tables)-1].prefix; !strings.HasSuffix(prefix, "/moved") {
		t.Errorf("the table begins at %q", prefix)
	}
	// A namespace is not kept alive by a view.
	v.Exited(target.pid)
	if len(v.tables) != 1 {
		t.Errorf("%d mount tables are left, want ours", len(v.tables))
	}
}
