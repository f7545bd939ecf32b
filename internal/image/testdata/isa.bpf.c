// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
// cflags: -mcpu=v4
// Instructions that assemblers keep in more than the opcode byte. Compiled for
// cpu v4.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

char LICENSE[] SEC("license") = "Dual BSD/GPL";

__s64 a = 100, b = -7, c = 9, result;
__u64 counter;
__u32 counter32;
signed char bytes[4];

SEC("tc")
int atomics(struct __sk_buff *ctx)
{
	__sync_fetch_and_add(&counter, 1);
	result = __sync_fetch_and_add(&counter, 2);
	result += __sync_fetch_and_and(&counter, 3);
	result += __sync_fetch_and_or(&counter, 4);
	result += __sync_fetch_and_xor(&counter32, 5);
	result += __sync_lock_test_and_set(&counter32, 6);
	result += __sync_val_compare_and_swap(&counter, 7, 8);
	return 0;
}

SEC("tc")
int signed_math(struct __sk_buff *ctx)
{
	__s32 a32 = a, b32 = b;

	if (!b || !b32 || !c)
		return 0;
	result = a / b + a32 / b32 + a / 3;
	result += a % c + c % b + (int)c % b32;
	result += (signed char)a + (short)b + (int)ctx->len;
	result += bytes[ctx->len & 3];
	result += __builtin_bswap64(a) + __builtin_bswap16(b);
	return 0;
}

SEC("tc")
int long_jump(struct __sk_buff *ctx)
{
	asm volatile("r0 = 0\n"
		     "if r0 != 0 goto 2f\n"
		     "gotol 1f\n"
		     "2: r0 = 1\n"
		     "1: r1 = 0x1122334455667788 ll\n" ::: "r0", "r1");
	return 0;
}
