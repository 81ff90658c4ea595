/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/* The control socket: who gets which answer, and clients that are stuck, slow, gone or hostile. */
#include <check.h>
#include <math.h>
#include <sys/un.h>

#include "json.h"
#include "suite.h"
#include "supervised.h"

#define SITE(name) "{ name = \"" name "\"; url = \"http://h/" name "?secret=1\"; interval = 10; }"
#define MANY       100000

static int64_t now = CLOCK_START;

/* What tests hold at their end is no leak. */
static char *answers;
static struct config *configs[8];
static char paths[8][128];

static void
set_socket(const char *path)
{
	static int i;
	char *kept = paths[i++ % 8];

	snprintf(kept, sizeof(paths[0]), "%s", path);
	s.config->control_socket = kept;
}

/* Another configuration is in force, as after a reload. */
static void
load_another(const char *path)
{
	static int i;

	char kept[128] = ""; /* make_config() writes a file, too */

	if (path != NULL)
		snprintf(kept, sizeof(kept), "%s", path);
	configs[i++] = s.config;
	s.config = config_hold(
	    make_config("{ name = \"a\"; url = \"http://h/a\"; interval = 10; }"));
	s.config->control_socket = NULL;
	if (path != NULL)
		set_socket(kept);
}

static const char *
socket_path(void)
{
	return path_in_dir("control");
}

static void
listen_there(void)
{
	set_socket(socket_path());
	control_open(&s);
}

static void
begin_control(const char *sites)
{
	begin(sites, 0, 1);
	listen_there();
	ck_assert_int_ge(s.control.fd, 0);
}

static void
begin_large(int count)
{
	FILE *f;

	make_dir();
	f = fopen(path_in_dir("large.conf"), "w");
	ck_assert_ptr_nonnull(f);
	fputs("sites = (", f);
	for (int i = 0; i < count; i++)
		fprintf(f, "%s{ name = \"s%d\"; url = \"http://h/%d\"; }", i > 0 ? "," : "", i, i);
	fputs(");", f);
	ck_assert_int_eq(fclose(f), 0);
	s = (struct supervisor){ .start = &start, .stage = STAGE_RUNNING, .self = getpid() };
	s.config = config_hold(config_load(path_in_dir("large.conf")));
	ck_assert_uint_eq(s.config->mistakes.count, 0);
	ck_assert(sites_choose(&s));
	sites_start(&s, CLOCK_START);
	listen_there();
}

static int
connect_client(void)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);

	ck_assert_uint_lt(strlen(socket_path()), sizeof(address.sun_path));
	memcpy(address.sun_path, socket_path(), strlen(socket_path()));
	ck_assert_int_eq(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	return fd;
}

static int
ask(const char *request)
{
	int fd = connect_client();

	ck_assert_int_eq(send(fd, request, strlen(request), 0), (ssize_t)strlen(request));
	return fd;
}

/*
 * As in turns of the loop, until one had time for all clients: a turn that lasts long, as on a busy
 * machine, leaves the rest to the next one, and returns `at`.
 */
static int64_t
serve(int64_t at)
{
	int64_t wake = at;

	for (int i = 0; i < 1000 && wake == at; i++) {
		control_wake(&s);
		wake = control_serve(&s, at);
	}
	return wake;
}

/* Its text is valid until the next one is begun. */
struct answer {
	char *text;
	size_t size, lines, sites, results;
	bool ended, closed;
};

/* What is there to be read, up to `max` bytes. */
static void
read_some(int fd, struct answer *a, size_t max)
{
	ssize_t n;

	a->text = answers = xreallocarray(answers, a->size + max + 1, 1);
	n = recv(fd, a->text + a->size, max, MSG_DONTWAIT);
	a->closed |= n == 0;
	a->size += n > 0 ? (size_t)n : 0;
	a->text[a->size] = '\0';
}

