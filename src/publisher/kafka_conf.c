/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * From our settings to a producer of librdkafka. Called by kafka.c and kafka_check.c; nothing is
 * fatal, every mistake becomes a line.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kafka_internal.h"
#include "log.h"
#include "payload.h"
#include "properties.h"
#include "property_file.h"

struct building {
	rd_kafka_conf_t *conf;
	struct mistakes *mistakes;
	bool scram;
	bool wraps; /* kafka.format: records are larger */
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

static void
set_property(void *arg, struct origin at, const char *name, const char *value)
{
	struct building *b = arg;
	char why[512];

	if (rd_kafka_conf_set(b->conf, name, value, why, sizeof(why)) != RD_KAFKA_CONF_OK)
		mistakes_add(b->mistakes, at, "%s: %.*s", name, (int)strcspn(why, "\n"),
		    property_is_secret(name) ? "librdkafka does not take the value" : why);
	else if (b->wraps)
		check_room(b, at, name, value);
	if (strncmp(name, "sasl.mechanism", 14) == 0)
		b->scram = strncmp(value, "SCRAM", 5) == 0;
}

rd_kafka_conf_t *
kafka_conf_new(const struct config *config, struct mistakes *mistakes)
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
		.wraps = config->kafka_format == KAFKA_FORMAT_JSON_CONNECT };
	size_t before = mistakes->count;
	char *client_id = xasprintf("webmond/%s", config->instance), why[256];

	for (size_t i = 0; i < ARRAY_LENGTH(defaults); i++)
		rd_kafka_conf_set(b.conf, defaults[i][0], defaults[i][1], why, sizeof(why));
	rd_kafka_conf_set(b.conf, "client.id", client_id, why, sizeof(why));
	free(client_id);
	properties_read(config, mistakes, set_property, &b);
	kafka_tls_watch(b.conf);
	if (b.scram && rd_kafka_version() < KAFKA_SCRAM_FIXED)
		log_warning(
		    "kafka: librdkafka %s cannot log in by SCRAM to Kafka 4 or later (2.6.1 can): "
		    "use PLAIN over sasl_ssl, or a client certificate",
		    rd_kafka_version_str());
	if (mistakes->count == before)
		return b.conf;
	rd_kafka_conf_destroy(b.conf);
	return NULL;
}

rd_kafka_t *
kafka_producer_new(rd_kafka_conf_t *conf, const struct config *config, struct mistakes *mistakes)
{
	char why[512];
	rd_kafka_t *rk = rd_kafka_new(RD_KAFKA_PRODUCER, conf, why, sizeof(why));

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
