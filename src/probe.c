/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * One check by libcurl. Called by the checker; nothing is fatal but the failure to initialise.
 *
 * One multi handle lives as long as the process, because its cache of CA certificates does: without
 * it a check over HTTPS costs twenty times as much. The easy handle lives for one check: before
 * 8.1.1 libcurl remembers the last header of the transfer before, and a response that begins with a
 * folded line writes into its freed memory (https://github.com/curl/curl/issues/11101). Callbacks
 * note how far an exchange has come, so that a failure is blamed on the phase and the side that it
 * belongs to.
 */
#include "probe.h"

#include <arpa/inet.h>
#include <curl/curl.h>
#include <errno.h>
#include <netdb.h>
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

/* A body buffer begins with this, and above that it is given back after the check. */
#define BODY_FIRST (16 * 1024)
#define BODY_KEEP  (1024 * 1024)

#define CA_CACHE_SECONDS 3600L

/* Who sees a timeout so late was stopped or starved, and might have got an answer in time. */
#define OVERSLEPT_US US_PER_S

/* Of sites with keepalive; libcurl alone would keep four. */
#define KEPT_CONNECTIONS_MAX 1024L

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
	bool entered[PHASE_COUNT];
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

int
probe_init(void)
{
	return curl_global_init(CURL_GLOBAL_ALL) == CURLE_OK ? 0 : -1;
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

static void
enter(struct probe *p, enum phase phase)
{
	p->phase = phase;
	p->entered[phase] = true;
}

static long
redirect_count(const struct probe *p)
{
	long n = 0;

	curl_easy_getinfo(p->curl, CURLINFO_REDIRECT_COUNT, &n);
	return n;
}

static bool
host_is_literal(const char *url)
{
	char host[INET6_ADDRSTRLEN];
	struct in_addr v4;

	return sscanf(url, "%*[^:]://%45[^:/?#]", host) == 1 &&
	       (host[0] == '[' || inet_pton(AF_INET, host, &v4) == 1);
}

/* Called for addresses too, which take no time. */
static int
on_resolver_start(void *state, void *reserved, void *arg)
{
	struct probe *p = arg;
	const char *url = NULL;

	(void)state, (void)reserved;
	curl_easy_getinfo(p->curl, CURLINFO_EFFECTIVE_URL, &url);
	if (host_is_literal(url))
		p->phase = PHASE_CONNECT;
	else
		enter(p, PHASE_DNS);
	return 0;
}

/* What the record says of a connection is of the last one. */
static void
forget_connection(struct result *r)
{
	r->remote_ip[0] = '\0';
	r->tls_version = NULL;
	r->cert_expires_us = RESULT_NONE;
}

/* Opens the socket; the address is the resolved one, so no name can talk its way around. */
static curl_socket_t
on_open_socket(void *arg, curlsocktype purpose, struct curl_sockaddr *address)
{
	struct probe *p = arg;
	char ip[NI_MAXHOST] = "";
	long os_errno = 0;
	int fd;

	(void)purpose;
	if (p->tried)
		curl_easy_getinfo(p->curl, CURLINFO_OS_ERRNO, &os_errno);
	if (os_errno != 0 && !verdict_is_local((int)os_errno))
		p->remote_errno = (int)os_errno;
	p->tried = true;
	getnameinfo(&address->addr, address->addrlen, ip, sizeof(ip), NULL, 0, NI_NUMERICHOST);
	ip[strcspn(ip, "%")] = '\0';
	snprintf(p->address, sizeof(p->address), "%.*s", RESULT_IP_MAX, ip);
	if (!p->from_private && redirect_count(p) > 0 && verdict_is_private(ip)) {
		p->to_private = true;
		return CURL_SOCKET_BAD;
	}
	enter(p, PHASE_CONNECT);
	forget_connection(p->result);
	p->certificate_wanted = false;
	fd = socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
	if (fd < 0)
		p->local_errno = errno;
	return fd;
}

/* The server asks for a certificate, and we have none. */
static int
on_client_certificate(SSL *ssl, X509 **certificate, EVP_PKEY **key)
{
	struct probe *p = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));

	(void)certificate, (void)key;
	p->certificate_wanted = true;
	return 0;
}