/* Serve until the answer is there; each line is a valid object. */
static struct answer
finish(int fd)
{
	struct answer a = { 0 };
	const char *line, *end;
	size_t size, invalid = 0;

	while (!a.closed) {
		serve(now);
		read_some(fd, &a, 65536);
	}
	close(fd);
	for (line = a.text; (end = strchr(line, '\n')) != NULL; line = end + 1) {
		size_t length = (size_t)(end - line);

		invalid += length >= REPLY_LINE_MAX || json_get(line, length, NULL, &size) == NULL;
		a.lines++;
		a.sites += strncmp(line, "{\"type\":\"site\"", 14) == 0;
		a.results += strncmp(line, "{\"type\":\"result\"", 16) == 0;
		a.ended = strncmp(line, "{\"type\":\"end\"", 13) == 0;
	}
	ck_assert_str_eq(line, ""); /* no half line */
	ck_assert_uint_eq(invalid, 0);
	ck_assert(a.ended);
	ck_assert_int_eq(strncmp(a.text, "{\"type\":\"webmond\",\"protocol\":1,", 31), 0);
	return a;
}

static bool
has(const struct answer *a, const char *text)
{
	return strstr(a->text, text) != NULL;
}

static void
expect_error(const char *request, const char *text)
{
	struct answer a = finish(ask(request));

	ck_assert(has(&a, "{\"type\":\"end\",\"ok\":false,"));
	ck_assert_msg(has(&a, text), "%s", a.text);
}

static void
give_result(size_t i, enum error_type error, const char *message)
{
	struct wire_done done = { .type = WIRE_DONE,
		.error = error,
		.http_status = error == ERROR_NONE ? 200 : RESULT_NONE,
		.elapsed_us = 1500,
		.phase_us = { 100, 200, RESULT_NONE, 1000, 200 },
		.chain_expires_us = RESULT_NONE };
	struct site_state *state = site_number(i);

	snprintf(done.error_message, sizeof(done.error_message), "%s", message);
	site_note(&s, state, &done, now);
	site_remember(&s, state, now, 2000, &done, now);
}

/* Of a group: this shard is ours, with its site of this number. */
static void
take_shard(uint32_t shard, uint32_t site)
{
	const struct message_shards none = { .total = 12 };
	const struct message_lease lease = {
		.until_us = util_boot_us() + 3600 * US_PER_S, .mine = 1, .total = 12
	};
	const struct message_take take = { .shard = shard,
		.count = 1,
		.last = true,
		.site = { { .site = site, .status = -1, .after_us = util_utc_us() } } };
	struct message m = { .type = MESSAGE_SHARDS, .length = sizeof(none) };

	memcpy(m.body, &none, sizeof(none));
	shards_message(&s, &m, now);
	m = (struct message){ .type = MESSAGE_LEASE, .length = sizeof(lease) };
	memcpy(m.body, &lease, sizeof(lease));
	shards_message(&s, &m, now);
	m = (struct message){ .type = MESSAGE_TAKE, .length = sizeof(take) };
	memcpy(m.body, &take, sizeof(take));
	shards_message(&s, &m, now);
}

/* --- what is answered -------------------------------------------------------------------- */

