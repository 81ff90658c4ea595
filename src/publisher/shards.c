/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * The shards of a group as this member has them. Called by group.c; nothing is fatal.
 *
 * What the supervisor is told is not queued: the state of a shard says what it is to be told next,
 * so a supervisor that is busy costs no memory.
 */
#include "shards.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kafka_group.h"
#include "log.h"

#define RETRY_US (US_PER_S)      /* of reading a tail */
#define TRY_US   (10 * US_PER_S) /* to read it; then the shard is taken without */
#define HOUR_US  (3600 * US_PER_S)

#define SPOOL_AT_ONCE 2000 /* records */

void
shards_init(struct shards *s, const struct config *config, int control_fd, int wake_fd)
{
	*s = (struct shards){
		.config = config, .control_fd = control_fd, .wake_fd = wake_fd, .told = true
	};
	s->shard = xcalloc(SHARDS_MAX, sizeof(*s->shard));
	s->known = xcalloc(config->site_count + 1, sizeof(*s->known));
	s->site = xcalloc(config->site_count + 1, sizeof(*s->site));
}

/* Sort the sites by their shard: count, then place. */
void
shards_set_total(struct shards *s, uint32_t total, bool remembered)
{
	uint32_t *of = xcalloc(s->config->site_count + 1, sizeof(*of)), *next;

	s->total = total;
	s->room = total > s->room ? total : s->room;
	s->remembered = remembered;
	free(s->first);
	s->first = xcalloc(total + 2, sizeof(*s->first));
	next = s->first + 1; /* while sites are placed, this is where the next one of each goes */
	for (size_t i = 0; i < s->config->site_count; i++) {
		of[i] = kafka_shard_of(s->config->sites[i].name, total);
		next[of[i] + 1]++;
	}
	for (uint32_t i = 1; i <= total; i++)
		next[i] += next[i - 1];
	for (size_t i = 0; i < s->config->site_count; i++)
		s->site[next[of[i]]++] = (uint32_t)i;
	free(of);
}

/* --- what is known of sites --------------------------------------------------------------- */

static void
learn(struct shards *s, uint32_t site, const struct tail_site *known)
{
	if (known->slot_us > s->known[site].slot_us)
		s->known[site] = *known;
}

static bool
visit_record(void *arg, uint64_t row, const struct frame *frame)
{
	struct shards *s = arg;
	struct tail_site known = { frame->slot_us, -1 };
	char name[CONFIG_NAME_MAX + 1];
	ssize_t site;

	snprintf(name, sizeof(name), "%.*s", (int)frame->site_size, frame->site);
	site = config_find_site(s->config, name);
	if (site >= 0)
		learn(s, (uint32_t)site, &known);
	s->spool_row = row;
	return true;
}

bool
shards_read_spool(struct shards *s, struct spool *spool)
{
	uint64_t before = s->spool_row;

	if (s->spool_read)
		return true;
	if (s->spool_end == 0)
		s->spool_end = spool_last_row(spool); /* what comes later the supervisor knows */
	if (spool_read(spool, s->spool_row, SPOOL_AT_ONCE, visit_record, s) != SPOOL_OK)
		return false;
	s->spool_read = s->spool_row == before || s->spool_row >= s->spool_end;
	return s->spool_read;
}

/* --- tails ------------------------------------------------------------------------------- */

void
shards_take(struct shards *s, uint32_t i, int64_t newest_us, bool whole)
{
	struct shard *shard = &s->shard[i];

	shard->state = SHARD_TAKING;
	shard->next = s->first[i];
	shard->newest_us = newest_us;
	shard->whole = whole;
	shard->taken_us = util_utc_us();
	s->taken_over++;
}

/* So many sites with a slot in each tail leave a record there if anybody has them. */
#define SITES_FEW 3

static bool
has_few_sites(const struct shards *s, uint32_t shard)
{
	uint32_t count = 0;

	for (uint32_t n = s->first[shard]; n < s->first[shard + 1]; n++)
		count += s->config->sites[s->site[n]].interval_us <= TAIL_US;
	return count < SITES_FEW;
}

