/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * A group: which slots sites have when their shards come and go, and that none is begun without a
 * lease.
 */
#include <check.h>
#include <signal.h>

#include "suite.h"
#include "supervised.h"

/* The clocks (-Wl,--wrap). */
int64_t __wrap_util_mono_us(void);
int64_t __wrap_util_utc_us(void);
int64_t __wrap_util_boot_us(void);

/* UTC and what runs on during a suspend are ahead of the monotonic clock. */
#define UTC_AHEAD  (5000 * US_PER_S)
#define BOOT_AHEAD (70 * US_PER_S)

static int64_t now = CLOCK_START, utc_ahead = UTC_AHEAD, boot_ahead = BOOT_AHEAD;

int64_t
__wrap_util_mono_us(void)
{
	return now;
}

int64_t
__wrap_util_utc_us(void)
{
	return now + utc_ahead;
}

int64_t
__wrap_util_boot_us(void)
{
	return now + boot_ahead;
}

#define SITE(name) "{ name = \"" name "\"; url = \"http://h/" name "\"; interval = 10; }"
#define INTERVAL   (10 * US_PER_S)
#define LEASE      (9 * US_PER_S)

/* --- the publisher ----------------------------------------------------------------------- */

static void
say(enum message_type type, const void *body, size_t size)
{
	struct message m = { .type = type, .length = (uint32_t)size };

	memcpy(m.body, body, size);
	shards_message(&s, &m, now);
}

static void
say_lease(int64_t us, bool alone)
{
	const struct message_lease lease = {
		.until_us = util_boot_us() + us, .alone = alone, .mine = 1, .total = 12
	};

	say(MESSAGE_LEASE, &lease, sizeof(lease));
}

/* Of the first eight. */
static void
say_shards(unsigned char bits)
{
	const struct message_shards shards = { .total = 12, .taken = { bits } };

	say(MESSAGE_SHARDS, &shards, sizeof(shards));
	shards_drop_sites(&s); /* as the next turn of the loop does */
}

/* The site with this number, whose last record was for this slot. */
static void
say_take(uint32_t shard, uint32_t site, int64_t after_us, int status)
{
	const struct message_take take = { .shard = shard,
		.count = 1,
		.last = true,
		.site = { { .site = site, .status = status, .after_us = after_us } } };

	say(MESSAGE_TAKE, &take, sizeof(take));
}

static void
say_give(uint32_t shard)
{
	const struct message_shard give = { shard };

	say(MESSAGE_GIVE, &give, sizeof(give));
	shards_drop_sites(&s);
}

/* In a group, with a publisher that has said that nothing is ours, and a lease. */
static void
begin_group(const char *sites, int checkers)
{
	begin_in("eu", sites, checkers, checkers > 0 ? checkers : 1);
	sites_follow_clock(&s);
	s.epoch.next_settle_us = INT64_MAX;
	say_shards(0);
	say_lease(LEASE, false);
}

/* The slot of this site that was due last. */
static int64_t
last_slot(size_t site)
{
	const struct site *described = site_number(site)->site;
	const int64_t interval = described->interval_us;

	return schedule_next_slot(
		   util_utc_us(), interval, schedule_phase(described->name, interval)) -
	       interval;
}

/* --- slots ------------------------------------------------------------------------------- */

START_TEST(only_sites_of_our_shards_have_slots)
{
	begin_group(SITE("a") "," SITE("b"), 1);
	now += INTERVAL;
	say_lease(LEASE, false);
	ck_assert_int_eq(dispatch(&s, now), INT64_MAX);
	expect_no_frame();
	ck_assert(site_is_elsewhere(&s, site_number(0)));
	say_take(3, 1, last_slot(1), STATUS_UP);
	ck_assert(site_is_elsewhere(&s, site_number(0)));
	ck_assert(!site_is_elsewhere(&s, site_number(1)));
	ck_assert_int_eq(site_number(1)->timer.slot_us, last_slot(1) + INTERVAL);
	ck_assert_uint_eq(shards_ours(&s), 1);
	ck_assert_uint_eq(s.shards.takeovers, 1);
	now = site_number(1)->timer.due_us;
	dispatch(&s, now);
	expect_frame(WIRE_OPEN, 0);
	expect_no_frame();
	end();
}
END_TEST

