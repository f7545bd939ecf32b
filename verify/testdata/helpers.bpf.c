// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
// Calls of helpers: who may call what with which arguments; ring-buffer records.
#include "program.h"

// want verify: "forbidden-helper"
SEC("raw_tp/sys_enter") int helper_of_packets(void *ctx)
{
	char b[4];

	return bpf_skb_load_bytes(ctx, 0, b, sizeof(b));
}

// want verify: "forbidden-helper"
SEC("socket") int helper_of_tracing(void *ctx)
{
	int x = 0;

	bpf_probe_read(&x, sizeof(x), ctx);
	return x;
}

// want verify: accept
SEC("kprobe") int helper_of_kprobe(void *ctx)
{
	int x = 0;

	bpf_probe_read(&x, sizeof(x), ctx);
	return x;
}

// want verify: "forbidden-helper"
SEC("raw_tp/sys_enter") ASM int helper_that_does_not_exist(void *ctx)
{
	asm volatile("call 9999; r0 = 0; exit");
}

// want verify: "unsupported"
SEC("raw_tp/sys_enter") int helper_not_known_yet(void *ctx)
{
	return bpf_get_current_ancestor_cgroup_id(0);
}

// want verify: "forbidden-helper"
SEC("raw_tp/sys_enter") int sleeps_where_nobody_may(void *ctx)
{
	char byte;

	return bpf_copy_from_user(&byte, 1, ctx);
}

// want verify: "helper-argument"
SEC("raw_tp/sys_enter") ASM int map_and_key_confused(void *ctx)
{
	asm volatile("r1 = 1; *(u32 *)(r10 - 4) = r1; r1 = r10; r1 += -4;"
		     "r2 = %[values] ll; call %[lookup]; r0 = 0; exit" ::[values] "i"(&values),
		     [lookup] "i"(BPF_FUNC_map_lookup_elem));
}

// want verify: "helper-argument"
SEC("raw_tp/sys_enter") int map_of_the_wrong_type(void *ctx)
{
	__u32 key = 1;

	return (long)bpf_map_lookup_elem(&ring, &key) & 1;
}

// want verify: "helper-argument"
SEC("raw_tp/sys_enter") int key_is_a_number(void *ctx)
{
	return bpf_map_delete_elem(&values, (void *)8);
}

// want verify: "stack-bounds"
SEC("raw_tp/sys_enter") ASM int key_beyond_the_stack(void *ctx)
{
	asm volatile("r1 = 1; *(u32 *)(r10 - 4) = r1; r2 = r10; r2 += -2;"
		     "r1 = %[values] ll; call %[delete]; r0 = 0; exit" ::[values] "i"(&values),
		     [delete] "i"(BPF_FUNC_map_delete_elem));
}

// want verify: accept
SEC("raw_tp/sys_enter") ASM int key_within_the_stack(void *ctx)
{
	asm volatile("r1 = 1; *(u32 *)(r10 - 4) = r1; r2 = r10; r2 += -4;"
		     "r1 = %[values] ll; call %[delete]; r0 = 0; exit" ::[values] "i"(&values),
		     [delete] "i"(BPF_FUNC_map_delete_elem));
}

// want verify: "helper-argument"
SEC("raw_tp/sys_enter") int size_is_negative(unsigned long *ctx)
{
	char b[64];
	long n = (long)ctx[0];

	opaque(n);
	if (n > 64)
		return 0;
	opaque(n);
	bpf_probe_read_kernel(b, n, ctx);
	return 0;
}

// want verify: accept
SEC("raw_tp/sys_enter") int size_is_checked(unsigned long *ctx)
{
	char b[64];
	unsigned long n = ctx[0];

	opaque(n);
	if (n > 64)
		return 0;
	opaque(n);
	bpf_probe_read_kernel(b, n, ctx);
	return 0;
}

// want verify: "stack-bounds"
SEC("raw_tp/sys_enter") int size_too_large(unsigned long *ctx)
{
	char b[64];

	bpf_probe_read_kernel(b, 600, ctx);
	return 0;
}

// want verify: "value-bounds"
SEC("raw_tp/sys_enter") int size_larger_than_value(unsigned long *ctx)
{
	__u32 key = 1;
	struct value *v = bpf_map_lookup_elem(&values, &key);

	if (v)
		bpf_probe_read_kernel(v->data, 64, (void *)ctx[0]);
	return 0;
}

// want verify: accept
SEC("raw_tp/sys_enter") int size_of_value(unsigned long *ctx)
{
	__u32 key = 1;
	struct value *v = bpf_map_lookup_elem(&values, &key);

	if (v)
		bpf_probe_read_kernel(v->data, 56, (void *)ctx[0]);
	return 0;
}

// want verify: accept
SEC("raw_tp/sys_enter") int length_of_string(unsigned long *ctx)
{
	__u32 key = 1;
	struct value *v = bpf_map_lookup_elem(&values, &key);
	long n;

	if (!v)
		return 0;
	n = bpf_probe_read_user_str(v->data, sizeof(v->data), (void *)ctx[0]);
	if (n > 0)
		bpf_ringbuf_output(&ring, v->data, n, 0);
	return 0;
}

