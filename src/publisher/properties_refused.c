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
 *
 * A member of a group is a consumer too. The second table has what is refused there besides: what
 * would let two members check a site, leave one to nobody, or make a takeover slow.
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

#define OUR_MEMBER "webmond sets it: set kafka.group"
#define SLOW_TAKEOVER                                                                              \
	"a new owner would read the last records of a partition too slowly; leave it out"
#define NO_COMMIT "nothing is committed: the records themselves say where a member goes on"

static const struct rule group_rules[] = {
	/* one member of one group */
	{ "group.id", ANY, .why = OUR_MEMBER },
	{ "group.instance.id", ANY, .why = "webmond sets it: set instance" },
	{ "group.protocol.type", ANY, .why = OUR_MEMBER },
	{ "group.protocol", UNLESS, .words = { "classic", "consumer" },
	    .why = "there are \"classic\" and \"consumer\"" },
	{ "partition.assignment.strategy", UNLESS,
	    .words = { "cooperative-sticky", "range", "roundrobin" },
	    .why = "must be one of \"cooperative-sticky\", \"range\" and \"roundrobin\", the same "
		   "for all members" },
	/* when a member counts as dead */
	{ "session.timeout.ms", BELOW, .number = 6000,
	    .why = "a pause of this host must not look like its end; set 6000 to 120000" },
	{ "session.timeout.ms", ABOVE, .number = 120000,
	    .why = "so long nobody would check the sites of a member that has died; set 6000 to "
		   "120000" },
	{ "heartbeat.interval.ms", BELOW, .number = 100,
	    .why = "is too short; set 100 to a third of session.timeout.ms" },
	{ "max.poll.interval.ms", ANY, .why = "session.timeout.ms says when a member is dead" },
	{ "statistics.interval.ms", ANY, .why = "webmond learns from them how long it may check" },
	/* where it goes on */
	{ "enable.auto.commit", ANY, .why = NO_COMMIT },
	{ "auto.commit.enable", ANY, .why = NO_COMMIT },
	{ "enable.auto.offset.store", ANY, .why = NO_COMMIT },
	{ "offset.store.*", ANY, .why = NO_COMMIT },
	{ "auto.offset.reset", ANY, .why = "webmond begins where it wants to" },
	{ "isolation.level", ANY, .why = "webmond reads its own records, without transactions" },
	{ "enable.partition.eof", ANY, .why = "a member has to see the end of its partitions" },
	/* soon enough */
	{ "queued.max.messages.kbytes", BELOW, .number = 65536, .why = SLOW_TAKEOVER },
	{ "fetch.wait.max.ms", ABOVE, .number = 500, .why = SLOW_TAKEOVER },
	{ "fetch.min.bytes", ABOVE, .number = 1, .why = SLOW_TAKEOVER },
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

static const char *
find_reason(const struct rule *rule, size_t count, const char *name, const char *value)
{
	/* librdkafka takes what belongs to a topic with this in front, too */
	const char *bare = strncmp(name, "topic.", 6) == 0 ? name + 6 : name;

	for (; count > 0; count--, rule++)
		if ((is_named(rule, name) || is_named(rule, bare)) && is_refused(rule, value))
			return rule->why;
	return NULL;
}

const char *
property_why_refused(const char *name, const char *value)
{
	return find_reason(rules, ARRAY_LENGTH(rules), name, value);
}

const char *
property_why_refused_in_group(const char *name, const char *value)
{
	const char *why = find_reason(group_rules, ARRAY_LENGTH(group_rules), name, value);

	return why != NULL ? why : property_why_refused(name, value);
}
