package mem

// Errno is an error number of Linux as programs see it, on every OS. Helpers
// return its negative.
type Errno uint16

// Error numbers that helpers give (include/uapi/asm-generic/errno.h, and
// ENOTSUPP of include/linux/errno.h).
const (
	EPERM      Errno = 1
	ENOENT     Errno = 2
	E2BIG      Errno = 7
	EAGAIN     Errno = 11
	ENOMEM     Errno = 12
	EFAULT     Errno = 14
	EBUSY      Errno = 16
	EEXIST     Errno = 17
	EINVAL     Errno = 22
	ENOSPC     Errno = 28
	ERANGE     Errno = 34
	EOPNOTSUPP Errno = 95
	ENOTSUPP   Errno = 524
)

// R0 is the error as a helper returns it: 0 for none, else -errno.
func (e Errno) R0() uint64 { return uint64(-int64(e)) }
