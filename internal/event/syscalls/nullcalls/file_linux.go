package nullcalls

import (
	"os"

	"golang.org/x/sys/unix"
)

// executable is a file with contents b that can be run and has no name. Systems
// with vm.memfd_noexec=2 run nothing from memory: there it was on disk.
func executable(b []byte) (*os.File, error) {
	f, err := memoryFile()
	if err != nil {
		return diskFile(b)
	}
	if _, err := f.Write(b); err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

func memoryFile() (*os.File, error) {
	const name = "nullcalls"
	fd, err := unix.MemfdCreate(name, unix.MFD_CLOEXEC|unix.MFD_EXEC)
	if err == unix.EINVAL { // before Linux 6.3 there is no MFD_EXEC, and every memfd is
		fd, err = unix.MemfdCreate(name, unix.MFD_CLOEXEC)
	}
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(fd), name), nil
}

func diskFile(b []byte) (*os.File, error) {
	w, err := os.CreateTemp("", "nullcalls")
	if err != nil {
		return nil, err
	}
	defer os.Remove(w.Name())
	_, err = w.Write(b)
	if err == nil {
		err = w.Chmod(0o700)
	}
	if e := w.Close(); err == nil { // a file that is open for writing is not run
		err = e
	}
	if err != nil {
		return nil, err
	}
	return os.Open(w.Name())
}
