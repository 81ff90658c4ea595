/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * What the parts of a check share; see probe.h for the check as others see it.
 *
 *   probe.c           a check from the request that is made to the verdict
 *   probe_exchange.c  libcurl's callbacks: how far an exchange has come, and what it brought
 *   probe_failure.c   why there is no whole response, and whose fault that is
 */
#ifndef WEBMOND_PROBE_INTERNAL_H
#define WEBMOND_PROBE_INTERNAL_H

#include <curl/curl.h>

#include "match.h"
#include "probe.h"

/* All headers of all responses of a check; larger than any honest server's. */
#define PROBE_HEADERS_MAX (256 * 1024)

struct probe {
	CURLM *multi;
	struct match *match;
	const char *ca_file;
	int leaked_threads;
	char error[CURL_ERROR_SIZE];
	char *body;
	size_t body_room;

	/* of the running check */
	CURL *curl;
	const struct site *site;
	struct result *result;
	enum phase phase;           /* how far it has come */
	bool entered;               /* a first phase; what was before belongs to it */
	int64_t begun_us, since_us; /* monotonic: the check, and the phase it is in */
	bool used_tls;
	bool certificate_wanted; /* from us, by the last server */
	size_t body_size, headers_size;
	bool body_cut;
	bool headers_flood;
	int local_errno;
	int remote_errno; /* of an earlier address of the host that is being connected to */
	bool tried;       /* whether there was one */
	char address[RESULT_IP_MAX + 1]; /* of the last connection, or where it was refused to go */
	bool from_private;               /* the first host is: redirects may stay there */
	bool to_private;                 /* a redirect from outside was refused */
};

/* Have libcurl tell of the exchange: on a fresh handle, for one check. */
void probe_listen(struct probe *p);

/* The exchange has come to `phase`: the time since the last call goes to the one before. */
void probe_enter(struct probe *p, enum phase phase);

/* How many redirects have been followed in this check. */
long probe_redirect_count(const struct probe *p);

/* Note how many redirects there were, and where the last one led. */
void probe_note_url(struct probe *p);

/*
 * Whether a redirect led to what is not asked, which is what ended the exchange with `code`:
 * another scheme, garbage, a private address.
 */
bool probe_redirect_refused(const struct probe *p, CURLcode code);

/* Give the result its verdict: refused, or why there is no complete response. */
void probe_fail_redirect(struct probe *p, CURLcode code);
void probe_fail(struct probe *p, CURLcode code);

#endif
