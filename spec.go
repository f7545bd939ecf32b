package skep

import (
	"fmt"
	"io"
	"os"

	"github.com/cilium/ebpf"

	"github.com/skep-bpf/skep/internal/image"
)

// The types of a spec are cilium/ebpf's, so that what bpf2go generates goes
// straight in.
type (
	CollectionSpec = ebpf.CollectionSpec
	ProgramSpec    = ebpf.ProgramSpec
	MapSpec        = ebpf.MapSpec
	VariableSpec   = ebpf.VariableSpec
)

// Errors of LoadSpec, for errors.Is. The error itself says which section and
// offset, and why.
var (
	ErrNotELF    = image.ErrNotELF    // the file is not an ELF file
	ErrTruncated = image.ErrTruncated // the file ends too early
	ErrMachine   = image.ErrMachine   // the file is for another machine than BPF
	ErrByteOrder = image.ErrByteOrder // the file is for big-endian BPF
	ErrNoProgram = image.ErrNoProgram // the file has no program
)

// LoadSpec reads an object file.
func LoadSpec(path string) (*CollectionSpec, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	spec, err := image.Load(f)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return spec, nil
}

// LoadSpecFromReader reads an object file from r.
func LoadSpecFromReader(r io.ReaderAt) (*CollectionSpec, error) { return image.Load(r) }