static CURLcode
on_ssl_context(CURL *curl, void *context, void *arg)
{
	struct probe *p = arg;

	(void)curl;
	SSL_CTX_set_app_data(context, p);
	SSL_CTX_set_client_cert_cb(context, on_client_certificate);
	enter(p, PHASE_TLS);
	p->used_tls = true;
	/* what libcurl knows of the address does not outlive a handshake that fails */
	memcpy(p->result->remote_ip, p->address, sizeof(p->result->remote_ip));
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
note_tls(struct result *r, const SSL *ssl)
{
	X509 *leaf = SSL_get1_peer_certificate(ssl);

	r->tls_version = SSL_get_version(ssl);
	if (leaf != NULL)
		r->cert_expires_us = asn1_time_us(X509_get0_notAfter(leaf));
	X509_free(leaf);
}

/* Where redirects have led, without a name and password ("https://a:b@host/"). */
static void
note_url(struct probe *p)
{
	struct result *r = p->result;
	const char *url = NULL, *host, *at;
	size_t n;

	r->redirects = (int)redirect_count(p);
	if (r->redirects == 0)
		return;
	curl_easy_getinfo(p->curl, CURLINFO_EFFECTIVE_URL, &url);
	host = strstr(url, "://");
	host = host != NULL ? host + 3 : url;
	at = memrchr(host, '@', strcspn(host, "/?#"));
	n = util_clean_text(r->final_url, sizeof(r->final_url), url, (size_t)(host - url));
	if (at != NULL)
		host = at + 1;
	util_clean_text(r->final_url + n, sizeof(r->final_url) - n, host, strlen(host));
}

/* The connection stands and the request goes out; later its TLS session may be gone. */
static int
on_request(void *arg, char *remote_ip, char *local_ip, int remote_port, int local_port)
{
	struct probe *p = arg;
	const struct curl_tlssessioninfo *tls = NULL;

	(void)local_ip, (void)remote_port, (void)local_port;
	enter(p, PHASE_WAIT);
	p->tried = false;
	p->remote_errno = 0;
	note_url(p);
	if (p->result->redirects == 0)
		p->from_private = verdict_is_private(remote_ip);
	forget_connection(p->result);
	snprintf(p->result->remote_ip, sizeof(p->result->remote_ip), "%s", remote_ip);
	curl_easy_getinfo(p->curl, CURLINFO_TLS_SSL_PTR, &tls);
	if (tls != NULL && tls->backend == CURLSSLBACKEND_OPENSSL && tls->internals != NULL) {
		p->used_tls = true;
		note_tls(p->result, tls->internals);
		/* what has once been asked in secret is not asked in the open */
		curl_easy_setopt(p->curl, CURLOPT_REDIR_PROTOCOLS_STR, "https");
	}
	return CURL_PREREQFUNC_OK;
}

/* Takes the status over: the headers of a response are complete. */
static void
note_response(struct probe *p)
{
	static const char *const names[] = { [CURL_HTTP_VERSION_1_0] = "1.0",
		[CURL_HTTP_VERSION_1_1] = "1.1",
		[CURL_HTTP_VERSION_2_0] = "2",
		[CURL_HTTP_VERSION_3] = "3" };
	long status = 0, version = 0;

	curl_easy_getinfo(p->curl, CURLINFO_RESPONSE_CODE, &status);
	if (status < 200 || status > 999)
		return; /* an interim one, or nonsense */
	curl_easy_getinfo(p->curl, CURLINFO_HTTP_VERSION, &version);
	p->result->http_status = (int)status;
	p->result->http_version = (size_t)version < ARRAY_LENGTH(names) ? names[version] : NULL;
}

static size_t
on_header(char *line, size_t one, size_t size, void *arg)
{
	struct probe *p = arg;

	(void)one;
	enter(p, PHASE_RECEIVE);
	p->headers_size += size;
	if (p->headers_size > HEADERS_MAX) {
		p->headers_flood = true;
		return 0;
	}
	if (line[0] == '\r' || line[0] == '\n')
		note_response(p);
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
		while (p->body_size + take > p->body_room) {
			p->body_room = p->body_room > 0 ? 2 * p->body_room : BODY_FIRST;
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

static void
set_method(CURL *curl, const struct site *site)
{
	const char *body = site->body != NULL ? site->body : "";
	bool posts = site->body != NULL || strcmp(site->method, "POST") == 0;

	if (strcmp(site->method, "HEAD") == 0) {
		curl_easy_setopt(curl, CURLOPT_NOBODY, 1L);
		return;
	}
	if (posts) {
		curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)strlen(body));
		curl_easy_setopt(curl, CURLOPT_POSTFIELDS, body);
	}
	if (strcmp(site->method, posts ? "POST" : "GET") != 0)
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
set_options(struct probe *p, const struct curl_slist *headers)
{
	CURL *curl = p->curl;
	const struct site *site = p->site;
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

	/* a kept connection, name or session would hide a dead resolver and an expired certificate */
	if (!site->keepalive) {
		curl_easy_setopt(curl, CURLOPT_FRESH_CONNECT, 1L);
		curl_easy_setopt(curl, CURLOPT_FORBID_REUSE, 1L);
		curl_easy_setopt(curl, CURLOPT_DNS_CACHE_TIMEOUT, 0L);
		curl_easy_setopt(curl, CURLOPT_SSL_SESSIONID_CACHE, 0L);
	}

	set_authorities(p, site);

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

static void
note_times(struct probe *p)
{
	struct result *r = p->result;
	int64_t end_us[PHASE_COUNT] = {
		[PHASE_DNS] = timer_us(p->curl, CURLINFO_NAMELOOKUP_TIME_T),
		[PHASE_CONNECT] = timer_us(p->curl, CURLINFO_CONNECT_TIME_T),
		[PHASE_TLS] = timer_us(p->curl, CURLINFO_PRETRANSFER_TIME_T),
		[PHASE_WAIT] = timer_us(p->curl, CURLINFO_STARTTRANSFER_TIME_T),
	};

	r->elapsed_us = timer_us(p->curl, CURLINFO_TOTAL_TIME_T);
	r->redirect_us = r->redirects > 0 ? timer_us(p->curl, CURLINFO_REDIRECT_TIME_T) : 0;
	if (r->redirect_us > r->elapsed_us)
		r->redirect_us = r->elapsed_us;
	verdict_phases(r, end_us, p->entered, p->phase);
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
	int64_t overslept_us = timer_us(p->curl, CURLINFO_TOTAL_TIME_T) - p->site->timeout_us;

	if (p->phase == PHASE_DNS)
		p->leaked_threads++;
	if (overslept_us > OVERSLEPT_US) {
		result_fail(p->result, ERROR_LOCAL,
		    "this process was not let run: the timeout of %.3g s was seen %.3g s late",
		    (double)p->site->timeout_us / US_PER_S, (double)overslept_us / US_PER_S);
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

/* Whether a redirect led to what is not asked: another scheme, garbage, a private address. */
static bool
redirect_refused(const struct probe *p, CURLcode code)
{
	return (code == CURLE_COULDNT_CONNECT && p->to_private) ||
	       ((code == CURLE_UNSUPPORTED_PROTOCOL || code == CURLE_URL_MALFORMAT) &&
		   redirect_count(p) > p->result->redirects);
}

static void
fail_redirect(struct probe *p, CURLcode code)
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

/* Why there is no complete response. */
static void
judge_failure(struct probe *p, CURLcode code)
{
	struct result *r = p->result;
	const char *why = reason(p, code);
	long os_errno = p->local_errno;
	long status = 0;

	/* libcurl never forgets one, so it may be of an earlier connection */
	if (os_errno == 0 && p->phase == PHASE_CONNECT && p->entered[PHASE_CONNECT])
		curl_easy_getinfo(p->curl, CURLINFO_OS_ERRNO, &os_errno);
	/* no way from here to one address, as without IPv6, does not excuse what another one did */
	if (p->remote_errno != 0 &&
	    (os_errno == ENETUNREACH || os_errno == EADDRNOTAVAIL || os_errno == EAFNOSUPPORT))
		os_errno = p->remote_errno;
	if (p->headers_flood) {
		result_fail(r, ERROR_PROTOCOL, "more than %d KiB of headers", HEADERS_MAX / 1024);
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
			result_fail(r, ERROR_LOCAL, "no thread can be made to look up the name");
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
	const char *location = NULL;

	curl_easy_getinfo(p->curl, CURLINFO_REDIRECT_URL, &location); /* one that is not followed */
	verdict_response(p->result, p->match, p->site, p->body != NULL ? p->body : "", p->body_size,
	    location != NULL);
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
	p->used_tls = strncasecmp(site->url, "https:", 6) == 0;
	set_options(p, headers);
	code = aborted ? CURLE_ABORTED_BY_CALLBACK : perform(p);

	if (code == CURLE_WRITE_ERROR && p->body_cut)
		code = CURLE_OK;
	if (result->http_status != RESULT_NONE) {
		result->body_bytes = (int64_t)p->body_size;
		result->body_truncated = p->body_cut ? TRISTATE_TRUE : TRISTATE_FALSE;
	}
	if (redirect_refused(p, code)) {
		fail_redirect(p, code);
	} else {
		note_url(p); /* that of the last redirect, even if nobody could be asked there */
		if (code == CURLE_OK && result->http_status != RESULT_NONE)
			judge_response(p);
		else
			judge_failure(p, code);
	}
	note_times(p);
	curl_easy_cleanup(p->curl);
	curl_slist_free_all(headers);
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

int
probe_check_url(const char *url, char *why, size_t size)
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
	curl_free(host);
	curl_url_cleanup(u);
	return why[0] == '\0' ? 0 : -1;
}
