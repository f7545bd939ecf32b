package mem

import (
	"os"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// TestClosedRegion uses memory after Close, as a call that was under way does.
func TestClosedRegion(t *testing.T) {
	r, err := New("closed", 3*os.Getpagesize())
	if err != nil {
		t.Fatal(err)
	}
	addr, fd := r.Addr(), r.FD()
	p := At[uint64](addr + 8)
	*p = 42
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	if *p != 0 {
		t.Errorf("closed memory holds %d", *p)
	}
	*p = 1
	if _, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err == nil && r.FD() == fd {
		t.Error("the file is still open")
	}
	runtime.KeepAlive(r)
}

// TestSealed tries to shorten the memory under its mapping.
func TestSealed(t *testing.T) {
	r, err := New("sealed", 3*os.Getpagesize())
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	for _, size := range []int64{0, int64(os.Getpagesize()), 1 << 30} {
		if err := unix.Ftruncate(r.FD(), size); err != unix.EPERM {
			t.Errorf("resizing to %d: %v", size, err)
		}
	}
}

// TestName looks the region up in the list of mappings.
func TestName(t *testing.T) {
	r, err := New("a_name", 1)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	list, err := os.ReadFile("/proc/self/maps")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(list), "skep:a_name") {
		t.Error("the mapping has no name")
	}
}
