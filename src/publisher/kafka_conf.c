/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * From our settings to a producer of librdkafka, and to the consumer that is a member of a group.
 * Called by kafka.c and the files of the group and of -t and -T; nothing is fatal, every mistake
 * becomes a line.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "kafka_internal.h"
#include "log.h"
#include "payload.h"
#include "properties.h"
#include "property_file.h"

/* What depends on one another in a group, and is set only when all is known. */
enum held {
	HELD_SESSION,
	HELD_HEARTBEAT,
	HELD_STRATEGY,
	HELD_PROTOCOL,
	HELD_COUNT
};

static const char *const held_names[HELD_COUNT] = { "session.timeout.ms", "heartbeat.interval.ms",
	"partition.assignment.strategy", "group.protocol" };

struct held_value {
	char text[32]; /* "": not given */
	struct origin at;
};

struct building {
	rd_kafka_conf_t *conf;
	struct mistakes *mistakes;
	bool scram;
	bool wraps;              /* kafka.format: records are larger */
	struct held_value *held; /* of a member; NULL: it is a producer */
};

/* What the largest record needs with its schema; properties_refused.c has it without. */
static void
check_room(struct building *b, struct origin at, const char *name, const char *value)
{
	const long least = PROPERTIES_RECORD_MAX + PAYLOAD_ENVELOPE_MAX;

	if (strcmp(name, "message.max.bytes") == 0 && strtol(value, NULL, 0) < least)
		mistakes_add(b->mistakes, at,
		    "%s: with kafka.format = \"json-connect\" a record has up to %ld bytes; set at "
		    "least that",
		    name, least);
	if (strcmp(name, "queue.buffering.max.kbytes") == 0 &&
	    strtol(value, NULL, 0) < (least + 1023) / 1024)
		mistakes_add(b->mistakes, at,
		    "%s: with kafka.format = \"json-connect\" a record has up to %ld bytes; set at "
		    "least %ld",
		    name, least, (least + 1023) / 1024);
}

/* Whether it is kept for later. */
static bool
hold(struct building *b, struct origin at, const char *name, const char *value)
{
	for (int i = 0; b->held != NULL && i < HELD_COUNT; i++) {
		if (strcmp(name, held_names[i]) != 0)
			continue;
		snprintf(b->held[i].text, sizeof(b->held[i].text), "%s", value);
		b->held[i].at = at;
		return true;
	}
	return false;
}

static void
set_property(void *arg, struct origin at, const char *name, const char *value)
{
	struct building *b = arg;
	char why[512];

	if (hold(b, at, name, value))
		return;
	if (rd_kafka_conf_set(b->conf, name, value, why, sizeof(why)) != RD_KAFKA_CONF_OK)
		mistakes_add(b->mistakes, at, "%s: %.*s", name, (int)strcspn(why, "\n"),
		    property_is_secret(name) ? "librdkafka does not take the value" : why);
	else if (b->wraps)
		check_room(b, at, name, value);
	if (strncmp(name, "sasl.mechanism", 14) == 0)
		b->scram = strncmp(value, "SCRAM", 5) == 0;
}

