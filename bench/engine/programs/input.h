/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* What every program here works on: bytes that the suite fills in before a run.
 * A program returns a digest of its work, which the tests know. */
#ifndef INPUT_H
#define INPUT_H

#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#define INPUT_SIZE 1024

char LICENSE[] SEC("license") = "Dual BSD/GPL";

__u8 input[INPUT_SIZE] __attribute__((aligned(8)));

/* Counts begin with this 0, which the verifier does not know to be one: it need
 * not tell apart the paths that lead to different counts. */
__u32 zero;

/* Loops stay loops: that is what is measured. */
#define LOOP _Pragma("clang loop unroll(disable)") for

/* The n-th 32-bit and 64-bit word of the input. */
#define WORD32(n) (((__u32 *)input)[n])
#define WORD64(n) (((__u64 *)input)[n])

#define FOLD(x) ((__u32)((x) ^ ((x) >> 32)))

#endif
