// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
// Arithmetic in registers: 64-bit, 32-bit, division.
#include "input.h"

SEC("socket")
int alu_mix64(void *ctx)
{
	__u64 x = WORD64(0);

	LOOP(__u64 i = 0; i < 256; i++) {
		x = x * 6364136223846793005ULL + i;
		x ^= x >> 29;
		x += x << 7;
		x = x << 13 | x >> 51;
	}
	return FOLD(x);
}

SEC("socket")
int alu_mix32(void *ctx)
{
	__u32 x = WORD32(0) | 1, sum = 0;

	LOOP(__u32 i = 0; i < 256; i++) {
		x ^= x << 13;
		x ^= x >> 17;
		x ^= x << 5;
		sum = (sum << 3 | sum >> 29) + (x & ~i);
	}
	return sum;
}

SEC("socket")
int alu_divide(void *ctx)
{
	__u64 x = WORD64(0), sum = 0;

	LOOP(__u64 i = 1; i <= 128; i++) {
		sum += x / i;
		sum ^= x % (i + 7);
		x += sum;
	}
	return FOLD(sum);
}
