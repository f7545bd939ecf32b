// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
// Parsers: packet headers and text.
#include "input.h"
#include <bpf/bpf_endian.h>

#define SLOT 64 // bytes of one packet

struct ethernet {
	__u8 destination[6], source[6];
	__be16 type;
};

struct vlan {
	__be16 tag, type;
};

struct ipv4 {
	__u8 version_length, service;
	__be16 length, id, fragment;
	__u8 ttl, protocol;
	__be16 check;
	__be32 source, destination;
};

struct ports {
	__be16 source, destination;
};

// Ethernet, at most one VLAN tag, IPv4 without options, TCP or UDP: counts what
// it sees and mixes addresses and ports.
SEC("socket")
int parse_packets(void *ctx)
{
	__u32 digest = zero, tcp = zero, udp = zero, other = zero;

	LOOP(int n = 0; n < INPUT_SIZE / SLOT; n++) {
		const __u8 *at = input + n * SLOT;
		const struct ethernet *eth = (const void *)at;
		__be16 type = eth->type;

		at += sizeof(*eth);
		if (type == bpf_htons(0x8100)) {
			type = ((const struct vlan *)at)->type;
			at += sizeof(struct vlan);
		}
		if (type != bpf_htons(0x0800)) {
			other++;
			continue;
		}
		const struct ipv4 *ip = (const void *)at;

		if (ip->version_length != 0x45 || ip->fragment & bpf_htons(0x1fff)) {
			other++;
			continue;
		}
		const struct ports *ports = (const void *)(ip + 1);

		if (ip->protocol == 6)
			tcp++;
		else if (ip->protocol == 17)
			udp++;
		else {
			other++;
			continue;
		}
		digest = digest * 31 + bpf_ntohl(ip->source);
		digest = digest * 31 + bpf_ntohl(ip->destination);
		digest = digest * 31 + bpf_ntohs(ports->source);
		digest = digest * 31 + bpf_ntohs(ports->destination);
	}
	return digest ^ (tcp << 20 | udp << 10 | other);
}

// Decimal numbers in a text: their sum, and how many there are.
SEC("socket")
int parse_numbers(void *ctx)
{
	__u32 sum = zero, count = zero, number = 0, inside = 0;

	LOOP(int i = 0; i < 512; i++) {
		__u32 digit = input[i] - '0';

		if (digit < 10) {
			number = number * 10 + digit;
			inside = 1;
		} else if (inside) {
			sum += number;
			count++;
			number = inside = 0;
		}
	}
	return sum ^ count << 24;
}
