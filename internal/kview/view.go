package kview

import (
	"fmt"
	"maps"
	"os"

	"github.com/skep-bpf/skep/internal/mem"
)

// A View is the kernel that the programs of one tree of traced processes look
// at. It has no locks: it belongs to the one thread that makes the stops and
// runs the programs.
type View struct {
	plan   Plan
	kernel mem.Kernel
	arena  *arena
	system system

	stop      uint64 // number of the current stop
	tid, tgid int32
	current   *task // nil until the stop's task is asked for

	tasks  map[int32]*task // by tid
	table  []*task         // by task.index
	exited []uint32        // indices of tasks that are gone, oldest first
	self   int32           // our own process

	handles handles

	files    []*file // in order of address
	nextFile int

	notes    []dentryNote // by index of the dentry
	dentries map[dentryKey]uint32
	supers   map[superKey]*superEntry
	fsTypes  map[string]uint64
	magics   map[string]uint64 // by type of file system

	links     map[linkKey]*link
	textBytes int // of the texts in links
	// pathsKnown changes when the links of before may lead elsewhere.
	pathsKnown    uint64
	tables        []*mountTable // the first is our own namespace's
	strays        map[int32]*mountEntry
	mountsChecked uint64 // the stop at which the tables were last checked
	// Devices of the file systems in which the kernel itself keeps shared memory.
	sharedDev, hugeDev uint32

	noInfo   bool // pidfds don't tell who a task is
	taskInfo taskInfo

	name   name
	text   []byte // the link text that is looked at
	buffer []byte
}

const (
	pathLimit = 4096     // PATH_MAX
	maxTexts  = 32 << 20 // bytes of link texts that are kept
)

// New makes a view of the system that /proc shows. It fails where there is no
// /proc of Linux.
func New(plan Plan) (*View, error) {
	arena, err := newArena()
	if err != nil {
		return nil, fmt.Errorf("kernel view: %w", err)
	}
	v := newEmpty(plan, arena)
	if err := v.start(); err != nil {
		v.Close()
		return nil, fmt.Errorf("kernel view: %w", err)
	}
	return v, nil
}

// newEmpty makes a view that knows no mounts yet.
func newEmpty(plan Plan, arena *arena) *View {
	v := &View{
		plan:     plan,
		arena:    arena,
		tasks:    map[int32]*task{},
		self:     int32(os.Getpid()),
		dentries: map[dentryKey]uint32{},
		supers:   map[superKey]*superEntry{},
		fsTypes:  map[string]uint64{},
		magics:   maps.Clone(remoteMagics),
		links:    map[linkKey]*link{},
		strays:   map[int32]*mountEntry{},
		text:     make([]byte, pathLimit),
		buffer:   make([]byte, 4*pathLimit),
	}
	v.handles.limit = handleLimit()
	v.kernel = mem.Kernel{
		VBase:       arenaStart,
		Base:        arena.region.Addr(),
		Size:        uint64(arena.region.Size()),
		Fault:       v.fault,
		CurrentTask: v.currentTask,
	}
	return v
}

func (v *View) start() (err error) {
	if v.sharedDev, v.hugeDev, err = sharedMemory(); err != nil {
		return fmt.Errorf("shared memory: %w", err)
	}
	fd, err := v.system.open(v.name.start("/proc/thread-self/mountinfo").c())
	if err != nil {
		return fmt.Errorf("/proc/thread-self/mountinfo, is /proc mounted? %w", err)
	}
	own := &mountTable{file: fd, namespace: v.linkText(v.name.start("/proc/thread-self/ns/mnt"))}
	v.tables = append(v.tables, own)
	if err := v.loadMounts(own); err != nil {
		return fmt.Errorf("/proc/thread-self/mountinfo: %w", err)
	}
	return nil
}

// Close frees the view. No program may run with it any more.
func (v *View) Close() error {
	for _, t := range v.tables {
		v.system.close(t.file)
	}
	v.handles.closeAll(&v.system)
	v.tables, v.tasks, v.table, v.dentries = nil, nil, nil, nil
	return v.arena.region.Close()
}

// Kernel is the memory that programs look at. It stays the same until Close.
func (v *View) Kernel() *mem.Kernel { return &v.kernel }

// Stop begins a stop of thread tid of process tgid: it is the current task from
// now on, and what is looked at is read anew.
func (v *View) Stop(tid, tgid int) {
	v.stop++
	if int32(tid) != v.tid || int32(tgid) != v.tgid || v.current != nil && v.current.gone {
		v.tid, v.tgid, v.current = int32(tid), int32(tgid), nil
	}
}

// Regs stores the registers of the current task's system call and gives their
// address as programs see it. They stay there for the next 255 calls at least.
func (v *View) Regs(r *PtRegs) uint64 {
	obj, _, addr := v.arena.regs.take()
	*obj = *r
	return addr
}

// linkText reads a link of /proc, "" if that fails.
func (v *View) linkText(n *name) string {
	k, err := v.system.readLink(cwd, n.c(), v.buffer)
	if err != nil {
		return ""
	}
	return string(v.buffer[:k])
}

// readText reads what fits into the buffer of a file of /proc.
func (v *View) readText(n *name) ([]byte, error) {
	fd, err := v.system.open(n.c())
	if err != nil {
		return nil, err
	}
	defer v.system.close(fd)
	k, err := v.system.readAt(fd, v.buffer, 0)
	return v.buffer[:max(k, 0)], err
}

// readAll reads a file to its end, or to limit.
func (v *View) readAll(fd int, limit int) ([]byte, error) {
	var text []byte
	for len(text) < limit {
		n, err := v.system.readAt(fd, v.buffer, len(text))
		if err != nil {
			return nil, err
		}
		if n == 0 {
			break
		}
		text = append(text, v.buffer[:n]...)
	}
	return text, nil
}
