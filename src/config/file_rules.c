/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * The rules across those keys of a site that name files, are about TLS or a proxy, or go with them:
 * what would have no effect, or contradicts another key. What is in the files is checked by the
 * checker, with its rights.
 */
#include "internal.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define NEEDS_TLS  "is for https; leave it out, or change url"
#define NEEDS_USER "is not used; add auth = \"basic\" or \"digest\", or leave it out"

#define NEEDS_PROXY "is not used without proxy; set it, or leave this out"

/* --- what is wrong ----------------------------------------------------------------------- */

/* A value that is wrong is there, too, and told of already. */
static bool
has(const struct site *site, const char *key, const char *value)
{
	return value != NULL || config_gives(&site->at, key);
}

static bool
has_two_bodies(const struct site *site)
{
	return site->body != NULL && site->body_file != NULL;
}

static bool
sends_no_body(const struct site *site)
{
	return strcmp(site->method, "HEAD") == 0;
}

static bool
knows_user(const struct site *site)
{
	return site->auth == AUTH_BASIC || site->auth == AUTH_DIGEST;
}

static bool
lacks_user(const struct site *site)
{
	return knows_user(site) && !(has(site, "username", site->username) &&
				       has(site, "password_file", site->password_file));
}

static bool
lacks_token(const struct site *site)
{
	return site->auth == AUTH_BEARER && !has(site, "token_file", site->token_file);
}

static bool
needs_no_user(const struct site *site)
{
	return !knows_user(site);
}

static bool
needs_no_token(const struct site *site)
{
	return site->auth != AUTH_BEARER;
}

static bool
has_two_auths(const struct site *site)
{
	if (site->auth == AUTH_NONE)
		return false;
	for (const char *const *h = site->headers; *h != NULL; h++)
		if (strncasecmp(*h, "Authorization:", strlen("Authorization:")) == 0)
			return true;
	return false;
}

static bool
verifies_nobody(const struct site *site)
{
	return !site->verify_tls;
}

static bool
lacks_certificate(const struct site *site)
{
	return site->client_cert == NULL;
}

/* Of an http site a redirect may lead to https. */
static bool
never_uses_tls(const struct site *site)
{
	return site->url != NULL && strncasecmp(site->url, "http:", 5) == 0 &&
	       site->follow_redirects == 0;
}

static bool
has_no_proxy(const struct site *site)
{
	return site->proxy == NULL || site->proxy[0] == '\0';
}

static bool
lacks_proxy_password(const struct site *site)
{
	return site->proxy_username != NULL && site->proxy_password_file == NULL &&
	       !config_gives(&site->at, "proxy_password_file");
}

static bool
lacks_proxy_user(const struct site *site)
{
	return site->proxy_password_file != NULL && site->proxy_username == NULL &&
	       !config_gives(&site->at, "proxy_username");
}

static bool
resolves_behind_proxy(const struct site *site)
{
	return !has_no_proxy(site) && site->resolve != NULL && site->resolve[0] != NULL;
}

static bool
is_plain(const struct site *site)
{
	return site->url != NULL && strncasecmp(site->url, "http:", 5) == 0;
}

/* Only a tunnel carries another version than the proxy itself speaks, and only TCP. */
static bool
wants_more_than_proxy(const struct site *site)
{
	return !has_no_proxy(site) &&
	       (site->http_version == HTTP_3 || (site->http_version == HTTP_2 && is_plain(site) &&
						    strncasecmp(site->proxy, "http", 4) == 0));
}

/* --- the table --------------------------------------------------------------------------- */

/*
 * The sentence is told of a site that has `key` and is `broken`; if `own`, only where the site
 * itself gives the key: from `defaults` it may be meant for others.
 */
static const struct {
	const char *key;
	bool own;
	bool (*broken)(const struct site *site);
	const char *sentence;
} rules[] = {
	{ "body_file", false, has_two_bodies, "there is body too; leave one of them out" },
	{ "body_file", true, sends_no_body, "a HEAD has no body; leave it out, or set method" },
	{ "body", true, sends_no_body, "a HEAD has no body; leave it out, or set method" },
	{ "auth", false, lacks_user, "\"basic\" and \"digest\" need username and password_file" },
	{ "auth", false, lacks_token, "\"bearer\" needs token_file" },
	{ "auth", false, has_two_auths,
	    "headers have an Authorization too; leave one of them out" },
	{ "username", true, needs_no_user, NEEDS_USER },
	{ "password_file", true, needs_no_user, NEEDS_USER },
	{ "token_file", true, needs_no_token,
	    "is not used; add auth = \"bearer\", or leave it out" },
	{ "ca_file", true, verifies_nobody,
	    "with verify_tls = false nothing is verified; leave one of them out" },
	{ "ca_file", true, never_uses_tls, NEEDS_TLS },
	{ "client_cert", true, never_uses_tls, NEEDS_TLS },
	{ "client_key", true, lacks_certificate, "needs client_cert; add it, or leave this out" },
	{ "server_name", true, never_uses_tls, NEEDS_TLS },
	{ "tls_min_version", true, never_uses_tls, NEEDS_TLS },
	{ "no_proxy", true, has_no_proxy, NEEDS_PROXY },
	{ "proxy_username", true, has_no_proxy, NEEDS_PROXY },
	{ "proxy_password_file", true, has_no_proxy, NEEDS_PROXY },
	{ "proxy_username", false, lacks_proxy_password,
	    "needs proxy_password_file; set both, or none" },
	{ "proxy_password_file", false, lacks_proxy_user,
	    "needs proxy_username; set both, or none" },
	{ "resolve", false, resolves_behind_proxy,
	    "with proxy the proxy makes the connections; leave one of them out" },
	{ "http_version", false, wants_more_than_proxy,
	    "cannot be had through this proxy; write another version, or leave proxy out" },
};

void
config_check_files(struct reader *r, const struct site *site)
{
	for (size_t i = 0; i < ARRAY_LENGTH(rules); i++)
		if (rules[i].broken(site) &&
		    (!rules[i].own || config_gives(&site->at, rules[i].key)))
			config_mistake(r, config_origin(&site->at, rules[i].key).line, "%s: %s",
			    rules[i].key, rules[i].sentence);
}

/* --- all files --------------------------------------------------------------------------- */

static int
compare_paths(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* The paths of the key `name`, or of all keys if that is NULL: sorted, each once. */
static const char *const *
list_files(struct config *config, const char *name)
{
	const char **list = NULL, **kept;
	size_t n = 0, room = 0, count = 0;

	for (const struct key *key = config_site_keys; key->name != NULL; key++) {
		if (key->kind != KEY_PATH || (name != NULL && strcmp(name, key->name) != 0))
			continue;
		for (size_t i = 0; i < config->site_count; i++) {
			const void *field = (const char *)&config->sites[i] + key->field;
			const char *path = *(const char *const *)field;

			if (path == NULL)
				continue;
			if (n == room) {
				room = room > 0 ? 2 * room : 64;
				list = xreallocarray(list, room, sizeof(*list));
			}
			list[n++] = path;
		}
	}
	if (n > 0)
		qsort(list, n, sizeof(*list), compare_paths);
	kept = config_alloc(config, (n + 1) * sizeof(*kept));
	for (size_t i = 0; i < n; i++)
		if (count == 0 || strcmp(list[i], kept[count - 1]) != 0)
			kept[count++] = list[i];
	free(list);
	return kept;
}

void
config_list_files(struct config *config)
{
	config->files = list_files(config, NULL);
	config->ca_files = list_files(config, "ca_file");
}
