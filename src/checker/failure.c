/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * Why there is no whole response, and whose fault that is. Called by probe_run(); nothing is fatal.
 */
#include "probe_internal.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "util.h"
#include "verdict.h"

/* A header that is longer than libcurl 8.6 and newer keep: CURLE_TOO_LARGE there. */
#define CODE_TOO_LARGE 100

/* A process that sees a timeout this late was stopped or starved of CPU. */
#define OVERSLEPT_US US_PER_S

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
probe_redirect_failed(const struct probe *p, CURLcode code)
{
	/* no socket was opened, or nothing was sent over the one that was kept */
	return ((code == CURLE_COULDNT_CONNECT || code == CURLE_ABORTED_BY_CALLBACK) &&
		   (p->to_private || p->body_withheld)) ||
	       ((code == CURLE_UNSUPPORTED_PROTOCOL || code == CURLE_URL_MALFORMAT) &&
		   probe_redirect_count(p) > p->result->redirects);
}

void
probe_fail_redirect(struct probe *p, CURLcode code)
{
	static const char parsed[] = "could not be parsed: ";
	const char *why = reason(p, code), *detail = strstr(why, parsed);
	const char *url = probe_current_url(p);

	if (code == CURLE_URL_MALFORMAT)
		result_fail(p->result, ERROR_PROTOCOL,
		    "the redirect leads to no valid URL (%s): \"%s\"",
		    detail != NULL ? detail + strlen(parsed) : why, p->location);
	else if (p->to_private)
		result_fail(p->result, ERROR_REDIRECT_REFUSED,
		    "redirect refused: to the private address %s (allow_private_redirects permits it)",
		    p->address);
	else if (p->body_withheld)
		result_fail(p->result, ERROR_REDIRECT_REFUSED,
		    "redirect refused: body_file is not sent to another scheme, host or port");
	else if (p->used_tls && strncasecmp(url, "http:", 5) == 0)
		result_fail(
		    p->result, ERROR_REDIRECT_REFUSED, "redirect refused: from https to http");
	else
		result_fail(p->result, ERROR_REDIRECT_REFUSED,
		    "redirect refused: only http and https are followed, not %s", p->location);
}

/* --- what depends on the phase, or on more than libcurl's code --------------------------- */

/* The limit that was over. */
struct limit {
	int64_t us, due_us; /* how long, and when it was over, counted from the beginning */
	const char *key;    /* behind the number in a sentence */
};

/* libcurl counts in milliseconds, and the connect_timeout anew for each request of a chain. */
static struct limit
find_limit(const struct probe *p)
{
	const int64_t connect_us = p->site->connect_timeout_us;
	struct limit l = { p->site->timeout_us, p->site->timeout_us, "" };
	curl_off_t before_us = 0;

	curl_easy_getinfo(p->curl, CURLINFO_REDIRECT_TIME_T, &before_us);
	if (connect_us > 0 && p->phase < PHASE_WAIT && before_us + connect_us < l.us + US_PER_MS &&
	    p->result->elapsed_us > before_us + connect_us - 2 * US_PER_MS)
		l = (struct limit){ connect_us, before_us + connect_us, " (connect_timeout)" };
	return l;
}

/*
 * The time was over. Was it the site that took it? Not if this process sees it a second late, nor
 * if it was starved of CPU for most of the time: an answer may have waited for it.
 */
static bool
blame_this_host(struct probe *p, const struct limit *limit)
{
	int64_t late_us = probe_late_us(p, limit->due_us), starved_us = probe_starved_us(p);
	double limit_s = (double)limit->us / US_PER_S;

	if (late_us > OVERSLEPT_US)
		result_fail(p->result, ERROR_LOCAL,
		    "this process was starved of CPU: it saw the timeout of %.3g s%s %.3g s late",
		    limit_s, limit->key, (double)late_us / US_PER_S);
	else if (starved_us > limit->us / 2)
		result_fail(p->result, ERROR_LOCAL,
		    "this process was starved of CPU for %.3g s of the timeout of %.3g s%s",
		    (double)starved_us / US_PER_S, limit_s, limit->key);
	return p->result->error == ERROR_LOCAL;
}

static void
fail_timeout(struct probe *p)
{
	static const char *const doing[PHASE_COUNT] = { [PHASE_DNS] = "looking up the name: ",
		[PHASE_CONNECT] = "connecting",
		[PHASE_TLS] = "in the TLS handshake",
		[PHASE_WAIT] = "waiting for the response",
		[PHASE_RECEIVE] = "receiving the response" };
	const struct limit limit = find_limit(p);
	char when[96];
	size_t n;

	if (p->phase == PHASE_DNS)
		p->leaked_threads++;
	if (blame_this_host(p, &limit))
		return;
	n = (size_t)snprintf(
	    when, sizeof(when), "timed out after %.3g s%s", (double)limit.us / US_PER_S, limit.key);
	if (probe_proxy_timed_out(p, when))
		return;
	snprintf(when + n, sizeof(when) - n, " while %s", doing[p->phase]);
	if (p->phase == PHASE_DNS)
		probe_fail_name_in_time(p, when);
	else
		result_fail(p->result, ERROR_TIMEOUT, "%s", when);
}

