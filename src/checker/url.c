/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * URLs: those of the configuration, and those that redirects name, which may be anything. Parsed by
 * libcurl, so that webmond and libcurl mean the same host. Nothing is fatal.
 */
#include "probe_internal.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "util.h"

/* To be freed with curl_url_cleanup(), which takes NULL, as curl_url_get() does: no such URL. */
static CURLU *
parse(const char *url)
{
	CURLU *u = curl_url();

	if (url != NULL && curl_url_set(u, CURLUPART_URL, url, 0) == CURLUE_OK)
		return u;
	curl_url_cleanup(u);
	return NULL;
}

void
probe_host(const char *url, char *out, size_t size)
{
#if LIBCURL_VERSION_NUM >= 0x075800
	unsigned flags = CURLU_PUNYCODE;
#else
	unsigned flags = 0;
#endif
	CURLU *u = parse(url);
	char *host = NULL;

	curl_url_get(u, CURLUPART_HOST, &host, flags);
	snprintf(out, size, "%s", host != NULL ? host : "");
	curl_free(host);
	curl_url_cleanup(u);
}

int
probe_port(const char *url)
{
	CURLU *u = parse(url);
	char *port = NULL;
	int number;

	curl_url_get(u, CURLUPART_PORT, &port, CURLU_DEFAULT_PORT);
	number = port != NULL ? atoi(port) : 0;
	curl_free(port);
	curl_url_cleanup(u);
	return number;
}

bool
probe_is_same_origin(const char *a, const char *b)
{
	static const CURLUPart parts[] = { CURLUPART_SCHEME, CURLUPART_HOST, CURLUPART_PORT };
	CURLU *first = parse(a), *second = parse(b);
	bool same = true;

	for (size_t i = 0; i < ARRAY_LENGTH(parts); i++) {
		char *x = NULL, *y = NULL;

		curl_url_get(first, parts[i], &x, CURLU_DEFAULT_PORT);
		curl_url_get(second, parts[i], &y, CURLU_DEFAULT_PORT);
		same = same && x != NULL && y != NULL && strcasecmp(x, y) == 0;
		curl_free(x);
		curl_free(y);
	}
	curl_url_cleanup(first);
	curl_url_cleanup(second);
	return same;
}

bool
probe_host_is_literal(const char *url)
{
	char host[INET6_ADDRSTRLEN];
	struct in_addr v4;

	return sscanf(url, "%*[^:]://%45[^:/?#]", host) == 1 &&
	       (host[0] == '[' || inet_pton(AF_INET, host, &v4) == 1);
}

void
probe_write_url(const struct probe *p, char *out, size_t size, const char *url)
{
	const char *end = url + strcspn(url, p->site->record_query ? "" : "?#");
	const char *scheme = strstr(url, "://"), *host, *at;
	size_t n;

	host = scheme != NULL && scheme < end ? scheme + 3 : url;
	at = memrchr(host, '@', strcspn(host, "/?#"));
	n = util_clean_text(out, size, url, (size_t)(host - url));
	if (at != NULL)
		host = at + 1;
	if (end == url && *url != '\0')
		end++;
	util_clean_text(out + n, size - n, host, (size_t)(end - host));
}

static bool
is_ascii(const char *s)
{
	while (*s != '\0' && (*s & 0x80) == 0)
		s++;
	return *s == '\0';
}

/* What is wrong with a host that is an address: one of the other kind could never be reached. */
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
	CURLUcode code = curl_url_set(u, CURLUPART_URL, url, CURLU_DISALLOW_USER);
	const char *wrong = NULL;
	char *host = NULL;

	if (code == CURLUE_OK)
		code = curl_url_get(u, CURLUPART_HOST, &host, 0);
	if (strncasecmp(url, "http://", 7) != 0 && strncasecmp(url, "https://", 8) != 0)
		wrong = "only http and https are checked";
	else if (strstr(url, "//")[2] == '/') /* libcurl takes "http:///x" for "http://x" */
		wrong = "no host name";
	else if (code != CURLUE_OK)
		wrong = curl_url_strerror(code);
	else if (!is_ascii(host))
		wrong = "write the host name in its ASCII form (\"xn--…\")";
	else
		wrong = wrong_literal(host, ip_version);
	if (wrong != NULL)
		snprintf(why, size, "%s", wrong);
	curl_free(host);
	curl_url_cleanup(u);
	return wrong == NULL ? 0 : -1;
}

const char *
probe_current_url(const struct probe *p)
{
	const char *url = NULL;

	curl_easy_getinfo(p->curl, CURLINFO_EFFECTIVE_URL, &url);
	return url;
}

int
probe_check_proxy(const char *url, enum ip_version ip_version, char *why, size_t size)
{
	CURLU *u = curl_url();
	CURLUcode code = curl_url_set(u, CURLUPART_URL, url, CURLU_NON_SUPPORT_SCHEME);
	const char *wrong = NULL;
	char *host = NULL;

	if (code == CURLUE_OK)
		code = curl_url_get(u, CURLUPART_HOST, &host, 0);
	if (code != CURLUE_OK)
		wrong = curl_url_strerror(code);
	else
		wrong = wrong_literal(host, ip_version);
	if (wrong != NULL)
		snprintf(why, size, "%s", wrong);
	curl_free(host);
	curl_url_cleanup(u);
	return wrong == NULL ? 0 : -1;
}
