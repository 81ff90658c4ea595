/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * Records of webmond, told from everything else that a topic may hold. Called by the judge; nothing
 * is fatal.
 */
#include "scan.h"

#include <string.h>

#include "scan_object.h"

#define MEMBERS(M)                                                                                 \
	M(VERSION, "schema_version")                                                               \
	M(ID, "id")                                                                                \
	M(EPOCH, "epoch")                                                                          \
	M(SEQ, "seq")                                                                              \
	M(SITE, "site")                                                                            \
	M(INSTANCE, "instance")                                                                    \
	M(GROUP, "group")                                                                          \
	M(ALONE, "alone")                                                                          \
	M(INTERVAL, "interval_s")                                                                  \
	M(SCHEDULED, "scheduled_at")                                                               \
	M(LATENESS, "lateness_ms")                                                                 \
	M(STATUS, "status")                                                                        \
	M(ERROR, "error_type")                                                                     \
	M(DROPPED_THROUGH, "dropped_through")                                                      \
	M(STREAK, "streak")                                                                        \
	M(STATUS_SINCE, "status_since")

#define NUMBER_OF(name, key) NAME_##name,
enum {
	MEMBERS(NUMBER_OF) NAME_COUNT
};

#define NAME_OF(name, key) { key, sizeof(key) - 1 },
static const struct member_name names[NAME_COUNT] = { MEMBERS(NAME_OF) };

/* A decimal with up to three places as a count of thousandths. */
static bool
read_thousandths(const struct member *m, int64_t max, int64_t *out)
{
	int64_t n = 0;
	int places = -1; /* before the point */
	bool negative;

	if (m->type != MEMBER_NUMBER)
		return false;
	negative = m->at[0] == '-';
	for (size_t i = negative; i < m->size; i++) {
		if (m->at[i] == '.') {
			places = 0;
			continue;
		}
		if (m->at[i] < '0' || m->at[i] > '9' || n > max || places == 3)
			return false;
		n = 10 * n + (m->at[i] - '0');
		places += places >= 0;
	}
	for (places = places < 0 ? 0 : places; places < 3; places++)
		n *= 10;
	*out = negative ? -n : n;
	return n <= max;
}

/* 0 … SCAN_NUMBER_MAX. */
static bool
read_integer(const struct member *m, int64_t *out)
{
	int64_t n = 0;

	if (m->type != MEMBER_NUMBER)
		return false;
	for (size_t i = 0; i < m->size; i++) {
		if (m->at[i] < '0' || m->at[i] > '9' || n > SCAN_NUMBER_MAX / 10)
			return false;
		n = 10 * n + (m->at[i] - '0');
	}
	*out = n;
	return n <= SCAN_NUMBER_MAX;
}

/* Whether `text` is like `form`: 0 stands for a digit, x for a lower hexadecimal digit. */
static bool
is_like(const char *form, const char *text, size_t size)
{
	for (size_t i = 0; i < size; i++) {
		bool digit = text[i] >= '0' && text[i] <= '9';

		if (form[i] == '0'   ? !digit
		    : form[i] == 'x' ? !digit && !(text[i] >= 'a' && text[i] <= 'f')
				     : text[i] != form[i])
			return false;
	}
	return true;
}

static int
two_digits(const char *text)
{
	return 10 * (text[0] - '0') + (text[1] - '0');
}

/* The days from 1970 to a day of the Gregorian calendar. */
static int64_t
days_until(int year, int month, int day)
{
	/* years begin in March, so that the day that comes and goes is their last */
	int64_t y = month > 2 ? year : year - 1, from_march = (month + 9) % 12;

	return 365 * y + y / 4 - y / 100 + y / 400 + (153 * from_march + 2) / 5 + day - 1 - 719468;
}

