// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
// A license that is not compatible with the GPL.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

char LICENSE[] SEC("license") = "Proprietary";

// want verify: "gpl-only"
SEC("raw_tp/sys_enter") int helper_for_gpl(unsigned long *ctx)
{
	int x = 0;

	bpf_probe_read_kernel(&x, sizeof(x), (void *)ctx[0]);
	return x;
}

// want verify: accept
SEC("raw_tp/sys_enter") int helper_for_all(unsigned long *ctx)
{
	return bpf_ktime_get_ns();
}
