// A static Go program that reads a known number of times.
package main

import (
	"os"
	"syscall"
)

func main() {
	fd, err := syscall.Open("/proc/self/exe", syscall.O_RDONLY, 0)
	if err != nil {
		os.Exit(1)
	}
	buf := make([]byte, 64)
	for i := range 300 {
		if n, err := syscall.Pread(fd, buf, int64(i)); n != 64 || err != nil {
			os.Exit(1)
		}
	}
}
