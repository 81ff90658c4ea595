/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * The spool: what it accepts, what it adopts, what it drops and says so, and what it does with
 * files and disks that are not as they should be.
 */
#include <check.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include "apply.h"
#include "capture.h"
#include "payload.h"
#include "scratch.h"
#include "spool.h"
#include "suite.h"
#include "util.h"

#define EPOCH_A "20260101T000000Z-0000000000000001"
#define EPOCH_B "20260102T000000Z-0000000000000002"
#define MIB     (INT64_C(1) << 20)

static bool disk_is_broken, room_is_hidden, quota_is_used_up;

/* SQLite's: the C library's one is not called. */
int
fdatasync(int fd)
{
	if (!disk_is_broken)
		return (int)syscall(SYS_fdatasync, fd);
	errno = EIO;
	return -1;
}

/* SQLite writes with this. */
ssize_t
pwrite64(int fd, const void *data, size_t size, off64_t offset)
{
	if (!quota_is_used_up)
		return syscall(SYS_pwrite64, fd, data, size, offset);
	errno = EDQUOT;
	return -1;
}

/* As where a quota binds: the file system itself has room. The C library's one is not called. */
int
statvfs(const char *restrict path, struct statvfs *restrict fs)
{
	struct statfs real;

	if (statfs(path, &real) < 0)
		return -1;
	*fs = (struct statvfs){ .f_frsize = (unsigned long)real.f_bsize,
		.f_blocks = real.f_blocks,
		.f_bavail = real.f_bavail };
	if (room_is_hidden)
		fs->f_blocks = fs->f_bavail = 1 << 20;
	return 0;
}

static void
teardown(void)
{
	disk_is_broken = room_is_hidden = quota_is_used_up = false;
	umount(dir); /* if a test left it */
	remove_dir();
}

/* How many files of the directory have `part` in their names. */
static int
count_files(const char *part)
{
	DIR *d = opendir(dir);
	const struct dirent *entry;
	int count = 0;

	while ((entry = readdir(d)) != NULL)
		count += strstr(entry->d_name, part) != NULL;
	closedir(d);
	return count;
}

static enum spool_status
try_open(struct spool **s, const char *epoch, int64_t max_bytes, uint64_t window)
{
	struct spool_options options = {
		.dir = dir, .max_bytes = max_bytes, .window = window, .epoch = epoch
	};

	*s = NULL;
	return spool_open(s, &options);
}

static struct spool *
open_spool(const char *epoch)
{
	struct spool *s;

	ck_assert_int_eq(try_open(&s, epoch, 64 * MIB, 100), SPOOL_OK);
	return s;
}

/* A frame as the supervisor or a checker writes it; returns its size. */
static size_t
make_frame(unsigned char *out, enum wire_type type, const char *epoch, uint64_t seq, int padding)
{
	static char url[CONFIG_URL_MAX + 1];
	struct config config = { .instance = "test" };
	struct site site = { .name = "shop", .url = url, .method = "GET" };
	struct slot slot = { .epoch = epoch,
		.seq = seq,
		.slot_us = INT64_C(1767225600) * US_PER_S + (int64_t)seq,
		.interval_us = US_PER_S };
	struct result result;

	memset(url, 'u', sizeof(url));
	url[padding] = '\0';
	result_init(&result);
	result.completed = true;
	result.elapsed_us = 1;
	result.http_status = type == WIRE_CLOSE ? 200 : 599;
	return payload_frame(
	    out, type, &config, &site, &slot, type != WIRE_OPEN ? &result : NULL, NULL);
}

/* Frames stay until the commit, as in the publisher: here until 4,096 have followed. */
static unsigned char *
new_frame(void)
{
	static unsigned char frames[4096][WIRE_FRAME_MAX];
	static size_t next;

	return frames[next++ % ARRAY_LENGTH(frames)];
}

static enum spool_status
apply(struct spool *s, enum wire_type type, const char *epoch, uint64_t seq, int padding)
{
	unsigned char *raw = new_frame();
	size_t size = make_frame(raw, type, epoch, seq, padding);
	struct frame frame;

	ck_assert_int_eq(wire_decode(raw, size, &frame), (ssize_t)size);
	return apply_frame(s, &frame, raw, size);
}

/* One frame, one transaction. */
static void
put(struct spool *s, enum wire_type type, const char *epoch, uint64_t seq)
{
	ck_assert_int_eq(spool_begin(s), SPOOL_OK);
	ck_assert_int_eq(apply(s, type, epoch, seq, 20), SPOOL_OK);
	ck_assert_int_eq(spool_commit(s), SPOOL_OK);
}

/* Records of the seqs from `first` up to, not with, `end`, in one transaction. */
static void
put_many(struct spool *s, const char *epoch, uint64_t first, uint64_t end, int padding)
{
	ck_assert_int_eq(spool_begin(s), SPOOL_OK);
	for (uint64_t seq = first; seq < end; seq++)
		ck_assert_int_eq(apply(s, WIRE_SINGLE, epoch, seq, padding), SPOOL_OK);
	ck_assert_int_eq(spool_commit(s), SPOOL_OK);
}

/* Kafka has confirmed them. */
static void
delete_rows(struct spool *s, uint64_t first, uint64_t last)
{
	ck_assert_int_eq(spool_begin(s), SPOOL_OK);
	ck_assert_int_eq(spool_delete(s, first, last), SPOOL_OK);
	ck_assert_int_eq(spool_commit(s), SPOOL_OK);
}

/* Kafka refuses it. */
static void
refuse_row(struct spool *s, uint64_t row, const char *reason)
{
	ck_assert_int_eq(spool_begin(s), SPOOL_OK);
	ck_assert_int_eq(spool_dead_letter(s, row, reason), SPOOL_OK);
	ck_assert_int_eq(spool_commit(s), SPOOL_OK);
}

/* What the ready rows say. */
struct seen {
	uint64_t row, seq, through;
	char epoch[WIRE_EPOCH_SIZE];
	char error[16]; /* "" for null */
	char message[128];
	int http_status; /* 0 for null */
	int streak;      /* 0: an earlier version wrote the record, without it */
};

struct listing {
	struct seen *seen;
	size_t count, room;
};

static const char *
field(const struct frame *frame, const char *key)
{
	static char payload[WIRE_RECORD_JSON_MAX + 1];
	char pattern[64];
	const char *at;

	snprintf(payload, sizeof(payload), "%.*s", (int)frame->payload_size, frame->payload);
	snprintf(pattern, sizeof(pattern), "\"%s\":", key);
	at = strstr(payload, pattern);
	ck_assert_msg(at != NULL, "no %s in %s", key, payload);
	return at + strlen(pattern);
}

static bool
list_row(void *arg, uint64_t row, const struct frame *frame)
{
	struct listing *l = arg;
	const char *streak = memmem(frame->payload, frame->payload_size, "\"streak\":", 9);
	struct seen *seen;

	if (l->count == l->room)
		l->seen = realloc(l->seen, (l->room += 1000) * sizeof(*l->seen));
	seen = &l->seen[l->count++];
	memset(seen, 0, sizeof(*seen));
	seen->row = row;
	seen->seq = strtoull(field(frame, "seq"), NULL, 10);
	ck_assert_uint_eq(seen->seq, frame->seq);
	seen->through = strtoull(field(frame, "dropped_through"), NULL, 10);
	seen->http_status = atoi(field(frame, "http_status_code"));
	seen->streak = streak != NULL ? atoi(streak + 9) : 0;
	memcpy(seen->epoch, frame->epoch, sizeof(seen->epoch));
	sscanf(field(frame, "error_type"), "\"%15[^\"]", seen->error);
	sscanf(field(frame, "error_message"), "\"%127[^\"]", seen->message);
	return true;
}

static struct listing
list(struct spool *s)
{
	struct listing l = { 0 };
	size_t before;

	do {
		before = l.count;
		ck_assert_int_eq(
		    spool_read(s, before > 0 ? l.seen[before - 1].row : 0, 1000, list_row, &l),
		    SPOOL_OK);
	} while (l.count > before);
	ck_assert_uint_eq(l.count, spool_count(s));
	return l;
}

/* "12 5" for the seqs in their order of publication. */
static const char *
seqs(struct spool *s)
{
	static char out[256];
	struct listing l = list(s);
	size_t n = 0;

	out[0] = '\0';
	for (size_t i = 0; i < l.count && n < sizeof(out); i++)
		n += (size_t)snprintf(out + n, sizeof(out) - n, "%s%llu", i > 0 ? " " : "",
		    (unsigned long long)l.seen[i].seq);
	free(l.seen);
	return out;
}

static void
sql(const char *statements)
{
	sqlite3 *db;
	char *error = NULL;

	ck_assert_int_eq(sqlite3_open(path_in_dir("spool.db"), &db), SQLITE_OK);
	sqlite3_exec(db, statements, NULL, NULL, &error);
	ck_assert_msg(error == NULL, "%s: %s", statements, error);
	sqlite3_close(db);
}

/* --- what is accepted -------------------------------------------------------------------- */