/*
 * The errno of our last system call, or 0. libcurl never resets it, so it may be of an earlier
 * connection.
 */
static int
os_errno(const struct probe *p)
{
	long found = p->local_errno;

	if (found == 0 && p->phase == PHASE_CONNECT && p->tried)
		curl_easy_getinfo(p->curl, CURLINFO_OS_ERRNO, &found);
	/* no way from here to one address, as without IPv6, does not excuse what another one did */
	if (p->remote_errno != 0 &&
	    (found == ENETUNREACH || found == EADDRNOTAVAIL || found == EAFNOSUPPORT))
		return p->remote_errno;
	return (int)found;
}

/* To libcurl a response with an interim status alone is fine. */
static void
fail_no_response(struct probe *p)
{
	long status = 0;

	curl_easy_getinfo(p->curl, CURLINFO_RESPONSE_CODE, &status);
	result_fail(p->result, ERROR_PROTOCOL, "no final response, only %ld", status);
}

static void
fail_connect(struct probe *p)
{
	int error = os_errno(p);

	if (p->phase == PHASE_DNS) /* there is an address, but not one of ip_version */
		probe_fail_name(p);
	else if (verdict_is_local(error))
		result_fail(
		    p->result, ERROR_LOCAL, "cannot connect from here: %s", strerror(error));
	else if (error == ECONNRESET) /* so there was a connection */
		result_fail(p->result, ERROR_PROTOCOL, "connection reset at once");
	else if (error != 0)
		result_fail(p->result, ERROR_CONNECT, "%s: %s", p->why, strerror(error));
	else
		result_fail(p->result, ERROR_CONNECT, "%s", p->why);
}

/* What OpenSSL could not even begin, for want of memory or by the openssl.cnf of this host. */
static void
fail_handshake(struct probe *p)
{
	static const char *const ours[] = { "malloc failure", "no protocols available",
		"no ciphers available" };
	enum error_type word = ERROR_TLS;

	for (size_t i = 0; i < ARRAY_LENGTH(ours); i++)
		if (strstr(p->why, ours[i]) != NULL)
			word = ERROR_LOCAL;
	result_fail(p->result, word, "%s", p->why);
}

/* While the clock of this host is wrong, every certificate seems expired or not yet valid. */
static void
fail_certificate(struct probe *p)
{
	int64_t now_us = util_utc_us();
	char now[UTIL_RFC3339_SIZE];
	const char *why = p->refused[0] != '\0' ? p->refused : p->why;
	const char *whose = p->refused[0] != '\0' ? "" : p->leaf;

	util_rfc3339(now, now_us);
	if (p->refused_by_date && verdict_clock_is_wrong(now_us))
		result_fail(p->result, ERROR_LOCAL,
		    "the clock of this host is wrong: it says %.10s, but webmond is of %s: %s", now,
		    RELEASE_DATE, why);
	else
		result_fail(
		    p->result, ERROR_TLS, "%s%s%s", why, whose[0] != '\0' ? ": " : "", whose);
}

static void
fail_redirects(struct probe *p)
{
	result_fail(p->result, ERROR_TOO_MANY_REDIRECTS, "more than %d redirects",
	    p->site->follow_redirects);
}

/*
 * Without TLS, a server without HTTP/2 takes the first words of it for garbage: it closes or resets
 * the connection, or answers what is no HTTP/2. libcurl has a sentence of its own for each.
 */
static bool
lacks_http2(const struct probe *p)
{
	return p->site->http_version == HTTP_2 && !p->used_tls && p->phase == PHASE_WAIT;
}

/*
 * The connection stood, and then something was wrong. TLS 1.3 servers refuse a missing client
 * certificate after the handshake, and their alert may be overtaken by the reset of the connection.
 */
static void
fail_exchange(struct probe *p)
{
	int error = os_errno(p);

	if (p->used_tls && (p->phase == PHASE_TLS || strstr(p->why, "alert") != NULL))
		result_fail(p->result, ERROR_TLS, "%s", p->why);
	else if (p->certificate_wanted && p->phase == PHASE_WAIT)
		result_fail(p->result, ERROR_TLS,
		    "closed after the request for a client certificate: %s", p->why);
	else if (verdict_is_local(error))
		result_fail(p->result, ERROR_LOCAL, "%s: %s", p->why, strerror(error));
	else if (lacks_http2(p))
		result_fail(
		    p->result, ERROR_HTTP_VERSION, "no HTTP/2 came, want HTTP/2: %s", p->why);
	else
		result_fail(p->result, ERROR_PROTOCOL, "%s", p->why);
}

/*
 * A file of CA certificates, or a client certificate or its key: libcurl's sentence lacks the path.
 */
