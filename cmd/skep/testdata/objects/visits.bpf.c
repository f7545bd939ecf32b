// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
//go:build ignore
// visits: which directories processes go to. Its maps, records and hooks are
// those of no tool.
#include <linux/bpf.h>
#include "skep_kernel.h"
#include <bpf/bpf_helpers.h>

char LICENSE[] SEC("license") = "Dual BSD/GPL";

enum outcome { WENT, FAILED };

struct visitor {
	char comm[16];
	__u32 visits;
	enum outcome latest;
};

struct step {
	__u32 pid;
	_Bool absolute;
	char directory[43];
};

const struct step *unused __attribute__((unused));

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 64);
	__type(key, __u32);
	__type(value, struct visitor);
} visitors SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 2);
	__type(key, __u32);
	__type(value, __u64);
} outcomes SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4096);
} trail SEC(".maps");

__u64 steps;
__s32 last_error;

SEC("tracepoint/syscalls/sys_enter_chdir")
int chdir_begins(struct sys_enter_context *ctx)
{
	__u32 pid = bpf_get_current_pid_tgid() >> 32;
	struct visitor fresh = {}, *v;
	struct step *s;

	bpf_get_current_comm(fresh.comm, sizeof(fresh.comm));
	bpf_map_update_elem(&visitors, &pid, &fresh, BPF_NOEXIST);
	v = bpf_map_lookup_elem(&visitors, &pid);
	if (v)
		__sync_fetch_and_add(&v->visits, 1);
	__sync_fetch_and_add(&steps, 1);
	bpf_printk("step %d of %u", (int)steps, pid);
	s = bpf_ringbuf_reserve(&trail, sizeof(*s), 0);
	if (!s)
		return 0;
	s->pid = pid;
	bpf_probe_read_user_str(s->directory, sizeof(s->directory), (void *)ctx->args[0]);
	s->absolute = s->directory[0] == '/';
	bpf_ringbuf_submit(s, 0);
	return 0;
}

SEC("tp/syscalls/sys_exit_chdir")
int chdir_ends(struct sys_exit_context *ctx)
{
	__u32 pid = bpf_get_current_pid_tgid() >> 32, outcome = ctx->ret < 0 ? FAILED : WENT;
	struct visitor *v = bpf_map_lookup_elem(&visitors, &pid);
	__u64 *n = bpf_map_lookup_elem(&outcomes, &outcome);

	if (v)
		v->latest = outcome;
	if (n)
		*n += 1;
	if (ctx->ret < 0)
		last_error = ctx->ret;
	return 0;
}
