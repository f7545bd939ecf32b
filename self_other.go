//go:build !linux

package skep

import "os"

// self is this process, where threads have no numbers.
func self() (tid, tgid int) { return os.Getpid(), os.Getpid() }

// selfMemory can't be read safely where the system has no call for it: every
// read is a fault.
type selfMemory struct{}

func (selfMemory) ReadAt([]byte, uint64) int { return 0 }
