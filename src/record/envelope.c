/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * The record with its schema, as Kafka Connect's JsonConverter wants it. Called by the publisher
 * when it sends, so that the spool has one form. The schema is a constant: no work but a copy.
 */
#include <stdlib.h>
#include <string.h>

#include "fields.h"
#include "util.h"

/* Times are strings: Connect's own Timestamp is a number, and says nothing to other readers. */
#define TYPE_TEXT    "string"
#define TYPE_INTEGER "int64"
#define TYPE_DECIMAL "double"
#define TYPE_TRUTH   "boolean"

#define NULL_NEVER ""
#define NULL_MAYBE ",\"optional\":true"

#define SCHEMA_OF(key, type, null)              "{\"field\":\"" key "\",\"type\":\"" type "\"" null "}"
#define NEXT_SCHEMA(name, key, max, type, null) "," SCHEMA_OF(key, TYPE_##type, NULL_##null)

#define FIELDS                                                                                     \
	SCHEMA_OF("schema_version", TYPE_INTEGER, NULL_NEVER)                                      \
	"," SCHEMA_OF("id", TYPE_TEXT, NULL_NEVER) IDENTITY_FIELDS(NEXT_SCHEMA)                    \
	    OUTCOME_FIELDS(NEXT_SCHEMA)

static const char before[] = "{\"schema\":{\"type\":\"struct\",\"name\":\"webmond.check.v1\","
			     "\"fields\":[" FIELDS "]},\"payload\":";
static const char after[] = "}";

_Static_assert(sizeof(before) - 1 + sizeof(after) - 1 <= PAYLOAD_ENVELOPE_MAX, "as it is promised");

char *
payload_envelope(const struct frame *frame, size_t *size)
{
	char *out, *at;

	*size = sizeof(before) - 1 + frame->payload_size + sizeof(after) - 1;
	out = at = xcalloc(1, *size);
	at = mempcpy(at, before, sizeof(before) - 1);
	at = mempcpy(at, frame->payload, frame->payload_size);
	memcpy(at, after, sizeof(after) - 1);
	return out;
}
