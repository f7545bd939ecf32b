// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
// Counts system calls by number; every call of one number is recorded.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

char LICENSE[] SEC("license") = "Dual BSD/GPL";

const volatile __u64 watched = 39; // getpid
__u64 total;

struct call {
	__u64 number;
	__u64 time_ns;
	__u32 random;
	__u32 cpu;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 512);
	__type(key, __u64);
	__type(value, __u64);
} counts SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} by_cpu SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4096);
} calls SEC(".maps");

SEC("raw_tp/sys_enter")
int count(struct bpf_raw_tracepoint_args *ctx)
{
	__u64 number = ctx->args[1], one = 1, *n;
	__u32 zero = 0;
	struct call *c;

	n = bpf_map_lookup_elem(&counts, &number);
	if (n)
		__sync_fetch_and_add(n, 1);
	else
		bpf_map_update_elem(&counts, &number, &one, BPF_NOEXIST);
	n = bpf_map_lookup_elem(&by_cpu, &zero);
	if (n)
		*n += 1;
	__sync_fetch_and_add(&total, 1);
	if (number != watched)
		return 0;
	c = bpf_ringbuf_reserve(&calls, sizeof(*c), 0);
	if (!c)
		return 0;
	c->number = number;
	c->time_ns = bpf_ktime_get_ns();
	c->random = bpf_get_prandom_u32();
	c->cpu = bpf_get_smp_processor_id();
	bpf_ringbuf_submit(c, 0);
	bpf_printk("call %d on cpu %d", (int)number, bpf_get_smp_processor_id());
	return 1;
}
