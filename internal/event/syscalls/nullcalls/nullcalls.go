// Package nullcalls has a program that does nothing but the cheapest system
// call. It needs no compiler: it is a few instructions in an ELF file that is
// made in memory. What a hook costs is measured on it.
package nullcalls

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"time"
)

// Number is the system call that the program makes: getppid.
const Number = 110

// code calls getppid a number of times and writes the CLOCK_MONOTONIC of before
// and after, two struct timespec, to its stdout.
var code = []byte{
	0xbb, 0, 0, 0, 0, //               mov ebx, count
	0x48, 0x83, 0xec, 0x28, //         sub rsp, 40
	0x48, 0x89, 0xe6, //               mov rsi, rsp
	0xe8, 0x36, 0, 0, 0, //            call clock
	0x85, 0xdb, //                     test ebx, ebx
	0x74, 0x0b, //                     jz done
	0xb8, Number, 0, 0, 0, //    loop: mov eax, SYS_getppid
	0x0f, 0x05, //                     syscall
	0xff, 0xcb, //                     dec ebx
	0x75, 0xf5, //                     jnz loop
	0x48, 0x8d, 0x74, 0x24, 0x10, // done: lea rsi, [rsp+16]
	0xe8, 0x1d, 0, 0, 0, //            call clock
	0xbf, 1, 0, 0, 0, //               mov edi, 1 (stdout)
	0x48, 0x89, 0xe6, //               mov rsi, rsp
	0xba, 0x20, 0, 0, 0, //            mov edx, 32
	0xb8, 1, 0, 0, 0, //               mov eax, SYS_write
	0x0f, 0x05, //                     syscall
	0x31, 0xff, //                     xor edi, edi
	0xb8, 0xe7, 0, 0, 0, //            mov eax, SYS_exit_group
	0x0f, 0x05, //                     syscall
	0xbf, 1, 0, 0, 0, //        clock: mov edi, CLOCK_MONOTONIC
	0xb8, 0xe4, 0, 0, 0, //            mov eax, SYS_clock_gettime
	0x0f, 0x05, //                     syscall
	0xc3, //                           ret
}

const countAt = 1 // offset of count in code

// A Program is the program with a number of calls.
type Program struct{ file *os.File }

// New makes the program. Close frees it.
func New(calls uint32) (*Program, error) {
	f, err := executable(image(calls))
	if err != nil {
		return nil, fmt.Errorf("program that measures hooks: %w", err)
	}
	return &Program{f}, nil
}

// Path is where children of this process find the program until Close.
func (p *Program) Path() string { return fmt.Sprintf("/proc/self/fd/%d", p.file.Fd()) }

// Close frees the program. Processes that run it go on.
func (p *Program) Close() error { return p.file.Close() }

// Took reads from the program's stdout how long the calls took together.
func Took(stdout io.Reader) (time.Duration, error) {
	var b [32]byte
	if _, err := io.ReadFull(stdout, b[:]); err != nil {
		return 0, fmt.Errorf("program that measures hooks: %w", errors.Join(errors.New("it ended early"), err))
	}
	at := func(i int) int64 { return int64(binary.LittleEndian.Uint64(b[8*i:])) }
	return time.Duration(at(2)-at(0))*time.Second + time.Duration(at(3)-at(1)), nil
}

// image is a static ELF file for x86-64 with one segment.
func image(calls uint32) []byte {
	const (
		base   = 0x400000
		header = 64
		entry  = header + 56 // after one program header
	)
	b := []byte{0x7f, 'E', 'L', 'F', 2, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0}
	le := binary.LittleEndian
	b = le.AppendUint16(b, 2)  // ET_EXEC
	b = le.AppendUint16(b, 62) // EM_X86_64
	b = le.AppendUint32(b, 1)
	b = le.AppendUint64(b, base+entry)
	b = le.AppendUint64(b, header) // e_phoff
	b = le.AppendUint64(b, 0)
	b = le.AppendUint32(b, 0)
	for _, v := range []uint16{header, entry - header, 1, 0, 0, 0} {
		b = le.AppendUint16(b, v)
	}
	size := uint64(entry + len(code))
	b = le.AppendUint32(b, 1)                                       // PT_LOAD
	b = le.AppendUint32(b, 5)                                       // PF_R | PF_X
	for _, v := range []uint64{0, base, base, size, size, 0x1000} { // offset, addresses, sizes, alignment
		b = le.AppendUint64(b, v)
	}
	b = append(b, code...)
	le.PutUint32(b[entry+countAt:], calls)
	return b
}