// want verify: "helper-argument"
SEC("raw_tp/sys_enter") int size_may_be_zero(unsigned long *ctx)
{
	char comm[16];
	unsigned long n = ctx[0] & 15;

	opaque(n);
	n &= 15;
	bpf_get_current_comm(comm, n);
	return 0;
}

// want verify: accept
SEC("raw_tp/sys_enter") int size_is_constant(unsigned long *ctx)
{
	char comm[16];

	bpf_get_current_comm(comm, sizeof(comm));
	return comm[0];
}

// want verify: "read-only"
SEC("raw_tp/sys_enter") int format_overwritten(unsigned long *ctx)
{
	static const char text[16] = "text";

	bpf_probe_read_kernel((void *)text, sizeof(text), ctx);
	return 0;
}

// want verify: "reference-leak"
SEC("raw_tp/sys_enter") int record_lost(unsigned long *ctx)
{
	__u64 *e = bpf_ringbuf_reserve(&ring, 8, 0);

	if (!e)
		return 0;
	*e = 1;
	return 0;
}

// want verify: "reference-leak"
SEC("raw_tp/sys_enter") int record_lost_on_one_path(unsigned long *ctx)
{
	__u64 *e = bpf_ringbuf_reserve(&ring, 8, 0);

	if (!e)
		return 0;
	if (ctx[0] == 7)
		return 1;
	bpf_ringbuf_submit(e, 0);
	return 0;
}

// want verify: accept
SEC("raw_tp/sys_enter") int record_discarded_on_one_path(unsigned long *ctx)
{
	__u64 *e = bpf_ringbuf_reserve(&ring, 8, 0);

	if (!e)
		return 0;
	if (ctx[0] == 7) {
		bpf_ringbuf_discard(e, 0);
		return 1;
	}
	bpf_ringbuf_submit(e, 0);
	return 0;
}

// want verify: "null-pointer"
SEC("raw_tp/sys_enter") int record_not_checked(unsigned long *ctx)
{
	__u64 *e = bpf_ringbuf_reserve(&ring, 8, 0);

	*e = 1;
	bpf_ringbuf_submit(e, 0);
	return 0;
}

// want verify: "null-pointer"
SEC("raw_tp/sys_enter") int record_submitted_unchecked(unsigned long *ctx)
{
	bpf_ringbuf_submit(bpf_ringbuf_reserve(&ring, 8, 0), 0);
	return 0;
}

// want verify: "value-bounds"
SEC("raw_tp/sys_enter") int record_beyond(unsigned long *ctx)
{
	__u64 *e = bpf_ringbuf_reserve(&ring, 8, 0);

	if (!e)
		return 0;
	e[1] = 1;
	bpf_ringbuf_submit(e, 0);
	return 0;
}

// want verify: accept
SEC("raw_tp/sys_enter") int record_within(unsigned long *ctx)
{
	__u64 *e = bpf_ringbuf_reserve(&ring, 16, 0);

	if (!e)
		return 0;
	e[1] = 1;
	bpf_ringbuf_submit(e, 0);
	return 0;
}

// want verify: "uninitialized"
SEC("raw_tp/sys_enter") int record_used_after_submit(unsigned long *ctx)
{
	__u64 *e = bpf_ringbuf_reserve(&ring, 8, 0);

	if (!e)
		return 0;
	bpf_ringbuf_submit(e, 0);
	*(volatile __u64 *)e = 1;
	return 0;
}

// want verify: "helper-argument"
SEC("raw_tp/sys_enter") int record_submitted_from_the_middle(unsigned long *ctx)
{
	__u64 *e = bpf_ringbuf_reserve(&ring, 16, 0);

	if (!e)
		return 0;
	bpf_ringbuf_submit(e + 1, 0);
	return 0;
}

// want verify: "helper-argument"
SEC("raw_tp/sys_enter") int record_of_unknown_size(unsigned long *ctx)
{
	__u64 *e = bpf_ringbuf_reserve(&ring, ctx[0] & 63, 0);

	if (e)
		bpf_ringbuf_discard(e, 0);
	return 0;
}

// want verify: accept
SEC("raw_tp/sys_enter") int printed(unsigned long *ctx)
{
	bpf_printk("system call %d of %d", (int)ctx[1], (int)(bpf_get_current_pid_tgid() >> 32));
	return 0;
}

struct {
	__uint(type, BPF_MAP_TYPE_BLOOM_FILTER);
	__uint(max_entries, 16);
	__type(value, __u32);
} filter SEC(".maps");

// A filter is asked about the value, which it does not fill.
// want verify: "uninitialized"
SEC("raw_tp/sys_enter") int filter_asked_about_old_bytes(void *ctx)
{
	__u32 value;

	return bpf_map_peek_elem(&filter, &value) + value;
}

// want verify: accept
SEC("raw_tp/sys_enter") int filter_asked(void *ctx)
{
	__u32 value = 1;

	return bpf_map_peek_elem(&filter, &value) + value;
}
