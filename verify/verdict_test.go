package verify

import (
	"bytes"
	"embed"
	"io/fs"
	"regexp"
	"strings"
	"testing"

	"github.com/cilium/ebpf/btf"

	"github.com/skep-bpf/skep/internal/image"
)

//go:embed testdata/*.bpf.c testdata/*.bpf.o
var files embed.FS

// wanted is an expectation above a program: // want verify: "code" or accept.
var wanted = regexp.MustCompile(`(?m)^// want verify: (accept|"([a-z-]+)")\nSEC\("[^"]*"\) (?:ASM )?int (\w+)\(`)

// A verdictCase is a program of testdata and what must be said of it.
type verdictCase struct {
	object, program string
	code            Code // "" for accept
}

func verdictCases(t testing.TB) []verdictCase {
	t.Helper()
	sources, err := fs.Glob(files, "testdata/*.bpf.c")
	if err != nil {
		t.Fatal(err)
	}
	var cases []verdictCase
	for _, source := range sources {
		text, err := files.ReadFile(source)
		if err != nil {
			t.Fatal(err)
		}
		found := wanted.FindAllStringSubmatch(string(text), -1)
		if n := strings.Count(string(text), "// want verify:"); n != len(found) {
			t.Fatalf("%s: %d expectations, of which %d stand above a program", source, n, len(found))
		}
		for _, m := range found {
			cases = append(cases, verdictCase{strings.TrimSuffix(source, ".c") + ".o", m[3], Code(m[2])})
		}
	}
	return cases
}

// linked are the objects of testdata, linked against types.
func linked(t testing.TB, types *btf.Spec) map[string]*image.Image {
	t.Helper()
	objects, err := fs.Glob(files, "testdata/*.bpf.o")
	if err != nil {
		t.Fatal(err)
	}
	images := map[string]*image.Image{}
	for _, name := range objects {
		raw, err := files.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		spec, err := image.Load(bytes.NewReader(raw))
		if err != nil {
			t.Fatal(err)
		}
		img, err := image.Link(spec, image.Target{Types: types})
		if err != nil {
			t.Fatal(err)
		}
		for _, err := range img.Failed {
			t.Fatal(err)
		}
		images[name] = img
	}
	return images
}

// someKernel is a kernel with as many types as task.bpf.c asks for.
func someKernel(t testing.TB) *btf.Spec {
	t.Helper()
	integer := &btf.Int{Name: "int", Size: 4, Encoding: btf.Signed}
	char := &btf.Int{Name: "char", Size: 1, Encoding: btf.Signed}
	files := &btf.Struct{Name: "files_struct", Size: 8, Members: []btf.Member{
		{Name: "count", Type: integer}, {Name: "next_fd", Type: integer, Offset: 4 * 8}}}
	task := &btf.Struct{Name: "task_struct", Size: 64}
	task.Members = []btf.Member{
		{Name: "state", Type: integer}, {Name: "pid", Type: integer, Offset: 8 * 8}, {Name: "tgid", Type: integer, Offset: 12 * 8},
		{Name: "real_parent", Type: &btf.Pointer{Target: task}, Offset: 16 * 8},
		{Name: "files", Type: &btf.Pointer{Target: files}, Offset: 24 * 8},
		{Name: "comm", Type: &btf.Array{Type: char, Index: integer, Nelems: 16}, Offset: 32 * 8}}
	b, err := btf.NewBuilder([]btf.Type{task}, nil)
	if err != nil {
		t.Fatal(err)
	}
	spec, err := b.Spec()
	if err != nil {
		t.Fatal(err)
	}
	return spec
}

// Each program of testdata gets the verdict that stands above it.
func TestVerdicts(t *testing.T) {
	types := someKernel(t)
	images := linked(t, types)
	judged := map[string]bool{}
	refused := map[Code]bool{}
	for _, c := range verdictCases(t) {
		img := images[c.object]
		p := img.Programs[c.program]
		if p == nil {
			t.Errorf("%s has no program %s", c.object, c.program)
			continue
		}
		judged[c.object+c.program] = true
		r := Image(img, p, &Options{Types: types})
		switch {
		case r.Accepted() && c.code != "":
			t.Errorf("%s was accepted, want %s", c.program, c.code)
		case !r.Accepted() && r.Err.Code != c.code:
			t.Errorf("%v, want %q", r.Err, c.code)
		case !r.Accepted():
			refused[c.code] = true
			if r.Err.Insn >= 0 && (r.Err.Source == nil || r.Err.Source.Line == 0) {
				t.Errorf("%v has no source line", r.Err)
			}
			if r.Facts != nil {
				t.Errorf("%s was refused, with facts", c.program)
			}
		}
	}
	for name, img := range images {
		for p := range img.Programs {
			if !judged[name+p] {
				t.Errorf("%s: nothing is said of %s", name, p)
			}
		}
	}
	for _, c := range Codes {
		if !refused[c.Code] {
			t.Errorf("no program is refused with %s", c.Code)
		}
	}
}
