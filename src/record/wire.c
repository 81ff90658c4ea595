/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * Frames: a fixed header with a checksum, site, instance, payload. The supervisor and the checkers
 * write them, the publisher reads them; damaged bytes are reported, never fatal.
 */
#include "wire.h"

#include <stddef.h>
#include <string.h>

#include "util.h"

#define WIRE_MAGIC   0x46574d31U /* "1MWF" in memory: nothing that JSON or a name contains */
#define WIRE_VERSION 2
#define TOKEN_MASK   0xffffffffffffU
#define TOKEN_SIZE   6 /* bytes; guessing one takes years, a slot seconds */

/*
 * As in the pipe and in the spool; in the byte order of this machine. A frame without an ordinal is
 * of version 1 and has none: earlier versions of this program read those.
 */
struct header {
	uint32_t magic;
	uint32_t crc;  /* of everything behind this field */
	uint16_t size; /* of the whole frame */
	uint8_t version;
	uint8_t type;
	uint8_t site_size;
	uint8_t instance_size;
	uint16_t identity_size;
	uint64_t seq;
	int64_t slot_us;
	char epoch[WIRE_EPOCH_SIZE];
	uint8_t token[TOKEN_SIZE];
	struct wire_ordinal ordinal;
};

#define CRC_START (offsetof(struct header, crc) + sizeof(uint32_t))

_Static_assert(sizeof(struct header) + 2 * 64 + WIRE_PAYLOAD_MAX <= WIRE_FRAME_MAX,
    "a payload with its frame must fit into one atomic write");

_Static_assert(
    offsetof(struct header, token) + TOKEN_SIZE == offsetof(struct header, ordinal) &&
	offsetof(struct header, ordinal) + sizeof(struct wire_ordinal) == sizeof(struct header),
    "no byte of a frame is without a meaning");

static size_t
payload_max(unsigned type)
{
	return type == WIRE_RECORD || type == WIRE_RECORD_OLD ? WIRE_RECORD_JSON_MAX
							      : WIRE_PAYLOAD_MAX;
}

static size_t
header_size(int version)
{
	return version == 1 ? offsetof(struct header, ordinal) : sizeof(struct header);
}

static uint32_t
checksum(const unsigned char *frame, size_t size)
{
	return util_crc32(frame + CRC_START, size - CRC_START);
}

size_t
wire_encode(unsigned char *out, const struct frame *frame)
{
	const uint8_t version = frame->ordinal.slot == 0 ? 1 : WIRE_VERSION;
	size_t size = header_size(version) + frame->site_size + frame->instance_size +
		      frame->payload_size;
	struct header h = { .magic = WIRE_MAGIC,
		.size = (uint16_t)size,
		.version = version,
		.type = (uint8_t)frame->type,
		.site_size = (uint8_t)frame->site_size,
		.instance_size = (uint8_t)frame->instance_size,
		.identity_size = (uint16_t)frame->identity_size,
		.seq = frame->seq,
		.slot_us = frame->slot_us,
		.ordinal = frame->ordinal };
	unsigned char *p = out + header_size(version);

	if (size > WIRE_RECORD_MAX || frame->site_size > UINT8_MAX ||
	    frame->instance_size > UINT8_MAX || frame->payload_size > payload_max(frame->type) ||
	    frame->identity_size > frame->payload_size)
		return 0;
	memcpy(h.epoch, frame->epoch, sizeof(h.epoch));
	memcpy(h.token, &frame->token, sizeof(h.token));
	p = mempcpy(p, frame->site, frame->site_size);
	p = mempcpy(p, frame->instance, frame->instance_size);
	memcpy(p, frame->payload, frame->payload_size);
	memcpy(out, &h, header_size(version));
	h.crc = checksum(out, size);
	memcpy(out, &h, header_size(version));
	explicit_bzero(&h, sizeof(h)); /* see forget_tokens() of the supervisor */
	return size;
}

ssize_t
wire_decode(const void *data, size_t size, struct frame *frame)
{
	const unsigned char *p = data;
	struct header h = { 0 };
	size_t header, texts;

	if (size < header_size(1))
		return -1;
	memcpy(&h, p, header_size(1));
	header = header_size(h.version);
	texts = header + h.site_size + h.instance_size;
	if (h.magic != WIRE_MAGIC || h.version < 1 || h.version > WIRE_VERSION ||
	    h.size > WIRE_RECORD_MAX || h.size > size || h.type < WIRE_OPEN ||
	    h.type > WIRE_SETTLED || h.size < texts + h.identity_size)
		return -1;
	/* readers copy it into buffers of this size, and a checker may have been taken over */
	if (h.size - texts > payload_max(h.type))
		return -1;
	if (h.crc != checksum(p, h.size) || h.epoch[WIRE_EPOCH_SIZE - 1] != '\0')
		return -1;
	memcpy(&h, p, header);
	*frame = (struct frame){ .type = h.type == WIRE_RECORD_OLD ? WIRE_RECORD : h.type,
		.seq = h.seq,
		.slot_us = h.slot_us,
		.site = (const char *)p + header,
		.site_size = h.site_size,
		.instance = (const char *)p + header + h.site_size,
		.instance_size = h.instance_size,
		.payload = (const char *)p + texts,
		.payload_size = h.size - texts,
		.identity_size = h.identity_size,
		.ordinal = h.ordinal };
	memcpy(frame->epoch, h.epoch, sizeof(h.epoch));
	memcpy(&frame->token, h.token, sizeof(h.token));
	return h.size;
}

uint64_t
wire_token(const unsigned char key[UTIL_KEY_SIZE], const struct frame *frame)
{
	const uint64_t numbers[] = { frame->seq, (uint64_t)frame->slot_us, frame->site_size,
		frame->instance_size, frame->ordinal.site, frame->ordinal.slot };
	unsigned char all[sizeof(numbers) + WIRE_RECORD_MAX], *end = all;

	end = mempcpy(end, numbers, sizeof(numbers));
	end = mempcpy(end, frame->epoch, sizeof(frame->epoch));
	end = mempcpy(end, frame->site, frame->site_size);
	end = mempcpy(end, frame->instance, frame->instance_size);
	end = mempcpy(end, frame->payload, frame->identity_size);
	return util_mac(key, all, (size_t)(end - all)) & TOKEN_MASK;
}

size_t
wire_resync(const void *data, size_t size)
{
	const uint32_t magic = WIRE_MAGIC;
	const unsigned char *p = data;
	const unsigned char *next;

	if (size < 1 + sizeof(magic))
		return size;
	next = memmem(p + 1, size - 1, &magic, sizeof(magic));
	return next != NULL ? (size_t)(next - p) : size;
}
