/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * The publisher as the supervisor sees it: a process between the pipes and standard output
 * or Kafka (librdkafka's mock cluster, in a process of its own: its threads survive no fork).
 */
#include "publisher.h"

#include <check.h>
#include <errno.h>
#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "capture.h"
#include "json.h"
#include "payload.h"
#include "pipe.h"
#include "reports.h"
#include "scratch.h"
#include "suite.h"
#include "wire.h"

#define EPOCH      "20260101T000000Z-0000000000000001"
#define LOST_EPOCH "20251231T000000Z-0000000000000000"
#define TOPIC      "results"

static struct pipe supervisor, checkers;
static const unsigned char key[UTIL_KEY_SIZE] = "a key for tokens";
static const unsigned char *token_key = key; /* what frames are made with */
static const char *epoch = EPOCH;            /* likewise */
static int control;                          /* our end; -1: closed */
static int stdout_read;                      /* what the publisher prints; non-blocking */
static pid_t publisher;
static bool *stop_at_sync; /* shared with the publisher */

/* SQLite's, in each transaction: the C library's one is not called. */
int
fdatasync(int fd)
{
	if (stop_at_sync != NULL && *stop_at_sync)
		raise(SIGSTOP);
	return (int)syscall(SYS_fdatasync, fd);
}

static void
open_pipes(void)
{
	ck_assert_int_eq(pipe_open(&supervisor, PIPE_SIZE_OPEN), 0);
	ck_assert_int_eq(pipe_open(&checkers, PIPE_SIZE), 0);
}

static void
setup(void)
{
	capture_start();
	signal(SIGPIPE, SIG_IGN);
	make_dir();
	open_pipes();
}

/* --- the publisher ----------------------------------------------------------------------- */

static void
start(enum publisher_output output, const char *brokers)
{
	static char text[256];
	/* one batch after the other: the mock cluster takes those behind one that it refuses */
	static struct config_string properties[] = { { .value = text }, { .value = "linger.ms=1" },
		{ .value = "max.in.flight.requests.per.connection=1" } };
	static struct config config = { .file = "w.conf",
		.instance = "test",
		.spool_dir = dir,
		.spool_max_bytes = 64 << 20,
		.spool_sync_full = true,
		.has_kafka = true,
		.kafka_topic = TOPIC,
		.kafka_properties = properties,
		.kafka_property_count = ARRAY_LENGTH(properties) };
	int sockets[2], out[2];

	snprintf(text, sizeof(text), "bootstrap.servers=%s", brokers != NULL ? brokers : "");
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets), 0);
	ck_assert_int_eq(pipe2(out, O_CLOEXEC), 0);
	fcntl(out[0], F_SETFL, O_NONBLOCK);
	publisher = fork();
	if (publisher == 0) {
		struct publisher_start how = { .config = &config,
			.output = output,
			.epoch = EPOCH,
			.lost_epoch = LOST_EPOCH,
			.supervisor_fd = supervisor.read_fd,
			.checkers_fd = checkers.read_fd,
			.control_fd = sockets[1],
			.token_key = key };

		dup2(out[1], STDOUT_FILENO);
		/* as the supervisor does: above all without the write ends of the pipes */
		for (int fd = STDERR_FILENO + 1; fd < 256; fd++)
			if (fd != supervisor.read_fd && fd != checkers.read_fd && fd != sockets[1])
				close(fd);
		_exit(publisher_main(&how));
	}
	close(out[1]);
	close(sockets[1]);
	control = sockets[0];
	stdout_read = out[0];
}

static int
exit_code(void)
{
	int status;

	ck_assert_int_eq(waitpid(publisher, &status, 0), publisher);
	ck_assert_msg(WIFEXITED(status), "killed by signal %d", WTERMSIG(status));
	return WEXITSTATUS(status);
}

static void
order(enum message_type what)
{
	ck_assert_int_eq(message_send(control, what, NULL, 0, -1), 0);
}

/* The next report in which `wanted` holds. */
static struct message_report
await_report(bool (*wanted)(const struct message_report *report))
{
	struct message_report report;

	do
		ck_assert(read_report(control, &report, -1));
	while (!wanted(&report));
	return report;
}

/* --- records ----------------------------------------------------------------------------- */

