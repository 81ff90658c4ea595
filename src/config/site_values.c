/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * The values of the keys of a site: what is wrong with a string, and strings that become something
 * else. Called along the table in keys.c.
 */
#include "internal.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

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

const char *
config_wrong_name(const char *value)
{
	if (consists_of(value, LETTERS DIGITS "._-") && strlen(value) <= CONFIG_NAME_MAX)
		return NULL;
	return "must be 1 to 64 of letters, digits, '.', '_' and '-'";
}

const char *
config_wrong_url(const char *value)
{
	const char *host = strstr(value, "://"), *end, *port;

	if (strncasecmp(value, "http://", 7) != 0 && strncasecmp(value, "https://", 8) != 0)
		return "must begin with http:// or https://";
	host += 3;
	end = host + strcspn(host, "/?#");
	if (memchr(host, '@', (size_t)(end - host)) != NULL)
		return "must not contain a user or password; set auth = \"basic\", username and "
		       "password_file instead";
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

const char *
config_wrong_method(const char *value)
{
	if (strlen(value) > 16 || !consists_of(value, "ABCDEFGHIJKLMNOPQRSTUVWXYZ-_"))
		return "must be 1 to 16 capital letters";
	return strcmp(value, "CONNECT") == 0 ? "CONNECT is for proxies" : NULL;
}

/* Whether it begins with the name of a header and a colon, and goes on. */
static bool
is_header(const char *value)
{
	size_t name = strspn(value, LETTERS DIGITS "!#$%&'*+-.^_`|~");

	return name > 0 && value[name] == ':' && !consists_of(value + name + 1, " ");
}

const char *
config_wrong_header_pattern(const char *value)
{
	return is_header(value) ? NULL : "must look like \"Name: pattern\"";
}

const char *
config_wrong_header(const char *value)
{
	if (!is_header(value))
		return "must look like \"Name: value\"";
	if (strncasecmp(value, "Content-Length:", 15) == 0)
		return "Content-Length follows from body; leave it out";
	return NULL;
}

const char *
config_wrong_username(const char *value)
{
	return strchr(value, ':') != NULL ? "must not contain ':', which ends a name" : NULL;
}

const char *
config_wrong_label(const char *value)
{
	const char *equals = strchr(value, '=');

	if (equals == NULL || equals == value || strchr(value, ',') != NULL)
		return "must look like \"key=value\", without a comma";
	return NULL;
}

/* Whether `text` is an address; IPv6 with or without brackets. */
static bool
read_address(struct resolve *out, const char *text)
{
	unsigned char binary[sizeof(struct in6_addr)];
	size_t n = strlen(text);
	bool brackets = text[0] == '[' && text[n - 1] == ']';

	if (n >= sizeof(out->ip))
		return false;
	snprintf(out->ip, sizeof(out->ip), "%.*s", (int)(brackets ? n - 2 : n), text + brackets);
	out->is_v6 = inet_pton(AF_INET6, out->ip, binary) == 1;
	return out->is_v6 || (!brackets && inet_pton(AF_INET, out->ip, binary) == 1);
}

const char *
config_read_resolve(struct resolve *out, const char *value)
{
	const char *end = value + (value[0] == '[' ? strcspn(value, "]") : strcspn(value, ":"));
	size_t digits;

	*out = (struct resolve){ .port = 0 };
	if (value[0] == '\0' || read_address(out, value))
		return value[0] == '\0' ? "must not be empty" : NULL;
	end += *end == ']';
	digits = *end == ':' ? strspn(end + 1, DIGITS) : 0;
	if (end == value || digits == 0 || end[1 + digits] != ':')
		return "must look like \"host:port:address\", or be an address alone, for the host "
		       "of the url";
	out->port = digits <= 5 ? atoi(end + 1) : 0;
	if (out->port < 1 || out->port > 65535)
		return "the port must be 1 to 65535";
	if ((size_t)(end - value) >= sizeof(out->host) ||
	    (value[0] != '[' && strspn(value, LETTERS DIGITS "._-") != (size_t)(end - value)))
		return "the host in front of the port is no host";
	memcpy(out->host, value, (size_t)(end - value));
	if (!read_address(out, end + 2 + digits))
		return "what stands behind the port must be an address: no name is looked up for "
		       "it";
	return NULL;
}

const char *
config_wrong_resolve(const char *value)
{
	struct resolve r;

	return config_read_resolve(&r, value);
}

const char *
config_wrong_server_name(const char *value)
{
	struct resolve address;

	if (read_address(&address, value))
		return "must be a name: TLS has none for an address";
	if (!consists_of(value, LETTERS DIGITS "._-") || strlen(value) > 253)
		return "must be the name of a host, without a scheme and a port";
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

void
config_store_status(struct reader *r, const struct string_list *strings)
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

void
config_store_labels(struct reader *r, const struct string_list *strings)
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

/* A key replaces its own patterns of `defaults`; those of its negation, in the same list, stay. */
void
config_store_patterns(struct reader *r, const struct string_list *strings)
{
	struct patterns *list = (struct patterns *)((char *)strings->target + strings->key->field);
	bool negated = strings->key->negated;
	struct pattern *patterns = config_alloc(
	    r->config, (list->count + strings->count) * sizeof(*patterns));
	size_t n = 0;

	for (size_t i = 0; negated && i < list->count; i++)
		if (!list->items[i].negated)
			patterns[n++] = list->items[i];
	for (size_t i = 0; i < strings->count; i++) {
		if (has_delimiters(strings->items[i].value))
			config_warning(r, strings->items[i].at.line,
			    "%s: the slashes round the pattern are looked for in the body; write "
			    "\"(?i)…\" without slashes for one that ignores case",
			    strings->key->name);
		patterns[n++] = (struct pattern){ strings->items[i].value, negated,
			strings->items[i].at };
	}
	for (size_t i = 0; !negated && i < list->count; i++)
		if (list->items[i].negated)
			patterns[n++] = list->items[i];
	*list = (struct patterns){ patterns, n };
}
