// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
// Mistakes on the path that is walked last, where it meets one that was walked
// without any: a verifier that stops there too early accepts them.
#include "program.h"

// Two numbers that nothing is known of.
#define BEGIN "r8 = *(u64 *)(r1 + 0); r9 = *(u64 *)(r1 + 8);"
// Enough to walk for a state to be kept.
#define MEET "r5 = 0; r5 += 1; r5 += 1; r5 += 1; r5 += 1; r5 += 1; r5 += 1; if r9 == 1 goto +0; if r9 == 2 goto +0;"
// Byte r7 of 32 bytes at the top of the stack.
#define INDEX "r1 = r10; r1 += -32; r1 += r7; r2 = 1; *(u8 *)(r1 + 0) = r2; r0 = 0; exit;"

// want verify: "stack-bounds"
SEC("raw_tp/sys_enter") ASM int index_on_path(void *ctx)
{
	asm volatile(BEGIN "r7 = 40; if r8 == 0 goto l1_%=; r7 = 4; l1_%=:" MEET INDEX ::);
}

// want verify: accept
SEC("raw_tp/sys_enter") ASM int index_on_path_mended(void *ctx)
{
	asm volatile(BEGIN "r7 = 31; if r8 == 0 goto l1_%=; r7 = 4; l1_%=:" MEET INDEX ::);
}

// want verify: "stack-bounds"
SEC("raw_tp/sys_enter") ASM int index_in_stack(void *ctx)
{
	asm volatile(BEGIN "r7 = 40; if r8 == 0 goto l1_%=; r7 = 4; l1_%=: *(u64 *)(r10 - 40) = r7;" MEET
			   "r7 = *(u64 *)(r10 - 40);" INDEX ::);
}

// want verify: accept
SEC("raw_tp/sys_enter") ASM int index_in_stack_mended(void *ctx)
{
	asm volatile(BEGIN "r7 = 31; if r8 == 0 goto l1_%=; r7 = 4; l1_%=: *(u64 *)(r10 - 40) = r7;" MEET
			   "r7 = *(u64 *)(r10 - 40);" INDEX ::);
}

// want verify: "stack-bounds"
SEC("raw_tp/sys_enter") ASM int index_stored_through_pointer(void *ctx)
{
	asm volatile(BEGIN "r7 = 40; if r8 == 0 goto l1_%=; r7 = 4; l1_%=:" MEET
			   "r6 = r10; r6 += -40; *(u64 *)(r6 + 0) = r7;" MEET "r7 = *(u64 *)(r10 - 40);" INDEX ::);
}

// want verify: accept
SEC("raw_tp/sys_enter") ASM int index_stored_through_pointer_mended(void *ctx)
{
	asm volatile(BEGIN "r7 = 31; if r8 == 0 goto l1_%=; r7 = 4; l1_%=:" MEET
			   "r6 = r10; r6 += -40; *(u64 *)(r6 + 0) = r7;" MEET "r7 = *(u64 *)(r10 - 40);" INDEX ::);
}

// want verify: "stack-bounds"
SEC("raw_tp/sys_enter") ASM int bound_on_path(void *ctx)
{
	asm volatile("r7 = *(u64 *)(r1 + 16);" BEGIN "r6 = 40; if r8 == 0 goto l1_%=; r6 = 4; l1_%=:" MEET
			   "if r7 > r6 goto l2_%=;" INDEX "l2_%=: r0 = 0; exit" ::);
}

// want verify: accept
SEC("raw_tp/sys_enter") ASM int bound_on_path_mended(void *ctx)
{
	asm volatile("r7 = *(u64 *)(r1 + 16);" BEGIN "r6 = 31; if r8 == 0 goto l1_%=; r6 = 4; l1_%=:" MEET
			   "if r7 > r6 goto l2_%=;" INDEX "l2_%=: r0 = 0; exit" ::);
}

// want verify: "stack-bounds"
SEC("raw_tp/sys_enter") ASM int index_of_load(void *ctx)
{
	asm volatile("r1 = *(u64 *)(r1 + 0); r2 = 0; *(u64 *)(r10 - 8) = r2; r8 = r1; r9 = r1;"
		     "r7 = 8; if r8 == 0 goto l1_%=; r7 = 0; l1_%=:" MEET
		     "r1 = r10; r1 += -8; r1 += r7; r0 = *(u64 *)(r1 + 0); exit" ::);
}

// want verify: "stack-bounds"
SEC("raw_tp/sys_enter") ASM int decided_on_path(void *ctx)
{
	asm volatile(BEGIN "r6 = 40; if r8 == 0 goto l1_%=; r6 = 4; l1_%=:" MEET
			   "if r6 > 31 goto l2_%=; r0 = 0; exit; l2_%=: r7 = 32;" INDEX ::);
}

