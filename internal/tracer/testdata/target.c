// target MODE [N]: programs for the tracer's tests. Each makes a known number of
// getppid calls, checks itself what it can see, and ends with status 0.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#define CHECK(c)                                                          \
	do {                                                              \
		if (!(c)) {                                               \
			fprintf(stderr, "target:%d: %s: errno %d (%s)\n", \
				__LINE__, #c, errno, strerror(errno));    \
			_exit(9);                                         \
		}                                                         \
	} while (0)

static char *self;
static int n;

static void calls(int count)
{
	for (int i = 0; i < count; i++)
		CHECK(syscall(SYS_getppid) >= 0);
}

static void reap(pid_t pid, int want)
{
	int st;
	pid_t got;
	do
		got = waitpid(pid, &st, __WALL);
	while (got < 0 && errno == EINTR);
	CHECK(got == pid);
	CHECK(st == want);
}

static int basic(void)
{
	calls(n);
	return 0;
}

// 1000 reads of a file, N getppid.
static int readfile(void)
{
	char b[16];
	int fd = open("/proc/self/exe", O_RDONLY);
	CHECK(fd >= 0);
	for (int i = 0; i < 1000; i++)
		CHECK(read(fd, b, sizeof b) == sizeof b);
	calls(n);
	return 0;
}

static void *thread_calls(void *arg)
{
	calls(n);
	return arg;
}

// 8 threads, N calls each.
static int threads(void)
{
	pthread_t t[8];
	for (int i = 0; i < 8; i++)
		CHECK(pthread_create(&t[i], 0, thread_calls, 0) == 0);
	for (int i = 0; i < 8; i++)
		CHECK(pthread_join(t[i], 0) == 0);
	return 0;
}

// 5 × (fork, N calls, vfork, exec, N calls): 10·N.
static int chain(void)
{
	char arg[16];
	sprintf(arg, "%d", n);
	for (int i = 0; i < 5; i++) {
		pid_t p = fork();
		CHECK(p >= 0);
		if (p == 0) {
			calls(n);
			pid_t v = vfork();
			if (v == 0) {
				execl(self, self, "basic", arg, (char *)0);
				_exit(8);
			}
			CHECK(v > 0);
			reap(v, 0);
			_exit(0);
		}
		reap(p, 0);
	}
	return 0;
}

static void *spin(void *arg)
{
	for (;;)
		syscall(SYS_gettid);
	return arg;
}

static void *exec_self(void *arg)
{
	char count[16];
	sprintf(count, "%d", n);
	calls(n);
	execl(self, self, "basic", count, (char *)0);
	_exit(8);
	return arg;
}

// A thread that is not the leader execs: N calls before, N after.
static int execthread(void)
{
	pthread_t t;
	for (int i = 0; i < 3; i++)
		CHECK(pthread_create(&t, 0, spin, 0) == 0);
	CHECK(pthread_create(&t, 0, exec_self, 0) == 0);
	pthread_join(t, 0);
	return 7;
}

static void *leader_gone(void *arg)
{
	usleep(20000);
	calls(n);
	exit(0);
	return arg;
}

// The leader ends before its thread makes N calls.
static int leaderexit(void)
{
	pthread_t t;
	CHECK(pthread_create(&t, 0, leader_gone, 0) == 0);
	pthread_exit(0);
}

// As leaderexit, and the last thread execs: 2·N.
static int leaderexec(void)
{
	pthread_t t;
	CHECK(pthread_create(&t, 0, exec_self, 0) == 0);
	pthread_exit(0);
}

static int pipes[2];
static volatile int alarms;

static void on_alarm(int sig)
{
	(void)sig;
	alarms++;
	if (alarms == 2)
		CHECK(write(pipes[1], "x", 1) == 1);
}

static void alarm_in(int ms)
{
	struct itimerval it = { { 0, 0 }, { 0, ms * 1000 } };
	CHECK(setitimer(ITIMER_REAL, &it, 0) == 0);
}

// A read that a signal ends with EINTR, and one that it restarts.
static int signals(void)
{
	char c;
	struct sigaction sa = { .sa_handler = on_alarm };
	CHECK(pipe(pipes) == 0);
	CHECK(sigaction(SIGALRM, &sa, 0) == 0);
	alarm_in(20);
	CHECK(read(pipes[0], &c, 1) == -1 && errno == EINTR && alarms == 1);
	sa.sa_flags = SA_RESTART;
	CHECK(sigaction(SIGALRM, &sa, 0) == 0);
	alarm_in(20);
	CHECK(read(pipes[0], &c, 1) == 1 && c == 'x' && alarms == 2);
	// nanosleep is restarted by restart_syscall after a stop, not ended.
	pid_t p = fork();
	CHECK(p >= 0);
	if (p == 0) {
		struct timespec ts = { 0, 100 * 1000 * 1000 };
		CHECK(nanosleep(&ts, 0) == 0);
		_exit(0);
	}
	usleep(30000);
	CHECK(kill(p, SIGSTOP) == 0);
	int st;
	CHECK(waitpid(p, &st, WUNTRACED) == p && WIFSTOPPED(st));
	CHECK(kill(p, SIGCONT) == 0);
	reap(p, 0);
	calls(n);
	return 0;
}

static volatile int ticks;

static void on_tick(int sig)
{
	(void)sig;
	ticks++;
}

// N calls under a storm of signals.
static int storm(void)
{
	struct sigaction sa = { .sa_handler = on_tick, .sa_flags = SA_RESTART };
	struct itimerval it = { { 0, 500 }, { 0, 500 } };
	CHECK(sigaction(SIGALRM, &sa, 0) == 0);
	CHECK(setitimer(ITIMER_REAL, &it, 0) == 0);
	calls(n);
	while (ticks < 20)
		;
	return 0;
}

// A stopped child stays stopped, and its parent sees it stop and go on.
static int stops(void)
{
	pid_t p = fork();
	int st;
	CHECK(p >= 0);
	if (p == 0) {
		pthread_t t;
		CHECK(pthread_create(&t, 0, thread_calls, 0) == 0);
		raise(SIGSTOP);
		calls(n);
		CHECK(pthread_join(t, 0) == 0);
		raise(SIGTSTP);
		_exit(3);
	}
	CHECK(waitpid(p, &st, WUNTRACED) == p && WIFSTOPPED(st) && WSTOPSIG(st) == SIGSTOP);
	usleep(50000);
	CHECK(waitpid(p, &st, WNOHANG | WCONTINUED) == 0);
	CHECK(kill(p, SIGCONT) == 0);
	CHECK(waitpid(p, &st, WCONTINUED) == p && WIFCONTINUED(st));
	CHECK(waitpid(p, &st, WUNTRACED) == p);
	// In an orphaned process group SIGTSTP does nothing.
	if (WIFSTOPPED(st)) {
		CHECK(WSTOPSIG(st) == SIGTSTP);
		CHECK(kill(p, SIGKILL) == 0);
		reap(p, SIGKILL);
		return 0;
	}
	CHECK(WIFEXITED(st) && WEXITSTATUS(st) == 3);
	return 0;
}

// Children that ask not to be traced: N calls each, by clone and by clone3.
static int untraced(void)
{
	pid_t p = syscall(SYS_clone, CLONE_UNTRACED | SIGCHLD, 0, 0, 0, 0);
	CHECK(p >= 0);
	if (p == 0) {
		calls(n);
		_exit(0);
	}
	reap(p, 0);

	struct clone_args a = { .flags = CLONE_UNTRACED, .exit_signal = SIGCHLD };
	p = syscall(SYS_clone3, &a, sizeof a);
	CHECK(p >= 0);
	CHECK(a.flags == CLONE_UNTRACED);
	if (p == 0) {
		calls(n);
		_exit(0);
	}
	reap(p, 0);

	// Nothing of what was changed is to be seen afterwards.
	long ret, flags = CLONE_UNTRACED | SIGCHLD, after = flags;
	register long r10 __asm__("r10") = 0, r8 __asm__("r8") = 0;
	__asm__ volatile("syscall" : "=a"(ret), "+D"(after) : "a"(SYS_clone), "S"(0), "d"(0), "r"(r10), "r"(r8) : "rcx", "r11", "memory");
	CHECK(ret >= 0);
	CHECK(after == flags);
	if (ret == 0)
		_exit(0);
	reap(ret, 0);
	return 0;
}

// A daemon that makes its N calls after the command has ended with status 4.
static int daemonise(void)
{
	pid_t p = fork();
	CHECK(p >= 0);
	if (p)
		_exit(4);
	setsid();
	p = fork();
	CHECK(p >= 0);
	if (p)
		_exit(0);
	usleep(200000);
	calls(n);
	return 0;
}

// What a nested tracer gets.
static int nested(void)
{
	int go[2];
	char c;
	CHECK(pipe(go) == 0);
	pid_t p = fork();
	CHECK(p >= 0);
	if (p == 0) {
		CHECK(ptrace(PTRACE_TRACEME, 0, 0, 0) == -1 && errno == EPERM);
		close(go[1]);
		CHECK(read(go[0], &c, 1) == 0);
		_exit(0);
	}
	CHECK(ptrace(PTRACE_SEIZE, p, 0, 0) == -1 && errno == EPERM);
	CHECK(ptrace(PTRACE_ATTACH, p, 0, 0) == -1 && errno == EPERM);
	close(go[1]);
	reap(p, 0);
	calls(n);
	return 0;
}

static int nodump(void)
{
	CHECK(prctl(PR_SET_DUMPABLE, 0) == 0);
	calls(n);
	return 0;
}

// Filters of the target's own: getppid denied, getpgrp traced by nobody.
static int filtered(void)
{
	struct sock_filter f[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_getpgrp, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRACE | 7),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_getppid, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EACCES),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog p = { sizeof f / sizeof *f, f };
	calls(n);
	CHECK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
	CHECK(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &p) == 0);
	CHECK(syscall(SYS_getpgrp) == -1 && errno == ENOSYS);
	for (int i = 0; i < 10; i++)
		CHECK(syscall(SYS_getppid) == -1 && errno == EACCES);
	return 0;
}

