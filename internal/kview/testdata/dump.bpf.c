// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
//go:build ignore
// dump: what the kernel's own objects of one process say, for a test that
// compares the view's with them. As an iterator over tasks and files it walks
// from the same task_struct as a program on a hook.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>

char LICENSE[] SEC("license") = "Dual BSD/GPL";

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct qstr {
	__u32 len;
	const unsigned char *name;
};

struct hlist_bl_node {
	struct hlist_bl_node **pprev;
};

struct file_system_type {
	const char *name;
};

struct dentry;

struct super_block {
	__u32 s_dev;
	unsigned long s_magic;
	struct file_system_type *s_type;
	struct dentry *s_root;
};

typedef struct {
	__u32 val;
} kuid_t;

typedef struct {
	__u32 val;
} kgid_t;

struct inode {
	unsigned short i_mode;
	kuid_t i_uid;
	kgid_t i_gid;
	struct super_block *i_sb;
	unsigned long i_ino;
	unsigned int i_nlink;
	__u32 i_rdev;
	long long i_size;
	long long i_atime_sec, i_mtime_sec, i_ctime_sec;
	__u32 i_atime_nsec, i_mtime_nsec, i_ctime_nsec;
};

struct dentry {
	struct hlist_bl_node d_hash;
	struct dentry *d_parent;
	struct qstr d_name;
	struct inode *d_inode;
	struct super_block *d_sb;
};

struct vfsmount {
	struct dentry *mnt_root;
	struct super_block *mnt_sb;
};

struct mount {
	struct mount *mnt_parent;
	struct dentry *mnt_mountpoint;
	struct vfsmount mnt;
	int mnt_id;
};

struct path {
	struct vfsmount *mnt;
	struct dentry *dentry;
};

struct file {
	unsigned int f_flags;
	long long f_pos;
	struct path f_path;
	struct inode *f_inode;
};

struct fdtable {
	unsigned int max_fds;
	struct file **fd;
};

struct files_struct {
	struct fdtable *fdt;
};

struct fs_struct {
	struct path root;
	struct path pwd;
};

struct pid_namespace;

struct upid {
	int nr;
	struct pid_namespace *ns;
};

struct pid {
	unsigned int level;
	struct upid numbers[];
};

struct task_struct {
	unsigned int flags;
	int pid;
	int tgid;
	struct task_struct *real_parent;
	struct task_struct *group_leader;
	struct pid *thread_pid;
	__u64 start_time;
	__u64 start_boottime;
	char comm[16];
	struct fs_struct *fs;
	struct files_struct *files;
};

struct seq_file;

struct bpf_iter_meta {
	struct seq_file *seq;
};

struct bpf_iter__task {
	struct bpf_iter_meta *meta;
	struct task_struct *task;
};

#pragma clang attribute pop

#define NAMES 24
#define NAME 256

// How a path ends at its file, and the names up to the root.
struct walk {
	__u32 mnt_id;
	__u32 unhashed;
	__u32 alone;   // d_parent is the dentry itself
	__u32 at_root; // the dentry is mnt_root
	__u32 unmounted; // mnt_parent is the mount itself
	__u32 names;
	char name[NAMES][NAME]; // from the file up
};

struct super {
	__u64 magic;
	__u32 dev;
	char type[16];
	char root[NAME];
};

struct info {
	__u32 open;
	__u32 flags;
	__s64 pos;
	__u64 ino;
	__s64 size, atime, mtime, ctime;
	__u32 atime_nsec, mtime_nsec, ctime_nsec;
	__u32 mode, uid, gid, nlink, rdev;
	__u32 same_inode; // f_inode is d_inode
	__u32 same_super; // i_sb, d_sb and mnt_sb are one
	struct super super;
	struct walk walk;
};

struct task {
	__u32 pid, tgid, ppid, leader, flags, level;
	__s32 nr[4];
	__u32 max_fds;
	__u64 start_time, start_boottime;
	char comm[16];
	struct walk root, pwd;
};

int want_tid;
int want_fd; // below 0 for the task itself
int found;
struct task task;
struct info info;

struct step {
	struct walk *w;
	struct dentry *d, *root;
	struct mount *m;
};

// Locals, because BPF_CORE_READ would relocate accesses to struct step too.
static int walk_step(__u32 i, struct step *s)
{
	struct dentry *d = s->d, *parent = BPF_CORE_READ(d, d_parent);
	struct mount *m = s->m, *up = BPF_CORE_READ(m, mnt_parent);
	struct walk *w = s->w;
	__u32 n = w->names;

	if (d == s->root) {
		if (up == m)
			return 1;
		s->d = BPF_CORE_READ(m, mnt_mountpoint);
		s->m = up;
		s->root = BPF_CORE_READ(up, mnt.mnt_root);
		return 0;
	}
	if (d == parent || n >= NAMES - 1)
		return 1;
	bpf_probe_read_kernel_str(w->name[n], NAME, BPF_CORE_READ(d, d_name.name));
	w->names = n + 1;
	s->d = parent;
	return 0;
}

