/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * Any bytes as spool.db and spool.db-wal: the spool opens and works, or is set aside, or waits.
 * What begins with the magic number of SQLite's log goes to the log, all before it to the database.
 */
#include "fuzz.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "payload.h"
#include "spool.h"

#define EPOCH "20260101T000000Z-0000000000000001"

static char dir[64];

static void
empty_directory(void)
{
	DIR *d = opendir(dir);
	const struct dirent *entry;

	assert(d != NULL);
	while ((entry = readdir(d)) != NULL)
		if (entry->d_name[0] != '.')
			assert(unlinkat(dirfd(d), entry->d_name, 0) == 0);
	closedir(d);
}

static void
remove_directory(void)
{
	empty_directory();
	rmdir(dir);
}

int
LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc, (void)argv;
	/* in memory, where there is such a place: it is written thousands of times a second */
	snprintf(dir, sizeof(dir), "%s/webmond-fuzz.XXXXXX",
	    access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
	assert(mkdtemp(dir) != NULL);
	atexit(remove_directory);
	return 0;
}

static void
write_file(const char *name, const uint8_t *data, size_t size)
{
	char path[128];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	assert(fd >= 0);
	assert(write(fd, data, size) == (ssize_t)size);
	close(fd);
}

static bool
take(void *arg, uint64_t row, const struct frame *frame)
{
	uint64_t *first = arg;

	if (*first == 0)
		*first = row;
	assert(frame->payload_size <= WIRE_RECORD_JSON_MAX);
	(void)util_crc32(frame->payload, frame->payload_size);
	return true;
}

static enum spool_status
put(struct spool *spool, uint64_t seq)
{
	struct config config = { .instance = "i" };
	struct site site = { .name = "s", .url = "http://u/", .method = "GET" };
	struct slot slot = { .epoch = EPOCH, .seq = seq, .slot_us = 1, .interval_us = 1 };
	unsigned char raw[WIRE_FRAME_MAX];
	struct result result;
	enum spool_status status;
	struct frame frame;
	size_t size;

	result_init(&result);
	result.http_status = 200;
	result.completed = true;
	result.elapsed_us = 1;
	size = payload_frame(raw, WIRE_SINGLE, &config, &site, &slot, &result, NULL);
	assert(wire_decode(raw, size, &frame) == (ssize_t)size);
	status = spool_begin_slot(spool, &frame, raw, size);
	return status == SPOOL_OK ? spool_end_slot(spool, &frame) : status;
}

/* A life with all that the publisher does; stops at the first failure, as the publisher does. */
static enum spool_status
use(struct spool *spool)
{
	enum spool_status status;
	uint64_t first = 0;

	if ((status = spool_begin(spool)) == SPOOL_OK && (status = put(spool, 0)) == SPOOL_OK)
		status = spool_commit(spool);
	for (int i = 0; i < 20 && status == SPOOL_OK; i++)
		status = spool_read(spool, 0, 1000, take, &first); /* buries a damaged row each */
	if (status == SPOOL_OK && first > 0 && (status = spool_begin(spool)) == SPOOL_OK) {
		if ((status = spool_dead_letter(spool, first, "refused")) == SPOOL_OK &&
		    (status = spool_delete(spool, first + 1, first + 3)) == SPOOL_OK)
			status = spool_commit(spool);
	}
	if (status == SPOOL_OK)
		spool_shrink(spool);
	return status;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint8_t magic[] = { 0x37, 0x7f, 0x06, 0x82 };
	const uint8_t *log = memmem(data, size, magic, sizeof(magic));
	struct spool_options options = {
		.dir = dir, .max_bytes = 32 * 1024, .window = 2, .epoch = EPOCH
	};
	struct spool *spool = NULL;
	enum spool_status status;

	empty_directory();
	write_file("spool.db", data, log != NULL ? (size_t)(log - data) : size);
	if (log != NULL)
		write_file("spool.db-wal", log, size - (size_t)(log - data));
	status = spool_open(&spool, &options);
	assert((status == SPOOL_OK) == (spool != NULL));
	assert(status != SPOOL_IN_USE && status != SPOOL_FAILED);
	if (status == SPOOL_OK) {
		status = use(spool);
		assert(status != SPOOL_IN_USE && status != SPOOL_FAILED);
		spool_close(spool);
	}
	if (status != SPOOL_LOST)
		return 0;
	/* set aside: the next one starts clean */
	assert(spool_open(&spool, &options) == SPOOL_OK);
	assert(use(spool) == SPOOL_OK);
	spool_close(spool);
	return 0;
}
