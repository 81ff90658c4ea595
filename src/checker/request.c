/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * What is asked: the request of the site, and what becomes of it behind a redirect. Called by
 * probe_run(), and within it by libcurl's callbacks; nothing is fatal: what memory is too short for
 * is missing in the request, and the server will tell.
 *
 * libcurl follows redirects by itself. Left to it are cookies and the body; not left to it are
 *
 *   the method   CURLOPT_CUSTOMREQUEST overrides the word only, so a DELETE would be repeated
 *                where a 303 leads, and a PUT go there without its body
 *   `Cookie:`    of the configuration: among the headers it would be a second line beside that of
 *                the jar, which servers misread, and before 8.21 CURLOPT_COOKIE goes to every host
 *   `Host:`      of the configuration: before 8.20 the jar is taken for that host's, wherever a
 *                redirect leads
 */
#include "probe_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "util.h"

static bool
begins(const char *header, const char *name)
{
	return strncasecmp(header, name, strlen(name)) == 0;
}

/* Whether a header of the configuration makes no sense without the body. */
static bool
describes_body(const char *header)
{
	return begins(header, "Content-") || begins(header, "Transfer-Encoding:") ||
	       begins(header, "Expect:");
}

/* The value of the first header of the site called `name`, which ends in a colon, or NULL. */
static const char *
find_header(const struct site *site, const char *name)
{
	for (const char *const *h = site->headers; *h != NULL; h++)
		if (begins(*h, name))
			return *h + strlen(name) + strspn(*h + strlen(name), " ");
	return NULL;
}

/* The headers of the site but the cookies, `with_body` or only those that go without one. */
static struct curl_slist *
make_headers(const struct site *site, bool with_body)
{
	struct curl_slist *list = NULL;

	for (const char *const *h = site->headers; *h != NULL; h++) {
		struct curl_slist *longer;

		if (begins(*h, "Cookie:") || (!with_body && describes_body(*h)))
			continue;
		longer = curl_slist_append(list, *h);
		if (longer == NULL)
			break;
		list = longer;
	}
	return list;
}

/* The cookies of the configuration as one line, to be freed, or NULL. */
static char *
join_cookies(const struct site *site)
{
	char *line = NULL;

	for (const char *const *h = site->headers; *h != NULL; h++) {
		const char *value = *h + strlen("Cookie:");
		char *longer;

		if (!begins(*h, "Cookie:"))
			continue;
		value += strspn(value, " ");
		longer = line == NULL ? xstrdup(value) : xasprintf("%s; %s", line, value);
		free(line);
		line = longer;
	}
	return line;
}

static void
set_method(CURL *curl, const struct site *site)
{
	const char *body = site->body != NULL ? site->body : "";
	bool is_post = strcmp(site->method, "POST") == 0;
	bool posts = site->body != NULL || is_post;
	bool headers_only = site->body_limit == 0 && !posts;

	/*
	 * No body is waited for; with another word than HEAD the server does not know that. A body
	 * of the request would not be sent either: with one, on_header() ends the exchange.
	 */
	if (headers_only || strcmp(site->method, "HEAD") == 0)
		curl_easy_setopt(curl, CURLOPT_NOBODY, 1L);
	if (strcmp(site->method, "HEAD") == 0)
		return;
	if (posts) {
		curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)strlen(body));
		curl_easy_setopt(curl, CURLOPT_POSTFIELDS, body);
	}
	/* to libcurl each request with a body is a POST, which 301 and 302 make a GET */
	if (posts && !is_post)
		curl_easy_setopt(
		    curl, CURLOPT_POSTREDIR, (long)(CURL_REDIR_POST_301 | CURL_REDIR_POST_302));
	if (headers_only || strcmp(site->method, posts ? "POST" : "GET") != 0)
		curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, site->method);
}

/* What is not ASCII goes percent-encoded; libcurl does it in the path, but not in the query. */
static void
set_url(CURL *curl, const char *url)
{
	static const char hex[] = "0123456789ABCDEF";
	char *encoded = xcalloc(3 * strlen(url) + 1, 1), *end = encoded;

	for (; *url != '\0'; url++) {
		unsigned char c = (unsigned char)*url;

		*end++ = c < 0x80 ? *url : '%';
		if (c >= 0x80) {
			*end++ = hex[c >> 4];
			*end++ = hex[c & 15];
		}
	}
	curl_easy_setopt(curl, CURLOPT_URL, encoded);
	free(encoded);
}

