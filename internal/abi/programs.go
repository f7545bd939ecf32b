package abi

import (
	"math"

	"github.com/cilium/ebpf"
)

const (
	anyMin = math.MinInt64
	anyMax = math.MaxInt64

	// BPF_TRACE_UPROBE_SESSION, which cilium/ebpf has no name for.
	attachTraceUprobeSession ebpf.AttachType = 57
)

// ProgramTypes has a row per program type of Linux 6.18, in order of number.
// A type whose Context.Size is 0 can't be verified yet.
var ProgramTypes = []ProgramType{
	{ebpf.SocketFilter, "socket_filter", socketFilterContext, anyMin, anyMax, "3.19", false},
	{ebpf.Kprobe, "kprobe", kprobeContext, anyMin, anyMax, "4.1", true},
	{ebpf.SchedCLS, "sched_cls", classifierContext, anyMin, anyMax, "4.1", false},
	{ebpf.SchedACT, "sched_act", classifierContext, anyMin, anyMax, "4.1", false},
	{ebpf.TracePoint, "tracepoint", tracepointContext, anyMin, anyMax, "4.7", true},
	{ebpf.XDP, "xdp", xdpContext, anyMin, anyMax, "4.8", false},
	{ebpf.PerfEvent, "perf_event", perfEventContext, anyMin, anyMax, "4.9", true},
	{ebpf.CGroupSKB, "cgroup_skb", Context{}, 0, 1, "4.10", false},
	{ebpf.CGroupSock, "cgroup_sock", Context{}, 0, 1, "4.10", false},
	{ebpf.LWTIn, "lwt_in", Context{}, anyMin, anyMax, "4.10", false},
	{ebpf.LWTOut, "lwt_out", Context{}, anyMin, anyMax, "4.10", false},
	{ebpf.LWTXmit, "lwt_xmit", Context{}, anyMin, anyMax, "4.10", false},
	{ebpf.SockOps, "sock_ops", Context{}, 0, 1, "4.13", false},
	{ebpf.SkSKB, "sk_skb", Context{}, anyMin, anyMax, "4.14", false},
	{ebpf.CGroupDevice, "cgroup_device", Context{}, 0, 1, "4.15", false},
	{ebpf.SkMsg, "sk_msg", Context{}, anyMin, anyMax, "4.17", false},
	{ebpf.RawTracepoint, "raw_tracepoint", rawTracepointContext, anyMin, anyMax, "4.17", true},
	{ebpf.CGroupSockAddr, "cgroup_sock_addr", Context{}, 0, 1, "4.17", false},
	{ebpf.LWTSeg6Local, "lwt_seg6local", Context{}, anyMin, anyMax, "4.18", false},
	{ebpf.LircMode2, "lirc_mode2", Context{}, anyMin, anyMax, "4.18", false},
	{ebpf.SkReuseport, "sk_reuseport", Context{}, anyMin, anyMax, "4.19", false},
	{ebpf.FlowDissector, "flow_dissector", Context{}, anyMin, anyMax, "4.20", false},
	{ebpf.CGroupSysctl, "cgroup_sysctl", Context{}, 0, 1, "5.2", false},
	{ebpf.RawTracepointWritable, "raw_tracepoint_writable", Context{}, anyMin, anyMax, "5.2", false},
	{ebpf.CGroupSockopt, "cgroup_sockopt", Context{}, 0, 1, "5.3", false},
	{ebpf.Tracing, "tracing", Context{}, anyMin, anyMax, "5.5", true},
	{ebpf.StructOps, "struct_ops", Context{}, anyMin, anyMax, "5.6", false},
	{ebpf.Extension, "ext", Context{}, anyMin, anyMax, "5.6", false},
	{ebpf.LSM, "lsm", Context{}, anyMin, anyMax, "5.7", false},
	{ebpf.SkLookup, "sk_lookup", Context{}, 0, 1, "5.9", false},
	{ebpf.Syscall, "syscall", Context{}, anyMin, anyMax, "5.14", false},
	{ebpf.Netfilter, "netfilter", Context{}, 0, 1, "6.4", false},
}

// ProgramTypeOf is the row of a program type, nil for an unknown one.
func ProgramTypeOf(t ebpf.ProgramType) *ProgramType {
	for i := range ProgramTypes {
		if ProgramTypes[i].Type == t {
			return &ProgramTypes[i]
		}
	}
	return nil
}

// ReturnRange is what a program of a type and attach type may return.
func (p *ProgramType) ReturnRange(attach ebpf.AttachType) (min, max int64) {
	switch attach {
	case ebpf.AttachTraceKprobeSession, attachTraceUprobeSession:
		return 0, 1
	}
	return p.ReturnMin, p.ReturnMax
}
