/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * What is asked: the request of the site, and what becomes of it behind a redirect. Called by
 * probe_run(), and within it by libcurl's callbacks; nothing is fatal: what memory is too short for
 * is missing in the request, and the response will show it.
 *
 * libcurl follows redirects by itself. Left to it are cookies and the body; not left to it are
 *
 *   the method   CURLOPT_CUSTOMREQUEST overrides the word only, so a DELETE would be repeated
 *                where a 303 leads, and a PUT go there without its body
 *   `Cookie:`    of the configuration: among the headers it would be a second line beside that of
 *                the jar, which servers misread, and before 8.21 CURLOPT_COOKIE goes to every host
 *   secrets      of files: they go to the scheme, host and port of the site's URL only, the headers
 *                by which it knows us as well as body_file
 *   `Host:`      of the configuration: before 8.20 the jar is taken for that host's, wherever a
 *                redirect leads
 */
#include "probe_internal.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "util.h"

/* Secrets do not stay in memory behind their check. */
static void
free_secret(char *secret)
{
	if (secret != NULL)
		explicit_bzero(secret, strlen(secret));
	free(secret);
}

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

/* The headers of the site: a list of those of the configuration, and one of those of its file. */
enum {
	LIST_OPEN,
	LIST_SECRET,
	LIST_COUNT
};

static const char *const *
list_of(const struct probe *p, int list)
{
	static const char *const none[] = { NULL };

	if (list == LIST_OPEN)
		return p->site->headers;
	return p->files[FILE_HEADERS].lines != NULL ? p->files[FILE_HEADERS].lines : none;
}

/* The value of the first header of the site called `name`, which ends in a colon, or NULL. */
static const char *
find_header(const struct probe *p, const char *name)
{
	for (int list = 0; list < LIST_COUNT; list++)
		for (const char *const *h = list_of(p, list); *h != NULL; h++)
			if (begins(*h, name))
				return *h + strlen(name) + strspn(*h + strlen(name), " ");
	return NULL;
}

static void
free_headers(struct curl_slist *list)
{
	for (struct curl_slist *h = list; h != NULL; h = h->next)
		explicit_bzero(h->data, strlen(h->data));
	curl_slist_free_all(list);
}

static void
add_header(struct probe *p, struct curl_slist **list, const char *header)
{
	struct curl_slist *longer;

	if (begins(header, "Cookie:") || (p->bodiless && describes_body(header)))
		return;
	longer = curl_slist_append(*list, header);
	if (longer != NULL)
		*list = longer;
}

/* For the next request: the headers but the cookies, without those that must not go there. */
static void
set_headers(struct probe *p)
{
	struct curl_slist *list = NULL;

	for (int i = 0; i < (p->abroad ? LIST_SECRET : LIST_COUNT); i++)
		for (const char *const *h = list_of(p, i); *h != NULL; h++)
			add_header(p, &list, *h);
	if (!p->abroad && p->authorization != NULL)
		add_header(p, &list, p->authorization);
	curl_easy_setopt(p->curl, CURLOPT_HTTPHEADER, list);
	free_headers(p->headers);
	p->headers = list;
}

/* The header by which the site knows us, to be freed, or NULL. */
static char *
make_authorization(const struct probe *p)
{
	const struct site *site = p->site;
	char *plain, *code, *header;
	size_t size;

	if (site->auth == AUTH_BEARER)
		return xasprintf("Authorization: Bearer %s", p->files[FILE_TOKEN].text);
	if (site->auth != AUTH_BASIC)
		return NULL;
	plain = xasprintf("%s:%s", site->username, p->files[FILE_PASSWORD].text);
	size = strlen(plain);
	code = xcalloc(size / 3 + 2, 4);
	EVP_EncodeBlock((unsigned char *)code, (const unsigned char *)plain, (int)size);
	header = xasprintf("Authorization: Basic %s", code);
	free_secret(plain);
	free_secret(code);
	return header;
}

/* Digest is left to libcurl: the request is asked again with what the server wants to know. */
static void
set_authorization(struct probe *p)
{
	p->authorization = make_authorization(p);
	if (p->site->auth != AUTH_DIGEST)
		return;
	curl_easy_setopt(p->curl, CURLOPT_HTTPAUTH, CURLAUTH_DIGEST);
	curl_easy_setopt(p->curl, CURLOPT_USERNAME, p->site->username);
	curl_easy_setopt(p->curl, CURLOPT_PASSWORD, p->files[FILE_PASSWORD].text);
}

/* A server may say for ever that its nonce is stale. */
#define ASKED_AGAIN_MAX 3

bool
probe_request_refused(struct probe *p)
{
	long most = 0;

	if (p->site->auth != AUTH_DIGEST)
		return false;
	/* libcurl counts it as a redirect */
	if (p->asked_again < ASKED_AGAIN_MAX)
		most = p->site->follow_redirects + p->asked_again + 1;
	curl_easy_setopt(p->curl, CURLOPT_MAXREDIRS, most);
	return p->asked_again == 0;
}

/* The cookies of the configuration as one line, to be freed, or NULL. */
static char *
join_cookies(const struct probe *p)
{
	char *line = NULL, *longer;

	for (int list = 0; list < LIST_COUNT; list++)
		for (const char *const *h = list_of(p, list); *h != NULL; h++) {
			const char *value = *h + strlen("Cookie:");

			if (!begins(*h, "Cookie:"))
				continue;
			value += strspn(value, " ");
			longer = line == NULL ? xstrdup(value) : xasprintf("%s; %s", line, value);
			free_secret(line);
			line = longer;
		}
	return line;
}

