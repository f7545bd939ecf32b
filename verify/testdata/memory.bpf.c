// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
// The stack, the context, values of maps.
#include "program.h"

// want verify: "uninitialized"
SEC("raw_tp/sys_enter") ASM int register_unwritten(void *ctx)
{
	asm volatile("r0 = r2; exit");
}

// want verify: accept
SEC("raw_tp/sys_enter") ASM int register_written(void *ctx)
{
	asm volatile("r2 = 0; r0 = r2; exit");
}

// want verify: "uninitialized"
SEC("raw_tp/sys_enter") ASM int register_written_on_one_path(void *ctx)
{
	asm volatile("r1 = *(u64 *)(r1 + 0);"
		     "if r1 > 5 goto l1_%=;"
		     "r2 = 1;"
		     "l1_%=: r0 = r2; exit" ::);
}

// want verify: accept
SEC("raw_tp/sys_enter") ASM int register_written_on_both_paths(void *ctx)
{
	asm volatile("r1 = *(u64 *)(r1 + 0);"
		     "r2 = 0;"
		     "if r1 > 5 goto l1_%=;"
		     "r2 = 1;"
		     "l1_%=: r0 = r2; exit" ::);
}

// want verify: "uninitialized"
SEC("raw_tp/sys_enter") ASM int register_lost_in_call(void *ctx)
{
	asm volatile("call %[ktime]; r0 = r1; exit" ::[ktime] "i"(BPF_FUNC_ktime_get_ns));
}

// want verify: accept
SEC("raw_tp/sys_enter") ASM int register_saved_over_call(void *ctx)
{
	asm volatile("r6 = 1; call %[ktime]; r0 = r6; exit" ::[ktime] "i"(BPF_FUNC_ktime_get_ns));
}

// want verify: "uninitialized"
SEC("raw_tp/sys_enter") ASM int stack_unwritten(void *ctx)
{
	asm volatile("r0 = *(u64 *)(r10 - 8); exit");
}

// want verify: accept
SEC("raw_tp/sys_enter") ASM int stack_written(void *ctx)
{
	asm volatile("r1 = 7; *(u64 *)(r10 - 8) = r1; r0 = *(u64 *)(r10 - 8); exit");
}

// want verify: "uninitialized"
SEC("raw_tp/sys_enter") ASM int stack_half_written(void *ctx)
{
	asm volatile("r1 = 7; *(u32 *)(r10 - 8) = r1; r0 = *(u64 *)(r10 - 8); exit");
}

// want verify: accept
SEC("raw_tp/sys_enter") ASM int stack_written_in_halves(void *ctx)
{
	asm volatile("r1 = 7; *(u32 *)(r10 - 8) = r1; *(u32 *)(r10 - 4) = r1; r0 = *(u64 *)(r10 - 8); exit");
}

// want verify: "uninitialized"
SEC("raw_tp/sys_enter") int key_unwritten(void *ctx)
{
	__u32 key;

	asm volatile("" : "=m"(key)); // the compiler believes that it is written
	return bpf_map_delete_elem(&values, &key);
}

// want verify: accept
SEC("raw_tp/sys_enter") int key_written(void *ctx)
{
	__u32 key = 3;

	return bpf_map_delete_elem(&values, &key);
}

// want verify: "stack-bounds"
SEC("raw_tp/sys_enter") ASM int stack_below(void *ctx)
{
	asm volatile("r0 = 0; *(u64 *)(r10 - 520) = r0; exit");
}

// want verify: accept
SEC("raw_tp/sys_enter") ASM int stack_lowest(void *ctx)
{
	asm volatile("r0 = 0; *(u64 *)(r10 - 512) = r0; exit");
}

// want verify: "stack-bounds"
SEC("raw_tp/sys_enter") ASM int stack_above(void *ctx)
{
	asm volatile("r0 = 0; *(u64 *)(r10 + 0) = r0; exit");
}

// want verify: accept
SEC("raw_tp/sys_enter") ASM int stack_highest(void *ctx)
{
	asm volatile("r0 = 0; *(u64 *)(r10 - 8) = r0; exit");
}

