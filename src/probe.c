/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * One check by libcurl. Called by the checker; nothing is fatal but the failure to initialise.
 *
 * One multi handle lives as long as the process, because its cache of CA certificates does: without
 * it a check over HTTPS costs twenty times as much. The easy handle lives for one check: before 8.1.1
 * libcurl remembers the last header of the transfer before, and a response that begins with a folded
 * line writes into its freed memory (https://github.com/curl/curl/issues/11101). Callbacks note how
 * far an exchange has come, so that a failure is blamed on the phase and the side that it belongs to.
 */
#include "probe.h"

#include <arpa/inet.h>
#include <curl/curl.h>
#include <errno.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "match.h"
#include "verdict.h"

/* All headers of all responses of a check; larger than any honest server's. */
#define HEADERS_MAX (256 * 1024)

/* Resolver threads left behind by timeouts, after which the process is worn: each holds a stack. */
#define LEAKED_THREADS_MAX 32

/* A body buffer above this is given back after the check. */
#define BODY_KEEP (1024 * 1024)

#define CA_CACHE_SECONDS 3600L

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
	enum phase phase; /* how far it has come */
	bool used_tls;
	bool literal_host;
	size_t body_size, headers_size;
	bool body_cut;
	bool headers_flood;
	bool in_headers;
	int status_seen; /* of the response whose headers are coming in */
	const char *version_seen;
	int local_errno;
	bool first_is_private;
	bool redirect_to_private;
};

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
probe_library_version(void)
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

