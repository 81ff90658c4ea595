/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * A clock that can be set, for one daemon: preloaded, it moves the time of day by what stands as an
 * int64_t of microseconds in the file $CLOCK_SHIM. The file is mapped before the daemon closes its
 * descriptors and clears its environment. The monotonic clock goes on as it does.
 *
 *   cc -shared -fPIC -o clockshim.so clockshim.c
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static const volatile int64_t *offset_us;

__attribute__((constructor)) static void
start(void)
{
	const char *path = getenv("CLOCK_SHIM");
	int fd = path != NULL ? open(path, O_RDONLY | O_CLOEXEC) : -1;
	void *page =
	    fd >= 0 ? mmap(NULL, sizeof(*offset_us), PROT_READ, MAP_SHARED, fd, 0) : MAP_FAILED;

	if (page == MAP_FAILED)
		abort();
	offset_us = page;
	close(fd);
}

static void
move(int64_t *seconds, int64_t *rest, int64_t per_second)
{
	int64_t us = *offset_us;
	int64_t sum = *rest + us % 1000000 * (per_second / 1000000) + per_second;

	*seconds += us / 1000000 + sum / per_second - 1;
	*rest = sum % per_second;
}

int
clock_gettime(clockid_t id, struct timespec *t)
{
	int code = (int)syscall(SYS_clock_gettime, id, t);
	int64_t seconds, rest;

	if (code == 0 && (id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE)) {
		seconds = t->tv_sec;
		rest = t->tv_nsec;
		move(&seconds, &rest, 1000000000);
		t->tv_sec = seconds;
		t->tv_nsec = rest;
	}
	return code;
}

int
gettimeofday(struct timeval *restrict t, void *restrict zone)
{
	struct timespec now;

	(void)zone;
	clock_gettime(CLOCK_REALTIME, &now);
	t->tv_sec = now.tv_sec;
	t->tv_usec = now.tv_nsec / 1000;
	return 0;
}

time_t
time(time_t *t)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	if (t != NULL)
		*t = now.tv_sec;
	return now.tv_sec;
}
