// Package abi is the Linux side of eBPF as tables: helpers and their
// prototypes, program types with their contexts, map types, section names,
// instruction-set versions. The verifier, the engines, the documentation and
// `skep feature` read the same rows; each fact stands here once. Numbers are
// cilium/ebpf's constants, none is defined again.
package abi

import (
	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
)

// Arg is what a helper expects in one argument register. The words are those of
// the kernel's ARG_* types.
type Arg uint8

const (
	ArgNone          Arg = iota // not used
	ArgAnything                 // any initialised value
	ArgScalar                   // a number, not a pointer
	ArgMapPtr                   // a map (const_map_ptr)
	ArgMapKey                   // memory of the map's key size, read
	ArgMapValue                 // memory of the map's value size, read
	ArgMapValueOut              // memory of the map's value size, written
	ArgMem                      // memory, read; its size is the next ArgSize
	ArgMemOrNull                // the same or NULL
	ArgMemOut                   // memory, written; it need not be initialised
	ArgMemOutOrNull             // the same or NULL
	ArgSize                     // the size of the memory argument before it, not 0
	ArgSizeOrZero               // the same, 0 allowed
	ArgAllocSize                // a known constant: the size of what is returned
	ArgContext                  // the program's context
	ArgRingbufRecord            // a record from bpf_ringbuf_reserve, released by this call
	ArgConstString              // a NUL-terminated string in read-only map memory
	ArgLongOut                  // memory of 8 bytes, written
	ArgIntOut                   // memory of 4 bytes, written
	ArgBTFPtr                   // a pointer to a kernel type
	ArgUnsupported              // a form the verifier does not know yet
)

// Ret is what a helper leaves in R0.
type Ret uint8

const (
	RetScalar         Ret = iota // a number
	RetVoid                      // nothing: R0 is unreadable
	RetMapValueOrNull            // a value of the map in the map argument, or NULL
	RetRingbufOrNull             // an acquired ring-buffer record of ArgAllocSize bytes, or NULL
	RetTask                      // a trusted pointer to task_struct
	RetUnsupported               // a form the verifier does not know yet
)

// Support says who can run a helper in user space.
type Support uint8

const (
	Nobody Support = 0
	Go     Support = 1 << 0 // a Go body in internal/helper
	Emit   Support = 1 << 1 // machine code by the JIT
)

// A Helper is one row: everything that is known about a helper.
type Helper struct {
	ID      asm.BuiltinFunc
	Name    string // bpf_map_lookup_elem
	Args    [5]Arg
	Ret     Ret
	GPL     bool   // only for GPL-compatible programs
	Since   string // "4.14": the first kernel that has it
	Support Support
}

// A ProgramType is one row: what holds for all programs of a type.
type ProgramType struct {
	Type ebpf.ProgramType
	Name string // "tracepoint"
	// Context describes what R1 points to.
	Context Context
	// ReturnMin and ReturnMax bound what the program may return, as int64.
	ReturnMin, ReturnMax int64
	Since                string // "4.7": the first kernel that has it
	// PrivateStack says that each function has 512 bytes of stack of its own, and
	// not all functions of a chain of calls together (Linux 6.13, tracing types).
	PrivateStack bool
}

// A Context is the memory behind R1 of a program type.
type Context struct {
	// Size in bytes. Accesses must lie inside. 0 says that the context is not
	// known yet: such programs can't be verified.
	Size int
	// Access says how wide an access may be and where; nil allows any aligned
	// read of 1, 2, 4 or 8 bytes and no write.
	Access func(off, size int, write bool) bool
	// Fields are the members of a context whose bytes are not all alike, in order
	// of offset; nil for an array of registers or arguments.
	Fields []Field
}

// A Field is one member of a context.
type Field struct {
	Name string
	Off  int
	Size int
	Mode Mode
}

// Mode says how a field may be accessed.
type Mode uint8

const (
	Read    Mode = 1 << iota // by a load of the whole field
	Narrow                   // by an aligned load of a part of it, too
	Write                    // by a store of the whole field
	Part                     // by an aligned store of a part, or beyond its end into the next
	Pointer                  // what is loaded is a pointer: packet, socket
)

// Allows reports whether a program may access size bytes at off.
func (c *Context) Allows(off, size int, write bool) bool {
	if off < 0 || size <= 0 || off+size > c.Size || off%size != 0 {
		return false
	}
	if c.Access != nil {
		return c.Access(off, size, write)
	}
	return !write
}

// Field is the field that byte off belongs to, nil if there is none.
func (c *Context) Field(off int) *Field {
	for i := range c.Fields {
		if f := &c.Fields[i]; off >= f.Off && off < f.Off+f.Size {
			return f
		}
	}
	return nil
}
