/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * JSON by SQLite, in a database in memory that has no tables. Called by body_json; nothing is
 * fatal. This is the only file of the checker that uses SQLite.
 *
 * A path is walked by json_each() step by step, and not given to json_extract(): before 3.45 that
 * takes the names of members as they are written, so that "caf\u00e9" is not found as "café".
 */
#include "json_value.h"

#include <malloc.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>

#include "json_assertion.h"
#include "util.h"

/*
 * CPU time for a body: as for patterns, and more for a large one, since a MiB is read in some 20
 * ms, several times for each assertion.
 */
#define TIME_US(size) (300 * US_PER_MS + (int64_t)(size) / 8)

/*
 * Memory: SQLite copies the body, and takes 16 bytes for each value in it. With 2 MiB for what is
 * found, a checker stays below 16 MB with a body of 1 MiB.
 */
#define HEAP_MAX(size) (2 * 1024 * 1024 + 6 * (int64_t)(size))

/* From here on the memory for a body is given back behind it. */
#define LARGE (256 * 1024)

#define STEPS_BETWEEN_LOOKS 1000 /* at the clock */

/*
 * Each has a type and a value. json_valid() is strict in all versions, but says of a body that
 * memory is too short for that it is no JSON; json_type() fails then.
 */
enum statement {
	KIND,
	WHOLE,
	MEMBER,
	LENGTH,
	ORDER,
	STATEMENTS
};

static const char *const statements[STATEMENTS] = {
	[KIND] = ("SELECT CASE WHEN json_type(?1) IS NULL THEN NULL "
		  "WHEN json_valid(?1) THEN json_type(?1) END, 0"),
	[WHOLE] = "SELECT type, value FROM json_each('[' || ?1 || ']') WHERE key = 0",
	[MEMBER] = "SELECT type, value FROM json_each(?1) WHERE key = ?2 LIMIT 1",
	[LENGTH] = "SELECT 'integer', json_array_length(?1)",
	[ORDER] = "SELECT 'integer', (?1 > ?2) - (?1 < ?2)",
};

struct json {
	sqlite3 *db;
	sqlite3_stmt *prepared[STATEMENTS];
	int64_t end_us; /* of CPU time */
};

static int
on_progress(void *arg)
{
	return util_cpu_us() > ((struct json *)arg)->end_us;
}

void
json_free(struct json *j)
{
	if (j == NULL)
		return;
	for (int i = 0; i < STATEMENTS; i++)
		sqlite3_finalize(j->prepared[i]);
	sqlite3_close(j->db);
	free(j);
}

struct json *
json_open(void)
{
	const int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX;
	struct json *j = xcalloc(1, sizeof(*j));
	bool good = sqlite3_open_v2(":memory:", &j->db, flags, NULL) == SQLITE_OK;

	for (int i = 0; good && i < STATEMENTS; i++)
		good = sqlite3_prepare_v2(j->db, statements[i], -1, &j->prepared[i], NULL) ==
		       SQLITE_OK;
	if (!good) {
		json_free(j);
		return NULL;
	}
	j->end_us = INT64_MAX;
	sqlite3_progress_handler(j->db, STEPS_BETWEEN_LOOKS, on_progress, j);
	return j;
}

static enum json_kind
read_kind(const char *type)
{
	static const char *const types[] = { "null", "false", "true", "integer", "text", "array",
		"object" };

	for (int kind = 0; kind <= JSON_OBJECT; kind++)
		if (strcmp(type, types[kind]) == 0)
			return kind;
	return JSON_NUMBER; /* "real" */
}

void
json_release(struct json_value *value)
{
	sqlite3_value_free(value->sql);
	value->sql = NULL;
}

/*
 * The first row of a statement whose parameters are bound. JSON_NOT_FOUND: there is none, the type
 * is NULL, or what was bound is no JSON, which is SQLITE_ERROR.
 */
static enum json_outcome
ask(struct json *j, enum statement which, struct json_value *answer)
{
	sqlite3_stmt *st = j->prepared[which];
	enum json_outcome outcome = JSON_NOT_FOUND;
	int code = sqlite3_step(st);

	*answer = (struct json_value){ 0 };
	if (code == SQLITE_ROW && sqlite3_column_type(st, 0) != SQLITE_NULL) {
		outcome = JSON_FOUND;
		answer->kind = read_kind((const char *)sqlite3_column_text(st, 0));
		answer->sql = sqlite3_value_dup(sqlite3_column_value(st, 1));
	}
	if (answer->sql != NULL && answer->kind >= JSON_STRING) {
		answer->text = (const char *)sqlite3_value_text(answer->sql);
		answer->size = (size_t)sqlite3_value_bytes(answer->sql);
	}
	if ((code != SQLITE_ROW && code != SQLITE_DONE && code != SQLITE_ERROR) ||
	    (outcome == JSON_FOUND && answer->sql == NULL))
		outcome = JSON_LIMIT;
	sqlite3_reset(st);
	sqlite3_clear_bindings(st);
	return outcome;
}

