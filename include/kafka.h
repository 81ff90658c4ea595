/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * The Kafka producer: idempotent, at least once, with the trouble sorted into few classes.
 * The only file that knows librdkafka.
 *
 * librdkafka's threads do not survive a fork: only the publisher and the validation child use it.
 */
#ifndef WEBMOND_KAFKA_H
#define WEBMOND_KAFKA_H

#include "config.h"

/*
 * For validation: read the properties file, hold every property against librdkafka and against what
 * webmond refuses, look at the files it names and at their modes. Adds to `mistakes`.
 */
void kafka_check(const struct config *config, struct mistakes *mistakes);

/*
 * For -T: connect and find the topic, within `timeout_ms`. Returns 0, or -1 with what to do about
 * it in `reason`.
 */
int kafka_find_topic(const struct config *config, int timeout_ms, char *reason, size_t size);

/* "2.0.2", for --version. */
const char *kafka_library_version(void);

#endif