START_TEST(a_member_of_a_group_knows_only_its_own_sites)
{
	char text[STATUS_LINE_SIZE];
	struct supervisor_status status;
	struct answer a;

	begin_in("eu", SITE("a") "," SITE("b"), 0, 1);
	listen_there();
	status = status_now(&s);
	ck_assert(strstr(status_line(&s, &status, now, text, sizeof(text)),
		      "0 not known yet, 2 elsewhere; 0 of 0 shards, no lease: nothing is checked; "
		      "0 of 1 checkers busy") != NULL);
	give_result(0, ERROR_CONNECT, "no way"); /* from before another member took it */
	take_shard(3, 1);
	give_result(1, ERROR_CONNECT, "no way");
	a = finish(ask("status\n"));
	ck_assert(has(&a, "\"up\":0,\"down\":1,\"unknown\":0,\"not_known\":0"));
	ck_assert(has(&a, "\"group\":\"eu\",\"group_state\":\"1 of 12 shards, lease 35"));
	ck_assert(has(&a, "\"shards\":1,\"shards_total\":12,\"lease_s\":35"));
	ck_assert(
	    has(&a, "\"alone\":false,\"elsewhere\":1,\"takeovers\":1,\"missed_takeover\":0}"));
	a = finish(ask("sites down\n"));
	ck_assert_uint_eq(a.sites, 1);
	a = finish(ask("site a\n"));
	ck_assert(has(&a, "\"site\":\"a\",\"status\":null,\"status_since\":null,\"streak\":null,"
			  "\"error_type\":null,\"error_message\":null,\"scheduled_at\":null"));
	ck_assert(has(&a, "\"next_at\":null"));
	ck_assert(has(&a, "\"elsewhere\":true,\"shard\":null"));
	a = finish(ask("site b\n"));
	ck_assert(has(&a, "\"elsewhere\":false,\"shard\":3"));
	ck_assert(has(&a, "\"status\":\"down\""));
	status = status_now(&s);
	ck_assert(
	    strstr(status_line(&s, &status, now, text, sizeof(text)),
		"1 down, 0 unknown, 0 not known yet, 1 elsewhere; 1 of 12 shards, lease 35") !=
	    NULL);
	end();
}
END_TEST

START_TEST(each_question_has_its_answer)
{
	struct answer a;

	begin_control(SITE("a") "," SITE("b") "," SITE("c"));
	give_result(0, ERROR_NONE, "");
	give_result(1, ERROR_CONNECT, "no \"way\"\\");
	give_result(1, ERROR_CONNECT, "no \"way\"\\");

	a = finish(ask("status\n"));
	ck_assert(
	    has(&a, "\"sites\":3,\"up\":1,\"down\":1,\"unknown\":0,\"not_known\":1,\"checks\":3"));
	ck_assert(has(&a, "\"ok\":true"));
	ck_assert(has(&a,
	    "\"group\":null,\"group_state\":null,\"shards\":null,\"shards_total\":null,\"lease_s\":null,"
	    "\"alone\":null,\"elsewhere\":null,\"takeovers\":null,"
	    "\"missed_takeover\":null}"));
	a = finish(ask("sites\n"));
	ck_assert_uint_eq(a.sites, 3);
	ck_assert(!has(&a, "secret"));
	a = finish(ask("sites down\n"));
	ck_assert_uint_eq(a.sites, 1);
	ck_assert(has(&a, "\"status\":\"down\""));
	ck_assert(has(&a, "\"streak\":2,\"error_type\":\"connect\",\"error_message\":"
			  "\"no \\\"way\\\"\\\\\""));
	ck_assert(has(&a, "\"lateness_ms\":2,\"http_status_code\":null,\"elapsed_ms\":1.500,"
			  "\"dns_ms\":0.100,\"connect_ms\":0.200,\"tls_ms\":null,\"wait_ms\":1,"));
	a = finish(ask("sites all\r\n"));
	ck_assert_uint_eq(a.sites, 3);
	ck_assert_uint_eq(a.results, 3);
	a = finish(ask("sites ?\n"));
	ck_assert_uint_eq(a.sites, 3);
	a = finish(ask("sites slow\n"));
	ck_assert_uint_eq(a.sites, 0);
	a = finish(ask("site b\n"));
	ck_assert_uint_eq(a.sites, 1);
	ck_assert_uint_eq(a.results, 2);
	ck_assert(has(&a, "{\"type\":\"setting\",\"key\":\"url\",\"value\":\"http://h/b\"}"));
	ck_assert(has(&a, "{\"type\":\"setting\",\"key\":\"interval\",\"value\":\"10\"}"));
	expect_error("site d\n", "no enabled site");
	expect_error("site\n", "the name of the site is missing");
	expect_error("\n", "does not know that request");
	expect_error("statu\n", "does not know that request");
	expect_error("status now\n", "a word too many");
	expect_error("site a b\n", "a word too many");
	end();
}
END_TEST

