package kernel

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"sync"

	"github.com/cilium/ebpf"
)

// A Scope says for which tasks the programs of a collection run. It lies in maps
// that the programs read, so that it changes for all of them at once and while
// they are attached.
//
// Several versions of a collection can share a scope; the programs of one of them
// run. See Collection.TakeOver.
type Scope struct {
	state     *ebpf.Map // array of one: a word
	cgroups   *ebpf.Map // the cgroup of mode inCgroup, at 0
	processes *ebpf.Map // the process ids of mode inProcesses

	mu       sync.Mutex
	users    int // until the last one closes it
	mode     mode
	active   version   // whose programs run
	versions version   // how many there have been
	gate     io.Closer // while a command is about to start
}

// mode is who is inside.
type mode uint32

const (
	nobody      mode = iota
	everybody        // every task of the machine
	inCgroup         // the tasks of the cgroup and of those below it
	inProcesses      // the threads of the processes
	armed            // nobody until a task of the cgroup calls execve: then inCgroup
)

// A version is a collection among those that share a scope.
type version uint32

// modeBits are the bits of a mode in a word. The version has the others, but for
// the sign: instructions compare words with signed numbers.
const (
	modeBits    = 8
	maxVersions = 1 << (31 - modeBits)
)

// word is what programs of a version find in the state if they are to run in a
// mode. One store changes mode and version.
func word(m mode, v version) int32 { return int32(uint32(m) | uint32(v)<<modeBits) }

// maxProcesses is how many processes a scope holds.
const maxProcesses = 4096

// The mistakes of a caller who wants a scope for two things, or too late.
var (
	errInUse  = errors.New("the scope is in use")
	errClosed = errors.New("the scope is closed")
)

// NewScope makes a scope that holds nobody.
func NewScope() (_ *Scope, err error) {
	s := &Scope{users: 1}
	defer func() {
		if err != nil {
			s.Close()
		}
	}()
	for _, m := range []struct {
		to   **ebpf.Map
		spec ebpf.MapSpec
	}{
		{&s.state, ebpf.MapSpec{Name: "skep_state", Type: ebpf.Array, KeySize: 4, ValueSize: 4, MaxEntries: 1}},
		{&s.cgroups, ebpf.MapSpec{Name: "skep_cgroup", Type: ebpf.CGroupArray, KeySize: 4, ValueSize: 4, MaxEntries: 1}},
		{&s.processes, ebpf.MapSpec{Name: "skep_processes", Type: ebpf.Hash, KeySize: 4, ValueSize: 1, MaxEntries: maxProcesses}},
	} {
		if *m.to, err = ebpf.NewMap(&m.spec); err != nil {
			return nil, &Error{What: "map " + m.spec.Name, Kind: ErrMap, Reason: err.Error(), Err: err}
		}
	}
	return s, nil
}

// use is called for each collection that shares the scope, before Close is.
func (s *Scope) use() (version, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.users == 0 {
		return 0, errClosed
	}
	if s.versions+1 == maxVersions {
		return 0, fmt.Errorf("the scope has had %d versions: make a new one", maxVersions)
	}
	s.users++
	s.versions++
	return s.versions, nil
}

// Close gives the scope up. The last one who does it, collections that share it
// included, empties it and frees the maps; programs that are loaded keep them.
func (s *Scope) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.users == 0 {
		return errClosed
	}
	if s.users > 1 {
		s.users--
		return nil
	}
	var errs []error
	if s.state != nil {
		errs = append(errs, s.set(nobody))
	}
	s.users = 0
	errs = append(errs, s.closeGate())
	for _, m := range []*ebpf.Map{s.state, s.cgroups, s.processes} {
		if m != nil {
			errs = append(errs, m.Close())
		}
	}
	return errors.Join(errs...)
}

// put stores the state. mu is held.
func (s *Scope) put(m mode, v version) error {
	if s.users == 0 {
		return errClosed
	}
	if err := s.state.Put(uint32(0), word(m, v)); err != nil {
		return fmt.Errorf("scope: %w", err)
	}
	s.mode, s.active = m, v
	return nil
}

// set changes who is inside. mu is held.
func (s *Scope) set(m mode) error { return s.put(m, s.active) }

// free reports an error if somebody is inside. mu is held.
func (s *Scope) free() error {
	switch {
	case s.users == 0:
		return errClosed
	case s.mode != nobody:
		return errInUse
	}
	return nil
}

// takeOver makes v the version that runs.
func (s *Scope) takeOver(v version) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.mode == armed {
		return errInUse // the gate is about to change it
	}
	return s.put(s.mode, v)
}

// Nobody empties the scope.
func (s *Scope) Nobody() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.set(nobody)
}

// System lets the programs run for every task of the machine.
func (s *Scope) System() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.set(everybody)
}

// Processes lets the programs run for the threads of these processes, and for no
// others: for those that they start only with Follow. The number of a thread
// stands for its process.
func (s *Scope) Processes(pids ...int) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.setProcesses(s.active, pids)
}

// setProcesses is Processes for a version. mu is held.
func (s *Scope) setProcesses(v version, pids []int) error {
	if len(pids) > maxProcesses {
		return fmt.Errorf("scope: %d processes are too many: at most %d", len(pids), maxProcesses)
	}
	if s.users == 0 {
		return errClosed
	}
	var ids []uint32
	for _, pid := range pids {
		id, err := processOf(pid)
		if err != nil {
			return err
		}
		ids = append(ids, uint32(id))
	}
	if err := s.clearProcesses(); err != nil {
		return err
	}
	for _, id := range ids {
		if err := s.processes.Put(id, uint8(1)); err != nil {
			return fmt.Errorf("scope: process %d: %w", id, err)
		}
	}
	return s.put(inProcesses, v)
}

// Inside are the processes that Processes and Follow have brought in, in order of
// number.
func (s *Scope) Inside() ([]int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.users == 0 {
		return nil, errClosed
	}
	var pids []int
	var pid uint32
	var present uint8
	entries := s.processes.Iterate()
	for entries.Next(&pid, &present) {
		pids = append(pids, int(pid))
	}
	slices.Sort(pids)
	return slices.Compact(pids), entries.Err()
}

func (s *Scope) clearProcesses() error {
	for {
		var pid uint32
		err := s.processes.NextKey(nil, &pid)
		if errors.Is(err, ebpf.ErrKeyNotExist) {
			return nil
		}
		if err == nil {
			err = s.processes.Delete(pid)
		}
		if err != nil && !errors.Is(err, ebpf.ErrKeyNotExist) {
			return fmt.Errorf("scope: %w", err)
		}
	}
}

// enter makes this process the scope, for a version, until leave is called.
func (s *Scope) enter(v version) (leave func() error, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.free(); err != nil {
		return nil, err
	}
	active := s.active
	if err := s.setProcesses(v, []int{os.Getpid()}); err != nil {
		return nil, err
	}
	return func() error {
		s.mu.Lock()
		defer s.mu.Unlock()
		return s.put(nobody, active)
	}, nil
}

// closeGate takes the gate away, if there is one. mu is held.
func (s *Scope) closeGate() error {
	if s.gate == nil {
		return nil
	}
	gate := s.gate
	s.gate = nil
	return gate.Close()
}
