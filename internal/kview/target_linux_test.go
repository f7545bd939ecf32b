package kview

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// A target is the process that a test looks at: this test's own binary, which
// opens things and does what it is told.
type target struct {
	pid    int
	opened []opened
	in     io.Writer
	out    *json.Decoder
}

// opened is a descriptor that a target holds.
type opened struct {
	What    string
	FD      int
	Deleted bool
}

func start(t testing.TB, dir string, env ...string) *target {
	t.Helper()
	return startWith(t, &syscall.SysProcAttr{}, nil, dir, env...)
}

// startMounts starts a target with mounts in a namespace of its own.
func startMounts(t testing.TB) *target {
	t.Helper()
	attr := &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNS}
	if os.Geteuid() != 0 {
		attr.Cloneflags |= syscall.CLONE_NEWUSER
		attr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Geteuid(), Size: 1}}
		attr.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getegid(), Size: 1}}
	}
	return startWith(t, attr, nil, t.TempDir(), "KVIEW_MOUNTS=1")
}

func startWith(t testing.TB, attr *syscall.SysProcAttr, extra []*os.File, dir string, env ...string) *target {
	t.Helper()
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), append(env, "KVIEW_TARGET="+dir, "GORACE=atexit_sleep_ms=0")...)
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = attr
	cmd.ExtraFiles = extra
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		if errors.Is(err, unix.EPERM) {
			t.Skipf("not permitted here: %v", err)
		}
		t.Fatal(err)
	}
	t.Cleanup(func() { in.Close(); cmd.Wait() })
	c := &target{pid: cmd.Process.Pid, in: in, out: json.NewDecoder(out)}
	c.opened = c.hear(t)
	return c
}

func (c *target) hear(t testing.TB) (all []opened) {
	t.Helper()
	if err := c.out.Decode(&all); err != nil {
		t.Fatalf("target: %v", err)
	}
	return all
}

// tell makes the target do something and gives what it opened by that.
func (c *target) tell(t testing.TB, command string) []opened {
	t.Helper()
	if _, err := fmt.Fprintln(c.in, command); err != nil {
		t.Fatal(err)
	}
	return c.hear(t)
}

// opener opens files in the target and keeps the first error.
type opener struct {
	all []opened
	err error
}

func (o *opener) check(what string, err error) {
	if err != nil && o.err == nil {
		o.err = fmt.Errorf("%s: %w", what, err)
	}
}

func (o *opener) put(what string, fd int, err error) int {
	o.check(what, err)
	o.all = append(o.all, opened{What: what, FD: fd})
	return fd
}

func (o *opener) open(what, path string, flags int) int {
	fd, err := unix.Open(path, flags, 0o600)
	return o.put(what, fd, err)
}

// gone says that the last file is deleted.
func (o *opener) gone() { o.all[len(o.all)-1].Deleted = true }

func (o *opener) tell() error {
	if o.err != nil {
		return o.err
	}
	all := o.all
	o.all = []opened{}
	return json.NewEncoder(os.Stdout).Encode(all)
}

// runTarget is the target's main.
func runTarget(dir string) error {
	runtime.LockOSThread()
	o := &opener{}
	if root := os.Getenv("KVIEW_CHROOT"); root != "" {
		o.check("chroot", unix.Chroot(root))
		dir = "/"
	}
	o.check("chdir", os.Chdir(dir))
	switch {
	case os.Getenv("KVIEW_MOUNTS") != "":
		o.openMounts()
	case os.Getenv("KVIEW_IDLE") != "":
	default:
		o.openFiles(dir)
		o.openOthers()
	}
	if os.Getenv("KVIEW_PASSED") != "" {
		fd, err := receive(3)
		o.put("passed", fd, err)
	}
	if err := o.tell(); err != nil {
		return err
	}
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		command, arg, _ := strings.Cut(lines.Text(), " ")
		o.obey(command, arg)
		if err := o.tell(); err != nil {
			return err
		}
	}
	return nil
}