struct probe *
probe_new(void)
{
	struct probe *p;

	if (curl_global_init(CURL_GLOBAL_ALL) != CURLE_OK)
		return NULL;
	p = xcalloc(1, sizeof(*p));
	p->multi = curl_multi_init();
	if (p->multi == NULL) {
		free(p);
		return NULL;
	}
	p->match = match_new();
	p->ca_file = find_ca_file();
	return p;
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

/* --- callbacks, in the order of an exchange ---------------------------------------------- */

static int
on_progress(void *arg, curl_off_t a, curl_off_t b, curl_off_t c, curl_off_t d)
{
	(void)arg, (void)a, (void)b, (void)c, (void)d;
	return aborted;
}

static int
on_resolver_start(void *state, void *reserved, void *arg)
{
	struct probe *p = arg;

	(void)state, (void)reserved;
	p->phase = PHASE_DNS;
	return 0;
}

/* Opens the socket; the address is the resolved one, so no name can talk its way around. */
static curl_socket_t
on_open_socket(void *arg, curlsocktype purpose, struct curl_sockaddr *address)
{
	struct probe *p = arg;
	long redirects = 0;
	int fd;

	(void)purpose;
	p->phase = PHASE_CONNECT;
	curl_easy_getinfo(p->curl, CURLINFO_REDIRECT_COUNT, &redirects);
	if (redirects == 0) {
		p->first_is_private = verdict_is_private(&address->addr);
	} else if (!p->first_is_private && verdict_is_private(&address->addr)) {
		p->redirect_to_private = true;
		return CURL_SOCKET_BAD;
	}
	fd = socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
	if (fd < 0)
		p->local_errno = errno;
	return fd;
}

static CURLcode
on_ssl_context(CURL *curl, void *context, void *arg)
{
	struct probe *p = arg;

	(void)curl, (void)context;
	p->phase = PHASE_TLS;
	p->used_tls = true;
	return CURLE_OK;
}

static int64_t
asn1_time_us(const ASN1_TIME *t)
{
	struct tm tm;

	if (t == NULL || ASN1_TIME_to_tm(t, &tm) != 1)
		return RESULT_NONE;
	return timegm(&tm) * US_PER_S;
}

/* libssl's names are static: "TLSv1.3". */
static void
note_tls(struct probe *p)
{
	const struct curl_tlssessioninfo *info = NULL;
	const SSL *ssl;
	X509 *leaf;

	if (curl_easy_getinfo(p->curl, CURLINFO_TLS_SSL_PTR, &info) != CURLE_OK || info == NULL ||
	    info->backend != CURLSSLBACKEND_OPENSSL || info->internals == NULL)
		return;
	ssl = info->internals;
	p->result->tls_version = SSL_get_version(ssl);
	leaf = SSL_get1_peer_certificate(ssl);
	if (leaf != NULL)
		p->result->cert_expires_us = asn1_time_us(X509_get0_notAfter(leaf));
	X509_free(leaf);
}

/* After redirects: where this request really goes; a refused one is never asked. */
static void
note_url(struct probe *p)
{
	const char *url = NULL;
	long redirects = 0;

	curl_easy_getinfo(p->curl, CURLINFO_REDIRECT_COUNT, &redirects);
	p->result->redirects = (int)redirects;
	if (redirects > 0 && curl_easy_getinfo(p->curl, CURLINFO_EFFECTIVE_URL, &url) == CURLE_OK)
		util_clean_text(
		    p->result->final_url, sizeof(p->result->final_url), url, strlen(url));
}

/* The connection stands and the request goes out; later its TLS session may be gone. */
static int
on_request(void *arg, char *remote_ip, char *local_ip, int remote_port, int local_port)
{
	struct probe *p = arg;

	(void)local_ip, (void)remote_port, (void)local_port;
	p->phase = PHASE_WAIT;
	p->in_headers = false;
	note_url(p);
	snprintf(p->result->remote_ip, sizeof(p->result->remote_ip), "%s", remote_ip);
	p->result->tls_version = NULL;
	p->result->cert_expires_us = RESULT_NONE;
	if (p->used_tls)
		note_tls(p);
	return CURL_PREREQFUNC_OK;
}

static const char *
version_name(const char *line, size_t size)
{
	static const struct {
		const char *prefix, *name;
	} versions[] = { { "HTTP/1.1 ", "1.1" }, { "HTTP/1.0 ", "1.0" }, { "HTTP/2 ", "2" },
		{ "HTTP/3 ", "3" } };

	for (size_t i = 0; i < ARRAY_LENGTH(versions); i++)
		if (size > strlen(versions[i].prefix) &&
		    memcmp(line, versions[i].prefix, strlen(versions[i].prefix)) == 0)
			return versions[i].name;
	return NULL;
}

/* The number of up to three digits behind the first space, or 0. */
static int
status_of(const char *line, size_t size)
{
	const char *c = memchr(line, ' ', size), *end = line + size;
	int status = 0;

	if (c == NULL)
		return 0;
	for (c++; c < end && *c >= '0' && *c <= '9' && status < 1000; c++)
		status = status * 10 + (*c - '0');
	return status <= 999 ? status : 0;
}

/* Counts, and takes status and version over when the headers of a response are complete. */
static size_t
on_header(char *line, size_t one, size_t size, void *arg)
{
	struct probe *p = arg;

	(void)one;
	p->phase = PHASE_RECEIVE;
	p->headers_size += size;
	if (p->headers_size > HEADERS_MAX) {
		p->headers_flood = true;
		return 0;
	}
	if (size > 5 && memcmp(line, "HTTP/", 5) == 0) {
		p->in_headers = true;
		p->version_seen = version_name(line, size);
		p->status_seen = status_of(line, size);
	} else if (p->in_headers && (size == 0 || line[0] == '\r' || line[0] == '\n')) {
		p->in_headers = false;
		if (p->status_seen >= 200) {
			p->result->http_status = p->status_seen;
			p->result->http_version = p->version_seen;
		}
	}
	return size;
}

/* Takes the body up to the limit, which counts what is left after decompression. */
static size_t
on_body(char *data, size_t one, size_t size, void *arg)
{
	struct probe *p = arg;
	size_t room = p->site->body_limit - p->body_size;
	size_t take = size < room ? size : room;

	(void)one;
	if (p->site->pattern_count > 0 && take > 0) {
		if (p->body_size + take > p->body_room) {
			size_t want = 2 * p->body_room > p->body_size + take ? 2 * p->body_room
									     : p->body_size + take;

			p->body_room = want < p->site->body_limit ? want : p->site->body_limit;
			p->body = xreallocarray(p->body, p->body_room, 1);
		}
		memcpy(p->body + p->body_size, data, take);
	}
	p->body_size += take;
	if (take == size)
		return size;
	p->body_cut = true;
	return 0; /* ends the exchange with CURLE_WRITE_ERROR, which is fine here */
}

/* --- the request ------------------------------------------------------------------------- */

static bool
host_is_literal(const char *url)
{
	const char *host = strstr(url, "://");
	unsigned char address[16];
	char name[INET6_ADDRSTRLEN + 1];
	size_t n;

	if (host == NULL)
		return false;
	host += 3;
	if (*host == '[')
		return true;
	n = strcspn(host, ":/?#");
	if (n >= sizeof(name))
		return false;
	memcpy(name, host, n);
	name[n] = '\0';
	return inet_pton(AF_INET, name, address) == 1;
}

static void
set_method(CURL *curl, const struct site *site)
{
	if (strcmp(site->method, "HEAD") == 0) {
		curl_easy_setopt(curl, CURLOPT_NOBODY, 1L);
		return;
	}
	if (site->body != NULL || strcmp(site->method, "POST") == 0) {
		curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE,
		    (curl_off_t)(site->body != NULL ? strlen(site->body) : 0));
		curl_easy_setopt(curl, CURLOPT_POSTFIELDS, site->body != NULL ? site->body : "");
	}
	if (strcmp(site->method, "GET") != 0 || site->body != NULL)
		if (strcmp(site->method, "POST") != 0)
			curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, site->method);
}