/*
 * Frames are "o3" for OPEN seq 3, c for CLOSE, w for SINGLE, uppercase for another epoch; each bit
 * of `commits` that is set ends a transaction behind its frame.
 */
static void
put_frames(struct spool *s, const char *frames, unsigned commits)
{
	ck_assert_int_eq(spool_begin(s), SPOOL_OK);
	for (const char *f = frames; f != NULL; f = strchr(f, ' '), commits >>= 1) {
		enum wire_type type;

		f += *f == ' ';
		type = strchr("oO", *f) ? WIRE_OPEN : strchr("cC", *f) ? WIRE_CLOSE : WIRE_SINGLE;
		ck_assert_int_eq(
		    apply(s, type, *f >= 'a' ? EPOCH_A : EPOCH_B, (uint64_t)atoi(f + 1), 20),
		    SPOOL_OK);
		if ((commits & 1) != 0) {
			ck_assert_int_eq(spool_commit(s), SPOOL_OK);
			ck_assert_int_eq(spool_begin(s), SPOOL_OK);
		}
	}
	ck_assert_int_eq(spool_commit(s), SPOOL_OK);
}

/* However the frames come to lie in transactions. */
START_TEST(test_accept)
{
	static const struct {
		const char *frames, *ready, *next; /* when the next epoch has begun */
	} cases[] = {
		{ "o0 c0", "0", "0" },
		{ "o0", "", "0" },
		{ "o0 o1 o2 c1", "1", "1 0 2" },
		{ "c0", "", "" },                /* closed without being open */
		{ "o0 c0 o0 c0", "0", "0" },     /* the pipe was peeked again */
		{ "o0 o0 c0 c0", "0", "0" },     /* a zombie's late answer */
		{ "o0 o1 c1 c0", "1 0", "1 0" }, /* the order of ends */
		{ "w0 w1 w2", "0 1 2", "0 1 2" },
		{ "w0 w0 w1 w0", "0 1", "0 1" },
		{ "o0 w1 c0", "1 0", "1 0" },
		{ "o0 w0 c0", "0", "0" },        /* a SINGLE for a slot that is open: a repeat */
		{ "o5 c5 o6 c6", "5 6", "5 6" }, /* a hole: loud, but accepted */
		{ "o5 o3 c3 c5 w4 w6", "5 6", "5 6" }, /* below the hole: too late */
		{ "O0 C0 W0", "", "" },
		{ "o0 C0 c0", "0", "0" },
	};

	for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
		unsigned ways = 1U << (strlen(cases[i].frames) / 3); /* "o0 c0" has two */

		for (unsigned commits = 0; commits < ways; commits++) {
			struct spool *s = open_spool(EPOCH_A);

			put_frames(s, cases[i].frames, commits);
			ck_assert_msg(strcmp(seqs(s), cases[i].ready) == 0,
			    "%s (%#x) gave \"%s\", not \"%s\"", cases[i].frames, commits, seqs(s),
			    cases[i].ready);
			spool_close(s);
			s = open_spool(EPOCH_B);
			ck_assert_str_eq(seqs(s), cases[i].next);
			spool_close(s);
			teardown();
			make_dir();
		}
	}
}
END_TEST

/* Its spool is gone, and with it what was open: what still comes is a record all the same. */
START_TEST(test_lost_epoch)
{
	struct spool_options options = { .dir = dir,
		.max_bytes = 64 * MIB,
		.window = 100,
		.epoch = EPOCH_A,
		.lost_epoch = EPOCH_B };
	struct spool *s;

	ck_assert_int_eq(spool_open(&s, &options), SPOOL_OK);
	put(s, WIRE_OPEN, EPOCH_B, 5);
	put(s, WIRE_CLOSE, EPOCH_B, 5);
	put(s, WIRE_CLOSE, EPOCH_B, 7);
	put(s, WIRE_SINGLE, EPOCH_B, 8);
	put(s, WIRE_OPEN, EPOCH_A, 0);
	put(s, WIRE_CLOSE, EPOCH_A, 0);
	put(s, WIRE_CLOSE, "20260103T000000Z-0000000000000003", 9);
	ck_assert_str_eq(seqs(s), "5 7 8 0");

	/* another one for a slot: its checker died before it said that it was done */
	put(s, WIRE_SINGLE, EPOCH_B, 7);
	put(s, WIRE_SINGLE, EPOCH_B, UINT64_MAX);
	ck_assert_str_eq(seqs(s), "5 7 8 0");
	/* the first is delivered, the publisher replaced */
	delete_rows(s, 1, 3);
	spool_close(s);
	ck_assert_int_eq(spool_open(&s, &options), SPOOL_OK);
	put(s, WIRE_SINGLE, EPOCH_B, 5);
	ck_assert_str_eq(seqs(s), "0");
	spool_close(s);
	/* none of that is open for the next one */
	s = open_spool("20260103T000000Z-0000000000000003");
	ck_assert_str_eq(seqs(s), "0");
	spool_close(s);
}
END_TEST

/* In another spool it would begin with seq 0 again, and what comes would be far ahead. */
START_TEST(test_epoch_without_its_spool)
{
	struct spool_options options = {
		.max_bytes = 64 * MIB, .window = 100, .epoch = EPOCH_A, .epoch_stored = true
	};
	struct spool *s = NULL;

	ck_assert_int_eq(spool_open(&s, &options), SPOOL_LOST); /* a new one in memory */
	options.dir = dir;
	ck_assert_int_eq(spool_open(&s, &options), SPOOL_LOST); /* a new file */
	s = open_spool(EPOCH_B);
	put(s, WIRE_OPEN, EPOCH_B, 0);
	spool_close(s);
	ck_assert_int_eq(spool_open(&s, &options), SPOOL_LOST); /* somebody else's, left as it is */
	ck_assert_int_eq(count_files(".corrupt-"), 0);
	s = open_spool(EPOCH_B);
	put(s, WIRE_CLOSE, EPOCH_B, 0);
	ck_assert_str_eq(seqs(s), "0");
	spool_close(s);
	s = open_spool(EPOCH_A);
	spool_close(s);
	ck_assert_int_eq(spool_open(&s, &options), SPOOL_OK);
	spool_close(s);
}
END_TEST

static void
rename_in_dir(const char *from, const char *to)
{
	char path[128];

	snprintf(path, sizeof(path), "%s", path_in_dir(from));
	ck_assert_int_eq(rename(path, path_in_dir(to)), 0);
}

/* It was away, as a file system that is mounted again: what was open in it has its record. */
START_TEST(test_lost_epoch_comes_back)
{
	struct spool_options options = { .dir = dir,
		.max_bytes = 64 * MIB,
		.window = 100,
		.epoch = EPOCH_A,
		.lost_epoch = EPOCH_B };
	struct spool *s = open_spool(EPOCH_B);

	capture_start();
	put_frames(s, "O0 W1 O2 C2", 0);
	rename_in_dir("spool.db", "away.db");
	rename_in_dir("spool.db-wal", "away.db-wal");
	ck_assert_int_eq(spool_begin(s), SPOOL_LOST);
	ck_assert_int_eq(count_of(captured(), "set aside"), 0);
	spool_close(s);
	rename_in_dir("away.db", "spool.db");
	rename_in_dir("away.db-wal", "spool.db-wal");
	for (int i = 0; i < 2; i++) {
		ck_assert_int_eq(spool_open(&s, &options), SPOOL_OK);
		put(s, WIRE_CLOSE, EPOCH_B, 0);
		ck_assert_str_eq(seqs(s), "1 2 0");
		spool_close(s);
	}
	ck_assert_int_eq(spool_open(&s, &options), SPOOL_OK);
	delete_rows(s, 1, 3);
	spool_close(s);
	/* all that the spool had of it is delivered */
	ck_assert_int_eq(spool_open(&s, &options), SPOOL_OK);
	put(s, WIRE_CLOSE, EPOCH_B, 0);
	put(s, WIRE_CLOSE, EPOCH_B, 3);
	ck_assert_str_eq(seqs(s), "3");
	spool_close(s);
}
END_TEST

