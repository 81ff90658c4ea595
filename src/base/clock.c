/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * Clocks, and how busy the processors are: see util.h. Nothing fails.
 */
#include <fcntl.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "util.h"

static int64_t
clock_us(clockid_t id)
{
	struct timespec ts;

	clock_gettime(id, &ts);
	return ts.tv_sec * US_PER_S + ts.tv_nsec / 1000;
}

int64_t
util_mono_us(void)
{
	return clock_us(CLOCK_MONOTONIC);
}

int64_t
util_utc_us(void)
{
	return clock_us(CLOCK_REALTIME);
}

int64_t
util_boot_us(void)
{
	return clock_us(CLOCK_BOOTTIME);
}

int64_t
util_cpu_us(void)
{
	return clock_us(CLOCK_PROCESS_CPUTIME_ID);
}

/* The beginning of a file in /proc, or "". */
static void
read_proc(const char *path, char *text, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd >= 0 ? read(fd, text, size - 1) : 0;

	text[n > 0 ? n : 0] = '\0';
	if (fd >= 0)
		close(fd);
}

int64_t
util_queued_us(void)
{
	char text[64];
	long long queued_ns = 0;

	/* nanoseconds running, nanoseconds queued */
	read_proc("/proc/self/schedstat", text, sizeof(text));
	sscanf(text, "%*d %lld", &queued_ns);
	return queued_ns / 1000;
}

bool
util_processors_busy(void)
{
	char text[64];
	int running = 0;

	/* "0.20 0.18 0.12 3/80 11206": three run or wait to, us included */
	read_proc("/proc/loadavg", text, sizeof(text));
	sscanf(text, "%*s %*s %*s %d/", &running);
	return running > sysconf(_SC_NPROCESSORS_ONLN);
}
