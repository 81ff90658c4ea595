/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * The exchange: runs it, and notes in libcurl's callbacks how far it has come and what it brought,
 * so that a failure is blamed on the phase and the side that it belongs to. The callbacks stand
 * here in the order of an exchange.
 */
#include "probe_internal.h"

#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "util.h"
#include "verdict.h"

/* First size of a body buffer. */
#define BODY_FIRST (16 * 1024)

static volatile sig_atomic_t aborted;

void
probe_abort(void)
{
	aborted = 1;
}

bool
probe_is_aborted(void)
{
	return aborted;
}

int64_t
probe_pause(int64_t us)
{
	int64_t begun_us = util_mono_us(), waited_us = 0;

	while (!aborted && waited_us < us) {
		int64_t left_us = us - waited_us;

		poll(NULL, 0, left_us < US_PER_S ? (int)(left_us / US_PER_MS) + 1 : 1000);
		waited_us = util_mono_us() - begun_us;
	}
	return waited_us;
}

/* libcurl's count of redirects has the requests in it that are asked again for digest. */
static long
followed(const struct probe *p)
{
	long n = 0;

	curl_easy_getinfo(p->curl, CURLINFO_REDIRECT_COUNT, &n);
	return n;
}

static bool
asks_again(const struct probe *p)
{
	return p->result->http_status == 401 && followed(p) > p->followed;
}

long
probe_redirect_count(const struct probe *p)
{
	return followed(p) - p->asked_again - asks_again(p);
}

static void
note_name(struct probe *p)
{
	char host[RESOLVER_NAME_MAX + 1];

	probe_host(probe_peer_url(p), host, sizeof(host));
	resolver_note(&p->resolver, host);
}

/* Called for addresses too, which take no time. */
static int
on_resolver_start(void *state, void *reserved, void *arg)
{
	struct probe *p = arg;
	const char *url = probe_peer_url(p);
	bool literal = probe_host_is_literal(url) || probe_is_resolved(p, url);

	(void)state, (void)reserved;
	probe_enter(p, literal ? PHASE_CONNECT : PHASE_DNS);
	return 0;
}

/* The record describes the last connection only. */
static void
forget_connection(struct result *r)
{
	r->remote_ip[0] = '\0';
	r->tls_version[0] = r->cert_issuer[0] = r->cert_sha256[0] = '\0';
	r->cert_expires_us = r->chain_expires_us = RESULT_NONE;
	r->reused = TRISTATE_NULL;
}

/*
 * Whether a redirect leads from a public host to the private address `ip`. To be asked for each
 * request and not for each socket, since a kept connection, perhaps another site's, needs no new
 * one. The address of a proxy says nothing of that.
 */
static bool
leads_inside(struct probe *p, const char *ip)
{
	if (p->from_private || p->site->allow_private_redirects || p->by_proxy ||
	    probe_redirect_count(p) == 0 || !verdict_is_private(ip))
		return false;
	snprintf(p->address, sizeof(p->address), "%.*s", RESULT_IP_MAX, ip);
	p->to_private = true;
	return true;
}

/* Opens the socket. The address is the resolved one, so no trick with names helps. */
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
	getnameinfo(&address->addr, address->addrlen, ip, sizeof(ip), NULL, 0, NI_NUMERICHOST);
	ip[strcspn(ip, "%")] = '\0';
	snprintf(p->address, sizeof(p->address), "%.*s", RESULT_IP_MAX, ip);
	if (leads_inside(p, ip))
		return CURL_SOCKET_BAD;
	if (p->phase == PHASE_DNS && p->entered)
		note_name(p);
	p->tried = true;
	p->proxy_begins_tls = probe_proxy_begins_tls(p);
	p->proxy_speaks_tls = p->proxy_is_connected = false;
	probe_enter(p, PHASE_CONNECT);
	forget_connection(p->result);
	p->certificate_wanted = false;
	fd = socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
	p->local_errno = fd < 0 ? errno : 0;
	p->last_fd = fd;
	return fd;
}