/* `code`: the HTTP status code of a CLOSE; 0: it has none. */
static size_t
make_frame(unsigned char *out, enum wire_type type, uint64_t seq, int code)
{
	struct config config = { .instance = "test" };
	struct site site = { .name = "shop", .url = "http://a/", .method = "GET" };
	struct slot slot = { .epoch = epoch,
		.seq = seq,
		.slot_us = 1767225600000000,
		.interval_us = 1,
		.ordinal = { 1, (uint32_t)seq + 1 } };
	struct result result;

	result_init(&result);
	result.completed = true;
	result.elapsed_us = 1;
	if (code != 0)
		result.http_status = code;
	else
		result_fail(&result, ERROR_ABORTED, "over");
	return payload_frame(
	    out, type, &config, &site, &slot, type == WIRE_OPEN ? NULL : &result, token_key);
}

/* What came out of standard output: seqs in their order. */
static struct {
	uint64_t seq[20000];
	size_t count;
	char line[2 * WIRE_RECORD_JSON_MAX];
	size_t used;
	int code[20000]; /* http_status_code; 0: null */
} seen;

/* The seq of a record, which must be valid JSON. */
static uint64_t
seq_of(const char *record, size_t size)
{
	size_t length;
	const char *seq = json_get(record, size, "seq", &length);

	ck_assert_msg(seq != NULL, "not a record: %.*s", (int)size, record);
	return strtoull(seq, NULL, 10);
}

/* Read what is there, waiting up to `timeout_ms`; false at the end. */
static bool
read_stdout(int timeout_ms)
{
	struct pollfd p = { .fd = stdout_read, .events = POLLIN };
	char *newline;
	ssize_t n;

	if (poll(&p, 1, timeout_ms) != 1)
		return true;
	n = read(stdout_read, seen.line + seen.used, sizeof(seen.line) - seen.used);
	if (n <= 0)
		return false;
	seen.used += (size_t)n;
	while ((newline = memchr(seen.line, '\n', seen.used)) != NULL) {
		size_t size = (size_t)(newline - seen.line), length;

		ck_assert_uint_lt(seen.count, ARRAY_LENGTH(seen.seq));
		seen.code[seen.count] = atoi(
		    json_get(seen.line, size, "http_status_code", &length));
		seen.seq[seen.count++] = seq_of(seen.line, size);
		seen.used -= size + 1;
		memmove(seen.line, newline + 1, seen.used);
	}
	return true;
}

static void
read_stdout_to_its_end(void)
{
	while (read_stdout(-1))
		;
	ck_assert_uint_eq(seen.used, 0); /* whole lines only */
}

/* Into one of the pipes. */
static void
put_into(const struct pipe *pipe, const void *bytes, size_t size)
{
	int full;

	while ((full = pipe_write(pipe->write_fd, bytes, size)) == 1)
		read_stdout(10);
	ck_assert_int_eq(full, 0);
}

static void
put_bytes(const void *bytes, size_t size)
{
	put_into(&supervisor, bytes, size);
}

/* By whom it is written in an honest daemon. */
static void
put(enum wire_type type, uint64_t seq)
{
	unsigned char frame[WIRE_FRAME_MAX];
	size_t size = make_frame(frame, type, seq, type == WIRE_CLOSE ? 200 : 0);

	put_into(type == WIRE_CLOSE ? &checkers : &supervisor, frame, size);
}

static void
end_of_pipe(void)
{
	close(supervisor.write_fd);
	close(checkers.write_fd);
	supervisor.write_fd = checkers.write_fd = -1;
}

static void
expect_seqs(uint64_t first, uint64_t count)
{
	ck_assert_uint_eq(seen.count, count);
	for (uint64_t i = 0; i < count; i++)
		ck_assert_uint_eq(seen.seq[i], first + i);
}

/* --- to standard output ------------------------------------------------------------------ */

START_TEST(all_is_printed_once_in_order)
{
	start(PUBLISH_TO_STDOUT, NULL);
	for (uint64_t seq = 0; seq < 3000; seq++) {
		if (seq % 3 == 0) {
			put(WIRE_SINGLE, seq);
			continue;
		}
		put(WIRE_OPEN, seq);
		put(WIRE_CLOSE, seq);
		put(WIRE_CLOSE, seq); /* the other writer came too late */
	}
	end_of_pipe();
	read_stdout_to_its_end();
	ck_assert_int_eq(exit_code(), EXIT_FINE);
	expect_seqs(0, 3000);
}
END_TEST

