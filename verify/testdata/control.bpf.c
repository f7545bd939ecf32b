// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
// Loops, jumps, calls, return values.
#include "program.h"

// want verify: "infinite-loop"
SEC("raw_tp/sys_enter") ASM int loop_for_ever(void *ctx)
{
	asm volatile("r0 = 0; l1_%=: r1 = r0; if r1 == 0 goto l1_%=; exit" ::);
}

// want verify: "infinite-loop"
SEC("raw_tp/sys_enter") int loop_until_random(void *ctx)
{
	while (bpf_get_prandom_u32())
		;
	return 0;
}

// want verify: accept
SEC("raw_tp/sys_enter") int loop_until_random_bounded(void *ctx)
{
	for (int i = 0; i < 100; i++)
		if (!bpf_get_prandom_u32())
			break;
	return 0;
}

// want verify: "too-complex"
SEC("raw_tp/sys_enter") int loop_unbounded(unsigned long *ctx)
{
	unsigned long n = ctx[0], sum = 0;

	for (unsigned long i = 0; i < n; i++) {
		opaque(i);
		sum += i;
	}
	return sum;
}

// want verify: accept
SEC("raw_tp/sys_enter") int loop_bounded(unsigned long *ctx)
{
	unsigned long n = ctx[0], sum = 0;

	if (n > 200)
		n = 200;
	for (unsigned long i = 0; i < n; i++) {
		opaque(i);
		sum += i;
	}
	return sum;
}

// want verify: accept
SEC("raw_tp/sys_enter") int loop_with_branches(unsigned long *ctx)
{
	__u32 odd = 0, even = 0;

	for (int i = 0; i < 200; i++) {
		unsigned long x = bpf_get_prandom_u32();

		opaque(x);
		if (x & 1)
			odd++;
		else
			even++;
	}
	return odd * 1000 + even;
}

// want verify: "jump-outside"
SEC("raw_tp/sys_enter") ASM int jump_outside(void *ctx)
{
	asm volatile("r0 = 0; if r0 == 0 goto +100; exit");
}

// want verify: "jump-outside"
SEC("raw_tp/sys_enter") ASM int jump_before(void *ctx)
{
	asm volatile("r0 = 0; if r0 == 1 goto -100; exit");
}

// want verify: accept
SEC("raw_tp/sys_enter") ASM int jump_inside(void *ctx)
{
	asm volatile("r0 = 0; if r0 == 0 goto +0; exit");
}

// want verify: "jump-outside"
SEC("raw_tp/sys_enter") ASM int jump_into_load(void *ctx)
{
	asm volatile("r0 = 0; if r0 == 0 goto +1; r1 = 0x1122334455 ll; exit");
}

// want verify: accept
SEC("raw_tp/sys_enter") ASM int jump_over_load(void *ctx)
{
	asm volatile("r0 = 0; if r0 == 0 goto +2; r1 = 0x1122334455 ll; exit");
}

// want verify: "jump-outside"
SEC("raw_tp/sys_enter") ASM int end_without_exit(void *ctx)
{
	asm volatile("r0 = 0");
}

// want verify: "unreachable"
SEC("raw_tp/sys_enter") ASM int code_unreachable(void *ctx)
{
	asm volatile("r0 = 0; exit; r0 = 1; exit");
}

// want verify: accept
SEC("raw_tp/sys_enter") ASM int code_never_taken(void *ctx)
{
	asm volatile("r0 = 0; if r0 == 0 goto +1; r0 = r9; exit");
}

// want verify: "missing-return"
SEC("raw_tp/sys_enter") ASM int return_missing(void *ctx)
{
	asm volatile("r1 = 0; exit");
}

// want verify: "missing-return"
SEC("raw_tp/sys_enter") ASM int return_missing_on_one_path(void *ctx)
{
	asm volatile("r1 = *(u64 *)(r1 + 0); if r1 > 7 goto l1_%=; r0 = 0; l1_%=: exit" ::);
}

// want verify: accept
SEC("raw_tp/sys_enter") ASM int return_set(void *ctx)
{
	asm volatile("r1 = *(u64 *)(r1 + 0); r0 = 1; if r1 > 7 goto l1_%=; r0 = 0; l1_%=: exit" ::);
}

