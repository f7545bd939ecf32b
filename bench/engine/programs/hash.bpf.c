// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
// Hash functions over the input.
#include "input.h"

// FNV-1a, 32 bits: http://www.isthe.com/chongo/tech/comp/fnv/
SEC("socket")
int hash_fnv1a(void *ctx)
{
	__u32 hash = 2166136261u;

	LOOP(int i = 0; i < 512; i++) {
		hash ^= input[i];
		hash *= 16777619u;
	}
	return hash;
}

// MurmurHash3_x86_32 with seed 0 over whole words.
SEC("socket")
int hash_murmur3(void *ctx)
{
	__u32 hash = 0;

	LOOP(int i = 0; i < 128; i++) {
		__u32 k = WORD32(i) * 0xcc9e2d51u;

		k = k << 15 | k >> 17;
		hash ^= k * 0x1b873593u;
		hash = hash << 13 | hash >> 19;
		hash = hash * 5 + 0xe6546b64u;
	}
	hash ^= 512;
	hash ^= hash >> 16;
	hash *= 0x85ebca6bu;
	hash ^= hash >> 13;
	hash *= 0xc2b2ae35u;
	hash ^= hash >> 16;
	return hash;
}

#define ROTATE(x, n) ((x) << (n) | (x) >> (64 - (n)))
#define ROUND                                                              \
	do {                                                               \
		v0 += v1; v1 = ROTATE(v1, 13); v1 ^= v0; v0 = ROTATE(v0, 32); \
		v2 += v3; v3 = ROTATE(v3, 16); v3 ^= v2;                   \
		v0 += v3; v3 = ROTATE(v3, 21); v3 ^= v0;                   \
		v2 += v1; v1 = ROTATE(v1, 17); v1 ^= v2; v2 = ROTATE(v2, 32); \
	} while (0)

// SipHash-2-4 of 256 bytes with key 0, 1: https://www.aumasson.jp/siphash/
SEC("socket")
int hash_siphash(void *ctx)
{
	__u64 v0 = 0x736f6d6570736575ULL, v1 = 1 ^ 0x646f72616e646f6dULL;
	__u64 v2 = 0x6c7967656e657261ULL, v3 = 1 ^ 0x7465646279746573ULL;
	__u64 last = (__u64)(256 & 0xff) << 56;

	LOOP(int i = 0; i < 32; i++) {
		__u64 word = WORD64(i);

		v3 ^= word;
		ROUND;
		ROUND;
		v0 ^= word;
	}
	v3 ^= last;
	ROUND;
	ROUND;
	v0 ^= last;
	v2 ^= 0xff;
	ROUND;
	ROUND;
	ROUND;
	ROUND;
	v0 ^= v1 ^ v2 ^ v3;
	return FOLD(v0);
}