/* It has the token of its own slot, and writes what no check ends with: the slot has ended. */
START_TEST(test_nonsense_in_its_own_slot)
{
	static const size_t behind[] = { 0, 1, sizeof(struct wire_outcome) - 1,
		sizeof(struct wire_outcome) + 1, sizeof(struct wire_outcome) };
	struct spool *s = open_spool(EPOCH_A);
	struct listing l;

	capture_start();
	for (uint64_t i = 0; i < ARRAY_LENGTH(behind); i++) {
		unsigned char open[WIRE_FRAME_MAX], *raw = new_frame();
		char payload[WIRE_PAYLOAD_MAX];
		struct frame frame;
		size_t size = make_frame(open, WIRE_OPEN, EPOCH_A, i, 20);

		put(s, WIRE_OPEN, EPOCH_A, i);
		ck_assert_int_eq(wire_decode(open, size, &frame), (ssize_t)size);
		memset(payload, 0xff, sizeof(payload));
		memcpy(payload, frame.payload, frame.identity_size);
		frame.type = WIRE_CLOSE;
		frame.payload = payload;
		frame.payload_size = frame.identity_size + behind[i];
		size = wire_encode(raw, &frame);
		ck_assert_int_eq(wire_decode(raw, size, &frame), (ssize_t)size);
		ck_assert_int_eq(spool_begin(s), SPOOL_OK);
		ck_assert_int_eq(apply_frame(s, &frame, raw, size), SPOOL_OK);
		ck_assert_int_eq(spool_commit(s), SPOOL_OK);
		put(s, WIRE_CLOSE, EPOCH_A, i); /* too late */
	}
	l = list(s);
	ck_assert_uint_eq(l.count, ARRAY_LENGTH(behind));
	for (size_t i = 0; i < l.count; i++) {
		ck_assert_uint_eq(l.seen[i].seq, i);
		ck_assert_str_eq(l.seen[i].error, "aborted");
		ck_assert_str_eq(l.seen[i].message, "the checker sent an invalid result");
	}
	free(l.seen);
	spool_close(s);
	ck_assert_int_eq(count_of(captured(), "refused, like all that follow"), 1);
}
END_TEST

/* The first CLOSE counts, and what it says stays. */
START_TEST(test_first_close_wins)
{
	struct spool *s = open_spool(EPOCH_A);
	struct listing l;

	put(s, WIRE_OPEN, EPOCH_A, 0);
	put(s, WIRE_CLOSE, EPOCH_A, 0);
	put(s, WIRE_SINGLE, EPOCH_A, 0);
	l = list(s);
	ck_assert_uint_eq(l.count, 1);
	ck_assert_int_eq(l.seen[0].http_status, 200);
	free(l.seen);
	spool_close(s);
}
END_TEST

START_TEST(test_rollback)
{
	struct spool *s = open_spool(EPOCH_A);

	put(s, WIRE_OPEN, EPOCH_A, 0);
	ck_assert_int_eq(spool_begin(s), SPOOL_OK);
	ck_assert_int_eq(apply(s, WIRE_CLOSE, EPOCH_A, 0, 20), SPOOL_OK);
	ck_assert_int_eq(apply(s, WIRE_SINGLE, EPOCH_A, 1, 20), SPOOL_OK);
	ck_assert_uint_eq(spool_count(s), 2);
	spool_rollback(s);
	ck_assert_uint_eq(spool_count(s), 0);
	/* the same frames again, as they come when nothing was consumed */
	put(s, WIRE_CLOSE, EPOCH_A, 0);
	put(s, WIRE_SINGLE, EPOCH_A, 1);
	ck_assert_str_eq(seqs(s), "0 1");
	ck_assert_int_eq(spool_begin(s), SPOOL_OK);
	ck_assert_int_eq(apply(s, WIRE_OPEN, EPOCH_A, 2, 20), SPOOL_OK);
	spool_rollback(s);
	put(s, WIRE_CLOSE, EPOCH_A, 2); /* of a slot that never began */
	ck_assert_str_eq(seqs(s), "0 1");
	spool_close(s);
}
END_TEST

START_TEST(test_delete)
{
	struct spool *s = open_spool(EPOCH_A);
	struct listing l;

	put_many(s, EPOCH_A, 0, 6, 20);
	l = list(s);
	ck_assert_int_eq(spool_begin(s), SPOOL_OK);
	ck_assert_int_eq(spool_delete(s, l.seen[1].row, l.seen[3].row), SPOOL_OK);
	ck_assert_int_eq(spool_delete(s, l.seen[1].row, l.seen[3].row), SPOOL_OK);
	ck_assert_int_eq(spool_commit(s), SPOOL_OK);
	free(l.seen);
	ck_assert_str_eq(seqs(s), "0 4 5");
	spool_close(s);
	s = open_spool(EPOCH_A);
	ck_assert_uint_eq(spool_count(s), 3);
	ck_assert_str_eq(seqs(s), "0 4 5");
	spool_close(s);
}
END_TEST

/* Or the window would mistake one record for another. */
START_TEST(test_rows_are_unique)
{
	struct spool *s = open_spool(EPOCH_A);
	struct listing l;
	uint64_t last = 0;

	for (uint64_t i = 0; i < 5; i++) {
		put(s, WIRE_SINGLE, EPOCH_A, i);
		l = list(s);
		ck_assert_uint_eq(l.count, 1);
		ck_assert_uint_gt(l.seen[0].row, last);
		last = l.seen[0].row;
		free(l.seen);
		/* the table is empty then */
		delete_rows(s, last, last);
	}
	put(s, WIRE_SINGLE, EPOCH_A, 5);
	spool_close(s);
	s = open_spool(EPOCH_A);
	put(s, WIRE_SINGLE, EPOCH_A, 6);
	ck_assert_str_eq(seqs(s), "5 6");
	spool_close(s);
}
END_TEST

/* --- starting again ---------------------------------------------------------------------- */

START_TEST(test_same_epoch_goes_on)
{
	struct spool *s = open_spool(EPOCH_A);

	put(s, WIRE_OPEN, EPOCH_A, 0);
	put(s, WIRE_OPEN, EPOCH_A, 1);
	put(s, WIRE_CLOSE, EPOCH_A, 1);
	spool_close(s);
	s = open_spool(EPOCH_A);
	put(s, WIRE_OPEN, EPOCH_A, 1); /* still in the pipe: a repeat */
	put(s, WIRE_CLOSE, EPOCH_A, 1);
	put(s, WIRE_CLOSE, EPOCH_A, 0);
	put(s, WIRE_SINGLE, EPOCH_A, 2);
	ck_assert_str_eq(seqs(s), "1 0 2");
	spool_close(s);
}
END_TEST

/*
 * More open slots than there is room for beside them: each row that goes makes room for the one
 * that comes. (A daemon that had come into foreign hands once left such a spool, and none started
 * again.)
 */
START_TEST(test_adoption_without_room)
{
	enum {
		SLOTS = 8000
	};
	struct spool *s;
	struct listing l;

	ck_assert_int_eq(try_open(&s, EPOCH_A, 64 * MIB, 10), SPOOL_OK);
	for (uint64_t seq = 0; seq < SLOTS;) {
		ck_assert_int_eq(spool_begin(s), SPOOL_OK);
		for (int i = 0; i < 1000; i++)
			ck_assert_int_eq(apply(s, WIRE_OPEN, EPOCH_A, seq++, 1000), SPOOL_OK);
		ck_assert_int_eq(spool_commit(s), SPOOL_OK);
	}
	spool_close(s);
	capture_start();
	ck_assert_int_eq(try_open(&s, EPOCH_B, MIB, 10), SPOOL_OK);
	l = list(s);
	ck_assert_uint_eq(l.count > 0, 1);
	for (size_t i = 0; i < l.count; i++)
		ck_assert_str_eq(l.seen[i].epoch, EPOCH_A);
	/* those that gave way are named by `dropped` records: together they are all */
	ck_assert_uint_eq(l.seen[0].seq, 0);
	for (size_t i = 1; i < l.count; i++)
		ck_assert_uint_eq(l.seen[i].seq,
		    1 + (l.seen[i - 1].through > 0 ? l.seen[i - 1].through : l.seen[i - 1].seq));
	ck_assert_uint_eq(l.seen[l.count - 1].seq, SLOTS - 1);
	free(l.seen);
	put(s, WIRE_SINGLE, EPOCH_B, 0);
	spool_close(s);
	ck_assert_int_eq(count_of(captured(), "checks of the last run never ended"), 1);
}
END_TEST

START_TEST(test_adoption)
{
	struct spool *s = open_spool(EPOCH_A);
	struct listing l;

	for (uint64_t i = 0; i < 4; i++)
		put(s, WIRE_OPEN, EPOCH_A, i);
	put(s, WIRE_CLOSE, EPOCH_A, 2);
	spool_close(s);

	s = open_spool(EPOCH_B);
	l = list(s);
	ck_assert_uint_eq(l.count, 4);
	for (size_t i = 0; i < l.count; i++) {
		static const uint64_t order[] = { 2, 0, 1, 3 };

		ck_assert_str_eq(l.seen[i].epoch, EPOCH_A);
		ck_assert_uint_eq(l.seen[i].seq, order[i]);
		ck_assert_str_eq(l.seen[i].error, i == 0 ? "" : "aborted");
	}
	ck_assert_str_eq(l.seen[1].message, "webmond ended while this check was running");
	free(l.seen);
	put(s, WIRE_CLOSE, EPOCH_A, 3);  /* a checker of the old days */
	put(s, WIRE_SINGLE, EPOCH_B, 0); /* seq starts anew */
	ck_assert_str_eq(seqs(s), "2 0 1 3 0");
	spool_close(s);

	/* a third epoch adopts nothing twice */
	s = open_spool("20260103T000000Z-0000000000000003");
	ck_assert_str_eq(seqs(s), "2 0 1 3 0");
	spool_close(s);
}
END_TEST

