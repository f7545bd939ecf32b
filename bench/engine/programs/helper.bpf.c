// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
// Helpers that do almost nothing: the cost of the call.
#include "input.h"

SEC("socket")
int helper_cpu(void *ctx)
{
	__u32 sum = 0;

	LOOP(int i = 0; i < 128; i++)
		sum += bpf_get_smp_processor_id() ^ i;
	return sum;
}

SEC("socket")
int helper_random(void *ctx)
{
	__u32 sum = 0;

	LOOP(int i = 0; i < 128; i++)
		sum = sum * 31 + bpf_get_prandom_u32();
	return sum;
}
