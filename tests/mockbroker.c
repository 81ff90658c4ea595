/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * A Kafka broker for tests: librdkafka's mock cluster in a process of its own, so that it outlives
 * the daemon under test. Prints its bootstrap servers as one line, then obeys commands on standard
 * input, each answered by "ok" or "error: why" on standard output; ends when the input ends.
 * mockbroker N: with N brokers, of which commands mean the first.
 *
 *   errors APIKEY CODE...      answer the next requests of that kind with these codes (Produce is 0;
 *                              -195 closes the connection); without codes: forget them
 *   rtt MS                     answer everything so much later
 *   down | up                  refuse connections | take them again, on the same port
 *   topic NAME PARTITIONS      create it (else topics come into being when asked for)
 *   leader NAME PARTITION BROKER   from now on
 *   topic-error NAME CODE      answer requests for the topic's metadata with it; 0: no longer
 *   quit
 */
#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BROKER     1
#define ERRORS_MAX 1000

static const char *
push_errors(rd_kafka_mock_cluster_t *cluster, char *rest)
{
	rd_kafka_resp_err_t codes[ERRORS_MAX];
	size_t count = 0;
	char *key = strsep(&rest, " ");
	char *word;

	if (key == NULL || *key == '\0')
		return "errors APIKEY CODE...";
	while ((word = strsep(&rest, " ")) != NULL && count < ERRORS_MAX)
		codes[count++] = atoi(word);
	if (count > 0)
		rd_kafka_mock_push_request_errors_array(cluster, (int16_t)atoi(key), count, codes);
	else
		rd_kafka_mock_clear_request_errors(cluster, (int16_t)atoi(key));
	return NULL;
}

static const char *
describe(rd_kafka_resp_err_t error)
{
	return error == RD_KAFKA_RESP_ERR_NO_ERROR ? NULL : rd_kafka_err2str(error);
}

/* Returns what was wrong with the command, or NULL. */
static const char *
obey(rd_kafka_mock_cluster_t *cluster, char *line)
{
	char *rest = line;
	const char *command = strsep(&rest, " ");
	char name[250];
	int number, leader;

	if (strcmp(command, "errors") == 0)
		return push_errors(cluster, rest);
	if (strcmp(command, "down") == 0)
		return describe(rd_kafka_mock_broker_set_down(cluster, BROKER));
	if (strcmp(command, "up") == 0)
		return describe(rd_kafka_mock_broker_set_up(cluster, BROKER));
	if (rest == NULL)
		return "unknown command, or one without its arguments";
	if (strcmp(command, "rtt") == 0)
		return describe(rd_kafka_mock_broker_set_rtt(cluster, BROKER, atoi(rest)));
	if (strcmp(command, "topic") == 0) {
		if (sscanf(rest, "%249s %d", name, &number) != 2)
			return "topic NAME PARTITIONS";
		return describe(rd_kafka_mock_topic_create(cluster, name, number, 1));
	}
	if (strcmp(command, "leader") == 0) {
		if (sscanf(rest, "%249s %d %d", name, &number, &leader) != 3)
			return "leader NAME PARTITION BROKER";
		return describe(rd_kafka_mock_partition_set_leader(cluster, name, number, leader));
	}
	if (strcmp(command, "topic-error") == 0) {
		if (sscanf(rest, "%249s %d", name, &number) != 2)
			return "topic-error NAME CODE";
		rd_kafka_mock_topic_set_error(cluster, name, number);
		return NULL;
	}
	return "unknown command";
}

int
main(int argc, char **argv)
{
	char error[256];
	char line[16384];
	rd_kafka_conf_t *conf = rd_kafka_conf_new();
	rd_kafka_mock_cluster_t *cluster;
	rd_kafka_t *rk;

	rd_kafka_conf_set(conf, "log_level", "3", NULL, 0);
	rk = rd_kafka_new(RD_KAFKA_PRODUCER, conf, error, sizeof(error));
	if (rk == NULL ||
	    (cluster = rd_kafka_mock_cluster_new(rk, argc > 1 ? atoi(argv[1]) : 1)) == NULL) {
		fprintf(
		    stderr, "mockbroker: cannot start: %s\n", rk == NULL ? error : "mock cluster");
		return 1;
	}
	setvbuf(stdout, NULL, _IOLBF, 0);
	puts(rd_kafka_mock_cluster_bootstraps(cluster));

	while (fgets(line, sizeof(line), stdin) != NULL) {
		const char *wrong;

		line[strcspn(line, "\r\n")] = '\0';
		if (line[0] == '\0')
			continue;
		if (strcmp(line, "quit") == 0)
			break;
		wrong = obey(cluster, line);
		if (wrong != NULL)
			printf("error: %s\n", wrong);
		else
			puts("ok");
	}
	rd_kafka_mock_cluster_destroy(cluster);
	rd_kafka_destroy(rk);
	return 0;
}
