// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
// reader MODE FILE…: reads in ways that can be counted. Linked statically, so
// that no loader reads before main.
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

static char buf[4096];

static void must(int ok, const char *what)
{
	if (!ok) {
		perror(what);
		exit(1);
	}
}

static void times(int n, const char *path)
{
	int fd = open(path, O_RDONLY);

	must(fd >= 0, path);
	for (int i = 0; i < n; i++)
		must(pread(fd, buf, 10, 0) == 10, "pread");
	close(fd);
}

// FILE holds 1000 bytes, GONE does not exist and may be made.
static void kinds(const char *file, const char *gone)
{
	struct iovec parts[2] = {{buf, 100}, {buf + 100, 100}};
	int fd, ends[2];

	fd = open(file, O_RDONLY);
	must(fd >= 0, file);
	for (int i = 0; i < 7; i++)
		must(read(fd, buf, 100) == 100, "read");
	must(pread(fd, buf, 50, 0) == 50, "pread");
	must(preadv(fd, parts, 2, 0) == 200, "preadv");
	must(preadv2(fd, parts, 2, 0, 0) == 200, "preadv2");
	must(readv(fd, parts, 2) == 200, "readv");
	must(read(fd, buf, 200) == 100, "read");
	must(read(fd, buf, 200) == 0, "read");
	close(fd);

	must(pipe(ends) == 0, "pipe");
	must(write(ends[1], "hello", 5) == 5, "write");
	must(read(ends[0], buf, 100) == 5, "read");

	fd = open(gone, O_RDWR | O_CREAT | O_EXCL, 0600);
	must(fd >= 0, gone);
	must(write(fd, "gone", 4) == 4, "write");
	must(unlink(gone) == 0, "unlink");
	must(pread(fd, buf, 100, 0) == 4, "pread");
	must(pread(fd, buf, 2, 0) == 2, "pread");

	fd = memfd_create("kinds", 0);
	must(fd >= 0, "memfd_create");
	must(write(fd, "memory", 6) == 6, "write");
	must(pread(fd, buf, 100, 0) == 6, "pread");

	must(read(99, buf, 1) == -1, "read of nothing");
}

int main(int argc, char **argv)
{
	const char *mode = argc > 2 ? argv[1] : "";

	if (!strcmp(mode, "kinds")) {
		kinds(argv[2], argv[3]);
	} else if (!strcmp(mode, "times")) { // N FILE
		times(atoi(argv[2]), argv[3]);
	} else if (!strcmp(mode, "for-ever")) { // FILE
		for (;;) {
			times(1, argv[2]);
			usleep(200);
		}
	} else if (!strcmp(mode, "children")) { // N FILE: each child has a child that reads
		for (int i = 0; i < atoi(argv[2]); i++) {
			if (fork() == 0) {
				if (fork() == 0) {
					times(5, argv[3]);
					_exit(0);
				}
				wait(NULL);
				_exit(0);
			}
		}
		while (wait(NULL) > 0)
			;
	} else if (!strcmp(mode, "orphan")) { // FILE: the child reads when we have ended
		if (fork() == 0) {
			usleep(300000);
			times(3, argv[2]);
		}
	} else if (!strcmp(mode, "below")) { // CGROUP FILE: from a cgroup below our own
		char path[512];
		int fd;

		must(mkdir(argv[2], 0755) == 0, argv[2]);
		snprintf(path, sizeof path, "%s/cgroup.procs", argv[2]);
		fd = open(path, O_WRONLY);
		must(fd >= 0 && write(fd, "0", 1) == 1, path);
		close(fd);
		times(4, argv[3]);
	} else {
		fprintf(stderr, "usage: reader MODE …\n");
		return 2;
	}
	return 0;
}
