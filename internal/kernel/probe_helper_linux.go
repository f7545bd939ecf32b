package kernel

import (
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"unsafe"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/btf"
	"golang.org/x/sys/unix"
)

// The library's way to ask for a helper takes four times as long, and there are
// thousands of them to ask for.

// progLoad is what BPF_PROG_LOAD takes, up to attach_btf_id (bpf(2),
// include/uapi/linux/bpf.h).
type progLoad struct {
	programType, insnCount uint32
	insns, license         uint64
	logLevel, logSize      uint32
	log                    uint64
	_, flags               uint32
	_                      [16]byte
	_, expectedAttachType  uint32
	_, _                   uint32
	_                      uint64
	_, _                   uint32
	_                      uint64
	_, attachBTFID         uint32
}

// An instruction is one of 8 bytes (RFC 9669, section 3), for register 0.
type instruction struct {
	op, registers uint8
	offset        int16
	imm           int32
}

const (
	opCall = uint8(asm.JumpClass) | uint8(asm.Call)
	opExit = uint8(asm.JumpClass) | uint8(asm.Exit)
	opMov  = uint8(asm.ALU64Class) | 0xb0 // of an immediate
)

// A target is what programs of a type have to name when they are loaded.
type target struct {
	attachType  ebpf.AttachType
	flags       uint32
	attachBTFID func() (uint32, error)
}

// targets are those of the types that have to name something. Helpers of a type
// that is in noTarget can't be asked for: such a program is made for a function
// or a struct that it names.
var (
	targets = map[ebpf.ProgramType]target{
		ebpf.CGroupSockAddr: {attachType: ebpf.AttachCGroupInet4Connect},
		ebpf.CGroupSockopt:  {attachType: ebpf.AttachCGroupGetsockopt},
		ebpf.SkLookup:       {attachType: ebpf.AttachSkLookup},
		ebpf.Netfilter:      {attachType: ebpf.AttachNetfilter},
		ebpf.Syscall:        {flags: unix.BPF_F_SLEEPABLE},
		ebpf.Tracing:        {attachType: ebpf.AttachTraceRawTp, attachBTFID: tracepointBTF},
	}
	noTarget = map[ebpf.ProgramType]bool{ebpf.Extension: true, ebpf.StructOps: true, ebpf.LSM: true}
)

// tracepointBTF is the type of the tracepoint that the program of a tracing
// question names.
var tracepointBTF = sync.OnceValues(func() (uint32, error) {
	spec, err := btf.LoadKernelSpec()
	if err != nil {
		return 0, err
	}
	var t *btf.Typedef
	if err := spec.TypeByName("btf_trace_"+quietTracepoint, &t); err != nil {
		return 0, err
	}
	id, err := spec.TypeID(t)
	return uint32(id), err
})

var (
	errNoHelper  = errors.New("this kernel does not have it")
	errNotForAll = errors.New("not for programs of this type")
	errSleepable = errors.New("only in sleepable programs")
)

// askHelper calls a helper without arguments. The verifier looks at the helper
// before it looks at them, and its log says so if the helper is the reason.
func askHelper(t ebpf.ProgramType, id asm.BuiltinFunc) error {
	to := targets[t]
	call := progLoad{programType: uint32(t), expectedAttachType: uint32(to.attachType), flags: to.flags}
	if to.attachBTFID != nil {
		var err error
		if call.attachBTFID, err = to.attachBTFID(); err != nil {
			return err
		}
	}
	// call id; r0 = 0; exit
	insns := []instruction{{op: opCall, imm: int32(id)}, {op: opMov}, {op: opExit}}
	license, log := []byte("GPL\x00"), make([]byte, 4096)
	var pin runtime.Pinner
	defer pin.Unpin()
	pin.Pin(&insns[0])
	pin.Pin(&license[0])
	pin.Pin(&log[0])
	call.insns, call.insnCount = uint64(uintptr(unsafe.Pointer(&insns[0]))), uint32(len(insns))
	call.license = uint64(uintptr(unsafe.Pointer(&license[0])))
	call.log, call.logSize, call.logLevel = uint64(uintptr(unsafe.Pointer(&log[0]))), uint32(len(log)), 1
	fd, _, errno := unix.Syscall(unix.SYS_BPF, unix.BPF_PROG_LOAD, uintptr(unsafe.Pointer(&call)), unsafe.Sizeof(call))
	for errno == unix.EAGAIN || errno == unix.EINTR { // a signal came
		clear(log)
		fd, _, errno = unix.Syscall(unix.SYS_BPF, unix.BPF_PROG_LOAD, uintptr(unsafe.Pointer(&call)), unsafe.Sizeof(call))
	}
	if errno == 0 {
		unix.Close(int(fd))
		return nil
	}
	switch said := unix.ByteSliceToString(log); {
	case said == "":
		return fmt.Errorf("no program of this type can be loaded: %w", errno)
	case strings.Contains(said, "cannot use helper"), strings.Contains(said, "not supported for program type"), strings.Contains(said, "not allowed in probe"):
		return errNotForAll
	case strings.Contains(said, "in a non-sleepable prog"):
		return errSleepable
	case strings.Contains(said, "unknown func"), strings.Contains(said, "invalid func"):
		return errNoHelper
	}
	return nil
}
