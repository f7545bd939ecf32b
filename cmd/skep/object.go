package main

import (
	"bytes"
	"fmt"
	"strings"

	"github.com/skep-bpf/skep"
	"github.com/skep-bpf/skep/internal/view"
	"github.com/skep-bpf/skep/tools"
)

// A subject is what a command line names: a tool, or an object file, which has
// the view of any object.
type subject struct {
	spec *skep.CollectionSpec
	new  func(*skep.Collection, view.Info) (view.View, error)
	tool *tools.Tool // nil for an object file
}

// open reads the tool or object of that name: what has a slash or a dot is a
// path.
func open(name string) (*subject, error) {
	if tool, ok := tools.Find(name); ok {
		spec, err := skep.LoadSpecFromReader(bytes.NewReader(tool.Object))
		if err != nil {
			return nil, fmt.Errorf("tool %s: %w", name, err)
		}
		return &subject{spec: spec, new: tool.New, tool: &tool}, nil
	}
	if !strings.ContainsAny(name, "./\\") {
		var names []string
		for _, t := range tools.All {
			names = append(names, t.Name)
		}
		return nil, usagef("there is no tool %q: use one of %s, or the path of an object file", name, strings.Join(names, ", "))
	}
	spec, err := skep.LoadSpec(name)
	if err != nil {
		return nil, err
	}
	return &subject{spec: spec, new: view.NewObject}, nil
}
