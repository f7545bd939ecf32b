package kernel_test

import (
	"fmt"
	"os"
	"testing"
)

// Some tests need a process of their own: this binary, told by the environment
// what to be.
const helperVar = "SKEP_TEST_HELPER"

func TestMain(m *testing.M) {
	if mode := os.Getenv(helperVar); mode != "" {
		os.Unsetenv(helperVar)
		os.Exit(helpers[mode](os.Args[1:]))
	}
	os.Exit(run(m))
}

func run(m *testing.M) int {
	var err error
	if buildDir, err = os.MkdirTemp("", "skep"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(buildDir)
	return m.Run()
}

var helpers = map[string]func(args []string) int{}
