// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
// Where pointers may go, and what may be done with them.
#include "program.h"

// want verify: "pointer-leak"
SEC("raw_tp/sys_enter") int context_returned(void *ctx)
{
	return (long)ctx;
}

// want verify: "pointer-leak"
SEC("raw_tp/sys_enter") ASM int frame_pointer_returned(void *ctx)
{
	asm volatile("r0 = r10; exit");
}

// want verify: accept
SEC("raw_tp/sys_enter") int time_returned(void *ctx)
{
	return bpf_ktime_get_ns();
}

// want verify: "pointer-leak"
SEC("raw_tp/sys_enter") int context_stored_in_value(void *ctx)
{
	__u32 key = 1;
	struct value *v = bpf_map_lookup_elem(&values, &key);

	if (v)
		v->count = (long)ctx;
	return 0;
}

// want verify: "pointer-leak"
SEC("raw_tp/sys_enter") int value_address_stored_in_value(void *ctx)
{
	__u32 key = 1;
	struct value *v = bpf_map_lookup_elem(&values, &key);

	if (v)
		v->count = (long)v;
	return 0;
}

// want verify: accept
SEC("raw_tp/sys_enter") int argument_stored_in_value(unsigned long *ctx)
{
	__u32 key = 1;
	struct value *v = bpf_map_lookup_elem(&values, &key);

	if (v)
		v->count = ctx[0];
	return 0;
}

// want verify: "pointer-leak"
SEC("raw_tp/sys_enter") int context_stored_in_record(void *ctx)
{
	__u64 *e = bpf_ringbuf_reserve(&ring, 8, 0);

	if (!e)
		return 0;
	*e = (long)ctx;
	bpf_ringbuf_submit(e, 0);
	return 0;
}

// want verify: "pointer-leak"
SEC("raw_tp/sys_enter") int context_given_to_ring(void *ctx)
{
	__u64 e = (long)ctx;

	bpf_ringbuf_output(&ring, &e, sizeof(e), 0);
	return 0;
}

// want verify: accept
SEC("raw_tp/sys_enter") int task_given_to_ring(void *ctx)
{
	__u64 e = bpf_get_current_task();

	bpf_ringbuf_output(&ring, &e, sizeof(e), 0);
	return 0;
}

// want verify: "pointer-leak"
SEC("raw_tp/sys_enter") int context_as_key(void *ctx)
{
	__u32 key[2] = {};

	*(volatile __u64 *)key = (long)ctx;
	return bpf_map_delete_elem(&values, key);
}

// want verify: "pointer-leak"
SEC("raw_tp/sys_enter") int context_added_to_value(void *ctx)
{
	__u32 key = 1;
	struct value *v = bpf_map_lookup_elem(&values, &key);

	if (v)
		__sync_fetch_and_add(&v->count, (long)ctx);
	return 0;
}

// want verify: accept
SEC("raw_tp/sys_enter") int number_added_to_value(unsigned long *ctx)
{
	__u32 key = 1;
	struct value *v = bpf_map_lookup_elem(&values, &key);

	if (v)
		__sync_fetch_and_add(&v->count, ctx[0]);
	return 0;
}

// want verify: "pointer-leak"
SEC("raw_tp/sys_enter") ASM int half_of_pointer_stored(void *ctx)
{
	asm volatile("*(u32 *)(r10 - 8) = r1; r0 = 0; exit");
}

// want verify: "pointer-leak"
SEC("raw_tp/sys_enter") ASM int half_of_pointer_loaded(void *ctx)
{
	asm volatile("*(u64 *)(r10 - 8) = r1; r0 = *(u32 *)(r10 - 8); r0 = 0; exit");
}

// want verify: accept
SEC("raw_tp/sys_enter") ASM int pointer_stored_and_loaded(void *ctx)
{
	asm volatile("*(u64 *)(r10 - 8) = r1; r1 = *(u64 *)(r10 - 8); r0 = *(u64 *)(r1 + 0); exit");
}