static void
expect_takeover(uint64_t seq, int64_t slot_us, const char *message)
{
	struct wire_outcome outcome;
	struct frame frame;

	ck_assert(next_frame(&frame));
	ck_assert_int_eq(frame.type, WIRE_SINGLE);
	ck_assert_uint_eq(frame.seq, seq);
	ck_assert_int_eq(frame.slot_us, slot_us);
	ck_assert(payload_outcome(&frame, &outcome));
	ck_assert_int_eq(outcome.result.error, ERROR_MISSED_TAKEOVER);
	ck_assert_str_eq(outcome.result.error_message, message);
}

START_TEST(slots_that_nobody_had_get_records_and_the_newest_runs_late)
{
	int64_t last;

	begin_group(SITE("a"), 1);
	last = last_slot(0) - 3 * INTERVAL;
	now += 2 * US_PER_S - (util_utc_us() - last_slot(0)); /* 2 s after a slot */
	say_take(3, 0, last, STATUS_UP);
	dispatch(&s, now);
	expect_takeover(0, last + INTERVAL, "no member had the shard for 32.0 s");
	expect_takeover(1, last + 2 * INTERVAL, "no member had the shard for 32.0 s");
	expect_frame(WIRE_OPEN, 2);
	expect_no_frame();
	ck_assert_int_eq(s.pool.worker[0].checker->child.fd >= 0, 1);
	ck_assert_int_eq(
	    STAILQ_FIRST(&s.pool.worker[0].checker->checks)->job.slot_us, last + 3 * INTERVAL);
	ck_assert_uint_eq(s.epoch.missed_takeover, 2);
	end();
}
END_TEST

START_TEST(a_quarantine_begins_behind_what_nobody_had)
{
	int64_t last;

	begin_group(SITE("a"), 1);
	now += US_PER_S - (util_utc_us() - last_slot(0)); /* 1 s after a slot */
	last = last_slot(0);
	site_crashed(site_number(0), now);
	site_crashed(site_number(0), now);
	say_take(3, 0, last - 2 * INTERVAL, STATUS_UP);
	dispatch(&s, now);
	expect_takeover(0, last - INTERVAL, "no member had the shard for 21.0 s");
	expect_end(WIRE_SINGLE, 1, ERROR_QUARANTINED);
	expect_no_frame();
	end();
}
END_TEST

START_TEST(a_check_that_outlives_its_shard_holds_back_the_next_one)
{
	struct site_state *a;
	int64_t last;

	begin_group(SITE("a"), 1);
	a = site_number(0);
	last = last_slot(0);
	say_take(3, 0, last - INTERVAL, STATUS_UP);
	dispatch(&s, now);
	expect_frame(WIRE_OPEN, 0);
	say_shards(0);
	now += 2 * INTERVAL;
	say_lease(LEASE, false);
	say_take(3, 0, last, STATUS_UP);
	ck_assert_uint_eq(a->timer.position, 0); /* it runs */
	dispatch(&s, now);
	expect_no_frame();
	report_done(0, 0, ERROR_TIMEOUT, 2 * INTERVAL, now);
	dispatch(&s, now);
	expect_end(WIRE_SINGLE, 1, ERROR_MISSED_OVERRUN);
	end();
}
END_TEST

START_TEST(what_is_missed_after_a_takeover_is_an_overload)
{
	int64_t last;

	begin_group(SITE("a"), 0);
	last = last_slot(0);
	say_take(3, 0, last, STATUS_UP);
	now += 3 * INTERVAL;
	say_lease(LEASE, false);
	s.shards.all[3].taken_us = last; /* the lease was always renewed in time */
	dispatch(&s, now);
	expect_end(WIRE_SINGLE, 0, ERROR_MISSED_OVERLOAD);
	end();
}
END_TEST

