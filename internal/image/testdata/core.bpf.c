// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
// Every kind of CO-RE relocation, against types that kernels have and lack.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>

char LICENSE[] SEC("license") = "Dual BSD/GPL";

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct qstr {
	const unsigned char *name;
};

struct dentry {
	struct qstr d_name;
};

struct path {
	struct dentry *dentry;
};

struct file {
	struct path f_path;
};

struct fdtable {
	unsigned int max_fds;
	struct file **fd;
};

struct files_struct {
	struct fdtable *fdt;
};

struct task_struct {
	int pid;
	int tgid;
	char comm[16];
	struct task_struct *real_parent;
	struct files_struct *files;
	unsigned in_execve : 1;
};

// What task_struct never had.
struct task_struct___never {
	struct {
		int no_such_field;
	};
	long no_such_array[4];
};

struct no_such_type {
	int member;
};

enum pid_type {
	PIDTYPE_PID,
	PIDTYPE_TGID,
};

enum pid_type___never {
	PIDTYPE_NO_SUCH___never = 77,
};

#pragma clang attribute pop

// The local type of a record, by its id in this object.
struct record {
	int a;
};

int pid, ppid, first_char, exec_bit, sizes, missing, ids, enums;
char name[32];

SEC("raw_tracepoint/sys_enter")
int fields(void *ctx)
{
	struct task_struct *t = (void *)bpf_get_current_task();
	struct file **fds, *f = 0;

	pid = BPF_CORE_READ(t, pid);
	ppid = BPF_CORE_READ(t, real_parent, tgid);
	bpf_core_read(&first_char, 1, &t->comm[3]);
	exec_bit = BPF_CORE_READ_BITFIELD_PROBED(t, in_execve);
	fds = BPF_CORE_READ(t, files, fdt, fd);
	bpf_core_read(&f, sizeof(f), fds);
	bpf_probe_read_kernel_str(name, sizeof(name), BPF_CORE_READ(f, f_path.dentry, d_name.name));
	return 0;
}

SEC("raw_tracepoint/sys_enter")
int sizes_of(void *ctx)
{
	sizes = bpf_core_type_size(struct task_struct);
	sizes += bpf_core_field_size(((struct task_struct *)0)->comm);
	sizes += bpf_core_field_offset(struct task_struct, tgid);
	ids = bpf_core_type_id_local(struct record);
	ids += bpf_core_type_id_kernel(struct task_struct);
	return 0;
}

SEC("raw_tracepoint/sys_enter")
int exists(void *ctx)
{
	missing = bpf_core_field_exists(struct task_struct, comm) << 0;
	missing |= bpf_core_field_exists(struct task_struct___never, no_such_field) << 1;
	missing |= bpf_core_type_exists(struct task_struct) << 2;
	missing |= bpf_core_type_exists(struct no_such_type) << 3;
	missing |= bpf_core_type_matches(struct fdtable) << 4;
	missing |= bpf_core_type_matches(struct no_such_type) << 5;
	missing |= bpf_core_enum_value_exists(enum pid_type, PIDTYPE_TGID) << 6;
	missing |= bpf_core_enum_value_exists(enum pid_type___never, PIDTYPE_NO_SUCH___never) << 7;
	enums = bpf_core_enum_value(enum pid_type, PIDTYPE_TGID);
	return 0;
}

// Reads what is not there, but not when it runs: both kinds of poisoned
// instructions.
SEC("raw_tracepoint/sys_enter")
int guarded(void *ctx)
{
	struct task_struct___never *t = (void *)bpf_get_current_task();

	if (bpf_core_field_exists(t->no_such_array))
		missing = BPF_CORE_READ(t, no_such_array[2]);
	if (bpf_core_enum_value_exists(enum pid_type___never, PIDTYPE_NO_SUCH___never))
		enums = bpf_core_enum_value(enum pid_type___never, PIDTYPE_NO_SUCH___never);
	return 0;
}

// Reads what is not there.
SEC("raw_tracepoint/sys_enter")
int unguarded(void *ctx)
{
	struct task_struct___never *t = (void *)bpf_get_current_task();

	missing = BPF_CORE_READ(t, no_such_field);
	return 0;
}

// Reads in place. The width of such a load follows the field's.
SEC("tp_btf/task_newtask")
int in_place(void **ctx)
{
	struct task_struct *t = ctx[0];

	pid = t->pid;
	first_char = t->comm[3];
	if (t->files)
		sizes = t->files->fdt->max_fds;
	return 0;
}