static struct curl_slist *
make_headers(const struct site *site)
{
	struct curl_slist *list = NULL;

	for (const char *const *h = site->headers; *h != NULL; h++) {
		struct curl_slist *longer = curl_slist_append(list, *h);

		if (longer == NULL)
			break; /* out of memory; the server will tell */
		list = longer;
	}
	return list;
}

/* Everything that a check needs, on a fresh handle. */
static void
set_options(struct probe *p, const struct curl_slist *headers)
{
	CURL *curl = p->curl;
	const struct site *site = p->site;
	bool https = strncasecmp(site->url, "https:", 6) == 0;
	static const long ip_versions[] = { [IP_ANY] = CURL_IPRESOLVE_WHATEVER,
		[IP_4] = CURL_IPRESOLVE_V4,
		[IP_6] = CURL_IPRESOLVE_V6 };

	curl_easy_setopt(curl, CURLOPT_URL, site->url);
	set_method(curl, site);
	curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
	curl_easy_setopt(curl, CURLOPT_USERAGENT, site->user_agent);
	curl_easy_setopt(curl, CURLOPT_ACCEPT_ENCODING, "");

	/* only the web, only directly, no matter what the environment or a redirect says */
	curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(curl, CURLOPT_REDIR_PROTOCOLS_STR, https ? "https" : "http,https");
	curl_easy_setopt(curl, CURLOPT_PROXY, "");
	curl_easy_setopt(curl, CURLOPT_HTTP09_ALLOWED, 0L);
	curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, site->follow_redirects > 0 ? 1L : 0L);
	curl_easy_setopt(curl, CURLOPT_MAXREDIRS, (long)site->follow_redirects);
	curl_easy_setopt(curl, CURLOPT_IPRESOLVE, ip_versions[site->ip_version]);

	/* NOSIGNAL: alarms and threads do not mix; QUICK_EXIT: a timeout does not wait for the resolver */
	curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(curl, CURLOPT_QUICK_EXIT, 1L);
	curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)(site->timeout_us / US_PER_MS));

	/* a kept connection, name or session would hide a dead resolver and an expired certificate */
	if (!site->keepalive) {
		curl_easy_setopt(curl, CURLOPT_FRESH_CONNECT, 1L);
		curl_easy_setopt(curl, CURLOPT_FORBID_REUSE, 1L);
		curl_easy_setopt(curl, CURLOPT_DNS_CACHE_TIMEOUT, 0L);
		curl_easy_setopt(curl, CURLOPT_SSL_SESSIONID_CACHE, 0L);
	}

	/* the cache of CA certificates works only without a directory of them */
	curl_easy_setopt(curl, CURLOPT_CAPATH, NULL);
	curl_easy_setopt(curl, CURLOPT_CAINFO, p->ca_file);
	curl_easy_setopt(curl, CURLOPT_CA_CACHE_TIMEOUT, CA_CACHE_SECONDS);
	curl_easy_setopt(curl, CURLOPT_SSL_VERIFYPEER, site->verify_tls ? 1L : 0L);
	curl_easy_setopt(curl, CURLOPT_SSL_VERIFYHOST, site->verify_tls ? 2L : 0L);

	curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, p->error);
	curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
	curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, on_progress);
	curl_easy_setopt(curl, CURLOPT_RESOLVER_START_FUNCTION, on_resolver_start);
	curl_easy_setopt(curl, CURLOPT_RESOLVER_START_DATA, p);
	curl_easy_setopt(curl, CURLOPT_OPENSOCKETFUNCTION, on_open_socket);
	curl_easy_setopt(curl, CURLOPT_OPENSOCKETDATA, p);
	curl_easy_setopt(curl, CURLOPT_SSL_CTX_FUNCTION, on_ssl_context);
	curl_easy_setopt(curl, CURLOPT_SSL_CTX_DATA, p);
	curl_easy_setopt(curl, CURLOPT_PREREQFUNCTION, on_request);
	curl_easy_setopt(curl, CURLOPT_PREREQDATA, p);
	curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, on_header);
	curl_easy_setopt(curl, CURLOPT_HEADERDATA, p);
	curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_body);
	curl_easy_setopt(curl, CURLOPT_WRITEDATA, p);
}

