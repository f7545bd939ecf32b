// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
// What the programs here share. Above each stands what the verifier must say:
//
//	// want verify: "code"
//	// want verify: accept
//
// Where C would not let a mistake through to the instructions, the function is
// written in BPF assembly.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#define ASM __attribute__((naked))

// A bound that the compiler knows nothing of.
#define opaque(x) asm volatile("" : "+r"(x))

char LICENSE[] SEC("license") = "Dual BSD/GPL";

struct value {
	__u64 count;
	__u8 data[56];
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 16);
	__type(key, __u32);
	__type(value, struct value);
} values SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 4);
	__type(key, __u32);
	__type(value, struct value);
} slots SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4096);
} ring SEC(".maps");
