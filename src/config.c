/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * The configuration by libconfig. Called by main and, at a reload, by the supervisor. Nothing is
 * fatal: every mistake becomes a line, and with any mistake there is no configuration.
 *
 * All memory belongs to the arena of one configuration: sites share what they inherit from
 * `defaults`, and freeing is one walk.
 */
#include "config.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <libconfig.h>
#include <limits.h>
#include <math.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#define ARENA_CHUNK  (64 * 1024)
#define FILE_MAX     (100 * 1024 * 1024)
#define INSTANCE_MAX 64

struct chunk {
	struct chunk *next;
	size_t used, size;
	max_align_t data[];
};

struct config_private {
	struct chunk *chunks;
	const struct site **by_name; /* sorted */
};

/* What is known while the files are read. */
struct reader {
	struct config *config;
	struct mistakes *mistakes;
	const char *file; /* the one being read */
	const char *dir;  /* its directory with a slash, or "" */
	int *bad_lines;   /* of this file: have their mistake already */
	size_t bad_line_count;
	struct site *sites;
	bool *enabled;
	size_t site_count, site_room;
};

/* --- memory ------------------------------------------------------------------------------ */

static void *
keep(struct config *c, size_t size)
{
	struct chunk *chunk = c->private->chunks;
	void *p;

	size = (size + sizeof(void *) - 1) / sizeof(void *) * sizeof(void *);
	if (chunk == NULL || chunk->size - chunk->used < size) {
		size_t room = size > ARENA_CHUNK ? size : ARENA_CHUNK;

		chunk = xcalloc(1, sizeof(*chunk) + room);
		chunk->size = room;
		chunk->next = c->private->chunks;
		c->private->chunks = chunk;
	}
	p = (char *)chunk->data + chunk->used;
	chunk->used += size;
	return p;
}

static const char *
keep_string(struct config *c, const char *s)
{
	size_t size = strlen(s) + 1;

	return memcpy(keep(c, size), s, size);
}

void
config_free(struct config *config)
{
	if (config == NULL)
		return;
	for (struct chunk *chunk = config->private->chunks, *next; chunk != NULL; chunk = next) {
		next = chunk->next;
		free(chunk);
	}
	free((void *)config->private->by_name);
	free((void *)config->sites);
	free(config->private);
	free(config);
}

/* --- mistakes ---------------------------------------------------------------------------- */

static struct origin
origin_of(const struct reader *r, const config_setting_t *s)
{
	return (struct origin){ r->file, s != NULL ? (int)config_setting_source_line(s) : 0 };
}

static void __attribute__((format(printf, 3, 4)))
mistake(struct reader *r, const config_setting_t *s, const char *format, ...)
{
	struct origin at = origin_of(r, s);
	va_list ap;
	char *text;

	for (size_t i = 0; i < r->bad_line_count; i++)
		if (r->bad_lines[i] == at.line)
			return;
	va_start(ap, format);
	text = xvasprintf(format, ap);
	va_end(ap);
	mistakes_add(r->mistakes, at, "%s", text);
	free(text);
}

static void
mistake_at_line(struct reader *r, int line, const char *text)
{
	mistakes_add(r->mistakes, (struct origin){ r->file, line }, "%s", text);
	r->bad_lines = xreallocarray(r->bad_lines, r->bad_line_count + 1, sizeof(*r->bad_lines));
	r->bad_lines[r->bad_line_count++] = line;
}

/* --- the raw text ------------------------------------------------------------------------ */

/* libconfig 1.5 wraps large integers and takes 1e999 for infinity, both without a word. */
static void
check_number(struct reader *r, int line, const char *token, size_t size)
{
	char text[64];
	size_t digits = strspn(token, "0123456789");

	if (size >= sizeof(text)) {
		mistake_at_line(r, line, "number is too long");
		return;
	}
	memcpy(text, token, size);
	text[size] = '\0';
	if (strncasecmp(text, "0x", 2) == 0)
		mistake_at_line(r, line, "hexadecimal numbers are not supported");
	else if (digits > 9 && (digits >= size || text[digits] == 'L'))
		mistake_at_line(r, line, "integer has more than 9 digits");
	else if (digits < size && text[digits] != 'L' && !isfinite(strtod(text, NULL)))
		mistake_at_line(r, line, "number is not finite");
}

static const char *
skip_string(const char *c, const char *end, int *line)
{
	for (c++; c < end && *c != '"'; c++) {
		if (*c == '\\' && c + 1 < end)
			c++;
		*line += *c == '\n';
	}
	return c < end ? c + 1 : end;
}

/* Also past what is no comment: the '/' alone. */
static const char *
skip_comment(const char *c, const char *end, int *line)
{
	if (*c == '#' || c[1] == '/') {
		while (c < end && *c != '\n')
			c++;
		return c;
	}
	if (c[1] != '*')
		return c + 1;
	for (c += 2; c < end && !(c[0] == '*' && c[1] == '/'); c++)
		*line += *c == '\n';
	return c < end ? c + 2 : end;
}

