/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * A member of a group: joining, taking shards and giving them back. Called by the publisher;
 * nothing is fatal.
 */
#include "group.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "kafka_group.h"
#include "lease.h"
#include "log.h"
#include "shards.h"
#include "trouble.h"

#define SILENCE_US   (10 * US_PER_S) /* of the supervisor, or of a spool that takes nothing */
#define REJOIN_US    (60 * US_PER_S) /* after an error for good */
#define DELIVERED_US (3 * US_PER_S)  /* what is spooled, before tails are read */
#define CONFIRM_US   (5 * US_PER_S)  /* what is stored, before a shard is given back */
#define REMEMBER_US  (3600 * US_PER_S)
#define NOTE_US      (10 * US_PER_S)
#define LEAVE_US     (US_PER_S)
#define STEP_US      (50 * US_PER_MS) /* how often is looked for what wakes nobody */

struct group {
	const struct config *config;
	struct spool *spool;
	int wake_fd;
	struct shards shards;
	struct lease lease;

	struct kafka_group *kafka; /* NULL: not joined */
	bool assigned;             /* since the last loss Kafka has said what is ours */
	int64_t join_us;           /* monotonic: not before */
	int64_t alive_us;          /* likewise: the last word of the supervisor */
	int64_t stored_us;         /* likewise: the last time that the spool took records */

	/* before tails are read: what is stored up to this row is delivered, or the time is over */
	uint64_t sent_row;
	int64_t sent_until_us;

	/* a shard is given back */
	enum giving {
		GIVING_NOTHING,
		GIVING_ASKED,     /* the supervisor */
		GIVING_STORES,    /* what is in the pipes */
		GIVING_CONFIRMED, /* is what is stored up to `given_row` */
	} giving;
	uint64_t given_row;
	int64_t giving_until_us;

	bool blocked;                 /* the supervisor takes no messages now */
	bool changed;                 /* since the last line in the log */
	char said[256];               /* by that: which are ours */
	int64_t remember_us, note_us; /* when the shards, and the newest slot, are stored again */
};

struct group *
group_new(const struct config *config, struct spool *spool, int control_fd)
{
	struct group *g = xcalloc(1, sizeof(*g));

	g->config = config;
	g->spool = spool;
	g->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (g->wake_fd < 0) {
		free(g);
		return NULL;
	}
	g->alive_us = g->stored_us = util_mono_us();
	g->lease = (struct lease){ .config = config, .spool = spool };
	shards_init(&g->shards, config, control_fd, g->wake_fd);
	return g;
}

void
group_take_message(struct group *g, const struct message *m)
{
	const struct message_shard *given = message_body(m, sizeof(*given));

	if (m->type == MESSAGE_ALIVE)
		g->alive_us = util_mono_us();
	if (m->type == MESSAGE_GIVEN && given != NULL && given->shard < g->shards.room &&
	    g->shards.shard[given->shard].state == SHARD_LEAVING)
		g->shards.shard[given->shard].state = SHARD_GIVEN;
}

/* --- losing ------------------------------------------------------------------------------ */

/*
 * They may be others'. Without Kafka the supervisor keeps what it has, but no lease: it may be
 * needed alone. With it (`drop`) it has to give up everything at once.
 */
static void
lose_all(struct group *g, bool drop)
{
	struct shards *s = &g->shards;

	for (uint32_t i = 0; i < s->room; i++) {
		struct shard *shard = &s->shard[i];

		shard->assigned = false;
		if (shard->state == SHARD_WAITING || shard->state == SHARD_READING)
			shard->held = false; /* it knows no site of it */
		if (shard->state != SHARD_TAKING || drop)
			shard->state = SHARD_FOREIGN;
	}
	if (drop)
		s->told = false;
	g->assigned = false;
	g->giving = GIVING_NOTHING;
}

static void
leave(struct group *g, int64_t join_us, bool drop)
{
	kafka_group_close(g->kafka);
	g->kafka = NULL;
	g->join_us = join_us;
	lose_all(g, drop);
}

/* --- Kafka's questions ------------------------------------------------------------------- */

static void
accept(struct group *g, int64_t now)
{
	struct shards *s = &g->shards;

	for (uint32_t n = 0; n < g->kafka->count; n++) {
		uint32_t i = g->kafka->shard[n];

		s->room = i >= s->room ? i + 1 : s->room;
		s->shard[i].assigned = true;
		s->shard[i].state = SHARD_WAITING;
		s->shard[i].since_us = now;
		/* the supervisor may have it by a predecessor of this publisher, and keeps it */
		s->shard[i].held = !s->introduced;
	}
	for (uint32_t i = 0; i < s->room; i++)
		if (!s->shard[i].assigned)
			s->shard[i].state = SHARD_FOREIGN;
	s->count_us = 0; /* there may be more of them */
	s->told = false;
	g->assigned = true;
	g->changed = true;
	g->lease.away_us = 0; /* the group has just spoken; statistics may be older */
	g->sent_row = spool_last_row(g->spool);
	g->sent_until_us = now + DELIVERED_US;
	kafka_group_answer(g->kafka);
}

