/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * Which way a request takes: to which address, and over which connection. Called by probe_run();
 * nothing is fatal but want of memory.
 *
 * `resolve` is done by CURLOPT_CONNECT_TO. The addresses of CURLOPT_RESOLVE would lie in the cache
 * of the multi handle, where other sites with the same host would find them; and libcurl does not
 * use a connection again that was made to another address than this.
 */
#include "probe_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "util.h"

/* --- kept connections -------------------------------------------------------------------- */

/* Longer than any lifetime, so that only this ends a connection: libcurl's default is 118 s. */
#define IDLE_MAX_S 1000000L

/*
 * Whether the site has an option that libcurl does not compare before it uses a connection again.
 * One of these is the lifetime: whoever looks for a connection closes those that are too old for
 * himself, whose ever they are.
 */
static bool
is_particular(const struct site *site)
{
	return site->keepalive_lifetime_us != CONFIG_KEEPALIVE_LIFETIME_US ||
	       site->http_version != HTTP_ANY || site->server_name != NULL ||
	       site->client_cert != NULL || site->proxy_username != NULL;
}

/* Its own connections, or a place for them: an empty one, or that which has been unused longest. */
static struct own_connections *
find_own(struct probe *p)
{
	struct own_connections *oldest = &p->own[0];

	for (size_t i = 0; i < PROBE_OWN_MAX; i++) {
		if (p->own[i].site == p->site)
			return &p->own[i];
		if (p->own[i].used_us < oldest->used_us)
			oldest = &p->own[i];
	}
	return oldest;
}

/* Returns whether there is memory for it. */
static bool
use_own(struct probe *p)
{
	struct own_connections *own = find_own(p);

	if (own->site != p->site || own->authority != p->authority) {
		curl_share_cleanup(own->share);
		*own = (struct own_connections){
			.site = p->site, .share = curl_share_init(), .authority = p->authority
		};
		if (curl_share_setopt(own->share, CURLSHOPT_SHARE, CURL_LOCK_DATA_CONNECT) !=
		    CURLSHE_OK)
			own->site = NULL;
	}
	own->used_us = util_mono_us();
	return own->site != NULL &&
	       curl_easy_setopt(p->curl, CURLOPT_SHARE, own->share) == CURLE_OK;
}

void
probe_connections_close(struct probe *p)
{
	for (size_t i = 0; i < PROBE_OWN_MAX; i++)
		curl_share_cleanup(p->own[i].share);
}

/*
 * Where no body is waited for, one may still come. And over a kept connection without TLS libcurl
 * 7.88 begins HTTP/2 once more, which is an error.
 */
static bool
can_keep(const struct probe *p)
{
	return p->site->keepalive && p->site->body_limit > 0 &&
	       (p->site->http_version != HTTP_2 || p->used_tls);
}

/*
 * Whether a connection is kept or not, a new one always begins with the name and a whole handshake:
 * a kept name or session would hide a dead resolver and an expired certificate.
 */
static void
set_keeping(struct probe *p)
{
	const struct site *site = p->site;

	curl_easy_setopt(p->curl, CURLOPT_DNS_CACHE_TIMEOUT, 0L);
	curl_easy_setopt(p->curl, CURLOPT_SSL_SESSIONID_CACHE, 0L);
	curl_easy_setopt(p->curl, CURLOPT_MAXAGE_CONN, IDLE_MAX_S);
	if (can_keep(p) && (!is_particular(site) || use_own(p))) {
		curl_easy_setopt(p->curl, CURLOPT_MAXLIFETIME_CONN,
		    (long)(site->keepalive_lifetime_us / US_PER_S));
		return;
	}
	curl_easy_setopt(p->curl, CURLOPT_FRESH_CONNECT, 1L);
	curl_easy_setopt(p->curl, CURLOPT_FORBID_REUSE, 1L);
}

/* --- versions ---------------------------------------------------------------------------- */

/*
 * Over TLS the server chooses among what is offered; what it answers in is judged as an assertion.
 * Without TLS there is nothing to choose: HTTP/2 is spoken at once.
 */
static void
set_http_version(struct probe *p)
{
	static const long versions[] = { [HTTP_1_0] = CURL_HTTP_VERSION_1_0,
		[HTTP_1_1] = CURL_HTTP_VERSION_1_1,
		[HTTP_2] = CURL_HTTP_VERSION_2_PRIOR_KNOWLEDGE,
		[HTTP_3] = CURL_HTTP_VERSION_3ONLY };
	enum http_version wanted = p->site->http_version;

	if (wanted != HTTP_ANY)
		curl_easy_setopt(p->curl, CURLOPT_HTTP_VERSION,
		    wanted == HTTP_2 && p->used_tls ? (long)CURL_HTTP_VERSION_2TLS
						    : versions[wanted]);
}

/*
 * With OpenSSL 3 the versions before 1.2 need a lower level of security than there is by default.
 */
static void
set_tls_version(CURL *curl, enum tls_version min)
{
	static const long versions[] = { [TLS_1_0] = CURL_SSLVERSION_TLSv1_0,
		[TLS_1_1] = CURL_SSLVERSION_TLSv1_1,
		[TLS_1_2] = CURL_SSLVERSION_TLSv1_2,
		[TLS_1_3] = CURL_SSLVERSION_TLSv1_3 };

	if (min == TLS_OF_SYSTEM)
		return;
	curl_easy_setopt(curl, CURLOPT_SSLVERSION, versions[min]);
	if (min < TLS_1_2)
		curl_easy_setopt(curl, CURLOPT_SSL_CIPHER_LIST, "DEFAULT:@SECLEVEL=0");
}

