package engine

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"hash/adler32"
	"hash/crc32"
	"hash/fnv"
	"math/bits"
	"slices"
	"testing"

	"github.com/skep-bpf/skep/internal/interp"
)

// references do in Go what the programs do in C.
var references = map[string]func(in []byte) uint32{
	"empty":             func([]byte) uint32 { return 0 },
	"alu_mix64":         mix64,
	"alu_mix32":         mix32,
	"alu_divide":        divide,
	"alu_signed":        signed,
	"hash_fnv1a":        fnv1a,
	"hash_murmur3":      murmur3,
	"hash_siphash":      siphash,
	"parse_packets":     parsePackets,
	"parse_numbers":     parseNumbers,
	"checksum_internet": internet,
	"checksum_crc32":    func(in []byte) uint32 { return crc32.ChecksumIEEE(in[:256]) },
	"checksum_adler32":  func(in []byte) uint32 { return adler32.Checksum(in[:512]) },
	"search_binary":     binarySearch,
	"search_bytes":      searchBytes,
	"search_greatest":   func(in []byte) uint32 { return slices.Max(words32(in)[:128]) },
	"memory_copy":       reverse,
	"memory_sort":       sorted,
	"memory_stack":      window,
	"switch_machine":    machine,
	"switch_characters": characters,
	"loop_matrix":       matrix,
	"loop_sieve":        sieve,
	"call_flat":         callFlat,
	"call_deep":         callDeep,
	"map_array":         array,
	"map_percpu":        array,
	"map_update":        func([]byte) uint32 { return 0 },
	"map_lookup":        lookup,
	"helper_cpu":        func([]byte) uint32 { return 127 * 128 / 2 },
	"helper_random":     random,
}

// TestPrograms runs each program twice in the fast and the checked mode.
func TestPrograms(t *testing.T) {
	for _, b := range benchmarks {
		t.Run(b.name, func(t *testing.T) {
			reference := references[b.name]
			if reference == nil {
				t.Fatal("there is no reference")
			}
			want := reference(b.input())
			p, err := b.load()
			if err != nil {
				t.Fatal(err)
			}
			defer p.close()
			for _, o := range []interp.Options{{}, {Checked: true}} {
				code, err := p.interpreter(o)
				if err != nil {
					t.Fatal(err)
				}
				for range 2 {
					p.random = 0
					got, err := code.Run(p.call, p.runner.Context.Addr)
					if err != nil {
						t.Fatal(err)
					}
					if uint32(got) != want {
						t.Errorf("%+v: gives %#x, want %#x", o, uint32(got), want)
					}
				}
			}
		})
	}
	if len(references) != len(benchmarks) {
		t.Errorf("%d references for %d benchmarks", len(references), len(benchmarks))
	}
}

// TestRun looks at the rows of a few benchmarks.
func TestRun(t *testing.T) {
	list := benchmarks[:3]
	var rows []Row
	if err := run(context.Background(), list, func(r Row) { rows = append(rows, r) }); err != nil {
		t.Fatal(err)
	}
	if len(rows) != len(list) {
		t.Fatalf("%d rows for %d benchmarks", len(rows), len(list))
	}
	for i, r := range rows {
		if r.Name != list[i].name || r.Family != list[i].family || r.Engine != "interpreter" {
			t.Errorf("row %d is %+v", i, r)
		}
	}
	// empty is two instructions; alu_mix64 runs fifteen in each of 256 rounds, and
	// its loop takes longer than the entry.
	if r := rows[0]; r.Insns != 2 || r.InsnsExecuted != 2 || r.NS <= 0 {
		t.Errorf("row %+v", r)
	}
	if r := rows[1]; r.InsnsExecuted < 15*256 || r.InsnsExecuted > 15*256+20 || r.NS <= rows[0].NS {
		t.Errorf("row %+v", r)
	}

	cancelled, cancel := context.WithCancel(context.Background())
	cancel()
	if err := run(cancelled, list, func(Row) {}); !errors.Is(err, context.Canceled) {
		t.Errorf("a cancelled run gives %v", err)
	}
}

