/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * Where the publisher's time goes. Linked into a daemon whose publisher.c and sender.c are compiled
 * with -finstrument-functions, it adds up the CPU time of each of their functions, without that of
 * the others of theirs it calls: what they call in other files is in it.
 *
 * The sums are in the file $PHASES, a table of struct phase, for as long as the daemon runs.
 * Functions are told apart by their distance from publisher_main(); special.py knows the names.
 */
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "publisher.h"

#define PHASES_MAX 256
#define DEPTH_MAX  64

#define NOT_INSTRUMENTED __attribute__((no_instrument_function))

struct phase {
	int64_t distance; /* in bytes */
	int64_t used;     /* 0: the table ends here */
	int64_t cpu_ns;
};

static struct phase *table;
static struct phase *running[DEPTH_MAX];
static int depth;
static int64_t since_ns;

void __cyg_profile_func_enter(void *function, void *caller) NOT_INSTRUMENTED;
void __cyg_profile_func_exit(void *function, void *caller) NOT_INSTRUMENTED;

static void __attribute__((constructor)) NOT_INSTRUMENTED
open_table(void)
{
	size_t size = PHASES_MAX * sizeof(*table);
	const char *file = getenv("PHASES");
	int fd = file != NULL ? open(file, O_RDWR | O_CREAT | O_CLOEXEC, 0600) : -1;
	void *p = MAP_FAILED;

	if (fd >= 0 && ftruncate(fd, (off_t)size) == 0)
		p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (p != MAP_FAILED)
		table = p;
	if (fd >= 0)
		close(fd);
}

static struct phase *NOT_INSTRUMENTED
find(const void *function)
{
	int64_t distance = (int64_t)((intptr_t)function - (intptr_t)publisher_main);
	size_t i = 0;

	while (i < PHASES_MAX - 1 && table[i].used != 0 && table[i].distance != distance)
		i++;
	table[i].distance = distance;
	table[i].used = 1;
	return &table[i];
}

/* The time since the last call belongs to whoever ran until now. */
static void NOT_INSTRUMENTED
charge(void)
{
	struct timespec now;
	int64_t now_ns;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	now_ns = now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
	if (depth > 0)
		running[depth - 1]->cpu_ns += now_ns - since_ns;
	since_ns = now_ns;
}

void
__cyg_profile_func_enter(void *function, void *caller)
{
	(void)caller;
	if (table == NULL || depth == DEPTH_MAX)
		return;
	charge();
	running[depth++] = find(function);
}

void
__cyg_profile_func_exit(void *function, void *caller)
{
	(void)function, (void)caller;
	if (table == NULL || depth == 0)
		return;
	charge();
	depth--;
}
