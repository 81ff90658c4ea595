/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * A file of the configuration to values: libconfig parses the text, the tables of keys say which
 * values are valid and where they go. The only file that uses libconfig.
 */
#include "internal.h"

#include <libconfig.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/*
 * At most this many keys of a group have a line; the main file counts as one with all its groups.
 */
#define KEYS_MAX 96

static int
line_of(const config_setting_t *s)
{
	return (int)config_setting_source_line(s);
}

/* --- values ------------------------------------------------------------------------------ */

static bool
get_number(struct reader *r, const struct key *key, const config_setting_t *s, double *value)
{
	bool whole = key->kind != KEY_SECONDS;

	if (config_setting_type(s) == CONFIG_TYPE_INT)
		*value = config_setting_get_int(s);
	else if (config_setting_type(s) == CONFIG_TYPE_INT64)
		*value = (double)config_setting_get_int64(s);
	else if (config_setting_type(s) == CONFIG_TYPE_FLOAT && !whole)
		*value = config_setting_get_float(s);
	else {
		config_mistake(r, line_of(s), "%s: must be a %snumber without quotes", key->name,
		    whole ? "whole " : "");
		return false;
	}
	if (*value >= key->min && *value <= key->max)
		return true;
	config_mistake(r, line_of(s), "%s: must be %.10g to %.10g", key->name, key->min, key->max);
	return false;
}

static const char *
wrong_characters(const char *text, bool lines)
{
	for (size_t n; *text != '\0'; text += n) {
		n = util_utf8_length(text, 4); /* stops at the NUL */
		if (n == 0)
			return "is not valid UTF-8";
		if (((unsigned char)*text < 0x20 || *text == 0x7f ||
			(*text == '\xc2' && (unsigned char)text[1] < 0xa0)) &&
		    !(lines && strchr("\r\n\t", *text) != NULL))
			return "contains a control character; write backslashes doubled "
			       "(\"\\\\bword\\\\b\")";
	}
	return NULL;
}

/* NULL: there is no valid string; that has been reported. */
static const char *
get_string(struct reader *r, const struct key *key, const config_setting_t *s)
{
	const char *value = config_setting_get_string(s), *why;
	int line = line_of(s);

	if (value == NULL) {
		config_mistake(r, line, "%s: must be a string in quotes%s", key->name,
		    key->kind == KEY_STRINGS || key->kind == KEY_JOINED || key->kind == KEY_PATTERNS
			? ", or a list of strings"
			: "");
		return NULL;
	}
	why = wrong_characters(value, key->lines);
	if (why == NULL && value[0] == '\0' && key->min > 0)
		why = "must not be empty";
	if (why == NULL && key->wrong != NULL)
		why = key->wrong(value);
	if (why != NULL)
		config_mistake(r, line, "%s: %s", key->name, why);
	else if (key->max > 0 && (double)config_encoded_size(value) > key->max)
		config_mistake(r, line, "%s: is longer than %g bytes", key->name, key->max);
	else
		return config_join(r->config,
		    key->kind == KEY_PATH && value[0] != '/' && value[0] != '\0' ? r->dir : "",
		    value);
	return NULL;
}

static const char *const *
list_of(struct reader *r, const struct config_string *items, size_t count)
{
	const char **list = config_alloc(r->config, (count + 1) * sizeof(*list));

	for (size_t i = 0; i < count; i++)
		list[i] = items[i].value;
	return list;
}

static void
read_strings(struct reader *r, const struct key *key, const config_setting_t *s, void *target)
{
	bool list = key->kind != KEY_STRING &&
		    (config_setting_is_array(s) || config_setting_is_list(s));
	int length = list ? config_setting_length(s) : 1;
	struct config_string *items = xcalloc((size_t)length, sizeof(*items));
	size_t count = 0;

	for (int i = 0; i < length; i++) {
		const config_setting_t *item = list ? config_setting_get_elem(s, (unsigned)i) : s;
		const char *value = get_string(r, key, item);

		if (value != NULL)
			items[count++] = (struct config_string){ value,
				{ r->file, line_of(item) } };
	}
	if (key->store != NULL)
		key->store(r,
		    &(struct string_list){ key, target, line_of(s), items, count, (size_t)length });
	else
		*(const char *const **)((char *)target + key->field) = list_of(r, items, count);
	free(items);
}