START_TEST(damage_costs_what_is_damaged)
{
	unsigned char frame[WIRE_FRAME_MAX];
	size_t size = make_frame(frame, WIRE_SINGLE, 1, 0);

	start(PUBLISH_TO_STDOUT, NULL);
	put(WIRE_SINGLE, 0);
	put_bytes("garbage", 7);
	frame[size / 2] ^= 1;
	put_bytes(frame, size);
	put(WIRE_SINGLE, 2);
	put(WIRE_SINGLE, 3);
	end_of_pipe();
	read_stdout_to_its_end();
	ck_assert_int_eq(exit_code(), EXIT_FINE);
	ck_assert_uint_eq(seen.count, 3);
	ck_assert_uint_eq(seen.seq[0], 0);
	ck_assert_uint_eq(seen.seq[1], 2);
	ck_assert_uint_eq(seen.seq[2], 3);
	ck_assert_int_eq(count_of(captured(), "damaged bytes in the pipe of the supervisor"), 1);
	ck_assert_int_eq(count_of(captured(), "got seq 2, expected 1"), 1);
}
END_TEST

/*
 * A checker in foreign hands, beside an honest one: it may end its own slots, and do nothing else.
 */
START_TEST(checkers_may_only_close)
{
	unsigned char frame[WIRE_FRAME_MAX];

	put(WIRE_OPEN, 0);
	put_into(&checkers, frame, make_frame(frame, WIRE_OPEN, 1, 404));
	put_into(&checkers, frame, make_frame(frame, WIRE_OPEN, 4000, 404));
	put_into(&checkers, frame, make_frame(frame, WIRE_SINGLE, 1, 404));
	put_into(&checkers, frame, make_frame(frame, WIRE_RECORD, 1, 404));
	put_into(&checkers, "garbage", 7);
	token_key = (const unsigned char *)"the key of none ";
	put(WIRE_CLOSE, 0); /* of the slot of another, whose token it does not know */
	put(WIRE_CLOSE, 7); /* of a slot that nobody opened */
	token_key = key;
	put(WIRE_OPEN, 1);
	put(WIRE_CLOSE, 1);
	put(WIRE_CLOSE, 0);
	put(WIRE_SINGLE, 2);
	start(PUBLISH_TO_STDOUT, NULL);
	end_of_pipe();
	read_stdout_to_its_end();
	ck_assert_int_eq(exit_code(), EXIT_FINE);
	expect_seqs(0, 3);
	ck_assert_int_eq(seen.code[0], 200);
	ck_assert_int_eq(seen.code[1], 200);
	ck_assert_int_eq(count_of(captured(), "wrote what only the supervisor may"), 1);
	ck_assert_int_eq(count_of(captured(), "damaged bytes in the pipe of the checkers"), 1);
}
END_TEST

/*
 * It has the token of its own slot: with that it can end no other, and have nothing else recorded.
 */
START_TEST(a_token_ends_only_what_it_was_made_for)
{
	struct config config = { .instance = "test" };
	struct site site = { .name = "shop", .url = "http://a/", .method = "GET" };
	struct slot slot = {
		.epoch = EPOCH, .slot_us = 1767225600000000, .interval_us = 1, .ordinal = { 1, 1 }
	};
	unsigned char frame[WIRE_FRAME_MAX];
	struct result result;

	put_into(
	    &supervisor, frame, payload_frame(frame, WIRE_OPEN, &config, &site, &slot, NULL, key));
	put(WIRE_OPEN, 1);
	result_init(&result);
	result_fail(&result, ERROR_ABORTED, "not mine");
	for (int i = 0; i < 8; i++) {
		struct site other_site = site;
		struct slot other = slot;

		other.seq = i == 0;
		other.slot_us += i == 1;
		other.token ^= i == 2;
		other.ordinal.slot += i == 6;
		other.ordinal.site += i == 7;
		other.epoch = i == 3 ? LOST_EPOCH : EPOCH;
		other_site.name = i == 4 ? "shoq" : "shop";
		other_site.url = i == 5 ? "http://elsewhere.example/" : site.url;
		put_into(&checkers, frame,
		    payload_frame(frame, WIRE_CLOSE, &config, &other_site, &other, &result, NULL));
	}
	put(WIRE_CLOSE, 1);
	put_into(&checkers, frame,
	    payload_frame(frame, WIRE_CLOSE, &config, &site, &slot, &result, NULL));
	epoch = LOST_EPOCH;
	put(WIRE_CLOSE, 2); /* of a check that ran when the spool was lost */
	epoch = EPOCH;
	start(PUBLISH_TO_STDOUT, NULL);
	end_of_pipe();
	read_stdout_to_its_end();
	ck_assert_int_eq(exit_code(), EXIT_FINE);
	ck_assert_uint_eq(seen.count, 3);
	ck_assert_uint_eq(seen.seq[0], 2);
	ck_assert_uint_eq(seen.seq[1], 0);
	ck_assert_uint_eq(seen.seq[2], 1);
	ck_assert_int_eq(seen.code[1], 0);
	ck_assert_int_eq(seen.code[2], 200);
	ck_assert_int_eq(count_of(captured(), "wants to end a slot that is not its own"), 1);
}
END_TEST