START_TEST(a_site_may_be_called_like_a_filter)
{
	struct answer a;

	begin_control(SITE("a") "," SITE("down") "," SITE("slow") "," SITE("all") "," SITE("--"));
	a = finish(ask("sites -- down\n"));
	ck_assert_uint_eq(a.sites, 1);
	ck_assert(has(&a, "\"site\":\"down\"") && has(&a, "\"ok\":true"));
	a = finish(ask("sites -- slow\n"));
	ck_assert(a.sites == 1 && has(&a, "\"site\":\"slow\""));
	a = finish(ask("sites all -- all\n"));
	ck_assert(a.sites == 1 && has(&a, "\"site\":\"all\""));
	a = finish(ask("sites -- --\n"));
	ck_assert(a.sites == 1 && has(&a, "\"site\":\"--\""));
	a = finish(ask("sites down -- down\n"));
	ck_assert(a.sites == 0 && has(&a, "\"ok\":true"));
	a = finish(ask("sites --\n"));
	ck_assert_uint_eq(a.sites, 5);
	a = finish(ask("site down\n"));
	ck_assert(a.sites == 1 && has(&a, "\"site\":\"down\""));
	end();
}
END_TEST

START_TEST(the_last_results_are_kept)
{
	const struct history *h;
	struct answer a;

	begin_control(SITE("a"));
	for (int i = 0; i < 50; i++, now += 10 * US_PER_S)
		give_result(0, i < 45 ? ERROR_NONE : ERROR_TIMEOUT, "late");
	h = site_number(0)->history;
	ck_assert_uint_eq(h->count, 50);
	ck_assert_uint_eq(h->streak, 5);
	ck_assert_int_eq(h->since_us, CLOCK_START + 450 * US_PER_S);
	ck_assert_int_eq(history_get(h, 0)->slot_us, CLOCK_START + 490 * US_PER_S);
	ck_assert_int_eq(history_get(h, 19)->slot_us, CLOCK_START + 300 * US_PER_S);
	ck_assert_ptr_null(history_get(h, 20));
	a = finish(ask("site a\n"));
	ck_assert_uint_eq(a.results, HISTORY_RESULTS);
	/* no news of a site that is down: see site_note() */
	give_result(0, ERROR_MISSED_OVERRUN, "running");
	ck_assert_uint_eq(h->streak, 5);
	give_result(0, ERROR_TIMEOUT, "late");
	ck_assert_uint_eq(h->streak, 6);
	give_result(0, ERROR_NONE, "");
	ck_assert_uint_eq(h->streak, 1);
	ck_assert_uint_le(sizeof(struct history) + sizeof(void *), 1000); /* of a site */
	end();
}
END_TEST

START_TEST(rates_and_lateness_are_those_of_the_last_minutes)
{
	struct recent r = { 0 };

	ck_assert(recent_rate(&r, CLOCK_START) == 0);
	ck_assert(isnan(recent_lateness_ms(&r, 0.5)));
	for (int i = 0; i < 2000; i++, now += 100 * US_PER_MS)
		recent_add(&r, i % 100 == 0 ? 100000 : 1000, now);
	ck_assert_double_eq_tol(recent_rate(&r, now), 10, 0.5);
	ck_assert_double_eq_tol(recent_lateness_ms(&r, 0.5), 1, 0.3);
	ck_assert_double_eq_tol(recent_lateness_ms(&r, 0.995), 100, 20);
	recent_add(&r, RESULT_NONE, now);
	recent_add(&r, 0, now);
	recent_add(&r, INT64_MAX, now); /* none of them leaves the table */
	ck_assert(recent_rate(&r, now + 10 * RECENT_US) == 0);
	end();
}
END_TEST