START_TEST(a_take_moves_no_site_back)
{
	struct site_state *a;
	int64_t last;

	begin_group(SITE("a"), 1);
	a = site_number(0);
	last = last_slot(0) - INTERVAL;
	say_take(3, 0, last, STATUS_UP);
	dispatch(&s, now);
	expect_frame(WIRE_OPEN, 0);
	ck_assert_int_eq(next_job(0), 0);
	ck_assert_int_eq(a->timer.slot_us, last + 2 * INTERVAL);
	say_take(3, 0, last, STATUS_UP); /* of another publisher, which has not seen our record */
	ck_assert_int_eq(a->timer.slot_us, last + 2 * INTERVAL);
	say_shards(0);
	ck_assert(!site_has_slot(a));
	report_done(0, 0, ERROR_NONE, 3000, now);
	ck_assert_uint_eq(a->timer.position, 0); /* the end of its check changes nothing */
	say_take(3, 0, last, STATUS_UP);
	ck_assert_int_eq(a->timer.slot_us, last + 2 * INTERVAL);
	ck_assert_uint_ne(a->timer.position, 0);
	say_take(3, 0, last + 5 * INTERVAL, -1); /* nobody has a record of it */
	ck_assert_int_eq(a->timer.slot_us, last + 2 * INTERVAL);
	say_take(3, 0, last + 5 * INTERVAL, STATUS_UP); /* another member had it */
	ck_assert_int_eq(a->timer.slot_us, last + 6 * INTERVAL);
	expect_no_frame();
	end();
}
END_TEST

START_TEST(times_that_make_no_sense_are_taken_for_now)
{
	static const int64_t times[] = { INT64_MIN, 0, INT64_MAX };
	int64_t distance;

	begin_group(SITE("a"), 1);
	for (size_t i = 0; i < 3; i++) {
		say_take(3, 0, times[i], STATUS_UP);
		distance = site_number(0)->timer.slot_us - util_utc_us();
		ck_assert_int_gt(distance, -400 * US_PER_S);
		ck_assert_int_le(distance, INTERVAL);
		say_shards(0);
	}
	say_take(SHARDS_MAX, 0, 0, STATUS_UP);
	say_take(UINT32_MAX, 0, 0, STATUS_UP);
	say_take(3, 1, 0, 12345);
	say_take(3, UINT32_MAX, 0, -12345);
	say_give(SHARDS_MAX);
	say_lease(INT64_MIN / 2, false);
	ck_assert_int_gt(shards_lease_us(&s), 0);
	say(MESSAGE_TAKE, "", 1);
	say(MESSAGE_SHARDS, "", 1);
	ck_assert(!site_has_slot(site_number(0)));
	ck_assert_uint_eq(shards_ours(&s), 1);
	end();
}
END_TEST

START_TEST(a_streak_begins_anew_only_if_another_member_had_the_site)
{
	struct site_state *a;
	int64_t last;

	begin_group(SITE("a"), 1);
	a = site_number(0);
	last = last_slot(0);
	say_take(3, 0, last - INTERVAL, STATUS_DOWN);
	ck_assert(!a->known);
	ck_assert_int_eq(a->status, STATUS_DOWN); /* a second "down" is no news */
	dispatch(&s, now);
	report_done(0, 0, ERROR_NONE, 3000, now);
	ck_assert(a->known);
	ck_assert_uint_eq(a->ordinal.slot, 1);
	ck_assert_uint_eq(a->history->streak, 1);
	say_shards(0);
	say_take(3, 0, last - INTERVAL, STATUS_DOWN);
	ck_assert(a->known);
	ck_assert_int_eq(a->status, STATUS_UP);
	ck_assert_uint_eq(a->ordinal.slot, 1);
	say_shards(0);
	say_take(3, 0, last + INTERVAL, -1);
	ck_assert(!a->known);
	ck_assert_uint_eq(a->ordinal.slot, 0);
	ck_assert_uint_eq(a->ordinal.site, 1);
	ck_assert_uint_eq(a->history->streak, 0);
	end();
}
END_TEST

