package kernel

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// File systems that are mounted nowhere are mounted aside, where they can be
// worked with and nobody sees them.
func TestMountAside(t *testing.T) {
	before, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		t.Fatal(err)
	}
	for _, kind := range []string{"tracefs", "cgroup2"} {
		aside, err := mountAside(kind)
		if errors.Is(err, unix.EPERM) || errors.Is(err, unix.ENODEV) {
			t.Skipf("skip: %v", err)
		}
		if err != nil {
			t.Fatal(err)
		}
		switch kind {
		case "tracefs":
			if _, err := os.Stat(filepath.Join(aside.Name(), "events")); err != nil {
				t.Error(err)
			}
		case "cgroup2":
			c, err := makeCgroup(aside.Name())
			if err != nil {
				t.Fatal(err)
			}
			if !c.empty() {
				t.Errorf("%s is not empty", c.path)
			}
			if err := c.Close(); err != nil {
				t.Error(err)
			}
			if _, err := os.Stat(c.path); !errors.Is(err, os.ErrNotExist) {
				t.Errorf("%s is still there: %v", c.path, err)
			}
		}
		now, err := os.ReadFile("/proc/self/mountinfo")
		if err != nil || string(now) != string(before) {
			t.Errorf("%s: the mounts have changed, %v", kind, err)
		}
		aside.Close()
	}
}

func TestLockDirectory(t *testing.T) {
	path := filepath.Join(t.TempDir(), "d")
	if dir, err := lockDirectory(path); dir != nil || err != nil {
		t.Errorf("lock of what is not there: %v, %v", dir, err)
	}
	if err := os.Mkdir(path, 0o755); err != nil {
		t.Fatal(err)
	}
	dir, err := lockDirectory(path)
	if dir == nil || err != nil {
		t.Fatalf("lock: %v, %v", dir, err)
	}
	if second, err := lockDirectory(path); second != nil || err != nil {
		t.Errorf("locked twice: %v, %v", second, err)
	}
	dir.Close()
	if dir, err = lockDirectory(path); dir == nil || err != nil {
		t.Errorf("lock after unlock: %v, %v", dir, err)
	}
	dir.Close()
}

// Only what has our kind of name is ever removed.
func TestStaleNames(t *testing.T) {
	parent := t.TempDir()
	for _, name := range []string{"skep-1-1", "skep-1-1x", "skep-a-1", "xskep-1-1", "skep", "system.slice"} {
		if err := os.Mkdir(filepath.Join(parent, name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	removeStale(parent)
	var left []string
	entries, err := os.ReadDir(parent)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		left = append(left, e.Name())
	}
	if got, want := strings.Join(left, " "), "skep skep-1-1x skep-a-1 system.slice xskep-1-1"; got != want {
		t.Errorf("left are %s, want %s", got, want)
	}
}