/* The index of the word in its list, or -1. */
static int
get_word(struct reader *r, const struct key *key, const config_setting_t *s)
{
	const char *value = config_setting_get_string(s);
	char list[128] = "";

	for (int i = 0; key->words[i] != NULL; i++) {
		const char *before = i == 0 ? "" : key->words[i + 1] != NULL ? ", " : " or ";

		if (value != NULL && strcmp(value, key->words[i]) == 0)
			return i;
		snprintf(list + strlen(list), sizeof(list) - strlen(list), "%s\"%s\"", before,
		    key->words[i]);
	}
	config_mistake(r, line_of(s), "%s: must be %s", key->name, list);
	return -1;
}

static void
read_value(struct reader *r, const struct key *key, const config_setting_t *s, void *target)
{
	void *field = (char *)target + key->field;
	const char *text;
	double number;
	int word;

	switch (key->kind) {
	case KEY_STRINGS:
	case KEY_JOINED:
	case KEY_PATTERNS:
		read_strings(r, key, s, target);
		break;
	case KEY_STRING:
	case KEY_PATH:
		if (key->store != NULL)
			read_strings(r, key, s, target);
		else if ((text = get_string(r, key, s)) != NULL)
			*(const char **)field = text;
		break;
	case KEY_WORD:
		if ((word = get_word(r, key, s)) >= 0)
			*(unsigned *)field = (unsigned)word;
		break;
	case KEY_INTEGER:
		if (get_number(r, key, s, &number))
			*(int *)field = (int)number;
		break;
	case KEY_KIB:
		if (get_number(r, key, s, &number))
			*(size_t *)field = (size_t)number * 1024;
		break;
	case KEY_MIB:
		if (get_number(r, key, s, &number))
			*(int64_t *)field = (int64_t)number * 1024 * 1024;
		break;
	case KEY_SECONDS:
		if (get_number(r, key, s, &number))
			*(int64_t *)field = (int64_t)(number * 1000 + 0.5) * US_PER_MS;
		break;
	case KEY_BOOL:
		if (config_setting_type(s) == CONFIG_TYPE_BOOL)
			*(bool *)field = config_setting_get_bool(s);
		else
			config_mistake(r, line_of(s), "%s: must be true or false", key->name);
		break;
	case KEY_GROUP:
	case KEY_DEFAULTS:
	case KEY_SITES:
		break; /* not here: see read_subgroup() and read_sites() */
	}
}

/* --- groups ------------------------------------------------------------------------------ */

/* The lines of the keys of a group, as they are read. */
struct lines {
	int first; /* line of the file */
	struct key_line keys[KEYS_MAX + 1];
	size_t count;
};

static bool
same_lines(const struct key_line *a, const struct key_line *b)
{
	while (b->key != NULL && a->key == b->key && a->lines == b->lines)
		a++, b++;
	return a->key == NULL && b->key == NULL;
}

/* Many sites have the same keys at the same distances: those share one list. */
static const struct key_line *
share_lines(struct reader *r, const struct lines *lines)
{
	size_t size = (lines->count + 1) * sizeof(*lines->keys), hash = 0;
	const struct key_line **known;

	for (size_t i = 0; i < lines->count; i++)
		hash = 31 * hash + (uintptr_t)lines->keys[i].key + (size_t)lines->keys[i].lines;
	known = &r->known[hash % ARRAY_LENGTH(r->known)];
	if (*known == NULL || !same_lines(*known, lines->keys))
		*known = memcpy(config_alloc(r->config, size), lines->keys, size);
	return *known;
}

static void read_group(struct reader *r, const config_setting_t *group, const struct key *keys,
    void *target, struct lines *lines, const char *name);

/* A group whose keys are a site's. */
static void
read_site(struct reader *r, const config_setting_t *s, const struct key *keys, struct site *site)
{
	struct lines lines = { .first = line_of(s) };

	site->at = (struct origins){ r->file, lines.first, NULL };
	read_group(r, s, keys, site, &lines, NULL);
	site->at.keys = share_lines(r, &lines);
}

static void
read_subgroup(struct reader *r, const config_setting_t *s, const struct key *key, void *target,
    struct lines *lines)
{
	if (!config_setting_is_group(s))
		config_mistake(
		    r, line_of(s), "%s: must be a group: %s = { … };", key->name, key->name);
	else if (key->kind == KEY_DEFAULTS)
		read_site(r, s, key->keys, (struct site *)((char *)target + key->field));
	else
		read_group(r, s, key->keys, target, lines, config_join(r->config, key->name, "."));
}

