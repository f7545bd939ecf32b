package kview

// Descriptors of tasks and of their files in /proc are kept, as opening one costs more than
// reading it. There is a limit to them; the ones that are not used go first.
type handles struct {
	limit int
	all   []handle
	hand  int // where the next search for one to close starts
}

type handle struct {
	fd   int
	task *task
	kind handleKind
	used bool // since the hand last passed
}

type handleKind uint8

const (
	handleFDs  handleKind = iota // the directory /proc/TID/fd
	handleComm                   // /proc/TID/comm
	handleTask                   // a pidfd
	handleKinds
)

// handleNames are the names in /proc/TID.
var handleNames = [handleKinds]string{handleFDs: "fd", handleComm: "comm"}

const (
	minHandles = 16
	maxHandles = 1024
)

// handle gives a descriptor of a file of a task.
func (v *View) handle(t *task, kind handleKind) (int, error) {
	h := &v.handles
	if i := t.handles[kind]; i > 0 {
		h.all[i-1].used = true
		return h.all[i-1].fd, nil
	}
	fd, err := v.openHandle(t, kind)
	if err != nil {
		return -1, err
	}
	i := len(h.all)
	if i < h.limit {
		h.all = append(h.all, handle{})
	} else {
		for ; h.all[h.hand].used; h.hand = (h.hand + 1) % len(h.all) {
			h.all[h.hand].used = false
		}
		i = h.hand
		if old := &h.all[i]; old.task != nil {
			v.system.close(old.fd)
			old.task.handles[old.kind] = 0
		}
	}
	h.all[i] = handle{fd: fd, task: t, kind: kind, used: true}
	t.handles[kind] = i + 1
	return fd, nil
}

func (v *View) openHandle(t *task, kind handleKind) (int, error) {
	if kind == handleTask {
		return v.system.openTask(int(t.tid))
	}
	return v.system.open(v.name.proc(int(t.tid), handleNames[kind]).c())
}

// drop closes what is kept of a task.
func (v *View) drop(t *task) {
	for kind, i := range t.handles {
		if i > 0 {
			v.system.close(v.handles.all[i-1].fd)
			v.handles.all[i-1] = handle{}
			t.handles[kind] = 0
		}
	}
}

func (h *handles) closeAll(s *system) {
	for _, one := range h.all {
		if one.task != nil {
			s.close(one.fd)
		}
	}
	h.all = nil
}
