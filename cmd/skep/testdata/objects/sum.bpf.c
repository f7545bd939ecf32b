// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
//go:build ignore
// sum: adds what it gets, for runs without a hook.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

char LICENSE[] SEC("license") = "Dual BSD/GPL";

struct request {
	__u64 left;
	__u64 right;
};

struct answer {
	__u64 sum;
	__u64 time_ns;
	__u32 random;
	__u32 cpu;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 4);
	__type(key, __u32);
	__type(value, struct answer);
} answers SEC(".maps");

__u32 runs;

SEC("raw_tp/sys_enter")
int add(struct request *r)
{
	__u32 zero = 0;
	struct answer *a = bpf_map_lookup_elem(&answers, &zero);

	__sync_fetch_and_add(&runs, 1);
	if (!a)
		return -1;
	a->sum = r->left + r->right;
	a->time_ns = bpf_ktime_get_ns();
	a->random = bpf_get_prandom_u32();
	a->cpu = bpf_get_smp_processor_id();
	bpf_printk("sum %llu", a->sum);
	return a->sum;
}