// want verify: "return-range"
SEC("kprobe.session") int return_two(void *ctx)
{
	return 2;
}

// want verify: accept
SEC("kprobe.session") int return_one(void *ctx)
{
	return 1;
}

// want verify: "malformed"
SEC("raw_tp/sys_enter") ASM int shift_too_far(void *ctx)
{
	asm volatile("r0 = 1; r0 <<= 64; exit");
}

// want verify: accept
SEC("raw_tp/sys_enter") ASM int shift_far(void *ctx)
{
	asm volatile("r0 = 1; r0 <<= 63; exit");
}

// want verify: "malformed"
SEC("raw_tp/sys_enter") ASM int divide_by_zero(void *ctx)
{
	asm volatile("r0 = 1; r0 /= 0; exit");
}

// want verify: accept
SEC("raw_tp/sys_enter") ASM int divide_by_what_may_be_zero(void *ctx)
{
	asm volatile("r1 = *(u64 *)(r1 + 0); r0 = 1; r0 /= r1; exit");
}

// want verify: "malformed"
SEC("raw_tp/sys_enter") ASM int frame_pointer_written(void *ctx)
{
	asm volatile("r10 = 0; r0 = 0; exit");
}

#define FRAME(n)                                                                   \
	static ASM __attribute__((noinline, used)) int frame_of_##n(void)          \
	{                                                                          \
		asm volatile("r0 = 0; *(u64 *)(r10 - " #n ") = r0; exit");         \
	}
FRAME(256)
FRAME(264)

// want verify: "stack-depth"
SEC("socket") ASM int calls_too_deep(void *ctx)
{
	asm volatile("r0 = 0; *(u64 *)(r10 - 256) = r0; call frame_of_264; exit");
}

// want verify: accept
SEC("socket") ASM int calls_deep(void *ctx)
{
	asm volatile("r0 = 0; *(u64 *)(r10 - 256) = r0; call frame_of_256; exit");
}

// want verify: accept
SEC("raw_tp/sys_enter") ASM int calls_with_own_stacks(void *ctx)
{
	asm volatile("r0 = 0; *(u64 *)(r10 - 256) = r0; call frame_of_264; exit");
}

#define NEST(n, m)                                                      \
	static __attribute__((noinline)) int nest##n(unsigned long x)   \
	{                                                               \
		asm volatile("" : "+r"(x));                             \
		return m(x) + 1;                                        \
	}
static __attribute__((noinline)) int nest0(unsigned long x)
{
	asm volatile("" : "+r"(x));
	return x;
}
NEST(1, nest0)
NEST(2, nest1)
NEST(3, nest2)
NEST(4, nest3)
NEST(5, nest4)
NEST(6, nest5)
NEST(7, nest6)

// want verify: "stack-depth"
SEC("raw_tp/sys_enter") int calls_nested_nine(unsigned long *ctx)
{
	return nest7(ctx[0]);
}

// want verify: accept
SEC("raw_tp/sys_enter") int calls_nested_eight(unsigned long *ctx)
{
	return nest6(ctx[0]);
}

static ASM __attribute__((noinline, used)) int again(void)
{
	asm volatile("if r1 == 0 goto l1_%=; r1 += -1; call again; l1_%=: r0 = 0; exit" ::);
}

// want verify: "stack-depth"
SEC("raw_tp/sys_enter") ASM int calls_itself(unsigned long *ctx)
{
	asm volatile("r1 = *(u64 *)(r1 + 0); r1 &= 3; call again; exit");
}

static __attribute__((noinline)) void fill(char *b, unsigned long n)
{
	b[n & 7] = 1;
}

// want verify: "uninitialized"
SEC("raw_tp/sys_enter") int call_fills_one_byte(unsigned long *ctx)
{
	char b[8];

	fill(b, ctx[0]);
	return b[3];
}

// want verify: accept
SEC("raw_tp/sys_enter") int call_changes_one_byte(unsigned long *ctx)
{
	char b[8] = {};

	fill(b, ctx[0]);
	return b[3];
}
