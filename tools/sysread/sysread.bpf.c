// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
//go:build ignore
// sysread: who calls read and pread64, how much was asked for and given. The
// probes sit at the kernel's system-call functions: by libbpf's ksyscall, and by
// the function's name.
#define __VMLINUX_H__ // skep_kernel.h has the kernel's pt_regs
#include <linux/bpf.h>
#include "skep_kernel.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_tracing.h>

char LICENSE[] SEC("license") = "Dual BSD/GPL";

struct reader {
	char comm[16];
	__u64 calls;
	__u64 errors;
	__u64 asked; // bytes
	__u64 given; // bytes
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 10240);
	__type(key, __u32); // process id
	__type(value, struct reader);
} readers SEC(".maps");

static __always_inline struct reader *reader(void)
{
	__u32 pid = bpf_get_current_pid_tgid() >> 32;
	struct reader *r, fresh = {};

	r = bpf_map_lookup_elem(&readers, &pid);
	if (r)
		return r;
	bpf_get_current_comm(fresh.comm, sizeof(fresh.comm));
	bpf_map_update_elem(&readers, &pid, &fresh, BPF_NOEXIST);
	return bpf_map_lookup_elem(&readers, &pid);
}

static __always_inline int asked(__u64 count)
{
	struct reader *r = reader();

	if (r) {
		__sync_fetch_and_add(&r->calls, 1);
		__sync_fetch_and_add(&r->asked, count);
	}
	return 0;
}

static __always_inline int given(long ret)
{
	struct reader *r = reader();

	if (!r)
		return 0;
	if (ret < 0)
		__sync_fetch_and_add(&r->errors, 1);
	else
		__sync_fetch_and_add(&r->given, ret);
	return 0;
}

SEC("ksyscall/read")
int BPF_KSYSCALL(read_entry, unsigned int fd, char *buf, unsigned long count)
{
	return asked(count);
}

SEC("kretsyscall/read")
int BPF_KRETPROBE(read_return, long ret)
{
	return given(ret);
}

SEC("kprobe/__x64_sys_pread64")
int BPF_KPROBE(pread_entry, struct pt_regs *regs)
{
	return asked(PT_REGS_PARM3_CORE_SYSCALL(regs));
}

SEC("kretprobe/__x64_sys_pread64")
int BPF_KRETPROBE(pread_return, long ret)
{
	return given(ret);
}
