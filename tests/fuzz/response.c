/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * Any bytes as what a server says. Nothing leaves this process: connect(2) is ours and puts a
 * socketpair in the place of the connection, with the response in it, and names are not looked up.
 * After a NUL, "=" and "\n" begins what the next connection (after a redirect) gets.
 */
#include "fuzz.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../json.h"
#include "checker.h"
#include "payload.h"
#include "checker/probe.h"

#define CONNECTIONS_MAX 8

static const uint8_t *response;
static size_t response_left;
static int peers[CONNECTIONS_MAX];
static int connections;
static bool looked_up; /* a name, of which only a resolver that answers says that it is none */

/* The next part of the input; the last one comes again and again. */
static size_t
next_part(void)
{
	static const char separator[] = "\0=\n";
	const uint8_t *end = memmem(response, response_left, separator, 3);

	return end != NULL ? (size_t)(end - response) : response_left;
}

int
connect(int fd, const struct sockaddr *address, socklen_t size)
{
	size_t part = next_part();
	int pair[2];

	(void)address, (void)size;
	if (connections == CONNECTIONS_MAX) {
		errno = ECONNREFUSED;
		return -1;
	}
	assert(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) == 0);
	if (send(pair[1], response, part, MSG_NOSIGNAL) < 0)
		assert(errno == EAGAIN);
	shutdown(pair[1], SHUT_WR);
	peers[connections++] = pair[1];
	assert(dup3(pair[0], fd, O_CLOEXEC) == fd);
	close(pair[0]);
	if (part < response_left) {
		response += part + 3;
		response_left -= part + 3;
	}
	return 0;
}

/* The probe's sites are address literals; a redirect may name anything. */
int
getaddrinfo(
    const char *node, const char *service, const struct addrinfo *hints, struct addrinfo **found)
{
	(void)node, (void)service, (void)hints, (void)found;
	looked_up = true;
	return EAI_NONAME;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const headers[] = { NULL };
	static const struct status_range expect[] = { { 200, 299 } };
	static const struct pattern patterns[] = { { .text = "needle" },
		{ .text = "(a+)+$", .negated = true } };
	static const struct pattern headers_of[] = { { .text = "Set-Cookie: ^a(b+)+$" },
		{ .text = "X: y", .negated = true } };
	static const struct pattern json[] = { { .text = "$.a[0].b == \"x\"" } };
	static struct probe *probe;
	struct config config = { .instance = "fuzz" };
	struct site site = { .name = "site",
		.url = "http://192.0.2.1/",
		.timeout_us = 5 * US_PER_S,
		.method = "GET",
		.headers = headers,
		.user_agent = "fuzz",
		.expect_status = "200-299",
		.expect = expect,
		.expect_count = 1,
		.body_patterns = { patterns, ARRAY_LENGTH(patterns) },
		.header_patterns = { headers_of, ARRAY_LENGTH(headers_of) },
		.body_json = { json, ARRAY_LENGTH(json) },
		.body_limit = 16 * 1024,
		.follow_redirects = 3 };
	struct slot slot = { .epoch = "20260101T000000Z-0000000000000001",
		.slot_us = 1,
		.interval_us = 10 * US_PER_S };
	unsigned char raw[WIRE_FRAME_MAX], record[WIRE_RECORD_MAX];
	struct wire_outcome outcome;
	struct result result;
	struct frame frame;
	size_t members, frame_size;
	int64_t sum = 0;

	if (probe == NULL && checker_init() == 0)
		probe = probe_new(NULL, 0);
	assert(probe != NULL);
	response = data;
	response_left = size;
	connections = 0;
	looked_up = false;
	probe_run(probe, &site, &result);
	for (int i = 0; i < connections; i++)
		close(peers[i]);

	assert(result.error < ERROR_COUNT && (result.error != ERROR_LOCAL || looked_up));
	assert((result.error == ERROR_NONE) == (result.error_message[0] == '\0'));
	/* libcurl's sentence for success is no reason; further on may be what the server said */
	assert(strncmp(result.error_message, "No error", 8) != 0);
	assert(result.error != ERROR_NONE || result.completed);
	assert(result.http_status == RESULT_NONE ||
	       (result.http_status >= 200 && result.http_status <= 999));
	assert(result.body_bytes <= (int64_t)site.body_limit);
	assert(result.redirects <= site.follow_redirects);
	for (int i = 0; i < PHASE_COUNT; i++)
		sum += result.phase_us[i] > 0 ? result.phase_us[i] : 0;
	assert(sum == result.elapsed_us);

	frame_size = payload_frame(raw, WIRE_SINGLE, &config, &site, &slot, &result, NULL);
	assert(wire_decode(raw, frame_size, &frame) == (ssize_t)frame_size);
	assert(payload_outcome(&frame, &outcome));
	frame_size = payload_record(record, &frame, &outcome, RESULT_NONE, NULL);
	assert(wire_decode(record, frame_size, &frame) == (ssize_t)frame_size);
	assert(json_get(frame.payload, frame.payload_size, NULL, &members) != NULL);
	return 0;
}
