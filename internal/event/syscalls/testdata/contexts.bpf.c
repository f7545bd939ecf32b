// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
//go:build ignore
// contexts: one program per form of hook, all at process_vm_readv, a call with
// six arguments that nobody else makes. Each writes down what its context says,
// by libbpf's macros where it has some.
#define __VMLINUX_H__ // skep_kernel.h has the kernel's pt_regs
#include <linux/bpf.h>
#include "skep_kernel.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_tracing.h>

char LICENSE[] SEC("license") = "Dual BSD/GPL";

#define CALL 310 // process_vm_readv

struct seen {
	__u64 runs;
	__u64 pid_tgid;
	__u64 uid_gid;
	__u64 nr;
	__u64 args[6];
	__s64 ret;
	__u64 order; // how many ran before it, the last time
	char comm[16];
	char text[8]; // user memory at args[1]
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 16);
	__type(key, __u32);
	__type(value, struct seen);
} seen SEC(".maps");

__u64 ran;

static __always_inline struct seen *note(__u32 slot, __u64 nr)
{
	struct seen *s = bpf_map_lookup_elem(&seen, &slot);

	if (!s)
		return 0;
	s->runs++;
	s->pid_tgid = bpf_get_current_pid_tgid();
	s->uid_gid = bpf_get_current_uid_gid();
	bpf_get_current_comm(s->comm, sizeof(s->comm));
	s->nr = nr;
	s->order = ran++;
	return s;
}

static __always_inline void args(struct seen *s, __u64 a, __u64 b, __u64 c, __u64 d, __u64 e, __u64 f)
{
	s->args[0] = a;
	s->args[1] = b;
	s->args[2] = c;
	s->args[3] = d;
	s->args[4] = e;
	s->args[5] = f;
	bpf_probe_read_user(s->text, sizeof(s->text), (void *)b);
}

// What the format files of tracefs describe.
struct syscall_enter {
	__u64 common;
	__s32 nr;
	__u64 args[6];
};

struct syscall_exit {
	__u64 common;
	__s32 nr;
	__s64 ret;
};

struct raw_enter {
	__u64 common;
	__s64 id;
	__u64 args[6];
};

struct raw_exit {
	__u64 common;
	__s64 id;
	__s64 ret;
};

SEC("tracepoint/syscalls/sys_enter_process_vm_readv")
int tp_enter(struct syscall_enter *ctx)
{
	struct seen *s = note(0, ctx->nr);

	if (s)
		args(s, ctx->args[0], ctx->args[1], ctx->args[2], ctx->args[3], ctx->args[4], ctx->args[5]);
	return 0;
}

SEC("tp/syscalls/sys_exit_process_vm_readv")
int tp_exit(struct syscall_exit *ctx)
{
	struct seen *s = note(1, ctx->nr);

	if (s)
		s->ret = ctx->ret;
	return 0;
}

SEC("tracepoint/raw_syscalls/sys_enter")
int raw_enter(struct raw_enter *ctx)
{
	struct seen *s;

	if (ctx->id == CALL && (s = note(2, ctx->id)))
		args(s, ctx->args[0], ctx->args[1], ctx->args[2], ctx->args[3], ctx->args[4], ctx->args[5]);
	return 0;
}

SEC("tp/raw_syscalls/sys_exit")
int raw_exit(struct raw_exit *ctx)
{
	struct seen *s;

	if (ctx->id == CALL && (s = note(3, ctx->id)))
		s->ret = ctx->ret;
	return 0;
}

static __always_inline void registers(struct seen *s, struct pt_regs *regs)
{
	args(s, PT_REGS_PARM1_CORE_SYSCALL(regs), PT_REGS_PARM2_CORE_SYSCALL(regs),
	     PT_REGS_PARM3_CORE_SYSCALL(regs), PT_REGS_PARM4_CORE_SYSCALL(regs),
	     PT_REGS_PARM5_CORE_SYSCALL(regs), BPF_CORE_READ(regs, r9));
}

SEC("raw_tp/sys_enter")
int rawtp_enter(struct bpf_raw_tracepoint_args *ctx)
{
	struct seen *s;

	if (ctx->args[1] == CALL && (s = note(4, ctx->args[1])))
		registers(s, (struct pt_regs *)ctx->args[0]);
	return 0;
}

SEC("raw_tracepoint/sys_exit")
int rawtp_exit(struct bpf_raw_tracepoint_args *ctx)
{
	struct pt_regs *regs = (struct pt_regs *)ctx->args[0];
	__u64 nr = BPF_CORE_READ(regs, orig_ax);
	struct seen *s;

	if (nr == CALL && (s = note(5, nr))) {
		s->ret = ctx->args[1];
		s->args[0] = PT_REGS_RC_CORE(regs);
	}
	return 0;
}

SEC("ksyscall/process_vm_readv")
int BPF_KSYSCALL(ksyscall, long a, long b, long c, long d, long e)
{
	struct seen *s = note(6, CALL);

	if (s)
		args(s, a, b, c, d, e, 0); // the macro knows five
	return 0;
}

SEC("kretsyscall/process_vm_readv")
int BPF_KRETPROBE(kretsyscall, long ret)
{
	struct seen *s = note(7, CALL);

	if (s)
		s->ret = ret;
	return 0;
}

SEC("kprobe/__x64_sys_process_vm_readv")
int BPF_KPROBE(kprobe, struct pt_regs *regs)
{
	struct seen *s = note(8, PT_REGS_PARM1(ctx) ? BPF_CORE_READ(regs, orig_ax) : 0);

	if (s)
		registers(s, regs);
	return 0;
}

SEC("kretprobe/__x64_sys_process_vm_readv")
int BPF_KRETPROBE(kretprobe, long ret)
{
	struct seen *s = note(9, CALL);

	if (s)
		s->ret = ret;
	return 0;
}