static enum json_outcome
ask_number(struct json *j, enum statement which, int *number)
{
	struct json_value answer;
	enum json_outcome outcome = ask(j, which, &answer);

	*number = outcome == JSON_FOUND ? sqlite3_value_int(answer.sql) : 0;
	json_release(&answer);
	return outcome;
}

/* As text, since newer versions take other bytes for a JSON of their own. */
static void
bind_json(struct json *j, enum statement which, const struct json_value *value)
{
	sqlite3_bind_text64(
	    j->prepared[which], 1, value->text, value->size, SQLITE_STATIC, SQLITE_UTF8);
}

enum json_outcome
json_read(struct json *j, const char *text, size_t size, struct json_value *value)
{
	struct json_value json = { .text = text, .size = size }, answer;
	enum json_outcome outcome;

	bind_json(j, KIND, &json);
	outcome = ask(j, KIND, &answer);
	json.kind = answer.kind;
	json_release(&answer);
	*value = json;
	return outcome;
}

enum json_outcome
json_decode(struct json *j, struct json_value *value)
{
	if (value->sql != NULL)
		return JSON_FOUND;
	bind_json(j, WHOLE, value);
	return ask(j, WHOLE, value);
}

/* The index of an element. */
static enum json_outcome
find_index(struct json *j, const struct json_step *step, const struct json_value *array, int *index)
{
	enum json_outcome outcome;
	int length;

	*index = step->index;
	if (!step->from_end)
		return JSON_FOUND;
	bind_json(j, LENGTH, array);
	outcome = ask_number(j, LENGTH, &length);
	*index = length - step->index;
	return outcome;
}

/* A member of an object or an element of an array, of which `length` is how many it has. */
static enum json_outcome
take_step(struct json *j, const struct json_step *step, const struct json_value *from,
    struct json_value *to)
{
	sqlite3_stmt *member = j->prepared[MEMBER];
	int index;

	*to = (struct json_value){ 0 };
	if (from->kind == JSON_OBJECT && step->name != NULL) {
		sqlite3_bind_text(member, 2, step->name, (int)step->name_size, SQLITE_STATIC);
	} else if (from->kind == JSON_ARRAY && step->name == NULL) {
		if (find_index(j, step, from, &index) != JSON_FOUND)
			return JSON_LIMIT;
		sqlite3_bind_int(member, 2, index);
	} else if (from->kind == JSON_ARRAY && step->name != NULL && step->name_size == 6 &&
		   memcmp(step->name, "length", 6) == 0) {
		bind_json(j, LENGTH, from);
		return ask(j, LENGTH, to);
	} else {
		return JSON_NOT_FOUND;
	}
	bind_json(j, MEMBER, from);
	return ask(j, MEMBER, to);
}

enum json_outcome
json_find(
    struct json *j, const struct json_value *whole, const char *path, struct json_value *found)
{
	enum json_outcome outcome = JSON_FOUND;
	struct json_step step;
	struct json_value next;

	*found = *whole;
	while (outcome == JSON_FOUND && json_next_step(&path, &step)) {
		outcome = take_step(j, &step, found, &next);
		json_release(found);
		*found = next;
	}
	return outcome == JSON_FOUND ? json_decode(j, found) : outcome;
}

enum json_outcome
json_compare(struct json *j, const struct json_value *a, const struct json_value *b, int *order)
{
	*order = 0;
	if (a->kind < JSON_NUMBER)
		return JSON_FOUND;
	sqlite3_bind_value(j->prepared[ORDER], 1, a->sql);
	sqlite3_bind_value(j->prepared[ORDER], 2, b->sql);
	return ask_number(j, ORDER, order);
}

void
json_print(struct json_value *number)
{
	number->text = (const char *)sqlite3_value_text(number->sql);
	number->size = (size_t)sqlite3_value_bytes(number->sql);
}

void
json_begin(struct json *j, size_t size)
{
	sqlite3_hard_heap_limit64(HEAP_MAX(size));
	j->end_us = util_cpu_us() + TIME_US(size);
}

void
json_end(struct json *j, size_t size)
{
	if (size < LARGE)
		return;
	sqlite3_db_release_memory(j->db);
#ifdef __GLIBC__
	malloc_trim(0); /* glibc would keep it */
#endif
}
