// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
//go:build ignore
// clones: the ends of the calls that make threads and processes, and of those
// that have an unusual end.
#define __VMLINUX_H__
#include <linux/bpf.h>
#include "skep_kernel.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

char LICENSE[] SEC("license") = "Dual BSD/GPL";

enum { ENTER, EXIT, EXIT_ZERO, RETURN, EXEC_EXIT, EXEC_RETURN, SIGRETURN_ENTER, SIGRETURN_EXIT, SIGRETURN_RETURN, SIGRETURN_RAW };

__u64 counts[10];

#define COUNT(what) __sync_fetch_and_add(&counts[what], 1)

struct syscall_exit {
	__u64 common;
	__s32 nr;
	__s64 ret;
};

struct raw_exit {
	__u64 common;
	__s64 id;
	__s64 ret;
};

static __always_inline int exits(struct syscall_exit *ctx)
{
	COUNT(EXIT);
	if (ctx->ret == 0)
		COUNT(EXIT_ZERO);
	return 0;
}

#define CLONE(name)                                                                            \
	SEC("tp/syscalls/sys_enter_" #name) int name##_enter(void *ctx) { COUNT(ENTER); return 0; } \
	SEC("tp/syscalls/sys_exit_" #name) int name##_exit(struct syscall_exit *ctx) { return exits(ctx); } \
	SEC("kretsyscall/" #name) int name##_return(void *ctx) { COUNT(RETURN); return 0; }

CLONE(clone)
CLONE(clone3)
CLONE(fork)
CLONE(vfork)

SEC("tp/syscalls/sys_exit_execve")
int execve_exit(struct syscall_exit *ctx)
{
	if (ctx->ret == 0)
		COUNT(EXEC_EXIT);
	return 0;
}

SEC("kretsyscall/execve")
int BPF_KRETPROBE(execve_return, long ret)
{
	if (ret == 0)
		COUNT(EXEC_RETURN);
	return 0;
}

SEC("tp/syscalls/sys_enter_rt_sigreturn")
int sigreturn_enter(void *ctx)
{
	COUNT(SIGRETURN_ENTER);
	return 0;
}

SEC("tp/syscalls/sys_exit_rt_sigreturn")
int sigreturn_exit(void *ctx)
{
	COUNT(SIGRETURN_EXIT);
	return 0;
}

SEC("kretsyscall/rt_sigreturn")
int sigreturn_return(void *ctx)
{
	COUNT(SIGRETURN_RETURN);
	return 0;
}

SEC("tp/raw_syscalls/sys_exit")
int sigreturn_raw(struct raw_exit *ctx)
{
	if (ctx->id == -1)
		COUNT(SIGRETURN_RAW);
	return 0;
}
