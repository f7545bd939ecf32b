//go:build !linux

package maps

// cgroupOf fails: there are no cgroups.
func cgroupOf(int) (uint64, error) { return 0, errNotSupported }