func words32(in []byte) []uint32 {
	out := make([]uint32, len(in)/4)
	for i := range out {
		out[i] = binary.LittleEndian.Uint32(in[i*4:])
	}
	return out
}

func words64(in []byte) []uint64 {
	out := make([]uint64, len(in)/8)
	for i := range out {
		out[i] = binary.LittleEndian.Uint64(in[i*8:])
	}
	return out
}

func fold(x uint64) uint32 { return uint32(x ^ x>>32) }

func mix64(in []byte) uint32 {
	x := words64(in)[0]
	for i := range uint64(256) {
		x = x*6364136223846793005 + i
		x ^= x >> 29
		x += x << 7
		x = bits.RotateLeft64(x, 13)
	}
	return fold(x)
}

func mix32(in []byte) uint32 {
	x, sum := words32(in)[0]|1, uint32(0)
	for i := range uint32(256) {
		x ^= x << 13
		x ^= x >> 17
		x ^= x << 5
		sum = bits.RotateLeft32(sum, 3) + x&^i
	}
	return sum
}

func divide(in []byte) uint32 {
	x, sum := words64(in)[0], uint64(0)
	for i := uint64(1); i <= 128; i++ {
		sum += x / i
		sum ^= x % (i + 7)
		x += sum
	}
	return fold(sum)
}

func signed(in []byte) uint32 {
	var sum int64
	for i := range 128 {
		number := int64(int16(binary.LittleEndian.Uint16(in[i*2:])))
		divisor := int64(int8(in[512+i])) | 1
		sum += number / divisor
		sum ^= number % divisor
		sum += int64(bits.ReverseBytes32(uint32(sum)))
	}
	return fold(uint64(sum))
}

func fnv1a(in []byte) uint32 {
	h := fnv.New32a()
	h.Write(in[:512])
	return h.Sum32()
}

func murmur3(in []byte) uint32 {
	hash := uint32(0)
	for _, k := range words32(in)[:128] {
		k = bits.RotateLeft32(k*0xcc9e2d51, 15) * 0x1b873593
		hash = bits.RotateLeft32(hash^k, 13)*5 + 0xe6546b64
	}
	hash ^= 512
	hash = (hash ^ hash>>16) * 0x85ebca6b
	hash = (hash ^ hash>>13) * 0xc2b2ae35
	return hash ^ hash>>16
}

func siphash(in []byte) uint32 {
	v := [4]uint64{0x736f6d6570736575, 1 ^ 0x646f72616e646f6d, 0x6c7967656e657261, 1 ^ 0x7465646279746573}
	round := func(n int) {
		for range n {
			v[0] += v[1]
			v[2] += v[3]
			v[1] = bits.RotateLeft64(v[1], 13) ^ v[0]
			v[3] = bits.RotateLeft64(v[3], 16) ^ v[2]
			v[0] = bits.RotateLeft64(v[0], 32) + v[3]
			v[2] += v[1]
			v[3] = bits.RotateLeft64(v[3], 21) ^ v[0]
			v[1] = bits.RotateLeft64(v[1], 17) ^ v[2]
			v[2] = bits.RotateLeft64(v[2], 32)
		}
	}
	// The last word has the number of bytes modulo 256 in its upper byte: 0.
	for _, word := range append(words64(in)[:32], 0) {
		v[3] ^= word
		round(2)
		v[0] ^= word
	}
	v[2] ^= 0xff
	round(4)
	return fold(v[0] ^ v[1] ^ v[2] ^ v[3])
}

