/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * What an error of librdkafka means to an administrator, for all who connect to Kafka.
 */
#ifndef WEBMOND_KAFKA_HINTS_H
#define WEBMOND_KAFKA_HINTS_H

#include <stdbool.h>
#include <stddef.h>

struct rd_kafka_conf_s; /* rd_kafka_conf_t */

/* Have broker's certificates noted when they are refused, and look at ours. */
void kafka_tls_watch(struct rd_kafka_conf_s *conf);

/*
 * What to do about an error that librdkafka describes by `text`, or "". `worked`: there was a
 * connection with these settings, so they are not to blame for one that ends.
 */
void kafka_find_hint(const char *text, bool worked, char *hint, size_t size);

#endif