/* A shard was to be read, as far as that was possible. Returns whether it is taken without. */
static bool
end_reading(struct shards *s, const struct kafka_tail *t, uint32_t i, int64_t now)
{
	const struct tail_shard *tail = &t->shard[i];
	struct shard *shard = &s->shard[i];

	if (s->total == 0 || (!tail->read && !t->no_right && now - shard->since_us < TRY_US)) {
		shard->state = SHARD_WAITING;
		if (s->read_us <= now)
			s->read_us = now + RETRY_US;
		return false;
	}
	if (i >= s->total) { /* a partition that was added: none of our sites is there */
		shard->state = SHARD_FOREIGN;
		return false;
	}
	for (uint32_t n = s->first[i]; n < s->first[i + 1]; n++) {
		if (tail->read)
			learn(s, s->site[n], &t->site[s->site[n]]);
		else
			s->known[s->site[n]].slot_us = 0; /* others may have had it since */
	}
	/* without any record nobody had it: a group that starts does not run the slots before */
	shards_take(
	    s, i, tail->newest_us, tail->whole && (tail->newest_us != 0 || has_few_sites(s, i)));
	return !tail->read;
}

static void
note_total(struct shards *s, uint32_t total, int64_t now)
{
	if (total > SHARDS_MAX) {
		if (s->grown_us == 0 || now - s->grown_us >= HOUR_US)
			log_error("group: \"%s\" has %u partitions, more than %d are not "
				  "supported: this daemon checks nothing",
			    s->config->kafka_topic, total, SHARDS_MAX);
		s->grown_us = now;
	} else if (total != 0 && (s->total == 0 || s->remembered)) {
		shards_set_total(s, total, false);
	} else if (total != 0 && total != s->total &&
		   (s->grown_us == 0 || now - s->grown_us >= HOUR_US)) {
		log_error("group: \"%s\" has %u partitions now, %u when this daemon started: stop "
			  "all members, then start them",
		    s->config->kafka_topic, total, s->total);
		s->grown_us = now;
	}
}

static void
end_tail(struct shards *s, int64_t now)
{
	struct kafka_tail *t = s->tail;
	uint32_t without = 0;

	s->tail = NULL;
	s->count_us = now + (t->total > 0 ? HOUR_US : TRY_US);
	if (t->total == 0)
		s->read_us = now + TRY_US / 2;
	note_total(s, t->total, now);
	if (t->no_right && !s->right_logged)
		log_error("group: this user may not read \"%s\": give it the right Read; until "
			  "then sites that are taken over go on with their next slots, and those "
			  "before are missing in the topic",
		    s->config->kafka_topic);
	else if (t->total == 0)
		log_debug("group: the partitions cannot be counted: %s", t->why);
	s->right_logged = t->no_right;
	if (t->took_us > s->tail_us)
		s->tail_us = t->took_us;
	/* others were revoked meanwhile, and may have come again */
	for (uint32_t i = 0; i < t->count; i++)
		if (s->shard[i].state == SHARD_READING)
			without += end_reading(s, t, i, now);
	if (without > 0 && !t->no_right)
		log_warning("group: the last records of %u shard%s cannot be read: %s; sites there "
			    "go on with their next slots",
		    without, util_plural(without), t->why);
	kafka_tail_free(t);
}

/* Of all that wait; the partitions are counted by the way. */
static void
begin_tail(struct shards *s, int64_t now)
{
	struct kafka_tail *t = kafka_tail_new(s->config, s->room);

	for (uint32_t i = 0; i < s->room; i++)
		t->shard[i].wanted = s->shard[i].state == SHARD_WAITING;
	if (!kafka_tail_start(t, s->config, s->wake_fd)) {
		kafka_tail_free(t);
		s->read_us = now + TRY_US;
		return;
	}
	for (uint32_t i = 0; i < s->room; i++)
		if (s->shard[i].state == SHARD_WAITING)
			s->shard[i].state = SHARD_READING;
	s->tail = t;
}

void
shards_serve(struct shards *s, int64_t now, bool may_read)
{
	if (s->tail != NULL && s->tail->done)
		end_tail(s, now);
	if (s->tail == NULL && may_read && now >= s->read_us &&
	    (now >= s->count_us || shards_count(s, SHARD_WAITING, SHARD_WAITING) > 0))
		begin_tail(s, now);
}

/* --- the supervisor ---------------------------------------------------------------------- */

static bool
send(const struct shards *s, enum message_type type, const void *body, size_t size)
{
	if (message_send(s->control_fd, type, body, size, -1) == 0)
		return true;
	if (errno != EAGAIN)
		log_debug("the supervisor takes no messages: %s", strerror(errno));
	return false;
}

/* Whether the supervisor is to have it, or may keep it. */
static bool
is_to_be_held(const struct shard *shard)
{
	return shard->state >= SHARD_TAKING || (shard->assigned && shard->held);
}