START_TEST(steps_of_the_clock_leave_out_no_slot_and_repeat_none)
{
	struct site_state *a;
	int64_t next;

	begin_group(SITE("a"), 1);
	a = site_number(0);
	s.stage = STAGE_RUNNING;
	say_take(3, 0, last_slot(0), STATUS_UP);
	next = a->timer.slot_us;
	utc_ahead += 25 * US_PER_S; /* forward: two or three slots are over at once */
	sites_follow_clock(&s);
	ck_assert_int_eq(a->timer.slot_us, next);
	dispatch(&s, now);
	expect_takeover(0, next, "no member had the shard for 25.0 s");
	while (a->timer.slot_us <= util_utc_us())
		ck_assert(!a->running), site_miss(&s, a, false, now);
	next = a->timer.slot_us;
	utc_ahead -= 25 * US_PER_S; /* and back */
	sites_follow_clock(&s);
	ck_assert_int_eq(a->timer.slot_us, next);
	ck_assert_int_gt(a->timer.due_us - now, 20 * US_PER_S);
	utc_ahead -= 3600 * US_PER_S; /* so far back: checks do not pause for an hour */
	sites_follow_clock(&s);
	ck_assert_int_le(a->timer.due_us - now, INTERVAL);
	ck_assert(site_has_slot(a));
	end();
}
END_TEST

/* --- lease ------------------------------------------------------------------------------- */

START_TEST(nothing_begins_without_a_lease)
{
	int64_t last;

	begin_group(SITE("a"), 1);
	last = last_slot(0);
	say_take(3, 0, last - 2 * INTERVAL, STATUS_UP);
	now += LEASE; /* as if the process had been stopped before its first look */
	ck_assert_int_eq(shards_lease_us(&s), 0);
	ck_assert_ptr_null(open_check(&s, site_number(0), now));
	ck_assert(!write_missed(&s, site_number(0), ERROR_MISSED_TAKEOVER, "", now));
	dispatch(&s, now);
	expect_no_frame();
	boot_ahead += 60 * US_PER_S; /* a suspend */
	dispatch(&s, now);
	expect_no_frame();
	say_lease(LEASE, true);
	ck_assert_int_eq(shards_alone(&s), TRISTATE_TRUE);
	dispatch(&s, now);
	expect_end(WIRE_SINGLE, 0, ERROR_MISSED_TAKEOVER);
	end();
}
END_TEST

START_TEST(a_job_says_until_when_it_may_begin)
{
	struct wire_job job;

	begin_group(SITE("a"), 1);
	say_take(3, 0, last_slot(0) - INTERVAL, STATUS_UP);
	dispatch(&s, now);
	ck_assert_int_eq(recv(s.pool.worker[0].checker->job_fd, &job, sizeof(job), 0), sizeof(job));
	ck_assert_int_eq(job.lease_us, util_boot_us() + LEASE);
	ck_assert_int_eq(job.alone, TRISTATE_FALSE);
	end();
}
END_TEST

START_TEST(what_was_due_while_the_lease_was_over_had_no_owner)
{
	int64_t last;

	begin_group(SITE("a"), 0);
	now += US_PER_S - (util_utc_us() - last_slot(0)); /* 1 s after a slot */
	last = last_slot(0);
	say_lease(LEASE, false);
	say_take(3, 0, last, STATUS_UP);
	now += 35 * US_PER_S;
	say_lease(LEASE, false);
	dispatch(&s, now);
	expect_takeover(0, last + INTERVAL, "no member had the shard for 26.0 s");
	end();
}
END_TEST

START_TEST(what_was_due_before_the_first_lease_had_no_owner)
{
	int64_t last;

	begin_in("eu", SITE("a"), 0, 1);
	sites_follow_clock(&s);
	s.epoch.next_settle_us = INT64_MAX;
	say_shards(0);
	now += US_PER_S - (util_utc_us() - last_slot(0)); /* 1 s after a slot */
	last = last_slot(0);
	say_take(3, 0, last, STATUS_UP);
	now += 2 * INTERVAL; /* the group takes its time */
	say_lease(LEASE, false);
	dispatch(&s, now);
	expect_takeover(0, last + INTERVAL, "no member had the shard for 21.0 s");
	end();
}
END_TEST

