// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
// cflags: -mcpu=v4
// What cpu v4 brought: signed division, sign-extending loads and moves, byte
// swaps.
#include "input.h"

SEC("socket")
int alu_signed(void *ctx)
{
	__s64 sum = 0;

	LOOP(int i = 0; i < 128; i++) {
		__s64 number = ((__s16 *)input)[i];
		__s64 divisor = (__s8)input[512 + i] | 1;

		sum += number / divisor;
		sum ^= number % divisor;
		sum += __builtin_bswap32((__u32)sum);
	}
	return FOLD((__u64)sum);
}
