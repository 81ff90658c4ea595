/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * Records on standard output, for --stdout and --once; or nowhere, where the supervisor prints a
 * table. Called by the sender. A reader that has gone is no failure; any other error is logged.
 */
#include "stdout.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "log.h"
#include "util.h"

struct stdout_handle {
	struct output_handler handler;
	enum output_state state;
};

static void *
stdout_open(
    const struct config *config, const struct output_handler *handler, struct mistakes *mistakes)
{
	struct stdout_handle *h = xcalloc(1, sizeof(*h));

	(void)config, (void)mistakes;
	h->handler = *handler;
	h->state = OUTPUT_DELIVERING;
	return h;
}

static bool
write_all(const char *text, size_t size)
{
	size_t done = 0;

	while (done < size) {
		ssize_t n = write(STDOUT_FILENO, text + done, size - done);

		if (n >= 0)
			done += (size_t)n;
		else if (errno == EINTR || errno == EAGAIN)
			poll(&(struct pollfd){ .fd = STDOUT_FILENO, .events = POLLOUT }, 1, 100);
		else
			return false;
	}
	return true;
}

/* A whole line or nothing: the loop of the publisher waits for room, not this. */
static bool
stdout_send(void *handle, uint64_t row, const struct frame *frame)
{
	struct stdout_handle *h = handle;
	struct pollfd out = { .fd = STDOUT_FILENO, .events = POLLOUT };
	char line[WIRE_RECORD_JSON_MAX + 1];
	size_t size = frame->payload_size;

	if (h->state != OUTPUT_DELIVERING || poll(&out, 1, 0) != 1 ||
	    (out.revents & (POLLOUT | POLLERR)) == 0)
		return false;
	memcpy(line, frame->payload, size);
	line[size++] = '\n';
	if (!write_all(line, size)) {
		h->state = errno == EPIPE ? OUTPUT_CLOSED : OUTPUT_LOST;
		if (h->state == OUTPUT_LOST)
			log_error("cannot write to standard output: %s", strerror(errno));
		return false;
	}
	h->handler.answer(h->handler.arg, row, ANSWER_DELIVERED, "");
	return true;
}

static bool
nothing_send(void *handle, uint64_t row, const struct frame *frame)
{
	struct stdout_handle *h = handle;

	(void)frame;
	h->handler.answer(h->handler.arg, row, ANSWER_DELIVERED, "");
	return true;
}

static void
stdout_serve(void *handle, int flush_ms)
{
	(void)handle, (void)flush_ms;
}

static struct pollfd
stdout_wait_for(const void *handle)
{
	(void)handle;
	return (struct pollfd){ .fd = STDOUT_FILENO, .events = POLLOUT };
}

static enum output_state
stdout_state(const void *handle)
{
	const struct stdout_handle *h = handle;

	return h->state;
}

const struct output output_stdout = {
	.open = stdout_open,
	.close = free,
	.send = stdout_send,
	.serve = stdout_serve,
	.wait_for = stdout_wait_for,
	.state = stdout_state,
};

const struct output output_nothing = {
	.open = stdout_open,
	.close = free,
	.send = nothing_send,
	.serve = stdout_serve,
	.wait_for = stdout_wait_for,
	.state = stdout_state,
};
