/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * For -t and -T: would a producer with this configuration work? Called by the validation child;
 * nothing is fatal.
 */
#include <netdb.h>
#include <stdio.h>
#include <string.h>

#include "kafka_internal.h"

/* --- -t ---------------------------------------------------------------------------------- */

static int
resolve_nothing(const char *node, const char *service, const struct addrinfo *wanted,
    struct addrinfo **result, void *opaque)
{
	(void)service, (void)wanted, (void)opaque;
	*result = NULL;
	return node != NULL ? EAI_FAIL : 0; /* no node: `*result` is to be freed */
}

/*
 * Only librdkafka itself can say whether keys, certificates and options go together; it must not
 * try to connect meanwhile.
 */
static bool
try_client(rd_kafka_type_t type, rd_kafka_conf_t *conf, const struct config *config,
    struct mistakes *mistakes)
{
	rd_kafka_t *rk;

	if (conf == NULL)
		return false;
	rd_kafka_conf_set_resolve_cb(conf, resolve_nothing);
	rd_kafka_conf_set_log_cb(conf, NULL);
	rk = kafka_client_new(type, conf, config, mistakes);
	if (rk != NULL)
		rd_kafka_destroy(rk);
	return rk != NULL;
}

void
publisher_check_config(const struct config *config, struct mistakes *mistakes)
{
	struct kafka_times times;

	if (try_client(RD_KAFKA_PRODUCER, kafka_conf_new(config, mistakes), config, mistakes) &&
	    config->kafka_group != NULL)
		try_client(RD_KAFKA_CONSUMER, kafka_group_conf_new(config, mistakes, &times),
		    config, mistakes);
}

/* --- -T ---------------------------------------------------------------------------------- */

/*
 * Within this time after the first error each address of each broker has been tried once. If no
 * connection is being made then, none will be.
 */
#define HOPELESS_US US_PER_S

/* What librdkafka says while we wait. */
struct search {
	rd_kafka_resp_err_t fatal;
	char last[512];       /* error */
	char unresolved[512]; /* names that do not resolve, in librdkafka's words */
	int64_t first_us;     /* when the first error came; 0: none */
	bool connecting;      /* a connection is being made, or there is one */
	bool has_producer_id;
};

static void
on_search_error(rd_kafka_t *rk, int error, const char *text, void *arg)
{
	struct search *s = arg;
	size_t n = strlen(s->unresolved);

	if (error == RD_KAFKA_RESP_ERR__FATAL)
		s->fatal = rd_kafka_fatal_error(rk, s->last, sizeof(s->last));
	else if (error != RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN)
		snprintf(s->last, sizeof(s->last), "%s", text);
	if (error == RD_KAFKA_RESP_ERR__RESOLVE)
		snprintf(s->unresolved + n, sizeof(s->unresolved) - n, " %.*s",
		    (int)strcspn(text, " "), text);
	if (s->first_us == 0)
		s->first_us = util_mono_us();
}

#define WORD_SIZE 256

/*
 * Read the string of this name, at `at` or behind it. Returns where it begins; NULL: there is none.
 */
static const char *
read_word(const char *at, const char *name, char out[WORD_SIZE])
{
	at = at != NULL ? strstr(at, name) : NULL;
	if (at == NULL)
		return NULL;
	at += strlen(name);
	at += strspn(at, ": \"");
	snprintf(out, WORD_SIZE, "%.*s", (int)strcspn(at, "\""), at);
	return at;
}

/* Whether there is a connection to a broker, or one is being made. */
static bool
is_active(const struct search *s, const char *node, const char *source, const char *state)
{
	bool rests = strcmp(state, "INIT") == 0 || strcmp(state, "DOWN") == 0 ||
		     strcmp(state, "TRY_CONNECT") == 0;

	/* newer versions stay in CONNECT when a name does not resolve */
	return !rests && strcmp(source, "internal") != 0 && strstr(s->unresolved, node) == NULL;
}

/*
 * Only the statistics show the states of librdkafka's brokers, and whether it has a producer id.
 * The members of a broker come in this order.
 */
