/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * The producer. Called by the publisher and the validation child; nothing is fatal here. Trouble is
 * logged once per cause with what to do about it, and once when it is over.
 */
#include "kafka.h"

#include <errno.h>
#include <fcntl.h>
#include <librdkafka/rdkafka.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "properties.h"

/* SCRAM of older versions sends its nonce twice, which Kafka 4 takes for a wrong password. */
#define SCRAM_FIXED 0x020601ff

/* A record so far ahead of the time is of a clock that was wrong; Kafka's own limit is the same. */
#define AHEAD_US (3600 * US_PER_S)

struct kafka {
	rd_kafka_t *rk;
	rd_kafka_topic_t *topic;
	struct kafka_handler handler;
	char *topic_name;
	int event_fd[2];
	bool fatal;
	bool delivering;
	bool sent_ahead;    /* a record from the future */
	bool refuses_ahead; /* such records */
};

/* Causes of an outage that are remembered; what comes on top is not said. */
#define CAUSES_MAX 8

/* The outage; of the process, since it outlives producers. */
static struct {
	int64_t since_us; /* 0: none */
	char said[CAUSES_MAX][160];
	size_t count;
} trouble;

const char *
kafka_library_version(void)
{
	return rd_kafka_version_str();
}

/* --- hints ------------------------------------------------------------------------------- */

/* librdkafka's words and what they mean to an administrator; the first that fits. */
static const struct {
	const char *words[3];
	const char *hint;
} hints[] = {
	{ { "certificate verify failed" },
	    "the broker's certificate is not signed by the CA in ssl.ca.location, or is not valid for "
	    "the host name in bootstrap.servers; look with: openssl s_client -connect HOST:PORT "
	    "-verify_hostname HOST -CAfile CA" },
	{ { "alert number 42", "alert certificate required", "alert number 116" },
	    "the broker wants a client certificate: set ssl.certificate.location and ssl.key.location" },
	{ { "alert number 46" },
	    "the broker rejects our client certificate (expired, or issued by a CA it does not trust); "
	    "look with: openssl x509 -in FILE -noout -dates -issuer" },
	{ { "SCRAM" },
	    "user or password is wrong, or librdkafka is older than 2.6.1, which cannot log in "
	    "to Kafka 4 by SCRAM: use PLAIN over sasl_ssl, or certificates" },
	{ { "connecting to a SSL listener" },
	    "this port speaks TLS: set security.protocol to ssl or sasl_ssl" },
	{ { "unexpected eof", "wrong version number" },
	    "this port does not speak TLS, or something closed the connection: check port and "
	    "security.protocol" },
	{ { "broker might require SASL" },
	    "the broker wants user and password: set security.protocol to sasl_ssl" },
	{ { "Invalid username or password" }, "check sasl.username and sasl.password" },
	{ { "not valid in current SASL state" },
	    "this listener has no SASL: use security.protocol=ssl with a client certificate" },
	{ { "Failed to resolve" }, "check bootstrap.servers and the resolver" },
	{ { "Connection refused" }, "is the broker running, and the port right?" },
};

static const char *
find_hint(const char *text)
{
	for (size_t i = 0; i < ARRAY_LENGTH(hints); i++)
		for (int j = 0; j < 3 && hints[i].words[j] != NULL; j++)
			if (strstr(text, hints[i].words[j]) != NULL)
				return hints[i].hint;
	return NULL;
}

/* What to do about a refused record or topic. */
static void
describe_refusal(rd_kafka_resp_err_t error, const char *topic, char *out, size_t size)
{
	const char *text = rd_kafka_err2str(error);

	switch (error) {
	case RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART:
	case RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC:
	case RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION:
		snprintf(out, size,
		    "%s; create the topic \"%s\" (at Aiven: avn service topic-create SERVICE %s "
		    "--partitions 3 --replication 3)",
		    text, topic, topic);
		return;
	case RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED:
	case RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED:
		snprintf(out, size,
		    "%s; give this user the right to write to \"%s\" (a service with a full disk also "
		    "answers so)",
		    text, topic);
		return;
	default:
		snprintf(out, size, "%s", text);
	}
}

/*
 * Say a cause once in an outage. Texts with the same hint have the same cause, as have those that
 * differ in numbers (ports, ids, times) only.
 */