func (o *opener) obey(command, arg string) {
	switch command {
	case "mount":
		os.Mkdir("late", 0o700)
		unix.Unmount("late", unix.MNT_DETACH)
		o.check("mount", unix.Mount("none", "late", "tmpfs", 0, ""))
		o.open("late", "late/file", unix.O_CREAT|unix.O_RDWR)
	case "name":
		o.check("name", os.WriteFile("/proc/self/comm", []byte(arg), 0))
	case "open": // in place of what the last open opened
		fd, err := unix.Open(arg, unix.O_CREAT|unix.O_RDWR, 0o600)
		o.check("open", err)
		o.check("dup2", unix.Dup3(fd, 100, 0))
		o.put(arg, 100, unix.Close(fd))
	case "close":
		n, _ := strconv.Atoi(arg)
		o.check("close", unix.Close(n))
	case "dup": // to a number far away
		n, _ := strconv.Atoi(arg)
		o.check("dup", unix.Dup3(0, n, 0))
	case "become":
		n, _ := strconv.Atoi(arg)
		o.check("setgid", syscall.Setresgid(n, n, n))
		o.check("setuid", syscall.Setresuid(n, n, n))
	case "fork": // FD is the child's pid
		cmd := exec.Command("/proc/self/exe")
		cmd.Env = append(os.Environ(), "KVIEW_IDLE=1")
		cmd.Stdin = os.Stdin
		o.check("fork", cmd.Start())
		o.put("child", cmd.Process.Pid, nil)
	case "seek":
		n, _ := strconv.Atoi(arg)
		_, err := unix.Seek(n, 77, io.SeekStart)
		o.check("seek", err)
	case "hide": // from who has no CAP_SYS_PTRACE
		o.check("hide", unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0))
	case "unshare": // FD is the thread that has a table of its own, with 150 open
		done := make(chan int)
		go func() {
			runtime.LockOSThread()
			o.check("unshare", unix.Unshare(unix.CLONE_FILES))
			o.check("dup2", unix.Dup3(0, 150, 0))
			done <- unix.Gettid()
			select {}
		}()
		o.put("thread", <-done, nil)
	case "deep": // a path that is longer than PATH_MAX
		home, err := unix.Open(".", unix.O_RDONLY|unix.O_DIRECTORY, 0)
		o.check("open", err)
		for range 20 {
			name := strings.Repeat("d", 250)
			o.check("mkdir", unix.Mkdir(name, 0o700))
			o.check("chdir", unix.Chdir(name))
		}
		o.open("deep", "file", unix.O_CREAT|unix.O_RDWR)
		o.check("chdir", unix.Fchdir(home))
		unix.Close(home)
	case "chroot":
		o.check("chroot", unix.Chroot(arg))
	case "chdir":
		o.check("chdir", os.Chdir(arg))
	}
}

func (o *opener) openFiles(dir string) {
	plain := o.open("plain", "plain", unix.O_CREAT|unix.O_RDWR)
	o.open("relative", "./../"+filepath.Base(dir)+"/plain", unix.O_RDONLY)
	dup, err := unix.Dup(plain)
	o.put("dup", dup, err)
	o.open("gone", "gone", unix.O_CREAT|unix.O_RDWR)
	os.Remove("gone")
	o.gone()
	o.open("old", "old", unix.O_CREAT|unix.O_RDWR)
	os.Rename("old", "new")
	o.open("literal", "literal (deleted)", unix.O_CREAT|unix.O_RDWR)
	o.open("literal and gone", "twice (deleted)", unix.O_CREAT|unix.O_RDWR)
	os.Remove("twice (deleted)")
	o.gone()
	o.open("linked and gone", "one", unix.O_CREAT|unix.O_RDWR)
	os.Link("one", "two")
	os.Remove("one")
	o.gone()
	o.open("odd", "odd \n\t\\ name", unix.O_CREAT|unix.O_RDWR)
	o.open("long", strings.Repeat("n", 255), unix.O_CREAT|unix.O_RDWR)
	o.open("39 bytes", strings.Repeat("m", 39), unix.O_CREAT|unix.O_RDWR)
	o.open("40 bytes", strings.Repeat("m", 40), unix.O_CREAT|unix.O_RDWR)
	os.MkdirAll("a/b/c", 0o700)
	o.open("deep", "a/b/c/file", unix.O_CREAT|unix.O_RDWR)
	o.open("directory", "a/b", unix.O_RDONLY|unix.O_DIRECTORY)
	o.open("root", "/", unix.O_RDONLY|unix.O_DIRECTORY)
	o.open("path only", "a", unix.O_PATH)
	unix.Mkfifo("fifo", 0o600)
	o.open("fifo", "fifo", unix.O_RDWR)
	if unnamed, err := unix.Open(".", unix.O_TMPFILE|unix.O_RDWR, 0o600); err == nil {
		o.put("unnamed", unnamed, nil)
		o.gone()
	}
	os.Mkdir("removed", 0o700)
	o.open("removed directory", "removed", unix.O_RDONLY|unix.O_DIRECTORY)
	os.Remove("removed")
	o.gone()
}