/* A copy of a spool that an earlier version wrote; what is in it says the file. */
static void
load_spool(const char *name)
{
	const char *srcdir = getenv("srcdir");
	char *path = xasprintf("%s/tests/spools/%s", srcdir != NULL ? srcdir : ".", name);
	const char *why;
	size_t size;
	mode_t mode;
	char *text = util_read_file(path, MIB, &size, &mode, &why);

	ck_assert_msg(text != NULL, "%s: %s", path, why);
	sql(text);
	free(text);
	free(path);
}

static const char *const earlier_versions[] = { "without-tokens.sql", "with-tokens.sql" };

/*
 * An upgrade loses nothing: each record is published as it was written, each slot that was open
 * gets its record, and a record that had taken the place of a refused one is known as such.
 */
START_TEST(test_spool_of_an_earlier_version)
{
	static const struct {
		uint64_t seq, through;
		const char *error, *message;
		int http_status;
	} wanted[] = {
		{ 0, 0, "", "", 200 },
		{ 1, 0, "missed_overrun", "the check before took too long", 0 },
		{ 2, 2, "dropped",
		    "Kafka refused this record: too large; it was kept in the table dead of the "
		    "spool",
		    0 },
		{ 4, 0, "", "", 200 },
		{ 3, 0, "aborted", "webmond ended while this check was running", 0 },
		{ 5, 0, "aborted", "webmond ended while this check was running", 0 },
	};
	struct listing l;
	struct spool *s;

	load_spool(earlier_versions[_i]);
	s = open_spool(EPOCH_B);
	put(s, WIRE_SINGLE, EPOCH_B, 0);
	l = list(s);
	ck_assert_uint_eq(l.count, ARRAY_LENGTH(wanted) + 1);
	for (size_t i = 0; i < ARRAY_LENGTH(wanted); i++) {
		ck_assert_str_eq(l.seen[i].epoch, EPOCH_A);
		ck_assert_uint_eq(l.seen[i].seq, wanted[i].seq);
		ck_assert_uint_eq(l.seen[i].through, wanted[i].through);
		ck_assert_str_eq(l.seen[i].error, wanted[i].error);
		ck_assert_str_eq(l.seen[i].message, wanted[i].message);
		ck_assert_int_eq(l.seen[i].http_status, wanted[i].http_status);
		/* the slots that it left open are not counted */
		ck_assert_int_eq(l.seen[i].streak, strcmp(wanted[i].error, "aborted") == 0);
	}
	refuse_row(s, l.seen[2].row, "again");
	ck_assert_str_eq(seqs(s), "0 1 4 3 5 0");
	free(l.seen);
	spool_close(s);
	ck_assert_int_eq(count_files("corrupt"), 0);
}
END_TEST

/* Some were closed, some begin in the same transaction, some are not over yet. */
START_TEST(test_settle)
{
	struct spool *s = open_spool(EPOCH_A);
	struct listing l;

	for (uint64_t i = 0; i < 4; i++)
		put(s, WIRE_OPEN, EPOCH_A, i);
	put(s, WIRE_CLOSE, EPOCH_A, 1);
	ck_assert_int_eq(spool_begin(s), SPOOL_OK);
	ck_assert_int_eq(apply(s, WIRE_OPEN, EPOCH_A, 4, 20), SPOOL_OK);
	ck_assert_int_eq(apply(s, WIRE_OPEN, EPOCH_A, 5, 20), SPOOL_OK);
	ck_assert_int_eq(apply(s, WIRE_OPEN, EPOCH_A, 6, 20), SPOOL_OK);
	ck_assert_int_eq(spool_settle(s, 3), SPOOL_OK);
	ck_assert_int_eq(spool_commit(s), SPOOL_OK);
	ck_assert_str_eq(seqs(s), "1 0 2");
	ck_assert_int_eq(spool_begin(s), SPOOL_OK);
	ck_assert_int_eq(spool_settle(s, 6), SPOOL_OK);
	spool_rollback(s);
	ck_assert_int_eq(spool_begin(s), SPOOL_OK);
	ck_assert_int_eq(spool_settle(s, 6), SPOOL_OK);
	ck_assert_int_eq(spool_commit(s), SPOOL_OK);
	put(s, WIRE_CLOSE, EPOCH_A, 0); /* too late */
	put(s, WIRE_CLOSE, EPOCH_A, 6);
	l = list(s);
	ck_assert_str_eq(seqs(s), "1 0 2 3 4 5 6");
	ck_assert_str_eq(l.seen[1].error, "aborted");
	ck_assert_str_eq(
	    l.seen[1].message, "the checker reported the end of this check, but sent no result");
	ck_assert_str_eq(l.seen[6].error, "");
	free(l.seen);
	spool_close(s);
}
END_TEST

/* Killed without a word: everything that was committed is there. */
START_TEST(test_kill)
{
	struct spool *s;
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		s = open_spool(EPOCH_A);
		for (uint64_t i = 0; i < 50; i++)
			put(s, WIRE_SINGLE, EPOCH_A, i);
		ck_assert_int_eq(spool_begin(s), SPOOL_OK);
		ck_assert_int_eq(apply(s, WIRE_SINGLE, EPOCH_A, 50, 20), SPOOL_OK);
		raise(SIGKILL);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	s = open_spool(EPOCH_A);
	ck_assert_uint_eq(spool_count(s), 50);
	put(s, WIRE_SINGLE, EPOCH_A, 50);
	ck_assert_uint_eq(spool_count(s), 51);
	spool_close(s);
}
END_TEST

START_TEST(test_lock)
{
	struct spool *s = open_spool(EPOCH_A), *other;
	char pid[16];
	int status, fd;
	pid_t child;

	fd = open(path_in_dir("spool.lock"), O_RDONLY);
	ck_assert_int_gt(read(fd, pid, sizeof(pid)), 0);
	ck_assert_int_eq(atoi(pid), getpid());
	close(fd);
	child = fork();
	if (child == 0) /* _exit: the connection is the parent's */
		_exit(try_open(&other, EPOCH_B, 64 * MIB, 100) == SPOOL_IN_USE ? 0 : 1);
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert_int_eq(status, 0);
	put(s, WIRE_SINGLE, EPOCH_A, 0); /* undisturbed */
	spool_close(s);
	ck_assert_int_eq(count_files("corrupt"), 0);
	ck_assert_int_eq(count_files("-wal"), 0);
	spool_close(open_spool(EPOCH_B));
}
END_TEST

/* --- what is in the way ------------------------------------------------------------------ */

static void
write_bytes(const char *name, const void *data, size_t size)
{
	int fd = open(path_in_dir(name), O_WRONLY | O_CREAT | O_TRUNC, 0600);

	ck_assert_int_eq(write(fd, data, size), (ssize_t)size);
	close(fd);
}

static void
make_negative_version(void)
{
	spool_close(open_spool(EPOCH_A));
	sql("PRAGMA user_version = -1");
}

static void
make_garbage(void)
{
	char garbage[9000];

	memset(garbage, 'x', sizeof(garbage));
	write_bytes("spool.db", garbage, sizeof(garbage));
}

static void
make_foreign(void)
{
	sql("CREATE TABLE t(x); INSERT INTO t VALUES('precious')");
}

static void
make_newer(void)
{
	spool_close(open_spool(EPOCH_A));
	sql("PRAGMA user_version = 999");
}

static void
make_strange_tables(void)
{
	spool_close(open_spool(EPOCH_A));
	sql("DROP TABLE ready");
}

static void
make_directory(void)
{
	ck_assert_int_eq(mkdir(path_in_dir("spool.db"), 0700), 0);
}

static void
make_link(void)
{
	write_bytes("target", "untouched", 9);
	ck_assert_int_eq(symlink("target", path_in_dir("spool.db")), 0);
}

static void
make_lone_log(void)
{
	write_bytes("spool.db-wal", "a log that has lost its database", 32);
}

static void
make_empty_with_log(void)
{
	write_bytes("spool.db", "", 0);
	make_lone_log();
}

static void
make_truncated(void)
{
	struct spool *s = open_spool(EPOCH_A);

	put_many(s, EPOCH_A, 0, 50, 20);
	spool_close(s);
	ck_assert_int_eq(truncate(path_in_dir("spool.db"), 5000), 0);
}

START_TEST(test_set_aside)
{
	static void (*const make[])(void) = { make_garbage, make_foreign, make_newer,
		make_strange_tables, make_directory, make_link, make_lone_log, make_empty_with_log,
		make_truncated, make_negative_version };
	struct spool *s;
	char text[16] = "";
	int fd;

	make[_i]();
	ck_assert_int_eq(try_open(&s, EPOCH_A, 64 * MIB, 100), SPOOL_LOST);
	ck_assert_int_ge(count_files(".corrupt-"), 1);
	ck_assert_int_ne(access(path_in_dir("spool.db"), F_OK), 0);
	if (make[_i] == make_link) {
		fd = open(path_in_dir("target"), O_RDONLY);
		ck_assert_int_eq(read(fd, text, sizeof(text)), 9);
		close(fd);
		ck_assert_str_eq(text, "untouched");
	}
	/* the next start has a new one */
	s = open_spool(EPOCH_B);
	put(s, WIRE_SINGLE, EPOCH_B, 0);
	ck_assert_str_eq(seqs(s), "0");
	spool_close(s);
}
END_TEST

