package image

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/btf"
)

// Load reads an ELF object as clang -target bpf writes it. It needs no kernel.
//
// An error is a *LoadError with one of the kinds ErrNotELF, ErrTruncated,
// ErrMachine, ErrByteOrder, ErrNoProgram, ErrMalformed, ErrTooLarge or
// ErrNotSupported, or what r gave. Objects of more than 64 MiB are too large.
func Load(r io.ReaderAt) (*ebpf.CollectionSpec, error) {
	raw, err := io.ReadAll(io.NewSectionReader(r, 0, maxObject+1))
	if err != nil {
		return nil, fmt.Errorf("read object: %w", err)
	}
	if len(raw) > maxObject {
		return nil, &LoadError{Kind: ErrTooLarge, Offset: -1, Reason: fmt.Sprintf("the file has more than %d bytes", maxObject)}
	}
	o, err := parse(raw)
	if err != nil {
		return nil, err
	}
	if err := o.hasProgram(); err != nil {
		return nil, err
	}
	notes := o.normalize()
	if err := o.check(); err != nil {
		return nil, err
	}
	var spec *ebpf.CollectionSpec
	err = contain(func() (err error) {
		spec, err = ebpf.LoadCollectionSpecFromReader(bytes.NewReader(o.raw))
		return err
	})
	if err != nil {
		kind := ErrMalformed
		if errors.Is(err, ebpf.ErrNotSupported) {
			kind = ErrNotSupported
		}
		return nil, &LoadError{Kind: kind, Offset: -1, Reason: err.Error(), Err: err}
	}
	if len(spec.Programs) == 0 {
		return nil, &LoadError{Kind: ErrNoProgram, Offset: -1,
			Reason: `all functions are in .text; give those that are programs a section, as SEC("xdp")`}
	}
	return spec, notes.attach(spec)
}

// hasProgram says why an object has no program.
func (o *object) hasProgram() error {
	for i := range o.sections {
		if o.sections[i].role == program {
			return nil
		}
	}
	reason := "the object has no section with instructions"
	if len(o.sections) == 0 {
		reason = "the file has no sections"
	}
	return &LoadError{Kind: ErrNoProgram, Offset: -1, Reason: reason}
}

// weakKconfig and typedKsym mark instructions in their metadata, so that what
// normalize found survives in the spec until Link. The value is true.
type (
	weakKconfig struct{}
	typedKsym   struct{}
)

// attach marks the instructions that refer to the noted externs.
func (n *notes) attach(spec *ebpf.CollectionSpec) error {
	if n.weak == nil && n.typed == nil {
		return nil
	}
	var kconfig *btf.Datasec
	if n.weak != nil {
		if err := spec.Types.TypeByName(".kconfig", &kconfig); err != nil {
			return &LoadError{Kind: ErrMalformed, Section: ".BTF", Offset: -1, Reason: err.Error(), Err: err}
		}
	}
	for _, p := range spec.Programs {
		for i := range p.Instructions {
			ins := &p.Instructions[i]
			if name := ins.Reference(); n.typed[name] {
				ins.Metadata.Set(typedKsym{}, true)
			} else if name == "" && ins.IsLoadFromMap() && kconfig != nil {
				if off, ok := kconfigOffset(ins); ok && n.weak[variableAt(kconfig, off)] {
					ins.Metadata.Set(weakKconfig{}, true)
				}
			}
		}
	}
	return nil
}

// variableAt is the name of the variable at a byte of a data section.
func variableAt(s *btf.Datasec, off uint32) string {
	for _, v := range s.Vars {
		if v.Offset == off {
			return v.Type.TypeName()
		}
	}
	return ""
}

// contain runs code of cilium/ebpf on untrusted bytes and turns a panic into an
// error. Its ELF loader and the debug/elf below it are not written for hostile
// input: where int has 32 bits, a relocation against symbol 0 indexes a slice
// with -1 (v0.22.0, elf_reader.go, loadSectionRelocations); cilium/ebpf itself
// recovers from "a bunch of unfixed bugs in debug/elf" (internal/elf.go). Nothing
// that it built is used after a panic.
func contain(f func() error) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("reading it panicked: %v", v)
		}
	}()
	return f()
}
