/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * The producer against librdkafka's mock cluster, in this process: what arrives, what becomes of
 * each kind of trouble, what is said about it; and the properties, from where they are written to
 * the mistakes in them.
 */
#include <check.h>
#include <dlfcn.h>
#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <threads.h>

#include "capture.h"
#include "publisher/kafka_internal.h"
#include "log.h"
#include "scratch.h"
#include "payload.h"
#include "suite.h"

#define TOPIC        "results"
#define PRODUCE      0 /* keys of Kafka's protocol */
#define INIT_ID      22
#define OFFSET_FETCH 9

/* Nobody listens there: a refused connection. */
#define NOBODY "bootstrap.servers=127.0.0.1:1"

static rd_kafka_t *mock;
static rd_kafka_mock_cluster_t *cluster;

/* What became of the rows. */
static struct {
	int count;
	int times[100];
	enum answer last[100];
	char why[512];
} answers;

static void
setup(void)
{
	rd_kafka_conf_t *conf = rd_kafka_conf_new();

	capture_start();
	make_dir();
	rd_kafka_conf_set(conf, "log_level", "0", NULL, 0);
	mock = rd_kafka_new(RD_KAFKA_PRODUCER, conf, NULL, 0);
	ck_assert_ptr_nonnull(mock);
	cluster = rd_kafka_mock_cluster_new(mock, 1);
	ck_assert_ptr_nonnull(cluster);
	rd_kafka_mock_topic_create(cluster, TOPIC, 3, 1);
	memset(&answers, 0, sizeof(answers));
}

static void
teardown(void)
{
	rd_kafka_mock_cluster_destroy(cluster);
	rd_kafka_destroy(mock);
	remove_dir();
}

static const char *
servers(void)
{
	static char text[256];

	snprintf(
	    text, sizeof(text), "bootstrap.servers=%s", rd_kafka_mock_cluster_bootstraps(cluster));
	return text;
}

/* --- properties -------------------------------------------------------------------------- */

/* A kafka section with these "name=value"; the file is NULL or in `dir`. At w.conf:10, 11, … */
static struct config *
make_config(const char *file, const char *const *properties)
{
	static struct config_string list[16];
	static struct config config;
	static const struct key_line lines[] = { { "kafka", 4 }, { "kafka.properties_file", 6 },
		{ NULL, 0 } };
	static char path[128], main_file[128];
	size_t n = 0;

	snprintf(main_file, sizeof(main_file), "%s/w.conf", dir);
	snprintf(path, sizeof(path), "%s/%s", dir, file != NULL ? file : "");
	for (; properties != NULL && properties[n] != NULL; n++)
		list[n] = (struct config_string){ properties[n], { "w.conf", 10 + (int)n } };
	config = (struct config){ .file = main_file,
		.instance = "probe-1",
		.has_kafka = true,
		.kafka_topic = TOPIC,
		.kafka_properties_file = file != NULL ? path : NULL,
		.at = { main_file, 1, lines },
		.kafka_properties = list,
		.kafka_property_count = n };
	return &config;
}

/* What publisher_check_config() finds, a line each, without the names of our directory. */
static const char *
mistakes_in(const struct config *config)
{
	static char all[4096];
	struct mistakes m = { 0 };
	size_t n = 0;

	all[0] = '\0';
	publisher_check_config(config, &m);
	for (size_t i = 0; i < m.count; i++) {
		const char *line = m.line[i];

		while (*line != '\0' && n < sizeof(all) - 2) {
			if (strncmp(line, dir, strlen(dir)) == 0)
				line += strlen(dir) + 1;
			all[n++] = *line++;
		}
		all[n++] = '\n';
		all[n] = '\0';
	}
	mistakes_release(&m);
	return all;
}

START_TEST(good_properties_have_no_mistakes)
{
	static const char *const properties[] = { "linger.ms=5", "compression.codec=gzip", NULL };

	write_file("p", "# where\n\n  bootstrap.servers = 127.0.0.1:1 \r\nlinger.ms=1\n", 0644);
	ck_assert_str_eq(mistakes_in(make_config("p", properties)), "");
}
END_TEST

START_TEST(every_mistake_has_its_place)
{
	static const char *const properties[] = { "socket.timeout.ms=often", "no.such.property=1",
		"acks=1", NULL };

	write_file("p", "bootstrap.servers=127.0.0.1:1\nnonsense\n\nmetadata.max.age.ms=x\n", 0600);
	ck_assert_str_eq(mistakes_in(make_config("p", properties)),
	    "p:2: a property must look like name=value\n"
	    "p:4: metadata.max.age.ms: Invalid value for configuration property \"metadata.max.age.ms\"\n"
	    "w.conf:10: socket.timeout.ms: Invalid value for configuration property \"socket.timeout.ms\"\n"
	    "w.conf:11: no.such.property: No such configuration property: \"no.such.property\"\n"
	    "w.conf:12: acks: webmond needs all: with less, records are lost\n");
}
END_TEST

START_TEST(what_breaks_a_promise_is_refused)
{
	static const char *const refused[] = { "enable.idempotence=true", "acks=all",
		"request.required.acks=-1", "message.timeout.ms=1000", "delivery.timeout.ms=1000",
		"plugin.library.paths=x.so", "interceptors=x", "ssl.engine.location=x.so",
		"transactional.id=x", "delivery.report.only.error=true", "debug=all",
		"debug=broker, all", "enable.ssl.certificate.verification=false",
		"enable.ssl.certificate.verification=F", "enable.ssl.certificate.verification=0" };

	for (size_t i = 0; i < ARRAY_LENGTH(refused); i++) {
		const char *properties[] = { NOBODY, refused[i], NULL };
		char expected[128];

		snprintf(expected, sizeof(expected),
		    "w.conf:11: %.*s: ", (int)strcspn(refused[i], "="), refused[i]);
		ck_assert_msg(strncmp(mistakes_in(make_config(NULL, properties)), expected,
				  strlen(expected)) == 0,
		    "%s gave %s", refused[i], mistakes_in(make_config(NULL, properties)));
	}
}
END_TEST

START_TEST(a_broker_must_be_named)
{
	ck_assert_str_eq(mistakes_in(make_config(NULL, NULL)),
	    "w.conf:5: kafka: no broker: set bootstrap.servers in properties_file or properties\n");
}
END_TEST