static int64_t
make_time(const char *year, const char *month, const char *day, const char *clock[3], int ms)
{
	int hour = two_digits(clock[0]), minute = two_digits(clock[1]),
	    second = two_digits(clock[2]);
	int m = two_digits(month), d = two_digits(day);

	if (100 * two_digits(year) + two_digits(year + 2) < 1970 || m < 1 || m > 12 || d < 1 ||
	    d > 31 || hour > 23 || minute > 59 || second > 60)
		return SCAN_NONE;
	return (((days_until(100 * two_digits(year) + two_digits(year + 2), m, d) * 24 + hour) *
			60 +
		    minute) *
		       60 +
		   second) *
		   1000 +
	       ms;
}

int64_t
scan_time(const char *t, size_t size)
{
	static const char form[] = "0000-00-00T00:00:00.000Z";

	if (size != sizeof(form) - 1 || !is_like(form, t, size))
		return SCAN_NONE;
	return make_time(t, t + 5, t + 8, (const char *[]){ t + 11, t + 14, t + 17 },
	    10 * two_digits(t + 20) + (t[22] - '0'));
}

/* "20261123T101502Z-9f3c52d07a61be48". */
static bool
read_epoch(const struct member *m, struct scanned *out)
{
	static const char form[WIRE_EPOCH_SIZE] = "00000000T000000Z-xxxxxxxxxxxxxxxx";
	const char *t = m->at;

	if (m->type != MEMBER_STRING || m->size != sizeof(form) - 1 || !is_like(form, t, m->size))
		return false;
	memcpy(out->epoch, t, m->size);
	out->epoch[m->size] = '\0';
	out->epoch_ms = make_time(t, t + 4, t + 6, (const char *[]){ t + 9, t + 11, t + 13 }, 0);
	return out->epoch_ms != SCAN_NONE;
}

static bool
read_id(const struct member *id, const struct member *epoch, const struct member *seq)
{
	return id->type == MEMBER_STRING && id->size == epoch->size + 1 + seq->size &&
	       memcmp(id->at, epoch->at, epoch->size) == 0 && id->at[epoch->size] == '-' &&
	       memcmp(id->at + epoch->size + 1, seq->at, seq->size) == 0;
}

static bool
read_name(const struct member *m, struct scan_text *out)
{
	*out = (struct scan_text){ m->at, m->size };
	return m->type == MEMBER_STRING && m->size > 0 && m->size <= SCAN_NAME_MAX;
}

/* As those of sites and groups are: of plain characters. */
static bool
read_plain(const struct member *m, struct scan_text *out)
{
	if (!read_name(m, out))
		return false;
	for (size_t i = 0; i < m->size; i++) {
		char c = m->at[i];

		if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
			c == '.' || c == '_' || c == '-'))
			return false;
	}
	return true;
}

/* Older records have neither. */
static bool
read_group(const struct member *group, const struct member *alone, struct scanned *out)
{
	out->group = (struct scan_text){ 0 };
	out->alone = false;
	if (group->type == MEMBER_ABSENT || group->type == MEMBER_NULL)
		return alone->type == MEMBER_ABSENT || alone->type == MEMBER_NULL;
	if (alone->type != MEMBER_BOOLEAN)
		return false;
	out->alone = alone->at[0] == 't';
	return read_plain(group, &out->group);
}

static bool
is_word(const struct member *m, const char *word)
{
	return m->type == MEMBER_STRING && m->size == strlen(word) &&
	       memcmp(m->at, word, m->size) == 0;
}

static bool
read_status(const struct member *m, enum status *out)
{
	for (*out = STATUS_UP; *out <= STATUS_UNKNOWN; (*out)++)
		if (is_word(m, status_name(*out)))
			return true;
	return false;
}

/* Words are added from version to version: one that is not known fits, unless the site is up. */
static bool
read_error(const struct member *m, struct scanned *out)
{
	out->error = ERROR_NONE;
	if (m->type == MEMBER_NULL)
		return out->status == STATUS_UP;
	if (m->type != MEMBER_STRING)
		return false;
	for (int i = ERROR_NONE + 1; i < ERROR_COUNT; i++)
		if (is_word(m, error_type_name(i))) {
			out->error = i;
			return result_status(i) == out->status;
		}
	out->error = ERROR_COUNT;
	return out->status != STATUS_UP;
}

