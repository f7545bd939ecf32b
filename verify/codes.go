package verify

// A Code says in a stable word why a program was refused.
type Code string

const (
	CodeUninitialized Code = "uninitialized"
	CodeStackBounds   Code = "stack-bounds"
	CodeContextBounds Code = "context-bounds"
	CodeValueBounds   Code = "value-bounds"
	CodeKernelBounds  Code = "kernel-bounds"
	CodeMisaligned    Code = "misaligned"
	CodeReadOnly      Code = "read-only"
	CodeNotPointer    Code = "not-a-pointer"
	CodeNullPointer   Code = "null-pointer"
	CodeInfiniteLoop  Code = "infinite-loop"
	CodeTooComplex    Code = "too-complex"
	CodeJumpOutside   Code = "jump-outside"
	CodeUnreachable   Code = "unreachable"
	CodeArgument      Code = "helper-argument"
	CodeForbidden     Code = "forbidden-helper"
	CodeGPL           Code = "gpl-only"
	CodeMissingReturn Code = "missing-return"
	CodeReturnRange   Code = "return-range"
	CodePointerLeak   Code = "pointer-leak"
	CodePointerArith  Code = "pointer-arithmetic"
	CodeMixedPointers Code = "mixed-pointers"
	CodeStackDepth    Code = "stack-depth"
	CodeReferenceLeak Code = "reference-leak"
	CodeRelocation    Code = "relocation"
	CodeMalformed     Code = "malformed"
	CodeUnsupported   Code = "unsupported"
)

// Codes are all codes with what they mean and the shortest C that has them.
var Codes = []struct {
	Code    Code
	Meaning string // one sentence
	Example string // C, refused
}{
	{CodeUninitialized, "A register or a byte of the stack is read that may not have been written.",
		"int x; if (pid) x = 1; return x;"},
	{CodeStackBounds, "An access lies outside the 512 bytes of the function's stack frame.",
		"char b[16]; b[i & 31] = 0;"},
	{CodeContextBounds, "An access lies outside the context of the program type, or the field may not be accessed like this.",
		"return ((long *)ctx)[1000];"},
	{CodeValueBounds, "An access may lie outside the value of the map, or outside the ring-buffer record.",
		"v->data[n] = 1; /* n may be any number */"},
	{CodeKernelBounds, "A load through a pointer to a kernel type lies outside the type, or in the middle of a member.",
		"return *(long *)((char *)task + 1000000);"},
	{CodeMisaligned, "A stack access or an atomic operation is not aligned to its size.",
		"*(long *)(b + 1) = 0; /* b is on the stack */"},
	{CodeReadOnly, "The program writes to memory that it may only read: .rodata, the context, the kernel.",
		"ctx->di = 0;"},
	{CodeNotPointer, "A number is used as an address.",
		"return *(int *)bpf_get_current_task();"},
	{CodeNullPointer, "A pointer that may be NULL is used without a check.",
		"v = bpf_map_lookup_elem(&m, &k); v->n++;"},
	{CodeInfiniteLoop, "A loop comes back to the same state: nothing makes it end.",
		"while (x) ;"},
	{CodeTooComplex, "The program has more paths than the verifier is willing to walk: 1,000,000 instructions.",
		"for (i = 0; i < n; i++) sum += i; /* n up to 2^32 */"},
	{CodeJumpOutside, "A jump or a call leads outside its function, or into the middle of an instruction.",
		"asm volatile (\"goto +100\");"},
	{CodeUnreachable, "No path leads to an instruction.",
		"asm volatile (\"exit; r0 = 1; exit\");"},
	{CodeArgument, "A helper is called with an argument that it does not take.",
		"bpf_map_lookup_elem(&key, &map);"},
	{CodeForbidden, "The program type may not call this helper, or there is no such helper.",
		"bpf_skb_load_bytes(ctx, 0, b, 4); /* in a tracepoint */"},
	{CodeGPL, "The helper is for programs under a GPL-compatible license only.",
		"char LICENSE[] SEC(\"license\") = \"Proprietary\";"},
	{CodeMissingReturn, "A path of the program returns without a value.",
		"asm volatile (\"exit\");"},
	{CodeReturnRange, "The program may return a value that its type does not allow.",
		"return 5; /* in a cgroup program: 0 or 1 */"},
	{CodePointerLeak, "The address of the program's own memory would get out: into a map, a record, the return value.",
		"v->where = (long)ctx;"},
	{CodePointerArith, "Arithmetic on a pointer that would not leave a pointer that can be checked.",
		"p = (void *)((long)p * 2);"},
	{CodeMixedPointers, "The same instruction loads from kernel objects on one path and from other memory on another.",
		"p = x ? (void *)task : (void *)v; return *(long *)p;"},
	{CodeStackDepth, "The stack frames of nested calls are too many or too large together.",
		"int f(int n) { return n ? f(n - 1) : 0; }"},
	{CodeReferenceLeak, "A ring-buffer record is neither submitted nor discarded on some path.",
		"e = bpf_ringbuf_reserve(&rb, 8, 0); if (e && pid) return 0;"},
	{CodeRelocation, "The kernel's types do not have what the program needs, and the program does not ask first.",
		"BPF_CORE_READ(task, no_such_member);"},
	{CodeMalformed, "The instructions do not follow RFC 9669.",
		"asm volatile (\"r0 <<= 64\");"},
	{CodeUnsupported, "Skep does not know this yet.",
		"bpf_tail_call(ctx, &programs, 0);"},
}