/* --- addresses --------------------------------------------------------------------------- */

/* The host and port of `url`. */
static void
read_place(struct resolve *out, const char *url)
{
	probe_host(url, out->host, sizeof(out->host));
	out->port = probe_port(url);
}

static void
read_resolve(struct resolve *out, const struct site *site, const char *value)
{
	config_read_resolve(out, value);
	if (out->port == 0)
		probe_host(site->url, out->host, sizeof(out->host));
}

/* Whether one of `resolve` is for the host and port of `url`; without a port, for all of them. */
static bool
is_resolved(const struct site *site, const char *url)
{
	struct resolve place, r;

	if (site->resolve == NULL)
		return false;
	read_place(&place, url);
	for (const char *const *value = site->resolve; *value != NULL; value++) {
		read_resolve(&r, site, *value);
		if ((r.port == 0 || r.port == place.port) && strcasecmp(r.host, place.host) == 0)
			return true;
	}
	return false;
}

bool
probe_is_resolved(const struct probe *p, const char *url)
{
	return is_resolved(p->site, url);
}

/* As CURLOPT_CONNECT_TO wants it: HOST:PORT:ADDRESS:PORT; without ports they stay as they are. */
static struct curl_slist *
make_connect_to(const struct site *site)
{
	struct curl_slist *list = NULL;

	for (const char *const *value = site->resolve; *value != NULL; value++) {
		struct curl_slist *longer;
		struct resolve r;
		char *entry, port[12] = "";

		read_resolve(&r, site, *value);
		if (r.port > 0)
			snprintf(port, sizeof(port), "%d", r.port);
		entry = xasprintf(
		    r.is_v6 ? "%s:%s:[%s]:%s" : "%s:%s:%s:%s", r.host, port, r.ip, port);
		longer = curl_slist_append(list, entry);
		free(entry);
		if (longer == NULL)
			abort(); /* without it the name would be looked up */
		list = longer;
	}
	return list;
}

/* --- the whole --------------------------------------------------------------------------- */

static const long ip_versions[] = {
	[IP_ANY] = CURL_IPRESOLVE_WHATEVER, [IP_4] = CURL_IPRESOLVE_V4, [IP_6] = CURL_IPRESOLVE_V6
};

void
probe_connection_set(struct probe *p)
{
	const struct site *site = p->site;
	CURL *curl = p->curl;

	probe_proxy_set(p);
	curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L); /* alarms and threads do not mix */
	curl_easy_setopt(
	    curl, CURLOPT_QUICK_EXIT, 1L); /* a timeout does not wait for the resolver */
	/* without it there would be one of 300 s */
	curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS,
	    (long)((site->connect_timeout_us > 0 ? site->connect_timeout_us : site->timeout_us) /
		   US_PER_MS));
	curl_easy_setopt(curl, CURLOPT_IPRESOLVE, ip_versions[site->ip_version]);
	set_http_version(p);
	set_tls_version(curl, site->tls_min_version);
	if (site->resolve != NULL) {
		p->connect_to = make_connect_to(site);
		curl_easy_setopt(curl, CURLOPT_CONNECT_TO, p->connect_to);
	}
	set_keeping(p);
}

void
probe_connection_free(struct probe *p)
{
	curl_slist_free_all(p->connect_to);
}

void
probe_check_connection(const struct site *site, struct mistakes *mistakes)
{
	static const int features[] = {
		[HTTP_2] = CURL_VERSION_HTTP2, [HTTP_3] = CURL_VERSION_HTTP3
	};
	const curl_version_info_data *curl = curl_version_info(CURLVERSION_NOW);
	const enum http_version wanted = site->http_version;
	const char *number = wanted == HTTP_2 ? "2" : "3";
	struct origin version_at = config_origin(&site->at, "http_version");
	char why[128];

	if (wanted >= HTTP_2 && (curl->features & features[wanted]) == 0) {
		/* that of `defaults` is told there */
		if (config_gives(&site->at, "http_version"))
			mistakes_add(mistakes, version_at,
			    "http_version: \"%s\" needs a libcurl with HTTP/%s, and %s has none; "
			    "write another version",
			    number, number, curl->version);
	} else if (wanted == HTTP_3 && site->url != NULL &&
		   strncasecmp(site->url, "https:", 6) != 0) {
		mistakes_add(mistakes, version_at,
		    "http_version: \"3\" is for https only; write another version, or an https url");
	}
	if (site->proxy != NULL && site->proxy[0] != '\0' && config_gives(&site->at, "proxy") &&
	    probe_check_proxy(site->proxy, site->ip_version, why, sizeof(why)) < 0)
		mistakes_add(mistakes, config_origin(&site->at, "proxy"), "proxy: %s", why);
	if (site->url != NULL && site->resolve != NULL && config_gives(&site->at, "resolve") &&
	    site->follow_redirects == 0 && !is_resolved(site, site->url))
		mistakes_add(mistakes, config_origin(&site->at, "resolve"),
		    "resolve: nothing of it is for the host and port of the url, and with "
		    "follow_redirects = 0 there are no others");
}
