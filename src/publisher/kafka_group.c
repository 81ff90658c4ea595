/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * The consumer of a group. Called by group.c; nothing is fatal.
 *
 * librdkafka's own threads keep the heartbeat, and its statistics show when one was answered. All
 * else comes as events, so that no callback has to wait. Partitions are assigned at their end and
 * paused: kafka_tail.c reads what there is to read by a connection of its own, which no rebalance
 * disturbs.
 */
#include "kafka_group.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "kafka_internal.h"
#include "log.h"
#include "trouble.h"

struct member {
	rd_kafka_t *rk;
	rd_kafka_queue_t *queue;
	const struct config *config;
	bool by_broker; /* see struct kafka_times */
	rd_kafka_topic_partition_list_t *asked;
	bool cooperative;         /* the protocol of the last assignment */
	rd_kafka_resp_err_t told; /* the last error that was logged */

	/* as of the last statistics */
	int64_t heartbeats;  /* sent up to the last one that counted */
	int64_t disconnects; /* of the connection to the broker that leads the group */
	int64_t asleep_us;   /* how long the host was suspended since it started */
	int64_t awake_us;    /* monotonic: what was sent before counts no more */
	int64_t rejoins_us;  /* util_boot_us(): what Kafka assigns next was asked for later */
};

uint32_t
kafka_shard_of(const char *key, uint32_t total)
{
	return (uint32_t)rd_kafka_msg_partitioner_murmur2(
	    NULL, key, strlen(key), (int32_t)total, NULL, NULL);
}

/* --- errors ------------------------------------------------------------------------------ */

/* What to do about an error that keeps us out of the group; false: it passes, or others tell it. */
static bool
describe(const struct config *config, rd_kafka_resp_err_t error, char *out, size_t size)
{
	switch (error) {
	case RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED:
		kafka_describe_unreadable("group", config->kafka_group, out, size);
		return true;
	case RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED:
		kafka_describe_unreadable("topic", config->kafka_topic, out, size);
		return true;
	case RD_KAFKA_RESP_ERR_INCONSISTENT_GROUP_PROTOCOL:
		snprintf(out, size,
		    "other members have another partition.assignment.strategy or group.protocol: "
		    "stop all, set the same for all, start them");
		return true;
	case RD_KAFKA_RESP_ERR_INVALID_SESSION_TIMEOUT:
		snprintf(out, size,
		    "the broker does not take this session.timeout.ms: keep it between the "
		    "broker's group.min.session.timeout.ms and group.max.session.timeout.ms");
		return true;
	case RD_KAFKA_RESP_ERR_GROUP_MAX_SIZE_REACHED:
		snprintf(out, size, "it is full: raise the broker's group.max.size");
		return true;
	default:
		return false;
	}
}

static void
say(struct kafka_group *g, rd_kafka_resp_err_t error, const char *line)
{
	if (g->member->told == error)
		return;
	g->member->told = error;
	log_error("group %s: %s; until then this daemon checks nothing",
	    g->member->config->kafka_group, line);
	trouble_note(line);
}

/* The newer protocol refuses a second member of our name, the older one throws out the first. */
#define UNRELEASED_INSTANCE_ID 111 /* not in the headers before 2.4 */
#define REFUSED_US             (5 * US_PER_S)
#define REPLACED_US            (60 * US_PER_S)

static void
on_fatal(struct kafka_group *g, rd_kafka_resp_err_t error, const char *why)
{
	static int64_t logged_us; /* for as long as it is the same */
	const struct config *config = g->member->config;
	bool refused = (int)error == UNRELEASED_INSTANCE_ID;

	g->failed_us = refused ? REFUSED_US : REPLACED_US;
	if (refused && logged_us != 0 && util_mono_us() - logged_us < REPLACED_US)
		return;
	logged_us = util_mono_us();
	if (refused || error == RD_KAFKA_RESP_ERR_FENCED_INSTANCE_ID)
		log_error("group %s: another daemon has the same instance, \"%s\": give each its "
			  "own%s; this one checks nothing now and tries again",
		    config->kafka_group, config->instance,
		    refused ? ", or Kafka waits for the end of a session after a crash" : "");
	else
		log_error("group %s: this daemon checks nothing now and tries again in 60 s; "
			  "librdkafka: %s",
		    config->kafka_group, why);
}