static void
note_trouble(struct kafka *k, const char *text, const char *hint)
{
	char cause[sizeof(trouble.said[0])];
	size_t n = 0;

	if (trouble.since_us == 0)
		trouble.since_us = util_mono_us();
	k->delivering = false;
	for (const char *c = hint != NULL ? hint : text; *c != '\0' && n < sizeof(cause) - 1; c++)
		if (*c < '0' || *c > '9')
			cause[n++] = *c;
	cause[n] = '\0';
	for (size_t i = 0; i < trouble.count; i++)
		if (strcmp(cause, trouble.said[i]) == 0)
			return;
	if (trouble.count == CAUSES_MAX)
		return;
	memcpy(trouble.said[trouble.count++], cause, n + 1);
	log_warning("kafka: %s%s%s", text, hint != NULL ? "; " : "", hint != NULL ? hint : "");
}

static void
note_delivery(struct kafka *k)
{
	if (trouble.since_us != 0)
		log_notice("kafka: delivering again after %lld s",
		    (long long)((util_mono_us() - trouble.since_us) / US_PER_S));
	else if (!k->delivering)
		log_info("kafka: delivering to topic \"%s\"", k->topic_name);
	trouble.since_us = 0;
	trouble.count = 0;
	k->delivering = true;
}

/* --- properties -------------------------------------------------------------------------- */

struct gathering {
	rd_kafka_conf_t *conf;
	struct mistakes *mistakes;
	bool scram;
};

static void
set_property(void *arg, struct origin at, const char *name, const char *value)
{
	struct gathering *g = arg;
	char why[512];

	if (rd_kafka_conf_set(g->conf, name, value, why, sizeof(why)) != RD_KAFKA_CONF_OK)
		mistakes_add(g->mistakes, at, "%s: %.*s", name, (int)strcspn(why, "\n"),
		    property_is_secret(name) ? "librdkafka does not take the value" : why);
	if (strncmp(name, "sasl.mechanism", 14) == 0)
		g->scram = strncmp(value, "SCRAM", 5) == 0;
}

static void
on_error(rd_kafka_t *rk, int error, const char *reason, void *arg)
{
	struct kafka *k = arg;
	const char *guess;
	char why[512];

	if (k == NULL)
		return;
	if (error == RD_KAFKA_RESP_ERR__FATAL) {
		rd_kafka_resp_err_t cause = rd_kafka_fatal_error(rk, why, sizeof(why));

		k->fatal = true;
		describe_refusal(cause, k->topic_name, why, sizeof(why));
		note_trouble(k, why, "a new producer is made");
		return;
	}
	if (error == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN) {
		k->delivering = false; /* the reason came before */
		return;
	}
	/* what librdkafka guesses about a connection that ends cannot be right when it has worked */
	guess = k->delivering ? strstr(reason, ": verify that security.protocol") : NULL;
	if (guess != NULL) {
		snprintf(why, sizeof(why), "%.*s", (int)(guess - reason), reason);
		reason = why;
	}
	note_trouble(k, reason, find_hint(reason));
}

static void
on_log(const rd_kafka_t *rk, int level, const char *facility, const char *text)
{
	(void)rk;
	/* errors come by on_error(), once; what librdkafka adds is for those who ask */
	if (level <= 3)
		log_debug("kafka: %s: %s", facility, text);
}

static void
on_delivery(rd_kafka_t *rk, const rd_kafka_message_t *message, void *arg)
{
	struct kafka *k = arg;
	uint64_t row = (uint64_t)(uintptr_t)message->_private;
	enum kafka_verdict verdict;
	char why[512] = "";

	(void)rk;
	switch (message->err) {
	case RD_KAFKA_RESP_ERR_NO_ERROR:
		/* without an offset it is a guess, made when a request has failed and a later one
		 * not; but a broker that does not know the producer yet takes that one alone too */
		verdict = message->offset >= 0 ? KAFKA_DELIVERED : KAFKA_REFUSED;
		note_delivery(k);
		break;
	case RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE:
	case RD_KAFKA_RESP_ERR_INVALID_MSG:
	case RD_KAFKA_RESP_ERR_INVALID_MSG_SIZE:
	case RD_KAFKA_RESP_ERR_INVALID_RECORD:
		verdict = KAFKA_UNFIT;
		snprintf(why, sizeof(why), "%s", rd_kafka_err2str(message->err));
		break;
	default:
		verdict = message->err == RD_KAFKA_RESP_ERR_INVALID_TIMESTAMP ? KAFKA_UNTIMELY
									      : KAFKA_REFUSED;
		k->refuses_ahead |= verdict == KAFKA_UNTIMELY && k->sent_ahead;
		describe_refusal(message->err, k->topic_name, why, sizeof(why));
		if (message->err != RD_KAFKA_RESP_ERR__PURGE_QUEUE &&
		    message->err != RD_KAFKA_RESP_ERR__PURGE_INFLIGHT && !k->fatal)
			note_trouble(k, why, NULL);
	}
	k->handler.verdict(k->handler.arg, row, verdict, why);
}

