/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * The lines of what the daemon answers (src/supervisor/control.h), which are flat JSON objects, as
 * they are read.
 */
#ifndef WEBMOND_LINE_H
#define WEBMOND_LINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

/* No line of an answer is longer, nor is a text in it. */
#define ANSWER_LINE_MAX 8192

struct line {
	const char *text;
	size_t size;
	time_t now; /* of the daemon, when its answer began */
};

/* Whether it is a line of this type. */
bool line_is(const struct line *line, const char *type);

/* The text of a member as clean text, "" if it is null or missing; returns `out`. */
const char *line_text(const struct line *line, const char *name, char *out, size_t size);

/* NAN: it is null, missing, or no number. */
double line_number(const struct line *line, const char *name);

/* 0 for those. */
uint64_t line_count(const struct line *line, const char *name);

bool line_true(const struct line *line, const char *name);

/* 0: there is none. */
time_t line_time(const struct line *line, const char *name);

/*
 * Of a `status` line: whether nothing is wrong with Kafka. Not so if it takes no records, and while
 * the publisher is starting; but so while there was no record, and with an output that is none.
 */
bool line_kafka_is_well(const struct line *line);

/* Likewise: whether the group has given its word to this member, or there is no group. */
bool line_group_is_well(const struct line *line);

#endif
