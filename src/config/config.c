/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * The configuration as a whole: its files, looking up and comparing sites. Called by main and, at a
 * reload, in a child of the supervisor. Nothing is fatal: every mistake becomes a line.
 */
#include "internal.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/*
 * Parsing has freed several times as much as is in use now, in small pieces: glibc would keep it.
 */
static void
give_back_memory(void)
{
#ifdef __GLIBC__
	malloc_trim(0);
#endif
}

void
config_free(struct config *config)
{
	if (config == NULL)
		return;
	if (config->region_size > 0) {
		munmap(config, config->region_size);
		return;
	}
	config_arena_free(config);
	mistakes_release(&config->mistakes);
	mistakes_release(&config->warnings);
	free(config);
	give_back_memory();
}

struct config *
config_hold(struct config *config)
{
	++*config->holders;
	return config;
}

void
config_release(struct config *config)
{
	if (config != NULL && --*config->holders == 0)
		config_free(config);
}

/* --- reading ----------------------------------------------------------------------------- */

static int
is_config_name(const struct dirent *entry)
{
	size_t n = strlen(entry->d_name);

	return entry->d_name[0] != '.' && n > 5 && strcmp(entry->d_name + n - 5, ".conf") == 0;
}

static void
read_sites_dir(struct reader *r)
{
	const char *dir = r->config->sites_dir;
	struct dirent **entries;
	struct stat st;
	size_t length;
	int n;

	if (dir == NULL)
		return;
	n = scandir(dir, &entries, is_config_name, alphasort);
	if (n < 0) {
		config_mistake(r, config_origin(&r->config->at, "sites_dir").line,
		    "sites_dir: cannot read \"%s\": %s", dir, strerror(errno));
		return;
	}
	if (stat(dir, &st) == 0 && (st.st_mode & S_IWOTH) != 0)
		config_mistake(r, config_origin(&r->config->at, "sites_dir").line,
		    "sites_dir: everybody can write into \"%s\"; do: chmod o-w %s", dir, dir);
	for (length = strlen(dir); length > 1 && dir[length - 1] == '/'; length--)
		;
	for (int i = 0; i < n; i++) {
		char *path = xasprintf("%.*s/%s", (int)length, dir, entries[i]->d_name);

		config_parse_file(r, path, config_sites_keys, NULL);
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

/* For the site, or for its proxy. */
static bool
needs_ca(const struct site *s)
{
	return (s->url != NULL && strncasecmp(s->url, "https:", 6) == 0 && s->verify_tls &&
		   s->ca_file == NULL) ||
	       (s->proxy != NULL && strncasecmp(s->proxy, "https:", 6) == 0);
}

/* The enabled sites first; an index by name, for config_find_site() and to find duplicates. */
static void
arrange_sites(struct reader *r)
{
	struct config *c = r->config;
	struct site *sites = config_alloc(c, r->site_count * sizeof(*sites));
	const struct site **index = config_alloc(c, r->site_count * sizeof(*index));
	size_t n = 0, named = 0;

	for (int enabled = 1; enabled >= 0; enabled--) {
		for (size_t i = 0; i < r->site_count; i++)
			if (r->sites[i].enabled == enabled)
				sites[n++] = r->sites[i];
		if (enabled)
			c->site_count = n;
	}
	for (size_t i = 0; i < n; i++)
		if (sites[i].name != NULL)
			index[named++] = &sites[i];
	for (size_t i = 0; i < c->site_count && !c->needs_ca; i++)
		c->needs_ca = needs_ca(&sites[i]);
	qsort(index, named, sizeof(*index), compare_sites);
	for (size_t i = 1; i < named; i++) {
		const struct site *a = index[i - 1], *b = index[i];

		if (strcmp(a->name, b->name) == 0)
			mistakes_add(&c->mistakes, config_origin(&b->at, "name"),
			    "name: \"%s\" is used already at %s:%d", b->name, a->at.file,
			    config_origin(&a->at, "name").line);
	}
	if (c->site_count == 0 && c->mistakes.count == 0)
		mistakes_add(&c->mistakes, config_origin(&c->at, "sites"), "no enabled site");
	c->sites = sites;
	c->disabled_count = n - c->site_count;
	config_list_files(c);
	c->by_name = index;
	c->named_count = named;
}

static void
finish_workers(struct reader *r)
{
	struct config *c = r->config;

	/* the default of each follows the other */
	if (c->workers_min == 0)
		c->workers_min = c->workers_max > 0 && c->workers_max < 4 ? c->workers_max : 4;
	if (c->workers_max == 0)
		c->workers_max = c->workers_min > 256 ? c->workers_min : 256;
	if (c->workers_min > c->workers_max)
		config_mistake(r, config_origin(&c->at, "workers").line,
		    "workers: min (%d) is greater than max (%d)", c->workers_min, c->workers_max);
}

static void
finish_control(struct reader *r)
{
	struct config *c = r->config;
	size_t size = strlen(c->control_socket);

	if (size == 0)
		c->control_socket = NULL;
	else if (size > CONFIG_SOCKET_MAX)
		config_mistake(r, config_origin(&c->at, "control.socket").line,
		    "socket: \"%s\" is %zu bytes long, and a path of a socket has at most %d: take a "
		    "shorter one",
		    c->control_socket, size, CONFIG_SOCKET_MAX);
}

static void
finish_group(struct reader *r)
{
	struct config *c = r->config;
	const char *wrong = config_wrong_name(c->instance);

	if (c->kafka_group == NULL && config_gives(&c->at, "kafka.alone") &&
	    !config_gives(&c->at, "kafka.group"))
		config_mistake(r, config_origin(&c->at, "kafka.alone").line,
		    "alone: is for members of a group; set group, or leave it out");
	if (c->kafka_group != NULL && wrong != NULL)
		config_mistake(r, config_origin(&c->at, "instance").line,
		    "instance: in a group (kafka.group) it names the member to Kafka, and %s",
		    wrong);
}

static void
load(struct config *c, const char *path)
{
	static const char *const no_headers[] = { NULL };
	static const struct status_range success = { 200, 299 };
	struct reader r = { .config = c };
	const size_t room = c->region_room;
	char host[HOST_NAME_MAX + 1] = "localhost";

	*c = (struct config){ .pid_file = RUNSTATEDIR "/webmond.pid",
		.log_destination = LOG_TO_SYSLOG,
		.log_level = LOG_LEVEL_INFO,
		.control_socket = CONFIG_CONTROL_SOCKET,
		.spool_dir = LOCALSTATEDIR "/lib/webmond",
		.spool_max_bytes = INT64_C(1024) * 1024 * 1024,
		.spool_sync_full = 1,
		.vantage_timeout_us = 2 * US_PER_S,
		.defaults = { .interval_us = 60 * US_PER_S,
		    .retry_delay_us = US_PER_S,
		    .method = "GET",
		    .headers = no_headers,
		    .user_agent = "webmond/" VERSION,
		    .expect_status = "200-299",
		    .expect = &success,
		    .expect_count = 1,
		    .body_limit = 1024 * 1024,
		    .follow_redirects = 5,
		    .verify_tls = true,
		    .record_query = true,
		    .decode = true,
		    .tls_min_version = TLS_OF_SYSTEM,
		    .keepalive_lifetime_us = CONFIG_KEEPALIVE_LIFETIME_US,
		    .enabled = true },
		.region_room = room,
		.region_used = sizeof(*c) };
	gethostname(host, sizeof(host) - 1);
	host[64] = '\0'; /* what the record has room for */
	c->instance = config_strdup(c, host);
	c->file = config_strdup(c, path);
	c->at = c->defaults.at = (struct origins){ c->file, 1, NULL };

	c->parsed = config_parse_file(&r, path, config_main_keys, c);
	c->has_kafka = config_gives(&c->at, "kafka");
	finish_workers(&r);
	finish_control(&r);
	finish_group(&r);
	read_sites_dir(&r);
	arrange_sites(&r);
	free(r.sites);
	give_back_memory();
}

struct config *
config_load(const char *path)
{
	struct config *c = xcalloc(1, sizeof(*c));

	load(c, path);
	c->holders = config_alloc(c, sizeof(*c->holders));
	return c;
}

/* The parent logs the warnings of a valid configuration; mistakes are reported by the child. */
static void
move_warnings(struct config *c)
{
	struct mistakes before = c->warnings;

	c->warnings.line = config_alloc(c, before.count * sizeof(*before.line));
	for (size_t i = 0; i < before.count; i++)
		c->warnings.line[i] = (char *)config_strdup(c, before.line[i]);
	mistakes_release(&before);
}

struct config *
config_load_at(void *region, size_t size, const char *path)
{
	const size_t page = (size_t)sysconf(_SC_PAGESIZE);
	struct config *c = region;

	c->region_room = size;
	load(c, path);
	move_warnings(c);
	c->region_used = (c->region_used + page - 1) / page * page;
	c->holders = config_alloc(c, page);
	c->region_size = c->region_used;
	return c;
}

static int
compare_name(const void *name, const void *entry)
{
	return strcmp(name, (*(const struct site *const *)entry)->name);
}

ssize_t
config_find_site(const struct config *c, const char *name)
{
	const struct site *const *found = bsearch(
	    name, c->by_name, c->named_count, sizeof(*c->by_name), compare_name);

	return found != NULL && (*found)->enabled ? *found - c->sites : -1;
}

static bool
same_string(const char *a, const char *b)
{
	return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

static bool
same_strings(const char *const *a, const char *const *b)
{
	/* no list is one without strings */
	for (; a != NULL && b != NULL && *a != NULL && *b != NULL; a++, b++)
		if (strcmp(*a, *b) != 0)
			return false;
	return (a == NULL || *a == NULL) && (b == NULL || *b == NULL);
}

static bool
same_patterns(const struct patterns *a, const struct patterns *b)
{
	if (a->count != b->count)
		return false;
	for (size_t i = 0; i < a->count; i++)
		if (strcmp(a->items[i].text, b->items[i].text) != 0 ||
		    a->items[i].negated != b->items[i].negated)
			return false;
	return true;
}

bool
config_site_equal(const struct site *a, const struct site *b)
{
	static const size_t sizes[] = { [KEY_WORD] = sizeof(unsigned),
		[KEY_INTEGER] = sizeof(int),
		[KEY_KIB] = sizeof(size_t),
		[KEY_MIB] = sizeof(int64_t),
		[KEY_SECONDS] = sizeof(int64_t),
		[KEY_BOOL] = sizeof(bool) };
	bool same = true;

	for (const struct key *key = config_site_keys; key->name != NULL && same; key++) {
		const void *x = (const char *)a + key->field, *y = (const char *)b + key->field;

		if (key->kind == KEY_STRINGS)
			same = same_strings(
			    *(const char *const *const *)x, *(const char *const *const *)y);
		else if (key->kind == KEY_PATTERNS)
			same = same_patterns(x, y);
		else if (key->kind == KEY_STRING || key->kind == KEY_JOINED ||
			 key->kind == KEY_PATH)
			same = same_string(*(const char *const *)x, *(const char *const *)y);
		else
			same = memcmp(x, y, sizes[key->kind]) == 0;
	}
	return same;
}

void
config_compare(struct config *config, const struct config *before)
{
	for (size_t i = 0; i < config->site_count && config->mistakes.count == 0; i++) {
		struct site *site = (struct site *)&config->sites[i];

		site->before = (int)config_find_site(before, site->name);
		site->changed = site->before >= 0 &&
				!config_site_equal(site, &before->sites[site->before]);
	}
}