/* Our defaults, then the file, then the section. Returns NULL when there was any mistake. */
static rd_kafka_conf_t *
make_conf(const struct config *config, struct mistakes *mistakes)
{
	static const char *const defaults[][2] = {
		{ "enable.idempotence", "true" },
		{ "message.timeout.ms", "0" }, /* the spool decides what is given up, not a clock */
		/* with more, a thread of librdkafka spins for as long as Kafka is slow to answer; a
		 * batch is large enough to drain a backlog as fast with one */
		{ "max.in.flight", "1" },
		{ "linger.ms", "5" }, /* the records of a tick come together anyway */
		{ "compression.codec", "lz4" },
		/* the spool is the queue, this the window */
		{ "queue.buffering.max.messages", "10000" },
		{ "queue.buffering.max.kbytes", "32768" },
		{ "partitioner", "murmur2_random" }, /* where Java's producer would put the key */
		{ "reconnect.backoff.max.ms", "1000" },
		{ "socket.keepalive.enable", "true" },
		/* not the default before 2.0 */
		{ "ssl.endpoint.identification.algorithm", "https" },
		{ "log.queue", "true" },
	};
	struct gathering g = { .conf = rd_kafka_conf_new(), .mistakes = mistakes };
	size_t before = mistakes->count;
	char *client_id = xasprintf("webmond/%s", config->instance), why[256];

	for (size_t i = 0; i < ARRAY_LENGTH(defaults); i++)
		rd_kafka_conf_set(g.conf, defaults[i][0], defaults[i][1], why, sizeof(why));
	rd_kafka_conf_set(g.conf, "client.id", client_id, why, sizeof(why));
	free(client_id);
	properties_read(config, mistakes, set_property, &g);
	if (g.scram && rd_kafka_version() < SCRAM_FIXED)
		log_warning(
		    "kafka: librdkafka %s cannot log in by SCRAM to Kafka 4 or later (2.6.1 can): "
		    "use PLAIN over sasl_ssl, or a client certificate",
		    rd_kafka_version_str());
	if (mistakes->count == before)
		return g.conf;
	rd_kafka_conf_destroy(g.conf);
	return NULL;
}

/* --- the producer ------------------------------------------------------------------------ */

static rd_kafka_t *
new_producer(rd_kafka_conf_t *conf, struct origin at, struct mistakes *mistakes)
{
	char why[512];
	rd_kafka_t *rk = rd_kafka_new(RD_KAFKA_PRODUCER, conf, why, sizeof(why));

	if (rk != NULL)
		return rk;
	mistakes_add(mistakes, at, "kafka: %s%s", why,
	    strstr(why, "sasl.kerberos") != NULL
		? "; set sasl.mechanism (without it Kerberos is meant)"
		: "");
	rd_kafka_conf_destroy(conf);
	return NULL;
}

struct kafka *
kafka_open(
    const struct config *config, const struct kafka_handler *handler, struct mistakes *mistakes)
{
	rd_kafka_conf_t *conf = make_conf(config, mistakes);
	struct origin at = { config->file, config->kafka_line };
	rd_kafka_queue_t *queue;
	struct kafka *k;

	if (conf == NULL)
		return NULL;
	k = xcalloc(1, sizeof(*k));
	if (pipe2(k->event_fd, O_CLOEXEC | O_NONBLOCK) < 0) {
		mistakes_add(mistakes, at, "kafka: %s", strerror(errno));
		free(k);
		return NULL;
	}
	k->handler = *handler;
	k->topic_name = xstrdup(config->kafka_topic);
	rd_kafka_conf_set_opaque(conf, k);
	rd_kafka_conf_set_error_cb(conf, on_error);
	rd_kafka_conf_set_log_cb(conf, on_log);
	rd_kafka_conf_set_dr_msg_cb(conf, on_delivery);
	k->rk = new_producer(conf, at, mistakes);
	if (k->rk == NULL) {
		kafka_close(k);
		return NULL;
	}
	rd_kafka_set_log_queue(k->rk, NULL); /* logs come by kafka_poll(), not from other threads */
	k->topic = rd_kafka_topic_new(k->rk, k->topic_name, NULL);
	if (k->topic == NULL) {
		mistakes_add(
		    mistakes, at, "kafka.topic: %s", rd_kafka_err2str(rd_kafka_last_error()));
		kafka_close(k);
		return NULL;
	}
	queue = rd_kafka_queue_get_main(k->rk);
	rd_kafka_queue_io_event_enable(queue, k->event_fd[1], "1", 1);
	rd_kafka_queue_destroy(queue);
	return k;
}

