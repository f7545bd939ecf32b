package abi

import (
	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
)

// A helperSet is a bit per helper id.
type helperSet [4]uint64

func (s helperSet) has(id asm.BuiltinFunc) bool {
	return id < 256 && s[id/64]&(1<<(id%64)) != 0
}

// with is the set and more.
func (s helperSet) with(more ...asm.BuiltinFunc) helperSet {
	for _, id := range more {
		s[id/64] |= 1 << (id % 64)
	}
	return s
}

// sleeping are the helpers that may wait for something: only sleepable programs
// may call them.
var sleeping = helperSet{}.with(asm.FnCopyFromUser, asm.FnCopyFromUserTask, asm.FnImaInodeHash, asm.FnImaFileHash)

// HelperSleeps reports whether only sleepable programs (BPF_F_SLEEPABLE) may call
// a helper.
func HelperSleeps(id asm.BuiltinFunc) bool { return sleeping.has(id) }

// Helpers that many program types share.
var (
	// baseHelpers are open to every program type that can be probed.
	baseHelpers = helperSet{}.with(
		asm.FnMapLookupElem, asm.FnMapUpdateElem, asm.FnMapDeleteElem, asm.FnKtimeGetNs,
		asm.FnTracePrintk, asm.FnGetPrandomU32, asm.FnGetSmpProcessorId, asm.FnTailCall,
		asm.FnGetCurrentPidTgid, asm.FnGetCurrentUidGid, asm.FnGetCurrentComm,
		asm.FnGetCgroupClassid, asm.FnPerfEventRead, asm.FnGetCurrentTask,
		asm.FnCurrentTaskUnderCgroup, asm.FnGetNumaNodeId, asm.FnPerfEventReadValue,
		asm.FnGetCurrentCgroupId, asm.FnMapPushElem, asm.FnMapPopElem, asm.FnMapPeekElem,
		asm.FnSpinLock, asm.FnSpinUnlock, asm.FnStrtol, asm.FnStrtoul, asm.FnSendSignal,
		asm.FnProbeReadUser, asm.FnProbeReadKernel, asm.FnProbeReadUserStr,
		asm.FnProbeReadKernelStr, asm.FnSendSignalThread, asm.FnJiffies64,
		asm.FnGetNsCurrentPidTgid, asm.FnGetCurrentAncestorCgroupId, asm.FnKtimeGetBootNs,
		asm.FnRingbufOutput, asm.FnRingbufReserve, asm.FnRingbufSubmit, asm.FnRingbufDiscard,
		asm.FnRingbufQuery, asm.FnGetTaskStack, asm.FnSnprintfBtf, asm.FnPerCpuPtr,
		asm.FnThisCpuPtr, asm.FnTaskStorageGet, asm.FnTaskStorageDelete,
		asm.FnGetCurrentTaskBtf, asm.FnForEachMapElem, asm.FnSnprintf, asm.FnTimerInit,
		asm.FnTimerSetCallback, asm.FnTimerStart, asm.FnTimerCancel, asm.FnTaskPtRegs,
		asm.FnGetBranchSnapshot, asm.FnTraceVprintk, asm.FnFindVma, asm.FnLoop, asm.FnStrncmp,
		asm.FnKptrXchg, asm.FnMapLookupPercpuElem, asm.FnDynptrFromMem,
		asm.FnRingbufReserveDynptr, asm.FnRingbufSubmitDynptr, asm.FnRingbufDiscardDynptr,
		asm.FnDynptrRead, asm.FnDynptrWrite, asm.FnDynptrData, asm.FnKtimeGetTaiNs,
		asm.FnUserRingbufDrain, asm.FnCgrpStorageGet, asm.FnCgrpStorageDelete,
	)
	// tracingHelpers are open to every tracing program type.
	tracingHelpers = baseHelpers.with(
		asm.FnProbeRead, asm.FnPerfEventOutput, asm.FnGetStackid, asm.FnProbeWriteUser,
		asm.FnProbeReadStr, asm.FnGetStack, asm.FnCopyFromUser, asm.FnGetAttachCookie,
		asm.FnCopyFromUserTask,
	)
	// socketHelpers are open to the program types of networking.
	socketHelpers = baseHelpers.with(
		asm.FnSkcToTcp6Sock, asm.FnSkcToTcpSock, asm.FnSkcToTcpTimewaitSock,
		asm.FnSkcToTcpRequestSock, asm.FnSkcToUdp6Sock, asm.FnKtimeGetCoarseNs,
		asm.FnSkcToUnixSock, asm.FnSkcToMptcpSock,
	)
	// lwtHelpers are open to light-weight tunnels.
	lwtHelpers = socketHelpers.with(
		asm.FnGetRouteRealm, asm.FnPerfEventOutput, asm.FnSkbLoadBytes, asm.FnCsumDiff,
		asm.FnSkbUnderCgroup, asm.FnGetHashRecalc, asm.FnSkbPullData,
	)
	// classifierHelpers are open to tc classifiers and actions.
	classifierHelpers = socketHelpers.with(
		asm.FnSkbStoreBytes, asm.FnL3CsumReplace, asm.FnL4CsumReplace, asm.FnCloneRedirect,
		asm.FnSkbVlanPush, asm.FnSkbVlanPop, asm.FnSkbGetTunnelKey, asm.FnSkbSetTunnelKey,
		asm.FnRedirect, asm.FnGetRouteRealm, asm.FnPerfEventOutput, asm.FnSkbLoadBytes,
		asm.FnCsumDiff, asm.FnSkbGetTunnelOpt, asm.FnSkbSetTunnelOpt, asm.FnSkbChangeProto,
		asm.FnSkbChangeType, asm.FnSkbUnderCgroup, asm.FnGetHashRecalc, asm.FnSkbChangeTail,
		asm.FnSkbPullData, asm.FnCsumUpdate, asm.FnSetHashInvalid, asm.FnSkbChangeHead,
		asm.FnGetSocketCookie, asm.FnGetSocketUid, asm.FnSetHash, asm.FnSkbAdjustRoom,
		asm.FnSkbGetXfrmState, asm.FnSkbLoadBytesRelative, asm.FnFibLookup, asm.FnSkbCgroupId,
		asm.FnSkbAncestorCgroupId, asm.FnSkLookupTcp, asm.FnSkLookupUdp, asm.FnSkRelease,
		asm.FnSkFullsock, asm.FnTcpSock, asm.FnSkbEcnSetCe, asm.FnGetListenerSock,
		asm.FnSkcLookupTcp, asm.FnTcpCheckSyncookie, asm.FnSkStorageGet, asm.FnSkStorageDelete,
		asm.FnTcpGenSyncookie, asm.FnGetNetnsCookie, asm.FnSkAssign, asm.FnCsumLevel,
		asm.FnSkbCgroupClassid, asm.FnRedirectNeigh, asm.FnRedirectPeer, asm.FnCheckMtu,
		asm.FnSkbSetTstamp, asm.FnTcpRawGenSyncookieIpv4, asm.FnTcpRawGenSyncookieIpv6,
		asm.FnTcpRawCheckSyncookieIpv4, asm.FnTcpRawCheckSyncookieIpv6,
	)
)