/* A spool directory behind a link is fine: that is how one moves it to a larger disk. */
START_TEST(test_directory_link)
{
	char link_path[sizeof(dir) + 8];
	struct spool_options options = {
		.dir = link_path, .max_bytes = MIB, .window = 1, .epoch = EPOCH_A
	};
	struct spool *s;

	snprintf(link_path, sizeof(link_path), "%s.link", dir);
	ck_assert_int_eq(symlink(dir, link_path), 0);
	ck_assert_int_eq(spool_open(&s, &options), SPOOL_OK);
	put(s, WIRE_SINGLE, EPOCH_A, 0);
	spool_close(s);
	unlink(link_path);
}
END_TEST

START_TEST(test_cannot_create)
{
	struct spool *s;

	ck_assert_int_eq(rmdir(dir), 0);
	ck_assert_int_eq(try_open(&s, EPOCH_A, 64 * MIB, 100), SPOOL_FAILED);
	ck_assert_int_eq(mkdir(dir, 0700), 0);
}
END_TEST

START_TEST(test_removed_while_in_use)
{
	struct spool *s = open_spool(EPOCH_A);

	capture_start();
	put(s, WIRE_SINGLE, EPOCH_A, 0);
	ck_assert_int_eq(unlink(path_in_dir("spool.db")), 0);
	ck_assert_int_eq(unlink(path_in_dir("spool.db-wal")), 0);
	ck_assert_int_eq(spool_begin(s), SPOOL_LOST);
	ck_assert_int_eq(count_of(captured(), "removed or replaced while in use"), 1);
	spool_close(s);
	s = open_spool(EPOCH_B);
	ck_assert_uint_eq(spool_count(s), 0);
	spool_close(s);
}
END_TEST

/* What was committed is in the removed file, and no kill must come before that is noticed. */
START_TEST(test_log_removed_while_in_use)
{
	struct spool *s = open_spool(EPOCH_A);

	capture_start();
	put_frames(s, "o0 w1 w2", 0);
	ck_assert_int_eq(unlink(path_in_dir("spool.db-wal")), 0);
	ck_assert_int_eq(spool_begin(s), SPOOL_FAILED);
	ck_assert_int_eq(count_of(captured(), "wal\" was removed"), 1);
	spool_close(s);
	s = open_spool(EPOCH_A);
	put(s, WIRE_CLOSE, EPOCH_A, 0);
	ck_assert_str_eq(seqs(s), "1 2 0");
	spool_close(s);
}
END_TEST

/* Set aside are spools that have been used: else there would be one for each try. */
START_TEST(test_disk_breaks_each_spool)
{
	struct spool_options options = { .dir = dir,
		.sync_full = true,
		.max_bytes = 64 * MIB,
		.window = 100,
		.epoch = EPOCH_A };
	struct spool *s;

	for (int i = 0; i < 6; i++) {
		disk_is_broken = i % 2 == 0;
		s = NULL;
		ck_assert_int_eq(
		    spool_open(&s, &options), disk_is_broken ? SPOOL_FAILED : SPOOL_OK);
		if (s != NULL) {
			disk_is_broken = true;
			ck_assert_int_eq(spool_begin(s), SPOOL_OK);
			ck_assert_int_eq(apply(s, WIRE_SINGLE, EPOCH_A, 0, 20), SPOOL_OK);
			ck_assert_int_eq(spool_commit(s), SPOOL_FAILED);
			spool_close(s);
		}
		ck_assert_int_eq(count_files("spool.db"), 0);
	}
	disk_is_broken = false;
	ck_assert_int_eq(spool_open(&s, &options), SPOOL_OK);
	put(s, WIRE_SINGLE, EPOCH_A, 0);
	disk_is_broken = true;
	ck_assert_int_eq(spool_begin(s), SPOOL_OK);
	ck_assert_int_eq(apply(s, WIRE_SINGLE, EPOCH_A, 1, 20), SPOOL_OK);
	ck_assert_int_eq(spool_commit(s), SPOOL_LOST);
	spool_close(s);
	ck_assert_int_eq(count_files(".corrupt-"), 2); /* with its log */
}
END_TEST

/* Somebody has put another file in the place of one that was not used yet. */
START_TEST(test_replaced_before_use)
{
	struct spool *s = open_spool(EPOCH_A);

	ck_assert_int_eq(unlink(path_in_dir("spool.db")), 0);
	write_bytes("spool.db", "mine", 4);
	ck_assert_int_eq(spool_begin(s), SPOOL_LOST);
	spool_close(s);
	ck_assert_int_ge(count_files(".corrupt-"), 1);
}
END_TEST

/* Bits flip at random places: it opens or is set aside, it never crashes, and never hangs. */
START_TEST(test_bit_flips)
{
	static unsigned char image[1 << 20];
	struct spool *s = open_spool(EPOCH_A);
	ssize_t size;
	int fd;

	srand(7);
	for (uint64_t i = 0; i < 100; i++)
		put(s, i % 10 == 0 ? WIRE_OPEN : WIRE_SINGLE, EPOCH_A, i);
	spool_close(s);
	fd = open(path_in_dir("spool.db"), O_RDONLY);
	size = read(fd, image, sizeof(image));
	close(fd);
	ck_assert_int_gt(size, 10000);
	for (int round = 0; round < 300; round++) {
		int flips = 1 + rand() % 20, child_status;
		pid_t pid;

		write_bytes("spool.db", image, (size_t)size);
		fd = open(path_in_dir("spool.db"), O_WRONLY);
		for (int i = 0; i < flips; i++) {
			unsigned char byte = (unsigned char)rand();

			ck_assert_int_eq(pwrite(fd, &byte, 1, rand() % (int)size), 1);
		}
		close(fd);
		pid = fork();
		if (pid == 0) {
			struct spool_options options = {
				.dir = dir, .max_bytes = 64 * MIB, .window = 10, .epoch = EPOCH_B
			};
			enum spool_status status;
			struct listing l = { 0 };

			close(STDERR_FILENO);
			alarm(60);
			status = spool_open(&s, &options);
			for (int i = 0; status == SPOOL_OK && i < 200; i++) {
				size_t before = l.count;

				status = spool_read(
				    s, before > 0 ? l.seen[before - 1].row : 0, 1000, list_row, &l);
			}
			if (status == SPOOL_OK && (status = spool_begin(s)) == SPOOL_OK &&
			    (status = apply(s, WIRE_SINGLE, EPOCH_B, 0, 20)) == SPOOL_OK &&
			    (status = spool_delete(s, 1, 1000)) == SPOOL_OK)
				status = spool_commit(s);
			if (status != SPOOL_LOST && status != SPOOL_FAILED)
				spool_close(s);
			_exit(status == SPOOL_OK || status == SPOOL_LOST ? 0 : 1);
		}
		ck_assert_int_eq(waitpid(pid, &child_status, 0), pid);
		ck_assert_msg(child_status == 0, "round %d: status 0x%x", round, child_status);
		unlink(path_in_dir("spool.db"));
		unlink(path_in_dir("spool.db-wal"));
	}
}
END_TEST

/* One damaged record is set aside, its neighbours are read. */
START_TEST(test_damaged_rows)
{
	struct spool *s = open_spool(EPOCH_A);
	struct listing l = { 0 };

	put_many(s, EPOCH_A, 0, 5, 20);
	put(s, WIRE_OPEN, EPOCH_A, 5);
	put(s, WIRE_OPEN, EPOCH_A, 6);
	spool_close(s);
	sql("UPDATE ready SET frame = CAST(replace(frame, 'shop', 'shoq') AS BLOB) WHERE seq = 1;"
	    "UPDATE ready SET frame = x'' WHERE seq = 3;"
	    "UPDATE open SET frame = x'00' WHERE seq = 5");
	s = open_spool(EPOCH_B);
	for (int i = 0; i < 10; i++) {
		free(l.seen);
		l = (struct listing){ 0 };
		ck_assert_int_eq(spool_read(s, 0, 1000, list_row, &l), SPOOL_OK);
	}
	free(l.seen);
	ck_assert_str_eq(seqs(s), "0 2 4 6");
	ck_assert_uint_eq(spool_dead_letters(s), 3);
	spool_close(s);
	sql("SELECT CASE count(*) WHEN 3 THEN 1 ELSE abs(-9223372036854775808) END FROM dead");
}
END_TEST

/* --- dead letters ------------------------------------------------------------------------ */

