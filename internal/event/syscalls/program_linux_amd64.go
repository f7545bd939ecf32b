package syscalls

import (
	"encoding/binary"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// getppidProgram makes an executable, in memory, that calls getppid n times and
// exits. It needs no compiler, no library and no file system that may run files.
func getppidProgram(n uint32) (*os.File, error) {
	const (
		base   = 0x400000
		header = 64
		entry  = 56 // a program header
	)
	code := []byte{0xbb} // mov ebx, n
	code = binary.LittleEndian.AppendUint32(code, n)
	code = append(code,
		0xb8, 110, 0, 0, 0, // loop: mov eax, SYS_getppid
		0x0f, 0x05, // syscall
		0xff, 0xcb, // dec ebx
		0x75, 0xf5, // jnz loop
		0xb8, 60, 0, 0, 0, // mov eax, SYS_exit
		0x31, 0xff, // xor edi, edi
		0x0f, 0x05, // syscall
	)
	size := uint64(header + entry + len(code))
	elf := append([]byte("\x7fELF\x02\x01\x01"), make([]byte, 9)...)
	le := binary.LittleEndian
	elf = le.AppendUint16(elf, 2)                 // ET_EXEC
	elf = le.AppendUint16(elf, 62)                // EM_X86_64
	elf = le.AppendUint32(elf, 1)                 // version
	elf = le.AppendUint64(elf, base+header+entry) // entry point
	elf = le.AppendUint64(elf, header)            // program headers
	elf = le.AppendUint64(elf, 0)                 // no sections
	elf = le.AppendUint32(elf, 0)                 // flags
	for _, half := range []uint16{header, entry, 1, 64, 0, 0} {
		elf = le.AppendUint16(elf, half)
	}
	elf = le.AppendUint32(elf, 1) // PT_LOAD
	elf = le.AppendUint32(elf, 5) // read, execute
	for _, word := range []uint64{0, base, base, size, size, 0x1000} {
		elf = le.AppendUint64(elf, word)
	}
	elf = append(elf, code...)

	fd, err := unix.MemfdCreate("skep:calibrate", unix.MFD_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("memfd_create: %w", err)
	}
	file := os.NewFile(uintptr(fd), "calibrate")
	if _, err := file.Write(elf); err != nil {
		file.Close()
		return nil, err
	}
	return file, nil
}