START_TEST(the_properties_file_must_be_one)
{
	char path[128];

	ck_assert_str_eq(mistakes_in(make_config("p", NULL)),
	    "w.conf:7: properties_file: cannot read \"p\": No such file or directory\n");
	snprintf(path, sizeof(path), "%s/p", dir);
	ck_assert_int_eq(mkdir(path, 0700), 0);
	ck_assert_str_eq(mistakes_in(make_config("p", NULL)),
	    "w.conf:7: properties_file: cannot read \"p\": it is not a file\n");
	ck_assert_int_eq(rmdir(path), 0);
	ck_assert_int_eq(mkfifo(path, 0600), 0); /* nobody waits for a writer */
	ck_assert_ptr_nonnull(strstr(mistakes_in(make_config("p", NULL)), "cannot read \"p\""));
}
END_TEST

START_TEST(secrets_are_for_few_and_never_shown)
{
	static const char text[] = "bootstrap.servers=127.0.0.1:1\n"
				   "security.protocol=sasl_ssl\nsasl.mechanism=PLAIN\n"
				   "sasl.username=me\nsasl.password=hunter2\n"
				   "ssl.key.password=hunter3\n";

	write_file("p", text, 0640);
	ck_assert_str_eq(mistakes_in(make_config("p", NULL)), "");
	write_file("p", text, 0644);
	/* once is enough */
	ck_assert_str_eq(mistakes_in(make_config("p", NULL)),
	    "p:3: sasl.mechanism: everybody can read this file; do: chmod o-rwx p\n");
	/* what librdkafka refuses it would also repeat */
	write_file("p",
	    "bootstrap.servers=127.0.0.1:1\nsecurity.protocol=ssl\nssl.key.pem=hunter2\n", 0600);
	ck_assert_ptr_null(strstr(mistakes_in(make_config("p", NULL)), "hunter2"));
	ck_assert_str_ne(mistakes_in(make_config("p", NULL)), "");
	ck_assert_ptr_null(strstr(captured(), "hunter"));
}
END_TEST

/* Relative names belong to the file that names them. */
START_TEST(files_are_found_beside_the_file_that_names_them)
{
	static const char *const inlined[] = { NOBODY, "ssl.key.location=key.pem", NULL };

	write_file("p", "bootstrap.servers=127.0.0.1:1\nssl.ca.location=ca.pem\n", 0644);
	ck_assert_str_eq(mistakes_in(make_config("p", NULL)),
	    "p:2: ssl.ca.location: cannot read \"ca.pem\": No such file or directory\n");
	write_file("key.pem", "key", 0644);
	ck_assert_str_eq(mistakes_in(make_config(NULL, inlined)),
	    "w.conf:11: ssl.key.location: everybody can read \"key.pem\"; do: chmod o-rwx "
	    "key.pem\n");
}
END_TEST

/* Only librdkafka can tell that a file is no certificate. */
START_TEST(what_librdkafka_refuses_is_a_mistake)
{
	static const char *const properties[] = { NOBODY, "security.protocol=ssl",
		"ssl.ca.location=ca.pem", NULL };

	write_file("ca.pem", "this is no certificate\n", 0644);
	ck_assert_int_eq(
	    strncmp(mistakes_in(make_config(NULL, properties)), "w.conf:5: kafka: ", 17), 0);
}
END_TEST

/* --- records ----------------------------------------------------------------------------- */

static void
on_answer(void *arg, uint64_t row, enum answer answer, const char *why)
{
	ck_assert_ptr_eq(arg, &answers);
	ck_assert_uint_lt(row, ARRAY_LENGTH(answers.last));
	answers.count++;
	answers.times[row]++;
	answers.last[row] = answer;
	snprintf(answers.why, sizeof(answers.why), "%s", why);
}

static uint64_t
count_waiting(void *arg)
{
	ck_assert_ptr_eq(arg, &answers);
	return 1234;
}

static void *
open_kafka(const struct config *config)
{
	struct output_handler handler = { on_answer, count_waiting, &answers };
	struct mistakes m = { 0 };
	void *k = output_kafka.open(config, &handler, &m);

	ck_assert_msg(k != NULL, "%s", m.count > 0 ? m.line[0] : "no reason");
	return k;
}

static void *
open_mock(void)
{
	const char *properties[] = { servers(), "linger.ms=1", NULL };

	return open_kafka(make_config(NULL, properties));
}

static int64_t slot_us = 1795428902123456;

static bool
send_record(void *k, uint64_t row, const char *site, size_t payload_size)
{
	static char payload[2 * WIRE_RECORD_JSON_MAX];
	struct frame frame = { .type = WIRE_CLOSE,
		.epoch = "20261123T101502Z-9f3c52d07a61be48",
		.seq = row,
		.slot_us = slot_us,
		.site = site,
		.site_size = strlen(site),
		.instance = "probe-1 and more",
		.instance_size = 7,
		.payload = payload,
		.payload_size = payload_size };

	memset(payload, 'p', sizeof(payload));
	return output_kafka.send(k, row, &frame);
}

/* Serve until there are `count` answers; wait_for() must say when there is something to do. */
static void
await(void *k, int count)
{
	struct pollfd p = output_kafka.wait_for(k);

	output_kafka.serve(k, 0);
	while (answers.count < count) {
		ck_assert_int_eq(poll(&p, 1, 30000), 1);
		output_kafka.serve(k, 0);
	}
	ck_assert_int_eq(answers.count, count);
}

static void
await_words(void *k, const char *words)
{
	struct pollfd p = output_kafka.wait_for(k);

	output_kafka.serve(k, 0);
	while (strstr(captured(), words) == NULL) {
		ck_assert_int_eq(poll(&p, 1, 30000), 1);
		output_kafka.serve(k, 0);
	}
}

