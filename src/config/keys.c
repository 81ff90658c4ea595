/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * Every key of the configuration with its type and range, and the rules of single keys.
 */
#include "internal.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define INSTANCE_MAX 64

static bool
consists_of(const char *text, const char *characters)
{
	return text[strspn(text, characters)] == '\0';
}

size_t
config_encoded_size(const char *text)
{
	size_t n = 0;

	for (; *text != '\0'; text++)
		n += 1 + (*text == '"' || *text == '\\');
	return n;
}

/* --- what is wrong with a string --------------------------------------------------------- */

static const char *
wrong_name(const char *value)
{
	if (consists_of(value, LETTERS DIGITS "._-") && strlen(value) <= CONFIG_NAME_MAX)
		return NULL;
	return "must be 1 to 64 of letters, digits, '.', '_' and '-'";
}

static const char *
wrong_url(const char *value)
{
	const char *host = strstr(value, "://"), *end, *port;

	if (strncasecmp(value, "http://", 7) != 0 && strncasecmp(value, "https://", 8) != 0)
		return "must begin with http:// or https://";
	host += 3;
	end = host + strcspn(host, "/?#");
	if (memchr(host, '@', (size_t)(end - host)) != NULL)
		return "must not contain a user or password; the keys username and password_file "
		       "are for them (not supported in this version)";
	if (strchr(value, ' ') != NULL)
		return "must not contain spaces; write %20";
	if (end == host || *host == ':')
		return "has no host name";
	/* libcurl accepts port 0 */
	port = memrchr(host, ':', (size_t)(end - host));
	if (port != NULL && port[1] == '0' && port + 1 + strspn(port + 1, "0") == end)
		return "the port must be 1 to 65535";
	return NULL;
}

static const char *
wrong_method(const char *value)
{
	if (strlen(value) > 16 || !consists_of(value, "ABCDEFGHIJKLMNOPQRSTUVWXYZ-_"))
		return "must be 1 to 16 capital letters";
	return strcmp(value, "CONNECT") == 0 ? "CONNECT is for proxies" : NULL;
}

static const char *
wrong_header(const char *value)
{
	size_t name = strspn(value, LETTERS DIGITS "!#$%&'*+-.^_`|~");

	if (name == 0 || value[name] != ':' || consists_of(value + name + 1, " "))
		return "must look like \"Name: value\"";
	if (strncasecmp(value, "Content-Length:", 15) == 0)
		return "Content-Length follows from body; leave it out";
	return NULL;
}

static const char *
wrong_label(const char *value)
{
	const char *equals = strchr(value, '=');

	if (equals == NULL || equals == value || strchr(value, ',') != NULL)
		return "must look like \"key=value\", without a comma";
	return NULL;
}

static const char *
wrong_topic(const char *value)
{
	if (!consists_of(value, LETTERS DIGITS "._-") || strlen(value) > 249 ||
	    strcmp(value, ".") == 0 || strcmp(value, "..") == 0)
		return "must be 1 to 249 of letters, digits, '.', '_' and '-'";
	return NULL;
}

/* --- storing strings --------------------------------------------------------------------- */

/* A code with blanks around it; 0 if there is none. */
static short
read_code(const char **c)
{
	short code = 0;
	size_t n;

	*c += strspn(*c, " ");
	n = strspn(*c, DIGITS);
	if (n == 3)
		code = (short)(((*c)[0] - '0') * 100 + ((*c)[1] - '0') * 10 + (*c)[2] - '0');
	*c += n;
	*c += strspn(*c, " ");
	return code;
}

static void
store_status(struct reader *r, const struct string_list *strings)
{
	struct site *site = strings->target;
	struct status_range *ranges;
	size_t n = 0, room = 1;
	const char *c;

	if (strings->count == 0)
		return;
	for (c = strings->items->value; *c != '\0'; c++)
		room += *c == ',';
	ranges = config_alloc(r->config, room * sizeof(*ranges));
	for (c = strings->items->value; n < room; c++) {
		struct status_range *range = &ranges[n++];

		range->first = range->last = read_code(&c);
		if (*c == '-') {
			c++;
			range->last = read_code(&c);
		}
		if (range->first < 100 || range->last < range->first ||
		    *c != (n < room ? ',' : '\0')) {
			config_mistake(r, strings->line,
			    "expect_status: must be codes and ranges from 100 to 999, as in "
			    "\"200-299,404\"");
			return;
		}
	}
	site->expect = ranges;
	site->expect_count = n;
	site->expect_status = strings->items->value;
}

