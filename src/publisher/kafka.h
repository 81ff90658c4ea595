/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * The Kafka producer: idempotent, at least once, with the trouble sorted into few classes.
 * The only interface to librdkafka.
 *
 * librdkafka's threads do not survive a fork: only the publisher and the validation child use it.
 */
#ifndef WEBMOND_KAFKA_H
#define WEBMOND_KAFKA_H

#include "config.h"
#include "publisher.h"
#include "wire.h"

/* What became of a record that was sent. */
enum kafka_verdict {
	KAFKA_DELIVERED, /* Kafka has confirmed it */
	KAFKA_REFUSED,   /* not for its own sake (rights, topic, shutdown): send it again later */
	KAFKA_UNFIT,     /* too large or invalid, it or its batch: send it alone */
	KAFKA_UNTIMELY,  /* so far from the broker's clock: too old, or the clocks differ */
};

struct kafka_handler {
	void (*verdict)(void *arg, uint64_t row, enum kafka_verdict verdict, const char *why);
	uint64_t (*waiting)(void *arg); /* how many records are not delivered yet */
	void *arg;
};

struct kafka;

/*
 * Make a producer; reads the properties file and the files that it names, with the rights of this
 * process. Returns NULL with each reason in `mistakes`.
 */
struct kafka *kafka_open(
    const struct config *config, const struct kafka_handler *handler, struct mistakes *mistakes);

/* Give up what is not confirmed (those get KAFKA_REFUSED) and end the producer. */
void kafka_close(struct kafka *kafka);

/*
 * Send a record; its verdict comes later by the handler, out of kafka_poll(). Returns 0; 1 when
 * librdkafka's queue is full; -1 when the verdict has been given at once.
 */
int kafka_send(struct kafka *kafka, uint64_t row, const struct frame *frame);

/* Serve verdicts, errors and logs; returns at once. */
void kafka_poll(struct kafka *kafka);

/* Push out what lingers and wait up to `timeout_ms` for verdicts. */
void kafka_flush(struct kafka *kafka, int timeout_ms);

/* Becomes readable when kafka_poll() has something to do; kafka_poll() empties it. */
int kafka_fd(const struct kafka *kafka);

/* The producer is dead and must be closed and made anew. */
bool kafka_is_fatal(const struct kafka *kafka);

/* Whether the last word from Kafka was a good one. */
bool kafka_is_delivering(const struct kafka *kafka);

#endif