/*
 * If a predecessor of this publisher ended while a cooperative rebalance waited for it to give up
 * shards, Kafka has us in its place, with fewer shards, and waits for ever: they are nobody's. Then
 * this member goes for a session, so that all are assigned anew.
 */
static bool
has_left_shards(struct group *g)
{
	struct spool_shards last = { .group = g->config->kafka_group,
		.topic = g->config->kafka_topic };
	uint32_t left = 0;

	if (g->shards.introduced || g->kafka->by_broker || !spool_load_shards(g->spool, &last) ||
	    last.newest_us < util_utc_us() - g->kafka->session_us)
		return false;
	for (uint32_t n = 0; n < g->kafka->count; n++)
		last.taken[g->kafka->shard[n] / 8] &= (unsigned char)~(1 << g->kafka->shard[n] % 8);
	for (uint32_t i = 0; i < last.total; i++)
		left += last.taken[i / 8] >> i % 8 & 1;
	if (left == 0)
		return false;
	log_notice("group %s: %u shard%s of this daemon may be nobody's now: it leaves for %lld s, "
		   "so that Kafka assigns all anew",
	    g->config->kafka_group, left, util_plural(left),
	    (long long)(g->kafka->session_us / US_PER_S));
	memset(last.taken, 0, sizeof(last.taken));
	spool_store_shards(g->spool, &last);
	return true;
}

/* Ask the supervisor to end what it has of them. Returns whether there is anything. */
static bool
begin_giving(struct group *g, int64_t now)
{
	bool any = false;

	for (uint32_t n = 0; n < g->kafka->count; n++) {
		struct shard *shard = &g->shards.shard[g->kafka->shard[n]];

		/* one whose tail is read is forgotten */
		shard->state = shard->held ? SHARD_GIVING : SHARD_FOREIGN;
		any |= shard->held;
	}
	g->giving = GIVING_ASKED;
	/* it answers within 2 s; one that hangs may go on until its lease is over */
	g->giving_until_us = now + g->kafka->session_us * 9 / 10;
	return any;
}

static void
end_giving(struct group *g)
{
	for (uint32_t n = 0; n < g->kafka->count; n++) {
		struct shard *shard = &g->shards.shard[g->kafka->shard[n]];

		g->shards.given_back += shard->state != SHARD_FOREIGN;
		shard->state = SHARD_FOREIGN;
		shard->assigned = shard->held = false;
	}
	g->giving = GIVING_NOTHING;
	kafka_group_answer(g->kafka);
}

/* One step after the other, each with its time, so that Kafka gets its answer. */
static void
give_back(struct group *g, const struct group_facts *facts)
{
	if (g->giving == GIVING_NOTHING && !begin_giving(g, facts->now)) {
		end_giving(g);
		return;
	}
	if (g->giving == GIVING_ASKED &&
	    (facts->now >= g->giving_until_us ||
		shards_count(&g->shards, SHARD_GIVING, SHARD_LEAVING) == 0)) {
		g->giving = GIVING_STORES;
		g->giving_until_us = facts->now + CONFIRM_US;
	}
	if (g->giving == GIVING_NOTHING || g->giving == GIVING_ASKED)
		return;
	if (facts->now >= g->giving_until_us ||
	    (g->giving == GIVING_CONFIRMED && spool_is_through(g->spool, g->given_row)))
		end_giving(g);
}

bool
group_wants_commit(const struct group *g)
{
	return g->giving == GIVING_STORES;
}

void
group_committed(struct group *g)
{
	g->giving = GIVING_CONFIRMED;
	g->given_row = spool_last_row(g->spool);
}

bool
group_waits_for_delivery(const struct group *g)
{
	return g->giving == GIVING_CONFIRMED || g->sent_until_us != 0;
}

static void
answer(struct group *g, const struct group_facts *facts)
{
	bool lost = g->kafka->asked == REBALANCE_LOSE ||
		    (g->kafka->asked == REBALANCE_REVOKE && kafka_group_is_lost(g->kafka));

	if (lost) {
		log_info("group %s: Kafka has not heard from this daemon for a session: its shards "
			 "may be others'",
		    g->config->kafka_group);
		kafka_group_answer(g->kafka);
		lose_all(g, g->kafka->connected);
	} else if (g->kafka->asked == REBALANCE_ASSIGN && has_left_shards(g)) {
		leave(g, facts->now + g->kafka->session_us + 2 * US_PER_S, true);
	} else if (g->kafka->asked == REBALANCE_ASSIGN) {
		accept(g, facts->now);
	} else if (g->kafka->asked == REBALANCE_REVOKE) {
		give_back(g, facts);
	}
}

/* --- serving ----------------------------------------------------------------------------- */