static int
on_search_statistics(rd_kafka_t *rk, char *json, size_t size, void *arg)
{
	struct search *s = arg;
	char node[WORD_SIZE], source[WORD_SIZE], state[WORD_SIZE];
	const char *at = json;

	(void)rk, (void)size;
	s->has_producer_id = read_word(json, "\"idemp_state\"", state) != NULL &&
			     strcmp(state, "Assigned") == 0;
	s->connecting = false;
	for (;;) {
		at = read_word(at, "\"nodename\"", node);
		at = read_word(at, "\"source\"", source);
		at = read_word(at, "\"state\"", state);
		if (at == NULL)
			break;
		s->connecting |= is_active(s, node, source, state);
	}
	return 0; /* librdkafka frees it */
}

/* A producer that reports what it does. Returns NULL with the reason in `said`. */
static rd_kafka_t *
start_search(const struct config *config, struct search *s, char *said, size_t size)
{
	struct mistakes mistakes = { 0 };
	rd_kafka_conf_t *conf = kafka_conf_new(config, &mistakes);
	rd_kafka_t *rk = NULL;

	if (conf != NULL) {
		rd_kafka_conf_set(conf, "statistics.interval.ms", "100", NULL, 0);
		/* all brokers at once */
		rd_kafka_conf_set(conf, "enable.sparse.connections", "false", NULL, 0);
		/* each attempt is for one address of a name */
		rd_kafka_conf_set(conf, "reconnect.backoff.ms", "100", NULL, 0);
		rd_kafka_conf_set(conf, "reconnect.backoff.max.ms", "100", NULL, 0);
		rd_kafka_conf_set_opaque(conf, s);
		rd_kafka_conf_set_error_cb(conf, on_search_error);
		rd_kafka_conf_set_stats_cb(conf, on_search_statistics);
		rd_kafka_conf_set_log_cb(conf, kafka_on_log);
		rk = kafka_client_new(RD_KAFKA_PRODUCER, conf, config, &mistakes);
	}
	if (rk != NULL)
		rd_kafka_set_log_queue(rk, NULL);
	else
		snprintf(said, size, "%s", mistakes.line[0]);
	mistakes_release(&mistakes);
	return rk;
}

/* As the daemon does before it sends anything. Returns 0, or -1 with what to do. */
static int
get_producer_id(rd_kafka_t *rk, struct search *s, const char *topic, int64_t deadline_us,
    char *said, size_t size)
{
	char hint[PUBLISHER_REASON_SIZE];
	int64_t now;

	do {
		rd_kafka_poll(rk, 50);
		now = util_mono_us();
	} while (s->fatal == RD_KAFKA_RESP_ERR_NO_ERROR && !s->has_producer_id &&
		 now < deadline_us &&
		 (s->first_us == 0 || s->connecting || now < s->first_us + HOPELESS_US));
	if (s->has_producer_id)
		return 0;
	kafka_find_hint(s->last, false, hint, sizeof(hint));
	if (s->fatal != RD_KAFKA_RESP_ERR_NO_ERROR)
		kafka_describe_refusal(s->fatal, topic, said, size);
	else if (s->last[0] == '\0')
		snprintf(said, size, "cannot reach Kafka: it does not answer in time");
	else
		snprintf(said, size, "cannot reach Kafka: %s%s%s", hint,
		    hint[0] != '\0' ? "; librdkafka: " : "", s->last);
	return -1;
}

static rd_kafka_resp_err_t
find_topic(rd_kafka_t *rk, const char *name, int timeout_ms, int *partitions)
{
	rd_kafka_topic_t *topic = rd_kafka_topic_new(rk, name, NULL);
	const struct rd_kafka_metadata *metadata = NULL;
	rd_kafka_resp_err_t error = rd_kafka_metadata(rk, 0, topic, &metadata, timeout_ms);

	if (error == RD_KAFKA_RESP_ERR_NO_ERROR && metadata->topic_cnt == 1)
		error = metadata->topics[0].err;
	if (error == RD_KAFKA_RESP_ERR_NO_ERROR && metadata->topic_cnt == 1)
		*partitions = metadata->topics[0].partition_cnt;
	if (metadata != NULL)
		rd_kafka_metadata_destroy(metadata);
	rd_kafka_topic_destroy(topic);
	return error;
}

enum right {
	RIGHT_GIVEN,
	RIGHT_MISSING,
	RIGHT_UNKNOWN,
};

#if RD_KAFKA_VERSION >= 0x020300ff

