package kernel

import "io"

// A Link is a program joined to its hook. Without Close it stays there as long as
// this process lives.
type Link struct {
	section string
	joined  io.Closer
}

// Section is the section that named the hook.
func (l *Link) Section() string { return l.section }

// Close takes the program off its hook.
func (l *Link) Close() error { return l.joined.Close() }