static void
store_labels(struct reader *r, const struct string_list *strings)
{
	struct site *site = strings->target;
	char *joined, *end;
	size_t size = 1;

	for (size_t i = 0; i < strings->count; i++)
		size += strlen(strings->items[i].value) + 1;
	joined = end = config_alloc(r->config, size);
	for (size_t i = 0; i < strings->count; i++)
		end = stpcpy(stpcpy(end, i > 0 ? "," : ""), strings->items[i].value);
	site->labels = strings->count > 0 ? joined : NULL;
	if (config_encoded_size(joined) > CONFIG_LABELS_MAX)
		config_mistake(r, strings->line, "labels: are longer than %d bytes together",
		    CONFIG_LABELS_MAX);
}

/* Whether there are slashes round the pattern and letters behind it, as in Perl. */
static bool
has_delimiters(const char *pattern)
{
	const char *last = strrchr(pattern, '/');

	return pattern[0] == '/' && last > pattern + 1 && last[1] != '\0' &&
	       consists_of(last + 1, "gimsux");
}

/* body_regex replaces the patterns of body_regex in `defaults`, body_regex_not those of its own. */
static void
store_patterns(struct reader *r, const struct string_list *strings)
{
	struct site *site = strings->target;
	bool negated = strings->key->negated;
	struct pattern *patterns = config_alloc(
	    r->config, (site->pattern_count + strings->count) * sizeof(*patterns));
	size_t n = 0;

	for (size_t i = 0; negated && i < site->pattern_count; i++)
		if (!site->patterns[i].negated)
			patterns[n++] = site->patterns[i];
	for (size_t i = 0; i < strings->count; i++) {
		if (has_delimiters(strings->items[i].value))
			config_warning(r, strings->items[i].at.line,
			    "%s: the slashes round the pattern are looked for in the body; write "
			    "\"(?i)…\" without slashes for one that ignores case",
			    strings->key->name);
		patterns[n++] = (struct pattern){ strings->items[i].value, negated,
			strings->items[i].at };
	}
	for (size_t i = 0; !negated && i < site->pattern_count; i++)
		if (site->patterns[i].negated)
			patterns[n++] = site->patterns[i];
	site->patterns = patterns;
	site->pattern_count = n;
}

static void
store_properties(struct reader *r, const struct string_list *strings)
{
	struct config *c = r->config;
	size_t size = strings->count * sizeof(*strings->items);

	c->kafka_properties = memcpy(config_alloc(c, size), strings->items, size);
	c->kafka_property_count = strings->count;
}

void
config_add_site(struct reader *r, struct site *site)
{
	if (site->timeout_us == 0)
		site->timeout_us = site->interval_us < 10 * US_PER_S ? site->interval_us
								     : 10 * US_PER_S;
	else if (site->timeout_us > site->interval_us)
		config_mistake(r, config_origin(&site->at, "timeout").line,
		    "timeout: %.10g s is longer than the interval of %.10g s",
		    (double)site->timeout_us / US_PER_S, (double)site->interval_us / US_PER_S);
	if (site->max_response_us > site->timeout_us)
		config_mistake(r, config_origin(&site->at, "max_response_time").line,
		    "max_response_time: %.10g s%s is longer than the timeout of %.10g s, so no "
		    "response could ever be slow",
		    (double)site->max_response_us / US_PER_S,
		    config_gives(&site->at, "max_response_time") ? "" : " (of defaults)",
		    (double)site->timeout_us / US_PER_S);
	if (site->body_limit == 0 && site->pattern_count > 0)
		config_mistake(r, config_origin(&site->at, "body_limit_kb").line,
		    "body_limit_kb: with 0 the body is not read, so %s has nothing to match; leave "
		    "one of them out",
		    site->patterns[0].negated ? "body_regex_not" : "body_regex");
	if (r->site_count == r->site_room) {
		r->site_room = r->site_room > 0 ? 2 * r->site_room : 64;
		r->sites = xreallocarray(r->sites, r->site_room, sizeof(*r->sites));
	}
	r->sites[r->site_count++] = *site;
}

const struct key *
config_find_key(const struct key *keys, const char *name)
{
	for (; keys->name != NULL; keys++)
		if (strcmp(name, keys->name) == 0)
			return keys;
	return NULL;
}

/* --- the tables -------------------------------------------------------------------------- */

#define SITE(member)   .field = offsetof(struct site, member)
#define CONFIG(member) .field = offsetof(struct config, member)

static const char *const ip_words[] = { "any", "4", "6", NULL };
static const char *const destination_words[] = { "stderr", "syslog", NULL };
static const char *const level_words[] = { "error", "warning", "notice", "info", "debug", NULL };
static const char *const sync_words[] = { "normal", "full", NULL };