// want verify: "stack-bounds"
SEC("raw_tp/sys_enter") int stack_index_too_large(unsigned long *ctx)
{
	volatile char b[16] = {};
	unsigned long n = ctx[0] & 31;

	opaque(n);
	return b[n & 31];
}

// want verify: accept
SEC("raw_tp/sys_enter") int stack_index_masked(unsigned long *ctx)
{
	volatile char b[16] = {};
	unsigned long n = ctx[0];

	return b[n & 15];
}

// want verify: "uninitialized"
SEC("raw_tp/sys_enter") ASM int stack_index_unwritten(void *ctx)
{
	asm volatile("r1 = *(u64 *)(r1 + 0); r1 &= 7;"
		     "r2 = 0; *(u32 *)(r10 - 8) = r2;"
		     "r3 = r10; r3 += -8; r3 += r1; r0 = *(u8 *)(r3 + 0); exit");
}

// want verify: accept
SEC("raw_tp/sys_enter") ASM int stack_index_written(void *ctx)
{
	asm volatile("r1 = *(u64 *)(r1 + 0); r1 &= 7;"
		     "r2 = 0; *(u64 *)(r10 - 8) = r2;"
		     "r3 = r10; r3 += -8; r3 += r1; r0 = *(u8 *)(r3 + 0); exit");
}

// want verify: "pointer-arithmetic"
SEC("raw_tp/sys_enter") ASM int stack_index_overwrites_number(void *ctx)
{
	asm volatile("r2 = *(u64 *)(r1 + 8); r1 = *(u64 *)(r1 + 0); r1 &= 7;"
		     "r3 = 4; *(u64 *)(r10 - 8) = r3;"
		     "r3 = r10; r3 += -8; r3 += r1; *(u8 *)(r3 + 0) = r2;"
		     "r3 = *(u64 *)(r10 - 8); r4 = r10; r4 += -16; r4 += r3; *(u8 *)(r4 + 0) = r2; r0 = 0; exit");
}

// want verify: accept
SEC("raw_tp/sys_enter") ASM int stack_index_beside_number(void *ctx)
{
	asm volatile("r2 = *(u64 *)(r1 + 8); r1 = *(u64 *)(r1 + 0); r1 &= 7;"
		     "r3 = 4; *(u64 *)(r10 - 8) = r3;"
		     "r3 = r10; r3 += -16; r3 += r1; *(u8 *)(r3 + 0) = r2;"
		     "r3 = *(u64 *)(r10 - 8); r4 = r10; r4 += -16; r4 += r3; *(u8 *)(r4 + 0) = r2; r0 = 0; exit");
}

// want verify: "pointer-arithmetic"
SEC("raw_tp/sys_enter") ASM int stack_number_overwritten_in_part(void *ctx)
{
	asm volatile("r2 = *(u64 *)(r1 + 8);"
		     "r3 = 1024; *(u64 *)(r10 - 8) = r3; *(u8 *)(r10 - 8) = r2;"
		     "r3 = *(u64 *)(r10 - 8); r4 = r10; r4 += -16; r4 += r3; *(u8 *)(r4 + 0) = r2; r0 = 0; exit");
}

// want verify: "uninitialized"
SEC("raw_tp/sys_enter") ASM int stack_pointer_overwritten_in_part(void *ctx)
{
	asm volatile("*(u64 *)(r10 - 8) = r1; r2 = 0; *(u8 *)(r10 - 1) = r2; r0 = *(u64 *)(r10 - 8); exit");
}

// want verify: "misaligned"
SEC("raw_tp/sys_enter") ASM int stack_misaligned(void *ctx)
{
	asm volatile("r0 = 0; *(u64 *)(r10 - 12) = r0; exit");
}

// want verify: accept
SEC("raw_tp/sys_enter") ASM int stack_aligned(void *ctx)
{
	asm volatile("r0 = 0; *(u32 *)(r10 - 12) = r0; exit");
}

// want verify: "context-bounds"
SEC("raw_tp/sys_enter") int context_beyond(unsigned long *ctx)
{
	return ctx[12];
}

// want verify: accept
SEC("raw_tp/sys_enter") int context_last(unsigned long *ctx)
{
	return ctx[11];
}

