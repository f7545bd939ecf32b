// SPDX-License-Identifier: Apache-2.0
// Every call that reads counts, a known number of times, on every kind of file.
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

static char buf[4096];

static void must(int ok, const char *what)
{
	if (!ok) {
		perror(what);
		exit(1);
	}
}

int main(int argc, char **argv)
{
	char name[] = "reads-XXXXXX", deleted[] = "gone-XXXXXX";
	struct iovec v = { buf, sizeof(buf) };
	int fd = mkstemp(name), gone = mkstemp(deleted), p[2], s[2], mem, copy, ev;
	unsigned long long one = 1;

	(void)argc, (void)argv;
	must(fd >= 0 && gone >= 0, "mkstemp");
	must(write(fd, buf, sizeof(buf)) == sizeof(buf), "write");
	must(write(gone, buf, 10) == 10, "write");
	for (int i = 0; i < 10; i++)
		must(pread(fd, buf, 100, i) == 100, "pread");
	lseek(fd, 0, SEEK_SET);
	must(read(fd, buf, 1000) == 1000, "read");
	must(readv(fd, &v, 1) == 3096, "readv");
	must(preadv(fd, &v, 1, 0) == 4096, "preadv");
	must(preadv2(fd, &v, 1, 0, 0) == 4096, "preadv2");
	copy = dup2(fd, 100);
	must(read(copy, buf, 1) == 0, "read at the end");
	unlink(deleted);
	must(pread(gone, buf, 10, 0) == 10, "pread of a deleted file");
	must(pipe(p) == 0 && write(p[1], "abc", 3) == 3 && read(p[0], buf, 3) == 3, "pipe");
	must(socketpair(AF_UNIX, SOCK_STREAM, 0, s) == 0 && write(s[1], "abc", 3) == 3 && read(s[0], buf, 3) == 3, "socket");
	mem = memfd_create("memory", 0);
	must(write(mem, "abc", 3) == 3 && pread(mem, buf, 3, 0) == 3, "memfd");
	ev = eventfd(1, 0);
	must(read(ev, &one, 8) == 8, "eventfd");
	must(read(999, buf, 1) == -1, "a descriptor that is not open");
	rename(name, "renamed");
	must(pread(fd, buf, 5, 0) == 5, "pread of a renamed file");
	unlink("renamed");
	return 7;
}
