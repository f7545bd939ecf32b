package abi

// What programs may do with their context on x86-64, as a 6.18 kernel answers
// to a load and a store of every width at every offset.

// withFields is a context that is made of fields.
func withFields(size int, fields []Field) Context {
	c := Context{Size: size, Fields: fields}
	c.Access = func(off, size int, write bool) bool {
		f := c.Field(off)
		if f == nil {
			return false
		}
		whole, part := Read, Narrow
		if write {
			whole, part = Write, Part
		}
		if off == f.Off && size == f.Size {
			return f.Mode&whole != 0
		}
		if size < f.Size {
			return f.Mode&part != 0
		}
		// An access over several fields: only an array of alike ones.
		last := c.Field(off + size - 1)
		return off == f.Off && last != nil && f.Mode&Part != 0 && last.Mode&Part != 0
	}
	return c
}

// ptRegs is the number of registers in x86-64's struct pt_regs.
const ptRegs = 21

var (
	kprobeContext = Context{Size: ptRegs * 8}

	// A tracepoint's record begins with a pointer that is the kernel's own
	// (common_type and its siblings are not for programs). The size is
	// PERF_MAX_TRACE_SIZE; which part a tracepoint really has is checked when the
	// program is attached.
	tracepointContext = Context{
		Size:   8192,
		Access: func(off, size int, write bool) bool { return off >= 8 && !write },
	}

	// struct bpf_raw_tracepoint_args: MAX_BPF_FUNC_ARGS numbers.
	rawTracepointContext = Context{Size: 12 * 8}

	// struct bpf_perf_event_data: pt_regs in whole registers, sample_period, addr.
	perfEventContext = Context{
		Size:   ptRegs*8 + 16,
		Access: func(off, size int, write bool) bool { return !write && (off >= ptRegs*8 || size == 8) },
	}

	socketFilterContext = withFields(192, skbFields(map[string]Mode{
		"tc_classid": 0, "data": 0, "data_end": 0, "tstamp": 0, "wire_len": 0, "tstamp_type": 0, "hwtstamp": 0,
	}))

	classifierContext = withFields(192, skbFields(map[string]Mode{
		"mark":          Read | Narrow | Write,
		"queue_mapping": Read | Narrow | Write,
		"priority":      Read | Narrow | Write,
		"tc_index":      Read | Narrow | Write,
		"tc_classid":    Read | Narrow | Write,
		"data_meta":     Read | Pointer,
		"tstamp":        Read | Write,
	}))

	xdpContext = withFields(24, []Field{
		{"data", 0, 4, Read | Pointer},
		{"data_end", 4, 4, Read | Pointer},
		{"data_meta", 8, 4, Read | Pointer},
		{"ingress_ifindex", 12, 4, Read},
		{"rx_queue_index", 16, 4, Read},
		{"egress_ifindex", 20, 4, 0}, // only of programs in a devmap
	})
)

// skbFields are the fields of struct __sk_buff, with the modes that differ in a
// program type.
func skbFields(differ map[string]Mode) []Field {
	fields := []Field{
		{"len", 0, 4, Read | Narrow},
		{"pkt_type", 4, 4, Read | Narrow},
		{"mark", 8, 4, Read | Narrow},
		{"queue_mapping", 12, 4, Read | Narrow},
		{"protocol", 16, 4, Read | Narrow},
		{"vlan_present", 20, 4, Read | Narrow},
		{"vlan_tci", 24, 4, Read | Narrow},
		{"vlan_proto", 28, 4, Read | Narrow},
		{"priority", 32, 4, Read | Narrow},
		{"ingress_ifindex", 36, 4, Read | Narrow},
		{"ifindex", 40, 4, Read | Narrow},
		{"tc_index", 44, 4, Read | Narrow},
		{"cb[0]", 48, 4, Read | Narrow | Write | Part},
		{"cb[1]", 52, 4, Read | Narrow | Write | Part},
		{"cb[2]", 56, 4, Read | Narrow | Write | Part},
		{"cb[3]", 60, 4, Read | Narrow | Write | Part},
		{"cb[4]", 64, 4, Read | Narrow | Write | Part},
		{"hash", 68, 4, Read | Narrow},
		{"tc_classid", 72, 4, Read | Narrow},
		{"data", 76, 4, Read | Pointer},
		{"data_end", 80, 4, Read | Pointer},
		{"napi_id", 84, 4, Read | Narrow},
		{"tstamp", 152, 8, Read},
		{"wire_len", 160, 4, Read | Narrow},
		{"gso_segs", 164, 4, Read | Narrow},
		{"sk", 168, 8, Read | Pointer},
		{"gso_size", 176, 4, Read | Narrow},
		{"tstamp_type", 180, 1, Read},
		{"hwtstamp", 184, 8, Read},
	}
	for i := range fields {
		if m, ok := differ[fields[i].Name]; ok {
			fields[i].Mode = m
			delete(differ, fields[i].Name)
		}
	}
	// data_meta stands after the addresses of sockets, which only sk_skb and
	// sockops programs see.
	if m, ok := differ["data_meta"]; ok {
		fields = append(fields, Field{"data_meta", 140, 4, m})
	}
	return fields
}