// want verify: "context-bounds"
SEC("tracepoint/syscalls/sys_enter_read") int context_of_the_kernel(unsigned long *ctx)
{
	return ctx[0];
}

// want verify: accept
SEC("tracepoint/syscalls/sys_enter_read") int context_of_the_tracepoint(unsigned long *ctx)
{
	return ctx[1];
}

// want verify: "context-bounds"
SEC("kprobe") ASM int context_moved(void *ctx)
{
	asm volatile("r1 += 8; r0 = *(u64 *)(r1 + 0); exit");
}

// want verify: accept
SEC("kprobe") ASM int context_offset(void *ctx)
{
	asm volatile("r0 = *(u64 *)(r1 + 8); exit");
}

// want verify: "context-bounds"
SEC("perf_event") ASM int context_half_register(void *ctx)
{
	asm volatile("r0 = *(u32 *)(r1 + 8); exit");
}

// want verify: accept
SEC("perf_event") ASM int context_whole_register(void *ctx)
{
	asm volatile("r0 = *(u64 *)(r1 + 8); exit");
}

// want verify: "read-only"
SEC("kprobe") ASM int context_written(void *ctx)
{
	asm volatile("r0 = 0; *(u64 *)(r1 + 8) = r0; exit");
}

// want verify: accept
SEC("tc") ASM int context_field_written(void *ctx)
{
	asm volatile("r0 = 0; *(u32 *)(r1 + 8) = r0; exit"); // mark
}

// want verify: "value-bounds"
SEC("raw_tp/sys_enter") int value_beyond(void *ctx)
{
	__u32 key = 1;
	struct value *v = bpf_map_lookup_elem(&values, &key);

	return v ? v->data[56] : 0;
}

// want verify: accept
SEC("raw_tp/sys_enter") int value_last(void *ctx)
{
	__u32 key = 1;
	struct value *v = bpf_map_lookup_elem(&values, &key);

	return v ? v->data[55] : 0;
}

// want verify: "value-bounds"
SEC("raw_tp/sys_enter") int value_before(void *ctx)
{
	__u32 key = 1;
	struct value *v = bpf_map_lookup_elem(&values, &key);

	return v ? *((char *)v - 1) : 0;
}

// want verify: "value-bounds"
SEC("raw_tp/sys_enter") int value_index_too_large(unsigned long *ctx)
{
	__u32 key = 1;
	unsigned long n = ctx[0] & 63;
	struct value *v = bpf_map_lookup_elem(&values, &key);

	return v ? v->data[n] : 0;
}

// want verify: accept
SEC("raw_tp/sys_enter") int value_index_checked(unsigned long *ctx)
{
	__u32 key = 1;
	unsigned long n = ctx[0] & 63;
	struct value *v = bpf_map_lookup_elem(&values, &key);

	return v && n < 56 ? v->data[n] : 0;
}

// want verify: "pointer-arithmetic"
SEC("raw_tp/sys_enter") int value_index_unbounded(unsigned long *ctx)
{
	__u32 key = 1;
	struct value *v = bpf_map_lookup_elem(&values, &key);

	return v ? v->data[ctx[0]] : 0;
}

// want verify: accept
SEC("raw_tp/sys_enter") int value_index_signed(unsigned long *ctx)
{
	__u32 key = 1;
	long n = ctx[0];
	struct value *v = bpf_map_lookup_elem(&values, &key);

	if (!v)
		return 0;
	opaque(n);
	if (n < 0 || n > 10)
		return 0;
	opaque(n);
	return v->data[n];
}

// want verify: "pointer-arithmetic"
SEC("raw_tp/sys_enter") int value_index_checked_above_only(unsigned long *ctx)
{
	__u32 key = 1;
	struct value *v = bpf_map_lookup_elem(&values, &key);
	long n = ctx[0];

	if (!v)
		return 0;
	opaque(n);
	if (n > 10)
		return 0;
	opaque(n);
	return v->data[n];
}

// want verify: "null-pointer"
SEC("raw_tp/sys_enter") int value_not_checked(void *ctx)
{
	__u32 key = 1;
	struct value *v = bpf_map_lookup_elem(&values, &key);

	return v->count;
}