static enum right
find_right(const rd_kafka_event_t *event)
{
	const rd_kafka_DescribeTopics_result_t *result = rd_kafka_event_DescribeTopics_result(
	    (rd_kafka_event_t *)event);
	const rd_kafka_TopicDescription_t **topics;
	const rd_kafka_AclOperation_t *operations = NULL;
	size_t count = 0;

	if (result == NULL)
		return RIGHT_UNKNOWN;
	topics = rd_kafka_DescribeTopics_result_topics(result, &count);
	if (count == 1)
		operations = rd_kafka_TopicDescription_authorized_operations(topics[0], &count);
	if (operations == NULL)
		return RIGHT_UNKNOWN; /* an old broker does not tell */
	for (size_t i = 0; i < count; i++)
		if (operations[i] == RD_KAFKA_ACL_OPERATION_WRITE)
			return RIGHT_GIVEN;
	return RIGHT_MISSING;
}

/* Whether we may write to this very topic. */
static enum right
ask_for_right(rd_kafka_t *rk, const char *topic, int timeout_ms)
{
	rd_kafka_queue_t *queue = rd_kafka_queue_new(rk);
	rd_kafka_AdminOptions_t *options = rd_kafka_AdminOptions_new(
	    rk, RD_KAFKA_ADMIN_OP_DESCRIBETOPICS);
	rd_kafka_TopicCollection_t *topics = rd_kafka_TopicCollection_of_topic_names(&topic, 1);
	enum right right = RIGHT_UNKNOWN;
	rd_kafka_event_t *event;

	rd_kafka_error_destroy(rd_kafka_AdminOptions_set_include_authorized_operations(options, 1));
	rd_kafka_AdminOptions_set_request_timeout(options, timeout_ms, NULL, 0);
	rd_kafka_DescribeTopics(rk, topics, options, queue);
	event = rd_kafka_queue_poll(queue, timeout_ms);
	if (event != NULL) {
		right = find_right(event);
		rd_kafka_event_destroy(event);
	}
	rd_kafka_TopicCollection_destroy(topics);
	rd_kafka_AdminOptions_destroy(options);
	rd_kafka_queue_destroy(queue);
	return right;
}

static const char cannot_ask[] = "Kafka did not tell";

#else

static enum right
ask_for_right(rd_kafka_t *rk, const char *topic, int timeout_ms)
{
	(void)rk, (void)topic, (void)timeout_ms;
	return RIGHT_UNKNOWN;
}

static const char cannot_ask[] = "librdkafka before 2.3 cannot ask";

#endif

/* With a connection and a producer id. */
static int
look_for_topic(
    rd_kafka_t *rk, const char *topic, int timeout_ms, int *partitions, char *said, size_t size)
{
	rd_kafka_resp_err_t error = find_topic(rk, topic, timeout_ms, partitions);
	enum right right = RIGHT_UNKNOWN;

	if (error == RD_KAFKA_RESP_ERR_NO_ERROR)
		right = ask_for_right(rk, topic, timeout_ms);
	if (right == RIGHT_MISSING)
		error = RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED;
	if (error != RD_KAFKA_RESP_ERR_NO_ERROR) {
		kafka_describe_refusal(error, topic, said, size);
		return -1;
	}
	if (right == RIGHT_GIVEN)
		snprintf(
		    said, size, "Kafka and the topic are there, and this user may write to it");
	else
		snprintf(said, size,
		    "Kafka and the topic are there, and a producer id was given; the right to write "
		    "to this topic was not tested: %s",
		    cannot_ask);
	return 0;
}

int
publisher_find_topic(const struct config *config, int timeout_ms, char *said, size_t size)
{
	int64_t deadline_us = util_mono_us() + timeout_ms * US_PER_MS;
	struct search search = { .fatal = RD_KAFKA_RESP_ERR_NO_ERROR };
	rd_kafka_t *rk = start_search(config, &search, said, size);
	int result, partitions = 0;

	if (rk == NULL)
		return -1;
	result = get_producer_id(rk, &search, config->kafka_topic, deadline_us, said, size);
	if (result == 0)
		result = look_for_topic(
		    rk, config->kafka_topic, timeout_ms, &partitions, said, size);
	if (result == 0 && config->kafka_group != NULL)
		result = kafka_check_group(rk, config, partitions, timeout_ms, said, size);
	rd_kafka_destroy(rk);
	return result;
}

const char *
publisher_library_version(void)
{
	return rd_kafka_version_str();
}