/* The next `count` messages of the topic. */
static void
consume(int count, void (*look)(const rd_kafka_message_t *message))
{
	rd_kafka_conf_t *conf = rd_kafka_conf_new();
	rd_kafka_topic_partition_list_t *all = rd_kafka_topic_partition_list_new(3);
	rd_kafka_t *consumer;

	rd_kafka_conf_set(
	    conf, "bootstrap.servers", rd_kafka_mock_cluster_bootstraps(cluster), NULL, 0);
	rd_kafka_conf_set(conf, "group.id", "test", NULL, 0);
	rd_kafka_conf_set(conf, "fetch.wait.max.ms", "10", NULL, 0);
	rd_kafka_conf_set(conf, "log_level", "0", NULL, 0);
	consumer = rd_kafka_new(RD_KAFKA_CONSUMER, conf, NULL, 0);
	ck_assert_ptr_nonnull(consumer);
	for (int i = 0; i < 3; i++)
		rd_kafka_topic_partition_list_add(all, TOPIC, i)
		    ->offset = RD_KAFKA_OFFSET_BEGINNING;
	rd_kafka_assign(consumer, all);
	while (count > 0) {
		rd_kafka_message_t *message = rd_kafka_consumer_poll(consumer, 1000);

		if (message != NULL && message->err == RD_KAFKA_RESP_ERR_NO_ERROR) {
			look(message);
			count--;
		}
		if (message != NULL)
			rd_kafka_message_destroy(message);
	}
	rd_kafka_topic_partition_list_destroy(all);
	rd_kafka_consumer_close(consumer);
	rd_kafka_destroy(consumer);
}

static void
look_at_record(const rd_kafka_message_t *message)
{
	static const struct {
		const char *site;
		int partition; /* where Java's producer puts it */
	} partitions[] = { { "kafka", 1 }, { "1234", 0 }, { "234", 2 }, { "34", 0 }, { "4", 1 } };
	static const struct {
		const char *name, *value;
	} expected[] = { { "content-type", "application/json" }, { "ce_specversion", "1.0" },
		{ "ce_id", NULL }, { "ce_source", "probe-1" }, { "ce_type", "webmond.check.v1" },
		{ "ce_time", "2026-11-23T10:15:02.123Z" } };
	rd_kafka_timestamp_type_t type;
	rd_kafka_headers_t *headers;
	size_t row = message->len - 100;

	ck_assert_uint_lt(row, ARRAY_LENGTH(partitions));
	ck_assert_uint_eq(message->key_len, strlen(partitions[row].site));
	ck_assert_mem_eq(message->key, partitions[row].site, message->key_len);
	ck_assert_int_eq(message->partition, partitions[row].partition);
	ck_assert_int_eq(rd_kafka_message_timestamp(message, &type), 1795428902123);
	ck_assert_int_eq(type, RD_KAFKA_TIMESTAMP_CREATE_TIME);
	for (size_t i = 0; i < message->len; i++)
		ck_assert_int_eq(((const char *)message->payload)[i], 'p');
	ck_assert_int_eq(rd_kafka_message_headers(message, &headers), RD_KAFKA_RESP_ERR_NO_ERROR);
	ck_assert_uint_eq(rd_kafka_header_cnt(headers), ARRAY_LENGTH(expected));
	for (size_t i = 0; i < ARRAY_LENGTH(expected); i++) {
		const char *name;
		const void *value;
		char id[64];
		size_t size;

		snprintf(id, sizeof(id), "20261123T101502Z-9f3c52d07a61be48-%zu", row);
		ck_assert_int_eq(rd_kafka_header_get_all(headers, i, &name, &value, &size),
		    RD_KAFKA_RESP_ERR_NO_ERROR);
		ck_assert_str_eq(name, expected[i].name);
		ck_assert_uint_eq(size, strlen(expected[i].value != NULL ? expected[i].value : id));
		ck_assert_mem_eq(value, expected[i].value != NULL ? expected[i].value : id, size);
	}
}

START_TEST(a_record_arrives_with_all_that_belongs_to_it)
{
	static const char *const sites[] = { "kafka", "1234", "234", "34", "4" };
	void *k = open_mock();

	ck_assert(output_kafka.state(k) != OUTPUT_DELIVERING);
	for (size_t i = 0; i < ARRAY_LENGTH(sites); i++)
		ck_assert(send_record(k, i, sites[i], 100 + i));
	await(k, ARRAY_LENGTH(sites));
	for (size_t i = 0; i < ARRAY_LENGTH(sites); i++) {
		ck_assert_int_eq(answers.times[i], 1);
		ck_assert_int_eq(answers.last[i], ANSWER_DELIVERED);
	}
	ck_assert(output_kafka.state(k) == OUTPUT_DELIVERING);
	ck_assert(output_kafka.state(k) != OUTPUT_BROKEN);
	ck_assert_int_eq(count_of(captured(), "kafka: delivering to topic \"results\"\n"), 1);
	output_kafka.close(k);
	ck_assert_int_eq(answers.count, ARRAY_LENGTH(sites));
	consume(ARRAY_LENGTH(sites), look_at_record);
}
END_TEST

/* The section wins over the file. */
START_TEST(later_properties_win)
{
	const char *properties[] = { servers(), NULL };
	void *k;

	write_file("p", NOBODY "\nlinger.ms=1\n", 0644);
	k = open_kafka(make_config("p", properties));
	ck_assert(send_record(k, 0, "shop", 100));
	await(k, 1);
	ck_assert_int_eq(answers.last[0], ANSWER_DELIVERED);
	output_kafka.close(k);
}
END_TEST

START_TEST(what_passes_is_not_our_business)
{
	static const rd_kafka_resp_err_t passing[] = { RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS,
		RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS_AFTER_APPEND,
		RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART, RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE,
		RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION, RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT,
		RD_KAFKA_RESP_ERR__TRANSPORT };
	void *k = open_mock();

	for (size_t i = 0; i < ARRAY_LENGTH(passing); i++) {
		rd_kafka_mock_push_request_errors(cluster, PRODUCE, 1, passing[i]);
		ck_assert(send_record(k, i, "shop", 100));
		await(k, (int)i + 1);
		ck_assert_msg(
		    answers.last[i] == ANSWER_DELIVERED, "%s", rd_kafka_err2name(passing[i]));
	}
	output_kafka.close(k);
}
END_TEST

static bool arrived[2];

static void
note_arrival(const rd_kafka_message_t *message)
{
	arrived[message->len - 100] = true;
}

