// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
// Pointers to kernel objects.
#include "program.h"

struct files_struct {
	int next_fd;
} __attribute__((preserve_access_index));

struct task_struct {
	int pid;
	int tgid;
	struct task_struct *real_parent;
	struct files_struct *files;
	char comm[16];
} __attribute__((preserve_access_index));

// want verify: accept
SEC("raw_tp/sys_enter") int parent_walked(void *ctx)
{
	struct task_struct *t = bpf_get_current_task_btf();

	return t->real_parent->tgid;
}

// want verify: accept
SEC("raw_tp/sys_enter") int parent_compared(void *ctx)
{
	struct task_struct *t = bpf_get_current_task_btf();

	return t->files && t->files->next_fd;
}

// want verify: "read-only"
SEC("raw_tp/sys_enter") int task_written(void *ctx)
{
	struct task_struct *t = bpf_get_current_task_btf();

	t->pid = 1;
	return 0;
}

// want verify: "kernel-bounds"
SEC("raw_tp/sys_enter") int task_beyond(void *ctx)
{
	struct task_struct *t = bpf_get_current_task_btf();

	return *((volatile char *)t + 0x100000);
}

// want verify: "kernel-bounds"
SEC("raw_tp/sys_enter") int task_index_unknown(unsigned long *ctx)
{
	unsigned long n = ctx[0] & 0xf;
	struct task_struct *t = bpf_get_current_task_btf();

	opaque(n);
	return t->comm[n & 0xf];
}

// want verify: "kernel-bounds"
SEC("raw_tp/sys_enter") int half_of_member(unsigned long *ctx)
{
	struct task_struct *t = bpf_get_current_task_btf();

	return *(volatile __u32 *)((char *)__builtin_preserve_access_index(&t->real_parent) + 4);
}

// want verify: accept
SEC("raw_tp/sys_enter") int task_stored(unsigned long *ctx)
{
	__u32 key = 1;
	struct task_struct *t = bpf_get_current_task_btf();
	struct value *v = bpf_map_lookup_elem(&values, &key);

	if (v)
		v->count = (long)t; // a kernel address, as the key of many a tool
	return 0;
}

// want verify: "not-a-pointer"
SEC("raw_tp/sys_enter") int task_as_a_number(unsigned long *ctx)
{
	struct task_struct *t = (void *)bpf_get_current_task();

	return t->pid;
}

// want verify: accept
SEC("raw_tp/sys_enter") int task_read_through(unsigned long *ctx)
{
	struct task_struct *t = (void *)bpf_get_current_task();
	int pid = 0;

	bpf_probe_read_kernel(&pid, sizeof(pid), &t->pid);
	return pid;
}

// want verify: "mixed-pointers"
SEC("raw_tp/sys_enter") ASM int task_or_stack(unsigned long *ctx)
{
	asm volatile("r6 = *(u64 *)(r1 + 0); call %[task];"
		     "r1 = 0; *(u64 *)(r10 - 8) = r1; r1 = r10; r1 += -8;"
		     "if r6 > 7 goto l1_%=; r1 = r0;"
		     "l1_%=: r0 = *(u32 *)(r1 + 0); exit" ::[task] "i"(BPF_FUNC_get_current_task_btf));
}

struct no_such_type {
	int member;
} __attribute__((preserve_access_index));

// want verify: "relocation"
SEC("raw_tp/sys_enter") int member_missing(unsigned long *ctx)
{
	struct no_such_type *t = (void *)ctx[0];
	int x = 0;

	bpf_probe_read_kernel(&x, sizeof(x), &t->member);
	return x;
}

// want verify: accept
SEC("raw_tp/sys_enter") int member_asked_for(unsigned long *ctx)
{
	struct no_such_type *t = (void *)ctx[0];
	int x = 0;

	if (__builtin_preserve_field_info(t->member, 2)) // BPF_FIELD_EXISTS
		bpf_probe_read_kernel(&x, sizeof(x), &t->member);
	return x;
}