static void
fail_own_files(struct probe *p)
{
	struct file_fault fault = { 0 };

	if (p->site != NULL && files_find_fault(p->site, &fault)) {
		p->walled |= fault.walled;
		result_fail(p->result, ERROR_LOCAL, "%s: %s", fault.key, fault.text);
	} else {
		result_fail(p->result, ERROR_LOCAL, "%s", p->why);
	}
}

/* libcurl before 8.4 has no sentence for it; later ones ask again on another connection. */
static void
fail_http2(struct probe *p)
{
	if (p->error[0] == '\0' && p->phase == PHASE_WAIT)
		p->why = "the server closed the HTTP/2 connection before it took the request";
	fail_exchange(p);
}

/* A single header, of which libcurl says nothing more, or too many of them. */
static void
fail_headers(struct probe *p)
{
	result_fail(p->result, ERROR_PROTOCOL, "%s",
	    p->error[0] != '\0' ? p->error : "a header is too long");
}

/* --- from libcurl's codes to words ------------------------------------------------------- */

/*
 * Codes that can be the fault of the site. All others are ours: of this host, its libraries, its
 * files or webmond; or of a libcurl newer than this table, and then the cause is not known.
 */
static const struct meaning {
	enum error_type word;
	bool once_it_speaks;            /* ours, if the request has not gone out yet */
	const char *text;               /* NULL: libcurl's sentence */
	void (*judge)(struct probe *p); /* instead of word and text, where it depends */
} meanings[] = {
	[CURLE_OK] = { .judge = fail_no_response },
	[CURLE_COULDNT_RESOLVE_HOST] = { .judge = probe_fail_name },
	[CURLE_COULDNT_RESOLVE_PROXY] = { .judge = probe_fail_name },
	[CURLE_COULDNT_CONNECT] = { .judge = fail_connect },
	[CURLE_QUIC_CONNECT_ERROR] = { .word = ERROR_CONNECT },
	[CURLE_OPERATION_TIMEDOUT] = { .judge = fail_timeout },
	[CURLE_TOO_MANY_REDIRECTS] = { .judge = fail_redirects },
	[CURLE_ABORTED_BY_CALLBACK] = { .word = ERROR_ABORTED, .text = PROBE_ABORTED },

	[CURLE_SSL_CONNECT_ERROR] = { .judge = fail_handshake },
	[CURLE_PEER_FAILED_VERIFICATION] = { .judge = fail_certificate },
	[CURLE_SSL_INVALIDCERTSTATUS] = { .word = ERROR_TLS },
	[CURLE_SSL_CERTPROBLEM] = { .judge = fail_own_files },
	[CURLE_SSL_CACERT_BADFILE] = { .judge = fail_own_files },
	[CURLE_SSL_CLIENTCERT] = { .word = ERROR_TLS },

	[CURLE_WEIRD_SERVER_REPLY] = { .judge = fail_exchange },
	[CURLE_PARTIAL_FILE] = { .judge = fail_exchange },
	[CURLE_GOT_NOTHING] = { .judge = fail_exchange },
	[CURLE_SEND_ERROR] = { .judge = fail_exchange },
	[CURLE_RECV_ERROR] = { .judge = fail_exchange },
	[CURLE_PROXY] = { .judge = fail_exchange },
	[CURLE_HTTP2] = { .judge = fail_http2 },
	[CURLE_HTTP2_STREAM] = { .judge = fail_exchange },
	[CURLE_HTTP3] = { .judge = fail_exchange },
	[CURLE_BAD_CONTENT_ENCODING] = { .judge = probe_fail_decode },
	[CURLE_WRITE_ERROR] = { .judge = probe_fail_write },

	/* mistakes of its caller, to libcurl: but HTTP/0.9 and odd headers lead here too */
	[CURLE_UNSUPPORTED_PROTOCOL] = { .judge = fail_exchange, .once_it_speaks = true },
	[CURLE_URL_MALFORMAT] = { .judge = fail_exchange, .once_it_speaks = true },
	[CURLE_BAD_FUNCTION_ARGUMENT] = { .judge = fail_exchange, .once_it_speaks = true },
	/* memory, or a single header that is longer than libcurl keeps */
	[CURLE_OUT_OF_MEMORY] = { ERROR_PROTOCOL, true, "a header is too long", NULL },
	[CODE_TOO_LARGE] = { .judge = fail_headers, .once_it_speaks = true },
};

void
probe_fail(struct probe *p, CURLcode code)
{
	struct meaning m = { 0 };

	p->why = reason(p, code);
	if (probe_proxy_failed(p, code))
		return;
	if ((size_t)code < ARRAY_LENGTH(meanings))
		m = meanings[code];
	if (p->headers_flood)
		result_fail(p->result, ERROR_PROTOCOL, "more than %d KiB of headers",
		    PROBE_HEADERS_MAX / 1024);
	else if (m.once_it_speaks && p->phase < PHASE_WAIT)
		result_fail(p->result, ERROR_LOCAL, "%s", p->why);
	else if (m.judge != NULL)
		m.judge(p);
	else
		result_fail(p->result, m.word != ERROR_NONE ? m.word : ERROR_LOCAL, "%s",
		    m.text != NULL ? m.text : p->why);
}
