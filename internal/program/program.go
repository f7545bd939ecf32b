// Package program binds a linked image, the verifier's facts, maps, helpers and
// code into something that runs.
package program

import (
	"fmt"

	"github.com/skep-bpf/skep/internal/helper"
	"github.com/skep-bpf/skep/internal/image"
	"github.com/skep-bpf/skep/internal/interp"
	"github.com/skep-bpf/skep/internal/maps"
	"github.com/skep-bpf/skep/internal/mem"
	"github.com/skep-bpf/skep/verify"
)

// A Program is ready to run on any runner of its pool.
type Program struct {
	Image *image.Program
	Facts *verify.Facts
	Maps  []maps.Map // in the order of Image.Maps

	code  *interp.Code
	calls []*helper.Call // by runner: a runner runs one program at a time
}

// New binds an accepted program. all holds the maps of the object by name;
// runners is the size of the pool that the program will run on.
func New(p *image.Program, facts *verify.Facts, all map[string]maps.Map, runners int, o interp.Options) (*Program, error) {
	if facts == nil {
		return nil, fmt.Errorf("program %s: not verified", p.Name)
	}
	out := &Program{Image: p, Facts: facts, calls: make([]*helper.Call, runners)}
	for _, name := range p.Maps {
		m := all[name]
		if m == nil {
			return nil, fmt.Errorf("program %s: map %q is missing", p.Name, name)
		}
		out.Maps = append(out.Maps, m)
	}
	code, err := interp.Compile(p, facts, out.Maps, o)
	if err != nil {
		return nil, fmt.Errorf("program %s: %w", p.Name, err)
	}
	out.code = code
	for i := range out.calls {
		out.calls[i] = &helper.Call{Maps: out.Maps}
	}
	return out, nil
}

// Run runs the program once on r, which the caller holds, with R1 = ctx.
func (p *Program) Run(r *mem.Runner, ctx uint64) (uint64, error) {
	call := p.calls[r.CPU]
	call.Runner = r
	call.Begin()
	return p.code.Run(call, ctx)
}