/*
 * Of two requests in flight the first is refused. librdkafka concludes from the success of the
 * second that the first was stored; a broker that does not know the producer yet takes the second
 * all the same, so a guess is no confirmation.
 */
START_TEST(a_guess_of_librdkafka_is_no_confirmation)
{
	const char *properties[] = { servers(), "max.in.flight=5", "batch.num.messages=1",
		"linger.ms=0", NULL };
	void *k = open_kafka(make_config(NULL, properties));

	rd_kafka_mock_broker_set_rtt(cluster, 1, 300); /* both are on their way */
	rd_kafka_mock_push_request_errors(
	    cluster, PRODUCE, 1, RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION);
	ck_assert(send_record(k, 0, "shop", 100));
	ck_assert(send_record(k, 1, "shop", 101));
	await(k, 2);
	ck_assert_int_eq(answers.last[0], ANSWER_REFUSED);
	ck_assert_int_eq(answers.last[1], ANSWER_DELIVERED);
	ck_assert(output_kafka.state(k) == OUTPUT_DELIVERING);
	ck_assert(send_record(k, 0, "shop", 100));
	await(k, 3);
	ck_assert_int_eq(answers.last[0], ANSWER_DELIVERED);
	consume(2, note_arrival);
	ck_assert(arrived[0] && arrived[1]);
	output_kafka.close(k);
}
END_TEST

START_TEST(what_is_refused_may_come_again)
{
	static const struct {
		rd_kafka_resp_err_t error;
		enum answer answer;
		const char *hint;
	} cases[] = {
		{ RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED, ANSWER_REFUSED,
		    "give this user the right to write to \"results\"" },
		{ RD_KAFKA_RESP_ERR_POLICY_VIOLATION, ANSWER_REFUSED, "Broker: Policy violation" },
		{ RD_KAFKA_RESP_ERR_INVALID_TIMESTAMP, ANSWER_UNTIMELY,
		    "Broker: Invalid timestamp" },
	};
	void *k = open_mock();

	for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
		struct pollfd p = output_kafka.wait_for(k);
		int refused = 0;

		capture_forget();
		rd_kafka_mock_push_request_errors(
		    cluster, PRODUCE, 2, cases[i].error, cases[i].error);
		/* as the publisher does: again until it is through */
		do {
			int before = answers.count;

			ck_assert(send_record(k, i, "shop", 100));
			await(k, before + 1);
			if (answers.last[i] == ANSWER_DELIVERED)
				break;
			ck_assert_int_eq(answers.last[i], cases[i].answer);
			ck_assert_ptr_nonnull(strstr(answers.why, cases[i].hint));
			ck_assert(output_kafka.state(k) != OUTPUT_DELIVERING);
			poll(&p, 1, 20); /* librdkafka may want to look at the topic first */
		} while (++refused < 1000);
		ck_assert_int_ge(refused, 2);
		ck_assert_int_eq(answers.last[i], ANSWER_DELIVERED);
		ck_assert(output_kafka.state(k) == OUTPUT_DELIVERING);
		/* the cause is said once, however often it hits, and so is its end */
		ck_assert_int_eq(count_of(captured(), cases[i].hint), 1);
		ck_assert_int_eq(count_of(captured(), " warning: "), 1);
		ck_assert_int_eq(
		    count_of(captured(), " notice: kafka: delivering again after "), 1);
	}
	ck_assert(output_kafka.state(k) != OUTPUT_BROKEN);
	output_kafka.close(k);
}
END_TEST

static int64_t arrived_ms[2];
static size_t arrived_count;

static void
note_timestamp(const rd_kafka_message_t *message)
{
	arrived_ms[arrived_count++] = rd_kafka_message_timestamp(message, NULL);
}

/* Of a clock that was days ahead: Kafka may refuse such a timestamp, until that time has come. */
START_TEST(no_timestamp_is_of_the_future)
{
	int64_t before_ms = util_utc_us() / US_PER_MS;
	void *k = open_mock();

	slot_us = util_utc_us() + 48 * 3600 * US_PER_S;
	ck_assert(send_record(k, 0, "shop", 100));
	slot_us = util_utc_us() - 48 * 3600 * US_PER_S;
	ck_assert(send_record(k, 1, "shop", 100));
	await(k, 2);
	output_kafka.close(k);
	consume(2, note_timestamp);
	ck_assert_int_ge(arrived_ms[0], before_ms);
	ck_assert_int_le(arrived_ms[0], util_utc_us() / US_PER_MS);
	ck_assert_int_eq(arrived_ms[1], slot_us / US_PER_MS);
}
END_TEST

START_TEST(what_is_unfit_is_known_by_its_error)
{
	static const rd_kafka_resp_err_t unfit[] = { RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE,
		RD_KAFKA_RESP_ERR_INVALID_MSG_SIZE, RD_KAFKA_RESP_ERR_INVALID_RECORD };
	void *k = open_mock();

	for (size_t i = 0; i < ARRAY_LENGTH(unfit); i++) {
		rd_kafka_mock_push_request_errors(cluster, PRODUCE, 1, unfit[i]);
		ck_assert(send_record(k, i, "shop", 100));
		await(k, (int)i + 1);
		ck_assert_msg(answers.last[i] == ANSWER_UNFIT, "%s", rd_kafka_err2name(unfit[i]));
		ck_assert_str_eq(answers.why, rd_kafka_err2str(unfit[i]));
	}
	output_kafka.close(k);
}
END_TEST

START_TEST(what_is_too_large_for_librdkafka_is_unfit_at_once)
{
	const char *properties[] = { servers(), "message.max.bytes=5632", NULL };
	void *k = open_kafka(make_config(NULL, properties));

	ck_assert(send_record(k, 7, "shop", 2 * WIRE_RECORD_JSON_MAX)); /* answered at once */
	ck_assert_int_eq(answers.count, 1);
	ck_assert_int_eq(answers.last[7], ANSWER_UNFIT);
	output_kafka.close(k);
	ck_assert_int_eq(answers.count, 1);
}
END_TEST

