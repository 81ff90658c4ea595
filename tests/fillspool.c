/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * What a long outage leaves in the spool, in seconds instead of days: valid records of an epoch of
 * its own, of checks that never ran.
 *
 *   fillspool DIRECTORY RECORDS      prints the epoch
 */
#include <stdio.h>
#include <stdlib.h>

#include "payload.h"
#include "spool.h"
#include "util.h"

#define EPOCH      "20260101T000000Z-00000000000000b1"
#define FIRST_US   (INT64_C(1767225600) * US_PER_S)
#define SITES      500
#define BATCH      2000
#define MANY_BYTES (INT64_C(1) << 40)

static const char *const no_headers[] = { NULL };

static size_t
make_frame(unsigned char *out, uint64_t seq)
{
	const struct config config = { .instance = "test-1", .location = "lab" };
	struct slot slot = { .epoch = EPOCH,
		.seq = seq,
		.slot_us = FIRST_US + (int64_t)(seq / SITES) * US_PER_S,
		.interval_us = US_PER_S,
		.lateness_us = RESULT_NONE,
		.ordinal = {
		    .site = (uint32_t)(seq % SITES) + 1, .slot = (uint32_t)(seq / SITES) + 1 } };
	struct site site = { .method = "GET", .headers = no_headers };
	char name[32], url[64];
	struct result result;

	snprintf(name, sizeof(name), "backlog-%03u", (unsigned)(seq % SITES));
	snprintf(url, sizeof(url), "https://%s.example/", name);
	site.name = name;
	site.url = url;
	result_init(&result);
	result_fail(&result, ERROR_MISSED_OVERLOAD, "no checker was free within 1 s");
	return payload_frame(out, WIRE_SINGLE, &config, &site, &slot, &result, NULL);
}

static enum spool_status
fill(struct spool *spool, uint64_t count)
{
	enum spool_status status = SPOOL_OK;

	for (uint64_t seq = 0; seq < count && status == SPOOL_OK;) {
		uint64_t until = seq + BATCH < count ? seq + BATCH : count;

		status = spool_begin(spool);
		for (; seq < until && status == SPOOL_OK; seq++) {
			unsigned char raw[WIRE_FRAME_MAX];
			size_t size = make_frame(raw, seq);
			struct frame frame;

			if (wire_decode(raw, size, &frame) != (ssize_t)size)
				return SPOOL_FAILED;
			status = spool_begin_slot(spool, &frame, raw, size);
			if (status == SPOOL_OK)
				status = spool_end_slot(spool, &frame);
		}
		if (status == SPOOL_OK)
			status = spool_commit(spool);
	}
	return status;
}

int
main(int argc, char **argv)
{
	struct spool_options options = { .max_bytes = MANY_BYTES, .epoch = EPOCH };
	struct spool *spool;

	if (argc != 3) {
		fprintf(stderr, "usage: fillspool DIRECTORY RECORDS\n");
		return 64;
	}
	options.dir = argv[1];
	if (spool_open(&spool, &options) != SPOOL_OK)
		return 1;
	if (fill(spool, strtoull(argv[2], NULL, 10)) != SPOOL_OK)
		return 1;
	spool_close(spool);
	puts(EPOCH);
	return 0;
}
