/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * The text of an assertion about JSON: `$.path OP value`, or a path alone. Pointers lead into the
 * text; nothing is copied.
 */
#ifndef WEBMOND_JSON_ASSERTION_H
#define WEBMOND_JSON_ASSERTION_H

#include <stdbool.h>
#include <stddef.h>

/* As it stands in the configuration. */
#define JSON_EXAMPLE "\"$.status == \\\"ok\\\"\""

enum json_relation {
	JSON_EXISTS, /* a path alone */
	JSON_EQUAL,
	JSON_NOT_EQUAL,
	JSON_AT_MOST,
	JSON_AT_LEAST,
	JSON_LESS,
	JSON_MORE,
	JSON_MATCHES,
};

struct json_assertion {
	const char *path; /* for json_next_step() */
	enum json_relation relation;
	const char *value; /* a JSON value, not yet looked at; of JSON_MATCHES a pattern */
	size_t value_size;
};

/* One step of a path: a member of an object, or an element of an array. */
struct json_step {
	const char *name; /* NULL: by its index */
	size_t name_size;
	int index;
	bool from_end; /* the index counts from the end of the array; the last element is 1 */
};

/* Read an assertion. Returns NULL, or a sentence about what is wrong with it. */
const char *json_assertion_read(struct json_assertion *a, const char *text);

/* Take the next step off `*path`. Returns false if there is no other. */
bool json_next_step(const char **path, struct json_step *step);

#endif
