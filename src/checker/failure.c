/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * Whose fault it is. Called by probe_run() when there is no whole response.
 */
#include "probe_internal.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "util.h"
#include "verdict.h"

/* A header that is longer than libcurl 8.6 and newer keep: CURLE_TOO_LARGE there. */
#define CODE_TOO_LARGE 100

/* Who sees a timeout so late was stopped or starved, and might have got an answer in time. */
#define OVERSLEPT_US US_PER_S

/* So far on both sides of a site is looked for one with another host. */
#define NEIGHBOURS 16

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
		   p->to_private) ||
	       ((code == CURLE_UNSUPPORTED_PROTOCOL || code == CURLE_URL_MALFORMAT) &&
		   probe_redirect_count(p) > p->result->redirects);
}

void
probe_fail_redirect(struct probe *p, CURLcode code)
{
	static const char parsed[] = "could not be parsed: ";
	const char *to = "", *why = reason(p, code);
	const char *prefix = "", *detail = strstr(why, parsed);

	if (code == CURLE_URL_MALFORMAT) {
		result_fail(p->result, ERROR_PROTOCOL,
		    "the redirect leads to no valid URL (%s): \"%s\"",
		    detail != NULL ? detail + strlen(parsed) : why, p->location);
		return;
	}
	curl_easy_getinfo(p->curl, CURLINFO_EFFECTIVE_URL, &to);
	if (p->to_private) {
		prefix = "to the private address ";
		why = p->address;
	} else if (p->used_tls && strncasecmp(to, "http:", 5) == 0) {
		why = "from https to http";
	} else {
		prefix = "only http and https are followed, not ";
		why = p->location;
	}
	result_fail(p->result, ERROR_REDIRECT_REFUSED, "redirect refused: %s%s", prefix, why);
}

static void
fail_aborted(struct probe *p, const char *why)
{
	(void)why;
	result_fail(p->result, ERROR_ABORTED, "webmond was stopped while the check ran");
}

/* --- names ------------------------------------------------------------------------------------ */