static __always_inline void walk_path(struct walk *w, struct path *path)
{
	struct vfsmount *vfs = BPF_CORE_READ(path, mnt);
	struct dentry *d = BPF_CORE_READ(path, dentry), *root = BPF_CORE_READ(vfs, mnt_root);
	struct mount *m = container_of(vfs, struct mount, mnt);
	struct step s = {w, d, root, m};

	w->mnt_id = BPF_CORE_READ(m, mnt_id);
	w->unhashed = !BPF_CORE_READ(d, d_hash.pprev);
	w->alone = d == BPF_CORE_READ(d, d_parent);
	w->at_root = d == root;
	w->unmounted = BPF_CORE_READ(m, mnt_parent) == m;
	// The name of a file that has no way up, which the walk does not take.
	bpf_probe_read_kernel_str(w->name[NAMES - 1], NAME, BPF_CORE_READ(d, d_name.name));
	bpf_loop(4 * NAMES, walk_step, &s, 0);
}

static __always_inline void dump_task(struct task_struct *t)
{
	struct pid *pid = BPF_CORE_READ(t, thread_pid);

	task.pid = BPF_CORE_READ(t, pid);
	task.tgid = BPF_CORE_READ(t, tgid);
	task.ppid = BPF_CORE_READ(t, real_parent, tgid);
	task.leader = BPF_CORE_READ(t, group_leader, pid);
	task.flags = BPF_CORE_READ(t, flags);
	task.level = BPF_CORE_READ(pid, level);
	for (int i = 0; i < 4 && i <= task.level; i++)
		bpf_core_read(&task.nr[i], 4, &pid->numbers[i].nr);
	task.max_fds = BPF_CORE_READ(t, files, fdt, max_fds);
	task.start_time = BPF_CORE_READ(t, start_time);
	task.start_boottime = BPF_CORE_READ(t, start_boottime);
	bpf_core_read(task.comm, 16, &t->comm);
	walk_path(&task.root, &BPF_CORE_READ(t, fs)->root);
	walk_path(&task.pwd, &BPF_CORE_READ(t, fs)->pwd);
}

static __always_inline void dump_file(struct task_struct *t)
{
	struct fdtable *fdt = BPF_CORE_READ(t, files, fdt);
	struct file **slots = BPF_CORE_READ(fdt, fd), *f = 0;
	struct super_block *sb;
	struct inode *inode;

	if (want_fd >= BPF_CORE_READ(fdt, max_fds))
		return;
	bpf_probe_read_kernel(&f, sizeof(f), slots + want_fd);
	if (!f)
		return;
	info.open = 1;
	info.flags = BPF_CORE_READ(f, f_flags);
	info.pos = BPF_CORE_READ(f, f_pos);
	inode = BPF_CORE_READ(f, f_inode);
	info.same_inode = inode == BPF_CORE_READ(f, f_path.dentry, d_inode);
	info.ino = BPF_CORE_READ(inode, i_ino);
	info.size = BPF_CORE_READ(inode, i_size);
	info.atime = BPF_CORE_READ(inode, i_atime_sec);
	info.mtime = BPF_CORE_READ(inode, i_mtime_sec);
	info.ctime = BPF_CORE_READ(inode, i_ctime_sec);
	info.atime_nsec = BPF_CORE_READ(inode, i_atime_nsec);
	info.mtime_nsec = BPF_CORE_READ(inode, i_mtime_nsec);
	info.ctime_nsec = BPF_CORE_READ(inode, i_ctime_nsec);
	info.mode = BPF_CORE_READ(inode, i_mode);
	info.uid = BPF_CORE_READ(inode, i_uid.val);
	info.gid = BPF_CORE_READ(inode, i_gid.val);
	info.nlink = BPF_CORE_READ(inode, i_nlink);
	info.rdev = BPF_CORE_READ(inode, i_rdev);
	sb = BPF_CORE_READ(inode, i_sb);
	info.same_super = sb == BPF_CORE_READ(f, f_path.dentry, d_sb) && sb == BPF_CORE_READ(f, f_path.mnt, mnt_sb);
	info.super.magic = BPF_CORE_READ(sb, s_magic);
	info.super.dev = BPF_CORE_READ(sb, s_dev);
	bpf_probe_read_kernel_str(info.super.type, 16, BPF_CORE_READ(sb, s_type, name));
	bpf_probe_read_kernel_str(info.super.root, NAME, BPF_CORE_READ(sb, s_root, d_name.name));
	walk_path(&info.walk, &f->f_path);
}

SEC("iter/task")
int dump(struct bpf_iter__task *ctx)
{
	struct task_struct *t = ctx->task;

	if (!t || BPF_CORE_READ(t, pid) != want_tid)
		return 0;
	found = 1;
	if (want_fd < 0)
		dump_task(t);
	else
		dump_file(t);
	return 0;
}
