/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * Which of Kafka's properties webmond does not take: each promise with what would break it, the
 * names that mean the same, and what people set ordinarily, which must pass.
 */
#include "publisher/properties.h"

#include <check.h>
#include <librdkafka/rdkafka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "property_file.h"
#include "suite.h"

/* "name=value": why it is refused, or NULL. */
static const char *
judge_by(const char *(*why_refused)(const char *name, const char *value), const char *property)
{
	const char *equals = strchr(property, '=');
	char name[128];

	ck_assert_ptr_nonnull(equals);
	snprintf(name, sizeof(name), "%.*s", (int)(equals - property), property);
	return why_refused(name, equals + 1);
}

static const char *
judge(const char *property)
{
	return judge_by(property_why_refused, property);
}

START_TEST(what_breaks_a_promise_is_refused_with_the_reason)
{
	static const char *const refused[][2] = {
		{ "acks=1", "records are lost" },
		{ "request.required.acks=0", "records are lost" },
		{ "topic.acks=1", "records are lost" },
		{ "topic.request.required.acks=1", "records are lost" },
		{ "message.timeout.ms=1000", "the spool decides" },
		{ "topic.message.timeout.ms=1000", "the spool decides" },
		{ "delivery.timeout.ms=1000", "the spool decides" },
		{ "topic.delivery.timeout.ms=1000", "the spool decides" },
		{ "delivery.report.only.error=true", "when it is reported" },
		{ "message.max.bytes=1000", "at least 5632" },
		{ "message.max.bytes=5631", "at least 5632" },
		{ "message.max.bytes=0x3e8", "at least 5632" },
		{ "queue.buffering.max.kbytes=5", "at least 6" },
		{ "topic.blacklist=results", "hidden" },
		{ "test.mock.num.brokers=1", "would confirm" },
		{ "test.mock.broker.rtt=1", "would confirm" },
		{ "enable.idempotence=false", "records repeat" },
		{ "transactional.id=x", "without transactions" },
		{ "retries=0", "in order" },
		{ "retries=5", "in order" },
		{ "message.send.max.retries=0", "in order" },
		{ "max.in.flight=6", "their order" },
		{ "max.in.flight.requests.per.connection=1000000", "their order" },
		{ "queuing.strategy=lifo", "in order" },
		{ "topic.queuing.strategy=LIFO", "in order" },
		{ "partitioner=random", "in one partition" },
		{ "partitioner=consistent", "Java's clients" },
		{ "partitioner=consistent_random", "Java's clients" },
		{ "partitioner=fnv1a", "Java's clients" },
		{ "partitioner=fnv1a_random", "Java's clients" },
		{ "partitioner=", "Java's clients" },
		{ "topic.partitioner=random", "in one partition" },
		{ "plugin.library.paths=x.so", "no code" },
		{ "interceptors=x", "no code" },
		{ "ssl.engine.location=x.so", "no code" },
		{ "ssl.engine.id=x", "no code" },
		{ "ssl.providers=default,/tmp/x", "no code" },
		{ "sasl.kerberos.kinit.cmd=true", "no command" },
		{ "sasl.kerberos.keytab=a\";reboot;\"", "shell" },
		{ "sasl.kerberos.principal=$(reboot)", "shell" },
		{ "sasl.kerberos.service.name=a b", "shell" },
		{ "enable.ssl.certificate.verification=false", "could be anybody" },
		{ "enable.ssl.certificate.verification=F", "could be anybody" },
		{ "enable.ssl.certificate.verification=0", "could be anybody" },
		{ "ssl.endpoint.identification.algorithm=none", "could pose" },
		{ "ssl.endpoint.identification.algorithm=", "could pose" },
		{ "ssl.cipher.suites=ALL:@seclevel=0", "level 0" },
		{ "debug=all", "secrets" },
		{ "debug=broker, ALL", "secrets" },
		{ "log.queue=false", "from one thread" },
		{ "internal.termination.signal=15", "signals" },
	};

	for (size_t i = 0; i < ARRAY_LENGTH(refused); i++) {
		const char *why = judge(refused[i][0]);

		ck_assert_msg(why != NULL, "%s is taken", refused[i][0]);
		ck_assert_msg(strstr(why, refused[i][1]) != NULL, "%s: %s", refused[i][0], why);
	}
}
END_TEST