START_TEST(test_dead_letter)
{
	struct spool *s = open_spool(EPOCH_A);
	struct listing l;
	uint64_t row;

	put_many(s, EPOCH_A, 0, 3, 20);
	l = list(s);
	row = l.seen[1].row;
	free(l.seen);
	refuse_row(s, row, "too large");
	/* its place is taken, so that the topic has no hole */
	l = list(s);
	ck_assert_uint_eq(l.count, 3);
	ck_assert_uint_eq(l.seen[1].row, row);
	ck_assert_uint_eq(l.seen[1].seq, 1);
	ck_assert_uint_eq(l.seen[1].through, 1);
	ck_assert_str_eq(l.seen[1].error, "dropped");
	ck_assert_ptr_nonnull(strstr(l.seen[1].message, "too large"));
	free(l.seen);
	/* refused again: it goes */
	refuse_row(s, row, "too large");
	ck_assert_str_eq(seqs(s), "0 2");
	ck_assert_uint_eq(spool_dead_letters(s), 2);
	spool_close(s);
	sql("SELECT CASE WHEN (SELECT group_concat(reason) FROM dead) = 'too large,too large' THEN 1 "
	    "ELSE abs(-9223372036854775808) END");
}
END_TEST

/* --- the cap ----------------------------------------------------------------------------- */

/*
 * Random slots, open for a random time, with an outage: afterwards each seq that was closed is
 * named exactly once, by its own record or by one `dropped` record; what may have been sent is
 * unchanged; the file keeps its size.
 */
static void
check_cap(unsigned seed, uint64_t window, int open_max)
{
	enum {
		SLOTS = 6000
	};
	static unsigned char named[SLOTS], closed[SLOTS];
	uint64_t open[64], next = 0, sent = 0;
	int opened = 0;
	size_t dropped_records = 0;
	struct spool *s;
	struct listing l;
	struct stat st;

	memset(named, 0, sizeof(named));
	memset(closed, 0, sizeof(closed));
	srand(seed);
	ck_assert_int_eq(try_open(&s, EPOCH_A, MIB, window), SPOOL_OK);
	while (next < SLOTS) {
		ck_assert_int_eq(spool_begin(s), SPOOL_OK);
		for (int i = rand() % 60; i > 0 && next < SLOTS; i--) {
			int which = rand() % 3;

			if (which == 0 || opened == 0) {
				if (opened == open_max)
					continue;
				ck_assert_int_eq(apply(s, WIRE_OPEN, EPOCH_A, next, 200), SPOOL_OK);
				open[opened++] = next++;
			} else if (which == 1) {
				int k = rand() % opened;

				ck_assert_int_eq(
				    apply(s, WIRE_CLOSE, EPOCH_A, open[k], 200), SPOOL_OK);
				closed[open[k]] = 1;
				open[k] = open[--opened];
			} else {
				closed[next] = 1;
				ck_assert_int_eq(
				    apply(s, WIRE_SINGLE, EPOCH_A, next++, 200), SPOOL_OK);
			}
		}
		ck_assert_int_eq(spool_commit(s), SPOOL_OK);
		if (rand() % 50 == 0) { /* restarts change nothing */
			spool_close(s);
			ck_assert_int_eq(try_open(&s, EPOCH_A, MIB, window), SPOOL_OK);
		}
	}
	l = list(s);
	for (size_t i = 0; i < l.count; i++) {
		bool dropped = strcmp(l.seen[i].error, "dropped") == 0;
		uint64_t through = dropped ? l.seen[i].through : l.seen[i].seq;

		ck_assert_uint_ge(through, l.seen[i].seq);
		ck_assert_uint_lt(through, SLOTS);
		for (uint64_t q = l.seen[i].seq; q <= through; q++)
			ck_assert_msg(++named[q] == 1, "seq %llu is named twice (seed %u)",
			    (unsigned long long)q, seed);
		dropped_records += dropped;
		if (i < window && !dropped)
			sent++;
	}
	ck_assert_uint_eq(sent, window); /* the oldest may have been sent: none was touched */
	ck_assert_uint_gt(dropped_records, 0);
	for (uint64_t q = 0; q < SLOTS; q++)
		ck_assert_msg(named[q] == closed[q], "seq %llu: closed %d, named %d (seed %u)",
		    (unsigned long long)q, closed[q], named[q], seed);
	free(l.seen);
	spool_close(s);
	ck_assert_int_eq(stat(path_in_dir("spool.db"), &st), 0);
	ck_assert_int_lt(st.st_size, MIB + MIB / 4);
}

START_TEST(test_cap)
{
	check_cap((unsigned)_i, _i % 2 == 0 ? 64 : 16, 1 + 9 * (_i % 7));
}
END_TEST

/*
 * Slots that stay open for long part the others, so that no two neighbours lie close together in
 * the order of ends. There is room all the same, and every seq is named once.
 */
START_TEST(test_cap_with_many_open)
{
	enum {
		SLOTS = 20000,
		LATE = 1500
	};
	static unsigned char named[SLOTS];
	struct spool *s;
	struct listing l;

	memset(named, 0, sizeof(named));
	ck_assert_int_eq(try_open(&s, EPOCH_A, MIB, 256), SPOOL_OK);
	for (uint64_t next = 0; next < SLOTS; next += 50) {
		ck_assert_int_eq(spool_begin(s), SPOOL_OK);
		for (uint64_t q = next; q < next + 50; q++) {
			ck_assert_int_eq(apply(s, WIRE_OPEN, EPOCH_A, q, 20), SPOOL_OK);
			if (q % 2 == 1)
				ck_assert_int_eq(apply(s, WIRE_CLOSE, EPOCH_A, q, 20), SPOOL_OK);
			else if (q >= LATE)
				ck_assert_int_eq(
				    apply(s, WIRE_CLOSE, EPOCH_A, q - LATE, 20), SPOOL_OK);
		}
		ck_assert_int_eq(spool_commit(s), SPOOL_OK);
	}
	l = list(s);
	for (size_t i = 0; i < l.count; i++)
		for (uint64_t q = l.seen[i].seq; q == l.seen[i].seq || q <= l.seen[i].through; q++)
			ck_assert_int_eq(++named[q], 1);
	for (uint64_t q = 0; q < SLOTS; q++)
		ck_assert_int_eq(named[q], q % 2 == 1 || q < SLOTS - LATE);
	free(l.seen);
	spool_close(s);
}
END_TEST

/* What may have been sent by an earlier publisher, with a larger spool, is left alone. */
START_TEST(test_cap_made_smaller)
{
	struct spool *s;
	struct listing l;

	ck_assert_int_eq(try_open(&s, EPOCH_A, 4 * MIB, 700), SPOOL_OK);
	for (int epoch = 0; epoch < 2; epoch++) {
		put_many(s, epoch == 0 ? EPOCH_A : EPOCH_B, 0, 1000, 20);
		spool_close(s);
		ck_assert_int_eq(try_open(&s, EPOCH_B, MIB, 100), SPOOL_OK);
	}
	l = list(s);
	ck_assert_uint_lt(l.count, 1900);
	for (size_t i = 0; i < 700; i++)
		ck_assert_str_eq(l.seen[i].error, "");
	free(l.seen);
	spool_close(s);
}
END_TEST

/* A long outage, the disk runs full, and so the cap is lowered far below what waits. */
START_TEST(test_cap_far_below_what_waits)
{
	struct spool *s;
	uint64_t seq = 0;

	ck_assert_int_eq(try_open(&s, EPOCH_A, 64 * MIB, 100), SPOOL_OK);
	for (int64_t cap = 64 * MIB; cap >= MIB; cap -= 63 * MIB) {
		for (int i = 0; i < 20; i++) {
			put_many(s, EPOCH_A, seq, seq + 1000, 300);
			seq += 1000;
		}
		if (cap == 64 * MIB)
			ck_assert_uint_eq(spool_count(s), seq);
		spool_close(s);
		ck_assert_int_eq(try_open(&s, EPOCH_A, MIB, 100), SPOOL_OK);
	}
	ck_assert_uint_lt(spool_count(s), 1500);
	spool_close(s);
}
END_TEST

/* The first of a run is damaged: it becomes a dead letter, and hides none of the others. */
START_TEST(test_cap_over_damage)
{
	struct spool *s;
	struct listing l;
	uint64_t next = 20;

	ck_assert_int_eq(try_open(&s, EPOCH_A, MIB, 0), SPOOL_OK);
	put_many(s, EPOCH_A, 0, 10, 20);
	spool_close(s);
	sql("UPDATE ready SET frame = x'00' WHERE seq = 0");
	ck_assert_int_eq(try_open(&s, EPOCH_A, MIB, 0), SPOOL_OK);
	put_many(s, EPOCH_A, 10, 20, 20);
	for (; next < 3000; next += 50) {
		put_many(s, EPOCH_A, next, next + 50, 20);
	}
	l = list(s);
	ck_assert_uint_eq(l.seen[0].seq, 1);
	ck_assert_str_eq(l.seen[0].error, "dropped");
	free(l.seen);
	ck_assert_uint_eq(spool_dead_letters(s), 1);
	spool_close(s);
}
END_TEST