/* The sites around this one in the configuration, whoever checks them, are others. */
static void
note_neighbours(struct probe *p, const char *host)
{
	char name[RESOLVER_NAME_MAX + 1];
	size_t own, i;
	int noted = 0;

	if (p->sites == NULL)
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
 * The name was not resolved: `word`, if that is the fault of the site or of its name servers. `when`
 * begins the sentence then.
 */
static void
blame_name(struct probe *p, bool timeout, enum error_type word, const char *when)
{
	char host[RESOLVER_NAME_MAX + 1], sentence[RESULT_MESSAGE_MAX + 1];
	enum ip_version version = p->site->ip_version;
	enum resolver_finding found;
	const char *url = NULL;

	curl_easy_getinfo(p->curl, CURLINFO_EFFECTIVE_URL, &url);
	probe_host(url, host, sizeof(host));
	note_neighbours(p, host);
	found = resolver_look(&p->resolver, host, version, timeout);
	resolver_describe(&p->resolver, found, host, version, sentence, sizeof(sentence));
	if (found == RESOLVER_INTERRUPTED)
		fail_aborted(p, sentence);
	else if (resolver_blames_site(found))
		result_fail(p->result, word, "%s%s", when, sentence);
	else
		result_fail(p->result, ERROR_LOCAL, "%s", sentence);
}

static void
fail_name(struct probe *p, const char *why)
{
	if (out_of_descriptors())
		result_fail(p->result, ERROR_LOCAL, "no descriptor left to look up the name");
	else if (strstr(why, "thread failed to start") != NULL)
		result_fail(p->result, ERROR_LOCAL, "%s", no_thread);
	else
		blame_name(p, false, ERROR_DNS, "");
}

static void
fail_name_in_time(struct probe *p)
{
	char when[64];

	snprintf(when, sizeof(when), "timed out after %.3g s while looking up the name: ",
	    (double)p->site->timeout_us / US_PER_S);
	if (out_of_threads())
		result_fail(p->result, ERROR_LOCAL, "%s", no_thread);
	else
		blame_name(p, true, ERROR_TIMEOUT, when);
}

/* --- from libcurl's codes to words ------------------------------------------------------------ */

/* A processor that hostile data keep busy is one that we had. */
static int64_t
idle_us(const struct probe *p, int64_t elapsed_us)
{
	return elapsed_us - (util_cpu_us() - p->cpu_us);
}

int
probe_watch(struct probe *p)
{
	int64_t elapsed_us, look_us;

	if (p->watched || p->site == NULL)
		return 1000;
	elapsed_us = util_mono_us() - p->begun_us;
	look_us = p->site->timeout_us / 8;
	if (elapsed_us < look_us)
		return (int)((look_us - elapsed_us) / US_PER_MS) + 1;
	/* who comes late to this look was kept from it */
	p->queued_us = util_queued_us() - (idle_us(p, elapsed_us) - look_us);
	p->watched = true;
	return 1000;
}

/*
 * The time was over. Was it the site that took it? Not when we see that a second late, nor when for
 * most of it this process was not let run: an answer may have waited for us.
 */
static bool
blame_this_host(struct probe *p)
{
	double timeout_s = (double)p->site->timeout_us / US_PER_S;
	int64_t late_us = idle_us(p, p->result->elapsed_us) - p->site->timeout_us;
	int64_t kept_us;

	probe_watch(p);
	kept_us = util_queued_us() - p->queued_us;
	if (late_us > OVERSLEPT_US)
		result_fail(p->result, ERROR_LOCAL,
		    "this process was not let run: the timeout of %.3g s was seen %.3g s late",
		    timeout_s, (double)late_us / US_PER_S);
	else if (kept_us > p->site->timeout_us / 2)
		result_fail(p->result, ERROR_LOCAL,
		    "this process was not let run for %.3g s of the timeout of %.3g s",
		    (double)kept_us / US_PER_S, timeout_s);
	return p->result->error == ERROR_LOCAL;
}

static void
fail_timeout(struct probe *p, const char *why)
{
	static const char *const doing[PHASE_COUNT] = { [PHASE_CONNECT] = "connecting",
		[PHASE_TLS] = "in the TLS handshake",
		[PHASE_WAIT] = "waiting for the response",
		[PHASE_RECEIVE] = "receiving the response" };

	(void)why;
	if (p->phase == PHASE_DNS)
		p->leaked_threads++;
	if (blame_this_host(p))
		return;
	if (p->phase == PHASE_DNS)
		fail_name_in_time(p);
	else
		result_fail(p->result, ERROR_TIMEOUT, "timed out after %.3g s while %s",
		    (double)p->site->timeout_us / US_PER_S, doing[p->phase]);
}

/*
 * What a system call of ours met, or 0. libcurl never forgets one, so it may be of an earlier
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

/* libcurl is content with less than we are. */
static void
fail_no_response(struct probe *p, const char *why)
{
	long status = 0;

	(void)why;
	curl_easy_getinfo(p->curl, CURLINFO_RESPONSE_CODE, &status);
	result_fail(p->result, ERROR_PROTOCOL, "no final response, only %ld", status);
}

static void
fail_connect(struct probe *p, const char *why)
{
	int error = os_errno(p);

	if (p->phase == PHASE_DNS) /* there is an address, but not one of ip_version */
		blame_name(p, false, ERROR_DNS, "");
	else if (verdict_is_local(error))
		result_fail(
		    p->result, ERROR_LOCAL, "cannot connect from here: %s", strerror(error));
	else if (error == ECONNRESET) /* so there was a connection */
		result_fail(p->result, ERROR_PROTOCOL, "connection reset at once");
	else if (error != 0)
		result_fail(p->result, ERROR_CONNECT, "%s: %s", why, strerror(error));
	else
		result_fail(p->result, ERROR_CONNECT, "%s", why);
}

/* What OpenSSL could not even begin, for want of memory or by the openssl.cnf of this host. */
static void
fail_handshake(struct probe *p, const char *why)
{
	static const char *const ours[] = { "malloc failure", "no protocols available",
		"no ciphers available" };
	enum error_type word = ERROR_TLS;

	for (size_t i = 0; i < ARRAY_LENGTH(ours); i++)
		if (strstr(why, ours[i]) != NULL)
			word = ERROR_LOCAL;
	result_fail(p->result, word, "%s", why);
}

/* Until a clock is set right, every certificate is of another time. */
static void
fail_certificate(struct probe *p, const char *why)
{
	int64_t now_us = util_utc_us();
	char now[UTIL_RFC3339_SIZE];
	const char *whose = "";

	if (p->refused[0] != '\0')
		why = p->refused;
	else
		whose = p->leaf;
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
fail_redirects(struct probe *p, const char *why)
{
	(void)why;
	result_fail(p->result, ERROR_TOO_MANY_REDIRECTS, "more than %d redirects",
	    p->site->follow_redirects);
}

/* libcurl also says so when a single header is longer than it is willing to keep. */
static void
fail_memory(struct probe *p, const char *why)
{
	if (p->phase >= PHASE_WAIT)
		result_fail(p->result, ERROR_PROTOCOL, "a header is too long");
	else
		result_fail(p->result, ERROR_LOCAL, "%s", why);
}

/*
 * The connection stood, and then something was wrong. TLS 1.3 servers refuse a missing client
 * certificate after the handshake, and their alert may be overtaken by the reset of the connection.
 */
static void
fail_exchange(struct probe *p, const char *why)
{
	int error = os_errno(p);

	if (p->used_tls && (p->phase == PHASE_TLS || strstr(why, "alert") != NULL))
		result_fail(p->result, ERROR_TLS, "%s", why);
	else if (p->certificate_wanted && p->phase == PHASE_WAIT)
		result_fail(p->result, ERROR_TLS,
		    "closed after the request for a client certificate: %s", why);
	else if (verdict_is_local(error))
		result_fail(p->result, ERROR_LOCAL, "%s: %s", why, strerror(error));
	else
		result_fail(p->result, ERROR_PROTOCOL, "%s", why);
}

/* What libcurl calls a mistake of its caller is the server's once it speaks: HTTP/0.9, odd headers. */
static void
fail_speech(struct probe *p, const char *why)
{
	if (p->phase >= PHASE_WAIT)
		fail_exchange(p, why);
	else
		result_fail(p->result, ERROR_LOCAL, "%s", why);
}

/* libcurl before 8.4 has no sentence for it; later ones ask again on another connection. */
static void
fail_http2(struct probe *p, const char *why)
{
	if (p->error[0] == '\0' && p->phase == PHASE_WAIT)
		why = "the server closed the HTTP/2 connection before it took the request";
	fail_exchange(p, why);
}

/*
 * Where the cause of each of libcurl's codes can lie. What is not here cannot come of HTTP, or is of
 * a libcurl newer than this table: if it comes all the same, nobody knows whose fault it is.
 */
static const struct {
	enum error_type word;                            /* with libcurl's sentence, or … */
	void (*judge)(struct probe *p, const char *why); /* … it depends */
} meanings[] = {
	/* the site */
	[CURLE_TOO_MANY_REDIRECTS] = { .judge = fail_redirects },
	[CURLE_SSL_INVALIDCERTSTATUS] = { .word = ERROR_TLS },
	[CURLE_SSL_CLIENTCERT] = { .word = ERROR_TLS },
	[CURLE_WEIRD_SERVER_REPLY] = { .judge = fail_exchange },
	[CURLE_PARTIAL_FILE] = { .judge = fail_exchange },
	[CURLE_GOT_NOTHING] = { .judge = fail_exchange },
	[CURLE_BAD_CONTENT_ENCODING] = { .judge = probe_fail_decode },
	[CURLE_WRITE_ERROR] = { .judge = probe_fail_write },
	[CURLE_HTTP2] = { .judge = fail_http2 },
	[CURLE_HTTP2_STREAM] = { .judge = fail_exchange },
	[CURLE_HTTP3] = { .judge = fail_exchange },
	[CURLE_QUIC_CONNECT_ERROR] = { .word = ERROR_CONNECT },
	[CODE_TOO_LARGE] = { .judge = fail_memory },

	/* the site or its name servers, the way there, or this host */
	[CURLE_COULDNT_RESOLVE_HOST] = { .judge = fail_name },
	[CURLE_COULDNT_RESOLVE_PROXY] = { .judge = fail_name },
	[CURLE_COULDNT_CONNECT] = { .judge = fail_connect },
	[CURLE_OPERATION_TIMEDOUT] = { .judge = fail_timeout },
	[CURLE_SSL_CONNECT_ERROR] = { .judge = fail_handshake },
	[CURLE_PEER_FAILED_VERIFICATION] = { .judge = fail_certificate },
	[CURLE_UNSUPPORTED_PROTOCOL] = { .judge = fail_speech },
	[CURLE_URL_MALFORMAT] = { .judge = fail_speech },
	[CURLE_BAD_FUNCTION_ARGUMENT] = { .judge = fail_speech },
	[CURLE_SEND_ERROR] = { .judge = fail_exchange },
	[CURLE_RECV_ERROR] = { .judge = fail_exchange },
	[CURLE_PROXY] = { .judge = fail_exchange },
	[CURLE_OUT_OF_MEMORY] = { .judge = fail_memory },
	[CURLE_OK] = { .judge = fail_no_response },

	/* this host, its libraries, its files, or webmond */
	[CURLE_ABORTED_BY_CALLBACK] = { .judge = fail_aborted },
	[CURLE_FAILED_INIT] = { .word = ERROR_LOCAL },
	[CURLE_NOT_BUILT_IN] = { .word = ERROR_LOCAL },
	[CURLE_READ_ERROR] = { .word = ERROR_LOCAL }, /* the body that is sent */
	[CURLE_SEND_FAIL_REWIND] = { .word = ERROR_LOCAL },
	[CURLE_INTERFACE_FAILED] = { .word = ERROR_LOCAL },
	[CURLE_UNKNOWN_OPTION] = { .word = ERROR_LOCAL },
	[CURLE_SETOPT_OPTION_SYNTAX] = { .word = ERROR_LOCAL },
	[CURLE_RECURSIVE_API_CALL] = { .word = ERROR_LOCAL },
	[CURLE_AGAIN] = { .word = ERROR_LOCAL },
	[CURLE_NO_CONNECTION_AVAILABLE] = { .word = ERROR_LOCAL },
	[CURLE_UNRECOVERABLE_POLL] = { .word = ERROR_LOCAL },
	[CURLE_AUTH_ERROR] = { .word = ERROR_LOCAL },
	[CURLE_SSL_CACERT_BADFILE] = { .word = ERROR_LOCAL },
	[CURLE_SSL_CRL_BADFILE] = { .word = ERROR_LOCAL },
	[CURLE_SSL_CERTPROBLEM] = { .word = ERROR_LOCAL }, /* our own certificate, not the site's */
	[CURLE_SSL_CIPHER] = { .word = ERROR_LOCAL },      /* what openssl.cnf allows */
	[CURLE_SSL_ENGINE_NOTFOUND] = { .word = ERROR_LOCAL },
	[CURLE_SSL_ENGINE_SETFAILED] = { .word = ERROR_LOCAL },
	[CURLE_SSL_ENGINE_INITFAILED] = { .word = ERROR_LOCAL },
};

void
probe_fail(struct probe *p, CURLcode code)
{
	const char *why = reason(p, code);

	if (p->headers_flood)
		result_fail(p->result, ERROR_PROTOCOL, "more than %d KiB of headers",
		    PROBE_HEADERS_MAX / 1024);
	else if ((size_t)code >= ARRAY_LENGTH(meanings))
		result_fail(p->result, ERROR_LOCAL, "%s", why);
	else if (meanings[code].judge != NULL)
		meanings[code].judge(p, why);
	else if (meanings[code].word != ERROR_NONE)
		result_fail(p->result, meanings[code].word, "%s", why);
	else
		result_fail(p->result, ERROR_LOCAL, "%s", why);
}
