// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
// Nested loops.
#include "input.h"

#define SIDE 8
#define LIMIT 512

__u8 composite[LIMIT];

// The product of two matrices, both in the input.
SEC("socket")
int loop_matrix(void *ctx)
{
	__u32 digest = 0;

	LOOP(__u32 row = 0; row < SIDE; row++) {
		LOOP(__u32 column = 0; column < SIDE; column++) {
			__u32 sum = 0;

			LOOP(__u32 i = 0; i < SIDE; i++)
				sum += WORD32(row * SIDE + i) * WORD32(SIDE * SIDE + i * SIDE + column);
			digest = digest * 31 + sum;
		}
	}
	return digest;
}

// The sieve of Eratosthenes: the number of primes below LIMIT and their sum.
SEC("socket")
int loop_sieve(void *ctx)
{
	__u32 count = zero, sum = zero;

	LOOP(__u32 i = 0; i < LIMIT; i++) {
		composite[i] = 0;
		barrier(); // or clang stores 512 zeros one by one
	}
	LOOP(__u32 n = 2; n < LIMIT; n++) {
		if (composite[n])
			continue;
		count++;
		sum += n;
		LOOP(__u32 i = n * 2; i < LIMIT; i += n)
			composite[i] = 1;
	}
	return sum << 8 ^ count;
}
