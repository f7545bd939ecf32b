package kview

import (
	"bytes"
	"strconv"
)

// What /proc says is text that the watched process has a hand in (its name,
// its mount points): nothing here trusts its shape.

// statLine is what /proc/PID/stat tells.
type statLine struct {
	ppid  int32
	flags uint32
	start uint64 // clock ticks since boot, 100 a second (USER_HZ)
}

// parseStat reads a line of /proc/PID/stat. The name is in parentheses and may
// have any byte in it, parentheses too: it ends at the last one.
func parseStat(b []byte) (s statLine, ok bool) {
	open, end := bytes.IndexByte(b, '('), bytes.LastIndexByte(b, ')')
	if open < 0 || end < open {
		return s, false
	}
	rest := b[end+1:]
	for field := 3; field <= 22; field++ {
		var word []byte
		if word, rest = nextWord(rest); len(word) == 0 {
			return s, false
		}
		var n uint64
		switch field {
		case 4:
			n, ok = number(word, 31)
			s.ppid = int32(n)
		case 9:
			n, ok = number(word, 32)
			s.flags = uint32(n)
		case 22:
			s.start, ok = number(word, 64)
		default:
			continue
		}
		if !ok {
			return s, false
		}
	}
	return s, true
}

// statusText is what /proc/PID/status tells.
type statusText struct {
	uid, gid uint32 // real
	fdSize   uint32 // slots in the table of descriptors
	nspid    [33]int32
	levels   int // of nspid in use
}

func parseStatus(b []byte) (s statusText, ok bool) {
	var seen int
	for len(b) > 0 {
		var line []byte
		line, b, _ = bytes.Cut(b, []byte{'\n'})
		key, value, found := bytes.Cut(line, []byte{':'})
		if !found {
			continue
		}
		word, more := nextWord(value)
		n, valid := number(word, 32)
		switch string(key) {
		case "Uid":
			s.uid = uint32(n)
		case "Gid":
			s.gid = uint32(n)
		case "FDSize":
			s.fdSize = uint32(n)
		case "NSpid":
			for s.levels = 0; len(word) > 0 && s.levels < len(s.nspid); s.levels++ {
				if n, valid = number(word, 31); !valid {
					return s, false
				}
				s.nspid[s.levels] = int32(n)
				word, more = nextWord(more)
			}
		default:
			continue
		}
		if !valid {
			return s, false
		}
		seen++
	}
	return s, seen == 4 && s.levels > 0
}

// parseFdinfo reads /proc/PID/fdinfo/N. O_CLOEXEC in flags is the descriptor's.
func parseFdinfo(b []byte) (pos int64, flags uint32, ok bool) {
	var seen int
	for len(b) > 0 && seen < 2 {
		var line []byte
		line, b, _ = bytes.Cut(b, []byte{'\n'})
		key, value, _ := bytes.Cut(line, []byte{':'})
		word, _ := nextWord(value)
		switch string(key) {
		case "pos":
			n, err := strconv.ParseInt(string(word), 10, 64)
			if err != nil {
				return 0, 0, false
			}
			pos = n
			seen++
		case "flags":
			n, err := strconv.ParseUint(string(word), 8, 32)
			if err != nil {
				return 0, 0, false
			}
			flags = uint32(n)
			seen++
		}
	}
	return pos, flags, seen == 2
}

// mountLine is a line of /proc/PID/mountinfo.
type mountLine struct {
	id, parent int32
	dev        uint32 // the kernel's encoding
	root       string // of the mount in its file system
	point      string // of the mount, from the root of who reads
	fsType     string // without subtype
}

// parseMountinfo reads a line without its newline.
func parseMountinfo(b []byte) (m mountLine, ok bool) {
	var word [5][]byte
	for i := range word {
		if word[i], b = nextWord(b); len(word[i]) == 0 {
			return m, false
		}
	}
	_, b, ok = bytes.Cut(b, []byte(" - "))
	if !ok {
		return m, false
	}
	fsType, _ := nextWord(b)
	fsType, _, _ = bytes.Cut(fsType, []byte{'.'})
	major, minor, found := bytes.Cut(word[2], []byte{':'})
	id, ok1 := number(word[0], 31)
	parent, ok2 := number(word[1], 31)
	hi, ok3 := number(major, 12)
	lo, ok4 := number(minor, 20)
	if !found || !ok1 || !ok2 || !ok3 || !ok4 || len(fsType) == 0 || word[4][0] != '/' {
		return m, false
	}
	return mountLine{
		id: int32(id), parent: int32(parent), dev: kernelDev(uint32(hi), uint32(lo)),
		root: unescape(word[3]), point: unescape(word[4]), fsType: unescape(fsType),
	}, true
}

// unescape undoes the kernel's escapes of space, tab, newline, backslash and
// hash: a backslash and three octal digits.
func unescape(b []byte) string {
	i := bytes.IndexByte(b, '\\')
	if i < 0 {
		return string(b)
	}
	out := make([]byte, 0, len(b))
	for len(b) > 0 {
		if b[0] == '\\' && len(b) >= 4 {
			if n, err := strconv.ParseUint(string(b[1:4]), 8, 8); err == nil {
				out = append(out, byte(n))
				b = b[4:]
				continue
			}
		}
		out = append(out, b[0])
		b = b[1:]
	}
	return string(out)
}

// nextWord cuts the first word of a line of words.
func nextWord(b []byte) (word, rest []byte) {
	for len(b) > 0 && isSpace(b[0]) {
		b = b[1:]
	}
	for i, c := range b {
		if isSpace(c) {
			return b[:i], b[i+1:]
		}
	}
	return b, nil
}

func isSpace(c byte) bool { return c == ' ' || c == '\t' || c == '\n' }

// number reads a decimal number of at most so many bits, without allocating.
func number(b []byte, bits uint) (uint64, bool) {
	if len(b) == 0 || len(b) > 20 {
		return 0, false
	}
	var n uint64
	for _, c := range b {
		d := uint64(c - '0')
		if d > 9 || n > (1<<64-1)/10 || n*10 > 1<<64-1-d {
			return 0, false
		}
		n = n*10 + d
	}
	return n, bits == 64 || n>>bits == 0
}
