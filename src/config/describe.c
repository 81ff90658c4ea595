/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * A site as it is in force, for whoever asks the daemon. Along the table of keys, so that no key is
 * forgotten. Called by the supervisor; nothing is fatal.
 */
#include "internal.h"

#include <stdio.h>
#include <string.h>

/* What is too long is cut, and says so. */
#define VALUE_MAX 1024

struct value {
	char text[VALUE_MAX + 1];
	size_t size;
};

static void
add(struct value *v, const char *text, size_t size)
{
	if (v->size > 0)
		v->size += (size_t)snprintf(v->text + v->size, 3, ", ");
	v->size += util_clean_text(v->text + v->size, sizeof(v->text) - v->size, text, size);
}

/* Room for another one, and for what stands between them. */
static bool
has_room(const struct value *v)
{
	return v->size < VALUE_MAX - 8;
}

/* Of a header the name: its value may be a secret. */
static void
add_strings(struct value *v, const struct key *key, const char *const *strings)
{
	bool header = strcmp(key->name, "headers") == 0;

	for (; strings != NULL && *strings != NULL && has_room(v); strings++)
		add(v, *strings, header ? strcspn(*strings, ":") : strlen(*strings));
}

static void
add_patterns(struct value *v, const struct key *key, const struct patterns *patterns)
{
	for (size_t i = 0; i < patterns->count && has_room(v); i++)
		if (patterns->items[i].negated == key->negated)
			add(v, patterns->items[i].text, strlen(patterns->items[i].text));
}

/* A query and a body may hold secrets. */
static void
add_string(struct value *v, const struct key *key, const char *string)
{
	size_t size = string != NULL ? strlen(string) : 0;

	if (size == 0)
		return;
	if (strcmp(key->name, "body") == 0)
		v->size = (size_t)snprintf(v->text, sizeof(v->text), "%zu bytes", size);
	else
		add(v, string, strcmp(key->name, "url") == 0 ? strcspn(string, "?#") : size);
}

static void
add_value(struct value *v, const struct key *key, const void *field)
{
	switch (key->kind) {
	case KEY_STRINGS:
		add_strings(v, key, *(const char *const *const *)field);
		return;
	case KEY_PATTERNS:
		add_patterns(v, key, field);
		return;
	case KEY_STRING:
	case KEY_JOINED:
	case KEY_PATH:
		add_string(v, key, *(const char *const *)field);
		return;
	case KEY_WORD:
		add_string(v, key, key->words[*(const unsigned *)field]);
		return;
	case KEY_INTEGER:
		snprintf(v->text, sizeof(v->text), "%d", *(const int *)field);
		return;
	case KEY_KIB:
		snprintf(v->text, sizeof(v->text), "%zu", *(const size_t *)field / 1024);
		return;
	case KEY_MIB:
		snprintf(v->text, sizeof(v->text), "%lld",
		    (long long)*(const int64_t *)field / (1024 * 1024));
		return;
	case KEY_SECONDS:
		snprintf(
		    v->text, sizeof(v->text), "%.10g", (double)*(const int64_t *)field / US_PER_S);
		return;
	case KEY_BOOL:
		add_string(v, key, *(const bool *)field ? "true" : "false");
		return;
	case KEY_GROUP:
	case KEY_DEFAULTS:
	case KEY_SITES:
		return; /* a site has none */
	}
}

const char *
config_describe_site(const struct site *site, size_t i, char *value, size_t size)
{
	const struct key *key = config_site_keys;
	struct value v = { 0 };

	while (key->name != NULL && i-- > 0)
		key++;
	if (key->name == NULL)
		return NULL;
	add_value(&v, key, (const char *)site + key->field);
	util_clean_text(value, size, v.text, strlen(v.text));
	return key->name;
}
