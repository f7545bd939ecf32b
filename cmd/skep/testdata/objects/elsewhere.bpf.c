// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
//go:build ignore
// elsewhere: a program for a function inside the kernel that is no system call.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

char LICENSE[] SEC("license") = "Dual BSD/GPL";

SEC("kprobe/tcp_connect")
int connects(void *ctx)
{
	return 0;
}
