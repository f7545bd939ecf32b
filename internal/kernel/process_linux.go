package kernel

import (
	"fmt"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// firstPIDNamespace is the inode of the first pid namespace (PROC_PID_INIT_INO in
// the kernel's include/linux/proc_ns.h).
const firstPIDNamespace = 0xeffffffc

// processOf is the number of the process that a thread belongs to, as programs
// know it.
func processOf(tid int) (int, error) {
	var namespace unix.Stat_t
	if err := unix.Stat("/proc/self/ns/pid", &namespace); err == nil && namespace.Ino != firstPIDNamespace {
		return 0, &Error{What: fmt.Sprintf("process %d", tid), Kind: ErrNotPossible,
			Reason: "programs in the kernel know processes by their numbers in the first pid namespace, and this is another (a container)"}
	}
	status, err := statusOf(strconv.Itoa(tid))
	if err != nil {
		return 0, &Error{What: fmt.Sprintf("process %d", tid), Kind: ErrNoProcess, Err: err}
	}
	return strconv.Atoi(status["Tgid"])
}

// statusOf is /proc/PID/status.
func statusOf(pid string) (map[string]string, error) {
	b, err := os.ReadFile("/proc/" + pid + "/status")
	if err != nil {
		return nil, err
	}
	return parseStatus(string(b)), nil
}
