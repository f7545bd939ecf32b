package kernel

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// mountsOf are the mounts of a type of file system, those that can be written to
// first.
func mountsOf(kind string) ([]mount, error) {
	f, err := os.Open("/proc/self/mountinfo")
	if err != nil {
		return nil, err
	}
	defer f.Close()
	all, err := parseMounts(f)
	if err != nil {
		return nil, err
	}
	var writable, others []mount
	for _, m := range all {
		switch {
		case m.kind != kind:
		case m.readOnly:
			others = append(others, m)
		default:
			writable = append(writable, m)
		}
	}
	return append(writable, others...), nil
}

// mountAside mounts a file system where nobody else sees it: the mount has no
// place in the tree of files and ends when it is closed. Its name is a path to it.
func mountAside(kind string) (*os.File, error) {
	fs, err := unix.Fsopen(kind, unix.FSOPEN_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("fsopen %s: %w", kind, err)
	}
	defer unix.Close(fs)
	if err := unix.FsconfigCreate(fs); err != nil {
		return nil, fmt.Errorf("fsconfig %s: %w", kind, err)
	}
	fd, err := unix.Fsmount(fs, unix.FSMOUNT_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("fsmount %s: %w", kind, err)
	}
	return os.NewFile(uintptr(fd), fmt.Sprintf("/proc/self/fd/%d", fd)), nil
}
