// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
//go:build ignore
// reads: which process reads which file, how often, how much, how fast.
#include <linux/bpf.h>
#include <asm/errno.h>
#include "skep_path.h"

#define PATH_LEN 464   // of longer paths the end is kept
#define ROWS 16384     // process × command × file
#define CALLS 10240    // threads inside a read at the same time
#define SLOTS 40       // log2 of ns: the last one is 2^39 ns, 9 minutes, and above

char LICENSE[] SEC("license") = "Dual BSD/GPL";

// A record of every read, or only of the first of each row.
const volatile _Bool each_read = 0;

struct name {
	__u32 pid;
	char comm[16];
	char path[PATH_LEN];
};

struct row {
	struct name name;
	__u64 reads;
	__u64 errors;
	__u64 bytes;
	__u64 first_ns;
	__u64 last_ns;
	__u64 hist[SLOTS]; // hist[i] counts latencies in [2^i, 2^(i+1)) ns
};

struct call {
	__u64 start_ns;
	__u32 row;
	__u32 first;
};

// One record of the ring buffer.
struct event {
	__u64 time_ns;
	__u64 latency_ns;
	__s64 ret;
	__u32 tid;
	__u32 row; // index in rows
};

// Keeps the struct in the BTF, for whoever decodes records.
const struct event *unused __attribute__((unused));

struct scratch {
	struct name name;
	struct path_buffer path;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, ROWS);
	__type(key, struct name);
	__type(value, __u32);
} names SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, ROWS);
	__type(key, __u32);
	__type(value, struct row);
} rows SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, CALLS);
	__type(key, __u32);
	__type(value, struct call);
} calls SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct scratch);
} scratch SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 256 * 1024);
} events SEC(".maps");

__u32 rows_used;
__u64 reads_lost; // reads that found a table full

static __always_inline __u32 log2_u64(__u64 v)
{
	__u32 r = 0, s;

	s = (v > 0xffffffff) << 5; v >>= s; r |= s;
	s = (v > 0xffff) << 4; v >>= s; r |= s;
	s = (v > 0xff) << 3; v >>= s; r |= s;
	s = (v > 0xf) << 2; v >>= s; r |= s;
	s = (v > 0x3) << 1; v >>= s; r |= s;
	return r | (v > 1);
}

// The index of the row of s->name, made if it is new; ROWS if there is no room.
static __noinline __u32 row_of(struct scratch *s, __u64 now, __u32 *first)
{
	__u32 *known, id;
	struct row *row;

	if (!s || !first)
		return ROWS;
	known = bpf_map_lookup_elem(&names, &s->name);
	if (known)
		return *known;
	id = __sync_fetch_and_add(&rows_used, 1);
	if (id >= ROWS)
		return ROWS;
	row = bpf_map_lookup_elem(&rows, &id);
	if (!row)
		return ROWS;
	if (bpf_map_update_elem(&names, &s->name, &id, BPF_NOEXIST)) {
		// Another CPU was first with this name.
		known = bpf_map_lookup_elem(&names, &s->name);
		return known ? *known : ROWS;
	}
	bpf_probe_read_kernel(&row->name, sizeof(row->name), &s->name);
	row->first_ns = now;
	*first = 1;
	return id;
}

static __noinline int enter(unsigned int fd)
{
	__u64 now = bpf_ktime_get_ns(), id = bpf_get_current_pid_tgid();
	__u32 zero = 0, tid = id, first = 0, start;
	struct call call = {};
	struct scratch *s;
	struct file *f;
	struct row *row;

	s = bpf_map_lookup_elem(&scratch, &zero);
	if (!s)
		return 0;
	// A probe read of address 0 fails and leaves zeros: one call in place of a
	// store for every 8 bytes.
	bpf_probe_read_kernel(s->name.path, PATH_LEN, 0);
	s->name.pid = id >> 32;
	bpf_get_current_comm(s->name.comm, sizeof(s->name.comm));
	f = path_file(fd);
	if (!f) {
		__builtin_memcpy(s->name.path, "(not open)", 11);
	} else {
		path_of(&s->path, f);
		start = s->path.start;
		if (start < PATH_SPACE - (PATH_LEN - 1))
			start = PATH_SPACE - (PATH_LEN - 1);
		if (start > PATH_SPACE)
			start = PATH_SPACE;
		s->path.text[PATH_SPACE] = 0;
		bpf_probe_read_kernel_str(s->name.path, PATH_LEN, &s->path.text[start]);
	}
	call.row = row_of(s, now, &first);
	call.first = first;
	row = bpf_map_lookup_elem(&rows, &call.row);
	// The time is taken anew: what was done so far is not the call's.
	call.start_ns = bpf_ktime_get_ns();
	if (!row || bpf_map_update_elem(&calls, &tid, &call, BPF_ANY)) {
		__sync_fetch_and_add(&reads_lost, 1);
		return 0;
	}
	__sync_fetch_and_add(&row->reads, 1);
	row->last_ns = now;
	return 0;
}

static __noinline int leave(long ret)
{
	__u64 now = bpf_ktime_get_ns(), ns;
	__u32 tid = bpf_get_current_pid_tgid(), slot;
	struct call *call = bpf_map_lookup_elem(&calls, &tid);
	struct event *e;
	struct row *row;

	if (!call)
		return 0;
	ns = now - call->start_ns;
	row = bpf_map_lookup_elem(&rows, &call->row);
	if (row) {
		if (ret > 0)
			__sync_fetch_and_add(&row->bytes, ret);
		else if (ret < 0)
			__sync_fetch_and_add(&row->errors, 1);
		slot = log2_u64(ns);
		if (slot >= SLOTS)
			slot = SLOTS - 1;
		__sync_fetch_and_add(&row->hist[slot], 1);
		row->last_ns = now;
	}
	if (each_read || call->first) {
		e = bpf_ringbuf_reserve(&events, sizeof(*e), 0);
		if (e) {
			e->time_ns = now;
			e->latency_ns = ns;
			e->ret = ret;
			e->tid = tid;
			e->row = call->row;
			bpf_ringbuf_submit(e, 0);
		}
	}
	bpf_map_delete_elem(&calls, &tid);
	return 0;
}

#define READ(call)                                                   \
	SEC("tracepoint/syscalls/sys_enter_" #call)                  \
	int enter_##call(struct sys_enter_context *ctx)              \
	{                                                            \
		return enter(ctx->args[0]);                          \
	}                                                            \
	SEC("tracepoint/syscalls/sys_exit_" #call)                   \
	int exit_##call(struct sys_exit_context *ctx)                \
	{                                                            \
		return leave(ctx->ret);                              \
	}

READ(read)
READ(pread64)
READ(readv)
READ(preadv)
READ(preadv2)
