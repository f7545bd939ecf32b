// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
// The cost of a run that does nothing.
#include "input.h"

SEC("socket")
int empty(void *ctx)
{
	return 0;
}