/* Several epochs lie in the spool: no run reaches from one into the next. */
START_TEST(test_cap_over_epochs)
{
	struct spool *s;
	struct listing l;

	for (int epoch = 0; epoch < 5; epoch++) {
		char name[WIRE_EPOCH_SIZE];

		snprintf(name, sizeof(name), "2026010%dT000000Z-000000000000000%d", epoch, epoch);
		ck_assert_int_eq(try_open(&s, name, MIB, 10), SPOOL_OK);
		put_many(s, name, 0, 500, 300);
		spool_close(s);
	}
	s = open_spool("20260109T000000Z-0000000000000009");
	l = list(s);
	for (size_t i = 1; i < l.count; i++) {
		uint64_t last = l.seen[i - 1].through != 0 ? l.seen[i - 1].through
							   : l.seen[i - 1].seq;

		if (strcmp(l.seen[i].epoch, l.seen[i - 1].epoch) == 0) {
			ck_assert_uint_eq(l.seen[i].seq, last + 1);
		} else {
			ck_assert_uint_eq(last, 499);
			ck_assert_uint_eq(l.seen[i].seq, 0);
		}
	}
	free(l.seen);
	spool_close(s);
}
END_TEST

/* --- a disk that is full ----------------------------------------------------------------- */

static bool
mount_disk(const char *size)
{
	return geteuid() == 0 && mount("tmpfs", dir, "tmpfs", 0, size) == 0;
}

/* Store records from `next` on until there is no room. */
static uint64_t
store_until_full(struct spool *s, uint64_t next)
{
	enum spool_status status;

	do {
		status = spool_begin(s);
		if (status == SPOOL_OK)
			status = apply(s, WIRE_SINGLE, EPOCH_A, next, 1000);
		if (status == SPOOL_OK)
			status = spool_commit(s);
		next += status == SPOOL_OK;
	} while (status == SPOOL_OK);
	ck_assert_int_eq(status, SPOOL_RETRY);
	ck_assert_uint_eq(spool_count(s), next);
	return next;
}

/* Filled by ourselves: what is delivered can still go, or else there would be no way out. */
START_TEST(test_disk_full_of_records)
{
	struct spool *s;
	uint64_t stored;

	if (!mount_disk("size=24m"))
		return; /* needs the right to mount */
	capture_start();
	s = open_spool(EPOCH_A);
	stored = store_until_full(s, 0);
	for (uint64_t row = 1; row <= stored; row += 1000) {
		delete_rows(s, row, row + 999);
	}
	ck_assert_uint_eq(spool_count(s), 0);
	ck_assert_int_eq(count_of(captured(), "storing again"), 0);
	put(s, WIRE_SINGLE, EPOCH_A, stored);
	ck_assert_uint_eq(spool_count(s), 1);
	ck_assert_int_eq(count_of(captured(), "storing again"), 1);
	spool_close(s);
	ck_assert_int_eq(umount(dir), 0);
}
END_TEST

/* Filled by others: nothing is half done, and when there is room again it goes on. */
START_TEST(test_disk_full)
{
	static const char block[4096];
	struct spool *s;
	uint64_t next = 100;
	int fd;

	if (!mount_disk("size=4m"))
		return;
	s = open_spool(EPOCH_A);
	put_many(s, EPOCH_A, 0, next, 20);
	fd = open(path_in_dir("filler"), O_WRONLY | O_CREAT, 0600);
	while (write(fd, block, sizeof(block)) == (ssize_t)sizeof(block))
		;
	close(fd);
	next = store_until_full(s, next);
	ck_assert_int_eq(unlink(path_in_dir("filler")), 0);
	delete_rows(s, 1, 90);
	put(s, WIRE_SINGLE, EPOCH_A, next++);
	ck_assert_uint_eq(spool_count(s), next - 90);
	spool_close(s);
	s = open_spool(EPOCH_A);
	ck_assert_uint_eq(spool_count(s), next - 90);
	spool_close(s);
	ck_assert_int_eq(umount(dir), 0);
}
END_TEST

/* Until the last one is gone, as Kafka confirms them. */
static void
delete_all(struct spool *s, uint64_t stored)
{
	for (uint64_t row = 1; row <= stored; row += 500) {
		delete_rows(s, row, row + 499);
	}
	ck_assert_uint_eq(spool_count(s), 0);
}

