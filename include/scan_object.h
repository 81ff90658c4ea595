/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * Flat JSON objects: the members that somebody wants, as they stand.
 */
#ifndef WEBMOND_SCAN_OBJECT_H
#define WEBMOND_SCAN_OBJECT_H

#include <stdbool.h>
#include <stddef.h>

enum member_type {
	MEMBER_ABSENT,
	MEMBER_NULL,
	MEMBER_BOOLEAN,
	MEMBER_NUMBER,
	MEMBER_STRING, /* without its quotes, escapes as they are */
};

struct member {
	enum member_type type;
	const char *at;
	size_t size;
};

/* In the order in which they are expected: then they are found quickly. */
struct member_name {
	const char *text;
	size_t size;
};

/*
 * Read one flat object and nothing else: keys and values as RFC 8259 has them, valid UTF-8, no
 * array or object inside, none of the wanted keys twice. Fills `count` members. Returns false: it
 * is not like that.
 */
bool scan_object(struct member *members, const struct member_name *names, size_t count,
    const char *text, size_t size);

/*
 * Take the payload out of {"schema":{…},"payload":…}, as Kafka Connect's JsonConverter has records:
 * `text` and `size` become those of the payload, which is not read. Returns false, and changes
 * nothing, if it is not like that.
 */
bool scan_payload(const char **text, size_t *size);

#endif
