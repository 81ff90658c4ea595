/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * JSON by the functions of SQLite: what a text is, what stands in it, and which value is greater.
 *
 * What is read is JSON as in RFC 8259, whatever the version of SQLite. Memory and time are limited.
 */
#ifndef WEBMOND_JSON_VALUE_H
#define WEBMOND_JSON_VALUE_H

#include <stddef.h>

struct json;
struct sqlite3_value;

enum json_kind {
	JSON_NULL,
	JSON_FALSE,
	JSON_TRUE,
	JSON_NUMBER,
	JSON_STRING,
	JSON_ARRAY,
	JSON_OBJECT,
};

/* All zeros: none. */
struct json_value {
	enum json_kind kind;
	const char *text; /* of a string, decoded; of an array or object its JSON */
	size_t size;
	struct sqlite3_value *sql; /* which holds it; NULL: not decoded, `text` is JSON elsewhere */
};

enum json_outcome {
	JSON_FOUND,
	JSON_NOT_FOUND,
	JSON_LIMIT, /* of time or memory; nothing is known */
};

/* NULL: no memory, or a SQLite without JSON functions. Nothing is limited yet. */
struct json *json_open(void);
void json_free(struct json *json);

/*
 * Around all that is done with a body of `size` bytes: in between as much memory and CPU time may
 * be taken as it needs; at the end what a large one took is given back.
 */
void json_begin(struct json *json, size_t size);
void json_end(struct json *json, size_t size);

/*
 * See of what kind `text` is, which must stay where it is; it is not decoded. JSON_NOT_FOUND: it is
 * not JSON. A zero byte and \u0000 are not to be in it: versions differ.
 */
enum json_outcome
json_read(struct json *json, const char *text, size_t size, struct json_value *value);

/* Decode what json_read() has read; to be released. */
enum json_outcome json_decode(struct json *json, struct json_value *value);

/*
 * What stands at `path`, see json_next_step(), in `whole`: decoded, to be released. The `length` of
 * an array is how many elements it has.
 */
enum json_outcome json_find(
    struct json *json, const struct json_value *whole, const char *path, struct json_value *found);

/* Which of two decoded values of one kind is greater: `*order` is below, above or 0. */
enum json_outcome
json_compare(struct json *json, const struct json_value *a, const struct json_value *b, int *order);

/* Let `text` and `size` be those of a decoded number too; it can not be compared any more. */
void json_print(struct json_value *number);

void json_release(struct json_value *value);

#endif
