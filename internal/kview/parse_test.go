package kview

import (
	"strings"
	"testing"
)

const statusSample = "Name:\ta\\nb\nUmask:\t0022\nState:\tS (sleeping)\nTgid:\t7\nUid:\t1000\t0\t0\t0\nGid:\t100\t0\t0\t0\nFDSize:\t256\nNSpid:\t70\t7\t1\nVmPeak:\t   1 kB\n"

func TestParseStat(t *testing.T) {
	line := "7 (a) R (b) S 5 7 7 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 123456 9 9"
	s, ok := parseStat([]byte(line))
	if !ok || s.ppid != 5 || s.flags != 4194560 || s.start != 123456 {
		t.Errorf("%+v, %v", s, ok)
	}
	for _, bad := range []string{"", "7 a S 1", ")(", "7 (a)", "7 (a) S x", "7 (a) S -1 7 7 0 -1 1 1 2 3 4 5 6 7 8 20 0 1 0 1", strings.Repeat("(", 9999)} {
		if s, ok := parseStat([]byte(bad)); ok {
			t.Errorf("%q gives %+v", bad, s)
		}
	}
}

func TestParseStatus(t *testing.T) {
	s, ok := parseStatus([]byte(statusSample))
	if !ok || s.uid != 1000 || s.gid != 100 || s.fdSize != 256 || s.levels != 3 || s.nspid[0] != 70 || s.nspid[2] != 1 {
		t.Errorf("%+v, %v", s, ok)
	}
	for _, bad := range []string{"", "Uid:\tx\n", strings.Replace(statusSample, "NSpid:\t70\t7\t1", "NSpid:", 1), strings.Replace(statusSample, "1000", "99999999999", 1)} {
		if s, ok := parseStatus([]byte(bad)); ok {
			t.Errorf("%q gives %+v", bad, s)
		}
	}
	deep := strings.Replace(statusSample, "70\t7\t1", strings.Repeat("1 ", 100), 1)
	if s, ok := parseStatus([]byte(deep)); !ok || s.levels != len(s.nspid) {
		t.Errorf("more levels than there can be: %d, %v", s.levels, ok)
	}
}

func TestParseFdinfo(t *testing.T) {
	pos, flags, ok := parseFdinfo([]byte("pos:\t-3\nflags:\t02100002\nmnt_id:\t29\nino:\t12\n"))
	if !ok || pos != -3 || flags != 0o2100002 {
		t.Errorf("%d, %o, %v", pos, flags, ok)
	}
	for _, bad := range []string{"", "pos:\t1\n", "pos:\t1\nflags:\t9\n", "pos:\t\nflags:\t0\n"} {
		if _, _, ok := parseFdinfo([]byte(bad)); ok {
			t.Errorf("%q is taken", bad)
		}
	}
}

func TestParseMountinfo(t *testing.T) {
	for line, want := range map[string]mountLine{
		`36 35 98:0 /mnt1 /mnt\0402 rw,noatime master:1 - ext3 /dev/root rw,errors=continue`: {36, 35, 98 << 20, "/mnt1", "/mnt 2", "ext3"},
		`29 1 0:26 / / rw - fuse.sshfs host:/a\040-\040b rw`:                                 {29, 1, 26, "/", "/", "fuse"},
		`5 4 0:4 mnt:[4026532] /run/ns rw shared:1 master:2 propagate_from:3 - nsfs nsfs rw`: {5, 4, 4, "mnt:[4026532]", "/run/ns", "nsfs"},
	} {
		if got, ok := parseMountinfo([]byte(line)); !ok || got != want {
			t.Errorf("%s\n got %+v, %v\nwant %+v", line, got, ok, want)
		}
	}
	for _, bad := range []string{"", "1 2 3", "1 2 0:1 / / rw ext4", "x 2 0:1 / / rw - ext4 a b", "1 2 01 / / rw - ext4 a b", "1 2 9999:1 / / rw - ext4 a b", "1 2 0:1 / / rw - "} {
		if got, ok := parseMountinfo([]byte(bad)); ok {
			t.Errorf("%q gives %+v", bad, got)
		}
	}
}

func TestUnescape(t *testing.T) {
	for in, want := range map[string]string{
		``: "", `a`: "a", `\040`: " ", `a\011\012\134b\043`: "a\t\n\\b#", `\04`: `\04`, `\999`: `\999`, `\400`: `\400`, `\`: `\`,
	} {
		if got := unescape([]byte(in)); got != want {
			t.Errorf("%q gives %q, want %q", in, got, want)
		}
	}
}

func FuzzStat(f *testing.F) {
	f.Add([]byte("7 (a) R (b) S 5 7 7 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 123456 9 9"))
	f.Add([]byte("7 (a"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if s, ok := parseStat(b); ok && (s.ppid < 0) {
			t.Errorf("%+v", s)
		}
	})
}

func FuzzStatus(f *testing.F) {
	f.Add([]byte(statusSample))
	f.Fuzz(func(t *testing.T, b []byte) {
		s, ok := parseStatus(b)
		if ok && (s.levels < 1 || s.levels > len(s.nspid)) {
			t.Errorf("%d levels", s.levels)
		}
		for _, n := range s.nspid {
			if n < 0 {
				t.Errorf("number %d", n)
			}
		}
	})
}

func FuzzFdinfo(f *testing.F) {
	f.Add([]byte("pos:\t0\nflags:\t02100002\nmnt_id:\t29\nino:\t12\n"))
	f.Fuzz(func(t *testing.T, b []byte) { parseFdinfo(b) })
}

// FuzzMountinfo takes any text for a mount table, and walks it.
func FuzzMountinfo(f *testing.F) {
	f.Add([]byte("27 1 254:0 / / rw - ext4 a rw\n24 27 0:6 / /dev rw - devtmpfs d rw\n25 24 0:23 / /dev/shm rw - tmpfs t rw\n"), "/dev/shm/a/b")
	f.Add([]byte("1 2 0:1 / / rw - a a a\n2 1 0:1 / / rw - a a a\n"), "/a")
	f.Add([]byte("1 1 0:1 /x/y / rw - a a a\n2 1 0:1 .. /a rw - a a a\n3 2 0:1 / /b rw - a a a\n"), "/b/c")
	f.Fuzz(func(t *testing.T, text []byte, path string) {
		arena, err := newArena()
		if err != nil {
			t.Fatal(err)
		}
		v := newEmpty(Plan{}, arena)
		defer v.Close()
		table := &mountTable{}
		v.tables = []*mountTable{table}
		table.fill(text)
		// Each mount has its object, and a way to a root.
		for _, e := range table.byID {
			v.flush()
			l := link{mount: v.mountObject(e, 0), dentry: v.placeOf(e, "", e.point)}
			walkUp(t, v.Kernel(), l.path(v))
		}
		if !strings.HasPrefix(path, "/") || strings.Contains(path, "//") || len(path) > pathLimit {
			return
		}
		if e := table.mountOf(path); e != nil {
			v.flush()
			if rest, ok := e.below(path); ok {
				v.mountObject(e, 0)
				v.placeOf(e, rest, path)
			}
		}
	})
}
