package kview

// A Plan says what Task finds out at each stop, beyond pid and tgid. Objects
// that programs walk to need no plan: they are filled where a program looks.
type Plan struct {
	NeedComm bool // a program calls bpf_get_current_comm
	NeedCred bool // a program calls bpf_get_current_uid_gid
}
