// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
// Map helpers. What a run puts into a map a second run finds and overwrites, so
// that every run gives the same.
#include "input.h"

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 256);
	__type(key, __u32);
	__type(value, __u64);
} array SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 256);
	__type(key, __u32);
	__type(value, __u64);
} percpu SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1024);
	__type(key, __u64);
	__type(value, __u64);
} hash SEC(".maps");

// Stores into an array, then reads.
SEC("socket")
int map_array(void *ctx)
{
	__u64 sum = 0;

	LOOP(__u32 i = 0; i < 64; i++) {
		__u32 key = input[i];
		__u64 *value = bpf_map_lookup_elem(&array, &key);

		if (value)
			*value = i;
	}
	LOOP(__u32 i = 0; i < 64; i++) {
		__u32 key = input[i];
		__u64 *value = bpf_map_lookup_elem(&array, &key);

		if (value)
			sum = sum * 31 + *value;
	}
	return FOLD(sum);
}

// The same in a per-CPU array.
SEC("socket")
int map_percpu(void *ctx)
{
	__u64 sum = 0;

	LOOP(__u32 i = 0; i < 64; i++) {
		__u32 key = input[i];
		__u64 *value = bpf_map_lookup_elem(&percpu, &key);

		if (value)
			*value = i;
	}
	LOOP(__u32 i = 0; i < 64; i++) {
		__u32 key = input[i];
		__u64 *value = bpf_map_lookup_elem(&percpu, &key);

		if (value)
			sum = sum * 31 + *value;
	}
	return FOLD(sum);
}

// Updates of a hash map.
SEC("socket")
int map_update(void *ctx)
{
	__u32 failed = 0;

	LOOP(__u32 i = 0; i < 64; i++) {
		__u64 key = WORD64(i), value = i;

		if (bpf_map_update_elem(&hash, &key, &value, BPF_ANY))
			failed++;
	}
	return failed;
}

// Look-ups in a hash map, after one update: the others may or may not be there.
SEC("socket")
int map_lookup(void *ctx)
{
	__u64 first = WORD64(0), one = 1, found = 0;

	bpf_map_update_elem(&hash, &first, &one, BPF_ANY);
	LOOP(__u32 i = 0; i < 64; i++) {
		__u64 key = WORD64(i & 1 ? 0 : 127) ^ (i & 1 ? 0 : i);
		__u64 *value = bpf_map_lookup_elem(&hash, &key);

		if (value)
			found += *value;
	}
	return found;
}