/* With the least that is taken of both limits. */
START_TEST(the_largest_record_passes)
{
	const char *properties[] = { servers(), "message.max.bytes=5632",
		"queue.buffering.max.kbytes=6", "linger.ms=1", NULL };
	void *k = open_kafka(make_config(NULL, properties));
	char site[CONFIG_NAME_MAX + 1];

	memset(site, 's', sizeof(site) - 1);
	site[sizeof(site) - 1] = '\0';
	for (uint64_t i = 0; i < 3; i++) {
		ck_assert(send_record(k, i, site, WIRE_RECORD_JSON_MAX));
		await(k, (int)i + 1);
		ck_assert_int_eq(answers.last[i], ANSWER_DELIVERED);
	}
	output_kafka.close(k);
}
END_TEST

static void
look_at_envelope(const rd_kafka_message_t *message)
{
	const char *value = message->payload;

	ck_assert_uint_gt(message->len, WIRE_RECORD_JSON_MAX + 1);
	ck_assert_uint_le(message->len, WIRE_RECORD_JSON_MAX + PAYLOAD_ENVELOPE_MAX);
	ck_assert_mem_eq(value, "{\"schema\":{", 11);
	ck_assert_int_eq(value[message->len - 2], 'p');
	ck_assert_int_eq(value[message->len - 1], '}');
}

/* The largest one, too, with the least that is taken of both limits. */
START_TEST(with_json_connect_a_record_has_its_schema)
{
	const char *properties[] = { servers(), "message.max.bytes=8704",
		"queue.buffering.max.kbytes=9", "linger.ms=1", NULL };
	struct config *config = make_config(NULL, properties);
	char site[CONFIG_NAME_MAX + 1];
	void *k;

	config->kafka_format = KAFKA_FORMAT_JSON_CONNECT;
	k = open_kafka(config);
	memset(site, 's', sizeof(site) - 1);
	site[sizeof(site) - 1] = '\0';
	for (uint64_t i = 0; i < 3; i++) {
		ck_assert(send_record(k, i, site, WIRE_RECORD_JSON_MAX));
		await(k, (int)i + 1);
		ck_assert_int_eq(answers.last[i], ANSWER_DELIVERED);
	}
	consume(3, look_at_envelope);
	ck_assert(send_record(k, 7, "shop", 2 * WIRE_RECORD_JSON_MAX)); /* not taken, and freed */
	ck_assert_int_eq(answers.last[7], ANSWER_UNFIT);
	output_kafka.close(k);
}
END_TEST

START_TEST(a_fatal_error_ends_the_producer)
{
	void *k = open_mock();

	ck_assert(send_record(k, 0, "shop", 100));
	await(k, 1);
	rd_kafka_mock_push_request_errors(
	    cluster, PRODUCE, 1, RD_KAFKA_RESP_ERR_OUT_OF_ORDER_SEQUENCE_NUMBER);
	ck_assert(send_record(k, 1, "shop", 100));
	await_words(k, "a new producer is made");
	ck_assert(output_kafka.state(k) == OUTPUT_BROKEN);
	/* whatever has no answer by now gets it at the end, and each just one */
	ck_assert(send_record(k, 2, "shop", 100)); /* answered at once */
	output_kafka.close(k);
	ck_assert_int_eq(answers.count, 3);
	ck_assert_int_eq(answers.last[1], ANSWER_REFUSED);
	ck_assert_int_eq(answers.last[2], ANSWER_REFUSED);

	k = open_mock();
	ck_assert(output_kafka.state(k) != OUTPUT_BROKEN);
	ck_assert(send_record(k, 1, "shop", 100));
	await(k, 4);
	ck_assert_int_eq(answers.last[1], ANSWER_DELIVERED);
	output_kafka.close(k);
}
END_TEST

START_TEST(a_user_without_rights_in_the_cluster)
{
	void *k;

	rd_kafka_mock_push_request_errors(
	    cluster, INIT_ID, 1, RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED);
	k = open_mock();
	send_record(k, 0, "shop", 100); /* refused now or later: the answer may be here already */
	await_words(k, "give this user the right");
	ck_assert(output_kafka.state(k) == OUTPUT_BROKEN);
	output_kafka.close(k);
	ck_assert_int_eq(answers.times[0], 1);
	ck_assert_int_eq(answers.last[0], ANSWER_REFUSED);
}
END_TEST

START_TEST(a_full_queue_takes_no_more)
{
	static const char *const properties[] = { NOBODY, "queue.buffering.max.messages=2", NULL };
	void *k = open_kafka(make_config(NULL, properties));

	ck_assert(send_record(k, 0, "shop", 100));
	ck_assert(send_record(k, 1, "shop", 100));
	ck_assert(!send_record(k, 2, "shop", 100));
	ck_assert_int_eq(answers.count, 0);
	/* the end: all come back, and that is no trouble */
	capture_forget();
	output_kafka.close(k);
	ck_assert_int_eq(answers.count, 2);
	ck_assert_int_eq(answers.last[0], ANSWER_REFUSED);
	ck_assert_int_eq(answers.last[1], ANSWER_REFUSED);
	ck_assert_int_eq(count_of(captured(), "Purged"), 0);
}
END_TEST

/* Attempt after attempt fails, with other ports in the words; it is one cause. */
START_TEST(an_absent_broker_is_said_once)
{
	static const char *const properties[] = { NOBODY, "reconnect.backoff.ms=10",
		"reconnect.backoff.max.ms=10", NULL };
	void *k;

	log_open(LOG_TO_STDERR, LOG_LEVEL_DEBUG);
	k = open_kafka(make_config(NULL, properties));
	ck_assert(send_record(k, 0, "shop", 100));
	await_words(k, "is the broker running, and the port right?");
	for (int i = 0; i < 20; i++) {
		struct pollfd p = output_kafka.wait_for(k);

		poll(&p, 1, 50);
		output_kafka.serve(k, 0);
	}
	ck_assert_int_eq(count_of(captured(), " warning: "), 1);
	ck_assert(output_kafka.state(k) != OUTPUT_DELIVERING);
	ck_assert_int_eq(answers.count, 0); /* it waits as long as it takes */
	output_kafka.close(k);
}
END_TEST

