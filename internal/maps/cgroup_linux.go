package maps

import "golang.org/x/sys/unix"

// cgroupOf is the id of the cgroup whose directory a file descriptor is of: the
// number of its inode.
func cgroupOf(fd int) (uint64, error) {
	var system unix.Statfs_t
	if err := unix.Fstatfs(fd, &system); err != nil {
		return 0, &mapError{"the value is no open file descriptor", nil, unix.EBADF}
	}
	var stat unix.Stat_t
	if err := unix.Fstat(fd, &stat); err != nil || system.Type != unix.CGROUP2_SUPER_MAGIC || stat.Mode&unix.S_IFMT != unix.S_IFDIR {
		return 0, &mapError{"the value is no file descriptor of a cgroup's directory (version 2)", nil, unix.EBADF}
	}
	return stat.Ino, nil
}
