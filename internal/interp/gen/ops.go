package main

// An operation is one form of a BPF instruction as the interpreter runs it.
type operation struct {
	name string
	kind kind
	// fn is the function of internal/interp that says what it computes. size is
	// the width in bits of what it computes or touches.
	fn   string
	size int
	// imm says that the second operand is the immediate, not a register.
	imm bool
}

type kind int

const (
	binary     kind = iota // dst = fn(dst, operand)
	unary                  // dst = fn(operand)
	load                   // dst = fn(src+off)
	kernelLoad             // the same through mem.Kernel
	store                  // fn(dst+off, operand)
	atomic                 // fn(dst+off, src)
	fetch                  // src = fn(dst+off, src)
	cmpxchg                // r0 = fn(dst+off, r0, src)
	jump                   // if fn(dst, operand), go on at jump
	imm64                  // dst = 64-bit immediate; takes two slots
	ja                     // go on at jump
	call                   // r0 = helper number imm of the program (r1 … r5)
	local                  // call of a subprogram, at jump
	exit                   // return from a subprogram or the program
	trap                   // end the run: what imm says
)

// operations lists every operation once.
func operations() []operation {
	var all []operation
	add := func(o operation) { all = append(all, o) }

	both := func(name, fn string, k kind, size int) {
		add(operation{name + "Imm", k, fn, size, true})
		add(operation{name + "Reg", k, fn, size, false})
	}
	for _, name := range []string{"add", "sub", "mul", "div", "or", "and", "lsh", "rsh", "mod", "xor"} {
		both(title(name)+"64", name, binary, 64)
		both(title(name)+"32", name, binary, 32)
	}
	for _, name := range []string{"arsh", "sdiv", "smod"} {
		both(title(name)+"64", name+"64", binary, 64)
		both(title(name)+"32", name+"32", binary, 32)
	}
	both("Mov64", "mov", unary, 64)
	both("Mov32", "mov", unary, 32)
	add(operation{"Neg64", unary, "neg", 64, false})
	add(operation{"Neg32", unary, "neg", 32, false})
	for _, name := range []string{"movsx8to64", "movsx16to64", "movsx32to64", "le16", "le32", "swap16", "swap32", "swap64"} {
		add(operation{title(name), unary, name, 64, false})
	}
	for _, name := range []string{"movsx8to32", "movsx16to32"} {
		add(operation{title(name), unary, name, 32, false})
	}
	add(operation{name: "Lddw", kind: imm64})

	for _, size := range []int{8, 16, 32, 64} {
		add(operation{"Load" + itoa(size), load, "load" + itoa(size), size, false})
		add(operation{"KernelLoad" + itoa(size), kernelLoad, "load" + itoa(size), size, false})
		both("Store"+itoa(size), "store"+itoa(size), store, size)
	}
	for _, size := range []int{8, 16, 32} {
		add(operation{"Loads" + itoa(size), load, "loads" + itoa(size), size, false})
		add(operation{"KernelLoads" + itoa(size), kernelLoad, "loads" + itoa(size), size, false})
	}
	for _, size := range []int{32, 64} {
		for _, name := range []string{"Add", "Or", "And", "Xor"} {
			add(operation{"Atomic" + name + itoa(size), atomic, "fetch" + name + itoa(size), size, false})
			add(operation{"Fetch" + name + itoa(size), fetch, "fetch" + name + itoa(size), size, false})
		}
		add(operation{"Xchg" + itoa(size), fetch, "xchg" + itoa(size), size, false})
		add(operation{"Cmpxchg" + itoa(size), cmpxchg, "cmpxchg" + itoa(size), size, false})
	}

	for _, name := range []string{"jeq", "jne", "jgt", "jge", "jlt", "jle", "jset"} {
		both(title(name)+"64", name, jump, 64)
		both(title(name)+"32", name, jump, 32)
	}
	for _, name := range []string{"jsgt", "jsge", "jslt", "jsle"} {
		both(title(name)+"64", name+"64", jump, 64)
		both(title(name)+"32", name+"32", jump, 32)
	}
	add(operation{name: "Ja", kind: ja})
	add(operation{name: "Call", kind: call})
	add(operation{name: "Local", kind: local})
	add(operation{name: "Exit", kind: exit})
	add(operation{name: "Trap", kind: trap})
	return all
}
