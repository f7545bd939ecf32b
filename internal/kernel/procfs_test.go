package kernel

import (
	"slices"
	"strings"
	"testing"
)

const mountinfo = `22 27 0:21 / /proc rw,relatime - proc proc rw
41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw
42 31 0:38 /a\040b/c /mnt/with\040blank\134s ro,nosuid shared:9 master:1 - cgroup2 none rw,nsdelegate
43 31 0:39 / /sys/kernel/tracing rw - tracefs tracefs ro
`

func TestParseMounts(t *testing.T) {
	got, err := parseMounts(strings.NewReader(mountinfo))
	want := []mount{
		{"/", "/proc", "proc", false},
		{"/", "/sys/fs/cgroup/unified", "cgroup2", false},
		{"/a b/c", `/mnt/with blank\s`, "cgroup2", true},
		{"/", "/sys/kernel/tracing", "tracefs", true},
	}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("%+v, %v\nwant %+v", got, err, want)
	}
	for _, bad := range []string{"x\n", "22 27 0:21 / /proc rw,relatime proc proc rw\n", "22 27 - proc proc rw\n", strings.Repeat("x", 2<<20)} {
		if got, err := parseMounts(strings.NewReader(bad)); err == nil {
			t.Errorf("%.50q: %+v", bad, got)
		}
	}
}

func FuzzParseMounts(f *testing.F) {
	f.Add(mountinfo)
	f.Add(`1 2 3 / \0 rw - x` + "\n")
	f.Add(`1 2 3 \777 \04 rw - x y z`)
	f.Fuzz(func(t *testing.T, text string) {
		mounts, err := parseMounts(strings.NewReader(text))
		if err == nil && len(mounts) > strings.Count(text, "\n")+1 {
			t.Errorf("%d mounts in %q", len(mounts), text)
		}
	})
}

func FuzzParseStatus(f *testing.F) {
	f.Add("Name:\tcat\nTgid:\t12\nCapEff:\t000001ffffffffff\nSeccomp:\t0\n")
	f.Add(":\n::\nx")
	f.Fuzz(func(t *testing.T, text string) {
		for key, value := range parseStatus(text) {
			if !strings.Contains(text, key+":") || !strings.Contains(text, value) {
				t.Errorf("%q: %q in %q", key, value, text)
			}
		}
	})
}
