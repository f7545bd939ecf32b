package kview

import (
	"strings"
	"testing"
	"unsafe"

	"github.com/skep-bpf/skep/internal/mem"
)

// What a program does, done in Go: every step is a load from kernel memory.

func load[T any](k *mem.Kernel, addr uint64) (obj T) {
	k.ReadAt(bytesOf(&obj), addr)
	return obj
}

func loadPtr(k *mem.Kernel, base uint64, off uintptr) uint64 { return k.Load(base+uint64(off), 8) }

func loadString(k *mem.Kernel, addr uint64) string {
	var b strings.Builder
	for ; b.Len() < pathLimit; addr++ {
		c := k.Load(addr, 1)
		if c == 0 {
			break
		}
		b.WriteByte(byte(c))
	}
	return b.String()
}

// walkUp walks from a struct path up to the root, across mounts.
func walkUp(t testing.TB, k *mem.Kernel, path Path) string {
	t.Helper()
	d := path.Dentry.Addr
	m := path.Mnt.Addr - uint64(unsafe.Offsetof(Mount{}.Mnt))
	var names []string
	for range 3000 {
		parent := loadPtr(k, d, unsafe.Offsetof(Dentry{}.DParent))
		root := loadPtr(k, m, unsafe.Offsetof(Mount{}.Mnt)+unsafe.Offsetof(Vfsmount{}.MntRoot))
		if d == root {
			up := loadPtr(k, m, unsafe.Offsetof(Mount{}.MntParent))
			if up == m {
				return "/" + strings.Join(names, "/")
			}
			d = loadPtr(k, m, unsafe.Offsetof(Mount{}.MntMountpoint))
			m = up
			continue
		}
		name := nameOf(k, d)
		if d == parent {
			return name // no way up: the kernel's own
		}
		names = append([]string{name}, names...)
		d = parent
	}
	t.Fatal("the walk does not end")
	return ""
}

func nameOf(k *mem.Kernel, d uint64) string {
	q := load[Qstr](k, d+uint64(unsafe.Offsetof(Dentry{}.DName)))
	s := loadString(k, q.Name.Addr)
	if len(s) != int(q.Len) {
		return "length differs"
	}
	return s
}