const struct key config_site_keys[] = {
	{ "name", KEY_STRING, SITE(name), .min = 1, .wrong = wrong_name, .required = true },
	{ "url", KEY_STRING, SITE(url), .min = 1, .max = CONFIG_URL_MAX, .wrong = wrong_url,
	    .required = true },
	/* `defaults` may have all that follow */
	{ "interval", KEY_SECONDS, SITE(interval_us), .min = 1, .max = 86400 },
	{ "timeout", KEY_SECONDS, SITE(timeout_us), .min = 0.1, .max = 86400 },
	{ "method", KEY_STRING, SITE(method), .min = 1, .wrong = wrong_method },
	{ "headers", KEY_STRINGS, SITE(headers), .wrong = wrong_header },
	{ "body", KEY_STRING, SITE(body), .lines = true },
	{ "user_agent", KEY_STRING, SITE(user_agent) },
	{ "expect_status", KEY_STRING, SITE(expect_status), .store = store_status },
	{ "body_regex", KEY_PATTERNS, .min = 1, .store = store_patterns },
	{ "body_regex_not", KEY_PATTERNS, .min = 1, .store = store_patterns, .negated = true },
	{ "body_limit_kb", KEY_KIB, SITE(body_limit), .min = 0, .max = 65536 },
	{ "max_response_time", KEY_SECONDS, SITE(max_response_us), .min = 0.001, .max = 86400 },
	{ "follow_redirects", KEY_INTEGER, SITE(follow_redirects), .min = 0, .max = 20 },
	{ "verify_tls", KEY_BOOL, SITE(verify_tls) },
	{ "decode", KEY_BOOL, SITE(decode) },
	{ "keepalive", KEY_BOOL, SITE(keepalive) },
	{ "enabled", KEY_BOOL, SITE(enabled) },
	{ "ip_version", KEY_WORD, SITE(ip_version), .words = ip_words },
	{ "labels", KEY_JOINED, SITE(labels), .wrong = wrong_label, .store = store_labels },
	{ 0 },
};

static const struct key log_keys[] = {
	{ "destination", KEY_WORD, CONFIG(log_destination), .words = destination_words },
	{ "level", KEY_WORD, CONFIG(log_level), .words = level_words },
	{ 0 },
};

static const struct key workers_keys[] = {
	{ "min", KEY_INTEGER, CONFIG(workers_min), .min = 1, .max = 4096 },
	{ "max", KEY_INTEGER, CONFIG(workers_max), .min = 1, .max = 4096 },
	{ 0 },
};

static const struct key spool_keys[] = {
	{ "dir", KEY_PATH, CONFIG(spool_dir), .min = 1 },
	{ "max_mb", KEY_MIB, CONFIG(spool_max_bytes), .min = 1, .max = 1000000 },
	{ "sync", KEY_WORD, CONFIG(spool_sync_full), .words = sync_words },
	{ 0 },
};

static const struct key kafka_keys[] = {
	{ "topic", KEY_STRING, CONFIG(kafka_topic), .min = 1, .wrong = wrong_topic,
	    .required = true },
	{ "properties_file", KEY_PATH, CONFIG(kafka_properties_file), .min = 1 },
	{ "properties", KEY_STRINGS, .store = store_properties },
	{ 0 },
};

const struct key config_main_keys[] = {
	{ "instance", KEY_STRING, CONFIG(instance), .min = 1, .max = INSTANCE_MAX },
	{ "location", KEY_STRING, CONFIG(location), .min = 1, .max = INSTANCE_MAX },
	{ "user", KEY_STRING, CONFIG(user), .min = 1, .max = 32 },
	{ "checker_user", KEY_STRING, CONFIG(checker_user), .min = 1, .max = 32 },
	{ "pid_file", KEY_PATH, CONFIG(pid_file), .min = 1 },
	{ "log", KEY_GROUP, .keys = log_keys },
	{ "defaults", KEY_DEFAULTS, CONFIG(defaults), .keys = &config_site_keys[2] },
	{ "sites", KEY_SITES, .field = 0 },
	{ "sites_dir", KEY_PATH, CONFIG(sites_dir), .min = 1 },
	{ "workers", KEY_GROUP, .keys = workers_keys },
	{ "spool", KEY_GROUP, .keys = spool_keys },
	{ "kafka", KEY_GROUP, .keys = kafka_keys },
	{ 0 },
};

const struct key config_sites_keys[] = {
	{ "sites", KEY_SITES, .field = 0 },
	{ 0 },
};
