// Package helper holds the Go bodies of helpers, one file a family. What a
// helper expects and who may call it stands in internal/abi.
package helper

import (
	"github.com/cilium/ebpf/asm"

	"github.com/skep-bpf/skep/internal/maps"
	"github.com/skep-bpf/skep/internal/mem"
)

// A Call is what a helper sees of the program that calls it: one lives as long
// as a program is bound to a runner, so that a call allocates nothing.
type Call struct {
	Runner *mem.Runner
	// Maps are the program's maps. A map pointer in a register is MapHandle of
	// the index into it.
	Maps []maps.Map
	// Buffer is scratch memory for helpers.
	Buffer [4096]byte

	ranges []owned           // of Maps and inner, filled on first use
	line   [printLine]byte   // of trace_printk
	args   [printArgs]uint64 // of a format

	// inner are the maps of maps' maps that the run has come by, by handle. They
	// are kept reachable, and so their memory, while the run may use them.
	inner map[uint64]maps.Map
}

// Begin is called before each run: it lets go of what the one before was given.
func (c *Call) Begin() {
	if len(c.inner) > 0 {
		clear(c.inner)
		c.ranges = nil
	}
}

// Func is the body of a helper: the five argument registers in, R0 out.
type Func func(c *Call, r1, r2, r3, r4, r5 uint64) uint64

// mapHandles is the first map handle. No memory of a process lies there
// (the address is not canonical), so that a handle used as an address traps.
const mapHandles = 0x00ff_0000_0000_0000

// MapHandle is what a register holds that points to the program's map i.
func MapHandle(i int) uint64 { return mapHandles + uint64(i)*8 }

// Map is the map behind a handle, nil if it is none: one of the program's, or one
// that a look-up in a map of maps gave.
func (c *Call) Map(handle uint64) maps.Map {
	if i := (handle - mapHandles) / 8; i < uint64(len(c.Maps)) {
		return c.Maps[i]
	}
	if m := c.inner[handle]; m != nil {
		return m
	}
	m := maps.ByHandle(handle)
	if m == nil {
		return nil
	}
	if c.inner == nil {
		c.inner = make(map[uint64]maps.Map)
	}
	c.inner[handle] = m
	if c.ranges != nil {
		c.ranges = appendOwned(c.ranges, m)
	}
	return m
}

// bodies has every helper that there is a body for.
var bodies = map[asm.BuiltinFunc]Func{
	asm.FnMapLookupElem:       mapLookupElem,
	asm.FnMapUpdateElem:       mapUpdateElem,
	asm.FnMapDeleteElem:       mapDeleteElem,
	asm.FnMapLookupPercpuElem: mapLookupPercpuElem,
	asm.FnMapPushElem:         mapPushElem,
	asm.FnMapPopElem:          mapPopElem,
	asm.FnMapPeekElem:         mapPeekElem,
	asm.FnPerfEventOutput:     perfEventOutput,

	asm.FnKtimeGetNs:        ktimeGetNs,
	asm.FnKtimeGetBootNs:    ktimeGetBootNs,
	asm.FnKtimeGetCoarseNs:  ktimeGetCoarseNs,
	asm.FnKtimeGetTaiNs:     ktimeGetTaiNs,
	asm.FnJiffies64:         jiffies64,
	asm.FnGetNumaNodeId:     getNumaNodeID,
	asm.FnGetPrandomU32:     getPrandomU32,
	asm.FnGetSmpProcessorId: getSmpProcessorID,

	asm.FnGetCurrentPidTgid:      getCurrentPidTgid,
	asm.FnGetCurrentUidGid:       getCurrentUidGid,
	asm.FnGetCurrentComm:         getCurrentComm,
	asm.FnGetCurrentTask:         getCurrentTask,
	asm.FnGetCurrentCgroupId:     getCurrentCgroupID,
	asm.FnCurrentTaskUnderCgroup: currentTaskUnderCgroup,
	asm.FnGetCurrentTaskBtf:      getCurrentTask,

	asm.FnProbeRead:          probeRead,
	asm.FnProbeReadStr:       probeReadStr,
	asm.FnProbeReadUser:      probeReadUser,
	asm.FnProbeReadUserStr:   probeReadUserStr,
	asm.FnProbeReadKernel:    probeReadKernel,
	asm.FnProbeReadKernelStr: probeReadKernelStr,
	asm.FnCopyFromUser:       copyFromUser,

	asm.FnRingbufOutput:  ringbufOutput,
	asm.FnRingbufReserve: ringbufReserve,
	asm.FnRingbufSubmit:  ringbufSubmit,
	asm.FnRingbufDiscard: ringbufDiscard,
	asm.FnRingbufQuery:   ringbufQuery,

	asm.FnTracePrintk:  tracePrintk,
	asm.FnTraceVprintk: traceVprintk,
	asm.FnSnprintf:     snprintf,

	asm.FnStrtol:   strtol,
	asm.FnStrtoul:  strtoul,
	asm.FnStrncmp:  strncmp,
	asm.FnCsumDiff: csumDiff,
}

// For is the body of a helper, nil if it has none.
func For(id asm.BuiltinFunc) Func { return bodies[id] }
