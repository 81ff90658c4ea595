/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * One check by libcurl. Called by the checker; nothing is fatal but the failure to initialise.
 *
 * One multi handle lives as long as the process, because its cache of CA certificates does: without
 * it a check over HTTPS costs twenty times as much. The easy handle lives for one check: before
 * 8.1.1 libcurl remembers the last header of the transfer before, and a response that begins with a
 * folded line writes into its freed memory (https://github.com/curl/curl/issues/11101).
 */
#include "probe_internal.h"

#include <arpa/inet.h>
#include <locale.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include "checker.h"
#include "util.h"
#include "verdict.h"

/* Resolver threads left behind by timeouts, after which the process is worn: each holds a stack. */
#define LEAKED_THREADS_MAX 32

/* Many more than leak, two a lookup, before the process is worn: no lookup waits for a thread. */
#define LOOKUP_THREADS_MAX 1000L

/* A body buffer that is larger is given back after the check. */
#define BODY_KEEP (1024 * 1024)

#define CA_CACHE_SECONDS 3600L

/* Of sites with keepalive; libcurl alone would keep four. */
#define KEPT_CONNECTIONS_MAX 1024L

static volatile sig_atomic_t aborted;

void
probe_abort(void)
{
	aborted = 1;
}

bool
probe_is_worn(const struct probe *probe)
{
	return probe->leaked_threads >= LEAKED_THREADS_MAX;
}

const char *
checker_library_version(void)
{
	return curl_version();
}

/* The system's CA bundle: what libcurl was built with, else where distributions keep it. */
static const char *
find_ca_file(void)
{
	static const char *const known[] = { "/etc/ssl/certs/ca-certificates.crt",
		"/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/ca-bundle.pem", "/etc/ssl/cert.pem" };
	CURL *curl = curl_easy_init();
	const char *built_in = NULL; /* static text */

	if (curl != NULL)
		curl_easy_getinfo(curl, CURLINFO_CAINFO, &built_in);
	curl_easy_cleanup(curl);
	if (built_in != NULL && access(built_in, R_OK) == 0)
		return built_in;
	for (size_t i = 0; i < ARRAY_LENGTH(known); i++)
		if (access(known[i], R_OK) == 0)
			return known[i];
	return built_in;
}

int
checker_init(void)
{
	/* by it libcurl reads the names of hosts in redirects; to it a daemon would have none */
	setlocale(LC_CTYPE, "C.UTF-8");
	return curl_global_init(CURL_GLOBAL_ALL) == CURLE_OK ? 0 : -1;
}

/*
 * From 8.20 on a multi handle has a pool of threads for lookups. Without these two a few that hang
 * take all its threads, so that later ones wait until their site's timeout is over, and who leaves
 * waits for them.
 */
static void
let_lookups_hang(CURLM *multi)
{
#if LIBCURL_VERSION_NUM >= 0x081400
	curl_multi_setopt(multi, CURLMOPT_RESOLVE_THREADS_MAX, LOOKUP_THREADS_MAX);
	curl_multi_setopt(multi, CURLMOPT_QUICK_EXIT, 1L);
#else
	(void)multi;
#endif
}

struct probe *
probe_new(void)
{
	struct probe *p = xcalloc(1, sizeof(*p));

	p->multi = curl_multi_init();
	if (p->multi == NULL) {
		free(p);
		return NULL;
	}
	curl_multi_setopt(p->multi, CURLMOPT_MAXCONNECTS, KEPT_CONNECTIONS_MAX);
	let_lookups_hang(p->multi);
	p->match = match_new();
	p->ca_file = find_ca_file();
	return p;
}

void
probe_know_sites(struct probe *p, const struct site *sites, size_t count)
{
	p->sites = sites;
	p->site_count = count;
}

void
probe_free(struct probe *p)
{
	if (p == NULL)
		return;
	curl_multi_cleanup(p->multi);
	match_free(p->match);
	free(p->body);
	free(p);
}

/* --- the exchange ------------------------------------------------------------------------ */

static int
on_progress(void *arg, curl_off_t a, curl_off_t b, curl_off_t c, curl_off_t d)
{
	(void)arg, (void)a, (void)b, (void)c, (void)d;
	return aborted;
}

/* Whom to trust. */
static void
set_authorities(struct probe *p, const struct site *site)
{
	CURL *curl = p->curl;

	/* the cache of CA certificates works only without a directory of them */
	curl_easy_setopt(curl, CURLOPT_CAPATH, NULL);
	curl_easy_setopt(curl, CURLOPT_CAINFO, p->ca_file);
	curl_easy_setopt(curl, CURLOPT_CA_CACHE_TIMEOUT, CA_CACHE_SECONDS);
	curl_easy_setopt(curl, CURLOPT_SSL_VERIFYPEER, site->verify_tls ? 1L : 0L);
	curl_easy_setopt(curl, CURLOPT_SSL_VERIFYHOST, site->verify_tls ? 2L : 0L);
}

/* Everything that a check needs, on a fresh handle. */
static void
set_options(struct probe *p)
{
	CURL *curl = p->curl;
	const struct site *site = p->site;
	static const long ip_versions[] = { [IP_ANY] = CURL_IPRESOLVE_WHATEVER,
		[IP_4] = CURL_IPRESOLVE_V4,
		[IP_6] = CURL_IPRESOLVE_V6 };

	probe_request_set(p);
	if (site->decode)
		curl_easy_setopt(curl, CURLOPT_ACCEPT_ENCODING, "");

	/* only the web, only directly, no matter what the environment or a redirect says */
	curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(curl, CURLOPT_REDIR_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(curl, CURLOPT_PROXY, "");
	curl_easy_setopt(curl, CURLOPT_HTTP09_ALLOWED, 0L);
	curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, site->follow_redirects > 0 ? 1L : 0L);
	curl_easy_setopt(curl, CURLOPT_MAXREDIRS, (long)site->follow_redirects);
	curl_easy_setopt(curl, CURLOPT_IPRESOLVE, ip_versions[site->ip_version]);

	/* alarms and threads do not mix; and a timeout does not wait for the resolver */
	curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(curl, CURLOPT_QUICK_EXIT, 1L);
	curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)(site->timeout_us / US_PER_MS));

	/*
	 * A kept connection, name or session would hide a dead resolver and an expired certificate;
	 * and where no body is waited for, one may still come.
	 */
	if (!site->keepalive || site->body_limit == 0) {
		curl_easy_setopt(curl, CURLOPT_FRESH_CONNECT, 1L);
		curl_easy_setopt(curl, CURLOPT_FORBID_REUSE, 1L);
		curl_easy_setopt(curl, CURLOPT_DNS_CACHE_TIMEOUT, 0L);
		curl_easy_setopt(curl, CURLOPT_SSL_SESSIONID_CACHE, 0L);
	}

	set_authorities(p, site);

	curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, p->error);
	curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
	curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, on_progress);
	probe_listen(p);
}