START_TEST(a_broker_that_comes_back_gets_the_rest)
{
	void *k = open_mock();

	ck_assert(send_record(k, 0, "shop", 100));
	await(k, 1);
	rd_kafka_mock_broker_set_down(cluster, 1);
	ck_assert(send_record(k, 1, "shop", 100));
	await_words(k, " warning: kafka: ");
	ck_assert(output_kafka.state(k) != OUTPUT_DELIVERING);
	rd_kafka_mock_broker_set_up(cluster, 1);
	await(k, 2);
	ck_assert_int_eq(answers.last[1], ANSWER_DELIVERED);
	await_words(k, " s: 1234 records waited\n");
	ck_assert_ptr_nonnull(strstr(captured(), "kafka: delivering again after "));
	output_kafka.close(k);
}
END_TEST

/* A password on its way to a broker that does not want one. */
START_TEST(secrets_never_get_into_the_log)
{
	const char *properties[] = { servers(), "debug=security,broker,conf",
		"security.protocol=sasl_plaintext", "sasl.mechanism=PLAIN", "sasl.username=me",
		NULL };
	void *k;

	log_open(LOG_TO_STDERR, LOG_LEVEL_DEBUG);
	write_file("p", "sasl.password=hunter2\n", 0600);
	k = open_kafka(make_config("p", properties));
	ck_assert(send_record(k, 0, "shop", 100));
	await_words(k, " warning: kafka: ");
	output_kafka.close(k);
	ck_assert_ptr_null(strstr(captured(), "hunter2"));
}
END_TEST

/* --- a member of a group ----------------------------------------------------------------- */

static struct config *
make_member(const char *const *properties)
{
	struct config *config = make_config(NULL, properties);

	config->kafka_group = "eu";
	return config;
}

/* The consumer's settings, and how long it lives without heartbeats. */
START_TEST(a_member_has_its_defaults_and_what_the_user_sets)
{
	static const struct {
		const char *properties[3];
		int session_ms, heartbeat_ms;
		const char *strategy;
	} cases[] = {
		{ { NOBODY }, 10000, 2000, "cooperative-sticky" },
		{ { NOBODY, "session.timeout.ms=6000" }, 6000, 2000, "cooperative-sticky" },
		{ { NOBODY, "heartbeat.interval.ms=500" }, 10000, 500, "cooperative-sticky" },
		{ { NOBODY, "partition.assignment.strategy=range" }, 10000, 2000, "range" },
	};

	for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
		char session[16];
		const char *const wanted[][2] = { { "group.id", "eu" },
			{ "group.instance.id", "probe-1" }, { "client.id", "webmond/probe-1" },
			{ "enable.auto.commit", "false" }, { "enable.partition.eof", "true" },
			{ "session.timeout.ms", session },
			{ "partition.assignment.strategy", cases[i].strategy } };
		struct mistakes mistakes = { 0 };
		struct kafka_times times;
		rd_kafka_conf_t *conf = kafka_group_conf_new(
		    make_member(cases[i].properties), &mistakes, &times);

		ck_assert_ptr_nonnull(conf);
		snprintf(session, sizeof(session), "%d", cases[i].session_ms);
		for (size_t j = 0; j < ARRAY_LENGTH(wanted); j++) {
			char value[64] = "";
			size_t size = sizeof(value);

			rd_kafka_conf_get(conf, wanted[j][0], value, &size);
			ck_assert_str_eq(value, wanted[j][1]);
		}
		ck_assert_int_eq(times.session_us, cases[i].session_ms * US_PER_MS);
		ck_assert_int_eq(times.heartbeat_us, cases[i].heartbeat_ms * US_PER_MS);
		rd_kafka_conf_destroy(conf);
	}
}
END_TEST

/* Whoever reads a tail has the member's settings, and is none. */
START_TEST(a_reader_opens_with_what_a_member_may_set)
{
	static const char *const cases[][4] = {
		{ NOBODY, "session.timeout.ms=6000", "heartbeat.interval.ms=500" },
		{ NOBODY, "partition.assignment.strategy=range" },
		{ NOBODY, "group.protocol=consumer", "session.timeout.ms=45000" },
	};
	size_t count = ARRAY_LENGTH(cases) - (rd_kafka_version() < 0x02040000);

	for (size_t i = 0; i < count; i++) {
		struct config *config = make_member(cases[i]);
		struct mistakes mistakes = { 0 };
		rd_kafka_conf_t *conf = kafka_reader_conf_new(config, &mistakes);
		rd_kafka_t *rk;

		ck_assert_ptr_nonnull(conf);
		rk = kafka_client_new(RD_KAFKA_CONSUMER, conf, config, &mistakes);
		ck_assert_msg(rk != NULL, "%s", mistakes.count > 0 ? mistakes.line[0] : "");
		rd_kafka_destroy(rk);
	}
}
END_TEST

START_TEST(what_does_not_go_together_in_a_group_is_told_once)
{
	static const char *const late[] = { NOBODY, "heartbeat.interval.ms=2001",
		"session.timeout.ms=6000", NULL };
	static const char *const newer[] = { NOBODY, "group.protocol=consumer",
		"session.timeout.ms=10000", "heartbeat.interval.ms=1000", NULL };
	const char *said = mistakes_in(make_member(late));

	ck_assert_str_eq(said,
	    "w.conf:11: heartbeat.interval.ms (2001): must be at most a third of "
	    "session.timeout.ms (6000), so that one heartbeat that is lost is not the end of the "
	    "member\n");
	ck_assert_ptr_nonnull(strstr(mistakes_in(make_member(newer)),
	    rd_kafka_version() < 0x02040000 ? "w.conf:11: group.protocol: No such"
					    : "w.conf:13: heartbeat.interval.ms: with "
					      "group.protocol=consumer the broker decides"));
	/* without a group all of that does nothing */
	ck_assert_str_eq(mistakes_in(make_config(NULL, late)), "");
}
END_TEST

/* --- looking for the topic --------------------------------------------------------------- */

/*
 * librdkafka 2.8 and 2.9, as a client, when the metadata of a topic bear an error and partitions.
 * The mock cluster answers so; brokers send no partitions to who may not see the topic.
 */
static bool
crashes_on_refused_topics(void)
{
	return rd_kafka_version() >= 0x02080000 && rd_kafka_version() < 0x020a0000;
}