void
probe_request_set(struct probe *p)
{
	const struct site *site = p->site;

	p->headers = make_headers(site, true);
	p->cookies = join_cookies(site);
	set_url(p->curl, site->url);
	set_method(p->curl, site);
	curl_easy_setopt(p->curl, CURLOPT_HTTPHEADER, p->headers);
	curl_easy_setopt(p->curl, CURLOPT_USERAGENT, site->user_agent);
	curl_easy_setopt(p->curl, CURLOPT_COOKIE, p->cookies);
	/* a jar, as empty as the name of its file; it goes with the handle at the end of the check */
	if (site->follow_redirects > 0)
		curl_easy_setopt(p->curl, CURLOPT_COOKIEFILE, "");
}

void
probe_request_redirected(struct probe *p, long status)
{
	const struct site *site = p->site;
	bool is_post = strcmp(site->method, "POST") == 0;
	bool plain = site->body == NULL && strcmp(site->method, "GET") == 0;

	if (plain || strcmp(site->method, "HEAD") == 0 || p->bodiless_headers != NULL)
		return;
	if (status != 303 && !(is_post && (status == 301 || status == 302)))
		return;
	/* libcurl drops the body and the rest of what a POST has by itself */
	p->bodiless_headers = make_headers(site, false);
	curl_easy_setopt(p->curl, CURLOPT_CUSTOMREQUEST, "GET");
	curl_easy_setopt(p->curl, CURLOPT_HTTPHEADER, p->bodiless_headers);
}

/*
 * The host of `url`, or all of it up to the path, with the port; to be freed with curl_free(). NULL:
 * out of memory.
 */
static char *
host_of(const char *url, bool with_port)
{
	static const CURLUPart rest[] = { CURLUPART_USER, CURLUPART_PASSWORD, CURLUPART_PATH,
		CURLUPART_QUERY, CURLUPART_FRAGMENT };
	CURLU *u = curl_url();
	char *text = NULL;

	if (u != NULL && curl_url_set(u, CURLUPART_URL, url, 0) == CURLUE_OK) {
		for (size_t i = 0; i < ARRAY_LENGTH(rest); i++)
			curl_url_set(u, rest[i], NULL, 0);
		curl_url_get(
		    u, with_port ? CURLUPART_URL : CURLUPART_HOST, &text, CURLU_DEFAULT_PORT);
	}
	curl_url_cleanup(u);
	return text;
}

static bool
is_same(const char *a, const char *b)
{
	return a != NULL && b != NULL && strcasecmp(a, b) == 0;
}

/* Empty a jar that is taken for that of `own_name` when it is another host's turn. */
static void
guard_jar(struct probe *p, const char *own_name, const char *url)
{
	char *first = host_of(p->site->url, false), *next = host_of(url, false);
	const char *host = next == NULL ? "?" : is_same(first, next) ? own_name : next;

	if (strcasecmp(p->jar_host[0] != '\0' ? p->jar_host : own_name, host) != 0)
		curl_easy_setopt(p->curl, CURLOPT_COOKIELIST, "ALL");
	snprintf(p->jar_host, sizeof(p->jar_host), "%s", host);
	curl_free(first);
	curl_free(next);
}

void
probe_request_follow(struct probe *p, const char *url)
{
	const char *own_name = find_header(p->site, "Host:");

	if (own_name != NULL)
		guard_jar(p, own_name, url);
	if (p->cookies != NULL) {
		char *first = host_of(p->site->url, true), *next = host_of(url, true);

		curl_easy_setopt(p->curl, CURLOPT_COOKIE, is_same(first, next) ? p->cookies : NULL);
		curl_free(first);
		curl_free(next);
	}
}

void
probe_request_free(struct probe *p)
{
	curl_slist_free_all(p->headers);
	curl_slist_free_all(p->bodiless_headers);
	free(p->cookies);
}