/* What only a member of a group does not take. */
START_TEST(a_member_takes_less)
{
	static const char *const refused[][2] = {
		{ "acks=1", "records are lost" },
		{ "group.id=x", "set kafka.group" },
		{ "group.instance.id=x", "set instance" },
		{ "group.protocol.type=connect", "kafka.group" },
		{ "group.protocol=streams", "classic" },
		{ "partition.assignment.strategy=range,roundrobin", "one of" },
		{ "session.timeout.ms=5999", "6000 to 120000" },
		{ "session.timeout.ms=120001", "6000 to 120000" },
		{ "heartbeat.interval.ms=50", "a third" },
		{ "max.poll.interval.ms=300000", "session.timeout.ms" },
		{ "statistics.interval.ms=0", "how long" },
		{ "enable.auto.commit=true", "nothing is committed" },
		{ "topic.enable.auto.commit=true", "nothing is committed" },
		{ "auto.commit.enable=true", "nothing is committed" },
		{ "enable.auto.offset.store=true", "nothing is committed" },
		{ "offset.store.method=file", "nothing is committed" },
		{ "topic.offset.store.path=/tmp", "nothing is committed" },
		{ "auto.offset.reset=earliest", "begins" },
		{ "topic.auto.offset.reset=latest", "begins" },
		{ "isolation.level=read_committed", "without transactions" },
		{ "enable.partition.eof=false", "the end" },
		{ "queued.max.messages.kbytes=4096", "too slowly" },
		{ "fetch.wait.max.ms=5000", "too slowly" },
		{ "fetch.min.bytes=100000", "too slowly" },
	};
	static const char *const taken[] = { "session.timeout.ms=6000", "session.timeout.ms=120000",
		"heartbeat.interval.ms=1000", "partition.assignment.strategy=cooperative-sticky",
		"partition.assignment.strategy=range", "partition.assignment.strategy=roundrobin",
		"group.protocol=classic", "group.protocol=consumer", "client.rack=eu-1a",
		"topic.metadata.refresh.interval.ms=30000", "fetch.wait.max.ms=100",
		"queued.max.messages.kbytes=65536", "check.crcs=true", "linger.ms=50" };

	for (size_t i = 0; i < ARRAY_LENGTH(refused); i++) {
		const char *why = judge_by(property_why_refused_in_group, refused[i][0]);

		ck_assert_msg(why != NULL, "%s is taken", refused[i][0]);
		ck_assert_msg(strstr(why, refused[i][1]) != NULL, "%s: %s", refused[i][0], why);
		ck_assert_msg(i == 0 || judge(refused[i][0]) == NULL, "%s", refused[i][0]);
	}
	for (size_t i = 0; i < ARRAY_LENGTH(taken); i++)
		ck_assert_msg(judge_by(property_why_refused_in_group, taken[i]) == NULL, "%s: %s",
		    taken[i], judge_by(property_why_refused_in_group, taken[i]));
}
END_TEST

/* By us, and by librdkafka: a property that it has renamed would be no test. */
START_TEST(what_people_set_is_taken)
{
	static const char *const taken[] = { "client.id=x", "client.rack=eu-1a",
		"bootstrap.servers=a:1,b:2", "metadata.broker.list=a:1", "linger.ms=100",
		"queue.buffering.max.ms=900000", "batch.size=1", "batch.num.messages=1",
		"compression.codec=zstd", "compression.type=none", "topic.compression.codec=gzip",
		"compression.level=3", "message.max.bytes=5632", "message.max.bytes=10000000",
		"queue.buffering.max.kbytes=6", "queue.buffering.max.messages=1", "max.in.flight=1",
		"max.in.flight.requests.per.connection=5", "retries=2147483647",
		"retry.backoff.ms=1000", "queuing.strategy=fifo", "partitioner=murmur2",
		"topic.partitioner=murmur2_random", "enable.gapless.guarantee=true",
		"request.timeout.ms=1", "socket.timeout.ms=10", "socket.keepalive.enable=false",
		"socket.nagle.disable=true", "socket.max.fails=0",
		"socket.connection.setup.timeout.ms=1000", "reconnect.backoff.ms=1000",
		"reconnect.backoff.max.ms=10000", "receive.message.max.bytes=1000000",
		"broker.address.family=v4", "broker.address.ttl=0", "metadata.max.age.ms=60000",
		"topic.metadata.refresh.interval.ms=60000",
		"topic.metadata.propagation.max.ms=60000", "topic.metadata.refresh.sparse=false",
		"api.version.request=true", "api.version.fallback.ms=0",
		"broker.version.fallback=0.10.0", "allow.auto.create.topics=true",
		"enable.random.seed=false", "log_level=7", "debug=broker,metadata",
		"log.connection.close=false", "log.queue=true", "statistics.interval.ms=1000",
		"security.protocol=sasl_ssl", "ssl.ca.location=probe", "ssl.ca.pem=x",
		"ssl.cipher.suites=DEFAULT@SECLEVEL=1", "ssl.curves.list=P-256",
		"ssl.sigalgs.list=x", "ssl.providers=default,legacy", "ssl.key.password=x",
		"ssl.keystore.location=x", "ssl.keystore.password=x", "ssl.crl.location=x",
		"enable.ssl.certificate.verification=true",
		"ssl.endpoint.identification.algorithm=https", "sasl.mechanism=PLAIN",
		"sasl.mechanisms=SCRAM-SHA-256", "sasl.username=me", "sasl.password=x",
		"sasl.kerberos.principal=webmond/host.example@EXAMPLE.ORG",
		"sasl.kerberos.keytab=/etc/webmond/webmond.keytab",
		"sasl.kerberos.service.name=kafka", "sasl.oauthbearer.config=x",
		"transaction.timeout.ms=60000", /* a consumer's, in a file that both use: */
		"group.id=look", "auto.offset.reset=earliest", "isolation.level=read_committed" };
	rd_kafka_conf_t *conf = rd_kafka_conf_new();
	char why[512];

	for (size_t i = 0; i < ARRAY_LENGTH(taken); i++) {
		const char *equals = strchr(taken[i], '=');
		char name[128];

		snprintf(name, sizeof(name), "%.*s", (int)(equals - taken[i]), taken[i]);
		ck_assert_msg(judge(taken[i]) == NULL, "%s: %s", taken[i], judge(taken[i]));
		ck_assert_msg(
		    rd_kafka_conf_set(conf, name, equals + 1, why, sizeof(why)) == RD_KAFKA_CONF_OK,
		    "%s: %s", taken[i], why);
	}
	rd_kafka_conf_destroy(conf);
}
END_TEST

