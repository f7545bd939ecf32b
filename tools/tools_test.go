package tools

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Every folder with a source is a tool of the list, under its name.
func TestAllToolsAreListed(t *testing.T) {
	sources, err := filepath.Glob("*/*.bpf.c")
	if err != nil {
		t.Fatal(err)
	}
	if len(sources) != len(All) {
		t.Errorf("%d sources, %d tools", len(sources), len(All))
	}
	for i, tool := range All {
		if i > 0 && All[i-1].Name >= tool.Name {
			t.Errorf("%s is not in order", tool.Name)
		}
		source, err := os.ReadFile(filepath.Join(tool.Name, tool.Name+".bpf.c"))
		if err != nil {
			t.Fatal(err)
		}
		if string(source) != tool.Source {
			t.Errorf("%s embeds another source", tool.Name)
		}
		if found, ok := Find(tool.Name); !ok || found.Name != tool.Name {
			t.Errorf("Find(%q) does not find it", tool.Name)
		}
		if tool.Summary == "" || strings.Contains(tool.Summary, "\n") {
			t.Errorf("%s: the summary is not one line", tool.Name)
		}
	}
	if _, ok := Find("nothing"); ok {
		t.Error("Find finds what is not there")
	}
}
