package skep

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"runtime"
	"slices"
	"strings"
	"sync"

	"github.com/cilium/ebpf"

	"github.com/skep-bpf/skep/internal/image"
	"github.com/skep-bpf/skep/internal/interp"
	"github.com/skep-bpf/skep/internal/kview"
	bpfmaps "github.com/skep-bpf/skep/internal/maps"
	"github.com/skep-bpf/skep/internal/mem"
	"github.com/skep-bpf/skep/internal/program"
	"github.com/skep-bpf/skep/verify"
)

type userEngine struct{}

// User is the engine that runs programs in this process.
func User() Engine { return userEngine{} }

func (userEngine) String() string { return "user" }

// Target is what programs of the user engine are linked and verified against.
func (userEngine) target() image.Target {
	return image.Target{Types: kview.Types(), Kconfig: kview.Kconfig}
}

func (e userEngine) load(ctx context.Context, spec *CollectionSpec, o *loadOptions) (_ *Collection, err error) {
	img, err := image.Link(spec, e.target())
	if err != nil {
		return nil, err
	}
	c := newCollection()
	defer func() {
		if err != nil {
			c.Close()
		}
	}()

	cpus := possibleCPUs()
	pool, err := mem.NewPool(cpus)
	if err != nil {
		return nil, err
	}
	c.closers = append(c.closers, pool)

	look := new(selfView)
	c.closers = append(c.closers, look)

	tables := make(map[string]bpfmaps.Map)
	for _, name := range slices.Sorted(maps.Keys(img.Maps)) {
		spec := img.Maps[name]
		switch spec.Type {
		case ebpf.ProgramArray, ebpf.ArrayOfMaps, ebpf.HashOfMaps:
			if len(spec.Contents) > 0 {
				return nil, fmt.Errorf("map %s: contents that name programs or maps are %w yet", name, ebpf.ErrNotSupported)
			}
		}
		m, err := bpfmaps.New(spec, cpus)
		if err != nil {
			return nil, fmt.Errorf("map %s: %w", name, err)
		}
		tables[name] = m
		c.closers = append(c.closers, m)
		// Maps that hold an object's global data have names that start with a dot
		// or hold one; users reach them as Variables.
		if !strings.Contains(name, ".") {
			c.Maps[name] = &userMap{m: m, name: name, cpus: cpus}
		}
	}

	names := slices.Sorted(maps.Keys(spec.Programs))
	verdicts, err := verifyAll(ctx, img, names)
	if err != nil {
		return nil, err
	}
	for i, name := range names {
		p := img.Programs[name]
		run, err := program.New(p, verdicts[i].Facts, tables, pool.Size(), interp.Options{Checked: o.checked})
		if err != nil {
			return nil, err
		}
		c.Programs[name] = &Program{user: run, pool: pool, options: o, spec: spec.Programs[name], self: look}
	}

	for name, v := range spec.Variables {
		if m, ok := tables[v.SectionName].(bpfmaps.Direct); ok {
			c.Variables[name] = &Variable{spec: v, m: m}
		}
	}
	return c, nil
}

// verifyAll verifies the programs of an image side by side, those with the same
// code once. The error joins all refusals, in the order of names.
func verifyAll(ctx context.Context, img *image.Image, names []string) ([]*verify.Result, error) {
	verdicts := make([]*verify.Result, len(names))
	refused := make([]error, len(names))
	twin := make([]int, len(names)) // the first program with the same code
	var group sync.WaitGroup
	busy := make(chan struct{}, runtime.GOMAXPROCS(0))
	for i, name := range names {
		if refused[i] = img.Failed[name]; refused[i] != nil {
			continue
		}
		twin[i] = slices.IndexFunc(names[:i+1], func(other string) bool {
			return img.Failed[other] == nil && img.Programs[other].SameCode(img.Programs[name])
		})
		if twin[i] < i {
			continue
		}
		busy <- struct{}{}
		if err := ctx.Err(); err != nil {
			refused[i] = err
			break
		}
		group.Go(func() {
			verdicts[i] = verify.Image(img, img.Programs[name], &verify.Options{Types: kview.Types()})
			if e := verdicts[i].Err; e != nil {
				refused[i] = e
			}
			<-busy
		})
	}
	group.Wait()
	for i := range names {
		if verdicts[i] == nil && refused[i] == nil {
			verdicts[i], refused[i] = verdicts[twin[i]], refused[twin[i]]
		}
	}
	return verdicts, errors.Join(refused...)
}

// Verify judges every program of spec for the user engine, in order of their
// names. Nothing is loaded.
func Verify(spec *CollectionSpec) ([]*verify.Result, error) {
	return verify.Collection(spec, &verify.Options{Types: kview.Types(), Kconfig: kview.Kconfig})
}
