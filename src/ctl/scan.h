/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * From a message of a topic to what `verify` has to know of a record: a strict reader of flat JSON
 * objects. Whatever is not a record of webmond is told from one, and why.
 *
 * Why not SQLite's JSON: it takes three times as long for a record, topics have millions, and what
 * it takes for JSON is not the same in all its versions.
 */
#ifndef WEBMOND_SCAN_H
#define WEBMOND_SCAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "result.h"
#include "wire.h"

/* Longer messages are no records: those of webmond are below WIRE_RECORD_MAX. */
#define SCAN_MAX 65536

/* Names of sites and instances, encoded, as records have them. */
#define SCAN_NAME_MAX 64

/* No number that counts is larger: then JSON readers everywhere know it exactly. */
#define SCAN_NUMBER_MAX ((INT64_C(1) << 53) - 1)

/* A time or a number that is null or not there. */
#define SCAN_NONE INT64_MIN

enum scan_kind {
	SCAN_RECORD,
	SCAN_TOMBSTONE,     /* a message without a value */
	SCAN_NOT_JSON,      /* or not one flat object */
	SCAN_OTHER_VERSION, /* of the schema */
	SCAN_FOREIGN,       /* JSON, but not what webmond writes */
	SCAN_KIND_COUNT
};

/* Texts lie in the message and have no end. */
struct scan_text {
	const char *at;
	size_t size;
};

struct scanned {
	struct scan_text payload; /* the record without what Kafka Connect may have around it */
	char epoch[WIRE_EPOCH_SIZE];
	int64_t epoch_ms; /* when it began */
	uint64_t seq;
	struct scan_text site;
	struct scan_text instance; /* as JSON has it */
	struct scan_text group;    /* empty: it is of none */
	bool alone;
	int64_t interval_ms;
	int64_t slot_ms;     /* scheduled_at */
	int64_t lateness_us; /* SCAN_NONE: it never started */
	enum status status;
	enum error_type error;    /* ERROR_COUNT: a word that this program does not know */
	uint64_t dropped_through; /* with ERROR_DROPPED */
	int64_t streak;           /* SCAN_NONE: older records have none */
	int64_t status_since_ms;
};

/*
 * Read `value`, NULL or `size` bytes: a record, or one with the schema that Kafka Connect wants,
 * see kafka.format. When it is no record `*why` says so in a few words, such as "seq is missing or
 * out of range".
 */
enum scan_kind scan_record(struct scanned *out, const char *value, size_t size, const char **why);

/* Read "2026-11-23T10:15:02.123Z", `size` bytes; SCAN_NONE: it is no such time. */
int64_t scan_time(const char *text, size_t size);

#endif
