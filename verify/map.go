package verify

import (
	"fmt"
	"strings"

	"github.com/cilium/ebpf"

	"github.com/skep-bpf/skep/internal/abi"
)

// A mapInfo is what the verifier needs of a map.
type mapInfo struct {
	name string
	spec *ebpf.MapSpec
	// constants are the bytes that no one changes any more: of .rodata.
	constants []byte
	// special is a field of the values that only kernel helpers may touch, "" if
	// there is none.
	special string
}

func (m *mapInfo) readOnly() bool  { return m.spec.Flags&abi.MapRdonlyProg != 0 }
func (m *mapInfo) writeOnly() bool { return m.spec.Flags&abi.MapWronlyProg != 0 }
func (m *mapInfo) size() int64     { return int64(m.spec.ValueSize) }
func (m *mapInfo) String() string  { return fmt.Sprintf("%q", m.name) }

func (v *verifier) resolveMaps() *Error {
	v.insn = -1
	for _, name := range v.p.Maps {
		spec := v.img.Maps[name]
		if spec == nil {
			return v.fail(CodeMalformed, "the program refers to map %q, which the object does not have", name)
		}
		m := mapInfo{name: name, spec: spec, special: specialField(spec.Value)}
		// The loader freezes constant data when it has filled it in: what programs
		// may not write, nobody can change from then on.
		frozen := strings.HasPrefix(spec.Name, ".rodata") || spec.Name == ".kconfig"
		if frozen && m.readOnly() && len(spec.Contents) == 1 && spec.MaxEntries == 1 {
			m.constants, _ = spec.Contents[0].Value.([]byte)
		}
		v.maps = append(v.maps, m)
	}
	return nil
}
