package maps

import (
	"testing"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"
)

// TestMemoryIsTouchedAsUsed fills a little of a big map.
func TestMemoryIsTouchedAsUsed(t *testing.T) {
	h := newTestHash(t, 8, 1024, 1<<20)
	for k := range uint64(100) {
		if err := h.Update(key64(k), make([]byte, 1024), ebpf.UpdateAny); err != nil {
			t.Fatal(err)
		}
	}
	var stat unix.Stat_t
	if err := unix.Fstat(h.region.FD(), &stat); err != nil {
		t.Fatal(err)
	}
	// The header, 100 elements of about 1 KiB, and a page of buckets for each.
	if used := stat.Blocks * 512; used > 4096+100*1032+4096+100*4096 {
		t.Errorf("100 elements take %d bytes of %d", used, stat.Size)
	}
}