/* --- the verdict ------------------------------------------------------------------------- */

static void
begin_times(struct probe *p)
{
	memset(p->result->phase_us, 0, sizeof(p->result->phase_us));
	p->begun_us = p->since_us = util_mono_us();
	p->cpu_us = util_cpu_us();
}

/* The phase in which the exchange ended, or failed, takes the rest. */
static void
end_times(struct probe *p)
{
	struct result *r = p->result;
	int64_t now = util_mono_us();

	r->elapsed_us = now - p->begun_us;
	r->phase_us[p->phase] += now - p->since_us;
	if (!p->used_tls)
		r->phase_us[PHASE_TLS] = RESULT_NONE;
}

static void
note_redirect_time(struct probe *p)
{
	struct result *r = p->result;
	curl_off_t us = 0;

	if (r->redirects > 0)
		curl_easy_getinfo(p->curl, CURLINFO_REDIRECT_TIME_T, &us);
	r->redirect_us = us < r->elapsed_us ? us : r->elapsed_us;
}

/*
 * What curl_easy_perform() does, in a multi handle that is ours and stays. An abort is seen here
 * too, since libcurl asks on_progress() only once it is connected, from 8.20 on.
 */
static CURLcode
perform(struct probe *p)
{
	CURLcode code = CURLE_FAILED_INIT;
	const CURLMsg *message;
	int count = 1;

	curl_multi_add_handle(p->multi, p->curl);
	while (curl_multi_perform(p->multi, &count) == CURLM_OK && count > 0 && !aborted)
		curl_multi_poll(p->multi, NULL, 0, probe_watch(p), NULL);
	message = curl_multi_info_read(p->multi, &count);
	if (message != NULL)
		code = message->data.result;
	else if (aborted)
		code = CURLE_ABORTED_BY_CALLBACK;
	curl_multi_remove_handle(p->multi, p->curl);
	return code;
}

const char *
probe_ca_file(const struct probe *p)
{
	return p->ca_file;
}

/* A connection to nobody: its other end is closed already. */
static curl_socket_t
open_dead_socket(void *arg, curlsocktype purpose, struct curl_sockaddr *address)
{
	int fd[2];

	(void)arg, (void)purpose, (void)address;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd) < 0)
		return CURL_SOCKET_BAD;
	close(fd[1]);
	return fd[0];
}

static int
is_connected(void *arg, curl_socket_t fd, curlsocktype purpose)
{
	(void)arg, (void)fd, (void)purpose;
	return CURL_SOCKOPT_ALREADY_CONNECTED;
}

