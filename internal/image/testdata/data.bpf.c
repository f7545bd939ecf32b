// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
// Global variables of every section, and maps of every form of definition.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

char LICENSE[] SEC("license") = "Dual BSD/GPL";

struct key {
	__u32 ip;
	__u16 port;
	__u16 zero;
};

struct value {
	__u64 packets, bytes;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1024);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct key);
	__type(value, struct value);
} flows SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 4);
	__uint(key_size, 4);
	__uint(value_size, 8);
} counters SEC(".maps");

struct inner {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 2);
	__type(key, __u32);
	__type(value, __u32);
} first SEC(".maps"), second SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, 2);
	__uint(key_size, 4);
	__array(values, struct inner);
} outer SEC(".maps") = { .values = { &first, &second } };

int tail(struct __sk_buff *ctx);

struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, 3);
	__uint(key_size, 4);
	__array(values, int(struct __sk_buff *));
} jumps SEC(".maps") = { .values = { [1] = (void *)&tail } };

const volatile __u16 port = 80;
const volatile struct {
	__u8 small;
	__u64 big;
} config = { 1, 2 };
__u32 seed = 7;
static __u32 steps[4] = { 1, 2, 3, 4 };
__u64 total;
static __u32 hits[4];
__u8 tiny;
__u64 after_tiny;
const volatile __u8 table[2] SEC(".rodata.table") = { 3, 4 };
__u32 own SEC(".data.own") = 9;

SEC("tc")
int count(struct __sk_buff *ctx)
{
	struct key k = { .port = port };
	struct value one = { 1, ctx->len }, *v;
	__u32 i = 1, *inner_value;
	__u64 *n;
	void *m;

	v = bpf_map_lookup_elem(&flows, &k);
	if (v)
		__sync_fetch_and_add(&v->packets, 1);
	else
		bpf_map_update_elem(&flows, &k, &one, BPF_ANY);
	n = bpf_map_lookup_elem(&counters, &i);
	if (n)
		*n += config.big + table[ctx->len & 1];
	m = bpf_map_lookup_elem(&outer, &i);
	if (m && (inner_value = bpf_map_lookup_elem(m, &i)))
		*inner_value = own;
	total += seed * steps[ctx->len & 3];
	hits[ctx->len & 3]++;
	tiny++;
	after_tiny += config.small;
	bpf_printk("port %d: %d", port, ctx->len);
	bpf_tail_call(ctx, &jumps, 1);
	return 0;
}

SEC("tc")
int tail(struct __sk_buff *ctx)
{
	after_tiny++;
	return 1;
}