START_TEST(patterns_are_for_whole_names)
{
	const char *stars = "*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*b";
	const char *name = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

	ck_assert(answer_matches("shop", "shop"));
	ck_assert(!answer_matches("shop", "shop-2"));
	ck_assert(answer_matches("shop*", "shop-2"));
	ck_assert(answer_matches("*-?", "shop-2"));
	ck_assert(!answer_matches("*-?", "shop-22"));
	ck_assert(answer_matches("**", ""));
	ck_assert(answer_matches("*o*-*2*", "shop-2"));
	ck_assert(!answer_matches("", "a"));
	ck_assert(!answer_matches(stars, name)); /* soon */
}
END_TEST

START_TEST(a_reload_tells_its_verdict)
{
	struct answer a;
	int fd;

	begin_control(SITE("a"));
	s.reload.begun = s.reload.ended = 6;
	fd = ask("reload\n");
	serve(now);
	ck_assert(s.reload.requested);
	s.reload.begun = 7;          /* as reload.c does it */
	serve(now + 200 * US_PER_S); /* long, but it may take so long */
	ck_assert_int_eq(s.control.count, 1);
	s.reload.verdict = xstrdup("f:1: what is wrong\nf:2: and \"that\"\n");
	s.reload.ended = 7;
	a = finish(fd);
	ck_assert(has(&a, "{\"type\":\"mistake\",\"text\":\"f:1: what is wrong\"}\n"
			  "{\"type\":\"mistake\",\"text\":\"f:2: and \\\"that\\\"\"}\n"));
	ck_assert(has(&a, "\"ok\":false"));

	/* one that runs may have read its file already */
	s.reload.begun = 8;
	fd = ask("reload\n");
	serve(now);
	s.reload.ended = 8;
	serve(now);
	ck_assert_int_eq(s.control.count, 1);
	s.reload.begun = s.reload.ended = 9;
	s.reload.accepted = true;
	s.reload.verdict[0] = '\0';
	s.sites.adopted.added = 3;
	a = finish(fd);
	ck_assert(
	    has(&a, "{\"type\":\"reload\",\"sites\":1,\"added\":3,\"changed\":0,\"removed\":0}"));
	ck_assert(has(&a, "\"ok\":true"));

	fd = ask("reload\n");
	serve(now);
	s.stage = STAGE_STOPPING;
	a = finish(fd);
	ck_assert(has(&a, "\"error\":\"webmond is stopping\",\"again\":true}"));
	end();
}
END_TEST

START_TEST(those_who_wait_for_a_reload_leave_room_for_others)
{
	int fd[CONTROL_CLIENTS];
	struct answer a;

	begin_control(SITE("a"));
	for (int i = 0; i < CONTROL_CLIENTS; i++)
		fd[i] = ask("reload\n");
	serve(now);
	ck_assert_int_le(s.control.count, CONTROL_CLIENTS / 2);
	a = finish(ask("status\n"));
	ck_assert(has(&a, "\"ok\":true"));
	close(fd[0]); /* one has no patience */
	serve(now);
	ck_assert_int_eq(s.control.count, CONTROL_CLIENTS / 2 - 1);
	end();
}
END_TEST

/* --- clients that do harm ---------------------------------------------------------------- */

START_TEST(what_is_no_request_is_told_so)
{
	char noise[CONTROL_REQUEST_MAX + 1];
	struct answer a;
	int fd;

	begin_control(SITE("a"));
	memset(noise, 'x', sizeof(noise));
	fd = connect_client();
	ck_assert_int_eq(send(fd, noise, sizeof(noise), 0), (ssize_t)sizeof(noise));
	a = finish(fd);
	ck_assert(has(&a, "a request has at most 4096 bytes"));
	util_random(noise, 256);
	noise[100] = noise[102] = '\n';
	noise[101] = '\0';
	fd = connect_client();
	ck_assert_int_eq(send(fd, noise, 256, 0), 256);
	a = finish(fd);
	ck_assert(has(&a, "\"ok\":false"));
	expect_error("GET / HTTP/1.0\r\n\r\n", "does not know that request");
	ck_assert_int_eq(s.control.count, 0);
	end();
}
END_TEST