static void
on_error(struct kafka_group *g, rd_kafka_resp_err_t error, const char *text)
{
	char why[PUBLISHER_REASON_SIZE], line[PUBLISHER_REASON_SIZE + 128];
	rd_kafka_resp_err_t fatal = rd_kafka_fatal_error(g->member->rk, why, sizeof(why));

	if (fatal != RD_KAFKA_RESP_ERR_NO_ERROR) {
		on_fatal(g, fatal, why);
	} else if (describe(g->member->config, error, why, sizeof(why))) {
		g->refused = true;
		snprintf(line, sizeof(line), "%s; librdkafka: %s", why, text);
		say(g, error, line);
	} else if (error == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART) {
		kafka_describe_refusal(error, g->member->config->kafka_topic, line, sizeof(line));
		say(g, error, line);
	} else {
		if (error == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN)
			g->refused = false;   /* what it was, cannot be known now */
		log_debug("group: %s", text); /* the producer has the same trouble, and tells it */
	}
}

/* --- heartbeats -------------------------------------------------------------------------- */

/* The number behind a name, at `at` or later; 0: there is none. */
static int64_t
number(const char *at, const char *name)
{
	at = strstr(at, name);
	return at != NULL ? strtoll(at + strlen(name), NULL, 10) : 0;
}

static void
confirm(struct kafka_group *g, int64_t sent_us)
{
	if (sent_us > g->confirmed_us)
		g->confirmed_us = sent_us;
}

/* Whether the host slept since the last look: then times of the monotonic clock tell too little. */
static void
look_for_sleep(struct member *m, int64_t mono, int64_t boot)
{
	int64_t asleep_us = boot - mono;

	if (asleep_us - m->asleep_us > 100 * US_PER_MS)
		m->awake_us = mono;
	m->asleep_us = asleep_us;
}

/* How many requests went to the broker at `at` that are not among those that it lists by name. */
static int64_t
count_unlisted(const char *at)
{
	int64_t count = number(at, "\"tx\":");
	const char *listed = strstr(at, "\"req\":");

	if (listed == NULL)
		return count;
	listed += strcspn(listed, "{");
	while (listed[strcspn(listed, ":}")] == ':') {
		listed += strcspn(listed, ":") + 1;
		count -= strtoll(listed, NULL, 10);
	}
	return count;
}

/* Heartbeats, and what is as good. librdkafka 2.16 does not list those of the newer protocol. */
static int64_t
count_heartbeats(const struct member *m, const char *at)
{
	return m->by_broker ? count_unlisted(at)
			    : number(at, "\"Heartbeat\":") + number(at, "\"SyncGroup\":");
}

/*
 * Only the statistics know the connection to the broker that leads the group. Over it go requests
 * of the group, and what a new connection begins with. If nothing on it is unanswered, and a
 * heartbeat went out over it since the last one that counted, then what was sent last is answered,
 * and Kafka's clock for us has started no earlier than that was sent.
 */
static void
take_statistics(struct kafka_group *g, const char *json)
{
	struct member *m = g->member;
	int64_t boot = util_boot_us(), mono = util_mono_us();
	const char *at = strstr(json, "\"GroupCoordinator\"");
	const char *state = at != NULL ? strstr(at, "\"state\":") : NULL;
	int64_t sent_us, heartbeats, disconnects;

	look_for_sleep(m, mono, boot);
	g->looked_us = boot;
	g->connected = state != NULL && strncmp(state, "\"state\":\"UP\"", 12) == 0;
	if (!g->connected)
		return;
	heartbeats = count_heartbeats(m, at);
	disconnects = number(at, "\"disconnects\":");
	sent_us = number(json, "\"ts\":") - number(at, "\"txidle\":");
	if (disconnects != m->disconnects) {
		m->disconnects = disconnects;
		m->heartbeats = heartbeats;
	} else if (heartbeats != m->heartbeats && number(at, "\"waitresp_cnt\":") == 0 &&
		   sent_us > m->awake_us) {
		m->heartbeats = heartbeats;
		confirm(g, boot - (mono - sent_us));
	}
}

