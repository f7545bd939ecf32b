// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
//go:build ignore
// rejected: one program that is fine and one that forgets a null check.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

char LICENSE[] SEC("license") = "Dual BSD/GPL";

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 8);
	__type(key, __u32);
	__type(value, __u64);
} counts SEC(".maps");

SEC("tracepoint/syscalls/sys_enter_getpid")
int careful(void *ctx)
{
	__u32 key = 0;
	__u64 *n = bpf_map_lookup_elem(&counts, &key);

	return n ? *n & 1 : 0;
}

SEC("tracepoint/syscalls/sys_enter_getppid")
int careless(void *ctx)
{
	__u32 key = 0;
	__u64 *n = bpf_map_lookup_elem(&counts, &key);

	return *n & 1;
}
