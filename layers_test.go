package skep_test

import (
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// layers says what may import what: a package imports only from smaller
// numbers. A folder stands for all folders below it that have no row of their
// own; those may import each other.
var layers = map[string]int{
	"internal/abi":     0,
	"internal/mem":     0,
	"internal/image":   1,
	"internal/maps":    1,
	"internal/kview":   1,
	"verify":           2,
	"internal/helper":  2,
	"internal/progen":  2,
	"internal/interp":  3,
	"internal/program": 4,
	"internal/tracer":  4,
	"internal/kernel":  4,
	"internal/event":   5,
	".":                6,
	"attach":           7,
	"ringbuf":          7,
	"internal/view":    8,
	"tools":            9,
	"bench":            9,
	"cmd":              10,
}

// portable is the last layer that needs only cilium/ebpf and x/sys.
const portable = 3

const module = "github.com/skep-bpf/skep"

// layerOf finds the row of a folder.
func layerOf(dir string) (row string, layer int, ok bool) {
	for d := dir; ; d = path.Dir(d) {
		if n, found := layers[d]; found && (d != "." || dir == ".") {
			return d, n, true
		}
		if d == "." || d == "/" {
			return "", 0, false
		}
	}
}

func TestImportsGoDownTheLayers(t *testing.T) {
	seen := make(map[string]bool)
	err := filepath.WalkDir(".", func(file string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := d.Name()
		if d.IsDir() && name != "." && (strings.HasPrefix(name, ".") || name == "testdata") {
			return filepath.SkipDir
		}
		if d.IsDir() || !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") {
			return nil
		}
		file = filepath.ToSlash(file)
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		if parsed.Name.Name == "main" && strings.Contains(file, "internal/") {
			return nil // a generator: not part of any build
		}
		row, layer, ok := layerOf(path.Dir(file))
		if !ok {
			t.Errorf("%s: folder %s has no layer: add it to the table", file, path.Dir(file))
			return nil
		}
		seen[row] = true
		for _, spec := range parsed.Imports {
			target, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				return err
			}
			if target != module && !strings.HasPrefix(target, module+"/") {
				if layer <= portable && strings.Contains(target, ".") &&
					!strings.HasPrefix(target, "github.com/cilium/ebpf") && !strings.HasPrefix(target, "golang.org/x/sys/") {
					t.Errorf("%s imports %s: the layers up to %d need only cilium/ebpf and x/sys", file, target, portable)
				}
				continue
			}
			dir := strings.TrimPrefix(strings.TrimPrefix(target, module), "/")
			if dir == "" {
				dir = "."
			}
			other, below, ok := layerOf(dir)
			if !ok {
				t.Errorf("%s imports %s, which has no layer", file, target)
			} else if other != row && below >= layer {
				t.Errorf("%s (layer %d) imports %s (layer %d): imports go down", file, layer, target, below)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for row := range layers {
		if !seen[row] {
			t.Errorf("the table has a row for %s, where there is no package", row)
		}
	}
}