func parsePackets(in []byte) uint32 {
	var digest, tcp, udp, other uint32
	for ; len(in) > 0; in = in[64:] {
		at := in[12:]
		if binary.BigEndian.Uint16(at) == 0x8100 {
			at = at[4:]
		}
		ip := at[2:]
		if binary.BigEndian.Uint16(at) != 0x0800 || ip[0] != 0x45 || binary.BigEndian.Uint16(ip[6:])&0x1fff != 0 {
			other++
			continue
		}
		switch ip[9] {
		case 6:
			tcp++
		case 17:
			udp++
		default:
			other++
			continue
		}
		for _, field := range []uint32{
			binary.BigEndian.Uint32(ip[12:]), binary.BigEndian.Uint32(ip[16:]),
			uint32(binary.BigEndian.Uint16(ip[20:])), uint32(binary.BigEndian.Uint16(ip[22:])),
		} {
			digest = digest*31 + field
		}
	}
	return digest ^ (tcp<<20 | udp<<10 | other)
}

func parseNumbers(in []byte) uint32 {
	var sum, count uint32
	// A number that the text ends in does not count.
	fields := bytes.FieldsFunc(in[:512], func(r rune) bool { return r < '0' || r > '9' })
	if c := in[511]; c >= '0' && c <= '9' {
		fields = fields[:len(fields)-1]
	}
	for _, f := range fields {
		number := uint32(0)
		for _, c := range f {
			number = number*10 + uint32(c-'0')
		}
		sum += number
		count++
	}
	return sum ^ count<<24
}

func internet(in []byte) uint32 {
	sum := uint32(0)
	for i := 0; i < len(in); i += 2 {
		sum += uint32(binary.LittleEndian.Uint16(in[i:]))
	}
	for sum > 0xffff {
		sum = sum&0xffff + sum>>16
	}
	return uint32(^uint16(sum))
}

func binarySearch(in []byte) uint32 {
	words, digest := words32(in), uint32(0)
	for n := range uint32(32) {
		place, found := slices.BinarySearch(words, n*0x08000001)
		if !found {
			place--
		}
		digest = digest*31 + uint32(max(place, 0))
	}
	return digest
}

func searchBytes(in []byte) uint32 {
	count, places := uint32(0), uint32(0)
	for i := range 512 {
		if bytes.HasPrefix(in[i:], []byte("and")) {
			count++
			places += uint32(i)
		}
	}
	return count<<16 | places
}

func reverse(in []byte) uint32 {
	words, same, sum := words64(in), uint32(0), uint64(0)
	for i, w := range words {
		r := words[len(words)-1-i]
		if r == w {
			same++
		}
		sum += r ^ uint64(i)
	}
	return fold(sum) ^ same
}

func sorted(in []byte) uint32 {
	words, digest := words32(in)[:32], uint32(0)
	slices.Sort(words)
	for _, w := range words {
		digest = digest*31 + w
	}
	return digest
}

func window(in []byte) uint32 {
	var w [16]uint64
	sum := uint64(0)
	for i, word := range words64(in)[:64] {
		w[0] = w[3] + word
		w[5] = w[0] ^ w[8]
		w[8] = w[5] + w[13]
		w[13] = w[8] + uint64(i)
		w[3] = w[13] ^ w[0]
		sum += w[5]
	}
	return fold(sum)
}

func machine(in []byte) uint32 {
	a, b := words32(in)[0], words32(in)[1]
	for _, c := range in[:512] {
		operand := uint32(c & 15)
		switch c >> 4 {
		case 0:
			a += operand
		case 1:
			a -= operand
		case 2:
			a ^= b
		case 3:
			b += a
		case 4:
			b ^= operand << 8
		case 5:
			a = bits.RotateLeft32(a, 1)
		case 6:
			b = bits.RotateLeft32(b, 3)
		case 7:
			a *= operand | 1
		case 8:
			b -= a
		case 9:
			a = ^a
		case 10:
			b += a & 1
		case 11:
			a -= b & 2
		case 12:
			a += b >> operand
		case 13:
			b ^= a >> operand
		case 14:
			a ^= b << 1
		default:
			b += 0x9e3779b9
		}
	}
	return a ^ b
}

