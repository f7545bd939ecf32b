// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
// Checksums over the input.
#include "input.h"

// The Internet checksum, RFC 1071.
SEC("socket")
int checksum_internet(void *ctx)
{
	__u32 sum = 0;

	LOOP(int i = 0; i < INPUT_SIZE / 2; i++)
		sum += ((__u16 *)input)[i];
	sum = (sum & 0xffff) + (sum >> 16);
	sum += sum >> 16;
	return (__u16)~sum;
}

// The CRC-32 of IEEE 802.3, reflected, four bits at a time.
static const volatile __u32 crc_table[16] = {
	0x00000000, 0x1db71064, 0x3b6e20c8, 0x26d930ac, 0x76dc4190, 0x6b6b51f4, 0x4db26158, 0x5005713c,
	0xedb88320, 0xf00f9344, 0xd6d6a3e8, 0xcb61b38c, 0x9b64c2b0, 0x86d3d2d4, 0xa00ae278, 0xbdbdf21c,
};

SEC("socket")
int checksum_crc32(void *ctx)
{
	__u32 crc = ~0u;

	LOOP(int i = 0; i < 256; i++) {
		crc ^= input[i];
		crc = crc >> 4 ^ crc_table[crc & 15];
		crc = crc >> 4 ^ crc_table[crc & 15];
	}
	return ~crc;
}

// Adler-32, RFC 1950.
SEC("socket")
int checksum_adler32(void *ctx)
{
	__u32 a = 1, b = 0;

	LOOP(int i = 0; i < 512; i++) {
		a += input[i];
		b += a;
	}
	return b % 65521 << 16 | a % 65521;
}
