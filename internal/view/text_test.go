package view

import (
	"bytes"
	"math"
	"os"
	"strings"
	"testing"
	"time"
)

func TestBytes(t *testing.T) {
	for n, want := range map[uint64]string{
		0: "0 B", 1023: "1023 B", 1024: "1.0 KiB", 1<<20 - 1: "1.0 MiB", 1 << 20: "1.0 MiB",
		1536 << 20: "1.5 GiB", math.MaxUint64: "16.0 EiB",
	} {
		if got := Bytes(n); got != want {
			t.Errorf("%d: %s, want %s", n, got, want)
		}
	}
}

func TestDuration(t *testing.T) {
	for ns, want := range map[time.Duration]string{
		0: "0ns", 999: "999ns", 1000: "1.00µs", 9994: "9.99µs", 9996: "10.0µs", 99960: "100µs",
		999_400: "999µs", 999_600: "1.00ms", 1_234_567: "1.23ms", time.Second: "1.00s",
		59_900 * time.Millisecond: "59.9s", 123 * time.Second: "2m03s", 3 * time.Hour: "3h00m",
		-1500: "-1.50µs", math.MinInt64: "-2562047h47m",
	} {
		if got := Duration(ns); got != want {
			t.Errorf("%d: %s, want %s", int64(ns), got, want)
		}
	}
}

func TestPrintable(t *testing.T) {
	for in, want := range map[string]string{
		"/tmp/ä 日":              "/tmp/ä 日",
		"a\x1b[2Jb":             `a\x1b[2Jb`,
		"line\nbreak":           `line\nbreak`,
		"\xff\xfe":              `\xff\xfe`,
		"right\u202eto left":    `right\u202eto left`,
		"bell\a and delete\x7f": `bell\a and delete\x7f`,
	} {
		if got := Printable(in); got != want {
			t.Errorf("%q: %s, want %s", in, got, want)
		}
	}
}

func files() *Table {
	return &Table{
		Columns: []Column{{Name: "PID", Right: true}, {Name: "SIZE", Right: true}, {Name: "PATH", Shorten: true}},
		Rows: [][]Cell{
			{Number(7), Quantity(2048, "2.0 KiB"), Text("/usr/lib/x86_64-linux-gnu/libc.so.6")},
			{Number(1234), Quantity(17, "17 B"), Text("/etc/passwd")},
			{Number(99), Quantity(4096, "4.0 KiB"), Text("pipe:[12]\x1b[31m")},
		},
	}
}

func TestTable(t *testing.T) {
	for _, test := range []struct {
		name string
		o    Options
		sort string
		want string
	}{
		{"as it is", Options{}, "", `
 PID     SIZE  PATH
   7  2.0 KiB  /usr/lib/x86_64-linux-gnu/libc.so.6
1234     17 B  /etc/passwd
  99  4.0 KiB  pipe:[12]\x1b[31m
`},
		{"by number", Options{}, "size", `
 PID     SIZE  PATH
  99  4.0 KiB  pipe:[12]\x1b[31m
   7  2.0 KiB  /usr/lib/x86_64-linux-gnu/libc.so.6
1234     17 B  /etc/passwd
`},
		{"by text, two rows", Options{Rows: 2}, "PATH", `
 PID     SIZE  PATH
1234     17 B  /etc/passwd
   7  2.0 KiB  /usr/lib/x86_64-linux-gnu/libc.so.6
… 1 row more (--rows 0 shows all)
`},
		{"narrow", Options{Width: 36}, "", `
 PID     SIZE  PATH
   7  2.0 KiB  /usr/l…-gnu/libc.so.6
1234     17 B  /etc/passwd
  99  4.0 KiB  pipe:[12]\x1b[31m
`},
		{"too narrow", Options{Width: 3}, "", `
 PID     SIZE  PATH
   7  2.0 KiB  /us…ibc.so.6
1234     17 B  /etc/passwd
  99  4.0 KiB  pip…\x1b[31m
`},
	} {
		t.Run(test.name, func(t *testing.T) {
			table := files()
			if test.sort != "" {
				if err := table.SortBy(test.sort); err != nil {
					t.Fatal(err)
				}
			}
			var b bytes.Buffer
			if err := table.Write(&b, test.o); err != nil {
				t.Fatal(err)
			}
			if got := "\n" + b.String(); got != test.want {
				t.Errorf("got%s\nwant%s", got, test.want)
			}
			if test.o.Width > 20 {
				for line := range strings.Lines(b.String()) {
					if n := len([]rune(line)) - 1; n > test.o.Width {
						t.Errorf("a line of %d columns: %s", n, line)
					}
				}
			}
		})
	}
}

func TestTableColour(t *testing.T) {
	var b bytes.Buffer
	if err := files().Write(&b, Options{Color: true}); err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(b.String(), "\x1b[1m PID") || strings.Count(b.String(), "\x1b") != 2 {
		t.Errorf("got %q", b.String())
	}
}

func TestSortByUnknownColumn(t *testing.T) {
	err := files().SortBy("weight")
	if err == nil || !strings.Contains(err.Error(), `"weight"`) || !strings.Contains(err.Error(), "pid, size, path") {
		t.Errorf("got %v", err)
	}
}

func TestOptionsForFile(t *testing.T) {
	f, err := os.CreateTemp(t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if got := For(f); got != (Options{}) {
		t.Errorf("a file gets %+v", got)
	}
}

func TestHistogram(t *testing.T) {
	h := make(Histogram, 40)
	h[10] = 90 // 1024..2047
	h[20] = 10 // 1 Mi..2 Mi
	if got, want := h.Quantile(0.5), 1024*(1+50.0/90); math.Abs(got-want) > 1e-6 {
		t.Errorf("p50 %g, want %g", got, want)
	}
	if got, want := h.Quantile(0.99), float64(1<<20)*1.9; math.Abs(got-want) > 1e-6 {
		t.Errorf("p99 %g, want %g", got, want)
	}
	if got := h.Quantile(1); got != 1<<21 {
		t.Errorf("p100 %g", got)
	}
	if got := make(Histogram, 4).Quantile(0.5); got != 0 {
		t.Errorf("p50 of nothing is %g", got)
	}
	if lo, hi := Span(h, make(Histogram, 40)); lo != 10 || hi != 21 {
		t.Errorf("span %d..%d", lo, hi)
	}
	if lo, hi := Span(make(Histogram, 40)); lo != 0 || hi != 0 {
		t.Errorf("span of nothing %d..%d", lo, hi)
	}
	if got := h.Spark(9, 21); got != " █         ▁" {
		t.Errorf("spark %q", got)
	}
	var b bytes.Buffer
	if err := h.Block(&b, Options{}); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSuffix(b.String(), "\n"), "\n")
	if len(lines) != 11 || lines[0] != "  1.02µs .. 2.05µs  90  "+strings.Repeat("█", 40) || lines[10] != "  1.05ms .. 2.10ms  10  "+strings.Repeat("█", 4)+"▌" {
		t.Errorf("block:\n%s", b.String())
	}
}
