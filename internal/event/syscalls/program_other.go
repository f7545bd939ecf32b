//go:build !linux || !amd64

package syscalls

import (
	"os"

	"github.com/skep-bpf/skep/internal/tracer"
)

func getppidProgram(uint32) (*os.File, error) { return nil, tracer.ErrUnsupported }
