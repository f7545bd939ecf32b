package verify

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

// TestDocumentedCodes holds docs/refusals.md and the table of codes together.
func TestDocumentedCodes(t *testing.T) {
	const file = "../docs/refusals.md"
	doc, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	head, _, found := strings.Cut(string(doc), "| code |")
	if !found {
		t.Fatalf("%s has no table of codes", file)
	}
	var want strings.Builder
	want.WriteString(head + "| code | meaning | refused |\n| --- | --- | --- |\n")
	for _, c := range Codes {
		fmt.Fprintf(&want, "| `%s` | %s | `%s` |\n", c.Code, c.Meaning, strings.ReplaceAll(c.Example, "|", `\|`))
	}
	if string(doc) == want.String() {
		return
	}
	if os.Getenv("SKEP_UPDATE_DOCS") != "" {
		if err := os.WriteFile(file, []byte(want.String()), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	t.Errorf("%s does not have the codes as they are: run go test ./verify with SKEP_UPDATE_DOCS=1", file)
}
