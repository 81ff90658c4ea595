/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * Messages of a topic as `webmondctl verify` reads them, which anybody may have written: the reader
 * of records, the judge with both readings, and the report. What it finds is as long as the input
 * is.
 */
#include "fuzz.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/judge.h"
#include "ctl/report.h"

#define PARTITIONS 3

/*
 * A line is a message: its first byte says which partition it is in, and whether it has a key, a
 * value, and offsets before it that are empty.
 */
static void
give(struct judge *j, const uint8_t *data, size_t size,
    void (*take)(struct judge *j, const struct message *m))
{
	int64_t offsets[PARTITIONS] = { 0 };

	while (size > 0) {
		const uint8_t *end = memchr(data, '\n', size);
		size_t length = end != NULL ? (size_t)(end - data) : size;
		uint8_t flags = length > 0 ? data[0] : 0;
		int partition = flags % PARTITIONS;
		size_t value_size = length > 0 ? length - 1 : 0;
		char *value = malloc(
		    value_size + 1); /* of its own, so that reading beyond is seen */
		struct message m = { .partition = partition,
			.key = (flags & 0x10) != 0 ? "a" : NULL,
			.key_size = (flags & 0x10) != 0,
			.value = (flags & 0x80) == 0 ? value : NULL,
			.value_size = (flags & 0x80) == 0 ? value_size : 0 };

		assert(value != NULL);
		if (value_size > 0)
			memcpy(value, data + 1, value_size);
		offsets[partition] += (flags & 0x08) != 0;
		m.offset = offsets[partition]++;
		take(j, &m);
		free(value);
		length += end != NULL;
		data += length;
		size -= length;
	}
}

/* What is printed is valid, whatever was read. */
static void
check_report(struct judge *j)
{
	static char *text;
	static size_t size;
	FILE *out = stdout;

	stdout = open_memstream(&text, &size);
	assert(stdout != NULL);
	report_text(j, "topic");
	fclose(stdout);
	for (size_t i = 0; i < size; i++)
		assert(text[i] == '\n' || (unsigned char)text[i] >= 0x20);
	free(text);
	stdout = open_memstream(&text, &size);
	assert(stdout != NULL);
	report_json(j, "topic");
	fclose(stdout);
	stdout = out;
	assert(memchr(text, '\n', size) == text + size - 1);
	free(text);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct judge *j = judge_new(PARTITIONS);
	uint64_t records = 0;

	if (size > 0 && (data[0] & 0x20) != 0)
		judge_begins_late(j, data[0] % PARTITIONS, SCAN_NONE);
	give(j, data, size, judge_take);
	if (judge_needs_again(j)) {
		give(j, data, size, judge_take_again);
		judge_end_again(j);
		assert(j->uncompared == 0);
	}
	judge_conclude(j);
	for (size_t i = 0; i < j->epoch_count; i++) {
		const struct judge_epoch *e = j->epochs[i];

		records += e->records + e->repeats;
		assert(e->records == 0 || e->top_seq == e->seen.at[e->seen.count - 1].last);
	}
	assert(records + j->left_out == j->kinds[SCAN_RECORD]);
	check_report(j);
	judge_free(j);
	return 0;
}