/* What this librdkafka says of its properties: `look` gets each name, and the rest of its line. */
static void
each_property(void (*look)(const char *name, const char *text))
{
	char *all = NULL, *next, *line;
	size_t size, count = 0;
	FILE *out = open_memstream(&all, &size);

	ck_assert_ptr_nonnull(out);
	rd_kafka_conf_properties_show(out);
	ck_assert_int_eq(fclose(out), 0);
	next = all;
	while ((line = strsep(&next, "\n")) != NULL) {
		size_t n = strcspn(line, " |");

		if (n == 0 || strchr(line, '|') == NULL)
			continue;
		line[n] = '\0';
		look(line, line + n + 1);
		count++;
	}
	free(all);
	ck_assert_uint_gt(count, 100);
}

static void
look_at_alias(const char *name, const char *text)
{
	static const char *const values[] = { "", "0", "1", "6", "5000", "true", "false", "none",
		"random", "lifo", "all", "/x", "x" };
	const char *other = strstr(text, "Alias for `");
	char original[128];

	if (other == NULL)
		return;
	other += strlen("Alias for `");
	snprintf(original, sizeof(original), "%.*s", (int)strcspn(other, "`"), other);
	for (size_t i = 0; i < ARRAY_LENGTH(values); i++)
		ck_assert_msg(property_why_refused_in_group(name, values[i]) ==
				  property_why_refused_in_group(original, values[i]),
		    "%s=%s is judged otherwise than %s", name, values[i], original);
}

/* Of the librdkafka of today, so a new name for a refused thing is seen. */
START_TEST(another_name_for_it_gets_the_same_answer)
{
	each_property(look_at_alias);
}
END_TEST

static void
look_at_callback(const char *name, const char *text)
{
	rd_kafka_conf_t *conf;

	if (strstr(text, "see dedicated API") == NULL || property_why_refused(name, "x") != NULL)
		return;
	conf = rd_kafka_conf_new();
	ck_assert_msg(
	    rd_kafka_conf_set(conf, name, "x", NULL, 0) != RD_KAFKA_CONF_OK, "%s is taken", name);
	rd_kafka_conf_destroy(conf);
}

START_TEST(what_only_a_program_can_set_is_not_set)
{
	each_property(look_at_callback);
}
END_TEST

START_TEST(secrets_are_known)
{
	static const char *const secret[] = { "sasl.password", "ssl.key.password", "ssl.key.pem",
		"ssl.keystore.password", "sasl.oauthbearer.client.secret",
		"sasl.oauthbearer.assertion.private.key.passphrase",
		"sasl.oauthbearer.assertion.private.key.pem", "sasl.oauthbearer.config",
		"sasl.jaas.config", "ssl_key" };
	static const char *const open[] = { "sasl.username", "ssl.key.location", "ssl.ca.pem",
		"client.id", "sasl.oauthbearer.client.id" };

	for (size_t i = 0; i < ARRAY_LENGTH(secret); i++)
		ck_assert_msg(property_is_secret(secret[i]), "%s", secret[i]);
	for (size_t i = 0; i < ARRAY_LENGTH(open); i++)
		ck_assert_msg(!property_is_secret(open[i]), "%s", open[i]);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("properties");
	TCase *tcase = tcase_create("properties");

	tcase_add_test(tcase, what_breaks_a_promise_is_refused_with_the_reason);
	tcase_add_test(tcase, a_member_takes_less);
	tcase_add_test(tcase, what_people_set_is_taken);
	tcase_add_test(tcase, another_name_for_it_gets_the_same_answer);
	tcase_add_test(tcase, what_only_a_program_can_set_is_not_set);
	tcase_add_test(tcase, secrets_are_known);
	suite_add_tcase(suite, tcase);
	return run_suite(suite);
}