START_TEST(half_a_request_is_dropped_after_a_while)
{
	struct answer a = { 0 };
	int fd, silent;

	begin_control(SITE("a"));
	silent = connect_client();
	fd = ask("stat");
	serve(now);
	ck_assert_int_eq(send(fd, "us", 2, 0), 2);
	ck_assert_int_eq(serve(now), now + 5 * US_PER_S);
	ck_assert_int_eq(s.control.count, 2);
	read_some(fd, &a, 10);
	ck_assert(!a.closed && a.size == 0);
	serve(now + 5 * US_PER_S);
	ck_assert_int_eq(s.control.count, 0);
	read_some(fd, &a, 10);
	ck_assert(a.closed);
	close(silent);
	fd = ask("stat");
	close(fd); /* in the middle */
	serve(now);
	serve(now);
	ck_assert_int_eq(s.control.count, 0);
	end();
}
END_TEST

START_TEST(those_who_say_nothing_make_room_soon)
{
	int silent[CONTROL_CLIENTS];
	struct answer a;

	begin_control(SITE("a"));
	for (size_t i = 0; i < ARRAY_LENGTH(silent); i++)
		silent[i] = connect_client();
	ck_assert_int_eq(serve(now), now + US_PER_S / 2);
	ck_assert_int_eq(s.control.count, CONTROL_CLIENTS);
	now += US_PER_S / 2;
	serve(now);
	ck_assert_int_eq(s.control.count, CONTROL_CLIENTS / 2);
	a = finish(ask("status\n"));
	ck_assert(has(&a, "\"ok\":true"));
	for (size_t i = 0; i < ARRAY_LENGTH(silent); i++)
		close(silent[i]);
	serve(now);
	ck_assert_int_eq(s.control.count, 0);
	end();
}
END_TEST

START_TEST(a_new_publisher_has_time_to_connect)
{
	struct message_report *report = &s.publisher.report;
	struct answer a;

	begin_control(SITE("a"));
	s.publisher.child.pid = 1;
	s.publisher.delivering_us = now;
	s.publisher.last_report_us = now + 10 * US_PER_S;
	*report = (struct message_report){ .ready = true };
	a = finish(ask("status\n"));
	ck_assert(has(&a, "\"kafka\":\"nothing yet\""));
	report->queued = 3;
	a = finish(ask("status\n"));
	ck_assert(has(&a, "\"kafka\":\"connecting\""));
	report->trouble_us = CLOCK_START;
	a = finish(ask("status\n"));
	ck_assert(has(&a, "\"kafka\":\"not delivering\""));
	report->trouble_us = 0;
	now += 10 * US_PER_S;
	a = finish(ask("status\n"));
	ck_assert(has(&a, "\"kafka\":\"not delivering\""));
	s.publisher.child.pid = 0;
	end();
}
END_TEST

START_TEST(a_publisher_that_hangs_delivers_nothing)
{
	struct answer a;

	begin_control(SITE("a"));
	s.publisher.child.pid = 4711;
	s.publisher.delivering_us = s.publisher.last_report_us = now;
	s.publisher.report = (struct message_report){ .ready = true, .delivering = true };
	now += 19 * US_PER_S;
	a = finish(ask("status\n"));
	ck_assert(has(&a, "\"kafka\":\"delivering\"") && has(&a, "\"kafka_error\":null"));
	now += US_PER_S;
	a = finish(ask("status\n"));
	ck_assert(has(&a, "\"kafka\":\"not delivering\""));
	ck_assert(
	    has(&a, "\"kafka_error\":\"the publisher, PID 4711, has said nothing since then"));
	expect_error("spool\n", "the publisher takes no questions now; ask again");
	s.publisher.child.pid = 0;
	end();
}
END_TEST

