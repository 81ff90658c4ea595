/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * Leases. Called by group.c; nothing is fatal.
 */
#include "lease.h"

#include <string.h>

#include "log.h"

#define RENEW_US (US_PER_S)      /* how often */
#define ALONE_US (2 * US_PER_S)  /* for how long alone; and how long Kafka is away before */
#define START_US (10 * US_PER_S) /* the same before the first lease: to connect may take long */
#define LOOK_US  (3 * US_PER_S)  /* without statistics for so long, this process was stopped */

/* How long the group has been out of reach, as far as that is known. */
static void
look_for_kafka(struct lease *l, const struct kafka_group *k, int64_t boot)
{
	if (k->connected || k->refused) {
		l->away_us = 0;
	} else if (k->looked_us != l->looked_us) {
		/* after a stop nothing is known of the time before */
		if (l->away_us == 0 || k->looked_us - l->looked_us > LOOK_US)
			l->away_us = boot;
	}
	l->looked_us = k->looked_us;
}

static bool
is_away(const struct lease *l, int64_t boot)
{
	const int64_t patience_us = l->until_us != 0 ? ALONE_US : START_US;

	return l->away_us != 0 && boot - l->away_us >= patience_us && boot >= l->until_us &&
	       boot - l->looked_us < LOOK_US;
}

/* Without any, after a start or after they were lost: the shards of the last lease. */
static void
take_remembered(const struct lease *l, struct shards *s)
{
	struct spool_shards last = { .group = l->config->kafka_group,
		.topic = l->config->kafka_topic };
	int64_t newest_us;

	if (!spool_load_shards(l->spool, &last) || (s->total != 0 && s->total != last.total))
		return;
	newest_us = last.newest_us > util_utc_us() - TAIL_US ? last.newest_us : 0;
	if (s->total == 0)
		shards_set_total(s, last.total, true);
	for (uint32_t i = 0; i < last.total; i++) {
		if ((last.taken[i / 8] & 1 << i % 8) == 0)
			continue;
		shards_take(s, i, newest_us, false);
		s->told = false;
	}
}

static void
log_away(struct lease *l, const struct kafka_group *k, uint32_t held, int64_t boot)
{
	if (l->logged_us != 0)
		return;
	l->logged_us = k->confirmed_us != 0 ? k->confirmed_us : l->away_us;
	if (l->config->kafka_alone == KAFKA_ALONE_REST || held == 0)
		log_warning("group %s: not reachable for %lld s: %s", l->config->kafka_group,
		    (long long)((boot - l->logged_us) / US_PER_S),
		    held == 0 ? "this daemon has no shards, and waits" : "resting");
	else
		log_warning("group %s: not reachable for %lld s: checking our %u shard%s alone",
		    l->config->kafka_group, (long long)((boot - l->logged_us) / US_PER_S), held,
		    util_plural(held));
}

/* Fills `m`. Returns false: the supervisor takes no message now. */
static bool
be_alone(struct lease *l, struct shards *s, const struct kafka_group *k, int64_t boot,
    struct message_lease *m)
{
	bool may = l->config->kafka_alone == KAFKA_ALONE_CHECK;

	if (may && shards_held(s) == 0 && shards_count(s, SHARD_TAKING, SHARD_TAKING) == 0)
		take_remembered(l, s);
	if (!shards_tell(s))
		return false;
	m->mine = shards_held(s);
	m->alone = true;
	if (may && m->mine > 0)
		m->until_us = boot + ALONE_US;
	log_away(l, k, m->mine, boot);
	return true;
}

/* Fills `m`, if the group has given its word. */
static void
be_member(struct lease *l, const struct shards *s, const struct kafka_group *k, int64_t boot,
    struct message_lease *m)
{
	int64_t until_us = k->confirmed_us + k->session_us * 9 / 10;

	if (until_us <= boot || kafka_group_is_lost(k))
		return;
	if (until_us > l->until_us)
		l->until_us = until_us;
	m->until_us = l->until_us;
	m->mine = shards_count(s, SHARD_TAKING, SHARD_OURS);
	if (l->logged_us != 0)
		log_notice("group %s: back after %lld s", l->config->kafka_group,
		    (long long)((boot - l->logged_us) / US_PER_S));
	l->logged_us = 0;
}

bool
lease_renew(struct lease *l, struct shards *s, const struct kafka_group *k, bool assigned)
{
	struct message_lease m;
	int64_t boot = util_boot_us();

	look_for_kafka(l, k, boot);
	if (boot < l->next_us)
		return true;
	memset(&m, 0, sizeof(m));
	if (is_away(l, boot)) {
		if (!be_alone(l, s, k, boot, &m))
			return false;
	} else if (assigned) {
		be_member(l, s, k, boot, &m);
	}
	m.total = s->total;
	if (m.until_us == 0 || !s->introduced)
		return true;
	if (message_send(s->control_fd, MESSAGE_LEASE, &m, sizeof(m), -1) < 0)
		return false;
	l->next_us = boot + RENEW_US;
	return true;
}
