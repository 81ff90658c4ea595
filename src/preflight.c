/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * What a start needs beside a good configuration. Called in the validation child; each look is
 * that of the code which will need the thing, so both find the same. Nothing is fatal here.
 */
#include "preflight.h"

#include <stdio.h>
#include <sys/resource.h>

#include "daemon.h"
#include "proc.h"
#include "spool.h"
#include "whole_file.h"

/* Both ends of the channel to each checker, so that the supervisor can take unread jobs back. */
#define DESCRIPTORS_PER_CHECKER 2

/* What the supervisor holds beside its checkers, and what a child needs: libraries open files. */
#define DESCRIPTORS_BESIDES 32

/* Whether the limit of descriptors allows workers.max checkers; if not, `reason` says so. */
static bool
allows_descriptors(const struct config *config, char *reason, size_t size)
{
	rlim_t needed = (rlim_t)config->workers_max * DESCRIPTORS_PER_CHECKER + DESCRIPTORS_BESIDES;
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_max >= needed)
		return true;
	snprintf(reason, size,
	    "workers.max = %d needs %llu descriptors, the limit is %llu: lower it, or raise the "
	    "limit (ulimit -n, LimitNOFILE=)",
	    config->workers_max, (unsigned long long)needed, (unsigned long long)limit.rlim_max);
	return false;
}

int
preflight_as_starter(
    const struct config *config, const struct preflight *needed, struct mistakes *mistakes)
{
	int code = EXIT_FINE;
	char reason[768];

	if (!config->parsed)
		return EXIT_FINE; /* nobody knows what it would have said */
	if (needed->descriptors && !allows_descriptors(config, reason, sizeof(reason))) {
		mistakes_add(mistakes, config_origin(&config->at, "workers"), "%s", reason);
		code = EXIT_OS;
	}
	if (needed->pid_file && pidfile_check(config->pid_file, reason, sizeof(reason)) < 0) {
		mistakes_add(
		    mistakes, config_origin(&config->at, "pid_file"), "pid_file: %s", reason);
		code = EXIT_CANNOT_CREATE;
	}
	if (needed->kafka && !config_gives(&config->at, "kafka")) {
		mistakes_add(mistakes, config_origin(&config->at, "kafka"),
		    "no group kafka, so nobody would get the records: write kafka = { topic = "
		    "\"webmond.results\"; properties_file = \"kafka.properties\"; }; or start with "
		    "--stdout, which prints them");
		code = EXIT_CONFIG;
	}
	return code;
}

/* Without the group kafka there is no spool either, and without its user nobody to own it. */
static int
look_at_spool(const struct config *config, struct mistakes *mistakes)
{
	char reason[768];

	if (!config->has_kafka || spool_check_place(config->spool_dir, reason, sizeof(reason)) == 0)
		return EXIT_FINE;
	mistakes_add(mistakes, config_origin(&config->at, "spool.dir"), "spool.dir: %s", reason);
	return EXIT_CANNOT_CREATE;
}

static int
look_at_metrics_file(const struct config *config, struct mistakes *mistakes)
{
	char reason[768];

	if (config->metrics_file == NULL ||
	    whole_file_check(config->metrics_file, reason, sizeof(reason)) == 0)
		return EXIT_FINE;
	mistakes_add(
	    mistakes, config_origin(&config->at, "metrics_file"), "metrics_file: %s", reason);
	return EXIT_CANNOT_CREATE;
}

int
preflight_as_user(
    const struct config *config, const struct preflight *needed, struct mistakes *mistakes)
{
	int code = EXIT_FINE;

	if (!config->parsed)
		return EXIT_FINE;
	if (needed->kafka)
		code = look_at_spool(config, mistakes);
	if (needed->metrics && look_at_metrics_file(config, mistakes) != EXIT_FINE)
		code = EXIT_CANNOT_CREATE;
	return code;
}