void
kafka_close(struct kafka *k)
{
	if (k == NULL)
		return;
	if (k->rk != NULL) {
		rd_kafka_purge(k->rk, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
		rd_kafka_flush(k->rk, 1000); /* serves the verdicts of what was purged */
	}
	if (k->topic != NULL)
		rd_kafka_topic_destroy(k->topic);
	if (k->rk != NULL)
		rd_kafka_destroy(k->rk);
	close(k->event_fd[0]);
	close(k->event_fd[1]);
	free(k->topic_name);
	free(k);
}

/* Content type and CloudEvents attributes, so that a consumer need not look into the payload. */
static rd_kafka_headers_t *
make_headers(const struct frame *frame)
{
	rd_kafka_headers_t *h = rd_kafka_headers_new(6);
	char id[WIRE_EPOCH_SIZE + 24], when[UTIL_RFC3339_SIZE];

	snprintf(id, sizeof(id), "%s-%llu", frame->epoch, (unsigned long long)frame->seq);
	util_rfc3339(when, frame->slot_us);
	rd_kafka_header_add(h, "content-type", -1, "application/json", -1);
	rd_kafka_header_add(h, "ce_specversion", -1, "1.0", -1);
	rd_kafka_header_add(h, "ce_id", -1, id, -1);
	rd_kafka_header_add(h, "ce_source", -1, frame->instance, (ssize_t)frame->instance_size);
	rd_kafka_header_add(h, "ce_type", -1, "webmond.check.v1", -1);
	rd_kafka_header_add(h, "ce_time", -1, when, -1);
	return h;
}

int
kafka_send(struct kafka *k, uint64_t row, const struct frame *frame)
{
	rd_kafka_headers_t *headers = make_headers(frame);
	int64_t now = util_utc_us();
	bool ahead = frame->slot_us > now + AHEAD_US;
	rd_kafka_vu_t arguments[] = {
		{ .vtype = RD_KAFKA_VTYPE_RKT, .u.rkt = k->topic },
		{ .vtype = RD_KAFKA_VTYPE_MSGFLAGS, .u.i = RD_KAFKA_MSG_F_COPY },
		{ .vtype = RD_KAFKA_VTYPE_KEY, .u.mem = { (void *)frame->site, frame->site_size } },
		{ .vtype = RD_KAFKA_VTYPE_VALUE,
		    .u.mem = { (void *)frame->payload, frame->payload_size } },
		/* else it, and all behind it, would wait for that time to come */
		{ .vtype = RD_KAFKA_VTYPE_TIMESTAMP,
		    .u.i64 = (ahead && k->refuses_ahead ? now : frame->slot_us) / US_PER_MS },
		{ .vtype = RD_KAFKA_VTYPE_HEADERS, .u.headers = headers },
		{ .vtype = RD_KAFKA_VTYPE_OPAQUE, .u.ptr = (void *)(uintptr_t)row },
	};
	rd_kafka_error_t *error = rd_kafka_produceva(k->rk, arguments, ARRAY_LENGTH(arguments));
	rd_kafka_resp_err_t code;
	char why[512];

	k->sent_ahead |= ahead;
	if (error == NULL)
		return 0;
	code = rd_kafka_error_code(error);
	rd_kafka_error_destroy(error);
	rd_kafka_headers_destroy(headers); /* ours again */
	switch (code) {
	case RD_KAFKA_RESP_ERR__QUEUE_FULL:
		return 1;
	case RD_KAFKA_RESP_ERR__FATAL:
		k->fatal = true;
		k->handler.verdict(k->handler.arg, row, KAFKA_REFUSED, "");
		return -1;
	case RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE:
		k->handler.verdict(k->handler.arg, row, KAFKA_UNFIT, rd_kafka_err2str(code));
		return -1;
	default:
		describe_refusal(code, k->topic_name, why, sizeof(why));
		note_trouble(k, why, NULL);
		k->handler.verdict(k->handler.arg, row, KAFKA_REFUSED, why);
		return -1;
	}
}

void
kafka_poll(struct kafka *k)
{
	char drain[64];

	while (read(k->event_fd[0], drain, sizeof(drain)) > 0)
		;
	while (rd_kafka_poll(k->rk, 0) > 0)
		;
}

void
kafka_flush(struct kafka *k, int timeout_ms)
{
	rd_kafka_flush(k->rk, timeout_ms);
}

int
kafka_fd(const struct kafka *k)
{
	return k->event_fd[0];
}

bool
kafka_is_fatal(const struct kafka *k)
{
	return k->fatal;
}

bool
kafka_is_delivering(const struct kafka *k)
{
	return k->delivering;
}

/* --- for -t and -T ----------------------------------------------------------------------- */

static int
resolve_nothing(const char *node, const char *service, const struct addrinfo *wanted,
    struct addrinfo **result, void *opaque)
{
	(void)service, (void)wanted, (void)opaque;
	*result = NULL;
	return node != NULL ? EAI_FAIL : 0; /* no node: `*result` is to be freed */
}

void
kafka_check(const struct config *config, struct mistakes *mistakes)
{
	rd_kafka_conf_t *conf = make_conf(config, mistakes);
	rd_kafka_t *rk;

	if (conf == NULL)
		return;
	/* only librdkafka itself can say whether keys, certificates and options go together; it
	 * must not try to connect meanwhile */
	rd_kafka_conf_set_resolve_cb(conf, resolve_nothing);
	rd_kafka_conf_set_log_cb(conf, NULL);
	rk = new_producer(conf, (struct origin){ config->file, config->kafka_line }, mistakes);
	if (rk != NULL)
		rd_kafka_destroy(rk);
}

/* Keep what librdkafka says while we wait: it is the reason. */
static void
collect_error(rd_kafka_t *rk, int error, const char *text, void *arg)
{
	char *last = arg;

	(void)rk;
	if (error != RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN)
		snprintf(last, 512, "%s", text);
}

int
kafka_find_topic(const struct config *config, int timeout_ms, char *reason, size_t size)
{
	struct mistakes mistakes = { 0 };
	rd_kafka_conf_t *conf = make_conf(config, &mistakes);
	const struct rd_kafka_metadata *metadata = NULL;
	rd_kafka_topic_t *topic;
	rd_kafka_resp_err_t error;
	rd_kafka_t *rk;
	char why[512] = "", last[512] = "";
	const char *hint;

	mistakes_release(&mistakes); /* kafka_check() has told them */
	if (conf == NULL)
		return -1;
	rd_kafka_conf_set_opaque(conf, last);
	rd_kafka_conf_set_error_cb(conf, collect_error);
	rd_kafka_conf_set_log_cb(conf, on_log);
	rk = rd_kafka_new(RD_KAFKA_PRODUCER, conf, why, sizeof(why));
	if (rk == NULL) {
		snprintf(reason, size, "%s", why);
		rd_kafka_conf_destroy(conf);
		return -1;
	}
	rd_kafka_set_log_queue(rk, NULL);
	topic = rd_kafka_topic_new(rk, config->kafka_topic, NULL);
	error = rd_kafka_metadata(rk, 0, topic, &metadata, timeout_ms);
	if (error == RD_KAFKA_RESP_ERR_NO_ERROR && metadata->topic_cnt == 1)
		error = metadata->topics[0].err;
	rd_kafka_poll(rk, 0);
	hint = find_hint(last);
	if (error == RD_KAFKA_RESP_ERR__TRANSPORT || error == RD_KAFKA_RESP_ERR__TIMED_OUT)
		snprintf(reason, size, "cannot reach Kafka: %s%s%s",
		    last[0] != '\0' ? last : rd_kafka_err2str(error), hint != NULL ? "; " : "",
		    hint != NULL ? hint : "");
	else if (error != RD_KAFKA_RESP_ERR_NO_ERROR)
		describe_refusal(error, config->kafka_topic, reason, size);
	if (metadata != NULL)
		rd_kafka_metadata_destroy(metadata);
	rd_kafka_topic_destroy(topic);
	rd_kafka_destroy(rk);
	return error == RD_KAFKA_RESP_ERR_NO_ERROR ? 0 : -1;
}
