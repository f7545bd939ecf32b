package abi

// Flags of a map's creation (BPF_F_* in include/uapi/linux/bpf.h; cilium/ebpf
// keeps its constants internal, x/sys has them on Linux only).
const (
	MapNoPrealloc    = 1 << 0  // BPF_F_NO_PREALLOC
	MapNoCommonLRU   = 1 << 1  // BPF_F_NO_COMMON_LRU
	MapNUMANode      = 1 << 2  // BPF_F_NUMA_NODE
	MapRdonly        = 1 << 3  // BPF_F_RDONLY: user space may not write
	MapWronly        = 1 << 4  // BPF_F_WRONLY: user space may not read
	MapZeroSeed      = 1 << 6  // BPF_F_ZERO_SEED
	MapRdonlyProg    = 1 << 7  // BPF_F_RDONLY_PROG: programs may not write
	MapWronlyProg    = 1 << 8  // BPF_F_WRONLY_PROG: programs may not read
	MapMmapable      = 1 << 10 // BPF_F_MMAPABLE
	MapPreserveElems = 1 << 11 // BPF_F_PRESERVE_ELEMS
	MapInnerMap      = 1 << 12 // BPF_F_INNER_MAP
)
