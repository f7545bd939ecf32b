// SPDX-License-Identifier: Apache-2.0
// A child that asks not to be traced, and a daemon that outlives its parent:
// both go on reading. The daemon leaves the number of its reads in a file.
#define _GNU_SOURCE
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

static int reads(int n)
{
	int fd = open("/dev/zero", O_RDONLY), done = 0;
	char c;

	while (n-- > 0 && read(fd, &c, 1) == 1)
		done++;
	close(fd);
	return done;
}

static int untraced(void *n)
{
	return reads(*(int *)n) == *(int *)n ? 0 : 1;
}

int main(int argc, char **argv)
{
	static char stack[65536];
	int n = 7, status;
	pid_t pid;

	pid = clone(untraced, stack + sizeof(stack), CLONE_UNTRACED | SIGCHLD, &n);
	if (pid < 0 || waitpid(pid, &status, 0) != pid || status != 0)
		return 1;
	if (argc > 1 && fork() == 0) {
		FILE *f;

		setsid();
		usleep(500000);
		f = fopen(argv[1], "w");
		fprintf(f, "%d", reads(11));
		fclose(f);
		_exit(0);
	}
	return 0;
}