// No file descriptor, and then no stack.
static int bare(void)
{
	long count = n, ret;
	CHECK(syscall(SYS_close_range, 0, ~0U, 0) == 0);
	char line[256];
	uintptr_t lo = 0, hi = 0;
	FILE *f = fopen("/proc/self/maps", "r");
	CHECK(f);
	while (fgets(line, sizeof line, f))
		if (strstr(line, "[stack]"))
			CHECK(sscanf(line, "%lx-%lx", &lo, &hi) == 2);
	fclose(f);
	CHECK(lo);
	__asm__ volatile(
		"mov $11, %%eax\n syscall\n" // munmap
		"1: mov $110, %%eax\n syscall\n" // getppid
		"test %%rax, %%rax\n js 2f\n"
		"dec %%rbx\n jnz 1b\n"
		"xor %%edi, %%edi\n jmp 3f\n"
		"2: mov $9, %%edi\n"
		"3: mov $231, %%eax\n syscall\n" // exit_group
		: "=a"(ret)
		: "D"(lo), "S"(hi - lo), "b"(count)
		: "rcx", "r11", "memory");
	return 8;
}

// N calls of i386's getpid.
static int int80(void)
{
	for (int i = 0; i < n; i++) {
		long ret;
		__asm__ volatile("int $0x80" : "=a"(ret) : "a"(20) : "memory", "r8", "r9", "r10", "r11");
		if (ret == -ENOSYS)
			return 77; // a kernel without i386 calls
		CHECK(ret == getpid());
	}
	return 0;
}

