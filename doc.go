// Package skep runs eBPF programs outside the kernel: it loads an object made by
// clang, verifies each program, and runs it at events of real processes, with
// maps that Go reads while programs write them. No root, no cgo and no kernel
// eBPF is needed.
//
// A spec comes from [LoadSpec] or from bpf2go's loadFoo; it is cilium/ebpf's own
// type. [Load] turns it into a [Collection] of an [Engine]:
//
//	spec, err := skep.LoadSpec("reads.bpf.o")
//	coll, err := skep.Load(ctx, skep.User(), spec)
//	defer coll.Close()
//
// Package attach joins programs to the system calls of a command, package
// ringbuf reads ring buffers, package verify is the verifier by itself.
//
// # What goes wrong
//
// A program that the verifier refuses gives a *[verify.Error], which names the C
// line and the reason. Map operations give the sentinels of cilium/ebpf
// (ebpf.ErrKeyNotExist, ebpf.ErrKeyExist, …) and the errno of the kernel for the
// same mistake.
package skep
