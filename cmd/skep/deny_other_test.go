//go:build !linux || !amd64

package main

func denyPtrace() { panic("there is no ptrace of ours to deny here") }
