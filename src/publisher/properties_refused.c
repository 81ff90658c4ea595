/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * Kafka's properties held against what webmond promises. Called by properties.c; nothing is fatal.
 *
 * The table below was made by going through all properties of librdkafka 2.0 to 2.14, those that it
 * does not document included, and asking of each value: does every record still arrive, with what
 * belongs to it, in order, from a process that runs nobody else's code, at a broker that is the
 * right one? What only delays records, costs more, or concerns consumers, is left to the user; what
 * only a program can set (callbacks), librdkafka refuses itself.
 */
#include "properties.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "wire.h"

#define RECORD_MAX    PROPERTIES_RECORD_MAX
#define RECORD_MAX_KB 6

_Static_assert(RECORD_MAX == WIRE_RECORD_MAX + 512, "a record is a frame and its envelope");
_Static_assert(RECORD_MAX <= RECORD_MAX_KB * 1024, "a record fits into the queue");

enum test {
	ANY,      /* whatever the value is */
	UNLESS,   /* it is one of these words */
	CONTAINS, /* one of these words */
	BELOW,    /* the number */
	ABOVE,
	BEYOND, /* has other characters than these */
};

#define NEVER_LESS  "webmond needs all: with less, records are lost"
#define SPOOL_KEEPS "the spool decides how long a record is kept"
#define NO_CODE     "webmond loads no code into the process with the keys"
#define SAME_PLACE  "the records of a site must be in one partition, where Java's clients put them"
#define IN_ORDER                                                                                   \
	"the records of a site must stay in order, and one that is given up is overtaken; leave "  \
	"it out"
#define ONE_AT_MOST "with more than 5 requests at a time records lose their order"
#define NO_SHELL                                                                                   \
	"it becomes a part of a command for the shell: only letters, digits and ._/@:+- are taken"

static const struct rule {
	const char *name; /* a "*" at its end: all that begin so */
	enum test test;
	const char *words[4];
	long number;
	const char *why;
} rules[] = {
	/* every record arrives */
	{ "acks", ANY, .why = NEVER_LESS },
	{ "request.required.acks", ANY, .why = NEVER_LESS },
	{ "message.timeout.ms", ANY, .why = SPOOL_KEEPS },
	{ "delivery.timeout.ms", ANY, .why = SPOOL_KEEPS },
	{ "delivery.report.only.error", ANY,
	    .why = "a record leaves the spool when it is reported" },
	{ "message.max.bytes", BELOW, .number = RECORD_MAX,
	    .why = "a record may be so large that this does not hold it; set at least 5632" },
	{ "queue.buffering.max.kbytes", BELOW, .number = RECORD_MAX_KB,
	    .why = "a record may be so large that this does not hold it; set at least 6" },
	{ "topic.blacklist", ANY, .why = "records for a topic that is hidden never leave" },
	{ "test.*", ANY, .why = "a broker that is none would confirm records" },
	/* … once, in order, where it belongs */
	{ "enable.idempotence", ANY,
	    .why = "webmond needs it as it is: without it records repeat" },
	{ "transactional.id", ANY, .why = "webmond sends without transactions" },
	{ "retries", BELOW, .number = 2147483647, .why = IN_ORDER },
	{ "message.send.max.retries", BELOW, .number = 2147483647, .why = IN_ORDER },
	{ "max.in.flight", ABOVE, .number = 5, .why = ONE_AT_MOST },
	{ "max.in.flight.requests.per.connection", ABOVE, .number = 5, .why = ONE_AT_MOST },
	{ "queuing.strategy", UNLESS, .words = { "fifo" },
	    .why = "the records of a site must stay in order" },
	{ "partitioner", UNLESS, .words = { "murmur2_random", "murmur2" }, .why = SAME_PLACE },
	/* no foreign code beside the keys, no broker but the right one, no secret in the log */
	{ "plugin.library.paths", ANY, .why = NO_CODE },
	{ "interceptors", ANY, .why = NO_CODE },
	{ "ssl.engine.*", ANY, .why = NO_CODE },
	{ "ssl.providers", CONTAINS, .words = { "/" },
	    .why = NO_CODE "; name OpenSSL's own, without a path" },
	{ "sasl.kerberos.kinit.cmd", ANY,
	    .why = "webmond runs no command of yours; set sasl.kerberos.keytab and "
		   "sasl.kerberos.principal" },
	{ "sasl.kerberos.keytab", BEYOND, .why = NO_SHELL },
	{ "sasl.kerberos.principal", BEYOND, .why = NO_SHELL },
	{ "sasl.kerberos.service.name", BEYOND, .why = NO_SHELL },
	{ "enable.ssl.certificate.verification", UNLESS, .words = { "true", "t", "1" },
	    .why = "an unchecked broker could be anybody; set ssl.ca.location" },
	{ "ssl.endpoint.identification.algorithm", UNLESS, .words = { "https" },
	    .why =
		"whoever has a certificate of that CA could pose as the broker; its certificate must "
		"name the host in bootstrap.servers" },
	{ "ssl.cipher.suites", CONTAINS, .words = { "SECLEVEL=0" },
	    .why =
		"level 0 also takes brokers without a certificate, and no encryption; use 1 or more" },
	{ "debug", CONTAINS, .words = { "all" },
	    .why = "\"all\" writes secrets to the log; name single contexts" },
	/* the process stays the master of its log and its signals */
	{ "log.queue", UNLESS, .words = { "true", "t", "1" },
	    .why = "webmond writes its log from one thread; leave it out" },
	{ "internal.termination.signal", ABOVE, .why = "webmond needs its signals for itself" },
};

static bool
is_named(const struct rule *rule, const char *name)
{
	size_t n = strlen(rule->name);

	return rule->name[n - 1] == '*' ? strncmp(name, rule->name, n - 1) == 0
					: strcmp(name, rule->name) == 0;
}

/* Whether it is a number, as librdkafka reads it: what is none it refuses itself. */
static bool
read_number(const char *value, long long *number)
{
	char *end;

	*number = strtoll(value, &end, 0);
	return end != value && *end == '\0';
}

static bool
is_refused(const struct rule *rule, const char *value)
{
	long long number;

	switch (rule->test) {
	case ANY:
		return true;
	case UNLESS:
		for (size_t i = 0; rule->words[i] != NULL; i++)
			if (strcasecmp(value, rule->words[i]) == 0)
				return false;
		return true;
	case CONTAINS:
		for (size_t i = 0; rule->words[i] != NULL; i++)
			if (strcasestr(value, rule->words[i]) != NULL)
				return true;
		return false;
	case BELOW:
		return read_number(value, &number) && number < rule->number;
	case ABOVE:
		return read_number(value, &number) && number > rule->number;
	case BEYOND:
		return value[strspn(value, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
					   "0123456789._/@:+-")] != '\0';
	}
	return false;
}

const char *
property_why_refused(const char *name, const char *value)
{
	/* librdkafka takes what belongs to a topic with this in front, too */
	const char *bare = strncmp(name, "topic.", 6) == 0 ? name + 6 : name;

	for (size_t i = 0; i < ARRAY_LENGTH(rules); i++)
		if ((is_named(&rules[i], name) || is_named(&rules[i], bare)) &&
		    is_refused(&rules[i], value))
			return rules[i].why;
	return NULL;
}
