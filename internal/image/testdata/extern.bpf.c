// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
// What the kernel gives: configuration, variables, functions; needed and not.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

char LICENSE[] SEC("license") = "Dual BSD/GPL";

struct task_struct {
	int pid;
};

extern int LINUX_KERNEL_VERSION __kconfig;
extern _Bool LINUX_HAS_SYSCALL_WRAPPER __kconfig;
extern unsigned long CONFIG_HZ __kconfig __weak;
extern enum libbpf_tristate CONFIG_BPF_SYSCALL __kconfig __weak;
extern char CONFIG_NET __kconfig __weak;
extern __u16 CONFIG_SKEP_NO_SUCH_WEAK __kconfig __weak;
extern int CONFIG_SKEP_NO_SUCH_STRONG __kconfig;

extern const void __per_cpu_start __ksym __weak;
extern void skep_no_such_weak __ksym __weak;
extern const void skep_no_such_strong __ksym;
extern const struct rq skep_no_such_typed __ksym __weak;

extern struct task_struct *bpf_task_from_pid(int pid) __ksym;
extern void bpf_task_release(struct task_struct *p) __ksym;
extern int skep_no_such_kfunc_weak(int) __ksym __weak;
extern int skep_no_such_kfunc_strong(int) __ksym;

__u64 version, wrapper, hz, tristate, letter, nothing, address, task;

SEC("tc")
int config(struct __sk_buff *ctx)
{
	version = LINUX_KERNEL_VERSION;
	wrapper = LINUX_HAS_SYSCALL_WRAPPER;
	hz = CONFIG_HZ;
	tristate = CONFIG_BPF_SYSCALL;
	letter = CONFIG_NET;
	nothing = CONFIG_SKEP_NO_SUCH_WEAK;
	return 0;
}

SEC("tc")
int config_missing(struct __sk_buff *ctx)
{
	return CONFIG_SKEP_NO_SUCH_STRONG;
}

SEC("tc")
int variable(struct __sk_buff *ctx)
{
	address = (__u64)&__per_cpu_start;
	if (&skep_no_such_weak)
		address = 1;
	return 0;
}

SEC("tc")
int variable_missing(struct __sk_buff *ctx)
{
	return (__u64)&skep_no_such_strong >> 1;
}

SEC("tc")
int variable_typed(struct __sk_buff *ctx)
{
	if (&skep_no_such_typed)
		address = (__u64)&skep_no_such_typed;
	return 0;
}

SEC("tc")
int function(struct __sk_buff *ctx)
{
	struct task_struct *t = bpf_task_from_pid(1);

	if (t) {
		task = 1;
		bpf_task_release(t);
	}
	return 0;
}

SEC("tc")
int function_weak(struct __sk_buff *ctx)
{
	if (skep_no_such_kfunc_weak)
		return skep_no_such_kfunc_weak(1);
	return 0;
}

SEC("tc")
int function_missing(struct __sk_buff *ctx)
{
	return skep_no_such_kfunc_strong(1);
}
