// SPDX-License-Identifier: Apache-2.0
// fork, vfork and exec one after another, also by a thread; each process reads
// its own number of times.
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

static void reads(int n)
{
	int fd = open("/dev/zero", O_RDONLY);
	char c;

	while (n-- > 0)
		if (read(fd, &c, 1) != 1)
			_exit(1);
	close(fd);
}

static void *exec_from_thread(void *self)
{
	execl(self, self, "1", NULL);
	_exit(1);
}

int main(int argc, char **argv)
{
	int depth = argc > 1 ? atoi(argv[1]) : 6, status;
	pthread_t t;
	char next[12];
	pid_t pid;

	reads(10 * depth);
	if (depth <= 0)
		return 0;
	snprintf(next, sizeof(next), "%d", depth - 1);
	if (depth == 2) {
		// The thread's exec replaces this whole process.
		pthread_create(&t, 0, exec_from_thread, argv[0]);
		pause();
	}
	pid = depth % 2 ? fork() : vfork();
	if (pid == 0) {
		execl(argv[0], argv[0], next, NULL);
		_exit(1);
	}
	if (waitpid(pid, &status, 0) != pid || status != 0)
		return 1;
	return 0;
}
