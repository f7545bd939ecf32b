// Package syscalls is the event source of system calls: it joins tracing
// programs to the system calls of a command, by package tracer.
//
// A program sees at a hook what it would see there in the kernel: the same
// context, byte for byte where the verifier lets it look, and the same kernel
// objects as far as package kview has them. What it returns is not used, as in
// the kernel.
//
// Programs of one call run in the kernel's order: at the entry tracepoints and
// then kprobes, at the exit kretprobes and then tracepoints, each in the order
// of Attach.
package syscalls

import (
	"cmp"
	"slices"
)

//go:generate go run gen/main.go

// A Call is a system call of x86-64.
type Call struct {
	Number int
	Name   string // as its manual page calls it: stat
	Entry  string // as the kernel's function and its tracepoints call it: newstat
	Args   int    // how many arguments it has; 6 where this is not known
}

var byName = func() map[string]*Call {
	m := make(map[string]*Call, len(table))
	for i := range table {
		m[table[i].Name] = &table[i]
	}
	// An entry's name goes first: "umount" is umount2.
	for i := range table {
		m[table[i].Entry] = &table[i]
	}
	return m
}()

// byNumber finds a system call, nil if there is none.
func byNumber(n int) *Call {
	i, ok := slices.BinarySearchFunc(table[:], n, func(c Call, n int) int { return cmp.Compare(c.Number, n) })
	if !ok {
		return nil
	}
	return &table[i]
}

// ByName finds a system call by either of its names, nil if there is none.
func ByName(name string) *Call { return byName[name] }
