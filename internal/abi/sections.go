package abi

import (
	"strings"

	"github.com/cilium/ebpf"
)

// Sections are the section names that libbpf knows, by the program type that
// they stand for (libbpf, "Program Types and ELF Sections"). A name that ends in
// + may be followed by a slash and what the program is attached to.
var Sections = []struct {
	Type  ebpf.ProgramType
	Names string // separated by spaces
}{
	{ebpf.SocketFilter, "socket"},
	{ebpf.SkReuseport, "sk_reuseport/migrate sk_reuseport"},
	{ebpf.Kprobe, "kprobe+ uprobe+ uprobe.s+ kretprobe+ uretprobe+ uretprobe.s+ kprobe.multi+ kretprobe.multi+ kprobe.session+ uprobe.multi+ uretprobe.multi+ uprobe.session+ uprobe.multi.s+ uretprobe.multi.s+ uprobe.session.s+ ksyscall+ kretsyscall+ usdt+ usdt.s+"},
	{ebpf.SchedCLS, "tc/ingress tc/egress tcx/ingress tcx/egress tc classifier netkit/primary netkit/peer"},
	{ebpf.SchedACT, "action"},
	{ebpf.TracePoint, "tracepoint+ tp+"},
	{ebpf.RawTracepoint, "raw_tracepoint+ raw_tp+"},
	{ebpf.RawTracepointWritable, "raw_tracepoint.w+ raw_tp.w+"},
	{ebpf.Tracing, "tp_btf+ fentry+ fmod_ret+ fexit+ fentry.s+ fmod_ret.s+ fexit.s+ fsession+ fsession.s+ iter+ iter.s+"},
	{ebpf.Extension, "freplace+"},
	{ebpf.LSM, "lsm+ lsm.s+ lsm_cgroup+"},
	{ebpf.Syscall, "syscall"},
	{ebpf.XDP, "xdp.frags/devmap xdp/devmap xdp.frags/cpumap xdp/cpumap xdp.frags xdp"},
	{ebpf.PerfEvent, "perf_event"},
	{ebpf.LWTIn, "lwt_in"},
	{ebpf.LWTOut, "lwt_out"},
	{ebpf.LWTXmit, "lwt_xmit"},
	{ebpf.LWTSeg6Local, "lwt_seg6local"},
	{ebpf.SockOps, "sockops"},
	{ebpf.SkSKB, "sk_skb/stream_parser sk_skb/stream_verdict sk_skb/verdict sk_skb"},
	{ebpf.SkMsg, "sk_msg"},
	{ebpf.LircMode2, "lirc_mode2"},
	{ebpf.FlowDissector, "flow_dissector"},
	{ebpf.CGroupSKB, "cgroup_skb/ingress cgroup_skb/egress cgroup/skb"},
	{ebpf.CGroupSock, "cgroup/sock_create cgroup/sock_release cgroup/sock cgroup/post_bind4 cgroup/post_bind6"},
	{ebpf.CGroupSockAddr, "cgroup/bind4 cgroup/bind6 cgroup/connect4 cgroup/connect6 cgroup/connect_unix cgroup/sendmsg4 cgroup/sendmsg6 cgroup/sendmsg_unix cgroup/recvmsg4 cgroup/recvmsg6 cgroup/recvmsg_unix cgroup/getpeername4 cgroup/getpeername6 cgroup/getpeername_unix cgroup/getsockname4 cgroup/getsockname6 cgroup/getsockname_unix"},
	{ebpf.CGroupSysctl, "cgroup/sysctl"},
	{ebpf.CGroupSockopt, "cgroup/getsockopt cgroup/setsockopt"},
	{ebpf.CGroupDevice, "cgroup/dev"},
	{ebpf.StructOps, "struct_ops+ struct_ops.s+"},
	{ebpf.SkLookup, "sk_lookup"},
	{ebpf.Netfilter, "netfilter"},
}

// SectionType is the program type that a section name stands for. ok is false
// for a name that is not known.
func SectionType(section string) (t ebpf.ProgramType, ok bool) {
	head, _, _ := strings.Cut(section, "/")
	for _, s := range Sections {
		for name := range strings.FieldsSeq(s.Names) {
			if stem, more := strings.CutSuffix(name, "+"); name == section || more && stem == head {
				return s.Type, true
			}
		}
	}
	return ebpf.UnspecifiedProgram, false
}
