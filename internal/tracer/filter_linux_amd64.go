package tracer

import (
	"maps"
	"slices"

	"golang.org/x/sys/unix"
)

const (
	// filterData tells our filter's RET_TRACE from one of the target's own.
	filterData = 0x5ce9

	filterTrace = unix.SECCOMP_RET_TRACE | filterData
	filterAllow = unix.SECCOMP_RET_ALLOW

	// struct seccomp_data
	dataNumber = 0
	dataArch   = 4
	dataArg0   = 16

	// the i386 numbers of the two calls that can make an untraced child
	i386Clone  = 120
	i386Clone3 = 435

	maxFilter = 4096 // BPF_MAXINSNS
)

// filter is the seccomp program for o. It answers RET_TRACE to exactly the
// hooked numbers, to clone with CLONE_UNTRACED, and to clone3, whose flags lie
// in memory that a filter can't read. Numbers that no instruction looks further
// into are answered from the kernel's bitmap of always allowed calls (Linux
// 5.11), however long the program is.
func filter(o *Options) []unix.SockFilter {
	native := branches(unix.SYS_CLONE, unix.SYS_CLONE3, slices.Sorted(maps.Keys(o.Calls)), o.All != 0)
	compat := branches(i386Clone, i386Clone3, nil, o.All != 0)

	var p []unix.SockFilter
	p = append(p,
		load(dataArch),
		jump(unix.BPF_JEQ, unix.AUDIT_ARCH_X86_64, 1, 0),
		unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JA, K: uint32(len(native))})
	p = append(p, native...)
	p = append(p,
		jump(unix.BPF_JEQ, unix.AUDIT_ARCH_I386, 1, 0),
		ret(filterAllow))
	return append(p, compat...)
}

// branches decides by the number and always returns.
func branches(clone, clone3 uint32, hooked []int, all bool) []unix.SockFilter {
	if all {
		return []unix.SockFilter{ret(filterTrace)}
	}
	p := []unix.SockFilter{load(dataNumber)}
	for _, n := range hooked {
		p = append(p, jump(unix.BPF_JEQ, uint32(n), 0, 1), ret(filterTrace))
	}
	return append(p,
		jump(unix.BPF_JEQ, clone3, 0, 1),
		ret(filterTrace),
		jump(unix.BPF_JEQ, clone, 1, 0),
		ret(filterAllow),
		load(dataArg0),
		jump(unix.BPF_JSET, unix.CLONE_UNTRACED, 0, 1),
		ret(filterTrace),
		ret(filterAllow))
}

func load(off uint32) unix.SockFilter {
	return unix.SockFilter{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: off}
}

func jump(op uint16, k uint32, yes, no uint8) unix.SockFilter {
	return unix.SockFilter{Code: unix.BPF_JMP | op | unix.BPF_K, Jt: yes, Jf: no, K: k}
}

func ret(k uint32) unix.SockFilter {
	return unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: k}
}