static CURLcode
on_ssl_context(CURL *curl, void *context, void *arg)
{
	struct probe *p = arg;

	(void)curl;
	if (p->proxy_begins_tls) {
		p->proxy_begins_tls = false;
		probe_tls_listen_proxy(p, context);
		return CURLE_OK;
	}
	probe_tls_listen(p, context);
	probe_enter(p, PHASE_TLS);
	p->used_tls = true;
	p->result->reused = TRISTATE_FALSE;
	/* what libcurl knows of the address does not outlive a handshake that fails */
	memcpy(p->result->remote_ip, p->address, sizeof(p->result->remote_ip));
	return CURLE_OK;
}

void
probe_note_url(struct probe *p)
{
	struct result *r = p->result;

	r->redirects = (int)probe_redirect_count(p);
	if (r->redirects > 0)
		probe_write_url(p, r->final_url, sizeof(r->final_url), probe_current_url(p));
}

/* The connection stands and the request goes out; later its TLS session may be gone. */
static int
on_request(void *arg, char *remote_ip, char *local_ip, int remote_port, int local_port)
{
	struct probe *p = arg;
	const struct curl_tlssessioninfo *tls = NULL;
	enum tristate reused;

	(void)local_ip, (void)remote_port, (void)local_port;
	if (leads_inside(p, remote_ip))
		return CURL_PREREQFUNC_ABORT;
	probe_enter(p, PHASE_WAIT);
	reused = p->tried ? TRISTATE_FALSE : TRISTATE_TRUE;
	p->tried = false;
	p->remote_errno = 0;
	p->asked_again += asks_again(p);
	p->followed = followed(p);
	if (probe_redirect_count(p) == 0)
		p->from_private = !p->by_proxy && verdict_is_private(remote_ip);
	else if (!probe_request_follow(p, probe_current_url(p)))
		return CURL_PREREQFUNC_ABORT;
	probe_note_url(p);
	/* libcurl does not show the session of QUIC: what on_verify() saw is all there is */
	if (p->site->http_version != HTTP_3)
		forget_connection(p->result);
	p->result->reused = reused;
	p->first_to_end[0] = '\0';
	snprintf(p->result->remote_ip, sizeof(p->result->remote_ip), "%s", remote_ip);
	/* over plain http it would be the session with an https proxy */
	if (strncasecmp(probe_current_url(p), "https:", 6) == 0) {
		p->used_tls = true;
		/* what has once been asked in secret is not asked in the open */
		curl_easy_setopt(p->curl, CURLOPT_REDIR_PROTOCOLS_STR, "https");
		curl_easy_getinfo(p->curl, CURLINFO_TLS_SSL_PTR, &tls);
		if (tls != NULL && tls->backend == CURLSSLBACKEND_OPENSSL && tls->internals != NULL)
			probe_tls_note(p, tls->internals);
	}
	return CURL_PREREQFUNC_OK;
}

/* For the sentence, if it is no URL: later libcurl knows only the headers of the next response. */
static void
note_location(struct probe *p)
{
	struct curl_header *header;

	p->location[0] = '\0';
	if (curl_easy_header(p->curl, "Location", 0, CURLH_HEADER, -1, &header) != CURLHE_OK)
		return;
	probe_write_url(p, p->location, sizeof(p->location), header->value);
	if (p->site->follow_redirects > 0)
		probe_proxy_follow(p, header->value);
}

/*
 * The headers of a response are complete: note its status. Returns whether it is the final one, so
 * neither an interim one nor a redirect that is followed.
 */
