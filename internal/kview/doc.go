// Package kview is the kernel that a tracing program looks at: one persona
// (Linux 6.12), whose types CO-RE relocates against and whose objects are made
// of /proc.
//
// Objects come in two kinds.
//
//   - What does not change while it lives (dentry, mount, super_block, names,
//     saved registers) lies in the arena: memory that is always readable, which
//     programs see at addresses of the kernel's direct map. A load is a range
//     check and a load.
//   - What changes with time (a task and what hangs on it, the slots of fd[],
//     file, inode) has addresses outside of the arena. A load goes through
//     mem.Kernel.Fault, which asks /proc at that moment, once per stop and only
//     for the group of fields that the load touches. So a program sees the state
//     at the stop at which it looks, and pays for what it looks at. Within one
//     stop a value does not change.
//
// A slot of fd[] is read (readlink of /proc/TID/fd/N) at the stop at which the
// program loads it, before any cached file or dentry is used.
//
// What can't be filled truthfully is not in the types, so that CO-RE tells the
// program. What can't be read at the moment (the task is gone, /proc refuses)
// is EFAULT to a probe read and 0 to a typed load.
//
// Where the view knows less than the kernel:
//
//   - O_CLOEXEC in f_flags is that of the descriptor, not that of open.
//   - Start times have the 10 ms grain of /proc/PID/stat.
//   - Identity of files is by descriptor: descriptors that share one struct file
//     (dup, fork, SCM_RIGHTS) show the same contents at different addresses.
//   - Identity of dentries is by mount and path; a renamed file gets a new one.
//   - Of a file whose path is longer than PATH_MAX the kernel tells nothing to
//     readlink: its dentry has an empty name.
//   - A mount that no mountinfo lists (taken off while in use) is its own parent,
//     its file system has no type and no magic number.
//   - stat may differ from the inode: btrfs subvolumes and overlays number files
//     in their own way.
//   - The pid of a parent outside of the traced tree is that of its process.
//   - parent is real_parent: the tracer itself is not shown.
//   - A view from inside of a chroot or a pid namespace has its top there.
package kview
