//go:build !linux

package helper

// nodes is the NUMA node of each CPU: all are on node 0.
func nodes() []uint64 { return nil }
