package engine

import (
	"embed"
	"encoding/binary"
	"slices"
)

// Objects are the compiled programs, one file a family or two. Beside each
// stands its source; scripts/objects compiles it.
//
//go:embed programs/*.bpf.o
var objects embed.FS

// inputSize is INPUT_SIZE of programs/input.h.
const inputSize = 1024

// A benchmark is one program of the suite.
type benchmark struct {
	name   string // of the program: the function in C
	family string
	object string // file in programs, without .bpf.o
	input  func() []byte
}

// benchmarks is the suite, in the order of its report.
var benchmarks = []benchmark{
	{"empty", "empty", "empty", noise},
	{"alu_mix64", "alu", "alu", noise},
	{"alu_mix32", "alu", "alu", noise},
	{"alu_divide", "alu", "alu", noise},
	{"alu_signed", "alu", "signed", noise},
	{"hash_fnv1a", "hash", "hash", noise},
	{"hash_murmur3", "hash", "hash", noise},
	{"hash_siphash", "hash", "hash", noise},
	{"parse_packets", "parse", "parse", packets},
	{"parse_numbers", "parse", "parse", text},
	{"checksum_internet", "checksum", "checksum", noise},
	{"checksum_crc32", "checksum", "checksum", noise},
	{"checksum_adler32", "checksum", "checksum", noise},
	{"search_binary", "search", "search", ascending},
	{"search_bytes", "search", "search", text},
	{"search_greatest", "search", "search", noise},
	{"memory_copy", "memory", "memory", noise},
	{"memory_sort", "memory", "memory", noise},
	{"memory_stack", "memory", "memory", noise},
	{"switch_machine", "switch", "switch", noise},
	{"switch_characters", "switch", "switch", text},
	{"loop_matrix", "loop", "loop", noise},
	{"loop_sieve", "loop", "loop", noise},
	{"call_flat", "call", "call", noise},
	{"call_deep", "call", "call", noise},
	{"map_array", "map", "map", noise},
	{"map_percpu", "map", "map", noise},
	{"map_update", "map", "map", noise},
	{"map_lookup", "map", "map", noise},
	{"helper_cpu", "helper", "helper", noise},
	{"helper_random", "helper", "helper", noise},
}

// noise is bytes without a pattern, always the same (xorshift64).
func noise() []byte {
	out := make([]byte, inputSize)
	x := uint64(88172645463325252)
	for i := range out {
		x ^= x << 13
		x ^= x >> 7
		x ^= x << 17
		out[i] = byte(x)
	}
	return out
}

// ascending is 256 sorted 32-bit words.
func ascending() []byte {
	raw := noise()
	words := make([]uint32, inputSize/4)
	for i := range words {
		words[i] = binary.LittleEndian.Uint32(raw[i*4:])
	}
	slices.Sort(words)
	for i, w := range words {
		binary.LittleEndian.PutUint32(raw[i*4:], w)
	}
	return raw
}

// text is prose with numbers in it.
func text() []byte {
	const prose = "A skep is a dome of straw and 1 door; in spring 10000 bees, 45000 in June. " +
		"The band of 8 keepers and their 312 hives stand in sand and heather, 24 miles from land! " +
		"Smoke calms; hands and gloves handle 2 or 3 combs, and 20 kg of honey land in the shed. "
	out := make([]byte, 0, inputSize+len(prose))
	for len(out) < inputSize {
		out = append(out, prose...)
	}
	return out[:inputSize]
}

// packets is sixteen packets of 64 bytes: TCP and UDP over IPv4, some with a VLAN
// tag, and a few that are neither.
func packets() []byte {
	out := noise()
	for n := 0; n < inputSize/64; n++ {
		p := out[n*64:][:64]
		at := 12
		if n%4 == 1 {
			binary.BigEndian.PutUint16(p[at:], 0x8100)
			at += 4
		}
		kind := uint16(0x0800)
		if n%8 == 7 {
			kind = 0x86dd
		}
		binary.BigEndian.PutUint16(p[at:], kind)
		ip := p[at+2:]
		ip[0] = 0x45
		binary.BigEndian.PutUint16(ip[6:], 0x4000)
		ip[9] = []byte{6, 17, 6, 6, 17, 1}[n%6]
	}
	return out
}
