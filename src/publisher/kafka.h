/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * The Kafka producer: idempotent, at least once. librdkafka's threads do not survive a fork: only
 * the publisher and the validation child use it.
 */
#ifndef WEBMOND_KAFKA_H
#define WEBMOND_KAFKA_H

#include "output.h"

/*
 * open() reads the properties file and the files that it names. wait_for() is readable when serve()
 * has something to do; serve() empties it.
 */
extern const struct output output_kafka;

#endif