/* Our defaults, then those of the user. `held`: see struct building. NULL: there was a mistake. */
static rd_kafka_conf_t *
build(const struct config *config, struct mistakes *mistakes, struct held_value *held)
{
	static const char *const defaults[][2] = {
		{ "enable.idempotence", "true" },
		{ "message.timeout.ms", "0" }, /* the spool decides what is given up, not a clock */
		/* with more, a thread of librdkafka spins for as long as Kafka is slow to answer; a
		 * batch is large enough to drain a backlog as fast with one */
		{ "max.in.flight", "1" },
		{ "linger.ms", "5" }, /* the records of a tick come together anyway */
		{ "compression.codec", "lz4" },
		/* the spool is the queue, this the window */
		{ "queue.buffering.max.messages", "10000" },
		{ "queue.buffering.max.kbytes", "32768" },
		{ "partitioner", "murmur2_random" }, /* where Java's producer would put the key */
		{ "reconnect.backoff.max.ms", "1000" },
		/* a frozen broker answers nothing: its partitions have a new leader after 9 s,
		 * which nobody asks before this is over (60 s by default) */
		{ "socket.timeout.ms", "10000" },
		{ "socket.keepalive.enable", "true" },
		/* not the default before 2.0 */
		{ "ssl.endpoint.identification.algorithm", "https" },
		{ "log.queue", "true" },
	};
	struct building b = { .conf = rd_kafka_conf_new(),
		.mistakes = mistakes,
		.wraps = config->kafka_format == KAFKA_FORMAT_JSON_CONNECT,
		.held = held };
	size_t before = mistakes->count;
	char *client_id = xasprintf("webmond/%s", config->instance), why[256];

	for (size_t i = 0; i < ARRAY_LENGTH(defaults); i++)
		rd_kafka_conf_set(b.conf, defaults[i][0], defaults[i][1], why, sizeof(why));
	if (held != NULL) /* notice partitions that are added */
		rd_kafka_conf_set(
		    b.conf, "topic.metadata.refresh.interval.ms", "60000", why, sizeof(why));
	rd_kafka_conf_set(b.conf, "client.id", client_id, why, sizeof(why));
	free(client_id);
	properties_read(config, mistakes, set_property, &b);
	kafka_tls_watch(b.conf);
	if (b.scram && held == NULL && rd_kafka_version() < KAFKA_SCRAM_FIXED)
		log_warning(
		    "kafka: librdkafka %s cannot log in by SCRAM to Kafka 4 or later (2.6.1 can): "
		    "use PLAIN over sasl_ssl, or a client certificate",
		    rd_kafka_version_str());
	if (mistakes->count == before)
		return b.conf;
	rd_kafka_conf_destroy(b.conf);
	return NULL;
}

rd_kafka_conf_t *
kafka_conf_new(const struct config *config, struct mistakes *mistakes)
{
	return build(config, mistakes, NULL);
}

rd_kafka_conf_t *
kafka_reader_conf_new(const struct config *config, struct mistakes *mistakes)
{
	static const char *const settings[][2] = {
		{ "max.in.flight", "100" }, /* a fetch must not hold up a question */
		/* the end of a partition is an answer that waits for more */
		{ "fetch.wait.max.ms", "10" },
		/* when it has so much ahead, librdkafka before 2.2 rests for a second */
		{ "queued.min.messages", "10000000" },
		{ "queued.max.messages.kbytes", "131072" },
		/* a transaction of somebody else must not hide our last records */
		{ "isolation.level", "read_uncommitted" },
		{ "enable.auto.commit", "false" },
		{ "enable.partition.eof", "true" },
		{ "auto.offset.reset", "earliest" },
		{ "allow.auto.create.topics", "false" },
	};
	struct held_value of_members[HELD_COUNT] = { 0 }; /* it is none, and needs none */
	rd_kafka_conf_t *conf = build(config, mistakes, of_members);

	for (size_t i = 0; conf != NULL && i < ARRAY_LENGTH(settings); i++)
		rd_kafka_conf_set(conf, settings[i][0], settings[i][1], NULL, 0);
	return conf;
}

/* --- a member of a group ----------------------------------------------------------------- */

static bool
is_given(const struct held_value *value)
{
	return value->text[0] != '\0';
}

static long
number_of(const struct held_value *value, long otherwise)
{
	return is_given(value) ? strtol(value->text, NULL, 0) : otherwise;
}

static void
set_held(rd_kafka_conf_t *conf, struct mistakes *mistakes, const struct held_value *held,
    enum held which, const char *otherwise)
{
	const char *value = is_given(&held[which]) ? held[which].text : otherwise;
	char why[256];

	if (rd_kafka_conf_set(conf, held_names[which], value, why, sizeof(why)) != RD_KAFKA_CONF_OK)
		mistakes_add(mistakes, held[which].at, "%s: %s", held_names[which], why);
}

/* Kafka's older protocol: the member says when it counts as dead. */
static void
set_classic(rd_kafka_conf_t *conf, struct mistakes *mistakes, const struct held_value *held,
    struct kafka_times *times)
{
	const struct held_value *given = &held[HELD_HEARTBEAT];
	long session = number_of(&held[HELD_SESSION], 10000);
	long heartbeat = number_of(&held[HELD_HEARTBEAT], 2000);
	char most[24];

