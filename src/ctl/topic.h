/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * Reading a topic: all partitions, from the beginning or a time up to what is there now, as one
 * stream in which partitions that are ahead wait for the others. Takes no part in a group, and
 * leaves nothing behind in Kafka.
 */
#ifndef WEBMOND_TOPIC_H
#define WEBMOND_TOPIC_H

#include "judge.h"
#include "util.h"

#define TOPIC_REASON_SIZE 2048

struct topic;

/*
 * Connect by the properties of the file `properties`, and look where the topic begins and ends.
 * `since_ms`: leave out what is older, by the time that Kafka has for it; SCAN_NONE: nothing.
 * Returns EXIT_FINE and a topic to be closed, or another code of exit.h with the reason in `why`,
 * or several lines of `mistakes`: EXIT_CONFIG (the properties), EXIT_UNAVAILABLE, EXIT_NO_INPUT (no
 * such topic), EXIT_PERMISSION.
 */
int topic_open(struct topic **topic, const char *properties, const char *name, int64_t since_ms,
    struct mistakes *mistakes, char why[TOPIC_REASON_SIZE]);
void topic_close(struct topic *t);

size_t topic_partitions(const struct topic *t);

/* The offset of the first message that is read from this partition, if there is one. */
int64_t topic_begins_at(const struct topic *t, int partition);

/*
 * Whether records before the first one that is read from this partition may be missing; those that
 * `since_ms` leaves out are older than `*until_ms`, SCAN_NONE if others were removed.
 */
bool topic_begins_late(const struct topic *t, int partition, int64_t *until_ms);

/*
 * Read what was there at topic_open(); each message goes to `take`. The same again when called
 * again. Returns EXIT_FINE, or a code with the reason in `why`.
 */
int topic_read(struct topic *t, void (*take)(struct judge *j, const struct message *m),
    struct judge *j, char why[TOPIC_REASON_SIZE]);

/*
 * After topic_read(): what has come since, for about `timeout_ms`. Returns as that does; a broker
 * that is away is no failure, but a new reason in `why`.
 */
int topic_follow(struct topic *t, void (*take)(struct judge *j, const struct message *m),
    struct judge *j, int timeout_ms, char why[TOPIC_REASON_SIZE]);

#endif
