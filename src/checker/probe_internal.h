/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * What the parts of a check share; see probe.h for the check as others see it.
 *
 *   probe.c           a check from its beginning to the verdict
 *   probe_request.c   what is asked, first and behind a redirect
 *   probe_exchange.c  libcurl's callbacks: how far an exchange has come, and what it brought
 *   probe_tls.c       what a handshake shows of the site, and why it is refused
 *   probe_decode.c    compressed bodies that cannot be decoded
 *   probe_failure.c   why there is no whole response, and whose fault that is
 */
#ifndef WEBMOND_PROBE_INTERNAL_H
#define WEBMOND_PROBE_INTERNAL_H

#include <curl/curl.h>

#include "match.h"
#include "probe.h"
#include "resolver.h"

/* All headers of all responses of a check; larger than any honest server's. */
#define PROBE_HEADERS_MAX (256 * 1024)

#define PROBE_HOST_MAX 255

/* How much of a Location that cannot be read a sentence names. */
#define PROBE_LOCATION_MAX 128

/* How much of a certificate a sentence names: whose it is, its subject, its date. */
#define PROBE_CERTIFICATE_MAX 224

struct probe {
	CURLM *multi;
	struct match *match;
	const char *ca_file;
	const struct site *sites; /* all of them, of which `site` is one; NULL: not known */
	size_t site_count;
	int leaked_threads;
	struct resolver resolver;
	char error[CURL_ERROR_SIZE];
	char *body;
	size_t body_room;

	/* of the running check */
	CURL *curl;
	const struct site *site;
	struct result *result;
	struct curl_slist *headers, *bodiless_headers;
	char *cookies;                     /* of the configuration, or NULL */
	char jar_host[PROBE_HOST_MAX + 1]; /* whose the jar is taken for; "": the first one's */
	enum phase phase;                  /* how far it has come */
	bool entered;                      /* a first phase; what was before belongs to it */
	int64_t begun_us, since_us;        /* monotonic: the check, and the phase it is in */
	int64_t cpu_us;                    /* what this process had run when it began */
	int64_t queued_us;                 /* and had been queued, see probe_watch() */
	bool watched;
	bool used_tls;
	bool certificate_wanted; /* from us, by the last server */
	bool refused_by_date;    /* a certificate, since its time is over or yet to come */
	char refused[RESULT_MESSAGE_MAX + 1]; /* which, and why; "": none */
	char leaf[PROBE_CERTIFICATE_MAX + 1]; /* the last one in a good chain, for whatever host */
	size_t body_size, headers_size;
	bool body_cut;     /* by us: nothing more is waited for */
	bool rest_skipped; /* behind the first part of a body that is compressed in several */
	bool headers_flood;
	int local_errno;  /* no socket for the address that is being connected to */
	int remote_errno; /* of an earlier address of the host that is being connected to */
	bool tried;       /* whether there was one */
	char location[PROBE_LOCATION_MAX + 1]; /* of the last redirect */
	char address[RESULT_IP_MAX + 1]; /* of the last connection, or where it was refused to go */
	bool from_private;               /* the first host is: redirects may stay there */
	bool to_private;                 /* a redirect from outside was refused */
};

/* Set what the site says of the request: on a fresh handle, for one check. */
void probe_request_set(struct probe *p);

/* A response with `status` has come: what is asked if that is a redirect that is followed? */
void probe_request_redirected(struct probe *p, long status);

/* The next request of a chain of redirects goes to `url`: which cookies go along? */
void probe_request_follow(struct probe *p, const char *url);

/* When the handle has gone. */
void probe_request_free(struct probe *p);

/* Have libcurl tell of the exchange: on a fresh handle, for one check. */
void probe_listen(struct probe *p);

/* Have OpenSSL tell of the handshakes with this SSL_CTX. */
void probe_tls_listen(struct probe *p, void *context);

/* Note what is known of the connection `ssl`, an SSL. */
void probe_tls_note(struct probe *p, const void *ssl);

/* The exchange has come to `phase`: the time since the last call goes to the one before. */
void probe_enter(struct probe *p, enum phase phase);

/* The host of a URL, in its ASCII form; "" if there is none. */
void probe_host(const char *url, char *out, size_t size);

/* Whether it is an address and not a name. */
bool probe_host_is_literal(const char *url);

/* How many redirects have been followed in this check. */
long probe_redirect_count(const struct probe *p);

/* Clean text of `url`, without a name and password, into `out`. */
void probe_write_url(char *out, size_t size, const char *url);

/* Note how many redirects there were, and where the last one led. */
void probe_note_url(struct probe *p);

/*
 * Whether CURLE_WRITE_ERROR, which is not of our making, means that a whole compressed body has come
 * with something behind it, such as a further member of a gzip.
 */
bool probe_decode_is_whole(struct probe *p);

/*
 * Give the result its verdict: of CURLE_BAD_CONTENT_ENCODING and CURLE_WRITE_ERROR, of which libcurl
 * says `why`.
 */
void probe_fail_decode(struct probe *p, const char *why);
void probe_fail_write(struct probe *p, const char *why);

/*
 * Whether a redirect is what ended the exchange with `code`: to another scheme, to a private
 * address, or to what is no URL.
 */
bool probe_redirect_failed(const struct probe *p, CURLcode code);

/*
 * To be called whenever libcurl has waited: from an eighth of the timeout on it is known how long
 * this process was not let run. Most checks are over by then, and pay nothing. Returns how long to
 * wait next, in milliseconds.
 */
int probe_watch(struct probe *p);

/* Give the result its verdict: the redirect, or why there is no complete response. */
void probe_fail_redirect(struct probe *p, CURLcode code);
void probe_fail(struct probe *p, CURLcode code);

#endif
