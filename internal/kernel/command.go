package kernel

import (
	"os"
	"sync"
	"syscall"
)

// A Command is a command to start with programs attached. Its fields are set
// before Start and mean what they mean in os/exec.
//
// It runs in a cgroup of its own, and its descendants, which no cgroup of theirs
// leads out of it, are what the programs run for. One that is moved elsewhere (by
// a service manager or a container engine) is no longer seen. Nothing holds them
// up: if this process dies, they go on.
type Command struct {
	Path string   // looked up in PATH if it has no slash
	Args []string // without the program's name
	Env  []string // nil for the environment of this process
	Dir  string   // "" for the current folder

	Stdin, Stdout, Stderr *os.File // nil for those of this process

	mu     sync.Mutex
	scopes []*Scope
	links  []*Link // kept from the garbage collector, which would close them
	run    *running
}

// Status is how a command ended.
type Status struct {
	Code   int            // exit code, if Signal is 0
	Signal syscall.Signal // the signal that ended it, or 0
}