/* The supervisor's word that all checks below `seq` are over. */
static void
put_settled(uint64_t seq)
{
	struct frame settled = { .type = WIRE_SETTLED,
		.seq = seq,
		.epoch = EPOCH,
		.site = "",
		.instance = "",
		.payload = "" };
	unsigned char frame[WIRE_FRAME_MAX];

	put_into(&supervisor, frame, wire_encode(frame, &settled));
}

/* A checker that says it is done, and wrote nothing, leaves no slot without a record. */
START_TEST(what_nobody_ends_is_settled)
{
	unsigned char frame[WIRE_FRAME_MAX];

	start(PUBLISH_TO_STDOUT, NULL);
	put(WIRE_OPEN, 0);
	put(WIRE_OPEN, 1);
	put(WIRE_CLOSE, 1);
	while (seen.count == 0)
		read_stdout(1000);
	put_into(&checkers, frame, make_frame(frame, WIRE_SETTLED, 9, 0)); /* says who may not */
	put(WIRE_OPEN, 2);
	put(WIRE_CLOSE, 2);
	put(WIRE_OPEN, 3);
	put_settled(4);
	put(WIRE_OPEN, 4);
	put(WIRE_OPEN, 5);
	while (seen.count < 4)
		read_stdout(1000);
	put(WIRE_CLOSE, 3); /* too late */
	put(WIRE_CLOSE, 5);
	while (seen.count < 5)
		read_stdout(1000);
	put(WIRE_CLOSE, 4);
	put_settled(6);
	end_of_pipe();
	read_stdout_to_its_end();
	ck_assert_int_eq(exit_code(), EXIT_FINE);
	ck_assert_uint_eq(seen.count, 6);
	for (size_t i = 0; i < seen.count; i++)
		ck_assert_int_eq(seen.code[i], seen.seq[i] == 0 || seen.seq[i] == 3 ? 0 : 200);
	ck_assert_int_eq(
	    count_of(captured(), "reported the end of a check, but sent no result"), 1);
	ck_assert_int_eq(count_of(captured(), "wrote what only the supervisor may"), 1);
}
END_TEST

/* The supervisor ends a slot when its checker is dead: what that had written comes first. */
START_TEST(a_verdict_that_was_written_counts)
{
	unsigned char frame[WIRE_FRAME_MAX];

	put(WIRE_OPEN, 0);
	put_into(&supervisor, frame, make_frame(frame, WIRE_CLOSE, 0, 0));
	put(WIRE_CLOSE, 0);
	start(PUBLISH_TO_STDOUT, NULL);
	end_of_pipe();
	read_stdout_to_its_end();
	ck_assert_int_eq(exit_code(), EXIT_FINE);
	expect_seqs(0, 1);
	ck_assert_int_eq(seen.code[0], 200);
}
END_TEST

/*
 * Start a publisher whose private copies of the pipes have room for four frames, and stop it. What
 * is put now it can see only bit by bit: verdicts before their slots, and what the supervisor wrote
 * before what checkers had written earlier.
 */
static void
start_with_short_sight(bool of_supervisor, bool of_checkers)
{
	if (of_supervisor)
		ck_assert_int_ge(fcntl(supervisor.write_fd, F_SETPIPE_SZ, 4096), 0);
	if (of_checkers)
		ck_assert_int_ge(fcntl(checkers.write_fd, F_SETPIPE_SZ, 4096), 0);
	start(PUBLISH_TO_STDOUT, NULL);
	put(WIRE_SINGLE, 0);
	while (seen.count == 0)
		read_stdout(1000);
	kill(publisher, SIGSTOP);
	ck_assert_int_ge(fcntl(supervisor.write_fd, F_SETPIPE_SZ, PIPE_SIZE_OPEN), 0);
	ck_assert_int_ge(fcntl(checkers.write_fd, F_SETPIPE_SZ, PIPE_SIZE), 0);
}