/* --- the verdict ------------------------------------------------------------------------- */

static int64_t
timer_us(CURL *curl, CURLINFO info)
{
	curl_off_t t = 0;

	curl_easy_getinfo(curl, info, &t);
	return t;
}

static int64_t
not_negative(int64_t n)
{
	return n > 0 ? n : 0;
}

/*
 * libcurl's timers count from the start of each request and are summed over redirects. What their
 * differences leave of the whole belongs to the phase in which the exchange ended.
 */
static void
fill_phases(struct probe *p)
{
	struct result *r = p->result;
	int64_t dns = timer_us(p->curl, CURLINFO_NAMELOOKUP_TIME_T);
	int64_t connected = timer_us(p->curl, CURLINFO_CONNECT_TIME_T);
	int64_t prepared = timer_us(p->curl, CURLINFO_PRETRANSFER_TIME_T);
	int64_t first_byte = timer_us(p->curl, CURLINFO_STARTTRANSFER_TIME_T);
	int64_t rest;

	r->elapsed_us = timer_us(p->curl, CURLINFO_TOTAL_TIME_T);
	r->redirect_us = r->redirects > 0 ? timer_us(p->curl, CURLINFO_REDIRECT_TIME_T) : 0;
	if (r->redirect_us > r->elapsed_us)
		r->redirect_us = r->elapsed_us;
	if (p->literal_host && r->redirects == 0)
		dns = 0;
	r->phase_us[PHASE_DNS] = dns;
	r->phase_us[PHASE_CONNECT] = not_negative(connected - dns);
	r->phase_us[PHASE_TLS] = p->used_tls ? not_negative(prepared - connected) : 0;
	r->phase_us[PHASE_WAIT] = not_negative(first_byte - (p->used_tls ? prepared : connected));
	r->phase_us[PHASE_RECEIVE] = 0;
	rest = r->elapsed_us;
	for (int i = 0; i < PHASE_COUNT; i++)
		rest -= r->phase_us[i];
	r->phase_us[p->phase] += rest;
	/* overlapping timers of many hops: take what is too much from the largest */
	for (int i = 0; i < PHASE_COUNT; i++) {
		if (r->phase_us[i] < 0) {
			int largest = PHASE_RECEIVE;

			for (int k = 0; k < PHASE_COUNT; k++)
				if (r->phase_us[k] > r->phase_us[largest])
					largest = k;
			r->phase_us[largest] += r->phase_us[i];
			r->phase_us[i] = 0;
		}
	}
	if (!p->used_tls)
		r->phase_us[PHASE_TLS] = RESULT_NONE;
}

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