/* In a process that is killed then; returns how many. */
static uint64_t
store_until_full_and_die(int64_t file_size)
{
	const struct rlimit limit = { (rlim_t)file_size, RLIM_INFINITY };
	uint64_t stored = 0;
	int ends[2], status;
	pid_t pid;

	ck_assert_int_eq(pipe(ends), 0);
	pid = fork();
	if (pid == 0) {
		struct spool *s;

		if (file_size > 0)
			setrlimit(RLIMIT_FSIZE, &limit);
		s = open_spool(EPOCH_A);
		stored = store_until_full(s, 0);
		_exit(write(ends[1], &stored, sizeof(stored)) != (ssize_t)sizeof(stored));
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(status, 0);
	ck_assert_int_eq(read(ends[0], &stored, sizeof(stored)), sizeof(stored));
	return stored;
}

/* What is advised fits the cause: no owner helps where nobody may write. */
START_TEST(test_read_only)
{
	struct spool *s;

	if (!mount_disk("size=8m"))
		return;
	ck_assert_int_eq(mount(NULL, dir, NULL, MS_REMOUNT | MS_RDONLY, NULL), 0);
	capture_start();
	ck_assert_int_eq(try_open(&s, EPOCH_A, 64 * MIB, 100), SPOOL_FAILED);
	ck_assert_int_eq(count_of(captured(), "Read-only file system; mount it for writing"), 1);
	ck_assert_int_eq(count_of(captured(), "chown"), 0);
	ck_assert_int_eq(umount(dir), 0);
}
END_TEST

/* A quota does not show: it is hit, and what is there can go all the same, by a new process too. */
START_TEST(test_quota)
{
	struct spool *s;
	uint64_t stored;

	if (!mount_disk("size=8m"))
		return;
	capture_start();
	room_is_hidden = true;
	stored = store_until_full_and_die(0);
	ck_assert_int_eq(count_of(captured(), "make room on the file system"), 1);
	s = open_spool(EPOCH_A);
	ck_assert_uint_eq(spool_count(s), stored);
	delete_all(s, stored);
	put(s, WIRE_SINGLE, EPOCH_A, stored);
	ck_assert_uint_eq(spool_count(s), 1);
	spool_close(s);
	ck_assert_int_eq(umount(dir), 0);
}
END_TEST

/* Once all is delivered new records need not wait, and there is room for many of them. */
START_TEST(test_quota_heals_at_once)
{
	struct spool *s;
	uint64_t stored;

	if (!mount_disk("size=8m"))
		return;
	capture_start();
	room_is_hidden = true;
	s = open_spool(EPOCH_A);
	stored = store_until_full(s, 0);
	ck_assert_int_eq(count_files("reserve"), 0);
	delete_all(s, stored);
	put_many(s, EPOCH_A, stored, stored + 300, 1000);
	ck_assert_uint_eq(spool_count(s), 300);
	ck_assert_int_eq(count_files("reserve"), 1);
	spool_close(s);
	ck_assert_int_eq(umount(dir), 0);
}
END_TEST

static int64_t
reserve_size(void)
{
	struct stat st;

	return stat(path_in_dir("spool.reserve"), &st) == 0 ? st.st_size : -1;
}

/* The reserve leaves room for records, and a successor in a full spool takes the same. */
START_TEST(test_reserve_leaves_room)
{
	struct spool *s;

	if (!mount_disk("size=9m"))
		return;
	capture_start();
	room_is_hidden = true;
	for (int i = 0; i < 2; i++) {
		s = open_spool(EPOCH_A);
		ck_assert_int_eq(reserve_size(), 4 * MIB);
		if (i == 0)
			ck_assert_uint_gt(store_until_full(s, 0), 500);
		spool_close(s);
	}
	ck_assert_int_eq(umount(dir), 0);
}
END_TEST

/* What is full is named, whatever has failed before. */
START_TEST(test_what_is_full)
{
	struct spool *s = open_spool(EPOCH_A);

	capture_start();
	put(s, WIRE_SINGLE, EPOCH_A, 0);
	quota_is_used_up = true;
	errno = 0;
	ck_assert_int_eq(spool_begin(s), SPOOL_OK);
	ck_assert_int_eq(apply(s, WIRE_SINGLE, EPOCH_A, 1, 300), SPOOL_OK);
	ck_assert_int_eq(spool_commit(s), SPOOL_RETRY);
	ck_assert_int_eq(count_of(captured(), "Disk quota exceeded; raise the quota"), 1);
	quota_is_used_up = false;
	spool_close(s);
}
END_TEST

/*
 * The same without rights: no file may grow further. SQLite is stopped before the kernel does it.
 */
START_TEST(test_file_size_limit)
{
	const struct rlimit limit = { 2 * MIB, RLIM_INFINITY };
	struct spool *s;
	uint64_t stored;

	capture_start();
	signal(SIGXFSZ, SIG_IGN);
	stored = store_until_full_and_die(2 * MIB);
	ck_assert_int_eq(count_of(captured(), "raise the limit of file sizes"), 1);
	ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
	s = open_spool(EPOCH_A);
	ck_assert_uint_eq(spool_count(s), stored);
	delete_all(s, stored);
	put(s, WIRE_SINGLE, EPOCH_A, stored);
	ck_assert_uint_eq(spool_count(s), 1);
	spool_close(s);
}
END_TEST

/* A limit that is raised is noticed. */
START_TEST(test_file_size_limit_is_raised)
{
	struct rlimit limit = { 2 * MIB, RLIM_INFINITY };
	struct spool *s;
	uint64_t stored;

	capture_start();
	signal(SIGXFSZ, SIG_IGN);
	ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
	s = open_spool(EPOCH_A);
	stored = store_until_full(s, 0);
	limit.rlim_cur = RLIM_INFINITY;
	ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
	for (int i = 0; i < 1000; i++)
		put(s, WIRE_SINGLE, EPOCH_A, stored + (uint64_t)i);
	ck_assert_uint_eq(spool_count(s), stored + 1000);
	ck_assert_int_eq(count_of(captured(), "storing again"), 1);
	spool_close(s);
}
END_TEST

/* A smaller cap than what may have been sent needs: that has its room, and new records, too. */
START_TEST(test_cap_below_the_window)
{
	struct spool *s;
	uint64_t seq = 0;

	for (int64_t cap = 64 * MIB; cap >= MIB; cap -= 63 * MIB) {
		ck_assert_int_eq(try_open(&s, EPOCH_A, cap, cap > MIB ? 8192 : 256), SPOOL_OK);
		for (int i = 0; i < 30; i++) {
			uint64_t end = seq + (cap > MIB ? 100 : 1000);

			put_many(s, EPOCH_A, seq, end, 1000);
			seq = end;
		}
		spool_close(s);
	}
	ck_assert_int_eq(try_open(&s, EPOCH_A, MIB, 256), SPOOL_OK);
	ck_assert_uint_ge(spool_count(s), 8192);
	ck_assert_uint_lt(spool_count(s), 9500);
	spool_close(s);
}
END_TEST

START_TEST(test_shrink)
{
	struct spool *s = open_spool(EPOCH_A);
	struct stat before, after;

	put_many(s, EPOCH_A, 0, 12000, 300);
	ck_assert(!spool_shrink(s)); /* it is in use */
	spool_close(s);
	ck_assert_int_eq(stat(path_in_dir("spool.db"), &before), 0);
	s = open_spool(EPOCH_A);
	delete_rows(s, 1, 11990);
	while (spool_shrink(s))
		;
	spool_close(s);
	ck_assert_int_eq(stat(path_in_dir("spool.db"), &after), 0);
	ck_assert_int_gt(before.st_size, 8 * MIB);
	ck_assert_int_lt(after.st_size, 5 * MIB);
	s = open_spool(EPOCH_A);
	ck_assert_str_eq(seqs(s), "11990 11991 11992 11993 11994 11995 11996 11997 11998 11999");
	spool_close(s);
}
END_TEST

/* A give-back of a shard waits for this. */
START_TEST(test_through)
{
	struct spool *s = open_spool(EPOCH_A);

	ck_assert(spool_is_through(s, spool_last_row(s)));
	put_many(s, EPOCH_A, 0, 3, 10);
	ck_assert_uint_eq(spool_last_row(s), 3);
	ck_assert(!spool_is_through(s, 3));
	delete_rows(s, 2, 3);
	ck_assert(!spool_is_through(s, 3));
	ck_assert(!spool_is_through(s, 1));
	delete_rows(s, 1, 1);
	ck_assert(spool_is_through(s, 3));
	put_many(s, EPOCH_A, 3, 4, 10);
	ck_assert(spool_is_through(s, 3));
	ck_assert(!spool_is_through(s, 4));
	spool_close(s);
}
END_TEST

START_TEST(test_shards)
{
	struct spool_shards stored = { "eu", "results", 20, { 0x81, 0x03, 0x08 }, 0 };
	struct spool_shards other = { "eu", "others", 0, { 0 }, 0 };
	struct spool_shards found = { "eu", "results", 0, { 0xff, 0, 0, 0xff }, 0 };
	struct spool *s = open_spool(EPOCH_A);

	ck_assert(!spool_load_shards(s, &found)); /* most spools have none */
	spool_store_shards(s, &stored);
	stored.taken[1] = 0;
	spool_store_shards(s, &stored);
	put_many(s, EPOCH_A, 0, 4, 10);
	spool_note_newest(s);
	spool_close(s);

	s = open_spool(EPOCH_B);
	ck_assert(spool_load_shards(s, &found));
	ck_assert_uint_eq(found.total, 20);
	ck_assert_mem_eq(found.taken, stored.taken, sizeof(found.taken));
	ck_assert_int_eq(
	    found.newest_us, INT64_C(1767225600) * US_PER_S + 3); /* see make_frame() */
	ck_assert(!spool_load_shards(s, &other));
	spool_store_shards(s, &stored); /* before its first slot: the last one stays as it is */
	spool_note_newest(s);
	ck_assert(spool_load_shards(s, &found));
	ck_assert_int_eq(found.newest_us, INT64_C(1767225600) * US_PER_S + 3);
	spool_close(s);

	sql("UPDATE shard SET at = at - 23 * 3600");
	s = open_spool(EPOCH_B);
	ck_assert(spool_load_shards(s, &found));
	spool_close(s);
	sql("UPDATE shard SET at = at - 2 * 3600");
	s = open_spool(EPOCH_B);
	ck_assert(!spool_load_shards(s, &found));
	spool_close(s);
}
END_TEST

START_TEST(test_in_memory)
{
	struct spool_options options = {
		.max_bytes = INT64_C(1) << 40, .window = 100, .epoch = EPOCH_A
	};
	struct spool *s;

	ck_assert_int_eq(spool_open(&s, &options), SPOOL_OK);
	put(s, WIRE_OPEN, EPOCH_A, 0);
	put(s, WIRE_CLOSE, EPOCH_A, 0);
	ck_assert_str_eq(seqs(s), "0");
	spool_close(s);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("spool");
	TCase *tcase = tcase_create("spool");

	tcase_add_checked_fixture(tcase, make_dir, teardown);
	tcase_set_timeout(tcase, 120);
	tcase_add_test(tcase, test_accept);
	tcase_add_test(tcase, test_lost_epoch);
	tcase_add_test(tcase, test_lost_epoch_comes_back);
	tcase_add_test(tcase, test_epoch_without_its_spool);
	tcase_add_test(tcase, test_nonsense_in_its_own_slot);
	tcase_add_test(tcase, test_first_close_wins);
	tcase_add_test(tcase, test_rollback);
	tcase_add_test(tcase, test_delete);
	tcase_add_test(tcase, test_rows_are_unique);
	tcase_add_test(tcase, test_same_epoch_goes_on);
	tcase_add_test(tcase, test_adoption);
	tcase_add_test(tcase, test_adoption_without_room);
	tcase_add_loop_test(
	    tcase, test_spool_of_an_earlier_version, 0, ARRAY_LENGTH(earlier_versions));
	tcase_add_test(tcase, test_settle);
	tcase_add_test(tcase, test_kill);
	tcase_add_test(tcase, test_lock);
	tcase_add_loop_test(tcase, test_set_aside, 0, 10);
	tcase_add_test(tcase, test_directory_link);
	tcase_add_test(tcase, test_cannot_create);
	tcase_add_test(tcase, test_removed_while_in_use);
	tcase_add_test(tcase, test_disk_breaks_each_spool);
	tcase_add_test(tcase, test_replaced_before_use);
	tcase_add_test(tcase, test_log_removed_while_in_use);
	tcase_add_test(tcase, test_bit_flips);
	tcase_add_test(tcase, test_damaged_rows);
	tcase_add_test(tcase, test_dead_letter);
	tcase_add_loop_test(tcase, test_cap, 0, 14);
	tcase_add_test(tcase, test_cap_over_epochs);
	tcase_add_test(tcase, test_cap_with_many_open);
	tcase_add_test(tcase, test_cap_made_smaller);
	tcase_add_test(tcase, test_cap_far_below_what_waits);
	tcase_add_test(tcase, test_cap_over_damage);
	tcase_add_test(tcase, test_disk_full_of_records);
	tcase_add_test(tcase, test_disk_full);
	tcase_add_test(tcase, test_read_only);
	tcase_add_test(tcase, test_quota);
	tcase_add_test(tcase, test_quota_heals_at_once);
	tcase_add_test(tcase, test_reserve_leaves_room);
	tcase_add_test(tcase, test_what_is_full);
	tcase_add_test(tcase, test_file_size_limit);
	tcase_add_test(tcase, test_file_size_limit_is_raised);
	tcase_add_test(tcase, test_cap_below_the_window);
	tcase_add_test(tcase, test_shrink);
	tcase_add_test(tcase, test_through);
	tcase_add_test(tcase, test_shards);
	tcase_add_test(tcase, test_in_memory);
	suite_add_tcase(suite, tcase);
	return run_suite(suite);
}