/* Let it go on, to its end: `count` slots have records, each with its verdict if `verdicts`. */
static void
expect_after_all(uint64_t count, bool verdicts)
{
	kill(publisher, SIGCONT);
	end_of_pipe();
	read_stdout_to_its_end();
	ck_assert_int_eq(exit_code(), EXIT_FINE);
	ck_assert_uint_eq(seen.count, count);
	for (uint64_t seq = 1; seq < count && verdicts; seq++) {
		ck_assert_uint_eq(seen.seq[seq], seq);
		ck_assert_int_eq(seen.code[seq], 200);
	}
}

/* None is taken for one that nobody ended. */
START_TEST(nothing_is_settled_that_waits)
{
	start_with_short_sight(true, false);
	for (uint64_t seq = 1; seq < 100; seq++) {
		put(WIRE_OPEN, seq);
		put(WIRE_CLOSE, seq);
		put_settled(seq + 1);
	}
	expect_after_all(100, true);
}
END_TEST

START_TEST(a_verdict_waits_for_its_slot)
{
	start_with_short_sight((_i & 1) != 0, (_i & 2) != 0);
	for (uint64_t seq = 1; seq < 300; seq++) {
		unsigned char frame[WIRE_FRAME_MAX];

		put(WIRE_OPEN, seq);
		put(WIRE_CLOSE, seq);
		/* as for a checker that is dead: what that had written comes first */
		if (seq % 10 == 0)
			put_into(&supervisor, frame, make_frame(frame, WIRE_CLOSE, seq, 0));
	}
	expect_after_all(300, _i != 3); /* with both short, not all of it can be known in time */
}
END_TEST

/* Slots that never run are the supervisor's, and come between those of checkers. */
START_TEST(a_short_sight_keeps_the_order)
{
	start_with_short_sight(false, true);
	for (uint64_t seq = 1; seq < 300; seq++) {
		put(seq % 3 == 0 ? WIRE_SINGLE : WIRE_OPEN, seq);
		if (seq % 3 != 0)
			put(WIRE_CLOSE, seq);
	}
	expect_after_all(300, false);
	expect_seqs(0, 300);
}
END_TEST

/* Whoever wrote it has gone and will not end it. */
START_TEST(half_a_frame_does_not_hold_up_the_end)
{
	unsigned char frame[WIRE_FRAME_MAX];
	size_t size = make_frame(frame, WIRE_SINGLE, 1, 0);

	start(PUBLISH_TO_STDOUT, NULL);
	put(WIRE_SINGLE, 0);
	put_bytes(frame, size / 2);
	end_of_pipe();
	read_stdout_to_its_end();
	ck_assert_int_eq(exit_code(), EXIT_FINE);
	expect_seqs(0, 1);
	ck_assert_int_eq(count_of(captured(), "damaged bytes in the pipe of the supervisor"), 1);
}
END_TEST

/* A reader that is slow holds up the pipe, not the memory. */
START_TEST(a_slow_reader_is_back_pressure)
{
	unsigned char frame[WIRE_FRAME_MAX];
	uint64_t seq = 0;

	start(PUBLISH_TO_STDOUT, NULL);
	for (;;) {
		size_t size = make_frame(frame, WIRE_SINGLE, seq, 0);
		int full = pipe_write(supervisor.write_fd, frame, size);

		ck_assert_int_ge(full, 0);
		if (full == 0)
			seq++;
		else if (!pipe_wait_room(supervisor.write_fd, 1000))
			break;
		ck_assert_uint_lt(seq, 15000);
	}
	end_of_pipe();
	read_stdout_to_its_end();
	ck_assert_int_eq(exit_code(), EXIT_FINE);
	expect_seqs(0, seq);
}
END_TEST

START_TEST(a_reader_that_leaves_ends_it)
{
	start(PUBLISH_TO_STDOUT, NULL);
	put(WIRE_SINGLE, 0);
	while (seen.count == 0)
		read_stdout(1000);
	close(stdout_read);
	stdout_read = -1;
	put(WIRE_SINGLE, 1);
	ck_assert_int_eq(exit_code(), EXIT_FINE);
}
END_TEST

/* The supervisor is dead, and one of its checkers is stopped and holds the pipe open. */
START_TEST(an_orphan_takes_what_comes_and_leaves)
{
	start(PUBLISH_TO_STDOUT, NULL);
	put(WIRE_SINGLE, 0);
	close(control);
	put(WIRE_SINGLE, 1);
	read_stdout_to_its_end();
	ck_assert_int_eq(exit_code(), EXIT_FINE);
	expect_seqs(0, 2);
}
END_TEST

