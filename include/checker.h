/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * The checker process: jobs in, records out, one at a time; and what other processes need of
 * libcurl, OpenSSL and PCRE2 for checks.
 */
#ifndef WEBMOND_CHECKER_H
#define WEBMOND_CHECKER_H

#include <stdbool.h>

#include "config.h"

struct checker_start {
	const struct config *config;
	int job_fd;    /* SOCK_SEQPACKET: struct wire_job in, struct wire_done out */
	int pipe_fd;   /* write end of the checkers' pipe */
	bool home;     /* it has sites of its own, and does not only help when others are busy */
	bool own_user; /* no process with secrets runs as the user of the checkers */
};

/*
 * Run until the supervisor closes the socket or SIGTERM comes (then a running check ends as
 * `aborted`, with its record). Called in the child after the drop of privileges, with SIGTERM
 * blocked. Returns the exit code.
 */
int checker_main(const struct checker_start *start);

/*
 * Initialise libcurl and OpenSSL: once, before the first fork, so that all processes share the
 * tables that this fills, 200 kB. It starts no thread, draws no random number, leaves no descriptor
 * open, and reads nothing but the system's openssl.cnf and the locale C.UTF-8, which it sets for
 * characters. 0, or -1.
 */
int checker_init(void);

/*
 * For validation: add to `mistakes` what is wrong with the URL, the files and the patterns of
 * `site`, but for files and patterns that it has from `defaults`.
 */
void checker_validate_site(
    const struct site *site, const struct site *defaults, struct mistakes *mistakes);

/* The same for the references of `vantage`. */
void checker_validate_vantage(const struct config *config, struct mistakes *mistakes);

/* What the kernel lacks to confine a checker, as "Landlock and seccomp"; NULL: nothing. */
const char *checker_confinement_missing(void);

/* "libcurl/7.88.1 OpenSSL/3.0.19 …", for --version. */
const char *checker_library_version(void);

/* Whether patterns are compiled to machine code here; if not, limits still hold, but slowly. */
bool checker_has_jit(void);

#endif
