/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * What the files of Kafka share, and the only place that includes librdkafka: kafka.c (the
 * producer), kafka_group.c (the consumer that is a member of a group), kafka_tail.c (the last
 * records of a shard), kafka_conf.c (from our settings to theirs), kafka_hints.c (its words, and
 * what they mean to an administrator), kafka_tls.c (certificates, as far as that takes OpenSSL),
 * kafka_check.c and kafka_group_check.c (for -t and -T).
 */
#ifndef WEBMOND_KAFKA_INTERNAL_H
#define WEBMOND_KAFKA_INTERNAL_H

#include <librdkafka/rdkafka.h>

#include "kafka.h"
#include "kafka_hints.h"
#include "publisher.h"

/* SCRAM of older versions sends its nonce twice, which Kafka 4 takes for a wrong password. */
#define KAFKA_SCRAM_FIXED 0x020601ff

/* --- kafka_conf.c ------------------------------------------------------------------------ */

/* Our defaults, then the file, then the section. Returns NULL when there was any mistake. */
rd_kafka_conf_t *kafka_conf_new(const struct config *config, struct mistakes *mistakes);

/* The same for a consumer that is no member of a group, and reads from where it is told. */
rd_kafka_conf_t *kafka_reader_conf_new(const struct config *config, struct mistakes *mistakes);

/* When Kafka takes a member of a group for dead. */
struct kafka_times {
	bool by_broker;     /* it says when, not we: group.protocol=consumer */
	int64_t session_us; /* without a heartbeat, by the broker's clock */
	int64_t heartbeat_us;
};

/* The same for the consumer that is a member of kafka.group, with `times` as they are in force. */
rd_kafka_conf_t *kafka_group_conf_new(
    const struct config *config, struct mistakes *mistakes, struct kafka_times *times);

/* Takes `conf`. Returns NULL with the reason in `mistakes`. */
rd_kafka_t *kafka_client_new(rd_kafka_type_t type, rd_kafka_conf_t *conf,
    const struct config *config, struct mistakes *mistakes);

/* A log callback: what librdkafka logs beside its errors goes to our log, for those who debug. */
void kafka_on_log(const rd_kafka_t *rk, int level, const char *facility, const char *text);

/* --- kafka_hints.c: and kafka_hints.h ---------------------------------------------------- */

/*
 * What to do about a record or topic that is refused; advice first, so that what is cut of a line
 * is librdkafka's.
 */
void kafka_describe_refusal(rd_kafka_resp_err_t error, const char *topic, char *out, size_t size);

/* What to do about the right to read that a member of a group lacks: of a "topic" or a "group". */
void kafka_describe_unreadable(const char *kind, const char *name, char *out, size_t size);

/* --- kafka_group_check.c ----------------------------------------------------------------- */

/*
 * Whether this user may be a member of the group, and read the topic, which has so many `shards`.
 * Returns 0 with what was found behind what stands in `said`, or -1 with what to do about it. Takes
 * at most twice `timeout_ms`.
 */
int kafka_check_group(rd_kafka_t *rk, const struct config *config, int shards, int timeout_ms,
    char *said, size_t size);

/* --- kafka_tls.c ------------------------------------------------------------------------- */

/* Why the last certificate of a broker was refused, and what to do. Of any thread. */
void kafka_tls_describe_broker(char *out, size_t size);

/* Why a broker may refuse ours. */
void kafka_tls_describe_ours(char *out, size_t size);

#endif