/* --- rebalances -------------------------------------------------------------------------- */

static void
on_rebalance(struct kafka_group *g, rd_kafka_event_t *event)
{
	struct member *m = g->member;
	const rd_kafka_topic_partition_list_t *list = rd_kafka_event_topic_partition_list(event);

	if (m->asked != NULL)
		rd_kafka_topic_partition_list_destroy(m->asked);
	m->asked = rd_kafka_topic_partition_list_copy(list);
	g->count = 0;
	for (int i = 0; i < list->cnt; i++)
		if (list->elems[i].partition < SHARDS_MAX)
			g->shard[g->count++] = (uint32_t)list->elems[i].partition;
	if (rd_kafka_event_error(event) == RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS)
		g->asked = REBALANCE_ASSIGN;
	else
		g->asked = rd_kafka_assignment_lost(m->rk) ? REBALANCE_LOSE : REBALANCE_REVOKE;
	if (g->asked == REBALANCE_ASSIGN) {
		m->cooperative = strcmp(rd_kafka_rebalance_protocol(m->rk), "COOPERATIVE") == 0;
		m->told = RD_KAFKA_RESP_ERR_NO_ERROR;
		g->refused = false;
		confirm(g, m->rejoins_us);
	}
	log_debug("group: %s of %d partitions", rd_kafka_err2name(rd_kafka_event_error(event)),
	    m->asked->cnt);
}

bool
kafka_group_is_lost(const struct kafka_group *g)
{
	return rd_kafka_assignment_lost(g->member->rk) != 0;
}

static void
assign(struct member *m)
{
	rd_kafka_error_t *error = NULL;
	rd_kafka_resp_err_t code = RD_KAFKA_RESP_ERR_NO_ERROR;

	for (int i = 0; i < m->asked->cnt; i++)
		m->asked->elems[i].offset = RD_KAFKA_OFFSET_END;
	if (m->cooperative)
		error = rd_kafka_incremental_assign(m->rk, m->asked);
	else
		code = rd_kafka_assign(m->rk, m->asked);
	rd_kafka_pause_partitions(m->rk, m->asked);
	if (error != NULL || code != RD_KAFKA_RESP_ERR_NO_ERROR)
		log_debug("group: assign: %s",
		    error != NULL ? rd_kafka_error_string(error) : rd_kafka_err2str(code));
	if (error != NULL)
		rd_kafka_error_destroy(error);
}

static void
unassign(struct member *m)
{
	rd_kafka_error_t *error = NULL;

	m->rejoins_us = util_boot_us();
	if (!m->cooperative) {
		rd_kafka_assign(m->rk, NULL);
	} else if ((error = rd_kafka_incremental_unassign(m->rk, m->asked)) != NULL) {
		log_debug("group: unassign: %s", rd_kafka_error_string(error));
		rd_kafka_error_destroy(error);
		rd_kafka_assign(m->rk, NULL);
	}
}

void
kafka_group_answer(struct kafka_group *g)
{
	struct member *m = g->member;

	if (g->asked == REBALANCE_ASSIGN)
		assign(m);
	else if (g->asked != REBALANCE_NONE)
		unassign(m);
	g->asked = REBALANCE_NONE;
	if (m->asked != NULL)
		rd_kafka_topic_partition_list_destroy(m->asked);
	m->asked = NULL;
}

