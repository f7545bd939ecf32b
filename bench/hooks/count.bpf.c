// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
//go:build ignore
// Counts calls of getppid per process.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

char LICENSE[] SEC("license") = "Dual BSD/GPL";

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1024);
	__type(key, __u32); // process id
	__type(value, __u64);
} counts SEC(".maps");

static __always_inline int count(void)
{
	__u32 pid = bpf_get_current_pid_tgid() >> 32;
	__u64 *n, one = 1;

	n = bpf_map_lookup_elem(&counts, &pid);
	if (n)
		__sync_fetch_and_add(n, 1);
	else
		bpf_map_update_elem(&counts, &pid, &one, BPF_NOEXIST);
	return 0;
}

SEC("tracepoint/syscalls/sys_enter_getppid")
int at_entry(void *ctx)
{
	return count();
}

SEC("tracepoint/syscalls/sys_exit_getppid")
int at_exit(void *ctx)
{
	return count();
}

SEC("tracepoint/syscalls/sys_enter_getpgrp")
int elsewhere(void *ctx)
{
	return count();
}
