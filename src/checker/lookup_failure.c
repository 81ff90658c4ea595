/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * Why a name was not resolved, and whose fault that is: the site's, that of its name servers, or
 * that of this host. Called by probe_fail(); nothing is fatal.
 */
#include "probe_internal.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "util.h"

/* How far on both sides of a site in the configuration other hosts are looked for. */
#define NEIGHBOURS 16

static const char no_thread[] = "no thread can be made to look up the name";

/* A name cannot be looked up without descriptors; getaddrinfo(3) does not report it. */
static bool
out_of_descriptors(void)
{
	int fd = dup(STDERR_FILENO);

	if (fd < 0)
		return errno == EMFILE || errno == ENFILE;
	close(fd);
	return false;
}

static void *
do_nothing(void *arg)
{
	return arg;
}

/* From 8.20 on libcurl does not report that no thread can be made: the lookup waits for one. */
static bool
out_of_threads(void)
{
	pthread_t thread;

	if (pthread_create(&thread, NULL, do_nothing, NULL) != 0)
		return true;
	pthread_join(thread, NULL);
	return false;
}

/* Other names to ask the resolver for: those of the sites around this one in the configuration. */
static void
note_neighbours(struct probe *p, const char *host)
{
	char name[RESOLVER_NAME_MAX + 1];
	size_t own, i;
	int noted = 0;

	if (p->site_count == 0)
		return;
	own = (size_t)(p->site - p->sites);
	for (i = own > NEIGHBOURS ? own - NEIGHBOURS : 0;
	     i < p->site_count && i <= own + NEIGHBOURS && noted < 2; i++) {
		if (probe_host_is_literal(p->sites[i].url))
			continue;
		probe_host(p->sites[i].url, name, sizeof(name));
		if (strcasecmp(name, host) != 0) {
			resolver_note(&p->resolver, name);
			noted++;
		}
	}
}

/*
 * Ask the name servers. `word` and a sentence that begins with `when`, if the name or its servers
 * are at fault; else it is our resolver.
 */
static void
blame(struct probe *p, bool timeout, enum error_type word, const char *when)
{
	char host[RESOLVER_NAME_MAX + 1], sentence[RESULT_MESSAGE_MAX + 1];
	enum ip_version version = p->site->ip_version;
	enum resolver_finding found;

	probe_host(probe_current_url(p), host, sizeof(host));
	note_neighbours(p, host);
	found = resolver_look(&p->resolver, host, version, timeout);
	resolver_describe(&p->resolver, found, host, version, sentence, sizeof(sentence));
	if (found == RESOLVER_INTERRUPTED)
		result_fail(p->result, ERROR_ABORTED, PROBE_ABORTED);
	else if (resolver_blames_site(found))
		result_fail(p->result, word, "%s%s", when, sentence);
	else
		result_fail(p->result, ERROR_LOCAL, "%s", sentence);
}

void
probe_fail_name(struct probe *p)
{
	if (out_of_descriptors())
		result_fail(p->result, ERROR_LOCAL, "no descriptor left to look up the name");
	else if (strstr(p->why, "thread failed to start") != NULL)
		result_fail(p->result, ERROR_LOCAL, "%s", no_thread);
	else
		blame(p, false, ERROR_DNS, "");
}

void
probe_fail_name_in_time(struct probe *p, const char *when)
{
	if (out_of_threads())
		result_fail(p->result, ERROR_LOCAL, "%s", no_thread);
	else
		blame(p, true, ERROR_TIMEOUT, when);
}