static bool
tell_set(struct shards *s)
{
	struct message_shards m;

	memset(&m, 0, sizeof(m));
	m.total = s->total;
	for (uint32_t i = 0; i < s->room; i++)
		if (is_to_be_held(&s->shard[i]))
			m.taken[i / 8] |= (unsigned char)(1 << i % 8);
	if (!send(s, MESSAGE_SHARDS, &m, sizeof(m)))
		return false;
	for (uint32_t i = 0; i < s->room; i++)
		s->shard[i].held &= is_to_be_held(&s->shard[i]);
	s->told = s->introduced = true;
	return true;
}

static bool
tell_to_give(struct shards *s, uint32_t i)
{
	struct message_shard m = { .shard = i };

	if (!send(s, MESSAGE_GIVE, &m, sizeof(m)))
		return false;
	s->shard[i].state = SHARD_LEAVING;
	s->shard[i].held = false;
	return true;
}

/*
 * Behind which slot a site goes on. One that is not in the tail goes on where the others are: it is
 * new, or was due when nobody had the shard. But with a long interval it may have been due at any
 * time of the tail, and if it was, nobody has run it.
 */
static struct taken_site
describe_site(const struct shards *s, const struct shard *shard, uint32_t site)
{
	const struct tail_site *known = &s->known[site];
	int64_t after_us = shard->newest_us;

	if (known->slot_us != 0)
		return (struct taken_site){ site, known->status, known->slot_us };
	if (shard->whole && s->config->sites[site].interval_us > TAIL_US / 2)
		after_us = shard->taken_us - TAIL_US;
	else if (after_us == 0)
		after_us = shard->taken_us;
	return (struct taken_site){ site, -1, after_us };
}

static bool
tell_sites(struct shards *s, uint32_t shard)
{
	struct shard *it = &s->shard[shard];
	const uint32_t end = s->first[shard + 1];
	struct message_take m;

	while (it->state == SHARD_TAKING) {
		uint32_t left = end - it->next;

		memset(&m, 0, sizeof(m));
		m.shard = shard;
		m.count = left < TAKE_SITES_MAX ? left : TAKE_SITES_MAX;
		m.last = m.count == left;
		for (uint32_t i = 0; i < m.count; i++)
			m.site[i] = describe_site(s, it, s->site[it->next + i]);
		if (!send(s, MESSAGE_TAKE, &m, sizeof(m)))
			return false;
		it->held = true;
		it->next += m.count;
		if (m.last)
			it->state = it->assigned ? SHARD_OURS : SHARD_FOREIGN;
	}
	return true;
}

bool
shards_tell(struct shards *s)
{
	if (!s->told && !tell_set(s))
		return false;
	for (uint32_t i = 0; i < s->room; i++)
		if (s->shard[i].state == SHARD_GIVING && !tell_to_give(s, i))
			return false;
	for (uint32_t i = 0; i < s->total; i++)
		if (s->shard[i].state == SHARD_TAKING && !tell_sites(s, i))
			return false;
	return true;
}

/* --- what they are ----------------------------------------------------------------------- */

uint32_t
shards_count(const struct shards *s, enum shard_state from, enum shard_state through)
{
	uint32_t count = 0;

	for (uint32_t i = 0; i < s->room; i++)
		count += s->shard[i].state >= from && s->shard[i].state <= through;
	return count;
}

uint32_t
shards_held(const struct shards *s)
{
	uint32_t count = 0;

	for (uint32_t i = 0; i < s->room; i++)
		count += s->shard[i].held;
	return count;
}

void
shards_assigned(const struct shards *s, unsigned char bits[SHARDS_MAX / 8])
{
	memset(bits, 0, SHARDS_MAX / 8);
	for (uint32_t i = 0; i < s->total; i++)
		if (s->shard[i].assigned)
			bits[i / 8] |= (unsigned char)(1 << i % 8);
}

void
shards_describe(const struct shards *s, char *out, size_t size)
{
	uint32_t count = shards_count(s, SHARD_OURS, SHARD_OURS), end;
	char list[160] = "";
	size_t n = 0;

	for (uint32_t i = 0; i < s->total && n < sizeof(list) - 24; i = end + 1) {
		for (end = i; end < s->total && s->shard[end].state == SHARD_OURS; end++)
			;
		if (end == i)
			continue;
		n += (size_t)snprintf(list + n, sizeof(list) - n, "%s%u", n > 0 ? "," : "", i);
		if (end - i > 1)
			n += (size_t)snprintf(list + n, sizeof(list) - n, "-%u", end - 1);
	}
	if (n >= sizeof(list) - 24)
		snprintf(list + n, sizeof(list) - n, ",…");
	if (count == 0)
		snprintf(out, size, "no shard of %u is", s->total);
	else
		snprintf(out, size, "shard%s %s of %u %s", count > 1 ? "s" : "", list, s->total,
		    count > 1 ? "are" : "is");
}