func characters(in []byte) uint32 {
	weights := uint32(0)
	for _, c := range in[:512] {
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z':
			weights++
		case c >= '0' && c <= '9':
			weights += 31
		case bytes.IndexByte([]byte(" \t\n"), c) >= 0:
			weights += 31 * 31
		case bytes.IndexByte([]byte(".,;!?"), c) >= 0:
			weights += 31 * 31 * 31
		default:
			weights += 31 * 31 * 31 * 31
		}
	}
	return weights
}

func matrix(in []byte) uint32 {
	const side = 8
	words, digest := words32(in), uint32(0)
	for row := range side {
		for column := range side {
			sum := uint32(0)
			for i := range side {
				sum += words[row*side+i] * words[side*side+i*side+column]
			}
			digest = digest*31 + sum
		}
	}
	return digest
}

func sieve([]byte) uint32 {
	count, sum := uint32(0), uint32(0)
	for n := uint32(2); n < 512; n++ {
		prime := true
		for d := uint32(2); d*d <= n; d++ {
			prime = prime && n%d != 0
		}
		if prime {
			count++
			sum += n
		}
	}
	return sum<<8 ^ count
}

func mix(a, b uint64) uint64       { return (a ^ b) * 0x9e3779b97f4a7c15 }
func middle(a, b, c uint64) uint64 { return mix(a, b) + mix(b, c) }
func outer(a, b uint64) uint64     { return middle(a, b, a+b) ^ a }

func callFlat(in []byte) uint32 {
	x := uint64(0)
	for _, w := range words64(in) {
		x = mix(x, w)
	}
	return fold(x)
}

func callDeep(in []byte) uint32 {
	x := uint64(0)
	for _, w := range words64(in)[:32] {
		x = outer(x, w)
	}
	return fold(x)
}

func array(in []byte) uint32 {
	values, sum := map[byte]uint64{}, uint64(0)
	for i, key := range in[:64] {
		values[key] = uint64(i)
	}
	for _, key := range in[:64] {
		sum = sum*31 + values[key]
	}
	return fold(sum)
}

// lookup counts the keys that are the first word: nothing else is in the map.
func lookup(in []byte) uint32 {
	words, found := words64(in), uint32(0)
	for i := range uint64(64) {
		key := words[127] ^ i
		if i%2 == 1 {
			key = words[0]
		}
		if key == words[0] {
			found++
		}
	}
	return found
}

func random([]byte) uint32 {
	sum, state := uint32(0), uint32(0)
	for range 128 {
		state = state*1664525 + 1013904223
		sum = sum*31 + state
	}
	return sum
}

// BenchmarkInterpreter is the suite as Go benchmarks, with the time per executed
// instruction.
func BenchmarkInterpreter(b *testing.B) {
	for _, m := range benchmarks {
		b.Run(m.name, func(b *testing.B) {
			p, err := m.load()
			if err != nil {
				b.Fatal(err)
			}
			defer p.close()
			counted, err := p.interpreter(interp.Options{Count: true})
			if err != nil {
				b.Fatal(err)
			}
			if _, err := counted.Run(p.call, p.runner.Context.Addr); err != nil {
				b.Fatal(err)
			}
			code, err := p.interpreter(interp.Options{})
			if err != nil {
				b.Fatal(err)
			}
			for b.Loop() {
				if _, err := code.Run(p.call, p.runner.Context.Addr); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(counted.Executed()), "ns/insn")
		})
	}
}

// BenchmarkCompile makes the longest program ready.
func BenchmarkCompile(b *testing.B) {
	i := slices.IndexFunc(benchmarks, func(m benchmark) bool { return m.name == "hash_siphash" })
	p, err := benchmarks[i].load()
	if err != nil {
		b.Fatal(err)
	}
	defer p.close()
	for b.Loop() {
		if _, err := p.interpreter(interp.Options{}); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(len(p.image.Insns)), "ns/insn")
}