void
kafka_group_serve(struct kafka_group *g)
{
	rd_kafka_event_t *event;

	while (g->failed_us == 0 && (event = rd_kafka_queue_poll(g->member->queue, 0)) != NULL) {
		switch (rd_kafka_event_type(event)) {
		case RD_KAFKA_EVENT_REBALANCE:
			on_rebalance(g, event);
			break;
		case RD_KAFKA_EVENT_STATS:
			take_statistics(g, rd_kafka_event_stats(event));
			break;
		case RD_KAFKA_EVENT_ERROR:
			on_error(
			    g, rd_kafka_event_error(event), rd_kafka_event_error_string(event));
			break;
		default: /* a record that came before its partition was paused */
			break;
		}
		rd_kafka_event_destroy(event);
	}
}

/* --- joining and leaving ----------------------------------------------------------------- */

static bool
subscribe(struct member *m, struct mistakes *mistakes)
{
	rd_kafka_topic_partition_list_t *topics = rd_kafka_topic_partition_list_new(1);
	rd_kafka_resp_err_t error;

	rd_kafka_topic_partition_list_add(topics, m->config->kafka_topic, RD_KAFKA_PARTITION_UA);
	error = rd_kafka_subscribe(m->rk, topics);
	rd_kafka_topic_partition_list_destroy(topics);
	if (error != RD_KAFKA_RESP_ERR_NO_ERROR)
		mistakes_add(mistakes, config_origin(&m->config->at, "kafka.group"),
		    "kafka.group: %s", rd_kafka_err2str(error));
	return error == RD_KAFKA_RESP_ERR_NO_ERROR;
}

struct kafka_group *
kafka_group_open(const struct config *config, int wake_fd, struct mistakes *mistakes)
{
	struct kafka_group *g = xcalloc(1, sizeof(*g));
	struct kafka_times times = { 0 };
	rd_kafka_conf_t *conf = kafka_group_conf_new(config, mistakes, &times);
	const uint64_t one = 1;
	struct member *m;

	if (conf == NULL) {
		free(g);
		return NULL;
	}
	m = g->member = xcalloc(1, sizeof(*m));
	g->session_us = times.session_us;
	m->config = config;
	m->by_broker = g->by_broker = times.by_broker;
	m->rejoins_us = util_boot_us();
	m->asleep_us = m->rejoins_us - util_mono_us();
	rd_kafka_conf_set_events(conf, RD_KAFKA_EVENT_REBALANCE | RD_KAFKA_EVENT_STATS |
					   RD_KAFKA_EVENT_ERROR | RD_KAFKA_EVENT_FETCH);
	rd_kafka_conf_set_log_cb(conf, kafka_on_log);
	m->rk = kafka_client_new(RD_KAFKA_CONSUMER, conf, config, mistakes);
	if (m->rk == NULL) {
		free(m);
		free(g);
		return NULL;
	}
	rd_kafka_set_log_queue(m->rk, NULL);
	rd_kafka_poll_set_consumer(m->rk); /* one queue for all */
	m->queue = rd_kafka_queue_get_consumer(m->rk);
	rd_kafka_queue_io_event_enable(m->queue, wake_fd, &one, sizeof(one));
	if (subscribe(m, mistakes))
		return g;
	kafka_group_close(g);
	return NULL;
}

void
kafka_group_leave(struct kafka_group *g, int64_t wait_us)
{
	const int64_t until = util_mono_us() + wait_us;
	struct member *m = g->member;

	if (!m->by_broker)
		return;
	kafka_group_answer(g);
	rd_kafka_error_destroy(rd_kafka_consumer_close_queue(m->rk, m->queue));
	while (!rd_kafka_consumer_closed(m->rk) && util_mono_us() < until) {
		kafka_group_serve(g);
		kafka_group_answer(g);
		usleep(10000);
	}
}

void
kafka_group_close(struct kafka_group *g)
{
	struct member *m = g->member;

	if (m->asked != NULL)
		rd_kafka_topic_partition_list_destroy(m->asked);
	rd_kafka_queue_destroy(m->queue);
	rd_kafka_destroy_flags(m->rk, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE);
	free(m);
	free(g);
}