static bool
has_body(const struct probe *p)
{
	return p->site->body != NULL || p->files[FILE_BODY].text != NULL;
}

static void
set_body(struct probe *p)
{
	const char *body = p->site->body != NULL ? p->site->body : "";
	size_t size = strlen(body);

	if (p->files[FILE_BODY].text != NULL) {
		body = p->files[FILE_BODY].text;
		size = p->files[FILE_BODY].size;
	}
	curl_easy_setopt(p->curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)size);
	curl_easy_setopt(p->curl, CURLOPT_POSTFIELDS, body);
}

static void
set_method(struct probe *p)
{
	const struct site *site = p->site;
	CURL *curl = p->curl;
	bool is_post = strcmp(site->method, "POST") == 0;
	bool posts = has_body(p) || is_post;
	bool headers_only = site->body_limit == 0 && !posts;

	/*
	 * No body is waited for; with another word than HEAD the server does not know that. A body
	 * of the request would not be sent either: with one, on_header() ends the exchange.
	 */
	if (headers_only || strcmp(site->method, "HEAD") == 0)
		curl_easy_setopt(curl, CURLOPT_NOBODY, 1L);
	if (strcmp(site->method, "HEAD") == 0)
		return;
	if (posts)
		set_body(p);
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
	const char *c = url;
	char *encoded, *end;

	while (*c != '\0' && (*c & 0x80) == 0)
		c++;
	if (*c == '\0') {
		curl_easy_setopt(curl, CURLOPT_URL, url);
		return;
	}
	encoded = end = xcalloc(3 * strlen(url) + 1, 1);
	for (; *url != '\0'; url++)
		end += sprintf(end, (*url & 0x80) == 0 ? "%c" : "%%%02X", (unsigned char)*url);
	curl_easy_setopt(curl, CURLOPT_URL, encoded);
	free(encoded);
}

void
probe_request_set(struct probe *p)
{
	const struct site *site = p->site;
	CURL *curl = p->curl;

	p->cookies = join_cookies(p);
	set_url(curl, site->url);
	set_method(p);
	set_authorization(p);
	set_headers(p);
	curl_easy_setopt(curl, CURLOPT_COOKIE, p->cookies);
	/* only the web, no matter what a redirect says */
	curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(curl, CURLOPT_REDIR_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(curl, CURLOPT_HTTP09_ALLOWED, 0L);
	curl_easy_setopt(curl, CURLOPT_USERAGENT, site->user_agent);
	curl_easy_setopt(curl, CURLOPT_MAXREDIRS, (long)site->follow_redirects);
	curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)(site->timeout_us / US_PER_MS));
	if (site->follow_redirects > 0) {
		curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 1L);
		/* a jar, as empty as the name of its file; it goes with the handle */
		curl_easy_setopt(curl, CURLOPT_COOKIEFILE, "");
	}
	if (site->decode)
		curl_easy_setopt(curl, CURLOPT_ACCEPT_ENCODING, "");
}

void
probe_request_redirected(struct probe *p, long status)
{
	const struct site *site = p->site;
	bool is_post = strcmp(site->method, "POST") == 0;
	bool plain = !has_body(p) && strcmp(site->method, "GET") == 0;

	if (plain || strcmp(site->method, "HEAD") == 0 || p->bodiless)
		return;
	if (status != 303 && !(is_post && (status == 301 || status == 302)))
		return;
	/* libcurl drops the body and the rest of what a POST has by itself */
	p->bodiless = true;
	curl_easy_setopt(p->curl, CURLOPT_CUSTOMREQUEST, "GET");
	set_headers(p);
}

/* Empty a jar that is taken for that of `own_name` when it is another host's turn. */
static void
guard_jar(struct probe *p, const char *own_name, const char *url)
{
	char first[PROBE_HOST_MAX + 1], next[PROBE_HOST_MAX + 1];
	const char *host = next;

	probe_host(p->site->url, first, sizeof(first));
	probe_host(url, next, sizeof(next));
	if (strcasecmp(first, next) == 0)
		host = own_name;
	if (strcasecmp(p->jar_host[0] != '\0' ? p->jar_host : own_name, host) != 0)
		curl_easy_setopt(p->curl, CURLOPT_COOKIELIST, "ALL");
	/* "" would be the first host */
	snprintf(p->jar_host, sizeof(p->jar_host), "%s", host[0] != '\0' ? host : "?");
}

bool
probe_request_follow(struct probe *p, const char *url)
{
	const char *own_name = find_header(p, "Host:");
	bool secret_body = p->files[FILE_BODY].text != NULL && !p->bodiless;

	if (own_name != NULL)
		guard_jar(p, own_name, url);
	if (p->cookies == NULL && p->authorization == NULL && !secret_body &&
	    p->files[FILE_HEADERS].lines == NULL)
		return true;
	p->abroad = !probe_is_same_origin(p->site->url, url);
	curl_easy_setopt(p->curl, CURLOPT_COOKIE, p->abroad ? NULL : p->cookies);
	set_headers(p);
	p->body_withheld = p->abroad && secret_body;
	return !p->body_withheld;
}

void
probe_request_free(struct probe *p)
{
	free_headers(p->headers);
	free_secret(p->authorization);
	free_secret(p->cookies);
}