static void
join(struct group *g, int64_t now)
{
	struct mistakes mistakes = { 0 };

	g->kafka = kafka_group_open(g->config, g->wake_fd, &mistakes);
	trouble_log(&mistakes);
	g->join_us = now + REJOIN_US;
}

/* A member that cannot check must not keep shards. */
static bool
may_stay(struct group *g, const struct group_facts *facts)
{
	const char *why = NULL;

	if (facts->storing)
		g->stored_us = facts->now;
	if (facts->now - g->alive_us >= SILENCE_US && !facts->stopping)
		why = "the supervisor says nothing";
	else if (facts->now - g->stored_us >= SILENCE_US)
		why = "the spool takes no records";
	if (why != NULL && g->kafka != NULL)
		log_warning("group %s: %s for %lld s: this daemon leaves, so that others get its "
			    "shards",
		    g->config->kafka_group, why, SILENCE_US / US_PER_S);
	return why == NULL;
}

/* All that was asked for is done: say what is ours, and remember it. */
static void
settle(struct group *g, int64_t now)
{
	struct spool_shards last = { .group = g->config->kafka_group,
		.topic = g->config->kafka_topic,
		.total = g->shards.total };
	char text[sizeof(g->said)];

	if (!g->assigned || g->shards.total == 0 || g->giving != GIVING_NOTHING ||
	    shards_count(&g->shards, SHARD_WAITING, SHARD_TAKING) > 0)
		return;
	if (!g->changed && now < g->remember_us)
		return;
	shards_describe(&g->shards, text, sizeof(text));
	if (strcmp(text, g->said) != 0 || g->shards.taken_over + g->shards.given_back > 0)
		log_notice("group %s: %s ours (%u taken over, %u given back; tails read in %.1f s)",
		    g->config->kafka_group, text, g->shards.taken_over, g->shards.given_back,
		    (double)g->shards.tail_us / US_PER_S);
	snprintf(g->said, sizeof(g->said), "%s", text);
	g->shards.taken_over = g->shards.given_back = 0;
	g->shards.tail_us = 0;
	g->lease.next_us = 0; /* it says how many */
	g->changed = false;
	g->remember_us = now + REMEMBER_US;
	shards_assigned(&g->shards, last.taken);
	spool_store_shards(g->spool, &last);
}

void
group_end(struct group *g)
{
	spool_note_newest(g->spool);
	if (g->kafka != NULL)
		kafka_group_leave(g->kafka, LEAVE_US);
}

/* Whether what was stored when shards were assigned is delivered: a tail holds our own records. */
static bool
may_read(struct group *g, int64_t now)
{
	if (!g->assigned)
		return false;
	if (g->sent_until_us != 0 &&
	    (now >= g->sent_until_us || spool_is_through(g->spool, g->sent_row)))
		g->sent_until_us = 0;
	return g->sent_until_us == 0;
}

void
group_serve(struct group *g, const struct group_facts *facts)
{
	uint64_t events;

	(void)!read(g->wake_fd, &events, sizeof(events));
	g->blocked = false;
	if (!may_stay(g, facts)) {
		if (g->kafka != NULL)
			leave(g, 0, false);
	} else if (g->kafka == NULL && facts->now >= g->join_us && !facts->stopping) {
		join(g, facts->now);
	}
	if (!shards_read_spool(&g->shards, g->spool))
		return;
	if (g->kafka != NULL)
		kafka_group_serve(g->kafka);
	if (g->kafka != NULL && g->kafka->failed_us != 0)
		leave(g, facts->now + g->kafka->failed_us, true);
	/* the successor of this publisher takes its place in the group, and answers */
	if (g->kafka != NULL && !facts->stopping)
		answer(g, facts);
	shards_serve(&g->shards, facts->now, may_read(g, facts->now));
	if (!facts->stopping && (g->assigned || !g->shards.told) && !shards_tell(&g->shards))
		g->blocked = true;
	if (!g->blocked && facts->storing && !facts->stopping && g->kafka != NULL)
		g->blocked = !lease_renew(&g->lease, &g->shards, g->kafka, g->assigned);
	settle(g, facts->now);
	if (facts->now >= g->note_us) {
		g->note_us = facts->now + NOTE_US;
		spool_note_newest(g->spool);
	}
}

struct pollfd
group_wait_for(const struct group *g)
{
	return (struct pollfd){ .fd = g->wake_fd, .events = POLLIN };
}

short
group_wants_of_control(const struct group *g)
{
	return g->blocked ? POLLOUT : 0;
}

int64_t
group_wake_us(const struct group *g, int64_t now)
{
	bool busy = g->giving != GIVING_NOTHING || g->sent_until_us != 0 ||
		    (g->shards.tail == NULL &&
			shards_count(&g->shards, SHARD_WAITING, SHARD_WAITING) > 0);

	if (!g->shards.spool_read) /* soon, but a spool that fails makes nobody busy */
		return now + US_PER_MS;
	return busy ? now + STEP_US : INT64_MAX;
}
