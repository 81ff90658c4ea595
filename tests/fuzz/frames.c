/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * The pipes as the publisher reads them: frames, garbage between them, and frames that a
 * checker in foreign hands has forged, all the way into a spool in memory and out again.
 */
#include "fuzz.h"

#include <stdlib.h>
#include <string.h>

#include "../apply.h"
#include "spool.h"
#include "util.h"
#include "wire.h"

#define EPOCH "20260101T000000Z-0000000000000001"

/* Where the header of wire.c has its checksum and its size. */
#define CRC_AT  4
#define SIZE_AT 8

/* Give what looks like a frame a right checksum, which chance never would. */
static void
mend(uint8_t *frame, size_t size)
{
	uint16_t length;
	uint32_t crc;

	if (size < SIZE_AT + sizeof(length))
		return;
	memcpy(&length, frame + SIZE_AT, sizeof(length));
	if (length < SIZE_AT + sizeof(length) || length > size)
		return;
	crc = util_crc32(frame + SIZE_AT, length - (size_t)SIZE_AT);
	memcpy(frame + CRC_AT, &crc, sizeof(crc));
}

static bool
take(void *arg, uint64_t row, const struct frame *frame)
{
	uint64_t *last = arg;

	assert(row > *last);
	*last = row;
	/* the publisher has room for so much */
	assert(frame->payload_size <= WIRE_RECORD_JSON_MAX);
	assert(frame->identity_size <= frame->payload_size);
	(void)util_crc32(frame->payload, frame->payload_size); /* looks at every byte */
	(void)util_crc32(frame->site, frame->site_size);
	(void)util_crc32(frame->instance, frame->instance_size);
	return true;
}

/* The first byte says whether checksums are mended. All is one transaction, undone at the end. */
int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct spool_options options = { .max_bytes = 1 << 20, .epoch = EPOCH };
	static struct spool *spool;
	uint64_t last = 0, again = 0;
	size_t used = 0;
	uint8_t *bytes;

	if (spool == NULL)
		assert(spool_open(&spool, &options) == SPOOL_OK);
	if (size-- == 0)
		return 0;
	bytes = malloc(size + 1); /* of its own, so that reading beyond is seen */
	assert(bytes != NULL);
	memcpy(bytes, data + 1, size);
	if ((data[0] & 1) != 0)
		for (size_t at = 0; at < size; at += wire_resync(bytes + at, size - at))
			mend(bytes + at, size - at);

	assert(spool_begin(spool) == SPOOL_OK);
	while (used < size) {
		struct frame frame;
		ssize_t n = wire_decode(bytes + used, size - used, &frame);

		if (n < 0) {
			used += wire_resync(bytes + used, size - used);
			continue;
		}
		assert((size_t)n <= size - used);
		assert(apply_frame(spool, &frame, bytes + used, (size_t)n) == SPOOL_OK);
		used += (size_t)n;
	}
	assert(used <= size);

	/* what was accepted comes out, also when its record is written anew */
	assert(spool_read(spool, 0, 1000, take, &last) == SPOOL_OK);
	if (last > 0)
		assert(spool_dead_letter(spool, last, "refused") == SPOOL_OK);
	assert(spool_read(spool, 0, 1000, take, &again) == SPOOL_OK);
	spool_rollback(spool);
	assert(spool_count(spool) == 0);
	free(bytes);
	return 0;
}