START_TEST(nothing_is_printed_for_a_table)
{
	start(PUBLISH_TO_NOTHING, NULL);
	put(WIRE_SINGLE, 0);
	end_of_pipe();
	read_stdout_to_its_end();
	ck_assert_int_eq(exit_code(), EXIT_FINE);
	ck_assert_uint_eq(seen.count, 0);
}
END_TEST

/* --- to Kafka ---------------------------------------------------------------------------- */

/* The mock cluster's process: answers each request for errors with a byte. */
static char servers[128];
static int mock_control;

struct mock_errors {
	int16_t api;
	int count;
	rd_kafka_resp_err_t error;
};

static _Noreturn void
run_mock(int fd)
{
	rd_kafka_conf_t *conf = rd_kafka_conf_new();
	rd_kafka_mock_cluster_t *cluster;
	struct mock_errors errors;
	rd_kafka_t *rk;

	rd_kafka_conf_set(conf, "log_level", "0", NULL, 0);
	rk = rd_kafka_new(RD_KAFKA_PRODUCER, conf, NULL, 0);
	cluster = rd_kafka_mock_cluster_new(rk, 1);
	rd_kafka_mock_topic_create(cluster, TOPIC, 1, 1);
	snprintf(servers, sizeof(servers), "%s", rd_kafka_mock_cluster_bootstraps(cluster));
	send(fd, servers, sizeof(servers), 0);
	while (recv(fd, &errors, sizeof(errors), 0) == sizeof(errors)) {
		for (int i = 0; i < errors.count; i++)
			rd_kafka_mock_push_request_errors(cluster, errors.api, 1, errors.error);
		send(fd, "", 1, 0);
	}
	_exit(0);
}

static void
start_mock(void)
{
	int pair[2];

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	if (fork() == 0) {
		close(pair[0]);
		close(supervisor.write_fd);
		close(checkers.write_fd);
		run_mock(pair[1]);
	}
	close(pair[1]);
	mock_control = pair[0];
	ck_assert_int_eq(recv(mock_control, servers, sizeof(servers), 0), sizeof(servers));
}

static void
fail_next(int count, rd_kafka_resp_err_t error)
{
	struct mock_errors errors = { 0, count, error };
	char byte;

	ck_assert_int_eq(send(mock_control, &errors, sizeof(errors), 0), sizeof(errors));
	ck_assert_int_eq(recv(mock_control, &byte, 1, 0), 1);
}

/*
 * Consume until `count` different seqs have come. Repeats are allowed (the mock cluster does not
 * know an idempotent producer's), if they say the same. With `ordered` each comes first in its
 * order; the mock cluster also takes batches behind one that it refuses, which no real broker does.
 * Returns how many of the records are `dropped`.
 */
static int
consume(uint64_t count, bool ordered)
{
	rd_kafka_conf_t *conf = rd_kafka_conf_new();
	rd_kafka_topic_partition_list_t *all = rd_kafka_topic_partition_list_new(1);
	static char payloads[200][WIRE_PAYLOAD_MAX];
	size_t sizes[200] = { 0 };
	rd_kafka_t *consumer;
	uint64_t found = 0;
	int dropped = 0;

	ck_assert_uint_le(count, 200);
	rd_kafka_conf_set(conf, "bootstrap.servers", servers, NULL, 0);
	rd_kafka_conf_set(conf, "group.id", "test", NULL, 0);
	rd_kafka_conf_set(conf, "fetch.wait.max.ms", "10", NULL, 0);
	rd_kafka_conf_set(conf, "log_level", "0", NULL, 0);
	consumer = rd_kafka_new(RD_KAFKA_CONSUMER, conf, NULL, 0);
	ck_assert_ptr_nonnull(consumer);
	rd_kafka_topic_partition_list_add(all, TOPIC, 0)->offset = RD_KAFKA_OFFSET_BEGINNING;
	rd_kafka_assign(consumer, all);
	while (found < count) {
		rd_kafka_message_t *message = rd_kafka_consumer_poll(consumer, 1000);
		uint64_t seq;
		size_t size;

		if (message != NULL && message->err == RD_KAFKA_RESP_ERR_NO_ERROR) {
			seq = seq_of(message->payload, message->len);
			ck_assert_uint_lt(seq, count);
			if (sizes[seq] == 0) {
				ck_assert(!ordered || seq == found);
				memcpy(payloads[seq], message->payload, message->len);
				sizes[seq] = message->len;
				found++;
				dropped += strncmp(json_get(message->payload, message->len,
						       "error_type", &size),
					       "\"dropped\"", 9) == 0;
			}
			ck_assert_uint_eq(message->len, sizes[seq]);
			ck_assert_mem_eq(message->payload, payloads[seq], sizes[seq]);
		}
		if (message != NULL)
			rd_kafka_message_destroy(message);
	}
	rd_kafka_topic_partition_list_destroy(all);
	rd_kafka_consumer_close(consumer);
	rd_kafka_destroy(consumer);
	return dropped;
}

