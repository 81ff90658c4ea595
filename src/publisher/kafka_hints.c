/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * librdkafka's words, and what they mean to an administrator. Called by kafka.c and kafka_check.c;
 * nothing is fatal, and what is not known here is passed on as it is.
 */
#include <stdio.h>
#include <string.h>

#include "kafka_internal.h"

static const char closed[] = "the broker closed the connection";
static const char no_tls[] =
    "this port does not speak TLS, or something closed the connection: check port and "
    "security.protocol";

static void
describe_scram(char *out, size_t size)
{
	snprintf(out, size, "user or password is wrong%s",
	    rd_kafka_version() >= KAFKA_SCRAM_FIXED
		? ""
		: ", or librdkafka is older than 2.6.1, which cannot log in to Kafka 4 by SCRAM: use "
		  "PLAIN over sasl_ssl, or certificates");
}

/* The first that fits. */
static const struct {
	const char *words[3]; /* one of them */
	const char *also;     /* and this one */
	const char *hint;
	void (*describe)(char *out, size_t size); /* the hint, where it is no constant */
	const char *later; /* the hint, once these settings have worked: they are not to blame */
} hints[] = {
	{ { "certificate verify failed" }, .describe = kafka_tls_describe_broker },
	{ { "alert number 42", "alert certificate required", "alert number 116" },
	    .hint = "the broker wants a client certificate: set ssl.certificate.location and "
		    "ssl.key.location" },
	{ { "alert number 44", "alert number 45", "alert number 46" },
	    .describe = kafka_tls_describe_ours },
	{ { "Unsupported SASL mechanism" },
	    .hint = "the broker does not offer this sasl.mechanism: take one that it names" },
	{ { "not valid in current SASL state" },
	    .hint =
		"this listener has no SASL: use security.protocol=ssl with a client certificate" },
	{ { "Invalid username or password" }, .hint = "check sasl.username and sasl.password" },
	{ { "SCRAM" }, .describe = describe_scram },
	{ { "connecting to a SSL listener" },
	    .hint =
		"this port speaks TLS, or something closed the connection: set security.protocol "
		"to ssl or sasl_ssl, or check the port",
	    .later = closed },
	/* behind the handshake it is an end like any other */
	{ { "unexpected eof", "wrong version number" }, .also = "handshake failed", .hint = no_tls,
	    .later = closed },
	{ { "unexpected eof", "Disconnected", "Connection reset" },
	    .also = "in state SSL_HANDSHAKE", .hint = no_tls, .later = closed },
	/* the first four bytes of the answer, taken for its size */
	{ { "Invalid response size" },
	    .hint = "what answers at this port does not speak Kafka: check bootstrap.servers" },
	{ { "ApiVersionRequest failed: Local: Timed out" },
	    .hint = "what listens at this port does not answer: check port and security.protocol",
	    .later = "the broker does not answer" },
	{ { "might require SASL" },
	    .hint = "the broker wants user and password: set security.protocol to sasl_ssl",
	    .later = closed },
	{ { "Failed to resolve" }, .hint = "check bootstrap.servers and the resolver",
	    .later = "check the resolver" },
	{ { "Connection refused" }, .hint = "is the broker running, and the port right?",
	    .later = "is the broker running?" },
	{ { "unexpected eof", "Disconnected", "Connection reset" }, .hint = closed },
};

static bool
fits(size_t i, const char *text)
{
	for (int j = 0; j < 3 && hints[i].words[j] != NULL; j++)
		if (strstr(text, hints[i].words[j]) != NULL)
			return hints[i].also == NULL || strstr(text, hints[i].also) != NULL;
	return false;
}

void
kafka_find_hint(const char *text, bool worked, char *hint, size_t size)
{
	hint[0] = '\0';
	for (size_t i = 0; i < ARRAY_LENGTH(hints); i++) {
		if (!fits(i, text))
			continue;
		if (hints[i].describe != NULL)
			hints[i].describe(hint, size);
		else
			snprintf(hint, size, "%s",
			    worked && hints[i].later != NULL ? hints[i].later : hints[i].hint);
		return;
	}
}

void
kafka_describe_refusal(rd_kafka_resp_err_t error, const char *topic, char *out, size_t size)
{
	const char *text = rd_kafka_err2str(error);

	switch (error) {
	case RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART:
	case RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC:
	case RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION:
		snprintf(out, size,
		    "create the topic \"%s\" (at Aiven: avn service topic-create SERVICE %s "
		    "--partitions 3 --replication 3); librdkafka: %s",
		    topic, topic, text);
		return;
	case RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED:
		snprintf(out, size,
		    "give this user the right to write to \"%s\", or create the topic, if there is "
		    "none of that name (a service with a full disk also answers so); librdkafka: %s",
		    topic, text);
		return;
	case RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED:
		snprintf(out, size,
		    "give this user the right to write to \"%s\" (a service with a full disk also "
		    "answers so); librdkafka: %s",
		    topic, text);
		return;
	default:
		snprintf(out, size, "%s", text);
	}
}

void
kafka_describe_unreadable(const char *kind, const char *name, char *out, size_t size)
{
	snprintf(out, size,
	    "give this user the right to read the %s \"%s\" (at Aiven: avn service kafka-acl-add "
	    "SERVICE --principal User:NAME --operation Read --%s %s)",
	    kind, name, kind, name);
}
