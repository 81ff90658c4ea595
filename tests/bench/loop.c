/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * The least that checks sites: a few processes, each with its share of the sites, that get one page
 * after the other. What webmond costs is compared with this.
 *
 *   loop raw|curl|exec [-g flat|spread|split|grouped] [-i INTERVAL_S] [-p PROCESSES] [-d SECONDS]
 *        [-t TIMEOUT_S] [-a CA_FILE] [-k] SITES
 *
 * SITES has a line "name target" for each site. `-g grouped` does as webmond: its own slots, which
 * its tick groups, and one process for all sites of a tick. `split` spreads those over the
 * processes; `spread` takes the same slots without the tick; `flat` knows no slots and never waits.
 * It ends after -d seconds or by SIGTERM, and prints "slot_us lateness_us" of each check with a
 * slot, and on standard error how many were not answered by a 200.
 */
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "fetch.h"
#include "supervisor/schedule.h"
#include "util.h"

#define PROCESSES_MAX 1024

enum grid {
	FLAT,
	SPREAD,
	SPLIT,
	GROUPED,
	GRID_COUNT
};

static const char *const grid_name[GRID_COUNT] = { "flat", "spread", "split", "grouped" };
static const struct fetch *const ways[] = { &fetch_raw, &fetch_curl, &fetch_exec };

struct options {
	const struct fetch *way;
	enum grid grid;
	int64_t interval_us;
	int processes;
	unsigned seconds;
	struct fetch_options fetch;
};

struct site {
	char *name;
	char *target;
	int64_t slot_us;
};

struct sample {
	int64_t slot_us, lateness_us;
};

/* What one process has done; in memory shared with its parent, which prints it. */
struct share {
	size_t room;
	atomic_size_t count;
	atomic_size_t failed;
	struct sample sample[];
};

static void
usage(void)
{
	fputs("usage: loop raw|curl|exec [-g flat|spread|split|grouped] [-i INTERVAL_S]\n"
	      "            [-p PROCESSES] [-d SECONDS] [-t TIMEOUT_S] [-a CA_FILE] [-k] SITES\n",
	    stderr);
	exit(64);
}

static struct options
parse_options(int argc, char **argv)
{
	struct options o = { .grid = GRID_COUNT,
		.interval_us = 5 * US_PER_S,
		.processes = 4,
		.seconds = 60,
		.fetch = { .timeout_ms = 10000 } };
	const char *grid = "grouped";
	int c;

	for (size_t i = 0; argc > 1 && i < ARRAY_LENGTH(ways); i++)
		if (strcmp(argv[1], ways[i]->name) == 0)
			o.way = ways[i];
	optind = 2;
	while (o.way != NULL && (c = getopt(argc, argv, "g:i:p:d:t:a:k")) != -1) {
		switch (c) {
		case 'g':
			grid = optarg;
			break;
		case 'i':
			o.interval_us = (int64_t)(atof(optarg) * US_PER_S);
			break;
		case 'p':
			o.processes = atoi(optarg);
			break;
		case 'd':
			o.seconds = (unsigned)atoi(optarg);
			break;
		case 't':
			o.fetch.timeout_ms = (long)(atof(optarg) * US_PER_MS);
			break;
		case 'a':
			o.fetch.ca_file = optarg;
			break;
		case 'k':
			o.fetch.keepalive = true;
			break;
		default:
			usage();
		}
	}
	for (int i = 0; i < GRID_COUNT; i++)
		if (strcmp(grid, grid_name[i]) == 0)
			o.grid = (enum grid)i;
	if (o.way == NULL || o.grid == GRID_COUNT || optind + 1 != argc || o.interval_us < 1 ||
	    o.processes < 1 || o.processes > PROCESSES_MAX || o.seconds < 1)
		usage();
	return o;
}

static size_t
read_sites(const char *file, struct site **sites)
{
	FILE *f = fopen(file, "r");
	size_t count = 0, room = 0, size = 0;
	char *line = NULL;

	*sites = NULL;
	if (f == NULL) {
		perror(file);
		exit(EXIT_FAILURE);
	}
	while (getline(&line, &size, f) > 0) {
		char *rest = line;
		char *name = strsep(&rest, " ");

		if (rest == NULL)
			usage();
		rest[strcspn(rest, "\n")] = '\0';
		if (count == room) {
			room = room > 0 ? 2 * room : 1024;
			*sites = xreallocarray(*sites, room, sizeof(**sites));
		}
		(*sites)[count++] = (struct site){ .name = xstrdup(name), .target = xstrdup(rest) };
	}
	free(line);
	fclose(f);
	if (count == 0)
		usage();
	return count;
}