// want verify: accept
SEC("raw_tp/sys_enter") ASM int decided_on_path_mended(void *ctx)
{
	asm volatile(BEGIN "r6 = 31; if r8 == 0 goto l1_%=; r6 = 4; l1_%=:" MEET
			   "if r6 > 31 goto l2_%=; r0 = 0; exit; l2_%=: r7 = 32;" INDEX ::);
}

// want verify: "pointer-arithmetic"
SEC("raw_tp/sys_enter") ASM int copy_on_one_path(void *ctx)
{
	asm volatile(BEGIN "r7 = *(u64 *)(r1 + 16); r6 = 1; if r8 == 0 goto l1_%=; r6 = r7; l1_%=:" MEET
			   "if r6 > 31 goto l2_%=;" INDEX "l2_%=: r0 = 0; exit" ::);
}

// want verify: accept
SEC("raw_tp/sys_enter") ASM int copy_on_both_paths(void *ctx)
{
	asm volatile(BEGIN "r7 = *(u64 *)(r1 + 16); r6 = r7; if r8 == 0 goto l1_%=; r6 = r7; l1_%=:" MEET
			   "if r6 > 31 goto l2_%=;" INDEX "l2_%=: r0 = 0; exit" ::);
}

// want verify: "stack-bounds"
SEC("raw_tp/sys_enter") ASM int copy_further_on_one_path(void *ctx)
{
	asm volatile(BEGIN "r7 = *(u64 *)(r1 + 16); r7 &= 0xff; r6 = r7; r6 += -9; if r8 == 0 goto l1_%=; r6 = r7; r6 += 0; l1_%=:" MEET
			   "if r6 > 31 goto l2_%=;" INDEX "l2_%=: r0 = 0; exit" ::);
}

// want verify: "uninitialized"
SEC("raw_tp/sys_enter") ASM int stack_written_on_one_path(void *ctx)
{
	asm volatile(BEGIN "if r8 == 0 goto l1_%=; r7 = 1; *(u64 *)(r10 - 8) = r7; l1_%=:" MEET
			   "r0 = *(u64 *)(r10 - 8); exit" ::);
}

// want verify: accept
SEC("raw_tp/sys_enter") ASM int stack_written_on_both_paths(void *ctx)
{
	asm volatile(BEGIN "r7 = 2; *(u64 *)(r10 - 8) = r7; if r8 == 0 goto l1_%=; r7 = 1; *(u64 *)(r10 - 8) = r7; l1_%=:" MEET
			   "r0 = *(u64 *)(r10 - 8); exit" ::);
}

// want verify: "pointer-leak"
SEC("raw_tp/sys_enter") ASM int pointer_on_one_path(void *ctx)
{
	asm volatile("r7 = r1;" BEGIN "if r8 == 0 goto l1_%=; r7 = 1; l1_%=:" MEET "r0 = r7; exit" ::);
}

// want verify: accept
SEC("raw_tp/sys_enter") ASM int number_on_both_paths(void *ctx)
{
	asm volatile("r7 = 2;" BEGIN "if r8 == 0 goto l1_%=; r7 = 1; l1_%=:" MEET "r0 = r7; exit" ::);
}

static ASM __attribute__((noinline, used)) int index_of_caller(void)
{
	asm volatile("r1 += r2; r0 = 0; *(u8 *)(r1 + 0) = r0; exit");
}

// want verify: "stack-bounds"
SEC("raw_tp/sys_enter") ASM int argument_on_path(void *ctx)
{
	asm volatile(BEGIN "r7 = 40; if r8 == 0 goto l1_%=; r7 = 4; l1_%=:" MEET
			   "r1 = r10; r1 += -32; r2 = r7; call index_of_caller; r0 = 0; exit" ::);
}

// want verify: accept
SEC("raw_tp/sys_enter") ASM int argument_on_path_mended(void *ctx)
{
	asm volatile(BEGIN "r7 = 31; if r8 == 0 goto l1_%=; r7 = 4; l1_%=:" MEET
			   "r1 = r10; r1 += -32; r2 = r7; call index_of_caller; r0 = 0; exit" ::);
}

static ASM __attribute__((noinline, used)) int result_large(void)
{
	asm volatile("r8 = r1; r9 = r2; r7 = 40; if r8 == 0 goto l1_%=; r7 = 4; l1_%=:" MEET "r0 = r7; exit" ::);
}

static ASM __attribute__((noinline, used)) int result_small(void)
{
	asm volatile("r8 = r1; r9 = r2; r7 = 31; if r8 == 0 goto l1_%=; r7 = 4; l1_%=:" MEET "r0 = r7; exit" ::);
}

// want verify: "stack-bounds"
SEC("raw_tp/sys_enter") ASM int result_on_path(void *ctx)
{
	asm volatile(BEGIN "r1 = r8; r2 = r9; call result_large; r7 = r0;" INDEX);
}

