package image

import (
	"bytes"
	"embed"
	"testing"

	"github.com/cilium/ebpf"
)

//go:embed testdata/*.o
var files embed.FS

// objects are the objects in testdata; scripts/objects compiles them.
var objects = []string{"calls", "core", "data", "extern", "isa"}

func objectBytes(t testing.TB, name string) []byte {
	t.Helper()
	raw, err := files.ReadFile("testdata/" + name + ".bpf.o")
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func load(t testing.TB, name string) *ebpf.CollectionSpec {
	t.Helper()
	spec, err := Load(bytes.NewReader(objectBytes(t, name)))
	if err != nil {
		t.Fatalf("load %s: %v", name, err)
	}
	return spec
}

func link(t testing.TB, spec *ebpf.CollectionSpec, target Target) *Image {
	t.Helper()
	img, err := Link(spec, target)
	if err != nil {
		t.Fatal(err)
	}
	return img
}
