package skep

// A Link is a program joined to a hook.
type Link interface {
	// Section is the ELF section that named the hook.
	Section() string
	// Close takes the program off the hook.
	Close() error
}
