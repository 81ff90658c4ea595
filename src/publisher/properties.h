/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * Kafka's properties, out of kafka.properties and the section `kafka`: what webmond does not take,
 * and who else may read what is secret. Only the publisher and the validation child read them,
 * with their own rights.
 */
#ifndef WEBMOND_PROPERTIES_H
#define WEBMOND_PROPERTIES_H

#include "config.h"

/*
 * What librdkafka counts for a record: the frame holds payload, key and instance; headers
 * (make_headers() in kafka.c) and the overhead of Kafka's format take less than the rest.
 */
#define PROPERTIES_RECORD_MAX 5632

/*
 * Give each property to `set`, first those of the file, then those that win; names of files are
 * made relative to the directory of the file that names them. What is refused goes to `mistakes`
 * instead.
 */
void properties_read(const struct config *config, struct mistakes *mistakes,
    void (*set)(void *arg, struct origin at, const char *name, const char *value), void *arg);

/*
 * Why webmond does not take this property with this value: it would break a promise. NULL: it would
 * not.
 */
const char *property_why_refused(const char *name, const char *value);

/* The same for a member of a group (kafka.group), which is a consumer too. */
const char *property_why_refused_in_group(const char *name, const char *value);

#endif
