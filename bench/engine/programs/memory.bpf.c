// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
// Loads and stores: copying, sorting, the stack.
#include "input.h"

__u64 copy[INPUT_SIZE / 8];
__u32 sorted[32];

// Copies the input in reverse order, then compares.
SEC("socket")
int memory_copy(void *ctx)
{
	__u32 same = zero;
	__u64 sum = 0;

	LOOP(int i = 0; i < INPUT_SIZE / 8; i++)
		copy[INPUT_SIZE / 8 - 1 - i] = WORD64(i);
	LOOP(int i = 0; i < INPUT_SIZE / 8; i++) {
		same += copy[i] == WORD64(i);
		sum += copy[i] ^ i;
	}
	return FOLD(sum) ^ same;
}

// Bubble sort of 32 words.
SEC("socket")
int memory_sort(void *ctx)
{
	__u32 digest = 0;

	LOOP(int i = 0; i < 32; i++)
		sorted[i] = WORD32(i);
	LOOP(int n = 0; n < 31; n++) {
		LOOP(int i = 0; i < 31; i++) {
			__u32 a = sorted[i], b = sorted[i + 1];

			if (a > b) {
				sorted[i] = b;
				sorted[i + 1] = a;
			}
		}
	}
	LOOP(int i = 0; i < 32; i++)
		digest = digest * 31 + sorted[i];
	return digest;
}

// A window of sixteen words that moves through the stack.
SEC("socket")
int memory_stack(void *ctx)
{
	volatile __u64 window[16] = {};
	__u64 sum = 0;

	LOOP(int i = 0; i < 64; i++) {
		window[0] = window[3] + WORD64(i);
		window[5] = window[0] ^ window[8];
		window[8] = window[5] + window[13];
		window[13] = window[8] + i;
		window[3] = window[13] ^ window[0];
		sum += window[5];
	}
	return FOLD(sum);
}