static int
look(const char *const *properties, char said[512])
{
	return publisher_find_topic(make_config(NULL, properties), 30000, said, 512);
}

static void
assert_begins(const char *text, const char *begin)
{
	ck_assert_msg(strncmp(text, begin, strlen(begin)) == 0, "%s", text);
}

START_TEST(the_topic_is_found_or_why_not)
{
	const char *properties[] = { servers(), NULL };
	char said[512] = "";

	ck_assert_int_eq(look(properties, said), 0);
	/* the mock cluster knows no rights; that is not kept silent */
	assert_begins(said, "Kafka and the topic are there");
	ck_assert_ptr_nonnull(strstr(said, "the right to write to this topic was not tested: "));
	rd_kafka_mock_topic_set_error(cluster, TOPIC, RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART);
	ck_assert_int_eq(look(properties, said), -1);
	assert_begins(said, "create the topic \"results\"");
	if (crashes_on_refused_topics())
		return;
	rd_kafka_mock_topic_set_error(cluster, TOPIC, RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED);
	ck_assert_int_eq(look(properties, said), -1);
	assert_begins(
	    said, "give this user the right to write to \"results\", or create the topic");
}
END_TEST

/* With the real rights of a broker: scenario test_rights_of_a_member. */
START_TEST(the_group_is_found_or_why_not)
{
	const char *properties[] = { servers(), NULL, NULL };
	char said[1024] = "";

	ck_assert_int_eq(publisher_find_topic(make_member(properties), 30000, said, 1024), 0);
	ck_assert_ptr_nonnull(strstr(said,
	    "; group eu, 3 shards (no more than 3 members can check; with 4 for each the sites are "
	    "shared evenly)"));
	ck_assert_ptr_null(strstr(said, "warning"));
	properties[1] = "partition.assignment.strategy=roundrobin";
	ck_assert_int_eq(publisher_find_topic(make_member(properties), 30000, said, 1024), 0);
	ck_assert_ptr_nonnull(
	    strstr(said, "; warning: with partition.assignment.strategy=roundrobin all members"));
	/* it passes, then the answer counts */
	rd_kafka_mock_push_request_errors(cluster, OFFSET_FETCH, 2,
	    RD_KAFKA_RESP_ERR_COORDINATOR_LOAD_IN_PROGRESS,
	    RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED);
	ck_assert_int_eq(publisher_find_topic(make_member(properties), 30000, said, 1024), -1);
	assert_begins(said, "give this user the right to read the group \"eu\" (at Aiven: avn ");
}
END_TEST

/* Such a user finds the topic, but would never get a producer id. */
START_TEST(who_may_write_nowhere_is_told)
{
	const char *properties[] = { servers(), NULL };
	char said[512] = "";

	rd_kafka_mock_push_request_errors(
	    cluster, INIT_ID, 1, RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED);
	ck_assert_int_eq(look(properties, said), -1);
	assert_begins(said, "give this user the right to write to \"results\"");
}
END_TEST

/* With an hour to wait, so that waiting would not pass. */
START_TEST(brokers_that_refuse_are_not_waited_for)
{
	static const char *const refused[] = { NOBODY ",127.0.0.1:2", NULL };
	char said[512] = "";

	ck_assert_int_eq(
	    publisher_find_topic(make_config(NULL, refused), 3600 * 1000, said, 512), -1);
	assert_begins(
	    said, "cannot reach Kafka: is the broker running, and the port right?; librdkafka: ");
	ck_assert_ptr_nonnull(strstr(said, "Connection refused"));
}
END_TEST

START_TEST(one_broker_that_answers_is_enough)
{
	char list[256];
	const char *properties[] = { list, NULL };
	char said[512] = "";

	snprintf(list, sizeof(list), NOBODY ",%s", rd_kafka_mock_cluster_bootstraps(cluster));
	ck_assert_int_eq(look(properties, said), 0);
}
END_TEST

/* --- threads ----------------------------------------------------------------------------- */

static int threads, threads_failed;
static bool out_of_threads;

/* librdkafka makes its threads by this one: of a new producer the first, then one a broker. */
int
thrd_create(thrd_t *thread, thrd_start_t run, void *arg)
{
	int (*real)(thrd_t *, thrd_start_t,
	    void *) = (int (*)(thrd_t *, thrd_start_t, void *))dlsym(RTLD_NEXT, "thrd_create");

	if (out_of_threads && ++threads > 1) {
		threads_failed++;
		return thrd_error;
	}
	return real(thread, run, arg);
}

/* It goes on without: nothing would ever be sent. */
START_TEST(a_producer_without_threads_is_broken)
{
	void *k;

	out_of_threads = true;
	k = open_mock();
	out_of_threads = false;
	if (threads_failed > 0) { /* else this librdkafka makes them in another way */
		await_words(k, "raise the limit of threads (TasksMax, ulimit -u)");
		ck_assert_int_eq(output_kafka.state(k), OUTPUT_BROKEN);
	}
	output_kafka.close(k);
}
END_TEST

/* --- hints ------------------------------------------------------------------------------- */

