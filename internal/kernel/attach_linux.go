package kernel

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"
)

// Attach joins the program to the hook that its section names. It runs there for
// those that its scope holds.
func (p *Program) Attach() (*Link, error) {
	h, err := hookOf(p.Spec)
	if err != nil {
		return nil, err
	}
	joined, err := attachers[h.kind](p.Program, h.target)
	if err != nil {
		e := &Error{What: "program " + p.Spec.Name, Section: p.Spec.SectionName, Kind: ErrNotPossible, Reason: err.Error(), Err: err}
		if isPermission(err) && len(lacking()) > 0 {
			e.Reason, e.Kind = denied(err)
		}
		return nil, e
	}
	return &Link{section: p.Spec.SectionName, joined: joined}, nil
}

var attachers = [...]func(p *ebpf.Program, target string) (io.Closer, error){
	tracepoint:    attachTracepoint,
	rawTracepoint: attachRawTracepoint,
	kprobe:        func(p *ebpf.Program, f string) (io.Closer, error) { return attachProbe(p, f, link.Kprobe) },
	kretprobe:     func(p *ebpf.Program, f string) (io.Closer, error) { return attachProbe(p, f, link.Kretprobe) },
	ksyscall:      func(p *ebpf.Program, x string) (io.Closer, error) { return attachSyscall(p, x, link.Kprobe) },
	kretsyscall:   func(p *ebpf.Program, x string) (io.Closer, error) { return attachSyscall(p, x, link.Kretprobe) },
	tracing: func(p *ebpf.Program, _ string) (io.Closer, error) {
		return link.AttachTracing(link.TracingOptions{Program: p})
	},
}

// attachTracepoint opens a perf event of the tracepoint and gives it the program.
// cilium/ebpf's own way needs a mounted tracefs, which containers and small
// systems have not got.
func attachTracepoint(p *ebpf.Program, target string) (io.Closer, error) {
	group, name, _ := strings.Cut(target, "/")
	id, err := tracepointID(group, name)
	if err != nil {
		return nil, err
	}
	// The CPU means nothing to the program: a tracepoint has one list of programs.
	fd, err := unix.PerfEventOpen(&unix.PerfEventAttr{Type: unix.PERF_TYPE_TRACEPOINT, Config: id, Sample_type: unix.PERF_SAMPLE_RAW, Sample: 1, Wakeup: 1},
		-1, 0, -1, unix.PERF_FLAG_FD_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("perf_event_open: %w", err)
	}
	event := os.NewFile(uintptr(fd), "perf event")
	if err := unix.IoctlSetInt(fd, unix.PERF_EVENT_IOC_SET_BPF, p.FD()); err != nil {
		event.Close()
		return nil, fmt.Errorf("PERF_EVENT_IOC_SET_BPF: %w", err)
	}
	return event, nil
}

// tracepointID is the number by which perf_event_open knows a tracepoint.
func tracepointID(group, name string) (uint64, error) {
	root, err := tracefs()
	if err != nil {
		return 0, err
	}
	defer root.Close()
	file := filepath.Join(root.Name(), "events", group, name, "id")
	b, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		if _, err := os.Stat(filepath.Dir(filepath.Dir(file))); err != nil {
			return 0, fmt.Errorf("this kernel has no tracepoints of group %s", group)
		}
		return 0, fmt.Errorf("this kernel has no tracepoint %s of group %s", name, group)
	}
	if err != nil {
		return 0, err
	}
	id, err := strconv.ParseUint(strings.TrimSpace(string(b)), 10, 64)
	if err != nil {
		return 0, fmt.Errorf("%s: %w", file, err)
	}
	return id, nil
}

// tracefs is the file system of tracepoints: where it is mounted, or mounted
// aside.
func tracefs() (*os.File, error) {
	mounts, err := mountsOf("tracefs")
	if err != nil {
		return nil, err
	}
	for _, m := range mounts {
		if m.root != "/" {
			continue
		}
		if f, err := os.Open(m.point); err == nil {
			return f, nil
		}
	}
	f, err := mountAside("tracefs")
	if err != nil {
		return nil, fmt.Errorf("tracefs is not mounted (mount -t tracefs tracefs /sys/kernel/tracing): %w", err)
	}
	return f, nil
}

func attachRawTracepoint(p *ebpf.Program, name string) (io.Closer, error) {
	l, err := link.AttachRawTracepoint(link.RawTracepointOptions{Name: name, Program: p})
	if errors.Is(err, unix.ENOENT) {
		return nil, fmt.Errorf("this kernel has no tracepoint %s", name)
	}
	return l, err
}

// probe is link.Kprobe or link.Kretprobe.
type probe func(symbol string, p *ebpf.Program, o *link.KprobeOptions) (link.Link, error)

// kprobes is where the kernel says that it has kprobes.
const kprobes = "/sys/bus/event_source/devices/kprobe"

var errNoKprobes = errors.New("this kernel is built without kprobes (CONFIG_KPROBES, CONFIG_KPROBE_EVENTS)")

func attachProbe(p *ebpf.Program, function string, attach probe) (io.Closer, error) {
	if _, err := os.Stat(kprobes); errors.Is(err, fs.ErrNotExist) {
		return nil, errNoKprobes
	}
	l, err := attach(function, p, nil)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("this kernel has no function %s that can be probed: %w", function, err)
	}
	return l, err
}

// syscallPrefix stands before the name of a system call in the name of its
// function, by GOARCH.
var syscallPrefix = map[string]string{"amd64": "__x64_sys_", "arm64": "__arm64_sys_", "riscv64": "__riscv_sys_", "s390x": "__s390x_sys_"}

func attachSyscall(p *ebpf.Program, x string, attach probe) (io.Closer, error) {
	prefix, ok := syscallPrefix[runtime.GOARCH]
	if !ok {
		return nil, fmt.Errorf("the functions of system calls have no known names on %s", runtime.GOARCH)
	}
	return attachProbe(p, prefix+x, attach)
}
