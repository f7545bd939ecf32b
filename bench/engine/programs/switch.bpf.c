// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
// Many-way branches.
#include "input.h"

// A small machine whose program is the input: an operation in the upper half of
// a byte, an operand in the lower.
SEC("socket")
int switch_machine(void *ctx)
{
	__u32 a = WORD32(0), b = WORD32(1);

	LOOP(int i = 0; i < 512; i++) {
		__u32 operand = input[i] & 15;

		switch (input[i] >> 4) {
		case 0: a += operand; break;
		case 1: a -= operand; break;
		case 2: a ^= b; break;
		case 3: b += a; break;
		case 4: b ^= operand << 8; break;
		case 5: a = a << 1 | a >> 31; break;
		case 6: b = b << 3 | b >> 29; break;
		case 7: a *= operand | 1; break;
		case 8: b -= a; break;
		case 9: a = ~a; break;
		case 10: b += a & 1; break;
		case 11: a -= b & 2; break;
		case 12: a += b >> operand; break;
		case 13: b ^= a >> operand; break;
		case 14: a ^= b << 1; break;
		default: b += 0x9e3779b9u; break;
		}
	}
	return a ^ b;
}

// What kind of character: counts five kinds.
SEC("socket")
int switch_characters(void *ctx)
{
	__u32 letters = zero, digits = zero, spaces = zero, marks = zero, others = zero;

	LOOP(int i = 0; i < 512; i++) {
		switch (input[i]) {
		case 'a' ... 'z':
		case 'A' ... 'Z': letters++; break;
		case '0' ... '9': digits++; break;
		case ' ':
		case '\t':
		case '\n': spaces++; break;
		case '.':
		case ',':
		case ';':
		case '!':
		case '?': marks++; break;
		default: others++; break;
		}
	}
	return letters + digits * 31 + spaces * 961 + marks * 29791 + others * 923521;
}
