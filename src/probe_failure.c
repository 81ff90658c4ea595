/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * Whose fault it is. Called by probe_run() when there is no whole response.
 */
#include "probe_internal.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "util.h"
#include "verdict.h"

/* Who sees a timeout so late was stopped or starved, and might have got an answer in time. */
#define OVERSLEPT_US US_PER_S

static const char no_thread[] = "no thread can be made to look up the name";

/* A name cannot be looked up without descriptors; getaddrinfo(3) does not tell. */
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

/* From 8.20 on libcurl tells of no thread that cannot be made: the lookup waits for one. */
static bool
out_of_threads(void)
{
	pthread_t thread;

	if (pthread_create(&thread, NULL, do_nothing, NULL) != 0)
		return true;
	pthread_join(thread, NULL);
	return false;
}

static void
fail_timeout(struct probe *p)
{
	static const char *const doing[PHASE_COUNT] = { "looking up the name", "connecting",
		"in the TLS handshake", "waiting for the response", "receiving the response" };
	int64_t overslept_us = p->result->elapsed_us - p->site->timeout_us;

	if (p->phase == PHASE_DNS)
		p->leaked_threads++;
	if (overslept_us > OVERSLEPT_US) {
		result_fail(p->result, ERROR_LOCAL,
		    "this process was not let run: the timeout of %.3g s was seen %.3g s late",
		    (double)p->site->timeout_us / US_PER_S, (double)overslept_us / US_PER_S);
		return;
	}
	if (p->phase == PHASE_DNS && out_of_threads()) {
		result_fail(p->result, ERROR_LOCAL, "%s", no_thread);
		return;
	}
	result_fail(p->result, ERROR_TIMEOUT, "timed out after %.3g s while %s",
	    (double)p->site->timeout_us / US_PER_S, doing[p->phase]);
}

/*
 * libcurl's sentence, or its general one for the code; this is better than what it says when a
 * connection is gone before it could note its address.
 */
static const char *
reason(const struct probe *p, CURLcode code)
{
	return p->error[0] != '\0' && strncmp(p->error, "getpeername", 11) != 0
		   ? p->error
		   : curl_easy_strerror(code);
}

bool
probe_redirect_refused(const struct probe *p, CURLcode code)
{
	return (code == CURLE_COULDNT_CONNECT && p->to_private) ||
	       ((code == CURLE_UNSUPPORTED_PROTOCOL || code == CURLE_URL_MALFORMAT) &&
		   probe_redirect_count(p) > p->result->redirects);
}

void
probe_fail_redirect(struct probe *p, CURLcode code)
{
	const char *to = "", *why = reason(p, code);
	const char *prefix = "";

	curl_easy_getinfo(p->curl, CURLINFO_EFFECTIVE_URL, &to);
	if (p->to_private) {
		prefix = "to the private address ";
		why = p->address;
	} else if (p->used_tls && strncasecmp(to, "http:", 5) == 0) {
		why = "from https to http";
	}
	result_fail(p->result, ERROR_REDIRECT_REFUSED, "redirect refused: %s%s", prefix, why);
}

void
probe_fail(struct probe *p, CURLcode code)
{
	struct result *r = p->result;
	const char *why = reason(p, code);
	long os_errno = p->local_errno;
	long status = 0;

	/* libcurl never forgets one, so it may be of an earlier connection */
	if (os_errno == 0 && p->phase == PHASE_CONNECT && p->tried)
		curl_easy_getinfo(p->curl, CURLINFO_OS_ERRNO, &os_errno);
	/* no way from here to one address, as without IPv6, does not excuse what another one did */
	if (p->remote_errno != 0 &&
	    (os_errno == ENETUNREACH || os_errno == EADDRNOTAVAIL || os_errno == EAFNOSUPPORT))
		os_errno = p->remote_errno;
	if (p->headers_flood) {
		result_fail(
		    r, ERROR_PROTOCOL, "more than %d KiB of headers", PROBE_HEADERS_MAX / 1024);
		return;
	}
	switch (code) {
	case CURLE_OK: /* libcurl is content with less than we are */
		curl_easy_getinfo(p->curl, CURLINFO_RESPONSE_CODE, &status);
		result_fail(r, ERROR_PROTOCOL, "no final response, only %ld", status);
		return;
	case CURLE_ABORTED_BY_CALLBACK:
		result_fail(r, ERROR_ABORTED, "webmond was stopped while the check ran");
		return;
	case CURLE_OPERATION_TIMEDOUT:
		fail_timeout(p);
		return;
	case CURLE_COULDNT_RESOLVE_HOST:
		if (out_of_descriptors())
			result_fail(r, ERROR_LOCAL, "no descriptor left to look up the name");
		else if (strstr(why, "thread failed to start") != NULL)
			result_fail(r, ERROR_LOCAL, "%s", no_thread);
		else
			result_fail(r, ERROR_DNS, "%s", why);
		return;
	case CURLE_COULDNT_CONNECT:
		if (verdict_is_local((int)os_errno))
			result_fail(r, ERROR_LOCAL, "cannot connect from here: %s",
			    strerror((int)os_errno));
		else if (os_errno == ECONNRESET) /* so there was a connection */
			result_fail(r, ERROR_PROTOCOL, "connection reset at once");
		else if (os_errno != 0)
			result_fail(r, ERROR_CONNECT, "%s: %s", why, strerror((int)os_errno));
		else
			result_fail(r, ERROR_CONNECT, "%s", why);
		return;
	case CURLE_TOO_MANY_REDIRECTS:
		result_fail(r, ERROR_TOO_MANY_REDIRECTS, "more than %d redirects",
		    p->site->follow_redirects);
		return;
	case CURLE_SSL_CACERT_BADFILE:
	case CURLE_SSL_CERTPROBLEM:
	case CURLE_SSL_ENGINE_NOTFOUND:
	case CURLE_SSL_ENGINE_INITFAILED:
	case CURLE_FAILED_INIT:
		result_fail(r, ERROR_LOCAL, "%s", why);
		return;
	case CURLE_OUT_OF_MEMORY:
		/* libcurl also says so when a single header is longer than it is willing to keep */
		if (p->phase >= PHASE_WAIT)
			result_fail(r, ERROR_PROTOCOL, "a header is too long");
		else
			result_fail(r, ERROR_LOCAL, "%s", why);
		return;
	case CURLE_PEER_FAILED_VERIFICATION:
	case CURLE_SSL_CONNECT_ERROR:
	case CURLE_SSL_CIPHER:
	case CURLE_SSL_ISSUER_ERROR:
	case CURLE_SSL_INVALIDCERTSTATUS:
	case CURLE_SSL_PINNEDPUBKEYNOTMATCH:
		result_fail(r, ERROR_TLS, "%s", why);
		return;
	default:
		/*
		 * TLS 1.3 servers refuse a missing client certificate after the handshake, and
		 * their alert may be overtaken by the reset of the connection.
		 */
		if (p->used_tls && (p->phase == PHASE_TLS || strstr(why, "alert") != NULL))
			result_fail(r, ERROR_TLS, "%s", why);
		else if (p->certificate_wanted && p->phase == PHASE_WAIT)
			result_fail(r, ERROR_TLS,
			    "closed after the request for a client certificate: %s", why);
		else if (verdict_is_local((int)os_errno))
			result_fail(r, ERROR_LOCAL, "%s: %s", why, strerror((int)os_errno));
		else
			result_fail(r, ERROR_PROTOCOL, "%s", why);
		return;
	}
}
