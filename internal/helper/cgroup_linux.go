package helper

import (
	"bytes"
	"os"
	"strconv"
	"strings"
	"sync"
	"unsafe"

	"golang.org/x/sys/unix"
)

// cgroupRoot is where cgroups (version 2) are mounted, empty if nowhere. In
// Call.Buffer the path of one lies behind it, so that together they are a path in
// the file system.
var cgroupRoot = sync.OnceValue(func() string {
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return ""
	}
	for line := range strings.Lines(string(mounts)) {
		// id parent device root point options … - type source options (proc(5))
		mount, system, _ := strings.Cut(line, " - ")
		f := strings.Fields(mount)
		if strings.HasPrefix(system, "cgroup2 ") && len(f) > 4 && f[3] == "/" && len(f[4]) < 1024 {
			return f[4]
		}
	}
	return ""
})

// cgroup is the path of the current task's cgroup as /proc names it, in c.Buffer;
// empty if there is none. It allocates nothing, which is why it makes its system
// calls itself.
func (c *Call) cgroup() []byte {
	pid, root := c.Runner.Env.Task.PID, cgroupRoot()
	if pid == 0 || root == "" {
		return nil
	}
	name := append(c.Buffer[:0], "/proc/"...)
	name = strconv.AppendUint(name, uint64(pid), 10)
	name = append(name, "/cgroup\x00"...)
	fd, _, errno := unix.Syscall6(unix.SYS_OPENAT, ^uintptr(99), uintptr(unsafe.Pointer(&name[0])), unix.O_RDONLY|unix.O_CLOEXEC, 0, 0, 0)
	if errno != 0 {
		return nil
	}
	// What does not fit is not looked at.
	text := c.Buffer[len(root) : len(c.Buffer)-1]
	n, err := unix.Read(int(fd), text)
	unix.Close(int(fd))
	if err != nil || n == len(text) {
		return nil
	}
	// Hierarchies of version 1 come before that of version 2, which has the number 0.
	for line := range bytes.Lines(text[:max(n, 0)]) {
		if path, ok := bytes.CutPrefix(line, []byte("0::/")); ok {
			n := copy(text[1:], bytes.TrimSuffix(path, []byte("\n")))
			text[0] = '/'
			return text[:1+n]
		}
	}
	return nil
}

// cgroupID is the id of the cgroup of a path that cgroup gave, or the beginning of
// one; 0 if there is none.
func (c *Call) cgroupID(path []byte) uint64 {
	if len(path) == 0 {
		return 0
	}
	end := copy(c.Buffer[:], cgroupRoot()) + len(path)
	behind := c.Buffer[end]
	c.Buffer[end] = 0
	var stat unix.Stat_t
	_, _, errno := unix.Syscall6(unix.SYS_NEWFSTATAT, ^uintptr(99), uintptr(unsafe.Pointer(&c.Buffer[0])), uintptr(unsafe.Pointer(&stat)), 0, 0, 0)
	c.Buffer[end] = behind
	if errno != 0 {
		return 0
	}
	return stat.Ino
}