	if (heartbeat > session / 3)
		mistakes_add(mistakes, is_given(given) ? given->at : held[HELD_SESSION].at,
		    "heartbeat.interval.ms (%ld): must be at most a third of session.timeout.ms "
		    "(%ld), so that one heartbeat that is lost is not the end of the member",
		    heartbeat, session);
	set_held(conf, mistakes, held, HELD_SESSION, "10000");
	set_held(conf, mistakes, held, HELD_HEARTBEAT, "2000");
	/* a death moves the shards of the dead, and no others */
	set_held(conf, mistakes, held, HELD_STRATEGY, "cooperative-sticky");
	/* a member whose publisher hangs, too, is soon dead; and others wait for it no longer */
	snprintf(most, sizeof(most), "%ld", session > 10000 ? session : 10000);
	rd_kafka_conf_set(conf, "max.poll.interval.ms", most, NULL, 0);
	times->by_broker = false;
	times->session_us = session * US_PER_MS;
	times->heartbeat_us = heartbeat * US_PER_MS;
}

/* The newer one: the broker decides, and librdkafka refuses to hear of it. */
static void
set_consumer(rd_kafka_conf_t *conf, struct mistakes *mistakes, const struct held_value *held,
    struct kafka_times *times)
{
	static const enum held not_here[] = { HELD_HEARTBEAT, HELD_STRATEGY };

	for (size_t i = 0; i < ARRAY_LENGTH(not_here); i++)
		if (is_given(&held[not_here[i]]))
			mistakes_add(mistakes, held[not_here[i]].at,
			    "%s: with group.protocol=consumer the broker decides; leave it out",
			    held_names[not_here[i]]);
	set_held(conf, mistakes, held, HELD_PROTOCOL, "consumer");
	/* it would be an answer of the broker that says nothing about the group; older versions of
	 * librdkafka have none */
	rd_kafka_conf_set(conf, "enable.metrics.push", "false", NULL, 0);
	times->by_broker = true;
	times->session_us = number_of(&held[HELD_SESSION], 45000) * US_PER_MS;
	times->heartbeat_us = 5 * US_PER_S;
}

rd_kafka_conf_t *
kafka_group_conf_new(
    const struct config *config, struct mistakes *mistakes, struct kafka_times *times)
{
	const char *const fixed[][2] = {
		{ "group.id", config->kafka_group },
		/* static: a restart within the session moves no shard */
		{ "group.instance.id", config->instance },
		{ "enable.auto.commit", "false" },
		{ "enable.auto.offset.store", "false" },
		{ "enable.partition.eof", "true" },
		{ "statistics.interval.ms", "500" },
		{ "max.in.flight", "100" },
	};
	struct held_value held[HELD_COUNT] = { 0 };
	size_t before = mistakes->count;
	rd_kafka_conf_t *conf = build(config, mistakes, held);
	char why[256];

	if (conf == NULL)
		return NULL;
	if (strcasecmp(held[HELD_PROTOCOL].text, "consumer") == 0)
		set_consumer(conf, mistakes, held, times);
	else
		set_classic(conf, mistakes, held, times);
	for (size_t i = 0; i < ARRAY_LENGTH(fixed); i++)
		if (rd_kafka_conf_set(conf, fixed[i][0], fixed[i][1], why, sizeof(why)) !=
		    RD_KAFKA_CONF_OK)
			mistakes_add(mistakes, config_origin(&config->at, "kafka.group"),
			    "kafka: %s: %s", fixed[i][0], why);
	if (mistakes->count == before)
		return conf;
	rd_kafka_conf_destroy(conf);
	return NULL;
}

/* --- producers and consumers ------------------------------------------------------------- */

rd_kafka_t *
kafka_client_new(rd_kafka_type_t type, rd_kafka_conf_t *conf, const struct config *config,
    struct mistakes *mistakes)
{
	char why[512];
	rd_kafka_t *rk = rd_kafka_new(type, conf, why, sizeof(why));

	if (rk != NULL)
		return rk;
	mistakes_add(mistakes, config_origin(&config->at, "kafka"), "kafka: %s%s",
	    strstr(why, "sasl.kerberos") != NULL
		? "set sasl.mechanism (without it Kerberos is meant); librdkafka: "
		: "",
	    why);
	rd_kafka_conf_destroy(conf);
	return NULL;
}

void
kafka_on_log(const rd_kafka_t *rk, int level, const char *facility, const char *text)
{
	(void)rk;
	/* errors come by the error callback, once; the rest is for those who debug */
	if (level <= 3)
		log_debug("kafka: %s: %s", facility, text);
}
