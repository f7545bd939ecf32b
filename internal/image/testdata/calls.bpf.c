// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
// Subprograms: static, global, shared, nested, called from another section, and
// called back.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

char LICENSE[] SEC("license") = "Dual BSD/GPL";

__u64 sum;

static __attribute__((noinline)) int leaf(int x)
{
	sum += x;
	return x * 31;
}

static __attribute__((noinline)) int branch(int x)
{
	return leaf(x + 1) ^ leaf(x + 2);
}

__attribute__((noinline)) int global(int x)
{
	return branch(x) + 1;
}

__attribute__((noinline)) int unused(int x)
{
	return x + 40;
}

static long each(__u32 i, void *ctx)
{
	*(__u64 *)ctx += leaf(i);
	return 0;
}

SEC("tc")
int direct(struct __sk_buff *ctx)
{
	return leaf(ctx->len) & 1;
}

SEC("tc")
int nested(struct __sk_buff *ctx)
{
	return (global(ctx->len) + leaf(ctx->mark)) & 1;
}

SEC("tc")
int callback(struct __sk_buff *ctx)
{
	__u64 acc = 0;

	bpf_loop(4, each, &acc, 0);
	return acc & 1;
}

SEC("xdp")
int lone(struct xdp_md *ctx)
{
	return 2;
}
