/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * Ways to get a page and do nothing else, for the loops that webmond is compared with. Each process
 * calls start() once and then get() again and again.
 */
#ifndef WEBMOND_BENCH_FETCH_H
#define WEBMOND_BENCH_FETCH_H

#include <stdbool.h>

struct fetch_options {
	const char *ca_file; /* for https; NULL: none is asked for */
	long timeout_ms;
	bool keepalive; /* curl only */
};

struct fetch {
	const char *name;
	/* `options` outlives the process; exits if the library cannot be initialised. */
	void (*start)(const struct fetch_options *options);
	/* True when the whole of a response with status 200 was read. */
	bool (*get)(const char *target);
};

/* Sockets and, for https, OpenSSL with one SSL_CTX for all: nothing can be cheaper. */
extern const struct fetch fetch_raw;

/* Blocking libcurl with the options that a check cannot do without. */
extern const struct fetch fetch_curl;

/* A process for each check; the target is its command line, in words without quotes. */
extern const struct fetch fetch_exec;

#endif
