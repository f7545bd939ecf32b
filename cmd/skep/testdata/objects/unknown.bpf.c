// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
//go:build ignore
// unknown: a program whose section says no hook.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

char LICENSE[] SEC("license") = "Dual BSD/GPL";

SEC("somewhere/else")
int nowhere(void *ctx)
{
	return 0;
}
