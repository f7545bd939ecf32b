package kernel

import (
	"bufio"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// A mount is a line of /proc/PID/mountinfo (proc_pid_mountinfo(5)).
type mount struct {
	root     string // what of the file system is mounted
	point    string // where
	kind     string // the file system's type
	readOnly bool
}

// parseMounts reads mountinfo.
func parseMounts(r io.Reader) ([]mount, error) {
	var mounts []mount
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		// 36 35 98:0 /root /point rw,noatime shared:1 - ext3 /dev/root rw
		before, after, ok := strings.Cut(lines.Text(), " - ")
		left, right := strings.Fields(before), strings.Fields(after)
		if !ok || len(left) < 6 || len(right) < 1 {
			return nil, fmt.Errorf("mountinfo: %q is no line of it", lines.Text())
		}
		m := mount{root: unescape(left[3]), point: unescape(left[4]), kind: right[0]}
		m.readOnly = hasOption(left[5], "ro") || len(right) > 2 && hasOption(right[2], "ro")
		mounts = append(mounts, m)
	}
	return mounts, lines.Err()
}

func hasOption(options, name string) bool {
	for o := range strings.SplitSeq(options, ",") {
		if o == name {
			return true
		}
	}
	return false
}

// unescape resolves the \ooo of mountinfo, which stand for white space and the
// backslash.
func unescape(s string) string {
	var b strings.Builder
	for {
		before, after, ok := strings.Cut(s, `\`)
		b.WriteString(before)
		if !ok {
			return b.String()
		}
		if len(after) >= 3 {
			if c, err := strconv.ParseUint(after[:3], 8, 8); err == nil {
				b.WriteByte(byte(c))
				s = after[3:]
				continue
			}
		}
		b.WriteByte('\\')
		s = after
	}
}

// parseStatus reads the lines "Key:\tvalue" of /proc/PID/status.
func parseStatus(text string) map[string]string {
	status := make(map[string]string)
	for line := range strings.Lines(text) {
		if key, value, ok := strings.Cut(line, ":"); ok {
			status[key] = strings.TrimSpace(value)
		}
	}
	return status
}
