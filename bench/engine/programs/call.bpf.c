// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
// BPF-to-BPF calls.
#include "input.h"

static __attribute__((noinline)) __u64 mix(__u64 a, __u64 b)
{
	return (a ^ b) * 0x9e3779b97f4a7c15ULL;
}

static __attribute__((noinline)) __u64 middle(__u64 a, __u64 b, __u64 c)
{
	return mix(a, b) + mix(b, c);
}

static __attribute__((noinline)) __u64 outer(__u64 a, __u64 b)
{
	return middle(a, b, a + b) ^ a;
}

// One function a word.
SEC("socket")
int call_flat(void *ctx)
{
	__u64 x = 0;

	LOOP(int i = 0; i < INPUT_SIZE / 8; i++)
		x = mix(x, WORD64(i));
	return FOLD(x);
}

// Four functions a word, three deep.
SEC("socket")
int call_deep(void *ctx)
{
	__u64 x = 0;

	LOOP(int i = 0; i < 32; i++)
		x = outer(x, WORD64(i));
	return FOLD(x);
}
