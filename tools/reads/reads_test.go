package reads

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/cilium/ebpf/btf"

	"github.com/skep-bpf/skep"
	"github.com/skep-bpf/skep/internal/view"
)

func spec(t *testing.T) *skep.CollectionSpec {
	t.Helper()
	spec, err := skep.LoadSpecFromReader(bytes.NewReader(Object))
	if err != nil {
		t.Fatal(err)
	}
	return spec
}

// The members of row lie where those of struct row lie.
func TestRowLayout(t *testing.T) {
	s := spec(t)
	var c *btf.Struct
	if err := s.Types.TypeByName("row", &c); err != nil {
		t.Fatal(err)
	}
	var x row
	if binary.Size(x) != int(c.Size) {
		t.Fatalf("a row has %d bytes, struct row %d", binary.Size(x), c.Size)
	}
	if got := s.Maps["rows"].ValueSize; got != c.Size {
		t.Errorf("values of rows have %d bytes, struct row %d", got, c.Size)
	}
	names := map[string]string{"first_ns": "First", "last_ns": "Last"}
	same(t, reflect.TypeFor[row](), c, names)
	var n *btf.Struct
	if err := s.Types.TypeByName("name", &n); err != nil {
		t.Fatal(err)
	}
	same(t, reflect.TypeFor[name](), n, names)
}

// same compares offsets and sizes by the names of members.
func same(t *testing.T, g reflect.Type, c *btf.Struct, names map[string]string) {
	t.Helper()
	for _, m := range c.Members {
		field, ok := g.FieldByNameFunc(func(s string) bool { return strings.EqualFold(s, m.Name) || s == names[m.Name] })
		if !ok {
			t.Errorf("%s.%s has no field in %s", c.Name, m.Name, g)
			continue
		}
		// Offsets as encoding/binary counts: without Go's own padding.
		off := 0
		for i := range g.NumField() {
			if f := g.Field(i); f.Name == field.Name {
				break
			}
			off += binary.Size(reflect.Zero(g.Field(i).Type).Interface())
		}
		size, err := btf.Sizeof(m.Type)
		if err != nil {
			t.Fatal(err)
		}
		if off != int(m.Offset.Bytes()) || binary.Size(reflect.Zero(field.Type).Interface()) != size {
			t.Errorf("%s.%s: offset %d and size %d, %s.%s has %d and %d", c.Name, m.Name, m.Offset.Bytes(), size,
				g, field.Name, off, binary.Size(reflect.Zero(field.Type).Interface()))
		}
	}
}