static void
fail_timeout(struct probe *p)
{
	static const char *const doing[PHASE_COUNT] = { "looking up the name", "connecting",
		"in the TLS handshake", "waiting for the response", "receiving the response" };

	if (p->phase == PHASE_DNS)
		p->leaked_threads++;
	result_fail(p->result, ERROR_TIMEOUT, "timed out after %.3g s while %s",
	    (double)p->site->timeout_us / US_PER_S, doing[p->phase]);
}

/* libcurl's sentence, or its general one for the code. */
static const char *
reason(const struct probe *p, CURLcode code)
{
	return p->error[0] != '\0' ? p->error : curl_easy_strerror(code);
}

/* Why there is no complete response. */
static void
judge_failure(struct probe *p, CURLcode code)
{
	struct result *r = p->result;
	const char *why = reason(p, code);
	long os_errno = p->local_errno;
	long asked = 0;

	if (os_errno == 0)
		curl_easy_getinfo(p->curl, CURLINFO_OS_ERRNO, &os_errno);
	curl_easy_getinfo(p->curl, CURLINFO_REDIRECT_COUNT, &asked); /* with the one that failed */
	if (p->redirect_to_private) {
		const char *url = "";

		curl_easy_getinfo(p->curl, CURLINFO_EFFECTIVE_URL, &url);
		result_fail(r, ERROR_REDIRECT_REFUSED, "redirect to a private address: %s", url);
		return;
	}
	if (p->headers_flood) {
		result_fail(r, ERROR_PROTOCOL, "more than %d KiB of headers", HEADERS_MAX / 1024);
		return;
	}
	switch (code) {
	case CURLE_OK: /* libcurl is content with less than we are */
		result_fail(r, ERROR_PROTOCOL, "the response has no final status");
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
		else
			result_fail(r, ERROR_DNS, "%s", why);
		return;
	case CURLE_COULDNT_CONNECT:
		if (verdict_is_local((int)os_errno))
			result_fail(r, ERROR_LOCAL, "cannot connect from here: %s",
			    strerror((int)os_errno));
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
		r->tls_version = NULL;
		r->cert_expires_us = RESULT_NONE;
		/* fall through */
	case CURLE_SSL_CONNECT_ERROR:
	case CURLE_SSL_CIPHER:
	case CURLE_SSL_ISSUER_ERROR:
	case CURLE_SSL_INVALIDCERTSTATUS:
	case CURLE_SSL_PINNEDPUBKEYNOTMATCH:
		result_fail(r, ERROR_TLS, "%s", why);
		return;
	case CURLE_UNSUPPORTED_PROTOCOL:
	case CURLE_URL_MALFORMAT:
		/* the same code says that a reply had no status line at all */
		if (asked > 0 && strstr(why, "HTTP/0.9") == NULL)
			result_fail(r, ERROR_REDIRECT_REFUSED, "redirect refused: %s", why);
		else
			result_fail(r, ERROR_PROTOCOL, "%s", why);
		return;
	default:
		/* TLS 1.3 servers refuse a missing client certificate after the handshake */
		if (p->used_tls && (p->phase == PHASE_TLS || strstr(why, "alert") != NULL))
			result_fail(r, ERROR_TLS, "%s", why);
		else if (verdict_is_local((int)os_errno) && p->phase < PHASE_WAIT)
			result_fail(r, ERROR_LOCAL, "%s: %s", why, strerror((int)os_errno));
		else
			result_fail(r, ERROR_PROTOCOL, "%s", why);
		return;
	}
}

