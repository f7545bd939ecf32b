package abi

import (
	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
)

var (
	elements = helperSet{}.with(asm.FnMapLookupElem, asm.FnMapUpdateElem, asm.FnMapDeleteElem)
	iterable = elements.with(asm.FnForEachMapElem)
	perCPU   = iterable.with(asm.FnMapLookupPercpuElem)
	queue    = helperSet{}.with(asm.FnMapPushElem, asm.FnMapPopElem, asm.FnMapPeekElem)
	ring     = helperSet{}.with(asm.FnRingbufOutput, asm.FnRingbufReserve, asm.FnRingbufQuery, asm.FnRingbufReserveDynptr)
)

// mapHelpers says which helpers take a map of a type.
var mapHelpers = map[ebpf.MapType]helperSet{
	ebpf.Hash:                iterable,
	ebpf.Array:               iterable,
	ebpf.LRUHash:             iterable,
	ebpf.PerCPUHash:          perCPU,
	ebpf.PerCPUArray:         perCPU,
	ebpf.LRUCPUHash:          perCPU,
	ebpf.LPMTrie:             elements,
	ebpf.ProgramArray:        helperSet{}.with(asm.FnTailCall),
	ebpf.PerfEventArray:      helperSet{}.with(asm.FnPerfEventRead, asm.FnPerfEventOutput, asm.FnSkbOutput, asm.FnPerfEventReadValue, asm.FnXdpOutput),
	ebpf.StackTrace:          helperSet{}.with(asm.FnGetStackid),
	ebpf.CGroupArray:         helperSet{}.with(asm.FnSkbUnderCgroup, asm.FnCurrentTaskUnderCgroup),
	ebpf.ArrayOfMaps:         helperSet{}.with(asm.FnMapLookupElem),
	ebpf.HashOfMaps:          helperSet{}.with(asm.FnMapLookupElem),
	ebpf.DevMap:              helperSet{}.with(asm.FnRedirectMap, asm.FnMapLookupElem),
	ebpf.DevMapHash:          helperSet{}.with(asm.FnRedirectMap, asm.FnMapLookupElem),
	ebpf.CPUMap:              helperSet{}.with(asm.FnRedirectMap),
	ebpf.XSKMap:              helperSet{}.with(asm.FnRedirectMap, asm.FnMapLookupElem),
	ebpf.SockMap:             elements.with(asm.FnSkRedirectMap, asm.FnSockMapUpdate, asm.FnMsgRedirectMap, asm.FnSkSelectReuseport),
	ebpf.SockHash:            elements.with(asm.FnSkRedirectHash, asm.FnSockHashUpdate, asm.FnMsgRedirectHash, asm.FnSkSelectReuseport),
	ebpf.CGroupStorage:       helperSet{}.with(asm.FnGetLocalStorage),
	ebpf.PerCPUCGroupStorage: helperSet{}.with(asm.FnGetLocalStorage),
	ebpf.ReusePortSockArray:  helperSet{}.with(asm.FnSkSelectReuseport),
	ebpf.Queue:               queue,
	ebpf.Stack:               queue,
	ebpf.SkStorage:           helperSet{}.with(asm.FnSkStorageGet, asm.FnSkStorageDelete),
	ebpf.InodeStorage:        helperSet{}.with(asm.FnInodeStorageGet, asm.FnInodeStorageDelete),
	ebpf.TaskStorage:         helperSet{}.with(asm.FnTaskStorageGet, asm.FnTaskStorageDelete),
	ebpf.CgroupStorage:       helperSet{}.with(asm.FnCgrpStorageGet, asm.FnCgrpStorageDelete),
	ebpf.RingBuf:             ring,
	ebpf.UserRingbuf:         helperSet{}.with(asm.FnUserRingbufDrain),
	ebpf.BloomFilter:         helperSet{}.with(asm.FnMapPushElem, asm.FnMapPeekElem),
}

// HelperTakesMap reports whether a helper may be called with a map of a type.
func HelperTakesMap(id asm.BuiltinFunc, t ebpf.MapType) bool { return mapHelpers[t].has(id) }