START_TEST(what_librdkafka_says_has_a_meaning)
{
	static const struct {
		const char *text, *hint, *later;
	} cases[] = {
		{ "ssl://h:1/bootstrap: SSL handshake failed: error:0A000126:SSL routines::unexpected "
		  "eof while reading (after 4ms in state SSL_HANDSHAKE)",
		    "this port does not speak TLS", "the broker closed the connection" },
		{ "ssl://h:1/1: Receive failed: error:0A000126:SSL routines::unexpected eof while "
		  "reading (after 921074ms in state UP)",
		    "the broker closed the connection", "the broker closed the connection" },
		{ "ssl://h:1/bootstrap: error:0A000126:SSL routines::unexpected eof while reading "
		  "(after 0ms in state SSL_HANDSHAKE)",
		    "this port does not speak TLS", "the broker closed the connection" },
		{ "h:1/bootstrap: Receive failed: Invalid response size 1213486160 (0..100000000): "
		  "increase receive.message.max.bytes (after 2ms in state APIVERSION_QUERY)",
		    "what answers at this port does not speak Kafka",
		    "what answers at this port does not speak Kafka" },
		{ "h:1/bootstrap: ApiVersionRequest failed: Local: Timed out: probably due to broker "
		  "version < 0.10 (after 10010ms in state APIVERSION_QUERY)",
		    "what listens at this port does not answer", "the broker does not answer" },
		{ "h:1/1: Disconnected (after 921074ms in state UP)",
		    "the broker closed the connection", "the broker closed the connection" },
		{ "h:1/bootstrap: Disconnected while requesting ApiVersion: might be caused by "
		  "incorrect security.protocol configuration (connecting to a SSL listener?)",
		    "this port speaks TLS, or", "the broker closed the connection" },
		{ "ssl://h:1/1: Disconnected: verify that security.protocol is correctly configured, "
		  "broker might require SASL authentication (after 301ms in state UP)",
		    "the broker wants user and password", "the broker closed the connection" },
		{ "h:1/1: Connect to ipv4#127.0.0.1:1 failed: Connection refused",
		    "is the broker running, and the port right?", "is the broker running?" },
		{ "h:1/1: Failed to resolve 'h:1': Name or service not known",
		    "check bootstrap.servers", "check the resolver" },
		{ "sasl_ssl://h:1/1: SASL SCRAM-SHA-512 mechanism handshake failed: Broker: "
		  "Unsupported SASL mechanism: broker's supported mechanisms: PLAIN",
		    "the broker does not offer", "the broker does not offer" },
		{ "sasl_ssl://h:1/1: SASL SCRAM-SHA-256 mechanism handshake failed: Broker: Request "
		  "not valid in current SASL state",
		    "this listener has no SASL", "this listener has no SASL" },
		{ "sasl_ssl://h:1/1: SASL authentication error: Authentication failed during "
		  "authentication due to invalid credentials with SASL mechanism SCRAM-SHA-256",
		    "user or password is wrong", "user or password is wrong" },
		{ "ssl://h:1/1: Receive failed: error:0A000416:SSL routines::sslv3 alert certificate "
		  "unknown: SSL alert number 46 (after 2ms in state APIVERSION_QUERY)",
		    "the broker rejects our client certificate",
		    "the broker rejects our client certificate" },
		{ "h:1/1: 3 request(s) timed out: disconnect (after 60001ms in state UP)", "", "" },
	};
	char hint[PUBLISHER_REASON_SIZE];

	for (size_t i = 0; i < ARRAY_LENGTH(cases); i++)
		for (int worked = 0; worked < 2; worked++) {
			const char *expected = worked ? cases[i].later : cases[i].hint;

			kafka_find_hint(cases[i].text, worked, hint, sizeof(hint));
			ck_assert_msg(strncmp(hint, expected, strlen(expected)) == 0 &&
					  (hint[0] == '\0') == (expected[0] == '\0'),
			    "%s gives %s", cases[i].text, hint);
		}
}
END_TEST

/* With names as long as Kafka takes them. */
START_TEST(advice_is_never_cut)
{
	static const rd_kafka_resp_err_t errors[] = { RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART,
		RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED,
		RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED };
	char topic[250], said[PUBLISHER_REASON_SIZE];

	memset(topic, 't', sizeof(topic) - 1);
	topic[sizeof(topic) - 1] = '\0';
	for (size_t i = 0; i < ARRAY_LENGTH(errors); i++) {
		kafka_describe_refusal(errors[i], topic, said, sizeof(said));
		ck_assert_ptr_nonnull(strstr(said, "; librdkafka: Broker: "));
	}
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("kafka");
	TCase *tcase = tcase_create("kafka");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_set_timeout(tcase, 120);
	tcase_add_test(tcase, good_properties_have_no_mistakes);
	tcase_add_test(tcase, every_mistake_has_its_place);
	tcase_add_test(tcase, what_breaks_a_promise_is_refused);
	tcase_add_test(tcase, a_broker_must_be_named);
	tcase_add_test(tcase, the_properties_file_must_be_one);
	tcase_add_test(tcase, secrets_are_for_few_and_never_shown);
	tcase_add_test(tcase, files_are_found_beside_the_file_that_names_them);
	tcase_add_test(tcase, what_librdkafka_refuses_is_a_mistake);
	tcase_add_test(tcase, a_record_arrives_with_all_that_belongs_to_it);
	tcase_add_test(tcase, later_properties_win);
	tcase_add_test(tcase, what_passes_is_not_our_business);
	tcase_add_test(tcase, a_guess_of_librdkafka_is_no_confirmation);
	tcase_add_test(tcase, what_is_refused_may_come_again);
	tcase_add_test(tcase, no_timestamp_is_of_the_future);
	tcase_add_test(tcase, what_is_unfit_is_known_by_its_error);
	tcase_add_test(tcase, what_is_too_large_for_librdkafka_is_unfit_at_once);
	tcase_add_test(tcase, the_largest_record_passes);
	tcase_add_test(tcase, with_json_connect_a_record_has_its_schema);
	tcase_add_test(tcase, a_fatal_error_ends_the_producer);
	tcase_add_test(tcase, a_user_without_rights_in_the_cluster);
	tcase_add_test(tcase, a_full_queue_takes_no_more);
	tcase_add_test(tcase, an_absent_broker_is_said_once);
	tcase_add_test(tcase, a_broker_that_comes_back_gets_the_rest);
	tcase_add_test(tcase, secrets_never_get_into_the_log);
	tcase_add_test(tcase, a_member_has_its_defaults_and_what_the_user_sets);
	tcase_add_test(tcase, a_reader_opens_with_what_a_member_may_set);
	tcase_add_test(tcase, what_does_not_go_together_in_a_group_is_told_once);
	tcase_add_test(tcase, the_topic_is_found_or_why_not);
	tcase_add_test(tcase, the_group_is_found_or_why_not);
	tcase_add_test(tcase, who_may_write_nowhere_is_told);
	tcase_add_test(tcase, brokers_that_refuse_are_not_waited_for);
	tcase_add_test(tcase, one_broker_that_answers_is_enough);
	tcase_add_test(tcase, a_producer_without_threads_is_broken);
	tcase_add_test(tcase, what_librdkafka_says_has_a_meaning);
	tcase_add_test(tcase, advice_is_never_cut);
	suite_add_tcase(suite, tcase);
	return run_suite(suite);
}