START_TEST(a_client_that_does_not_read_holds_nobody_up)
{
	struct answer a;
	int stuck[CONTROL_CLIENTS - 1];

	begin_large(MANY);
	for (size_t i = 0; i < ARRAY_LENGTH(stuck); i++)
		stuck[i] = ask("sites all\n");
	for (int i = 0; i < 100; i++)
		serve(now);
	ck_assert_int_eq(s.control.count, CONTROL_CLIENTS - 1);
	now += 9 * US_PER_S;
	a = finish(ask("sites\n"));
	ck_assert_uint_eq(a.sites, MANY);
	ck_assert_int_eq(s.control.count, CONTROL_CLIENTS - 1);
	for (int i = 0; i < 10; i++)
		serve(now + US_PER_S);
	ck_assert_int_eq(s.control.count, 0);
	end();
}
END_TEST

START_TEST(a_slow_reader_gets_all_of_it_unless_it_takes_too_long)
{
	struct answer a = { 0 };
	int fd;

	begin_large(10000);
	fd = ask("sites *77\n"); /* a hundred of them */
	while (!a.closed) {
		serve(now);
		read_some(fd, &a, 1000);
		now += 100 * US_PER_MS;
	}
	ck_assert(has(&a, "\"ok\":true"));
	ck_assert(has(&a, "\"site\":\"s9977\""));
	a = (struct answer){ 0 };
	fd = ask("sites\n");
	while (!a.closed) {
		serve(now);
		read_some(fd, &a, 1000);
		now += 5 * US_PER_S;
	}
	ck_assert(!has(&a, "\"type\":\"end\"")); /* it knows that it is not whole */
	ck_assert_int_eq(s.control.count, 0);
	fd = ask("sites\n");
	serve(now);
	read_some(fd, &a, 1000);
	close(fd); /* in the middle */
	for (int i = 0; i < 10; i++)
		serve(now);
	ck_assert_int_eq(s.control.count, 0);
	end();
}
END_TEST

START_TEST(a_reload_ends_a_list)
{
	struct answer a = { 0 };
	int fd;

	begin_large(10000);
	fd = ask("sites\n");
	serve(now);
	load_another(socket_path());
	s.sites.count = 1;
	s.sites.adopted.times++;
	a = finish(fd);
	ck_assert(has(&a, "ask again\",\"again\":true}"));
	ck_assert_uint_lt(a.sites, 10000);
	end();
}
END_TEST

START_TEST(a_hundred_clients_have_their_turn)
{
	struct answer a;
	int fd[100];

	begin_control(SITE("a"));
	for (size_t i = 0; i < ARRAY_LENGTH(fd); i++)
		fd[i] = ask(i % 3 == 0 ? "status\n" : i % 3 == 1 ? "site a\n" : "nonsense\n");
	for (size_t i = ARRAY_LENGTH(fd); i-- > 0;) {
		ck_assert_int_le(s.control.count, CONTROL_CLIENTS);
		a = finish(fd[i]);
		ck_assert(has(&a, i % 3 == 2 ? "\"ok\":false" : "\"ok\":true"));
	}
	serve(now);
	ck_assert_int_eq(s.control.count, 0);
	end();
}
END_TEST

/* --- the socket -------------------------------------------------------------------------- */