/* --- a shard is given -------------------------------------------------------------------- */

START_TEST(a_shard_is_given_when_its_checks_have_ended)
{
	begin_group(SITE("a") "," SITE("b"), 2);
	say_take(3, 0, last_slot(0) - INTERVAL, STATUS_UP);
	dispatch(&s, now);
	expect_frame(WIRE_OPEN, 0);
	say_take(4, 1, last_slot(1) - INTERVAL, STATUS_UP);
	dispatch(&s, now);
	expect_frame(WIRE_OPEN, 1);
	say_give(3);
	ck_assert(!site_has_slot(site_number(0)));
	ck_assert(site_has_slot(site_number(1)));
	ck_assert_int_eq(shards_given(&s, now), -1);
	report_done(site_number(0)->last_worker, 0, ERROR_NONE, 3000, now);
	ck_assert_int_eq(shards_given(&s, now), 3);
	ck_assert_int_eq(shards_given(&s, now), -1);
	say_give(7); /* which has no site */
	ck_assert_int_eq(shards_given(&s, now), 7);
	say_give(4);
	say_take(4, 1, 0, -1); /* it stays */
	ck_assert_int_eq(shards_given(&s, now + 10 * US_PER_S), -1);
	ck_assert_uint_eq(shards_ours(&s), 1);
	end();
}
END_TEST

static volatile sig_atomic_t terminated;

static void
on_sigterm(int number)
{
	(void)number;
	terminated++;
}

START_TEST(a_check_that_goes_on_delays_a_give_by_two_seconds)
{
	begin_group(SITE("a"), 1);
	signal(SIGTERM, on_sigterm);
	s.pool.worker[0].checker->child.pid = getpid();
	say_take(3, 0, last_slot(0) - INTERVAL, STATUS_UP);
	dispatch(&s, now);
	say_give(3);
	ck_assert_int_eq(shards_given(&s, now + US_PER_S), -1);
	ck_assert_int_eq(terminated, 0);
	ck_assert_int_eq(shards_given(&s, now + 3 * US_PER_S / 2), -1);
	ck_assert_int_eq(shards_given(&s, now + 8 * US_PER_S / 5), -1);
	ck_assert_int_eq(terminated, 1); /* once */
	ck_assert(s.pool.worker[0].retiring);
	ck_assert_int_eq(shards_given(&s, now + 2 * US_PER_S), 3);
	end();
}
END_TEST

START_TEST(checks_that_wait_for_a_checker_end_with_their_shard)
{
	begin_group(SITE("a"), 1);
	say_take(3, 0, last_slot(0) - INTERVAL, STATUS_UP);
	wait_last(&s, open_check(&s, site_number(0), now));
	expect_frame(WIRE_OPEN, 0);
	say_give(3);
	ck_assert_int_eq(shards_given(&s, now), -1);
	dispatch(&s, now);
	expect_end(WIRE_CLOSE, 0, ERROR_ABORTED);
	ck_assert_int_eq(shards_given(&s, now), 3);
	ck_assert(!site_number(0)->running);
	end();
}
END_TEST

/* --- publishers -------------------------------------------------------------------------- */

START_TEST(a_new_publisher_finds_what_the_lease_still_covers)
{
	begin_group(SITE("a") "," SITE("b"), 1);
	say_take(3, 0, last_slot(0), STATUS_UP);
	say_take(4, 1, last_slot(1), STATUS_UP);
	say_give(4);
	shards_new_publisher(&s);
	ck_assert_int_eq(shards_given(&s, now + INTERVAL), -1); /* nobody waits for it */
	ck_assert(site_has_slot(site_number(0)));
	now += LEASE / 2;
	say_lease(LEASE, false); /* for which shards? */
	ck_assert_int_le(shards_lease_us(&s), LEASE / 2);
	say_shards(1 << 3 | 1 << 4);
	ck_assert(site_has_slot(site_number(0)));
	ck_assert(!site_has_slot(site_number(1)));
	say_lease(LEASE, false);
	ck_assert_int_eq(shards_lease_us(&s), LEASE);
	shards_new_publisher(&s);
	now += LEASE;
	say_shards(1 << 3); /* another member may have had it meanwhile */
	ck_assert(!site_has_slot(site_number(0)));
	ck_assert_uint_eq(s.shards.takeovers, 2);
	end();
}
END_TEST

