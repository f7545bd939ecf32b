package kernel

import "io"

// A Link is a program joined to its hook. A link that nobody refers to any more
// may be closed by the garbage collector. Closing one of a tracepoint takes some
// 60 ms, for which the kernel waits until nobody is in it; several are faster side
// by side.
type Link struct {
	section string
	joined  io.Closer
}

// Section is the section that named the hook.
func (l *Link) Section() string { return l.section }

// Close takes the program off its hook.
func (l *Link) Close() error { return l.joined.Close() }
