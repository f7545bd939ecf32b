// SPDX-License-Identifier: Apache-2.0
// Reads that signals interrupt: with and without SA_RESTART, and across a stop.
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static volatile int handled;

static void on_alarm(int sig)
{
	(void)sig;
	handled++;
}

static int interrupted(int flags)
{
	struct sigaction sa;
	int p[2], n;
	char c;
	pid_t child;

	memset(&sa, 0, sizeof(sa));
	sa.sa_handler = on_alarm;
	sa.sa_flags = flags;
	sigaction(SIGUSR1, &sa, 0);
	if (pipe(p))
		return -1;
	child = fork();
	if (child == 0) {
		usleep(300000);
		kill(getppid(), SIGUSR1);
		usleep(300000);
		if (write(p[1], "x", 1) != 1)
			_exit(1);
		_exit(0);
	}
	n = read(p[0], &c, 1);
	if (n < 0 && errno != EINTR)
		return -1;
	waitpid(child, 0, 0);
	close(p[0]);
	close(p[1]);
	return n;
}

int main(void)
{
	int status, p[2];
	char c;
	pid_t child;

	if (interrupted(0) != -1 || interrupted(SA_RESTART) != 1 || handled != 2)
		return 1;
	if (pipe(p))
		return 1;
	child = fork();
	if (child == 0)
		_exit(read(p[0], &c, 1) == 1 ? 0 : 1);
	usleep(300000);
	kill(child, SIGSTOP);
	if (waitpid(child, &status, WUNTRACED) != child || !WIFSTOPPED(status))
		return 2;
	kill(child, SIGCONT);
	if (write(p[1], "x", 1) != 1)
		return 3;
	if (waitpid(child, &status, 0) != child || status != 0)
		return 4;
	return 0;
}