START_TEST(one_that_hands_over_is_not_heard)
{
	struct message m;
	int ends[2], descriptor;
	const struct message_shard give = { 3 };

	begin_group(SITE("a"), 1);
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, ends), 0);
	s.publisher.child.fd = ends[0];
	s.publisher.child.pid = 1;
	say_take(3, 0, last_slot(0), STATUS_UP);
	replace_publisher(&s);
	ck_assert_int_eq(message_send(ends[1], MESSAGE_GIVE, &give, sizeof(give), -1), 0);
	read_publisher(&s, &s.publisher.child, now);
	ck_assert(site_has_slot(site_number(0)));
	s.publisher.handing_over = false;
	ck_assert_int_eq(message_send(ends[1], MESSAGE_GIVE, &give, sizeof(give), -1), 0);
	read_publisher(&s, &s.publisher.child, now);
	tell_publisher(&s, now);
	ck_assert(!site_has_slot(site_number(0)));
	ck_assert_int_eq(message_receive(ends[1], &m, &descriptor), 1);
	ck_assert_int_eq(m.type, MESSAGE_HAND_OVER);
	ck_assert_int_eq(message_receive(ends[1], &m, &descriptor), 1);
	ck_assert_int_eq(m.type, MESSAGE_GIVEN);
	ck_assert_uint_eq(((const struct message_shard *)message_body(&m, sizeof(give)))->shard, 3);
	ck_assert_int_eq(message_receive(ends[1], &m, &descriptor), 1);
	ck_assert_int_eq(m.type, MESSAGE_ALIVE);
	tell_publisher(&s, now + US_PER_S / 2);
	ck_assert_int_eq(message_receive(ends[1], &m, &descriptor), -1);
	tell_publisher(&s, now + US_PER_S);
	ck_assert_int_eq(message_receive(ends[1], &m, &descriptor), 1);
	end();
}
END_TEST

/* --- configuration, stop ----------------------------------------------------------------- */

static void
reload(const char *sites)
{
	struct config *old = s.config, *new = make_config(sites);
	char outcome[128];

	new->kafka_group = old->kafka_group;
	config_compare(new, old);
	sites_adopt(&s, new, now, outcome, sizeof(outcome));
	s.config = config_hold(new);
	config_release(old);
}

#define SLOWER "{ name = \"b\"; url = \"http://h/b\"; interval = 100; }"

START_TEST(after_a_reload_new_sites_wait_for_their_take)
{
	struct site_state *a, *b;
	int64_t slot;

	begin_group(SITE("a") "," SITE("b"), 1);
	a = site_number(0);
	b = site_number(1);
	say_take(3, 0, last_slot(0), STATUS_UP);
	slot = a->timer.slot_us;
	reload(SITE("new") "," SLOWER "," SITE("a"));
	ck_assert_ptr_eq(site_number(2), a);
	ck_assert_int_eq(a->timer.slot_us, slot);
	ck_assert(!site_has_slot(site_number(0)));
	ck_assert(!site_has_slot(b)); /* elsewhere, whatever its interval */
	shards_new_publisher(&s);
	say_shards(1 << 3);
	say_take(3, 0, util_utc_us() - 3 * INTERVAL, -1);
	ck_assert(site_has_slot(site_number(0)));
	ck_assert_int_gt(site_number(0)->timer.slot_us, util_utc_us()); /* nobody missed any */
	say_take(4, 1, util_utc_us(), -1);
	ck_assert_int_eq(b->interval_us, 100 * US_PER_S);
	reload(SITE("a"));
	ck_assert(!sites_sweep(&s));
	ck_assert(LIST_EMPTY(&s.sites.removed));
	say_shards(0);
	reload(SITE("b"));
	ck_assert(!sites_sweep(&s));
	ck_assert(LIST_EMPTY(&s.sites.removed)); /* one that is elsewhere owes nothing */
	expect_no_frame();
	end();
}
END_TEST