static bool
is_ready(const struct message_report *report)
{
	return report->ready;
}

static const struct {
	rd_kafka_resp_err_t error; /* the answer to the next requests */
	int times;
	bool ordered;
} troubles[] = {
	{ RD_KAFKA_RESP_ERR_NO_ERROR, 0, true },
	{ RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS, 3, true },
	{ RD_KAFKA_RESP_ERR__TRANSPORT, 2, true },
	{ RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED, 1, false },
	{ RD_KAFKA_RESP_ERR_POLICY_VIOLATION, 2, false },
};

START_TEST(all_is_delivered_whatever_happens)
{
	enum {
		COUNT = 100
	};
	struct message_report last = { 0 }, report;

	start_mock();
	start(PUBLISH_TO_KAFKA, servers);
	await_report(is_ready);
	put(WIRE_SINGLE, 0); /* the connection stands */
	fail_next(troubles[_i].times, troubles[_i].error);
	for (uint64_t seq = 1; seq < COUNT; seq++)
		put(WIRE_SINGLE, seq);
	ck_assert_int_eq(consume(COUNT, troubles[_i].ordered), 0);
	end_of_pipe();
	ck_assert_int_eq(exit_code(), EXIT_FINE);
	while (read_report(control, &report, 0))
		last = report;
	ck_assert_uint_eq(last.dead, 0);
	close(mock_control);
}
END_TEST

/* Reload: the new one goes on where the old one was, in the spool and in the pipe. */
START_TEST(the_work_is_handed_over)
{
	start_mock();
	start(PUBLISH_TO_KAFKA, servers);
	await_report(is_ready);
	for (uint64_t seq = 0; seq < 100; seq++)
		put(WIRE_SINGLE, seq);
	order(MESSAGE_HAND_OVER);
	for (uint64_t seq = 100; seq < 150; seq++)
		put(WIRE_SINGLE, seq);
	ck_assert_int_eq(exit_code(), EXIT_FINE);
	close(control);

	start(PUBLISH_TO_KAFKA, servers);
	for (uint64_t seq = 150; seq < 200; seq++)
		put(WIRE_SINGLE, seq);
	ck_assert_int_eq(consume(200, true), 0);
	end_of_pipe();
	ck_assert_int_eq(exit_code(), EXIT_FINE);
	ck_assert_int_eq(count_of(captured(), "comes where"), 0);
	close(mock_control);
}
END_TEST

/* The supervisor dies during a reload: no successor takes what its checkers still write. */
START_TEST(an_orphan_hands_nothing_over)
{
	int status, waiting;

	start(PUBLISH_TO_KAFKA, "127.0.0.1:1");
	await_report(is_ready);
	kill(publisher, SIGSTOP);
	ck_assert_int_eq(waitpid(publisher, &status, WUNTRACED), publisher);
	order(MESSAGE_HAND_OVER);
	close(control);
	put(WIRE_SINGLE, 0);
	kill(publisher, SIGCONT);
	while (ioctl(supervisor.read_fd, FIONREAD, &waiting) == 0 && waiting > 0)
		usleep(1000);
	put(WIRE_SINGLE, 1);
	end_of_pipe();
	ck_assert_int_eq(exit_code(), EXIT_FINE);
	ck_assert_int_eq(count_of(captured(), "2 records wait in the spool"), 1);
}
END_TEST