// N processes that end at once, each with one call.
static int spawn(void)
{
	for (volatile int i = 0; i < n; i++) {
		pid_t p = i % 3 ? fork() : vfork();
		CHECK(p >= 0);
		if (p == 0) {
			syscall(SYS_getppid);
			_exit(0);
		}
		reap(p, 0);
	}
	return 0;
}

// N processes that are killed while they fork.
static int killed(void)
{
	for (int i = 0; i < n; i++) {
		pid_t p = fork();
		CHECK(p >= 0);
		if (p == 0) {
			for (;;) {
				pid_t q = fork();
				if (q == 0)
					_exit(0);
				if (q > 0)
					waitpid(q, 0, 0);
			}
		}
		usleep(500 + 37 * (i % 40));
		CHECK(kill(p, SIGKILL) == 0);
		reap(p, SIGKILL);
	}
	return 0;
}

// Reads from the terminal until its end.
static int tty(void)
{
	char c;
	printf("ready\n");
	fflush(stdout);
	while (read(0, &c, 1) == 1)
		if (c == 'q') {
			printf("quit\n");
			return 0;
		}
	return 5;
}

// Ends with the effective user id.
static int euid(void)
{
	return geteuid() ? 33 : 0;
}

// Runs the set-uid program at SETUID as user 65534.
static int dropped(void)
{
	CHECK(setresuid(65534, 65534, 65534) == 0);
	return execl(getenv("SETUID"), "target", "euid", (char *)0);
}

static int sleeper(void)
{
	for (int i = 0; i < 3; i++)
		if (fork() == 0)
			break;
	if (fork() == 0)
		raise(SIGSTOP);
	for (;;)
		usleep(1000 * (1 + n)), syscall(SYS_getppid);
	return 0;
}

static const struct {
	const char *name;
	int (*run)(void);
} modes[] = {
	{ "basic", basic }, { "readfile", readfile }, { "threads", threads },
	{ "chain", chain }, { "execthread", execthread }, { "leaderexit", leaderexit },
	{ "leaderexec", leaderexec }, { "signals", signals }, { "storm", storm },
	{ "stops", stops }, { "untraced", untraced }, { "daemon", daemonise },
	{ "nested", nested }, { "nodump", nodump }, { "filtered", filtered },
	{ "bare", bare }, { "int80", int80 }, { "spawn", spawn },
	{ "killed", killed }, { "tty", tty }, { "sleeper", sleeper },
	{ "euid", euid }, { "dropped", dropped },
};

int main(int argc, char **argv)
{
	self = argv[0];
	n = argc > 2 ? atoi(argv[2]) : 0;
	for (size_t i = 0; argc > 1 && i < sizeof modes / sizeof *modes; i++)
		if (strcmp(argv[1], modes[i].name) == 0)
			return modes[i].run();
	fprintf(stderr, "target: no such mode\n");
	return 2;
}