static bool
note_response(struct probe *p)
{
	static const char *const names[] = { [CURL_HTTP_VERSION_1_0] = "1.0",
		[CURL_HTTP_VERSION_1_1] = "1.1",
		[CURL_HTTP_VERSION_2_0] = "2",
		[CURL_HTTP_VERSION_3] = "3" };
	long status = 0, version = 0;

	curl_easy_getinfo(p->curl, CURLINFO_RESPONSE_CODE, &status);
	if (status < 200 || status > 999)
		return false; /* an interim one, or nonsense */
	curl_easy_getinfo(p->curl, CURLINFO_HTTP_VERSION, &version);
	p->result->http_status = (int)status;
	if ((size_t)version < ARRAY_LENGTH(names) && names[version] != NULL)
		snprintf(
		    p->result->http_version, sizeof(p->result->http_version), "%s", names[version]);
	else
		p->result->http_version[0] = '\0';
	if (status / 100 != 3)
		return status != 401 || !probe_request_refused(p);
	note_location(p);
	probe_request_redirected(p, status);
	return p->site->follow_redirects == 0 || p->location[0] == '\0';
}

static size_t
on_header(char *line, size_t one, size_t size, void *arg)
{
	struct probe *p = arg;

	(void)one;
	probe_enter(p, PHASE_RECEIVE);
	p->headers_size += size;
	if (p->headers_size > PROBE_HEADERS_MAX) {
		p->headers_flood = true;
		return 0;
	}
	if (p->site->header_patterns.count > 0)
		headers_add(&p->fields, line, size);
	if ((line[0] == '\r' || line[0] == '\n') && note_response(p) && p->site->body_limit == 0) {
		p->body_cut = true;
		return 0; /* as below */
	}
	return size;
}

/* How much of the body has to be at hand, of `size` more bytes. */
static size_t
kept_size(const struct probe *p, size_t size)
{
	const struct site *site = p->site;
	size_t sample = site->body_sample ? PROBE_SAMPLE_MAX : 0;

	if (site->body_patterns.count + site->body_json.count > 0)
		return size;
	return p->body_size >= sample         ? 0
	       : size < sample - p->body_size ? size
					      : sample - p->body_size;
}

/* Stores the body up to the limit, which counts decompressed bytes. */
static size_t
on_body(char *data, size_t one, size_t size, void *arg)
{
	struct probe *p = arg;
	size_t room = p->site->body_limit - p->body_size;
	size_t take = size < room ? size : room, keep = kept_size(p, take);

	(void)one;
	if (keep > 0) {
		while (p->body_size + keep > p->body_room) {
			p->body_room = p->body_room > 0 ? 2 * p->body_room : BODY_FIRST;
			p->body = xreallocarray(p->body, p->body_room, 1);
		}
		memcpy(p->body + p->body_size, data, keep);
	}
	p->body_size += take;
	if (take == size)
		return size;
	p->body_cut = true;
	return 0; /* ends the exchange with CURLE_WRITE_ERROR, which is fine here */
}

static int
on_progress(void *arg, curl_off_t a, curl_off_t b, curl_off_t c, curl_off_t d)
{
	(void)arg, (void)a, (void)b, (void)c, (void)d;
	return aborted;
}

void
probe_listen(struct probe *p)
{
	CURL *curl = p->curl;

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
	curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, p->error);
	curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
	curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, on_progress);
}

/* What curl_easy_perform() does, but in a multi handle that stays. */
CURLcode
probe_perform(struct probe *p)
{
	CURLcode code = CURLE_FAILED_INIT;
	const CURLMsg *message;
	int count = 1, wait_ms;
	int64_t due_us;

	curl_multi_add_handle(p->multi, p->curl);
	/* libcurl asks on_progress() only once it is connected, from 8.20 on */
	while (!aborted && curl_multi_perform(p->multi, &count) == CURLM_OK && count > 0) {
		wait_ms = probe_watch(p);
		due_us = util_mono_us() + wait_ms * US_PER_MS;
		curl_multi_poll(p->multi, NULL, 0, wait_ms, NULL);
		probe_woke(p, due_us);
		probe_proxy_look(p);
	}
	message = curl_multi_info_read(p->multi, &count);
	if (message != NULL)
		code = message->data.result;
	else if (aborted)
		code = CURLE_ABORTED_BY_CALLBACK;
	curl_multi_remove_handle(p->multi, p->curl);
	return code;
}