static void
note_line(struct reader *r, struct lines *lines, const char *group, const struct key *key, int line)
{
	const char *name = group != NULL ? config_join(r->config, group, key->name) : key->name;

	if (lines->count < KEYS_MAX)
		lines->keys[lines->count++] = (struct key_line){ name, line - lines->first };
}

/*
 * `name`: of a group of the main file, whose values go into the same struct, with a dot; else NULL.
 */
static void
read_group(struct reader *r, const config_setting_t *group, const struct key *keys, void *target,
    struct lines *lines, const char *name)
{
	for (int i = 0; i < config_setting_length(group); i++) {
		const config_setting_t *s = config_setting_get_elem(group, (unsigned)i);
		const struct key *key = config_find_key(keys, config_setting_name(s));

		if (key == NULL) {
			config_unknown_key(r, line_of(s), config_setting_name(s), keys);
			continue;
		}
		note_line(r, lines, name, key, line_of(s));
		if (key->keys != NULL)
			read_subgroup(r, s, key, target, lines);
		else
			read_value(r, key, s, target);
	}
	for (; keys->name != NULL; keys++)
		if (keys->required && config_setting_get_member(group, keys->name) == NULL)
			config_mistake(r, line_of(group), "%s: is missing", keys->name);
}

static void
read_sites(struct reader *r, const config_setting_t *sites)
{
	if (!config_setting_is_list(sites)) {
		config_mistake(
		    r, line_of(sites), "sites: must be a list: sites = ( { … }, { … } );");
		return;
	}
	for (int i = 0; i < config_setting_length(sites); i++) {
		const config_setting_t *s = config_setting_get_elem(sites, (unsigned)i);
		struct site site = r->config->defaults;

		if (config_setting_is_group(s)) {
			read_site(r, s, config_site_keys, &site);
			config_add_site(r, &site);
		} else {
			config_mistake(
			    r, line_of(s), "sites: each must be a group { name = …; url = …; }");
		}
	}
}

static bool
parse_text(config_t *parsed, const char *text)
{
	config_destroy(parsed);
	config_init(parsed);
	return config_read_string(parsed, text) == CONFIG_TRUE;
}

/*
 * Returns whether `parsed` has values: those of `text` or, if it cannot be parsed (`*clean` is
 * false then), those of a copy without the mistakes that were reported.
 */
static bool
parse(struct reader *r, config_t *parsed, const char *text, bool hopeless, bool *clean)
{
	const char *why;
	char *rest;
	const size_t before = r->config->mistakes.count;
	bool explained, good;

	*clean = !hopeless && parse_text(parsed, text);
	if (*clean)
		return true;
	rest = config_explain_syntax(r, text);
	explained = r->config->mistakes.count > before;
	good = explained && rest != NULL && parse_text(parsed, rest);
	free(rest);
	why = config_error_text(parsed);
	if (!good && (!explained || (rest != NULL && strcmp(why, "syntax error") != 0)))
		config_mistake(r, config_error_line(parsed), "%s%s", why,
		    strcmp(why, "syntax error") == 0
			? ": a quote, bracket or comma too few or too many, here or before"
			: "");
	return good;
}

bool
config_parse_file(struct reader *r, const char *path, const struct key *keys, void *target)
{
	char *dir = util_directory_of(path), *text;
	struct lines lines = { .first = 1 };
	config_setting_t *sites;
	config_t parsed;
	bool hopeless, good, clean;

	r->file = config_strdup(r->config, path);
	r->dir = config_strdup(r->config, dir);
	free(dir);
	text = config_read_text(r, &hopeless);
	if (text == NULL)
		return false;
	config_init(&parsed);
	good = parse(r, &parsed, text, hopeless, &clean);
	free(text);
	if (good) {
		read_group(r, config_root_setting(&parsed), keys, target, &lines, NULL);
		if (target != NULL)
			r->config->at.keys = share_lines(r, &lines);
		/* after `defaults`, wherever that stands in the file */
		sites = config_lookup(&parsed, "sites");
		if (sites != NULL)
			read_sites(r, sites);
	}
	config_destroy(&parsed);
	return clean;
}