START_TEST(it_is_made_anew_and_never_stolen)
{
	static struct control first;
	struct stat st;
	int fd;

	begin_control(SITE("a"));
	ck_assert_int_eq(stat(socket_path(), &st), 0);
	ck_assert_uint_eq(st.st_mode & 07777, 0660);
	/* another daemon with the same path finds it alive */
	first = s.control;
	control_open(&s);
	ck_assert_int_lt(s.control.fd, 0);
	control_close(&s);
	ck_assert_int_eq(stat(socket_path(), &st), 0);
	/* and the next one finds it dead */
	close(first.fd);
	control_open(&s);
	ck_assert_int_ge(s.control.fd, 0);
	fd = ask("status\n");
	close(fd);
	serve(now);
	control_close(&s);
	ck_assert_int_lt(stat(socket_path(), &st), 0);
	/* a file of somebody else stays */
	write_file("control", "x", 0644);
	control_open(&s);
	ck_assert_int_lt(s.control.fd, 0);
	control_close(&s);
	ck_assert_int_eq(stat(socket_path(), &st), 0);
	unlink(socket_path());
	/* a directory is made, but not two */
	set_socket(path_in_dir("new/control"));
	control_open(&s);
	ck_assert_int_ge(s.control.fd, 0);
	ck_assert_int_eq(stat(path_in_dir("new"), &st), 0);
	ck_assert_uint_eq(st.st_mode & 07027, 0);
	control_close(&s);
	set_socket(path_in_dir("no/new/control"));
	control_open(&s);
	ck_assert_int_lt(s.control.fd, 0);
	set_socket(path_in_dir("new/control"));
	ck_assert_int_eq(chmod(path_in_dir("new"), 0777), 0);
	control_open(&s);
	ck_assert_int_lt(s.control.fd, 0);
	end();
}
END_TEST

START_TEST(a_reload_can_move_it)
{
	struct stat st;
	struct answer a;
	int fd;

	begin_control(SITE("a"));
	fd = connect_client();
	serve(now);
	load_another(path_in_dir("other"));
	serve(now);
	ck_assert_int_lt(stat(socket_path(), &st), 0);
	ck_assert_int_eq(stat(path_in_dir("other"), &st), 0);
	ck_assert_int_eq(send(fd, "status\n", 7, 0), 7); /* who is there stays */
	a = finish(fd);
	ck_assert(has(&a, "\"ok\":true"));
	/* or make it anew */
	unlink(path_in_dir("other"));
	load_another(path_in_dir("other"));
	serve(now);
	ck_assert_int_eq(stat(path_in_dir("other"), &st), 0);
	load_another(NULL);
	serve(now);
	ck_assert_int_lt(stat(path_in_dir("other"), &st), 0);
	ck_assert_int_lt(s.control.fd, 0);
	end();
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("control");
	TCase *tc = tcase_create("control");

	umask(027); /* as daemon_sanitize() sets it */
	tcase_set_timeout(tc, 600);
	tcase_add_test(tc, a_member_of_a_group_knows_only_its_own_sites);
	tcase_add_test(tc, each_question_has_its_answer);
	tcase_add_test(tc, a_site_may_be_called_like_a_filter);
	tcase_add_test(tc, the_last_results_are_kept);
	tcase_add_test(tc, rates_and_lateness_are_those_of_the_last_minutes);
	tcase_add_test(tc, patterns_are_for_whole_names);
	tcase_add_test(tc, a_reload_tells_its_verdict);
	tcase_add_test(tc, those_who_wait_for_a_reload_leave_room_for_others);
	tcase_add_test(tc, what_is_no_request_is_told_so);
	tcase_add_test(tc, half_a_request_is_dropped_after_a_while);
	tcase_add_test(tc, those_who_say_nothing_make_room_soon);
	tcase_add_test(tc, a_client_that_does_not_read_holds_nobody_up);
	tcase_add_test(tc, a_new_publisher_has_time_to_connect);
	tcase_add_test(tc, a_publisher_that_hangs_delivers_nothing);
	tcase_add_test(tc, a_slow_reader_gets_all_of_it_unless_it_takes_too_long);
	tcase_add_test(tc, a_reload_ends_a_list);
	tcase_add_test(tc, a_hundred_clients_have_their_turn);
	tcase_add_test(tc, it_is_made_anew_and_never_stolen);
	tcase_add_test(tc, a_reload_can_move_it);
	suite_add_tcase(suite, tc);
	return run_suite(suite);
}