START_TEST(a_removed_site_gives_no_records_when_its_shard_has_gone)
{
	begin_group(SITE("a") "," SITE("b"), 0);
	say_take(3, 0, last_slot(0) - 3 * INTERVAL, STATUS_UP);
	reload(SITE("b"));
	ck_assert(!sites_sweep(&s));
	ck_assert(!LIST_EMPTY(&s.sites.removed)); /* it owes records */
	say_shards(0);
	dispatch(&s, now);
	expect_no_frame();
	ck_assert(!sites_sweep(&s));
	ck_assert(LIST_EMPTY(&s.sites.removed));
	end();
}
END_TEST

START_TEST(a_stop_leaves_what_is_due_to_the_next_owner)
{
	begin_group(SITE("a"), 0);
	say_take(3, 0, last_slot(0) - 3 * INTERVAL, STATUS_UP);
	s.stage = STAGE_STOPPING;
	now += LEASE; /* and waits for no lease */
	ck_assert(record_remaining(&s, now));
	expect_no_frame();
	ck_assert_uint_eq(site_number(0)->timer.position, 0);
	end();
}
END_TEST

START_TEST(only_records_for_kafka_are_of_a_group)
{
	struct supervisor_start once = { .output = PUBLISH_TO_KAFKA, .once = true };

	start.output = PUBLISH_TO_STDOUT;
	begin_in("eu", SITE("a"), 0, 1);
	ck_assert(!in_group(&s));
	ck_assert(site_has_slot(site_number(0)));
	ck_assert(shards_lease_holds(&s));
	ck_assert_int_eq(shards_alone(&s), TRISTATE_NULL);
	say_shards(0);
	ck_assert(site_has_slot(site_number(0)));
	s.start = &once;
	shards_begin(&s);
	ck_assert(!in_group(&s));
	end();
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("shards");
	TCase *tcase = tcase_create("shards");

	tcase_add_test(tcase, only_sites_of_our_shards_have_slots);
	tcase_add_test(tcase, slots_that_nobody_had_get_records_and_the_newest_runs_late);
	tcase_add_test(tcase, a_quarantine_begins_behind_what_nobody_had);
	tcase_add_test(tcase, a_check_that_outlives_its_shard_holds_back_the_next_one);
	tcase_add_test(tcase, what_is_missed_after_a_takeover_is_an_overload);
	tcase_add_test(tcase, a_take_moves_no_site_back);
	tcase_add_test(tcase, times_that_make_no_sense_are_taken_for_now);
	tcase_add_test(tcase, a_streak_begins_anew_only_if_another_member_had_the_site);
	tcase_add_test(tcase, steps_of_the_clock_leave_out_no_slot_and_repeat_none);
	tcase_add_test(tcase, nothing_begins_without_a_lease);
	tcase_add_test(tcase, a_job_says_until_when_it_may_begin);
	tcase_add_test(tcase, what_was_due_while_the_lease_was_over_had_no_owner);
	tcase_add_test(tcase, what_was_due_before_the_first_lease_had_no_owner);
	tcase_add_test(tcase, a_shard_is_given_when_its_checks_have_ended);
	tcase_add_test(tcase, a_check_that_goes_on_delays_a_give_by_two_seconds);
	tcase_add_test(tcase, checks_that_wait_for_a_checker_end_with_their_shard);
	tcase_add_test(tcase, a_new_publisher_finds_what_the_lease_still_covers);
	tcase_add_test(tcase, one_that_hands_over_is_not_heard);
	tcase_add_test(tcase, after_a_reload_new_sites_wait_for_their_take);
	tcase_add_test(tcase, a_removed_site_gives_no_records_when_its_shard_has_gone);
	tcase_add_test(tcase, a_stop_leaves_what_is_due_to_the_next_owner);
	tcase_add_test(tcase, only_records_for_kafka_are_of_a_group);
	suite_add_tcase(suite, tcase);
	return run_suite(suite);
}
