/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * The path of an open file of the current task, by the walk that the kernel
 * itself does: task->files->fdt->fd[n]->f_path, then from dentry to parent and
 * from mount to mount point until the root of the mount tree. The text is what
 * /proc/PID/fd/N shows.
 */
#ifndef SKEP_PATH_H
#define SKEP_PATH_H

#include "skep_kernel.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>

#define PATH_SPACE 4096 /* PATH_MAX: a power of two, for masks */
#define NAME_SPACE 256  /* NAME_MAX and a NUL */
#define PATH_DEPTH 64   /* components of a path that are followed */
#define MIN_FDS 64      /* NR_OPEN_DEFAULT: one for each bit of a long */

/* s_magic of file systems whose files have no path (linux/magic.h). */
#define MAGIC_PIPEFS 0x50495045
#define MAGIC_SOCKFS 0x534f434b
#define MAGIC_ANON_INODE 0x09041934
#define MAGIC_PIDFS 0x50494446

/*
 * A path is written from its end towards its start: text[start..PATH_SPACE) is
 * what is known so far. The slack behind lets a masked start plus a name stay
 * inside. start lives in memory and not in a register so that a verifier keeps
 * no range for it: every round of the walk then looks the same to it, and it
 * need not follow every combination of rounds.
 */
struct path_buffer {
	__u32 start;
	char text[PATH_SPACE + NAME_SPACE];
};

static __always_inline void path_prepend(struct path_buffer *b, const void *name, __u32 len)
{
	__u32 start = b->start;

	if (len >= NAME_SPACE)
		len = NAME_SPACE - 1;
	if (start < len)
		return;
	start = (start - len) & (PATH_SPACE - 1);
	bpf_probe_read_kernel(&b->text[start], len, name);
	b->start = start;
}

static __always_inline void path_prepend_char(struct path_buffer *b, char c)
{
	__u32 start = b->start;

	if (start == 0)
		return;
	start = (start - 1) & (PATH_SPACE - 1);
	b->text[start] = c;
	b->start = start;
}

/* "name:[123]", the way pipes and sockets are shown. */
static __always_inline void path_number(struct path_buffer *b, const char *name, __u32 len, __u64 n)
{
	path_prepend_char(b, ']');
	for (int i = 0; i < 20; i++) {
		path_prepend_char(b, '0' + n % 10);
		n /= 10;
		if (n == 0)
			break;
	}
	path_prepend_char(b, '[');
	path_prepend_char(b, ':');
	path_prepend(b, name, len);
}

static __always_inline void path_dentry(struct path_buffer *b, struct dentry *d)
{
	path_prepend(b, BPF_CORE_READ(d, d_name.name), BPF_CORE_READ(d, d_name.len));
}

/* A dentry that is in no tree: pipes, sockets, anonymous inodes, memory files. */
static __always_inline void path_unmounted(struct path_buffer *b, struct dentry *d)
{
	struct inode *inode = BPF_CORE_READ(d, d_inode);

	switch (BPF_CORE_READ(inode, i_sb, s_magic)) {
	case MAGIC_PIPEFS:
		path_number(b, "pipe", 4, BPF_CORE_READ(inode, i_ino));
		return;
	case MAGIC_SOCKFS:
		path_number(b, "socket", 6, BPF_CORE_READ(inode, i_ino));
		return;
	case MAGIC_PIDFS:
		path_prepend(b, "anon_inode:[pidfd]", 18);
		return;
	case MAGIC_ANON_INODE:
		path_dentry(b, d);
		path_prepend(b, "anon_inode:", 11);
		return;
	}
	path_prepend(b, " (deleted)", 10);
	path_dentry(b, d);
	path_prepend_char(b, '/');
}

/*
 * Writes the path of f into b, from b->start to PATH_SPACE. A path that does not
 * fit keeps its end.
 */
static __always_inline void path_of(struct path_buffer *b, struct file *f)
{
	struct dentry *d = BPF_CORE_READ(f, f_path.dentry);
	struct vfsmount *vfs = BPF_CORE_READ(f, f_path.mnt);
	struct mount *m = container_of(vfs, struct mount, mnt);
	struct dentry *root = BPF_CORE_READ(vfs, mnt_root);
	struct dentry *parent = BPF_CORE_READ(d, d_parent);

	b->start = PATH_SPACE;
	/* A dentry without parent that is not the root of its mount is in no tree. */
	if (d == parent && d != root) {
		path_unmounted(b, d);
		return;
	}
	if (d != parent && !BPF_CORE_READ(d, d_hash.pprev))
		path_prepend(b, " (deleted)", 10);
	for (int i = 0; i < PATH_DEPTH; i++) {
		if (d == root || d == parent) {
			struct mount *up = BPF_CORE_READ(m, mnt_parent);

			if (up == m)
				break;
			d = BPF_CORE_READ(m, mnt_mountpoint);
			root = BPF_CORE_READ(up, mnt.mnt_root);
			m = up;
		} else {
			path_dentry(b, d);
			path_prepend_char(b, '/');
			d = parent;
		}
		parent = BPF_CORE_READ(d, d_parent);
	}
	if (b->start == PATH_SPACE)
		path_prepend_char(b, '/');
}

/* The file behind descriptor fd of the current task, NULL if it is not open. */
static __always_inline struct file *path_file(unsigned int fd)
{
	struct task_struct *task = (struct task_struct *)bpf_get_current_task();
	struct fdtable *fdt = BPF_CORE_READ(task, files, fdt);
	struct file **slots = BPF_CORE_READ(fdt, fd);
	struct file *f = 0;

	/* A table has MIN_FDS slots from the start, so most calls need not ask. */
	if (fd >= MIN_FDS && fd >= BPF_CORE_READ(fdt, max_fds))
		return 0;
	bpf_probe_read_kernel(&f, sizeof(f), slots + fd);
	return f;
}

#endif
