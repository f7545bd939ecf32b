package tracer

import (
	"runtime"
	"sync"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// An event is one report of wait4.
type event struct {
	tid    int
	status unix.WaitStatus
}

// spinTime is how long a wait polls before it sleeps. Waking a sleeping thread
// on an idle CPU takes 2 to 5 µs on bare metal and 15 to 45 µs in a virtual
// machine, more than the whole stop; a thread that has just been resumed in a
// run of hooked calls is back sooner.
const spinTime = 40 * time.Microsecond

// maxMisses bounds how rarely a polling is tried that has found nothing so far:
// every 2^maxMisses waits.
const maxMisses = 6

// A waiter receives the reports of this thread's tracees.
type waiter struct {
	queue []event
	next  int // first of queue that is not taken

	multi  bool // another CPU can run a tracee while we poll
	misses int  // how many pollings have found nothing, one after the other
	rest   int  // how many waits do not poll
}

func newWaiter() *waiter {
	var cpus unix.CPUSet
	err := unix.SchedGetaffinity(0, &cpus)
	return &waiter{multi: err == nil && cpus.Count() > 1}
}

// poll is wait4 without waiting. tid is 0 if there is nothing, errno ECHILD if
// there can't be anything any more.
func (w *waiter) poll() (event, unix.Errno) {
	var status uint32
	// __WNOTHREAD leaves alone what other threads of this process have started.
	tid, _, e := unix.RawSyscall6(unix.SYS_WAIT4, ^uintptr(0), uintptr(unsafe.Pointer(&status)), unix.WALL|unix.WNOTHREAD|unix.WNOHANG, 0, 0, 0)
	return event{int(tid), unix.WaitStatus(status)}, e
}

// block is wait4. The scheduler is told: others run on our P.
func (w *waiter) block() (event, unix.Errno) {
	for {
		var status uint32
		tid, _, e := unix.Syscall6(unix.SYS_WAIT4, ^uintptr(0), uintptr(unsafe.Pointer(&status)), unix.WALL|unix.WNOTHREAD, 0, 0, 0)
		if e != unix.EINTR {
			return event{int(tid), unix.WaitStatus(status)}, e
		}
	}
}

// wait gives the next report. many says that there is more than one tracee: then
// all that have something to report are taken in one go, because wait4 looks at
// the youngest first, and a few busy ones would keep the others waiting. With
// brief it gives an event without tid when nothing has come for some time.
func (w *waiter) wait(many, brief bool) (event, unix.Errno) {
	if w.next < len(w.queue) {
		w.next++
		return w.queue[w.next-1], 0
	}
	first := w.first
	if brief {
		first = w.soon
	}
	ev, e := first()
	if e != 0 || ev.tid == 0 || !many {
		return ev, e
	}
	w.queue, w.next = w.queue[:0], 0
	for {
		more, e := w.poll()
		if e != 0 || more.tid == 0 {
			return ev, 0
		}
		w.queue = append(w.queue, more)
	}
}

// first waits for one report.
func (w *waiter) first() (event, unix.Errno) {
	if !w.multi {
		return w.block()
	}
	if w.rest > 0 {
		w.rest--
		return w.block()
	}
	for start := time.Now(); time.Since(start) < spinTime; {
		for range 8 {
			// The tracee may wait for this very CPU: on a busy machine the kernel
			// likes to wake it where it was resumed.
			unix.RawSyscall(unix.SYS_SCHED_YIELD, 0, 0, 0)
			if ev, e := w.poll(); e != 0 || ev.tid != 0 {
				w.misses = 0
				return ev, e
			}
		}
	}
	w.misses = min(w.misses+1, maxMisses)
	w.rest = 1<<w.misses - 1
	return w.block()
}

// soonTime is how long something may take that should come at once.
const soonTime = 10 * time.Millisecond

// soon waits for one report, but not long.
func (w *waiter) soon() (event, unix.Errno) {
	for start := time.Now(); ; {
		ev, e := w.poll()
		since := time.Since(start)
		if e != 0 || ev.tid != 0 || since > soonTime {
			return ev, e
		}
		if since > spinTime {
			time.Sleep(spinTime)
		}
	}
}

// onOwnThread runs f on an OS thread that has no children, so that wait4 with
// __WNOTHREAD reports only what f starts. It is not the main thread either: when
// a thread ends, the kernel gives its children to that one.
func onOwnThread(f func()) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if !hasChildren() && unix.Gettid() != unix.Getpid() {
		f()
		return
	}
	// This thread stays occupied, so the next goroutine locks another one.
	done := make(chan struct{})
	go func() {
		defer close(done)
		onOwnThread(f)
	}()
	<-done
}

func hasChildren() bool {
	err := unix.Waitid(unix.P_ALL, 0, nil, unix.WEXITED|unix.WSTOPPED|unix.WNOHANG|unix.WNOWAIT|unix.WALL|unix.WNOTHREAD, nil)
	return err != unix.ECHILD
}

// childStops turns the SIGCHLD for each stop of a tracee off while trees run.
var childStops struct {
	sync.Mutex
	trees int
}

// sigaction is the kernel's struct sigaction.
type sigaction struct {
	handler  uintptr
	flags    uint64
	restorer uintptr
	mask     uint64
}

const saNoCldStop = 1

func muteChildStops() {
	childStops.Lock()
	defer childStops.Unlock()
	if childStops.trees++; childStops.trees == 1 {
		changeSigchld(func(flags uint64) uint64 { return flags | saNoCldStop })
	}
}

func unmuteChildStops() {
	childStops.Lock()
	defer childStops.Unlock()
	if childStops.trees--; childStops.trees == 0 {
		changeSigchld(func(flags uint64) uint64 { return flags &^ saNoCldStop })
	}
}

func changeSigchld(change func(flags uint64) uint64) {
	var a sigaction
	if _, _, e := unix.RawSyscall6(unix.SYS_RT_SIGACTION, uintptr(unix.SIGCHLD), 0, uintptr(unsafe.Pointer(&a)), 8, 0, 0); e != 0 {
		return
	}
	if flags := change(a.flags); flags != a.flags {
		a.flags = flags
		unix.RawSyscall6(unix.SYS_RT_SIGACTION, uintptr(unix.SIGCHLD), uintptr(unsafe.Pointer(&a)), 0, 8, 0, 0)
	}
}