/* libcurl reads them for a handshake, and keeps them if the same options come again. */
void
probe_load_authorities(struct probe *p)
{
	static const struct site nobody = { .verify_tls = true };

	p->curl = curl_easy_init();
	if (p->curl == NULL)
		return;
	curl_easy_setopt(p->curl, CURLOPT_URL, "https://127.0.0.1/");
	curl_easy_setopt(p->curl, CURLOPT_PROXY, "");
	curl_easy_setopt(p->curl, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(p->curl, CURLOPT_OPENSOCKETFUNCTION, open_dead_socket);
	curl_easy_setopt(p->curl, CURLOPT_SOCKOPTFUNCTION, is_connected);
	set_authorities(p, &nobody);
	perform(p);
	curl_easy_cleanup(p->curl);
}

static void
judge_response(struct probe *p)
{
	bool redirects = p->site->follow_redirects == 0 && p->location[0] != '\0';

	verdict_response(
	    p->result, p->match, p->site, p->body != NULL ? p->body : "", p->body_size, redirects);
	if (p->rest_skipped && p->result->error == ERROR_REGEX_MISMATCH) {
		char sentence[RESULT_MESSAGE_MAX + 1];

		memcpy(sentence, p->result->error_message, sizeof(sentence));
		result_fail(p->result, ERROR_REGEX_MISMATCH,
		    "%s (of the compressed body only the first part was read)", sentence);
	}
}

void
probe_run(struct probe *p, const struct site *site, struct result *result)
{
	struct probe fresh = { .multi = p->multi,
		.curl = curl_easy_init(),
		.match = p->match,
		.ca_file = p->ca_file,
		.sites = p->sites,
		.site_count = p->site_count,
		.leaked_threads = p->leaked_threads,
		.resolver = p->resolver,
		.body = p->body,
		.body_room = p->body_room,
		.site = site,
		.result = result };
	CURLcode code;

	*p = fresh;
	result_init(result);
	result->redirects = 0;
	p->used_tls = strncasecmp(site->url, "https:", 6) == 0;
	set_options(p);
	begin_times(p);
	code = aborted ? CURLE_ABORTED_BY_CALLBACK : perform(p);
	end_times(p);

	p->rest_skipped = code == CURLE_WRITE_ERROR && !p->body_cut && probe_decode_is_whole(p);
	if (code == CURLE_WRITE_ERROR && (p->body_cut || p->rest_skipped))
		code = CURLE_OK;
	if (result->http_status != RESULT_NONE) {
		result->body_bytes = (int64_t)p->body_size;
		result->body_truncated = site->body_limit == 0 ? TRISTATE_NULL
					 : p->body_cut         ? TRISTATE_TRUE
							       : TRISTATE_FALSE;
	}
	if (probe_redirect_failed(p, code)) {
		probe_fail_redirect(p, code);
	} else {
		/* that of the last redirect, even if nobody could be asked there */
		probe_note_url(p);
		if (code == CURLE_OK && result->http_status != RESULT_NONE)
			judge_response(p);
		else
			probe_fail(p, code);
	}
	note_redirect_time(p);
	curl_easy_cleanup(p->curl);
	probe_request_free(p);
	if (p->body_room > BODY_KEEP) {
		free(p->body);
		p->body = NULL;
		p->body_room = 0;
	}
}

static bool
is_ascii(const char *s)
{
	while (*s != '\0' && (*s & 0x80) == 0)
		s++;
	return *s == '\0';
}

/* What is wrong with an address as the host: of the other kind it could never be reached. */
static const char *
wrong_literal(const char *host, enum ip_version ip_version)
{
	struct in_addr v4;

	if (ip_version == IP_4 && host[0] == '[')
		return "this is an IPv6 address, but ip_version is \"4\"";
	if (ip_version == IP_6 && inet_pton(AF_INET, host, &v4) == 1)
		return "this is an IPv4 address, but ip_version is \"6\"";
	return NULL;
}

int
probe_check_url(const char *url, enum ip_version ip_version, char *why, size_t size)
{
	CURLU *u = curl_url();
	CURLUcode code = CURLUE_OUT_OF_MEMORY;
	char *host = NULL;

	why[0] = '\0';
	if (u != NULL)
		code = curl_url_set(u, CURLUPART_URL, url, CURLU_DISALLOW_USER);
	if (code == CURLUE_OK)
		code = curl_url_get(u, CURLUPART_HOST, &host, 0);
	if (strncasecmp(url, "http://", 7) != 0 && strncasecmp(url, "https://", 8) != 0)
		snprintf(why, size, "only http and https are checked");
	else if (strstr(url, "//")[2] == '/') /* libcurl takes "http:///x" for "http://x" */
		snprintf(why, size, "no host name");
	else if (code != CURLUE_OK)
		snprintf(why, size, "%s", curl_url_strerror(code));
	else if (!is_ascii(host))
		snprintf(why, size, "write the host name in its ASCII form (\"xn--…\")");
	else if (wrong_literal(host, ip_version) != NULL)
		snprintf(why, size, "%s", wrong_literal(host, ip_version));
	curl_free(host);
	curl_url_cleanup(u);
	return why[0] == '\0' ? 0 : -1;
}
