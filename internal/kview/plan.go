package kview

import "github.com/cilium/ebpf/asm"

// A Plan says what Task finds out at each stop, beyond pid and tgid. Objects
// that programs walk to need no plan: they are filled where a program looks.
type Plan struct {
	NeedComm bool // a program calls bpf_get_current_comm
	NeedCred bool // a program calls bpf_get_current_uid_gid
}

// PlanFor is the plan for programs that call these helpers.
func PlanFor(helpers ...asm.BuiltinFunc) (p Plan) {
	for _, id := range helpers {
		switch id {
		case asm.FnGetCurrentComm:
			p.NeedComm = true
		case asm.FnGetCurrentUidGid:
			p.NeedCred = true
		}
	}
	return p
}
