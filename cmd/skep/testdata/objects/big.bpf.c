// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
//go:build ignore
// big: an object in the other byte order.
// cflags: --target=bpfeb
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

char LICENSE[] SEC("license") = "Dual BSD/GPL";

SEC("tracepoint/syscalls/sys_enter_getpid")
int nothing(void *ctx)
{
	return 0;
}