// decode reads what encoding/binary would.
func TestRowDecode(t *testing.T) {
	b := make([]byte, binary.Size(row{}))
	for i := range b {
		b[i] = byte(i * 7)
	}
	var got, want row
	got.decode(b)
	if _, err := binary.Decode(b, binary.NativeEndian, &want); err != nil {
		t.Fatal(err)
	}
	want.Pad = [4]byte{}
	if got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func BenchmarkRow(b *testing.B) {
	data := make([]byte, binary.Size(row{}))
	b.Run("decode", func(b *testing.B) {
		for b.Loop() {
			var x row
			x.decode(data)
		}
	})
	b.Run("encoding-binary", func(b *testing.B) {
		for b.Loop() {
			var x row
			if _, err := binary.Decode(data, binary.NativeEndian, &x); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func TestObjectHasWhatTheViewReads(t *testing.T) {
	s := spec(t)
	for name, size := range map[string]uint32{"rows_used": 4, "reads_lost": 8, "each_read": 1} {
		if v := s.Variables[name]; v == nil || v.Size() != size {
			t.Errorf("variable %s: %v, want %d bytes", name, v, size)
		}
	}
	if m := s.Maps["events"]; m == nil {
		t.Error("there is no map events")
	}
	if _, err := New(&skep.Collection{}, view.Info{}); err == nil {
		t.Error("a collection without the maps of reads has a view")
	}
}

func TestRecordOfWrongSizeIsShownAsBytes(t *testing.T) {
	r := &reads{}
	if got := r.Record("events", []byte{1, 2}).String(); got != "01 02" {
		t.Errorf("got %s", got)
	}
}

// filled is the view of a loaded object whose maps hold two rows.
func filled(t *testing.T) (view.View, *skep.Collection) {
	t.Helper()
	c, err := skep.Load(t.Context(), skep.User(), spec(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	cat := row{Reads: 100, Bytes: 4096, First: 5_000_000, Last: 9_000_000}
	cat.Name.PID = 17
	copy(cat.Name.Comm[:], "cat")
	copy(cat.Name.Path[:], "/etc/pass\x1b[2Jwd")
	cat.Hist[10], cat.Hist[12] = 50, 50
	sh := row{Reads: 1, Errors: 1, First: 4_000_000, Last: 4_000_100}
	sh.Name.PID = 8
	copy(sh.Name.Comm[:], "sh")
	copy(sh.Name.Path[:], "pipe:[7]")
	sh.Hist[11] = 1
	// Row 1 was taken and not filled, as when two CPUs come with the same file.
	for id, x := range map[uint32]row{0: cat, 2: sh} {
		if err := c.Maps["rows"].Put(id, x); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.Variables["rows_used"].Set(uint32(3)); err != nil {
		t.Fatal(err)
	}
	v, err := New(c, view.Info{HookCost: func() time.Duration { return 9 * time.Microsecond }})
	if err != nil {
		t.Fatal(err)
	}
	return v, c
}

func TestTable(t *testing.T) {
	v, c := filled(t)
	const want = `PID  COMMAND  READS    BYTES  ERRORS     P50     P99   FIRST    LAST  1.02µs..8.19µs  PATH
 17  cat        100  4.0 KiB       0  2.05µs  8.11µs  1.00ms  5.00ms  █ █             /etc/pass\x1b[2Jwd
  8  sh           1      0 B       1  3.07µs  4.08µs     0ns   100ns   █              pipe:[7]
101 reads, 4.0 KiB, 1 error, 2 processes, 2 rows
latencies contain about 9.00µs a read, which the watching takes
not seen: what is read through mmap, io_uring, sendfile, splice, copy_file_range
`
	var b bytes.Buffer
	if err := v.Table(&b, view.Options{}); err != nil {
		t.Fatal(err)
	}
	if b.String() != want {
		t.Errorf("got\n%s\nwant\n%s", b.String(), want)
	}

	if err := c.Variables["reads_lost"].Set(uint64(3)); err != nil {
		t.Fatal(err)
	}
	if err := c.Variables["rows_used"].Set(uint32(20000)); err != nil {
		t.Fatal(err)
	}
	b.Reset()
	if err := v.Table(&b, view.Options{Sort: "pid", Histogram: true}); err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{
		"latency of all reads\n",
		"  4.10µs .. 8.19µs  50  ████████████████████████████████████████\n",
		"3 reads were not counted: there is room for 16384 rows (process, command, file)\n",
	} {
		if !strings.Contains(b.String(), line) {
			t.Errorf("no line %q in\n%s", line, b.String())
		}
	}
	if err := v.Table(&b, view.Options{Sort: "nothing"}); err == nil {
		t.Error("it sorts by a column that is not there")
	}
}

func TestLines(t *testing.T) {
	v, _ := filled(t)
	var b bytes.Buffer
	if err := v.Lines(json.NewEncoder(&b).Encode); err != nil {
		t.Fatal(err)
	}
	zeros := func(n int) string { return strings.Repeat(",0", n) }
	want := `{"pid":8,"comm":"sh","path":"pipe:[7]","reads":1,"bytes":0,"first_ns":4000000,"last_ns":4000100,"p50_ns":3072,"p99_ns":4075,"hist":[0` + zeros(10) + `,1` + zeros(28) + `],"hook_ns":9000}
{"pid":17,"comm":"cat","path":"/etc/pass\u001b[2Jwd","reads":100,"bytes":4096,"first_ns":5000000,"last_ns":9000000,"p50_ns":2048,"p99_ns":8110,"hist":[0` + zeros(9) + `,50,0,50` + zeros(27) + `],"hook_ns":9000}
`
	if b.String() != want {
		t.Errorf("got\n%s\nwant\n%s", b.String(), want)
	}
}

func TestRecord(t *testing.T) {
	v, _ := filled(t)
	sample, err := binary.Append(nil, binary.NativeEndian, event{Time: 5, Latency: 1500, Ret: -11, TID: 9, Row: 2})
	if err != nil {
		t.Fatal(err)
	}
	const want = `{time_ns: 5, tid: 9, pid: 8, comm: "sh", path: "pipe:[7]", ret: -11, latency_ns: 1500}`
	if got := v.Record("events", sample).String(); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}