/* What must be found before libconfig sees the text, which ends in a NUL at `end`. */
static void
scan_text(struct reader *r, const char *text, const char *end)
{
	int line = 1;

	for (const char *c = text; c < end;) {
		if (*c == '\0') {
			mistake_at_line(r, line, "the file contains a NUL byte");
			return;
		}
		if (*c == '"') {
			c = skip_string(c, end, &line);
		} else if (*c == '#' || *c == '/') {
			c = skip_comment(c, end, &line);
		} else if (*c == '@') {
			if (strncmp(c, "@include", 8) == 0)
				mistake_at_line(
				    r, line, "@include is not supported; use sites_dir");
			c++;
		} else if (isdigit((unsigned char)*c)) {
			size_t n = strspn(c, "0123456789abcdefABCDEFxXL.");

			if ((c[n] == '-' || c[n] == '+') && (c[n - 1] == 'e' || c[n - 1] == 'E'))
				n += 1 + strspn(c + n + 1, "0123456789");
			check_number(r, line, c, n);
			c += n;
		} else if (isalpha((unsigned char)*c) || *c == '*') {
			c += 1 + strspn(c + 1,
				     "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				     "0123456789_-*");
		} else {
			line += *c++ == '\n';
		}
	}
}

static bool
has_control(const char *s, const char *allowed)
{
	for (; *s != '\0'; s++)
		if (((unsigned char)*s < 0x20 || *s == 0x7f) && strchr(allowed, *s) == NULL)
			return true;
	return false;
}

/* Valid UTF-8: cleaning would leave it as it is. */
static bool
is_utf8(const char *s)
{
	size_t n = strlen(s);
	char *clean = xcalloc(n * 3 + 4, 1);
	bool same = util_clean_text(clean, n * 3 + 4, s, n) == n;

	free(clean);
	return same;
}

/* The bytes that `s` takes in the record, where quotes and backslashes are escaped. */
static size_t
encoded_size(const char *s)
{
	size_t n = 0;

	for (; *s != '\0'; s++)
		n += 1 + (*s == '"' || *s == '\\');
	return n;
}

/* --- reading values ---------------------------------------------------------------------- */

static bool
is_string(const config_setting_t *s)
{
	return config_setting_type(s) == CONFIG_TYPE_STRING;
}

/* NULL: not there, or a mistake has been noted. No control characters but `allowed`, UTF-8. */
static const char *
get_text(struct reader *r, const config_setting_t *group, const char *key, const char *allowed)
{
	config_setting_t *s = config_setting_get_member(group, key);
	const char *value;

	if (s == NULL)
		return NULL;
	if (!is_string(s)) {
		mistake(r, s, "%s: must be a string in quotes", key);
		return NULL;
	}
	value = config_setting_get_string(s);
	if (has_control(value, allowed)) {
		mistake(r, s, "%s: must not contain control characters", key);
		return NULL;
	}
	if (!is_utf8(value)) {
		mistake(r, s, "%s: is not valid UTF-8", key);
		return NULL;
	}
	return keep_string(r->config, value);
}

/* The same with a limit on what it takes in the record. */
static const char *
get_short_text(struct reader *r, const config_setting_t *group, const char *key, size_t max)
{
	const char *value = get_text(r, group, key, "");

	if (value == NULL)
		return NULL;
	if (value[0] == '\0') {
		mistake(r, config_setting_get_member(group, key), "%s: must not be empty", key);
		return NULL;
	}
	if (encoded_size(value) > max) {
		mistake(r, config_setting_get_member(group, key), "%s: is longer than %zu bytes",
		    key, max);
		return NULL;
	}
	return value;
}

static bool
get_number(struct reader *r, const config_setting_t *group, const char *key, double min, double max,
    bool whole, double *value)
{
	config_setting_t *s = config_setting_get_member(group, key);

	if (s == NULL)
		return false;
	switch (config_setting_type(s)) {
	case CONFIG_TYPE_INT:
		*value = config_setting_get_int(s);
		break;
	case CONFIG_TYPE_INT64:
		*value = (double)config_setting_get_int64(s);
		break;
	case CONFIG_TYPE_FLOAT:
		*value = config_setting_get_float(s);
		if (!whole)
			break;
		/* fall through */
	default:
		mistake(r, s, "%s: must be a %snumber without quotes", key, whole ? "whole " : "");
		return false;
	}
	if (*value < min || *value > max) {
		mistake(r, s, "%s: must be %g to %.10g", key, min, max);
		return false;
	}
	return true;
}

static bool
get_integer(
    struct reader *r, const config_setting_t *group, const char *key, int min, int max, int *value)
{
	double number;

	if (!get_number(r, group, key, min, max, true, &number))
		return false;
	*value = (int)number;
	return true;
}

/* Seconds to whole milliseconds in microseconds. */
static bool
get_seconds(struct reader *r, const config_setting_t *group, const char *key, double min,
    double max, int64_t *value)
{
	double number;

	if (!get_number(r, group, key, min, max, false, &number))
		return false;
	*value = (int64_t)(number * 1000 + 0.5) * US_PER_MS;
	return true;
}

static void
get_bool(struct reader *r, const config_setting_t *group, const char *key, bool *value)
{
	config_setting_t *s = config_setting_get_member(group, key);

	if (s == NULL)
		return;
	if (config_setting_type(s) == CONFIG_TYPE_BOOL)
		*value = config_setting_get_bool(s);
	else
		mistake(r, s, "%s: must be true or false", key);
}

/* One of `words`, NULL-terminated; its index, or -1. */
static int
get_word(struct reader *r, const config_setting_t *group, const char *key, const char *const *words)
{
	config_setting_t *s = config_setting_get_member(group, key);
	const char *value = get_text(r, group, key, "");
	char list[128] = "";

	if (value == NULL)
		return -1;
	for (int i = 0; words[i] != NULL; i++) {
		if (strcmp(value, words[i]) == 0)
			return i;
		snprintf(list + strlen(list), sizeof(list) - strlen(list), "%s\"%s\"",
		    i > 0 ? (words[i + 1] != NULL ? ", " : " or ") : "", words[i]);
	}
	mistake(r, s, "%s: must be %s", key, list);
	return -1;
}

/* A string, an array or a list of strings, for each of which `take` is called. */
static bool
for_each_string(struct reader *r, const config_setting_t *group, const char *key,
    void (*take)(struct reader *r, const config_setting_t *s, const char *value, void *arg),
    void *arg)
{
	config_setting_t *s = config_setting_get_member(group, key);

	if (s == NULL)
		return false;
	if (is_string(s)) {
		take(r, s, config_setting_get_string(s), arg);
		return true;
	}
	if (!config_setting_is_array(s) && !config_setting_is_list(s)) {
		mistake(r, s, "%s: must be a string or a list of strings", key);
		return false;
	}
	for (int i = 0; i < config_setting_length(s); i++) {
		config_setting_t *item = config_setting_get_elem(s, (unsigned)i);

		if (is_string(item))
			take(r, item, config_setting_get_string(item), arg);
		else
			mistake(r, item, "%s: must be a string or a list of strings", key);
	}
	return true;
}

static int
count_strings(const config_setting_t *group, const char *key)
{
	config_setting_t *s = config_setting_get_member(group, key);

	if (s == NULL)
		return 0;
	return is_string(s) ? 1 : config_setting_is_aggregate(s) ? config_setting_length(s) : 0;
}

/* --- names of keys ----------------------------------------------------------------------- */

static const char *const top_keys[] = { "instance", "location", "user", "checker_user", "pid_file",
	"log", "defaults", "sites", "sites_dir", "workers", "spool", "kafka", NULL };
static const char *const top_reserved[] = { "vantage", NULL };
static const char *const log_keys[] = { "destination", "level", NULL };
static const char *const workers_keys[] = { "min", "max", NULL };
static const char *const spool_keys[] = { "dir", "max_mb", "sync", NULL };
static const char *const kafka_keys[] = { "topic", "properties_file", "properties", NULL };
static const char *const no_keys[] = { NULL };
static const char *const site_keys[] = { "name", "url", "interval", "timeout", "method", "headers",
	"body", "user_agent", "expect_status", "body_regex", "body_regex_not", "body_limit_kb",
	"follow_redirects", "verify_tls", "keepalive", "enabled", "ip_version", "labels", NULL };
static const char *const site_reserved[] = { "body_file", "auth", "username", "password_file",
	"token_file", "proxy", "no_proxy", "resolve", "http_version", "ca_file", "client_cert",
	"client_key", "tls_min_version", "server_name", "connect_timeout", "header_regex",
	"header_regex_not", "max_response_time", "min_body_bytes", "max_body_bytes",
	"cert_min_days", "retries", "retry_delay", "allow_private_redirects", "record_query",
	NULL };

static bool
is_one_of(const char *name, const char *const *names)
{
	for (; *names != NULL; names++)
		if (strcmp(name, *names) == 0)
			return true;
	return false;
}

/* How many letters must change to make `b` of `a`; both are short. */
static size_t
distance(const char *a, const char *b)
{
	size_t row[40], n = strlen(b);

	if (n >= ARRAY_LENGTH(row))
		return n;
	for (size_t i = 0; i <= n; i++)
		row[i] = i;
	for (size_t i = 0; a[i] != '\0'; i++) {
		size_t diagonal = row[0]++;

		for (size_t k = 1; k <= n; k++) {
			size_t change = diagonal + (a[i] != b[k - 1]);
			size_t shorter = (row[k] < row[k - 1] ? row[k] : row[k - 1]) + 1;

			diagonal = row[k];
			row[k] = change < shorter ? change : shorter;
		}
	}
	return row[n];
}

static void
check_keys(struct reader *r, const config_setting_t *group, const char *const *known,
    const char *const *reserved)
{
	for (int i = 0; i < config_setting_length(group); i++) {
		config_setting_t *s = config_setting_get_elem(group, (unsigned)i);
		const char *name = config_setting_name(s), *nearest = NULL;
		size_t best = 3;

		if (name == NULL || is_one_of(name, known))
			continue;
		if (is_one_of(name, reserved)) {
			mistake(r, s, "%s: not supported in this version", name);
			continue;
		}
		for (const char *const *k = known; *k != NULL; k++) {
			size_t d = distance(name, *k);

			if (d < best) {
				best = d;
				nearest = *k;
			}
		}
		if (nearest != NULL)
			mistake(r, s, "unknown key \"%s\"; did you mean \"%s\"?", name, nearest);
		else
			mistake(r, s, "unknown key \"%s\"", name);
	}
}

/* --- sites ------------------------------------------------------------------------------- */

static void
read_expect_status(struct reader *r, const config_setting_t *group, struct site *site)
{
	config_setting_t *s = config_setting_get_member(group, "expect_status");
	const char *value = get_text(r, group, "expect_status", ""), *c = value;
	struct status_range ranges[32];
	size_t count = 0;

	if (value == NULL)
		return;
	for (;;) {
		int first, last, used = 0, n;

		n = sscanf(c, " %3d%n - %3d%n", &first, &used, &last, &used);
		if (n == 1)
			last = first;
		if (n < 1 || count == ARRAY_LENGTH(ranges) || first < 100 || last > 999 ||
		    first > last || !isdigit((unsigned char)c[strspn(c, " ")]))
			break;
		ranges[count++] = (struct status_range){ (short)first, (short)last };
		c += used;
		c += strspn(c, " ");
		if (*c == '\0') {
			struct status_range *kept = keep(r->config, count * sizeof(*kept));

			memcpy(kept, ranges, count * sizeof(*kept));
			site->expect = kept;
			site->expect_count = count;
			site->expect_status = value;
			return;
		}
		if (*c++ != ',')
			break;
	}
	mistake(
	    r, s, "expect_status: must be codes and ranges from 100 to 999, as in \"200-299,404\"");
}

struct string_list {
	const char **items;
	size_t count;
};

static void
take_header(struct reader *r, const config_setting_t *s, const char *value, void *arg)
{
	struct string_list *list = arg;
	size_t name = strspn(value, "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyz"
				    "ABCDEFGHIJKLMNOPQRSTUVWXYZ");

	if (has_control(value, ""))
		mistake(r, s, "headers: must not contain control characters");
	else if (name == 0 || value[name] != ':' ||
		 value[name + 1 + strspn(value + name + 1, " ")] == '\0')
		mistake(r, s, "headers: must look like \"Name: value\"");
	else
		list->items[list->count++] = keep_string(r->config, value);
}

static void
read_headers(struct reader *r, const config_setting_t *group, struct site *site)
{
	int n = count_strings(group, "headers");
	struct string_list list = { keep(r->config, ((size_t)n + 1) * sizeof(char *)), 0 };

	if (for_each_string(r, group, "headers", take_header, &list))
		site->headers = list.items;
}

struct label_list {
	char text[2 * CONFIG_LABELS_MAX];
	size_t count;
};

static void
take_label(struct reader *r, const config_setting_t *s, const char *value, void *arg)
{
	struct label_list *list = arg;
	size_t used = strlen(list->text);
	const char *equals = strchr(value, '=');

	if (equals == NULL || equals == value || strchr(value, ',') != NULL ||
	    has_control(value, "") || !is_utf8(value)) {
		mistake(r, s, "labels: must look like \"key=value\", without a comma");
		return;
	}
	if (used + strlen(value) + 2 < sizeof(list->text))
		snprintf(list->text + used, sizeof(list->text) - used, "%s%s", used > 0 ? "," : "",
		    value);
	else
		memset(list->text, 'x', sizeof(list->text) - 1); /* too long, as will be said */
}

static void
read_labels(struct reader *r, const config_setting_t *group, struct site *site)
{
	config_setting_t *s = config_setting_get_member(group, "labels");
	struct label_list list = { .count = 0 };

	if (!for_each_string(r, group, "labels", take_label, &list))
		return;
	if (encoded_size(list.text) > CONFIG_LABELS_MAX)
		mistake(r, s, "labels: are longer than %d bytes together", CONFIG_LABELS_MAX);
	else
		site->labels = list.text[0] != '\0' ? keep_string(r->config, list.text) : NULL;
}

struct pattern_list {
	struct pattern *items;
	size_t count;
	bool negated;
};

static void
take_pattern(struct reader *r, const config_setting_t *s, const char *value, void *arg)
{
	struct pattern_list *list = arg;
	const char *key = list->negated ? "body_regex_not" : "body_regex";

	if (value[0] == '\0')
		mistake(r, s, "%s: must not be empty", key);
	else if (has_control(value, ""))
		mistake(r, s,
		    "%s: contains a control character; write backslashes doubled (\"\\\\bword\\\\b\")",
		    key);
	else
		list->items[list->count++] = (struct pattern){ keep_string(r->config, value),
			list->negated, origin_of(r, s) };
}

/* Each of the two lists replaces its own part of what `defaults` gave. */
static void
read_patterns(struct reader *r, const config_setting_t *group, struct site *site)
{
	bool own[2] = { config_setting_get_member(group, "body_regex") != NULL,
		config_setting_get_member(group, "body_regex_not") != NULL };
	size_t room = site->pattern_count + (size_t)count_strings(group, "body_regex") +
		      (size_t)count_strings(group, "body_regex_not");
	struct pattern_list list = { .count = 0 };

	if (!own[0] && !own[1])
		return;
	list.items = keep(r->config, room * sizeof(*list.items));
	for (int negated = 0; negated < 2; negated++) {
		list.negated = negated;
		if (own[negated]) {
			for_each_string(r, group, negated ? "body_regex_not" : "body_regex",
			    take_pattern, &list);
			continue;
		}
		for (size_t i = 0; i < site->pattern_count; i++)
			if (site->patterns[i].negated == negated)
				list.items[list.count++] = site->patterns[i];
	}
	site->patterns = list.items;
	site->pattern_count = list.count;
}

static void
read_method(struct reader *r, const config_setting_t *group, struct site *site)
{
	config_setting_t *s = config_setting_get_member(group, "method");
	const char *value = get_text(r, group, "method", "");

	if (value == NULL)
		return;
	if (value[0] == '\0' || strlen(value) > 16 ||
	    value[strspn(value, "ABCDEFGHIJKLMNOPQRSTUVWXYZ-_")] != '\0')
		mistake(r, s, "method: must be 1 to 16 capital letters");
	else if (strcmp(value, "CONNECT") == 0)
		mistake(r, s, "method: CONNECT is for proxies");
	else
		site->method = value;
}

/* What a site and `defaults` have in common. */
static void
read_site_keys(struct reader *r, const config_setting_t *group, struct site *site, bool *enabled)
{
	static const char *const ip_words[] = { "any", "4", "6", NULL };
	const char *text;
	int number;

	get_seconds(r, group, "interval", 1, 86400, &site->interval_us);
	get_seconds(r, group, "timeout", 0.1, 86400, &site->timeout_us);
	read_method(r, group, site);
	read_headers(r, group, site);
	if ((text = get_text(r, group, "body", "\r\n\t")) != NULL)
		site->body = text;
	if ((text = get_text(r, group, "user_agent", "")) != NULL)
		site->user_agent = text;
	read_expect_status(r, group, site);
	read_patterns(r, group, site);
	if (get_integer(r, group, "body_limit_kb", 1, 65536, &number))
		site->body_limit = (size_t)number * 1024;
	get_integer(r, group, "follow_redirects", 0, 20, &site->follow_redirects);
	get_bool(r, group, "verify_tls", &site->verify_tls);
	get_bool(r, group, "keepalive", &site->keepalive);
	get_bool(r, group, "enabled", enabled);
	if ((number = get_word(r, group, "ip_version", ip_words)) >= 0)
		site->ip_version = (enum ip_version)number;
	read_labels(r, group, site);
}

static void
read_name(struct reader *r, const config_setting_t *group, struct site *site)
{
	config_setting_t *s = config_setting_get_member(group, "name");
	const char *value = get_text(r, group, "name", "");

	if (s == NULL)
		mistake(r, group, "name: is missing");
	if (value == NULL)
		return;
	if (value[0] == '\0' || strlen(value) > CONFIG_NAME_MAX ||
	    value[strspn(value,
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-")] != '\0')
		mistake(r, s, "name: must be 1 to %d of letters, digits, '.', '_' and '-'",
		    CONFIG_NAME_MAX);
	else
		site->name = value;
}

static void
read_url(struct reader *r, const config_setting_t *group, struct site *site)
{
	config_setting_t *s = config_setting_get_member(group, "url");
	const char *value = get_short_text(r, group, "url", CONFIG_URL_MAX), *host;
	size_t authority;

	if (s == NULL)
		mistake(r, group, "url: is missing");
	if (value == NULL)
		return;
	if (strncasecmp(value, "http://", 7) != 0 && strncasecmp(value, "https://", 8) != 0) {
		mistake(r, s, "url: must begin with http:// or https://");
		return;
	}
	host = strstr(value, "://") + 3;
	authority = strcspn(host, "/?#");
	if (memchr(host, '@', authority) != NULL)
		mistake(r, s,
		    "url: must not contain a user or password; the keys username and "
		    "password_file are for them (not supported in this version)");
	else
		site->url = value;
	site->url_at = origin_of(r, s);
}

static void
read_site(struct reader *r, const config_setting_t *group, const struct site *defaults,
    bool default_enabled)
{
	struct site site = *defaults;
	bool enabled = default_enabled;
	config_setting_t *timeout = config_setting_get_member(group, "timeout");

	if (!config_setting_is_group(group)) {
		mistake(r, group, "sites: each must be a group { name = …; url = …; }");
		return;
	}
	check_keys(r, group, site_keys, site_reserved);
	site.at = origin_of(r, group);
	read_name(r, group, &site);
	read_url(r, group, &site);
	read_site_keys(r, group, &site, &enabled);
	if (site.timeout_us == 0)
		site.timeout_us = site.interval_us < 10 * US_PER_S ? site.interval_us
								   : 10 * US_PER_S;
	else if (site.timeout_us > site.interval_us)
		mistake(r, timeout != NULL ? timeout : group,
		    "timeout: %.10g s is longer than the interval of %.10g s",
		    (double)site.timeout_us / US_PER_S, (double)site.interval_us / US_PER_S);

	if (r->site_count == r->site_room) {
		r->site_room = r->site_room > 0 ? 2 * r->site_room : 64;
		r->sites = xreallocarray(r->sites, r->site_room, sizeof(*r->sites));
		r->enabled = xreallocarray(r->enabled, r->site_room, sizeof(*r->enabled));
	}
	r->enabled[r->site_count] = enabled;
	r->sites[r->site_count++] = site;
}

static void
read_sites(
    struct reader *r, const config_setting_t *root, const struct site *defaults, bool enabled)
{
	config_setting_t *sites = config_setting_get_member(root, "sites");

	if (sites == NULL)
		return;
	if (!config_setting_is_list(sites)) {
		mistake(r, sites, "sites: must be a list: sites = ( { … }, { … } );");
		return;
	}
	for (int i = 0; i < config_setting_length(sites); i++)
		read_site(r, config_setting_get_elem(sites, (unsigned)i), defaults, enabled);
}

/* --- sections ---------------------------------------------------------------------------- */

/* A group of the root, checked for unknown keys; NULL: not there or no group. */
static config_setting_t *
get_group(struct reader *r, const config_setting_t *root, const char *name,
    const char *const *known, const char *const *reserved)
{
	config_setting_t *s = config_setting_get_member(root, name);

	if (s == NULL)
		return NULL;
	if (!config_setting_is_group(s)) {
		mistake(r, s, "%s: must be a group: %s = { … };", name, name);
		return NULL;
	}
	check_keys(r, s, known, reserved);
	return s;
}

/* A file name: relative ones are relative to the directory of this file. */
static const char *
get_path(struct reader *r, const config_setting_t *group, const char *key)
{
	const char *value = get_text(r, group, key, "");
	const char *path;
	char *joined;

	if (value == NULL)
		return NULL;
	if (value[0] == '\0') {
		mistake(r, config_setting_get_member(group, key), "%s: must not be empty", key);
		return NULL;
	}
	if (value[0] == '/')
		return value;
	joined = xasprintf("%s%s", r->dir, value);
	path = keep_string(r->config, joined);
	free(joined);
	return path;
}

static void
read_log(struct reader *r, const config_setting_t *root)
{
	static const char *const destinations[] = { "stderr", "syslog", NULL };
	static const char *const level_words[] = { "error", "warning", "notice", "info", "debug",
		NULL };
	config_setting_t *group = get_group(r, root, "log", log_keys, no_keys);
	int word;

	if (group == NULL)
		return;
	if ((word = get_word(r, group, "destination", destinations)) >= 0) {
		r->config->log_destination = (enum log_destination)word;
		r->config->log_destination_set = true;
	}
	if ((word = get_word(r, group, "level", level_words)) >= 0)
		r->config->log_level = (enum log_level)word;
}

static void
read_workers(struct reader *r, const config_setting_t *root)
{
	config_setting_t *group = get_group(r, root, "workers", workers_keys, no_keys);
	struct config *c = r->config;
	bool min_set, max_set;

	if (group == NULL)
		return;
	min_set = get_integer(r, group, "min", 1, 4096, &c->workers_min);
	max_set = get_integer(r, group, "max", 1, 4096, &c->workers_max);
	if (min_set && !max_set && c->workers_max < c->workers_min)
		c->workers_max = c->workers_min;
	if (max_set && !min_set && c->workers_max < c->workers_min)
		c->workers_min = c->workers_max;
	if (c->workers_min > c->workers_max)
		mistake(r, group, "workers: min (%d) is greater than max (%d)", c->workers_min,
		    c->workers_max);
}

static void
read_spool(struct reader *r, const config_setting_t *root)
{
	static const char *const sync_words[] = { "normal", "full", NULL };
	config_setting_t *group = get_group(r, root, "spool", spool_keys, no_keys);
	const char *path;
	int number;

	if (group == NULL)
		return;
	if ((path = get_path(r, group, "dir")) != NULL)
		r->config->spool_dir = path;
	if (get_integer(r, group, "max_mb", 1, 1000000, &number))
		r->config->spool_max_bytes = (int64_t)number * 1024 * 1024;
	if ((number = get_word(r, group, "sync", sync_words)) >= 0)
		r->config->spool_sync_full = number;
}

const char *
config_refused_property(const char *name, const char *value)
{
	static const struct {
		const char *name, *value, *why;
	} refused[] = {
		{ "enable.idempotence", NULL,
		    "webmond needs it as it is: without it records repeat" },
		{ "acks", NULL, "webmond needs all: with less, records are lost" },
		{ "request.required.acks", NULL, "webmond needs all: with less, records are lost" },
		{ "message.timeout.ms", NULL, "the spool decides how long a record is kept" },
		{ "delivery.timeout.ms", NULL, "the spool decides how long a record is kept" },
		{ "plugin.library.paths", NULL,
		    "webmond loads no code into the process with the keys" },
		{ "interceptors", NULL, "webmond loads no code into the process with the keys" },
		{ "debug", "all", "it writes secrets to the log; name single contexts" },
		{ "enable.ssl.certificate.verification", "false",
		    "an unchecked broker could be anybody; set ssl.ca.location" },
	};

	for (size_t i = 0; i < ARRAY_LENGTH(refused); i++)
		if (strcmp(name, refused[i].name) == 0 &&
		    (refused[i].value == NULL || strcasecmp(value, refused[i].value) == 0))
			return refused[i].why;
	return NULL;
}

bool
config_secret_property(const char *name)
{
	static const char *const endings[] = { "password", "secret", ".key.pem",
		"oauthbearer.config", "sasl.jaas.config", "ssl_key" };
	size_t n = strlen(name);

	for (size_t i = 0; i < ARRAY_LENGTH(endings); i++) {
		size_t m = strlen(endings[i]);

		if (n >= m && strcmp(name + n - m, endings[i]) == 0)
			return true;
	}
	return false;
}

struct property_list {
	struct property *items;
	size_t count;
};

static void
take_property(struct reader *r, const config_setting_t *s, const char *value, void *arg)
{
	struct property_list *list = arg;
	const char *equals = strchr(value, '=');
	char *name;
	const char *refusal;

	if (equals == NULL || equals == value || has_control(value, "")) {
		mistake(r, s, "properties: must look like \"name=value\"");
		return;
	}
	name = xasprintf("%.*s", (int)(equals - value), value);
	name[strcspn(name, " ")] = '\0';
	equals += 1 + strspn(equals + 1, " ");
	refusal = config_refused_property(name, equals);
	if (refusal != NULL)
		mistake(r, s, "%s: %s", name, refusal);
	else if (config_secret_property(name))
		mistake(r, s, "%s: is a secret; put it into properties_file", name);
	else
		list->items[list->count++] = (struct property){ keep_string(r->config, name),
			keep_string(r->config, equals), origin_of(r, s) };
	free(name);
}

static void
read_kafka(struct reader *r, const config_setting_t *root)
{
	config_setting_t *group = get_group(r, root, "kafka", kafka_keys, no_keys);
	struct config *c = r->config;
	struct property_list list = { .count = 0 };
	config_setting_t *s;

	if (group == NULL)
		return;
	c->has_kafka = true;
	c->kafka_at = origin_of(r, group);
	s = config_setting_get_member(group, "topic");
	c->kafka_topic = get_text(r, group, "topic", "");
	if (s == NULL)
		mistake(r, group, "topic: is missing");
	else if (c->kafka_topic != NULL &&
		 (c->kafka_topic[0] == '\0' || strlen(c->kafka_topic) > 249 ||
		     strcmp(c->kafka_topic, ".") == 0 || strcmp(c->kafka_topic, "..") == 0 ||
		     c->kafka_topic[strspn(c->kafka_topic,
			 "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-")] !=
			 '\0'))
		mistake(r, s, "topic: must be 1 to 249 of letters, digits, '.', '_' and '-'");
	c->kafka_properties_file = get_path(r, group, "properties_file");
	s = config_setting_get_member(group, "properties_file");
	if (s != NULL)
		c->kafka_properties_file_at = origin_of(r, s);
	list.items = keep(
	    c, (size_t)count_strings(group, "properties") * sizeof(struct property) + 1);
	for_each_string(r, group, "properties", take_property, &list);
	c->kafka_properties = list.items;
	c->kafka_property_count = list.count;
}

/* --- files ------------------------------------------------------------------------------- */

/* The whole file with a NUL behind it, to be freed, or NULL with the mistake noted. */
static char *
read_text(struct reader *r, size_t *size)
{
	/* O_NONBLOCK: a FIFO must not hang us */
	int fd = open(r->file, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	char *text = NULL;
	struct stat st;
	ssize_t n = 0;

	*size = 0;
	if (fd < 0) {
		mistake(r, NULL, "cannot read: %s", strerror(errno));
		return NULL;
	}
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		mistake(r, NULL, "is not a file");
	else if (st.st_size > FILE_MAX)
		mistake(r, NULL, "is larger than 100 MiB");
	else if ((st.st_mode & S_IWOTH) != 0)
		mistake(r, NULL, "everybody can write this file; do: chmod o-w %s", r->file);
	else
		text = xcalloc(1, (size_t)st.st_size + 1);
	while (text != NULL && *size < (size_t)st.st_size &&
	       (n = read(fd, text + *size, (size_t)st.st_size - *size)) > 0)
		*size += (size_t)n;
	if (n < 0) {
		mistake(r, NULL, "cannot read: %s", strerror(errno));
		free(text);
		text = NULL;
	}
	close(fd);
	return text;
}

/* Parse the file that `r` stands at. Returns false with the mistake noted. */
static bool
parse_file(struct reader *r, config_t *parsed)
{
	size_t size;
	char *text = read_text(r, &size);
	bool ok;

	r->bad_line_count = 0;
	config_init(parsed);
	if (text == NULL)
		return false;
	scan_text(r, text, text + size);
	ok = config_read_string(parsed, text) == CONFIG_TRUE;
	if (!ok && r->bad_line_count == 0)
		mistakes_add(r->mistakes, (struct origin){ r->file, config_error_line(parsed) },
		    "%s", config_error_text(parsed));
	free(text);
	return ok;
}

static void
enter_file(struct reader *r, const char *path)
{
	const char *slash = strrchr(path, '/');
	char *dir = slash != NULL ? xasprintf("%.*s", (int)(slash - path + 1), path) : xstrdup("");

	r->file = keep_string(r->config, path);
	r->dir = keep_string(r->config, dir);
	free(dir);
}

static int
is_config_name(const struct dirent *entry)
{
	size_t n = strlen(entry->d_name);

	return entry->d_name[0] != '.' && n > 5 && strcmp(entry->d_name + n - 5, ".conf") == 0;
}

static int
by_bytes(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

static void
read_sites_dir(
    struct reader *r, const config_setting_t *root, const struct site *defaults, bool enabled)
{
	static const char *const only_sites[] = { "sites", NULL };
	const char *dir = get_path(r, root, "sites_dir");
	struct dirent **entries;
	config_t parsed;
	int n;

	if (dir == NULL)
		return;
	n = scandir(dir, &entries, is_config_name, by_bytes);
	if (n < 0) {
		mistake(r, config_setting_get_member(root, "sites_dir"),
		    "sites_dir: cannot read \"%s\": %s", dir, strerror(errno));
		return;
	}
	for (int i = 0; i < n; i++) {
		char *path = xasprintf("%s/%s", dir, entries[i]->d_name);

		enter_file(r, path);
		if (parse_file(r, &parsed)) {
			check_keys(r, config_root_setting(&parsed), only_sites, no_keys);
			read_sites(r, config_root_setting(&parsed), defaults, enabled);
		}
		config_destroy(&parsed);
		free(path);
		free(entries[i]);
	}
	free(entries);
}

/* --- the whole --------------------------------------------------------------------------- */

static int
compare_sites(const void *a, const void *b)
{
	const struct site *const *x = a, *const *y = b;
	int order = strcmp((*x)->name, (*y)->name);

	return order != 0 ? order : (*x > *y) - (*x < *y);
}

/* Duplicates are named by both of their places; the index remains for config_find_site(). */
static void
finish_sites(struct reader *r)
{
	struct config *c = r->config;
	const struct site **index = xcalloc(r->site_count, sizeof(*index));
	struct site *sites = xcalloc(r->site_count, sizeof(*sites));
	size_t named = 0;

	for (size_t i = 0; i < r->site_count; i++)
		if (r->sites[i].name != NULL)
			index[named++] = &r->sites[i];
	qsort(index, named, sizeof(*index), compare_sites);
	for (size_t i = 1; i < named; i++)
		if (strcmp(index[i]->name, index[i - 1]->name) == 0)
			mistakes_add(r->mistakes, index[i]->at,
			    "name: \"%s\" is used already at %s:%d", index[i]->name,
			    index[i - 1]->at.file, index[i - 1]->at.line);

	for (size_t i = 0; i < r->site_count; i++)
		if (r->enabled[i])
			sites[c->site_count++] = r->sites[i];
	c->sites = sites;
	if (c->site_count == 0 && r->mistakes->count == 0)
		mistakes_add(r->mistakes, (struct origin){ c->file, 0 }, "no enabled site");
	if (r->mistakes->count == 0) {
		for (size_t i = 0; i < c->site_count; i++)
			index[i] = &sites[i];
		qsort(index, c->site_count, sizeof(*index), compare_sites);
	}
	c->private->by_name = index;
}

static void
read_main_file(struct reader *r, const config_setting_t *root)
{
	static const char *const no_headers[] = { NULL };
	static const struct status_range success = { 200, 299 };
	struct site defaults = { .interval_us = 60 * US_PER_S,
		.method = "GET",
		.headers = no_headers,
		.user_agent = "webmond/" VERSION,
		.expect_status = "200-299",
		.expect = &success,
		.expect_count = 1,
		.body_limit = 1024 * 1024,
		.follow_redirects = 5,
		.verify_tls = true };
	struct config *c = r->config;
	config_setting_t *group, *s;
	bool enabled = true;
	const char *text;

	check_keys(r, root, top_keys, top_reserved);
	if ((text = get_short_text(r, root, "instance", INSTANCE_MAX)) != NULL)
		c->instance = text;
	c->location = get_short_text(r, root, "location", INSTANCE_MAX);
	c->user = get_short_text(r, root, "user", 32);
	c->checker_user = get_short_text(r, root, "checker_user", 32);
	s = config_setting_get_member(root, "user");
	c->user_at = origin_of(r, s);
	s = config_setting_get_member(root, "checker_user");
	c->checker_user_at = origin_of(r, s);
	if ((text = get_path(r, root, "pid_file")) != NULL) {
		c->pid_file = text;
		c->pid_file_set = true;
	}
	read_log(r, root);
	read_workers(r, root);
	read_spool(r, root);
	read_kafka(r, root);
	/* name and url make no sense there */
	group = get_group(r, root, "defaults", site_keys + 2, site_reserved);
	if (group != NULL)
		read_site_keys(r, group, &defaults, &enabled);
	read_sites(r, root, &defaults, enabled);
	read_sites_dir(r, root, &defaults, enabled);
}

struct config *
config_load(const char *path, struct mistakes *mistakes)
{
	struct config *c = xcalloc(1, sizeof(*c));
	struct reader r = { .config = c, .mistakes = mistakes };
	char host[HOST_NAME_MAX + 1] = "localhost";
	config_t parsed;

	c->private = xcalloc(1, sizeof(*c->private));
	gethostname(host, sizeof(host) - 1);
	host[INSTANCE_MAX] = '\0';
	c->instance = keep_string(c, host);
	c->pid_file = RUNSTATEDIR "/webmond.pid";
	c->spool_dir = LOCALSTATEDIR "/lib/webmond";
	c->spool_max_bytes = INT64_C(1024) * 1024 * 1024;
	c->spool_sync_full = true;
	c->workers_min = 4;
	c->workers_max = 64;
	c->log_destination = LOG_TO_SYSLOG;
	c->log_level = LOG_LEVEL_INFO;

	enter_file(&r, path);
	c->file = r.file;
	if (parse_file(&r, &parsed))
		read_main_file(&r, config_root_setting(&parsed));
	config_destroy(&parsed);
	finish_sites(&r);
	free(r.sites);
	free(r.enabled);
	free(r.bad_lines);
	if (mistakes->count == 0)
		return c;
	config_free(c);
	return NULL;
}

ssize_t
config_find_site(const struct config *config, const char *name)
{
	size_t low = 0, high = config->site_count;

	while (low < high) {
		size_t middle = (low + high) / 2;
		int order = strcmp(config->private->by_name[middle]->name, name);

		if (order == 0)
			return config->private->by_name[middle] - config->sites;
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return -1;
}

static bool
same_text(const char *a, const char *b)
{
	return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

static bool
same_headers(const char *const *a, const char *const *b)
{
	for (; *a != NULL && *b != NULL; a++, b++)
		if (strcmp(*a, *b) != 0)
			return false;
	return *a == *b;
}

bool
config_site_equal(const struct site *a, const struct site *b)
{
	if (a->pattern_count != b->pattern_count)
		return false;
	for (size_t i = 0; i < a->pattern_count; i++)
		if (strcmp(a->patterns[i].text, b->patterns[i].text) != 0 ||
		    a->patterns[i].negated != b->patterns[i].negated)
			return false;
	return strcmp(a->name, b->name) == 0 && strcmp(a->url, b->url) == 0 &&
	       a->interval_us == b->interval_us && a->timeout_us == b->timeout_us &&
	       strcmp(a->method, b->method) == 0 && same_headers(a->headers, b->headers) &&
	       same_text(a->body, b->body) && strcmp(a->user_agent, b->user_agent) == 0 &&
	       strcmp(a->expect_status, b->expect_status) == 0 && a->body_limit == b->body_limit &&
	       a->follow_redirects == b->follow_redirects && a->verify_tls == b->verify_tls &&
	       a->keepalive == b->keepalive && a->ip_version == b->ip_version &&
	       same_text(a->labels, b->labels);
}
