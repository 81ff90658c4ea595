/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * A file of the configuration to values: libconfig parses, the tables of keys say what may stand
 * there and where it goes. The only file that knows libconfig.
 */
#include "internal.h"

#include <libconfig.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int
line_of(const config_setting_t *s)
{
	return (int)config_setting_source_line(s);
}

/* --- names of keys ----------------------------------------------------------------------- */

static const struct key *
find_key(const struct key *keys, const char *name)
{
	for (; keys->name != NULL; keys++)
		if (strcmp(name, keys->name) == 0)
			return keys;
	return NULL;
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

/* NULL: no string, or a wrong one, which has been noted. */
static const char *
get_text(struct reader *r, const struct key *key, const config_setting_t *s)
{
	const char *value = config_setting_get_string(s), *why;
	int line = line_of(s);

	if (value == NULL) {
		config_mistake(r, line, "%s: must be a string in quotes%s", key->name,
		    key->kind == KEY_TEXTS ? ", or a list of strings" : "");
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
		return config_strdup(r->config, value);
	return NULL;
}

static void
read_texts(struct reader *r, const struct key *key, const config_setting_t *s, void *target)
{
	bool list = key->kind == KEY_TEXTS &&
		    (config_setting_is_array(s) || config_setting_is_list(s));
	int length = list ? config_setting_length(s) : 1;
	struct config_text *items = xcalloc((size_t)length, sizeof(*items));
	size_t count = 0;

	for (int i = 0; i < length; i++) {
		const config_setting_t *item = list ? config_setting_get_elem(s, (unsigned)i) : s;
		const char *value = get_text(r, key, item);

		if (value != NULL)
			items[count++] = (struct config_text){ value, { r->file, line_of(item) } };
	}
	key->store(r, &(struct strings){ key, target, line_of(s), items, count });
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

static const char *
get_path(struct reader *r, const struct key *key, const config_setting_t *s)
{
	const char *value = get_text(r, key, s);
	char *path;

	if (value == NULL || value[0] == '/')
		return value;
	path = xasprintf("%s%s", r->dir, value);
	value = config_strdup(r->config, path);
	free(path);
	return value;
}

static void
read_group(struct reader *r, const config_setting_t *group, const struct key *keys, void *target);

static void
read_value(struct reader *r, const struct key *key, const config_setting_t *s, void *target)
{
	void *field = (char *)target + key->field;
	const char *text;
	double number;
	int word;

	switch (key->kind) {
	case KEY_TEXT:
	case KEY_TEXTS:
		if (key->store != NULL)
			read_texts(r, key, s, target);
		else if ((text = get_text(r, key, s)) != NULL)
			*(const char **)field = text;
		break;
	case KEY_PATH:
		if ((text = get_path(r, key, s)) != NULL)
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
		if (config_setting_is_group(s))
			read_group(r, s, key->keys, field);
		else
			config_mistake(r, line_of(s), "%s: must be a group: %s = { … };", key->name,
			    key->name);
		break;
	case KEY_SITES:
		break;
	}
	if (key->line != 0)
		*(int *)((char *)target + key->line) = line_of(s);
}

static void
read_group(struct reader *r, const config_setting_t *group, const struct key *keys, void *target)
{
	for (int i = 0; i < config_setting_length(group); i++) {
		const config_setting_t *s = config_setting_get_elem(group, (unsigned)i);
		const struct key *key = find_key(keys, config_setting_name(s));

		if (key != NULL)
			read_value(r, key, s, target);
		else
			config_unknown_key(r, line_of(s), config_setting_name(s), keys);
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

		site.file = r->file;
		site.line = line_of(s);
		site.timeout_line = site.body_limit_line = 0;
		if (!config_setting_is_group(s)) {
			config_mistake(
			    r, site.line, "sites: each must be a group { name = …; url = …; }");
			continue;
		}
		read_group(r, s, config_site_keys, &site);
		config_add_site(r, &site);
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
 * Whether there are values in `parsed`: those of the text, or if it cannot be parsed, of what is
 * left of it when its mistakes are told and taken out; then it was not `*clean`.
 */
static bool
parse(struct reader *r, config_t *parsed, const char *text, bool hopeless, bool *clean)
{
	const char *why;
	char *rest;
	bool told, good;

	*clean = !hopeless && parse_text(parsed, text);
	if (*clean)
		return true;
	rest = config_explain_syntax(r, text, &told);
	good = told && rest != NULL && parse_text(parsed, rest);
	free(rest);
	why = config_error_text(parsed);
	if (!good && (!told || (rest != NULL && strcmp(why, "syntax error") != 0)))
		config_mistake(r, config_error_line(parsed), "%s%s", why,
		    strcmp(why, "syntax error") == 0
			? ": a quote, bracket or comma too few or too many, here or before"
			: "");
	return good;
}

bool
config_take_file(struct reader *r, const char *path, const struct key *keys, void *target)
{
	char *dir = util_directory_of(path), *text;
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
		read_group(r, config_root_setting(&parsed), keys, target);
		/* behind what they inherit, wherever that stands */
		sites = config_lookup(&parsed, "sites");
		if (sites != NULL)
			read_sites(r, sites);
	}
	config_destroy(&parsed);
	return clean;
}
