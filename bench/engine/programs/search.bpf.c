// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
// Searches in the input.
#include "input.h"

// 32 binary searches in 256 sorted words.
SEC("socket")
int search_binary(void *ctx)
{
	__u32 digest = 0;

	LOOP(__u32 n = 0; n < 32; n++) {
		__u32 key = n * 0x08000001u;
		__u32 low = zero;

		LOOP(__u32 half = 128; half; half >>= 1) {
			if (WORD32((low + half) & 255) <= key)
				low += half;
		}
		digest = digest * 31 + low;
	}
	return digest;
}

// How often three bytes stand in the input, and the sum of the places.
SEC("socket")
int search_bytes(void *ctx)
{
	__u32 count = zero, last = zero;

	LOOP(int i = 0; i < 512; i++) {
		if (input[i] == 'a' && input[i + 1] == 'n' && input[i + 2] == 'd') {
			count++;
			last += i;
		}
	}
	return count << 16 | last;
}

// The greatest word.
SEC("socket")
int search_greatest(void *ctx)
{
	__u32 greatest = 0;

	LOOP(int i = 0; i < 128; i++) {
		__u32 word = WORD32(i);

		if (word > greatest)
			greatest = word;
	}
	return greatest;
}
