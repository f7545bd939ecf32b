package kernel

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// A cgroup is a cgroup of ours (cgroup v2), for one command. It lies below the
// cgroup that this process is in, so that the limits there hold for the command,
// too.
//
// Whoever made it holds a lock on its directory. The kernel drops the lock when
// that process dies, so a cgroup that can be locked has been left behind.
type cgroup struct {
	path  string
	dir   *os.File // locked
	mount *os.File // the file system mounted aside, or nil
}

// ownName are the names of our cgroups: the process id of the maker and a number.
var ownName = regexp.MustCompile(`^skep-[0-9]+-[0-9]+$`)

var cgroupNumber atomic.Uint64

// newCgroup makes a cgroup, and removes those that dead processes left beside it.
func newCgroup() (*cgroup, error) {
	parent, aside, err := ownCgroup()
	if err != nil {
		return nil, &Error{Kind: ErrNoCgroup, Reason: err.Error(), Err: err}
	}
	removeStale(parent)
	c, err := makeCgroup(parent)
	if err != nil {
		if aside != nil {
			aside.Close()
		}
		reason := err.Error()
		switch {
		case errors.Is(err, unix.EROFS):
			reason += ": cgroup v2 is mounted read-only here, as in many containers: mount it writable, or watch running processes (--pid)"
		case isPermission(err):
			reason += ": it takes write access there, as root has"
		}
		return nil, &Error{Kind: ErrNoCgroup, Reason: reason, Err: err}
	}
	c.mount = aside
	return c, nil
}

// ownCgroup is the directory of the cgroup v2 that this process is in. If no
// mount shows it, the file system is mounted aside.
func ownCgroup() (dir string, aside *os.File, err error) {
	own, err := ownCgroupPath()
	if err != nil {
		return "", nil, err
	}
	mounts, err := mountsOf("cgroup2")
	if err != nil {
		return "", nil, err
	}
	for _, m := range mounts {
		below, err := filepath.Rel(m.root, own)
		if err != nil || !filepath.IsLocal(below) {
			continue
		}
		dir := filepath.Join(m.point, below)
		if _, err := os.Stat(filepath.Join(dir, "cgroup.procs")); err == nil {
			return dir, nil, nil
		}
	}
	aside, err = mountAside("cgroup2")
	if err != nil {
		return "", nil, fmt.Errorf("cgroup v2 is not mounted (mount -t cgroup2 cgroup2 DIRECTORY): %w", err)
	}
	return filepath.Join(aside.Name(), own), aside, nil
}

// ownCgroupPath is the cgroup v2 of this process, as a path in that hierarchy
// (cgroups(7): the line that begins with 0::).
func ownCgroupPath() (string, error) {
	b, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return "", err
	}
	for line := range strings.Lines(string(b)) {
		if path, ok := strings.CutPrefix(strings.TrimSuffix(line, "\n"), "0::"); ok {
			return path, nil
		}
	}
	return "", errors.New("this kernel has no cgroup v2")
}

// makeCgroup makes and locks a new cgroup.
func makeCgroup(parent string) (*cgroup, error) {
	for {
		path := filepath.Join(parent, fmt.Sprintf("skep-%d-%d", os.Getpid(), cgroupNumber.Add(1)))
		err := os.Mkdir(path, 0o755)
		if errors.Is(err, fs.ErrExist) {
			continue // of a dead process that had our number
		}
		if err != nil {
			return nil, err
		}
		dir, err := lockDirectory(path)
		if err != nil {
			os.Remove(path)
			return nil, err
		}
		if dir != nil {
			return &cgroup{path: path, dir: dir}, nil
		}
		// Somebody who removes stale ones was faster.
	}
}

// lockDirectory opens and locks a directory. It is nil without an error if
// somebody else has the lock, or the directory is gone.
func lockDirectory(path string) (*os.File, error) {
	dir, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(dir.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		dir.Close()
		if err == unix.EWOULDBLOCK {
			return nil, nil
		}
		return nil, fmt.Errorf("flock %s: %w", path, err)
	}
	opened, err := dir.Stat()
	if err == nil {
		var there os.FileInfo
		if there, err = os.Stat(path); err == nil && os.SameFile(opened, there) {
			return dir, nil
		}
	}
	dir.Close()
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	return nil, nil
}

