/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * One check of one site: a blocking HTTP exchange by libcurl, turned into a struct result.
 *
 * Everything a site can do ends in a word of the closed list, and what fails on our side is
 * ERROR_LOCAL, never `down`.
 */
#ifndef WEBMOND_PROBE_H
#define WEBMOND_PROBE_H

#include "config.h"
#include "result.h"

struct probe;

/*
 * After fork, once a process. `sites`: all that there are, until the end; when the name of one of
 * them does not resolve, those of others tell whether names resolve at all. NULL: impossible.
 */
struct probe *probe_new(const struct site *sites, size_t count);

/* The file of the CA certificates that are trusted; NULL: none is known. */
const char *probe_ca_file(const struct probe *probe);

/*
 * Read the CA certificates in `file`, if there is room for them, or those of the system (NULL);
 * that takes 30 ms of CPU time for 150 of them. Otherwise the first check over TLS does it, and
 * that time counts as the site's. `file` must stay where it is until the end.
 */
void probe_load_ca(struct probe *probe, const char *file);
void probe_free(struct probe *probe);

/* Check `site` and fill `result`. Takes at most the site's timeout, and a moment for patterns. */
void probe_run(struct probe *probe, const struct site *site, struct result *result);

/*
 * End the running check at once, as ERROR_ABORTED, and every later one. For signal handlers
 * (async-signal-safe).
 */
void probe_abort(void);

/* Wait, but not after probe_abort(). Returns for how long it did, in microseconds. */
int64_t probe_pause(int64_t us);

/*
 * The verdict on our own line: if `result` is `down` by ERROR_DNS, ERROR_CONNECT or ERROR_TIMEOUT
 * and none of the references of `config` answers, it becomes ERROR_VANTAGE. What was found counts
 * for a second. Returns how long it took, in microseconds; at most a moment longer than
 * `vantage_timeout_us`.
 */
int64_t
probe_judge_vantage(struct probe *probe, const struct config *config, struct result *result);

/* Whether so many resolver threads have leaked that this process should be replaced. */
bool probe_is_worn(const struct probe *probe);

/*
 * For validation: is `url` one that we check, over `ip_version`? 0, or -1 with a sentence in
 * `reason`.
 */
int probe_check_url(const char *url, enum ip_version ip_version, char *reason, size_t size);

/* For validation: can a site be reached in the way that it wants? `defaults` has no url. */
void probe_check_connection(const struct site *site, struct mistakes *mistakes);

#endif
