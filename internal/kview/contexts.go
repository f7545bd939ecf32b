package kview

// Contexts keep the kernel's layout: programs may use them without CO-RE.

// PtRegs are the saved registers of x86-64.
type PtRegs struct {
	R15    uint64 `c:"r15"`
	R14    uint64 `c:"r14"`
	R13    uint64 `c:"r13"`
	R12    uint64 `c:"r12"`
	Bp     uint64 `c:"bp"`
	Bx     uint64 `c:"bx"`
	R11    uint64 `c:"r11"`
	R10    uint64 `c:"r10"`
	R9     uint64 `c:"r9"`
	R8     uint64 `c:"r8"`
	Ax     uint64 `c:"ax"`
	Cx     uint64 `c:"cx"`
	Dx     uint64 `c:"dx"`
	Si     uint64 `c:"si"`
	Di     uint64 `c:"di"`
	OrigAx uint64 `c:"orig_ax"`
	Ip     uint64 `c:"ip"`
	Cs     uint64 `c:"cs"`
	Flags  uint64 `c:"flags"`
	Sp     uint64 `c:"sp"`
	Ss     uint64 `c:"ss"`
}

// TraceEntry is the head of every tracepoint's record.
type TraceEntry struct {
	Type         uint16 `c:"type"`
	Flags        uint8  `c:"flags"`
	PreemptCount uint8  `c:"preempt_count"`
	Pid          int32  `c:"pid"`
}

// SyscallTraceEnter is the context of tracepoint/syscalls/sys_enter_X.
type SyscallTraceEnter struct {
	Ent  TraceEntry `c:"ent"`
	Nr   int32      `c:"nr"`
	_    uint32
	Args [6]uint64 `c:"args" flexible:"1"`
}

// SyscallTraceExit is the context of tracepoint/syscalls/sys_exit_X.
type SyscallTraceExit struct {
	Ent TraceEntry `c:"ent"`
	Nr  int32      `c:"nr"`
	_   uint32
	Ret int64 `c:"ret"`
}

// TraceEventRawSysEnter is the context of tracepoint/raw_syscalls/sys_enter.
type TraceEventRawSysEnter struct {
	Ent  TraceEntry `c:"ent"`
	ID   int64      `c:"id"`
	Args [6]uint64  `c:"args"`
}

// TraceEventRawSysExit is the context of tracepoint/raw_syscalls/sys_exit.
type TraceEventRawSysExit struct {
	Ent TraceEntry `c:"ent"`
	ID  int64      `c:"id"`
	Ret int64      `c:"ret"`
}

// BpfRawTracepointArgs is the context of raw_tp programs.
type BpfRawTracepointArgs struct {
	Args [12]uint64 `c:"args" flexible:"1"`
}

// OpenHow is what openat2 takes, in the caller's memory.
type OpenHow struct {
	Flags   uint64 `c:"flags"`
	Mode    uint64 `c:"mode"`
	Resolve uint64 `c:"resolve"`
}

// BpfRingbuf is there to be asked for: programs that also run on kernels
// without ring buffers test for the type.
type BpfRingbuf struct{}