/* It does so while the last transaction is on its way to the disk. */
START_TEST(an_orphan_is_found_after_the_last_transaction)
{
	uint64_t seq = 0;
	int status;

	stop_at_sync = mmap(
	    NULL, sizeof(*stop_at_sync), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ck_assert_ptr_ne(stop_at_sync, MAP_FAILED);
	start(PUBLISH_TO_KAFKA, "127.0.0.1:1");
	await_report(is_ready);
	kill(publisher, SIGSTOP);
	ck_assert_int_eq(waitpid(publisher, &status, WUNTRACED), publisher);
	*stop_at_sync = true;
	order(MESSAGE_HAND_OVER);
	put(WIRE_SINGLE, seq++);
	/* the first may be not the last: what came meanwhile needs another one */
	while (seq < 4) {
		kill(publisher, SIGCONT);
		ck_assert_int_eq(waitpid(publisher, &status, WUNTRACED), publisher);
		ck_assert_msg(WIFSTOPPED(status), "it left after %d records", (int)seq);
		if (control >= 0)
			close(control);
		control = -1;
		put(WIRE_SINGLE, seq++);
	}
	*stop_at_sync = false;
	kill(publisher, SIGCONT);
	end_of_pipe();
	ck_assert_int_eq(exit_code(), EXIT_FINE);
	ck_assert_int_eq(count_of(captured(), "4 records wait in the spool"), 1);
}
END_TEST

/* What was not delivered waits in the spool for the next one. */
START_TEST(an_absent_broker_costs_nothing)
{
	start(PUBLISH_TO_KAFKA, "127.0.0.1:1");
	await_report(is_ready);
	for (uint64_t seq = 0; seq < 50; seq++) {
		put(WIRE_OPEN, seq);
		put(WIRE_CLOSE, seq);
	}
	put_bytes("garbage", 7);
	order(MESSAGE_NO_FLUSH);
	end_of_pipe();
	ck_assert_int_eq(exit_code(), EXIT_FINE);
	ck_assert_int_eq(count_of(captured(), "50 records wait in the spool"), 1);
	close(control);

	/* what was damaged is kept for those who want to know why */
	close(supervisor.read_fd);
	close(checkers.read_fd);
	open_pipes();
	start_mock();
	start(PUBLISH_TO_KAFKA, servers);
	ck_assert_int_eq(consume(50, true), 0);
	end_of_pipe();
	ck_assert_int_eq(exit_code(), EXIT_FINE);
	close(mock_control);
}
END_TEST

/* --- starts that fail -------------------------------------------------------------------- */

START_TEST(what_cannot_start_says_why_by_its_code)
{
	write_file("spool.db",
	    "this is no database, but long enough to be looked at as if it were one", 0644);
	start(PUBLISH_TO_KAFKA, "127.0.0.1:1");
	ck_assert_int_eq(exit_code(), EXIT_SPOOL_LOST);
	close(control);

	remove_dir();
	start(PUBLISH_TO_KAFKA, "127.0.0.1:1");
	ck_assert_int_eq(exit_code(), EXIT_CANNOT_CREATE);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("publisher");
	TCase *tcase = tcase_create("publisher");

	tcase_add_checked_fixture(tcase, setup, remove_dir);
	tcase_set_timeout(tcase, 120);
	tcase_add_test(tcase, all_is_printed_once_in_order);
	tcase_add_test(tcase, damage_costs_what_is_damaged);
	tcase_add_test(tcase, checkers_may_only_close);
	tcase_add_test(tcase, a_token_ends_only_what_it_was_made_for);
	tcase_add_test(tcase, a_verdict_that_was_written_counts);
	tcase_add_loop_test(tcase, a_verdict_waits_for_its_slot, 1, 4);
	tcase_add_test(tcase, a_short_sight_keeps_the_order);
	tcase_add_test(tcase, what_nobody_ends_is_settled);
	tcase_add_test(tcase, nothing_is_settled_that_waits);
	tcase_add_test(tcase, half_a_frame_does_not_hold_up_the_end);
	tcase_add_test(tcase, a_slow_reader_is_back_pressure);
	tcase_add_test(tcase, a_reader_that_leaves_ends_it);
	tcase_add_test(tcase, an_orphan_takes_what_comes_and_leaves);
	tcase_add_test(tcase, nothing_is_printed_for_a_table);
	tcase_add_loop_test(tcase, all_is_delivered_whatever_happens, 0, ARRAY_LENGTH(troubles));
	tcase_add_test(tcase, the_work_is_handed_over);
	tcase_add_test(tcase, an_orphan_hands_nothing_over);
	tcase_add_test(tcase, an_orphan_is_found_after_the_last_transaction);
	tcase_add_test(tcase, an_absent_broker_costs_nothing);
	tcase_add_test(tcase, what_cannot_start_says_why_by_its_code);
	suite_add_tcase(suite, tcase);
	return run_suite(suite);
}