// removeStale removes the empty cgroups in parent whose makers are dead. One with
// processes stays until they have ended.
func removeStale(parent string) {
	entries, err := os.ReadDir(parent)
	if err != nil {
		return
	}
	for _, e := range entries {
		if !e.IsDir() || !ownName.MatchString(e.Name()) {
			continue
		}
		path := filepath.Join(parent, e.Name())
		dir, err := lockDirectory(path)
		if err != nil || dir == nil {
			continue
		}
		stale := cgroup{path: path, dir: dir}
		if stale.empty() {
			stale.removeTree()
		}
		dir.Close()
	}
}

// empty reports whether no process is in the cgroup or below it.
func (c *cgroup) empty() bool {
	b, err := os.ReadFile(filepath.Join(c.path, "cgroup.events"))
	return err != nil || !strings.Contains(string(b), "populated 1")
}

// waitEmpty waits until the cgroup is empty, or stop can be read from.
func (c *cgroup) waitEmpty(stop *os.File) error {
	events, err := os.Open(filepath.Join(c.path, "cgroup.events"))
	if err != nil {
		return err
	}
	defer events.Close()
	for {
		// The kernel reports the changes since the last read.
		buf := make([]byte, 256)
		n, err := unix.Pread(int(events.Fd()), buf, 0)
		if err != nil {
			return fmt.Errorf("%s: %w", events.Name(), err)
		}
		if !strings.Contains(string(buf[:n]), "populated 1") {
			return nil
		}
		fds := []unix.PollFd{{Fd: int32(events.Fd()), Events: unix.POLLPRI}, {Fd: int32(stop.Fd()), Events: unix.POLLIN}}
		if _, err := unix.Poll(fds, -1); err != nil && err != unix.EINTR {
			return fmt.Errorf("poll: %w", err)
		}
		if fds[1].Revents != 0 {
			return nil
		}
	}
}

// kill kills every process in the cgroup and below it.
func (c *cgroup) kill() error {
	err := os.WriteFile(filepath.Join(c.path, "cgroup.kill"), []byte("1"), 0)
	if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	// Before Linux 5.14. They may fork while we look.
	for range 100 {
		for _, dir := range c.tree() {
			for _, pid := range processesOf(dir) {
				unix.Kill(pid, unix.SIGKILL)
			}
		}
		if c.empty() {
			return nil
		}
		time.Sleep(time.Millisecond)
	}
	return fmt.Errorf("%s: its processes fork faster than they are killed", c.path)
}

// processesOf are the processes of one cgroup.
func processesOf(dir string) []int {
	b, err := os.ReadFile(filepath.Join(dir, "cgroup.procs"))
	if err != nil {
		return nil
	}
	var pids []int
	for field := range strings.FieldsSeq(string(b)) {
		if pid, err := strconv.Atoi(field); err == nil && pid > 0 {
			pids = append(pids, pid)
		}
	}
	return pids
}

// tree are the directories of the cgroup and those below it, the lowest first.
func (c *cgroup) tree() []string {
	var dirs []string
	filepath.WalkDir(c.path, func(path string, e fs.DirEntry, err error) error {
		if err == nil && e.IsDir() {
			dirs = append(dirs, path)
		}
		return nil
	})
	slices.Reverse(dirs)
	return dirs
}

func (c *cgroup) removeTree() error {
	for _, dir := range c.tree() {
		if err := unix.Rmdir(dir); err != nil && err != unix.ENOENT {
			return fmt.Errorf("rmdir %s: %w", dir, err)
		}
	}
	return nil
}

// Close removes the cgroup. Processes that are still in it go on in the cgroup
// above.
func (c *cgroup) Close() error {
	if c.dir == nil {
		return nil
	}
	var err error
	for range 100 {
		for _, pid := range processesOf(c.path) {
			os.WriteFile(filepath.Join(filepath.Dir(c.path), "cgroup.procs"), strconv.AppendInt(nil, int64(pid), 10), 0)
		}
		// EBUSY: they forked meanwhile, or have not quite ended.
		if err = c.removeTree(); !errors.Is(err, unix.EBUSY) {
			break
		}
		time.Sleep(time.Millisecond)
	}
	c.dir.Close()
	c.dir = nil
	if c.mount != nil {
		c.mount.Close()
	}
	return err
}
