package kview

import (
	"github.com/cilium/ebpf/asm"

	"github.com/skep-bpf/skep/internal/abi"
)

// version is the persona's kernel as LINUX_KERNEL_VERSION gives it: 6.12.0.
const version = 6<<16 | 12<<8

// Kconfig gives the persona's value of a __kconfig extern, and false for an
// option that it says nothing about. Of libbpf's own names,
// LINUX_HAS_SYSCALL_WRAPPER says that system calls take their arguments from a
// struct pt_regs (__x64_sys_*) and LINUX_HAS_BPF_COOKIE that
// bpf_get_attach_cookie can be called.
func Kconfig(name string) (uint64, bool) {
	switch name {
	case "LINUX_KERNEL_VERSION":
		return version, true
	case "LINUX_HAS_SYSCALL_WRAPPER":
		return 1, true
	case "LINUX_HAS_BPF_COOKIE":
		if h := abi.HelperByID(asm.FnGetAttachCookie); h != nil && h.Support != abi.Nobody {
			return 1, true
		}
		return 0, true
	}
	return 0, false
}
