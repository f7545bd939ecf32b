package kernel

// A Feature is one thing that this engine may have here.
type Feature struct {
	Kind    string // FeatureKinds
	Name    string // "tracepoint", "bpf_map_lookup_elem", "Hash"
	Program string // the program type that a helper is for
	// Available says that it is there. If not, Reason says why.
	Available bool
	Reason    string
}

// The kinds of features, in the order of Probe.
const (
	KindProgram     = "program"     // a program type
	KindMap         = "map"         // a map type
	KindAttachment  = "attachment"  // a form of section that programs are attached by
	KindConfinement = "confinement" // what programs can be confined to
	KindHelper      = "helper"      // a helper for one program type
)