// want verify: accept
SEC("raw_tp/sys_enter") ASM int result_on_path_mended(void *ctx)
{
	asm volatile(BEGIN "r1 = r8; r2 = r9; call result_small; r7 = r0;" INDEX);
}

static ASM __attribute__((noinline, used)) int store_for_caller(void)
{
	asm volatile("*(u64 *)(r1 + 0) = r2; r0 = 0; exit");
}

// want verify: "stack-bounds"
SEC("raw_tp/sys_enter") ASM int index_stored_by_callee(void *ctx)
{
	asm volatile(BEGIN "r7 = 40; if r8 == 0 goto l1_%=; r7 = 4; l1_%=:" MEET
			   "r1 = r10; r1 += -40; r2 = r7; call store_for_caller; r7 = *(u64 *)(r10 - 40);" INDEX ::);
}

// want verify: accept
SEC("raw_tp/sys_enter") ASM int index_stored_by_callee_mended(void *ctx)
{
	asm volatile(BEGIN "r7 = 31; if r8 == 0 goto l1_%=; r7 = 4; l1_%=:" MEET
			   "r1 = r10; r1 += -40; r2 = r7; call store_for_caller; r7 = *(u64 *)(r10 - 40);" INDEX ::);
}

static ASM __attribute__((noinline, used)) int index_from_caller(void)
{
	asm volatile("r3 = *(u64 *)(r1 + 0); r2 += r3; r0 = 0; *(u8 *)(r2 + 0) = r0; exit");
}

// want verify: "stack-bounds"
SEC("raw_tp/sys_enter") ASM int index_read_by_callee(void *ctx)
{
	asm volatile(BEGIN "r7 = 40; if r8 == 0 goto l1_%=; r7 = 4; l1_%=: *(u64 *)(r10 - 40) = r7;" MEET
			   "r1 = r10; r1 += -40; r2 = r10; r2 += -32; call index_from_caller; r0 = 0; exit" ::);
}

// want verify: accept
SEC("raw_tp/sys_enter") ASM int index_read_by_callee_mended(void *ctx)
{
	asm volatile(BEGIN "r7 = 31; if r8 == 0 goto l1_%=; r7 = 4; l1_%=: *(u64 *)(r10 - 40) = r7;" MEET
			   "r1 = r10; r1 += -40; r2 = r10; r2 += -32; call index_from_caller; r0 = 0; exit" ::);
}

// want verify: "null-pointer"
SEC("raw_tp/sys_enter") ASM int key_on_path(void *ctx)
{
	asm volatile(BEGIN "r7 = 4; if r8 == 0 goto l1_%=; r7 = 0; l1_%=: r6 = r7;" MEET
			   "*(u64 *)(r10 - 8) = r6;" MEET
			   "r2 = r10; r2 += -8; r1 = %[slots] ll; call %[lookup]; r0 = *(u8 *)(r0 + 0); exit" ::[slots] "i"(&slots),
		     [lookup] "i"(BPF_FUNC_map_lookup_elem));
}

// want verify: "null-pointer"
SEC("raw_tp/sys_enter") ASM int null_on_path(void *ctx)
{
	asm volatile(BEGIN "r1 = 1; *(u32 *)(r10 - 4) = r1; r2 = r10; r2 += -4; r1 = %[values] ll; call %[lookup];"
			   "r7 = r8; if r9 == 0 goto l1_%=; r7 = 0; l1_%=:" MEET
			   "r6 = r0; if r6 == r7 goto l2_%=; r0 = *(u8 *)(r0 + 0); exit; l2_%=: r0 = 0; exit" ::[values] "i"(&values),
		     [lookup] "i"(BPF_FUNC_map_lookup_elem));
}

// want verify: "reference-leak"
SEC("raw_tp/sys_enter") ASM int record_on_one_path(void *ctx)
{
	asm volatile(BEGIN "r6 = 0; if r8 == 0 goto l1_%=; goto l2_%=;"
			   "l1_%=: r1 = %[ring] ll; r2 = 8; r3 = 0; call %[reserve]; r6 = r0;"
			   "l2_%=:" MEET "r0 = 0; exit" ::[ring] "i"(&ring), [reserve] "i"(BPF_FUNC_ringbuf_reserve));
}

// want verify: accept
SEC("raw_tp/sys_enter") ASM int counters_do_not_matter(void *ctx)
{
	asm volatile("r6 = *(u64 *)(r1 + 0); r7 = 0; r8 = 0;"
		     "l1_%=: if r6 & 1 goto l2_%=; r7 += 1;"
		     "l2_%=: r6 >>= 1; r8 += 1; if r8 != 64 goto l1_%=;"
		     "r0 = r7; exit" ::);
}