// available says which helpers a program type may call: what a 6.18 kernel
// answers for the types that it can be asked about (all but Tracing, LSM,
// StructOps and LircMode2), and what depends on its configuration or on the
// attach type.
var available = map[ebpf.ProgramType]helperSet{
	ebpf.SocketFilter: socketHelpers.with(
		asm.FnPerfEventOutput, asm.FnSkbLoadBytes, asm.FnGetSocketCookie, asm.FnGetSocketUid,
		asm.FnSkbLoadBytesRelative, asm.FnGetNetnsCookie,
	),
	ebpf.Kprobe: tracingHelpers.with(
		asm.FnOverrideReturn, asm.FnGetFuncIp,
	),
	ebpf.SchedCLS:   classifierHelpers,
	ebpf.SchedACT:   classifierHelpers,
	ebpf.TracePoint: tracingHelpers,
	ebpf.XDP: socketHelpers.with(
		asm.FnRedirect, asm.FnPerfEventOutput, asm.FnCsumDiff, asm.FnXdpAdjustHead,
		asm.FnRedirectMap, asm.FnXdpAdjustMeta, asm.FnXdpAdjustTail, asm.FnFibLookup,
		asm.FnSkLookupTcp, asm.FnSkLookupUdp, asm.FnSkRelease, asm.FnSkcLookupTcp,
		asm.FnTcpCheckSyncookie, asm.FnTcpGenSyncookie, asm.FnCheckMtu, asm.FnXdpGetBuffLen,
		asm.FnXdpLoadBytes, asm.FnXdpStoreBytes, asm.FnTcpRawGenSyncookieIpv4,
		asm.FnTcpRawGenSyncookieIpv6, asm.FnTcpRawCheckSyncookieIpv4,
		asm.FnTcpRawCheckSyncookieIpv6,
	),
	ebpf.PerfEvent: tracingHelpers.with(
		asm.FnPerfProgReadValue, asm.FnReadBranchRecords,
	),
	ebpf.CGroupSKB: socketHelpers.with(
		asm.FnPerfEventOutput, asm.FnSkbLoadBytes, asm.FnGetSocketCookie, asm.FnGetSocketUid,
		asm.FnSkbLoadBytesRelative, asm.FnSkbCgroupId, asm.FnGetLocalStorage,
		asm.FnSkbAncestorCgroupId, asm.FnSkLookupTcp, asm.FnSkLookupUdp, asm.FnSkRelease,
		asm.FnSkFullsock, asm.FnTcpSock, asm.FnSkbEcnSetCe, asm.FnGetListenerSock,
		asm.FnSkcLookupTcp, asm.FnSkStorageGet, asm.FnSkStorageDelete, asm.FnGetNetnsCookie,
		asm.FnSkCgroupId, asm.FnSkAncestorCgroupId,
	),
	ebpf.CGroupSock: baseHelpers.with(
		asm.FnPerfEventOutput, asm.FnGetSocketCookie, asm.FnGetLocalStorage,
		asm.FnSkStorageGet, asm.FnGetNetnsCookie, asm.FnKtimeGetCoarseNs, asm.FnGetRetval,
		asm.FnSetRetval,
	),
	ebpf.LWTIn: lwtHelpers.with(
		asm.FnLwtPushEncap,
	),
	ebpf.LWTOut: lwtHelpers,
	ebpf.LWTXmit: lwtHelpers.with(
		asm.FnSkbStoreBytes, asm.FnL3CsumReplace, asm.FnL4CsumReplace, asm.FnCloneRedirect,
		asm.FnSkbGetTunnelKey, asm.FnSkbSetTunnelKey, asm.FnRedirect, asm.FnSkbGetTunnelOpt,
		asm.FnSkbSetTunnelOpt, asm.FnSkbChangeTail, asm.FnCsumUpdate, asm.FnSetHashInvalid,
		asm.FnSkbChangeHead, asm.FnLwtPushEncap, asm.FnCsumLevel,
	),
	ebpf.SockOps: socketHelpers.with(
		asm.FnPerfEventOutput, asm.FnGetSocketCookie, asm.FnSetsockopt, asm.FnSockMapUpdate,
		asm.FnGetsockopt, asm.FnSockOpsCbFlagsSet, asm.FnSockHashUpdate, asm.FnGetLocalStorage,
		asm.FnTcpSock, asm.FnSkStorageGet, asm.FnSkStorageDelete, asm.FnGetNetnsCookie,
		asm.FnLoadHdrOpt, asm.FnStoreHdrOpt, asm.FnReserveHdrOpt,
	),
	ebpf.SkSKB: socketHelpers.with(
		asm.FnSkbStoreBytes, asm.FnPerfEventOutput, asm.FnSkbLoadBytes, asm.FnSkbChangeTail,
		asm.FnSkbPullData, asm.FnSkbChangeHead, asm.FnGetSocketCookie, asm.FnGetSocketUid,
		asm.FnSkbAdjustRoom, asm.FnSkRedirectMap, asm.FnSkRedirectHash, asm.FnSkLookupTcp,
		asm.FnSkLookupUdp, asm.FnSkRelease, asm.FnSkcLookupTcp,
	),
	ebpf.CGroupDevice: baseHelpers.with(
		asm.FnPerfEventOutput, asm.FnGetLocalStorage, asm.FnGetRetval, asm.FnSetRetval,
	),
	ebpf.SkMsg: socketHelpers.with(
		asm.FnPerfEventOutput, asm.FnMsgRedirectMap, asm.FnMsgApplyBytes, asm.FnMsgCorkBytes,
		asm.FnMsgPullData, asm.FnMsgRedirectHash, asm.FnMsgPushData, asm.FnMsgPopData,
		asm.FnSkStorageGet, asm.FnSkStorageDelete, asm.FnGetNetnsCookie,
	),
	ebpf.RawTracepoint: tracingHelpers,
	ebpf.CGroupSockAddr: socketHelpers.with(
		asm.FnPerfEventOutput, asm.FnGetSocketCookie, asm.FnSetsockopt, asm.FnGetsockopt,
		asm.FnBind, asm.FnGetLocalStorage, asm.FnSkLookupTcp, asm.FnSkLookupUdp,
		asm.FnSkRelease, asm.FnSkcLookupTcp, asm.FnSkStorageGet, asm.FnSkStorageDelete,
		asm.FnGetNetnsCookie, asm.FnGetRetval, asm.FnSetRetval,
	),
	ebpf.LWTSeg6Local: lwtHelpers.with(
		asm.FnLwtSeg6StoreBytes, asm.FnLwtSeg6AdjustSrh, asm.FnLwtSeg6Action,
	),
	ebpf.LircMode2: helperSet{}.with(
		asm.FnMapLookupElem, asm.FnMapUpdateElem, asm.FnMapDeleteElem, asm.FnKtimeGetNs,
		asm.FnTracePrintk, asm.FnGetPrandomU32, asm.FnTailCall, asm.FnRcRepeat,
		asm.FnRcKeydown, asm.FnMapPushElem, asm.FnMapPopElem, asm.FnMapPeekElem,
		asm.FnRcPointerRel, asm.FnKtimeGetBootNs,
	),
	ebpf.SkReuseport: baseHelpers.with(
		asm.FnSkbLoadBytes, asm.FnGetSocketCookie, asm.FnSkbLoadBytesRelative,
		asm.FnSkSelectReuseport, asm.FnKtimeGetCoarseNs,
	),
	ebpf.FlowDissector: socketHelpers.with(
		asm.FnSkbLoadBytes,
	),
	ebpf.CGroupSysctl: baseHelpers.with(
		asm.FnPerfEventOutput, asm.FnGetLocalStorage, asm.FnSysctlGetName,
		asm.FnSysctlGetCurrentValue, asm.FnSysctlGetNewValue, asm.FnSysctlSetNewValue,
		asm.FnKtimeGetCoarseNs, asm.FnGetRetval, asm.FnSetRetval,
	),
	ebpf.RawTracepointWritable: tracingHelpers,
	ebpf.CGroupSockopt: baseHelpers.with(
		asm.FnPerfEventOutput, asm.FnSetsockopt, asm.FnGetsockopt, asm.FnGetLocalStorage,
		asm.FnTcpSock, asm.FnSkStorageGet, asm.FnSkStorageDelete, asm.FnGetNetnsCookie,
		asm.FnGetRetval, asm.FnSetRetval,
	),
	ebpf.Tracing: tracingHelpers.with(
		asm.FnGetSocketCookie, asm.FnSkStorageGet, asm.FnSkStorageDelete, asm.FnSkbOutput,
		asm.FnXdpOutput, asm.FnSeqPrintf, asm.FnSeqWrite, asm.FnSkcToTcp6Sock,
		asm.FnSkcToTcpSock, asm.FnSkcToTcpTimewaitSock, asm.FnSkcToTcpRequestSock,
		asm.FnSkcToUdp6Sock, asm.FnDPath, asm.FnSeqPrintfBtf, asm.FnSockFromFile,
		asm.FnGetFuncIp, asm.FnSkcToUnixSock, asm.FnGetFuncArg, asm.FnGetFuncRet,
		asm.FnGetFuncArgCnt, asm.FnXdpGetBuffLen, asm.FnSkcToMptcpSock,
	),
	ebpf.StructOps: baseHelpers.with(
		asm.FnSkStorageGet, asm.FnSkStorageDelete, asm.FnTcpSendAck,
	),
	ebpf.LSM: baseHelpers.with(
		asm.FnProbeRead, asm.FnProbeWriteUser, asm.FnProbeReadStr, asm.FnSetsockopt,
		asm.FnGetsockopt, asm.FnSkStorageGet, asm.FnSkStorageDelete, asm.FnInodeStorageGet,
		asm.FnInodeStorageDelete, asm.FnCopyFromUser, asm.FnBprmOptsSet, asm.FnImaInodeHash,
		asm.FnGetFuncIp, asm.FnGetAttachCookie, asm.FnCopyFromUserTask, asm.FnImaFileHash,
	),
	ebpf.SkLookup: socketHelpers.with(
		asm.FnPerfEventOutput, asm.FnSkRelease, asm.FnSkAssign,
	),
	ebpf.Syscall: baseHelpers.with(
		asm.FnProbeRead, asm.FnPerfEventOutput, asm.FnGetStackid, asm.FnProbeWriteUser,
		asm.FnProbeReadStr, asm.FnGetSocketCookie, asm.FnGetStack, asm.FnSkbOutput,
		asm.FnXdpOutput, asm.FnSkcToTcp6Sock, asm.FnSkcToTcpSock, asm.FnSkcToTcpTimewaitSock,
		asm.FnSkcToTcpRequestSock, asm.FnSkcToUdp6Sock, asm.FnCopyFromUser, asm.FnSockFromFile,
		asm.FnSysBpf, asm.FnBtfFindByNameKind, asm.FnSysClose, asm.FnGetFuncIp,
		asm.FnSkcToUnixSock, asm.FnKallsymsLookupName, asm.FnXdpGetBuffLen,
		asm.FnCopyFromUserTask, asm.FnSkcToMptcpSock,
	),
	ebpf.Netfilter: baseHelpers,
}

// HelperByID is the row of a helper, nil for an id that Linux 6.18 does not know.
func HelperByID(id asm.BuiltinFunc) *Helper {
	if id == 0 || int(id) > len(helpers) {
		return nil
	}
	return &helpers[id-1]
}

// HelperAllowed reports whether programs of a type and attach type may call a
// helper.
func HelperAllowed(t ebpf.ProgramType, attach ebpf.AttachType, id asm.BuiltinFunc) bool {
	if !available[t].has(id) {
		return false
	}
	// Only iterators have a seq_file to write to.
	switch id {
	case asm.FnSeqPrintf, asm.FnSeqWrite, asm.FnSeqPrintfBtf:
		return attach == ebpf.AttachTraceIter
	}
	return true
}