/* What curl_easy_perform() does, in a multi handle that is ours and stays. */
static CURLcode
perform(struct probe *p)
{
	CURLcode code = CURLE_FAILED_INIT;
	const CURLMsg *message;
	int count = 1;

	curl_multi_add_handle(p->multi, p->curl);
	while (curl_multi_perform(p->multi, &count) == CURLM_OK && count > 0)
		curl_multi_poll(p->multi, NULL, 0, 1000, NULL);
	message = curl_multi_info_read(p->multi, &count);
	if (message != NULL)
		code = message->data.result;
	curl_multi_remove_handle(p->multi, p->curl);
	return code;
}

void
probe_run(struct probe *p, const struct site *site, struct result *result)
{
	struct curl_slist *headers = make_headers(site);
	struct probe fresh = { .multi = p->multi,
		.curl = curl_easy_init(),
		.match = p->match,
		.ca_file = p->ca_file,
		.leaked_threads = p->leaked_threads,
		.body = p->body,
		.body_room = p->body_room,
		.site = site,
		.result = result };
	CURLcode code;

	*p = fresh;
	result_init(result);
	result->redirects = 0;
	p->literal_host = host_is_literal(site->url);
	set_options(p, headers);
	code = aborted ? CURLE_ABORTED_BY_CALLBACK : perform(p);

	fill_phases(p);
	if (code == CURLE_WRITE_ERROR && p->body_cut)
		code = CURLE_OK;
	if (result->http_status != RESULT_NONE) {
		result->body_bytes = (int64_t)p->body_size;
		result->body_truncated = p->body_cut ? TRISTATE_TRUE : TRISTATE_FALSE;
	}
	if (code == CURLE_OK && result->http_status != RESULT_NONE) {
		result->completed = true;
		verdict_response(
		    result, p->match, site, p->body != NULL ? p->body : "", p->body_size);
	} else {
		judge_failure(p, code);
	}
	curl_easy_cleanup(p->curl);
	curl_slist_free_all(headers);
	if (p->body_room > BODY_KEEP) {
		free(p->body);
		p->body = NULL;
		p->body_room = 0;
	}
}

int
probe_check_url(const char *url, char *why, size_t size)
{
	CURLU *u = curl_url();
	CURLUcode code;
	char *part = NULL;
	int outcome = -1;

	if (u == NULL) {
		snprintf(why, size, "out of memory");
		return -1;
	}
	code = curl_url_set(u, CURLUPART_URL, url, CURLU_DISALLOW_USER);
	if (code != CURLUE_OK) {
		snprintf(why, size, "%s", curl_url_strerror(code));
	} else if (curl_url_get(u, CURLUPART_SCHEME, &part, 0) != CURLUE_OK ||
		   (strcmp(part, "http") != 0 && strcmp(part, "https") != 0)) {
		snprintf(why, size, "only http and https are checked");
	} else {
		curl_free(part);
		part = NULL;
		if (curl_url_get(u, CURLUPART_HOST, &part, 0) != CURLUE_OK || part[0] == '\0') {
			snprintf(why, size, "no host name");
		} else {
			outcome = 0;
			for (const char *c = part; *c != '\0'; c++)
				outcome = (*c & 0x80) != 0 ? -1 : outcome;
			if (outcome < 0)
				snprintf(
				    why, size, "write the host name in its ASCII form (\"xn--…\")");
		}
	}
	curl_free(part);
	curl_url_cleanup(u);
	return outcome;
}