// want verify: accept
SEC("raw_tp/sys_enter") int value_checked(void *ctx)
{
	__u32 key = 1;
	struct value *v = bpf_map_lookup_elem(&values, &key);

	return v ? v->count : 0;
}

// want verify: "null-pointer"
SEC("raw_tp/sys_enter") int value_moved_before_check(void *ctx)
{
	__u32 key = 1;
	struct value *v = bpf_map_lookup_elem(&values, &key);
	__u8 *d = v->data;

	opaque(d);
	return d ? *d : 0;
}

// want verify: accept
SEC("raw_tp/sys_enter") ASM int value_copy_checked(void *ctx)
{
	asm volatile("r1 = 1; *(u32 *)(r10 - 4) = r1; r2 = r10; r2 += -4;"
		     "r1 = %[values] ll; call %[lookup];"
		     "*(u64 *)(r10 - 16) = r0; r6 = r0;" // the check of one copy counts for all
		     "if r6 == 0 goto l1_%=;"
		     "r1 = *(u64 *)(r10 - 16); r0 = *(u64 *)(r1 + 0);"
		     "l1_%=: exit" ::[values] "i"(&values), [lookup] "i"(BPF_FUNC_map_lookup_elem));
}

// want verify: accept
SEC("raw_tp/sys_enter") int value_of_constant_index(void *ctx)
{
	__u32 key = 0;
	struct value *v = bpf_map_lookup_elem(&slots, &key); // there are 4: it is there

	return v->count;
}

// want verify: "null-pointer"
SEC("raw_tp/sys_enter") int value_of_index_beyond(void *ctx)
{
	__u32 key = 4;
	struct value *v = bpf_map_lookup_elem(&slots, &key);

	return v->count;
}

const volatile __u32 limit = 8;
static const __u8 table[8] = {1, 2, 3, 4, 5, 6, 7, 55};

// want verify: accept
SEC("raw_tp/sys_enter") int constants_known(unsigned long *ctx)
{
	volatile char b[16] = {};
	__u32 n = 0;

	for (int i = 0; i < limit; i++) // limit is 8
		n += b[i];
	return n;
}

// want verify: accept
SEC("raw_tp/sys_enter") int constants_of_any_index(unsigned long *ctx)
{
	return table[ctx[0] & 7];
}

// want verify: "read-only"
SEC("raw_tp/sys_enter") int constants_written(unsigned long *ctx)
{
	*(volatile __u32 *)&limit = 9;
	return 0;
}

// want verify: "not-a-pointer"
SEC("raw_tp/sys_enter") int number_as_address(unsigned long *ctx)
{
	return *(int *)ctx[0];
}

// want verify: accept
SEC("raw_tp/sys_enter") int number_read_through(unsigned long *ctx)
{
	int x = 0;

	bpf_probe_read_kernel(&x, sizeof(x), (void *)ctx[0]);
	return x;
}

// want verify: "misaligned"
SEC("raw_tp/sys_enter") ASM int atomic_misaligned(void *ctx)
{
	asm volatile("r1 = 1; *(u32 *)(r10 - 4) = r1; r2 = r10; r2 += -4;"
		     "r1 = %[values] ll; call %[lookup];"
		     "if r0 == 0 goto l1_%=;"
		     "r1 = 1; lock *(u64 *)(r0 + 1) += r1;"
		     "l1_%=: r0 = 0; exit" ::[values] "i"(&values), [lookup] "i"(BPF_FUNC_map_lookup_elem));
}

// want verify: accept
SEC("raw_tp/sys_enter") ASM int atomic_aligned(void *ctx)
{
	asm volatile("r1 = 1; *(u32 *)(r10 - 4) = r1; r2 = r10; r2 += -4;"
		     "r1 = %[values] ll; call %[lookup];"
		     "if r0 == 0 goto l1_%=;"
		     "r1 = 1; lock *(u64 *)(r0 + 8) += r1;"
		     "l1_%=: r0 = 0; exit" ::[values] "i"(&values), [lookup] "i"(BPF_FUNC_map_lookup_elem));
}

// want verify: "read-only"
SEC("kprobe") ASM int atomic_on_context(void *ctx)
{
	asm volatile("r2 = 1; lock *(u64 *)(r1 + 8) += r2; r0 = 0; exit");
}
