/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * What the parts of a check share; see probe.h for the check as others see it.
 *
 *   probe.c           a check from its beginning to the verdict
 *   request.c         what is asked, first and behind a redirect
 *   connection.c      which way it takes
 *   proxy.c           through which proxy, and when that fails
 *   exchange.c        runs the exchange: how far it has come, and what it brought
 *   certificate.c     what certificates say
 *   tls.c             what a handshake shows of the site, and why it is refused
 *   ca.c              the CA certificates, and the multi handles that cache them
 *   pem.c             what is wrong with files of certificates and keys
 *   decode.c          compressed bodies that cannot be decoded
 *   failure.c         why there is no whole response, and whose fault that is
 *   lookup_failure.c  the same for a name that was not resolved
 *   times.c           how long the phases took, and whether this process was starved of CPU
 *   url.c             hosts of URLs
 *   vantage.c         whether others can be reached, when a site cannot
 */
#ifndef WEBMOND_PROBE_INTERNAL_H
#define WEBMOND_PROBE_INTERNAL_H

#include <curl/curl.h>

#include "body_json.h"
#include "headers.h"
#include "files.h"
#include "match.h"
#include "probe.h"
#include "resolver.h"

/* All headers of all responses of a check; larger than any honest server's. */
#define PROBE_HEADERS_MAX (256 * 1024)

#define PROBE_HOST_MAX 255

/* How much of a body its sample is made of; where there is more it ends with "…". */
#define PROBE_SAMPLE_MAX (RESULT_SAMPLE_MAX + 1)

/* How much of a Location that cannot be read a sentence names. */
#define PROBE_LOCATION_MAX 128

/* How much of a certificate a sentence names: whose it is, its subject, its date. */
#define PROBE_CERTIFICATE_MAX 224

/* The sentence of ERROR_ABORTED. */
#define PROBE_ABORTED "webmond was stopped while the check ran"

/* How many sites of a checker can have kept connections of their own. */
#define PROBE_OWN_MAX 256

/*
 * The kept connections of one site; what its options are, and those of other sites, does not
 * matter.
 */
struct own_connections {
	const struct site *site; /* NULL: none */
	CURLSH *share;
	int64_t authority; /* which one it trusts: another one may not trust them */
	int64_t used_us;   /* monotonic */
};

/* How many files of CA certificates are kept in memory, with that of the system. */
#define PROBE_AUTHORITIES_MAX 64

/* Another file has another one. */
struct file_identity {
	dev_t device;
	ino_t inode;
	off_t size;
	struct timespec modified, changed;
};

/* A file of CA certificates, and the multi handle that has read it. */
struct authority {
	const char *file; /* NULL: there is none, if the multi handle is NULL too */
	struct file_identity identity;
	CURLM *multi;
	int64_t number; /* the first of authority_uses: no other one has it */
	int64_t used;   /* the last */
};

struct probe {
	/* of the process */
	CURLM *multi; /* of the running check: one of the authorities' */
	struct authority authorities[PROBE_AUTHORITIES_MAX]; /* the first: of the system */
	int64_t authority;                                   /* its number */
	int64_t authority_uses;
	struct match *match;
	const char *ca_file;
	const struct site *sites; /* all of them, of which `site` is one */
	size_t site_count;
	int leaked_threads;
	bool walled; /* a site's file was replaced, and may only be read by a new process */
	struct resolver resolver;
	int64_t vantage_asked_us; /* when the references were last asked (monotonic); 0: never */
	bool vantage_answers;
	const char *vantage_refused; /* why a certificate of theirs was, or NULL */
	struct own_connections own[PROBE_OWN_MAX];
	struct json *json;
	char *body;
	size_t body_room;
	struct headers fields; /* of the last response, for patterns */