/* In a `dropped` record, and there alone. */
static bool
read_dropped(const struct member *m, struct scanned *out)
{
	int64_t n;

	if (out->error != ERROR_DROPPED)
		return m->type == MEMBER_NULL;
	if (!read_integer(m, &n) || (uint64_t)n < out->seq)
		return false;
	out->dropped_through = (uint64_t)n;
	return true;
}

static bool
read_streak(const struct member *streak, const struct member *since, struct scanned *out)
{
	out->streak = out->status_since_ms = SCAN_NONE;
	if (streak->type == MEMBER_ABSENT && since->type == MEMBER_ABSENT)
		return true;
	if (!read_integer(streak, &out->streak) || since->type != MEMBER_STRING)
		return false;
	out->status_since_ms = scan_time(since->at, since->size);
	return out->streak > 0 && out->status_since_ms != SCAN_NONE;
}

/* The name of the first member that is not as webmond writes it, or NULL. */
static const char *
read_members(const struct member *m, struct scanned *out)
{
	int64_t seq = 0;

	if (!read_epoch(&m[NAME_EPOCH], out))
		return "epoch";
	if (!read_integer(&m[NAME_SEQ], &seq))
		return "seq";
	out->seq = (uint64_t)seq;
	if (!read_id(&m[NAME_ID], &m[NAME_EPOCH], &m[NAME_SEQ]))
		return "id";
	if (!read_plain(&m[NAME_SITE], &out->site))
		return "site";
	if (!read_name(&m[NAME_INSTANCE], &out->instance))
		return "instance";
	if (!read_group(&m[NAME_GROUP], &m[NAME_ALONE], out))
		return "group";
	if (!read_thousandths(&m[NAME_INTERVAL], 86400000, &out->interval_ms) ||
	    out->interval_ms < 1000)
		return "interval_s";
	out->slot_ms = m[NAME_SCHEDULED].type == MEMBER_STRING
			   ? scan_time(m[NAME_SCHEDULED].at, m[NAME_SCHEDULED].size)
			   : SCAN_NONE;
	if (out->slot_ms == SCAN_NONE)
		return "scheduled_at";
	if (m[NAME_LATENESS].type == MEMBER_NULL)
		out->lateness_us = SCAN_NONE;
	else if (!read_thousandths(&m[NAME_LATENESS], SCAN_NUMBER_MAX / 1000, &out->lateness_us))
		return "lateness_ms";
	if (!read_status(&m[NAME_STATUS], &out->status))
		return "status";
	if (!read_error(&m[NAME_ERROR], out))
		return "error_type";
	if (!read_dropped(&m[NAME_DROPPED_THROUGH], out))
		return "dropped_through";
	if (!read_streak(&m[NAME_STREAK], &m[NAME_STATUS_SINCE], out))
		return "streak";
	return NULL;
}

enum scan_kind
scan_record(struct scanned *out, const char *value, size_t size, const char **why)
{
	struct member members[NAME_COUNT];
	const struct member *version = &members[NAME_VERSION];

	*why = NULL;
	if (value == NULL)
		return SCAN_TOMBSTONE;
	if (size > SCAN_MAX)
		return SCAN_NOT_JSON;
	scan_payload(&value, &size);
	out->payload = (struct scan_text){ value, size };
	if (!scan_object(members, names, NAME_COUNT, value, size))
		return SCAN_NOT_JSON;
	if (version->type == MEMBER_NUMBER && (version->size != 1 || version->at[0] != '1'))
		return SCAN_OTHER_VERSION;
	*why = version->type == MEMBER_NUMBER ? read_members(members, out) : "schema_version";
	return *why == NULL ? SCAN_RECORD : SCAN_FOREIGN;
}
