// SPDX-License-Identifier: Apache-2.0
// Eight threads read at the same time.
#include <fcntl.h>
#include <pthread.h>
#include <unistd.h>

static void *work(void *arg)
{
	int fd = open("/proc/self/exe", O_RDONLY);
	char c;

	for (int i = 0; i < 500; i++)
		if (pread(fd, &c, 1, i) != 1)
			_exit(1);
	return arg;
}

int main(void)
{
	pthread_t t[8];

	for (int i = 0; i < 8; i++)
		pthread_create(&t[i], 0, work, 0);
	for (int i = 0; i < 8; i++)
		pthread_join(t[i], 0);
	return 0;
}