	/* of the running check: from `curl` on it begins as zeros */
	CURL *curl;
	const struct site *site;
	struct result *result;
	struct file files[FILE_COUNT];
	char error[CURL_ERROR_SIZE];
	const char *why; /* libcurl's sentence for the code that ended it */
	struct curl_slist *headers;
	struct curl_slist *connect_to;     /* what `resolve` says */
	char *cookies, *authorization;     /* of the configuration, or NULL */
	bool bodiless;                     /* a redirect has taken the body away */
	bool abroad;                       /* it led to another scheme, host or port */
	bool body_withheld;                /* and body_file was not sent there */
	char jar_host[PROBE_HOST_MAX + 1]; /* for which the cookie jar is used now; "": the first */
	enum phase phase;                  /* how far it has come */
	bool entered;                      /* a first phase; what was before belongs to it */
	int64_t begun_us, since_us;        /* monotonic: the check, and the phase it is in */
	int64_t cpu_us;                    /* CPU time of this process when it began */
	int64_t queued_us;                 /* and how long it had waited for a CPU: probe_watch() */
	int64_t overslept_us;              /* libcurl's waits ended so much too late, since then */
	bool watched;
	bool by_proxy; /* the request that runs, or the next one behind a redirect */
	int last_fd;   /* the socket that was opened last */
	bool proxy_is_connected;
	bool proxy_begins_tls; /* the next handshake is with the proxy */
	bool proxy_speaks_tls; /* that one has succeeded */
	bool used_tls;
	bool certificate_wanted; /* from us, by the last server */
	bool refused_by_date;    /* a certificate, since its time is over or yet to come */
	char refused[RESULT_MESSAGE_MAX + 1]; /* which, and why; "": none */
	char leaf[PROBE_CERTIFICATE_MAX + 1]; /* the last one in a good chain, for whatever host */
	char first_to_end[PROBE_CERTIFICATE_MAX + 1]; /* of the chain, if within cert_min_days */
	size_t body_size, headers_size;
	bool body_cut;     /* by us: nothing more is waited for */
	bool rest_skipped; /* behind the first part of a body that is compressed in several */
	bool headers_flood;
	int local_errno;  /* no socket for the address that is being connected to */
	int remote_errno; /* of an earlier address of the host that is being connected to */
	bool tried;       /* whether there was an earlier address */
	long followed,
	    asked_again; /* what libcurl counted up to this request; of which by digest */
	char location[PROBE_LOCATION_MAX + 1]; /* of the last redirect */
	char address[RESULT_IP_MAX + 1]; /* of the last connection, or where it was refused to go */
	bool from_private;               /* the first host is: redirects may stay there */
	bool to_private;                 /* a redirect from outside was refused */
};

/* Set what the site says of the request: on a fresh handle, for one check. */
void probe_request_set(struct probe *p);

/* A response with status 401 has come. Returns whether it may be asked again, by digest. */
bool probe_request_refused(struct probe *p);

/* A response with `status` has come: what is asked if that is a redirect that is followed? */
void probe_request_redirected(struct probe *p, long status);

/*
 * The next request of a chain of redirects goes to `url`: which secrets go along? Returns false if
 * it must not be asked.
 */
bool probe_request_follow(struct probe *p, const char *url);

/* When the handle has gone. */
void probe_request_free(struct probe *p);

/* Set what the site says of the way to it: on a fresh handle, for one check. */
void probe_connection_set(struct probe *p);
void probe_connection_free(struct probe *p);

/* Close the kept connections that sites have for themselves, when the multi handle has gone. */
void probe_connections_close(struct probe *p);

/* Whether `resolve` says where to connect for `url`, so that no name is looked up. */
bool probe_is_resolved(const struct probe *p, const char *url);

/* Set what the site says of a proxy: on a fresh handle, for one check. */
void probe_proxy_set(struct probe *p);

/* A redirect leads to `location`, perhaps a relative one: does it go through the proxy? */
void probe_proxy_follow(struct probe *p, const char *location);

/* Whom a connection is made to: the proxy, or the host of the request. */
const char *probe_peer_url(const struct probe *p);

/* Whether a connection begins with a handshake with the proxy. */
bool probe_proxy_begins_tls(const struct probe *p);

/* To be called whenever libcurl has waited, for it does not tell when a proxy is connected. */
void probe_proxy_look(struct probe *p);

/*
 * Give the result its verdict, if an exchange that ended with `code`, or whose time was over, had
 * come no farther than the proxy. `after`: how the sentence begins. Or if it is the response of a
 * proxy that wants a password.
 */
bool probe_proxy_failed(struct probe *p, CURLcode code);
bool probe_proxy_timed_out(struct probe *p, const char *after);
bool probe_proxy_refused_user(struct probe *p);