func (o *opener) openOthers() {
	var pair [2]int
	err := unix.Pipe(pair[:])
	o.put("pipe", pair[0], err)
	o.put("pipe", pair[1], err)
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM, 0)
	o.put("tcp", fd, err)
	fd, err = unix.Socket(unix.AF_INET6, unix.SOCK_DGRAM, 0)
	o.put("udp", fd, err)
	fd, err = unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM, 0)
	o.put("unix", fd, err)
	fd, err = unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW, 0)
	o.put("netlink", fd, err)
	fd, err = unix.Eventfd(0, 0)
	o.put("eventfd", fd, err)
	fd, err = unix.EpollCreate1(0)
	o.put("epoll", fd, err)
	fd, err = unix.InotifyInit()
	o.put("inotify", fd, err)
	fd, err = unix.TimerfdCreate(unix.CLOCK_MONOTONIC, 0)
	o.put("timerfd", fd, err)
	fd, err = unix.PidfdOpen(os.Getpid(), 0)
	o.put("pidfd", fd, err)
	fd, err = unix.MemfdCreate("a name", 0)
	o.put("memfd", fd, err)
	o.gone()
	if fd, err := unix.MemfdCreate("huge", unix.MFD_HUGETLB); err == nil {
		o.put("huge memfd", fd, nil)
		o.gone()
	}
	if os.Getenv("KVIEW_CHROOT") != "" {
		return
	}
	o.open("namespace", "/proc/self/ns/uts", unix.O_RDONLY)
	o.open("proc", "/proc/self/status", unix.O_RDONLY)
	o.open("null", "/dev/null", unix.O_RDONLY)
	if ptmx, err := unix.Open("/dev/ptmx", unix.O_RDWR|unix.O_NOCTTY, 0); err == nil {
		o.put("ptmx", ptmx, nil)
		unix.IoctlSetPointerInt(ptmx, unix.TIOCSPTLCK, 0)
		n, err := unix.IoctlGetInt(ptmx, unix.TIOCGPTN)
		o.check("ptmx", err)
		o.open("terminal", fmt.Sprintf("/dev/pts/%d", n), unix.O_RDWR|unix.O_NOCTTY)
	}
}

func (o *opener) openMounts() {
	mount := func(source, at, fsType string, flags uintptr, data string) {
		os.Mkdir(at, 0o700)
		o.check("mount on "+at, unix.Mount(source, at, fsType, flags, data))
	}
	create := unix.O_CREAT | unix.O_RDWR
	o.check("private", unix.Mount("none", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""))
	// A tmpfs for all of it: others must not be left with what is mounted here.
	mount("none", "all", "tmpfs", 0, "")
	o.check("chdir", os.Chdir("all"))
	os.MkdirAll("source/sub", 0o700)
	o.open("source", "source/sub/file", create)
	mount("source", "bind", "", unix.MS_BIND, "")
	o.open("bind", "bind/sub/file", unix.O_RDONLY)
	o.open("bound directory", "bind", unix.O_RDONLY|unix.O_DIRECTORY)
	mount("none", "odd \n\t\\#name", "tmpfs", 0, "")
	o.open("odd mount", "odd \n\t\\#name/file", create)
	mount("none", "over", "tmpfs", 0, "")
	o.open("covered", "over/file", create)
	mount("none", "over", "tmpfs", 0, "")
	o.open("covering", "over/file", create)
	o.open("bound file", "name", create)
	o.check("mount on name", unix.Mount("source/sub/file", "name", "", unix.MS_BIND, ""))
	o.open("bound file", "name", unix.O_RDONLY)
	mount("none", "off", "tmpfs", 0, "")
	os.Mkdir("off/sub", 0o700)
	o.open("taken off", "off/sub/file", create)
	o.open("taken off and gone", "off/sub/gone", create)
	os.Remove("off/sub/gone")
	o.gone()
	o.check("umount", unix.Unmount("off", unix.MNT_DETACH))
	for _, dir := range []string{"lower", "upper", "work", "merged"} {
		os.Mkdir(dir, 0o700)
	}
	os.WriteFile("lower/file", nil, 0o600)
	if unix.Mount("overlay", "merged", "overlay", 0, "lowerdir=lower,upperdir=upper,workdir=work") == nil {
		o.open("overlay, lower", "merged/file", unix.O_RDONLY)
		o.open("overlay, upper", "merged/new", create)
	}
	// A file system that the target serves itself, which it never does.
	if fuse, err := unix.Open("/dev/fuse", unix.O_RDWR, 0); err == nil {
		os.Mkdir("fuse", 0o700)
		data := fmt.Sprintf("fd=%d,rootmode=40000,user_id=%d,group_id=%d", fuse, os.Getuid(), os.Getgid())
		if unix.Mount("fuse", "fuse", "fuse", 0, data) == nil {
			o.open("fuse", "fuse", unix.O_PATH)
		}
	}
	os.MkdirAll("nested/one", 0o700)
	mount("none", "nested/one", "tmpfs", 0, "")
	mount("none", "nested/one/two", "tmpfs", 0, "")
	mount("none", "nested/one/two/three", "tmpfs", 0, "")
	o.open("nested", "nested/one/two/three/file", create)
	o.check("move", os.Mkdir("moved", 0o700))
	o.check("move", unix.Mount("nested/one", "moved", "", unix.MS_MOVE, ""))
}

// receive takes a descriptor sent over a socket.
func receive(sock int) (int, error) {
	oob := make([]byte, unix.CmsgSpace(4))
	_, n, _, _, err := unix.Recvmsg(sock, make([]byte, 1), oob, 0)
	if err != nil {
		return -1, err
	}
	messages, err := unix.ParseSocketControlMessage(oob[:n])
	if err != nil || len(messages) == 0 {
		return -1, fmt.Errorf("no descriptor came: %w", err)
	}
	fds, err := unix.ParseUnixRights(&messages[0])
	if err != nil || len(fds) == 0 {
		return -1, fmt.Errorf("no descriptor came: %w", err)
	}
	return fds[0], nil
}