static ASM __attribute__((noinline, used)) int store_frame_pointer(void *where)
{
	asm volatile("*(u64 *)(r1 + 0) = r10; r0 = 0; exit");
}

// want verify: "pointer-leak"
SEC("raw_tp/sys_enter") ASM int frame_pointer_of_callee_stored(void *ctx)
{
	asm volatile("r1 = r10; r1 += -8; call store_frame_pointer; r0 = 0; exit");
}

static ASM __attribute__((noinline, used)) int return_frame_pointer(void)
{
	asm volatile("r0 = r10; exit");
}

// want verify: "pointer-leak"
SEC("raw_tp/sys_enter") ASM int frame_pointer_of_callee_returned(void *ctx)
{
	asm volatile("call return_frame_pointer; r0 = 0; exit");
}

// want verify: "pointer-arithmetic"
SEC("raw_tp/sys_enter") ASM int pointers_added(void *ctx)
{
	asm volatile("r2 = r10; r2 += r1; r0 = 0; exit");
}

// want verify: "pointer-arithmetic"
SEC("raw_tp/sys_enter") ASM int pointer_masked(void *ctx)
{
	asm volatile("r2 = r10; r2 &= 7; r0 = 0; exit");
}

// want verify: "pointer-arithmetic"
SEC("raw_tp/sys_enter") ASM int pointer_multiplied(void *ctx)
{
	asm volatile("r2 = r10; r2 *= 2; r0 = 0; exit");
}

// want verify: "pointer-arithmetic"
SEC("raw_tp/sys_enter") ASM int pointer_in_32_bits(void *ctx)
{
	asm volatile("r2 = r10; w2 += 1; r0 = 0; exit");
}

// want verify: "pointer-arithmetic"
SEC("raw_tp/sys_enter") ASM int pointer_negated(void *ctx)
{
	asm volatile("r2 = r10; r2 = -r2; r0 = 0; exit");
}

// want verify: "pointer-arithmetic"
SEC("raw_tp/sys_enter") ASM int pointers_of_two_kinds_subtracted(void *ctx)
{
	asm volatile("r2 = r10; r2 -= r1; r0 = 0; exit");
}

// want verify: accept
SEC("raw_tp/sys_enter") ASM int pointers_subtracted(void *ctx)
{
	asm volatile("r2 = r10; r2 += -8; r0 = r10; r0 -= r2; exit");
}

// want verify: accept
SEC("raw_tp/sys_enter") ASM int pointer_moved(void *ctx)
{
	asm volatile("r2 = r10; r2 += -16; r2 += 8; r1 = 0; *(u64 *)(r2 + 0) = r1; r0 = *(u64 *)(r10 - 8); exit");
}

// want verify: "pointer-arithmetic"
SEC("raw_tp/sys_enter") ASM int stack_pointer_subtracted_from(void *ctx)
{
	asm volatile("r2 = r10; r2 -= 8; r0 = 0; exit");
}

// want verify: "pointer-arithmetic"
SEC("raw_tp/sys_enter") ASM int map_moved(void *ctx)
{
	asm volatile("r1 = %[values] ll; r1 += 8; r0 = 0; exit" ::[values] "i"(&values));
}

// want verify: accept
SEC("raw_tp/sys_enter") int value_moved_far_and_not_used(unsigned long *ctx)
{
	__u32 key = 1;
	struct value *v = bpf_map_lookup_elem(&values, &key);
	unsigned long n = ctx[0] & 0xffffffff;
	char *p = (char *)v;

	if (!v)
		return 0;
	opaque(n);
	p += n;
	opaque(p);
	return 0;
}

// want verify: "value-bounds"
SEC("raw_tp/sys_enter") int value_moved_far_and_used(unsigned long *ctx)
{
	__u32 key = 1;
	struct value *v = bpf_map_lookup_elem(&values, &key);
	unsigned long n = ctx[0] & 0x7fffffffffffffff;
	char *p = (char *)v;

	if (!v)
		return 0;
	opaque(n);
	n &= 0x7fffffffffffffff;
	p += n;
	opaque(p);
	return p[63];
}