static int
by_slot(const void *a, const void *b)
{
	const struct site *one = a, *two = b;

	return (one->slot_us > two->slot_us) - (one->slot_us < two->slot_us);
}

/* Keep the sites that are this process's, in the order of their slots, which stays for ever. */
static size_t
take_share(const struct options *o, struct site *sites, size_t count, int process)
{
	int64_t now = util_utc_us();
	size_t mine = 0;

	for (size_t i = 0; i < count; i++) {
		struct site *site = &sites[mine];
		uint64_t hash = util_hash(sites[i].name), shard = hash;
		int64_t phase = (int64_t)(hash % (uint64_t)o->interval_us);

		if (o->grid >= SPLIT)
			phase = schedule_phase(sites[i].name, o->interval_us);
		if (o->grid == GROUPED)
			shard = (uint64_t)(phase / SCHEDULE_TICK_US);
		if (shard % (uint64_t)o->processes != (uint64_t)process)
			continue;
		*site = sites[i];
		site->slot_us = schedule_next_slot(now, o->interval_us, phase);
		mine++;
	}
	qsort(sites, mine, sizeof(*sites), by_slot);
	return mine;
}

static void
wait_until(int64_t utc_us)
{
	struct timespec at = { utc_us / US_PER_S, utc_us % US_PER_S * 1000 };

	while (clock_nanosleep(CLOCK_REALTIME, TIMER_ABSTIME, &at, NULL) != 0)
		;
}

/* Until it is killed; `count` > 0. */
static void __attribute__((noreturn))
check_forever(const struct options *o, struct site *sites, size_t count, struct share *share)
{
	o->way->start(&o->fetch);
	for (size_t i = 0;; i = (i + 1) % count) {
		struct site *site = &sites[i];

		if (o->grid != FLAT) {
			size_t n = atomic_load(&share->count);

			wait_until(site->slot_us);
			if (n < share->room) {
				share->sample[n] = (struct sample){ site->slot_us,
					util_utc_us() - site->slot_us };
				atomic_store(&share->count, n + 1);
			}
			site->slot_us += o->interval_us;
		}
		if (!o->way->get(site->target))
			atomic_fetch_add(&share->failed, 1);
	}
}

static struct share *
make_share(const struct options *o, size_t sites)
{
	size_t room = o->grid == FLAT
			  ? 0
			  : sites * (size_t)(o->seconds * US_PER_S / o->interval_us + 2);
	struct share *share = mmap(NULL, sizeof(*share) + room * sizeof(share->sample[0]),
	    PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (share == MAP_FAILED) {
		perror("mmap");
		exit(EXIT_FAILURE);
	}
	share->room = room;
	return share;
}

static void
print_share(const struct share *share)
{
	for (size_t i = 0; i < atomic_load(&share->count); i++)
		printf("%lld %lld\n", (long long)share->sample[i].slot_us,
		    (long long)share->sample[i].lateness_us);
}

int
main(int argc, char **argv)
{
	struct options o = parse_options(argc, argv);
	struct share *share[PROCESSES_MAX];
	pid_t pid[PROCESSES_MAX], parent = getpid();
	struct timespec limit = { .tv_sec = o.seconds };
	struct site *sites;
	size_t count = read_sites(argv[optind], &sites), failed = 0;
	sigset_t end;

	sigemptyset(&end);
	sigaddset(&end, SIGTERM);
	sigaddset(&end, SIGINT);
	sigprocmask(SIG_BLOCK, &end, NULL);
	for (int i = 0; i < o.processes; i++) {
		share[i] = make_share(&o, count);
		pid[i] = fork();
		if (pid[i] == 0) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			if (getppid() != parent)
				_exit(EXIT_FAILURE);
			sigprocmask(SIG_UNBLOCK, &end, NULL);
			count = take_share(&o, sites, count, i);
			if (count > 0)
				check_forever(&o, sites, count, share[i]);
			_exit(EXIT_SUCCESS);
		}
		if (pid[i] < 0) {
			perror("fork");
			exit(EXIT_FAILURE); /* the others follow */
		}
	}
	sigtimedwait(&end, NULL, &limit);
	for (int i = 0; i < o.processes; i++)
		kill(pid[i], SIGKILL);
	for (int i = 0; i < o.processes; i++) {
		waitpid(pid[i], NULL, 0);
		print_share(share[i]);
		failed += atomic_load(&share[i]->failed);
	}
	if (failed > 0)
		fprintf(stderr, "%zu not answered by a 200\n", failed);
	return EXIT_SUCCESS;
}