/* Have libcurl report the exchange: on a fresh handle, for one check. */
void probe_listen(struct probe *p);

/* Run the exchange, or end it at once after probe_abort(). */
CURLcode probe_perform(struct probe *p);

/* Whether probe_abort() was called. */
bool probe_is_aborted(void);

/* Have OpenSSL report the handshakes with this SSL_CTX. */
void probe_tls_listen(struct probe *p, void *context);

/* The same for the handshake with a proxy, of which only the end matters. */
void probe_tls_listen_proxy(struct probe *p, void *context);

/* Note what is known of the connection `ssl`, an SSL. */
void probe_tls_note(struct probe *p, const void *ssl);

/* The same of its certificates only. */
void probe_certificates_note(struct probe *p, const void *ssl);

/* Once a process: find the file of the system. Returns whether there is memory. */
bool probe_ca_begin(struct probe *p);
void probe_ca_free(struct probe *p);

/*
 * On a fresh handle: trust the CA certificates in `file` (NULL: those of the system), or anybody.
 */
void probe_ca_set(struct probe *p, bool verify, const char *file);

/* The clocks of a check. At the end the phase that it has come to takes the rest. */
void probe_times_begin(struct probe *p);
void probe_times_end(struct probe *p);

/* The exchange has come to `phase`: the time since the last call goes to the one before. */
void probe_enter(struct probe *p, enum phase phase);

/*
 * To be called whenever libcurl has waited: from an eighth of the timeout, or of a shorter limit,
 * on it is known how long this process was starved of CPU. Most checks are over by then, and pay
 * nothing. Returns how long to wait next, in milliseconds.
 */
int probe_watch(struct probe *p);

/* Such a wait, which had to end at `due_us`, is over: this process may have been stopped. */
void probe_woke(struct probe *p, int64_t due_us);

/* How long this process was ready to run, but had no CPU; since the beginning of the check. */
int64_t probe_starved_us(struct probe *p);

/*
 * How much later than `due_us` since its beginning the exchange ended, not counting what this
 * process computed.
 */
int64_t probe_late_us(const struct probe *p, int64_t due_us);

/* The host of a URL, in its ASCII form; "" if there is none. */
void probe_host(const char *url, char *out, size_t size);

/* The port of a URL, that of its scheme if it has none; 0 if it is no URL. */
int probe_port(const char *url);

/* As probe_check_url(), of a proxy. */
int probe_check_proxy(const char *url, enum ip_version ip_version, char *why, size_t size);

/* Whether it is an address and not a name. */
bool probe_host_is_literal(const char *url);

/* Whether two URLs have the same scheme, host and port. */
bool probe_is_same_origin(const char *a, const char *b);

/*
 * Clean text of `url` into `out`, without a user and password, and without its query if the site
 * keeps that back; of a reference that is nothing but a query, the '?' is left.
 */
void probe_write_url(const struct probe *p, char *out, size_t size, const char *url);

/* The URL of the request that runs, the first one or behind redirects. */
const char *probe_current_url(const struct probe *p);

/* How many redirects have been followed in this check. */
long probe_redirect_count(const struct probe *p);

/* Note how many redirects there were, and where the last one led. */
void probe_note_url(struct probe *p);

/*
 * Whether CURLE_WRITE_ERROR, which is not of our making, means that a whole compressed body has
 * come with something behind it, such as a further member of a gzip.
 */
bool probe_decode_is_whole(struct probe *p);

/*
 * Whether a redirect is what ended the exchange with `code`: to another scheme, to a private
 * address, or to what is no URL.
 */
bool probe_redirect_failed(const struct probe *p, CURLcode code);

/* Give the result its verdict: the redirect, or why there is no complete response. */
void probe_fail_redirect(struct probe *p, CURLcode code);
void probe_fail(struct probe *p, CURLcode code);

/*
 * The same for single causes, of which libcurl says `p->why`: CURLE_BAD_CONTENT_ENCODING,
 * CURLE_WRITE_ERROR, a name that was not resolved (to an address of ip_version), or not in time;
 * `when`: how the sentence begins.
 */
void probe_fail_decode(struct probe *p);
void probe_fail_write(struct probe *p);
void probe_fail_name(struct probe *p);
void probe_fail_name_in_time(struct probe *p, const char *when);

#endif
