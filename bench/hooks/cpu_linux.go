package hooks

import (
	"fmt"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// onOneCPU runs f with every thread of this process, and those that come, on one
// CPU.
func onOneCPU(f func() error) error {
	var before unix.CPUSet
	if err := unix.SchedGetaffinity(0, &before); err != nil {
		return fmt.Errorf("the CPUs of this process: %w", err)
	}
	var one unix.CPUSet
	for cpu := len(before)*64 - 1; cpu >= 0; cpu-- {
		if before.IsSet(cpu) { // the last one: the first serves most interrupts
			one.Set(cpu)
			break
		}
	}
	if err := setAffinity(&one); err != nil {
		return err
	}
	err := f()
	if e := setAffinity(&before); err == nil {
		err = e
	}
	return err
}

// setAffinity puts all threads on cpus. A thread that starts meanwhile has the
// CPUs of the one that starts it: once all are seen there, none is left.
func setAffinity(cpus *unix.CPUSet) error {
	for settled := false; !settled; {
		settled = true
		tasks, err := os.ReadDir("/proc/self/task")
		if err != nil {
			return fmt.Errorf("the threads of this process: %w", err)
		}
		for _, task := range tasks {
			tid, err := strconv.Atoi(task.Name())
			if err != nil {
				return err
			}
			var now unix.CPUSet
			if unix.SchedGetaffinity(tid, &now) != nil || now == *cpus {
				continue // it has ended, or is there
			}
			settled = false
			if err := unix.SchedSetaffinity(tid, cpus); err != nil && err != unix.ESRCH {
				return fmt.Errorf("moving a thread to other CPUs: %w", err)
			}
		}
	}
	return nil
}
