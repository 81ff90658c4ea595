/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * The client of the control socket. Called by the commands; only prints.
 */
#include "client.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "exit.h"
#include "util.h"

/* A daemon that is busy answers within milliseconds; others may be before us. */
#define PATIENCE_MS (30 * 1000)
/*
 * A reload may test a hundred thousand sites first; of a large spool millions of records are
 * counted.
 */
#define PATIENCE_LONG_MS (300 * 1000)

struct connection {
	int fd;
	int patience_ms;
	size_t used, size; /* of `buffer` */
	char buffer[65536];
};

static int
open_connection(const char *path, int patience_ms, char *error, size_t size)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	const struct timeval patience = { .tv_sec = patience_ms / 1000 };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), why;

	if (fd < 0 || strlen(path) >= sizeof(address.sun_path)) {
		snprintf(error, size, "\"%s\": %s", path, strerror(fd < 0 ? errno : ENAMETOOLONG));
		return -1;
	}
	memcpy(address.sun_path, path, strlen(path));
	/* while many others wait, connect() does */
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0)
		return fd;
	why = errno;
	close(fd);
	if (why == EACCES || why == EPERM)
		snprintf(error, size,
		    "\"%s\": %s; be root or a member of the group of webmond's user", path,
		    strerror(why));
	else
		snprintf(error, size,
		    "no webmond answers at \"%s\": %s; is it running, and is that its socket "
		    "(-s, -c)?",
		    path, strerror(why));
	errno = why;
	return -1;
}

/* The next line without its end; false: there is none, or none in time. */
static bool
read_line(struct connection *c, struct line *line)
{
	for (;;) {
		struct pollfd p = { .fd = c->fd, .events = POLLIN };
		char *begin = c->buffer + c->used;
		char *end = memchr(begin, '\n', c->size - c->used);
		ssize_t n;

		if (end != NULL) {
			line->text = begin;
			line->size = (size_t)(end - begin);
			c->used += line->size + 1;
			return line->size < ANSWER_LINE_MAX;
		}
		memmove(c->buffer, begin, c->size - c->used);
		c->size -= c->used;
		c->used = 0;
		if (c->size == sizeof(c->buffer) || poll(&p, 1, c->patience_ms) <= 0)
			return false;
		n = recv(c->fd, c->buffer + c->size, sizeof(c->buffer) - c->size, 0);
		if (n <= 0)
			return false;
		c->size += (size_t)n;
	}
}

/* The exit code; if the answer is not whole, `error` says why. */
static int
read_end(const struct line *line, char *error, size_t size)
{
	if (line_true(line, "ok"))
		return EXIT_FINE;
	line_text(line, "error", error, size);
	return line_true(line, "again") ? CLIENT_AGAIN : EXIT_NOT_UP;
}

static int
read_answer(struct connection *c, void (*visit)(void *arg, const struct line *line), void *arg,
    char *error, size_t size)
{
	struct line line = { 0 };

	while (read_line(c, &line)) {
		if (line_is(&line, "webmond") && line_count(&line, "protocol") != 1) {
			snprintf(error, size, "that webmond is of another version");
			return EXIT_UNAVAILABLE;
		}
		if (line_is(&line, "webmond"))
			line.now = line_time(&line, "now");
		visit(arg, &line);
		if (line_is(&line, "end"))
			return read_end(&line, error, size);
	}
	snprintf(error, size, "webmond did not answer, or stopped in the middle of its answer");
	return EXIT_UNAVAILABLE;
}

int
client_try(const struct options *o, const char *request,
    void (*visit)(void *arg, const struct line *line), void *arg, char *error, size_t size)
{
	const bool may_last = strcmp(request, "reload") == 0 || strncmp(request, "spool", 5) == 0;
	const int patience_ms = o->patience_s > 0 ? 1000 * o->patience_s : PATIENCE_MS;
	struct connection c = { .patience_ms = may_last ? PATIENCE_LONG_MS : patience_ms };
	struct iovec parts[] = { { (void *)request, strlen(request) }, { (void *)"\n", 1 } };
	struct msghdr message = { .msg_iov = parts, .msg_iovlen = 2 };
	int code;

	c.fd = open_connection(o->socket, patience_ms, error, size);
	if (c.fd < 0 && errno == EAGAIN)
		return EXIT_UNAVAILABLE; /* it runs */
	if (c.fd < 0)
		return errno == EACCES || errno == EPERM ? EXIT_PERMISSION : CLIENT_NOT_RUNNING;
	if (sendmsg(c.fd, &message, MSG_NOSIGNAL) < 0) {
		snprintf(error, size, "webmond takes no request: %s", strerror(errno));
		code = EXIT_UNAVAILABLE;
	} else {
		code = read_answer(&c, visit, arg, error, size);
	}
	close(c.fd);
	return code;
}

struct visitor {
	const struct options *options;
	void (*visit)(void *arg, const struct line *line);
	void *arg;
};

void
print_line(const struct line *line)
{
	char text[2 * ANSWER_LINE_MAX];

	util_clean_text(text, sizeof(text), line->text, line->size);
	puts(text);
}

static void
visit_line(void *arg, const struct line *line)
{
	const struct visitor *v = arg;

	if (v->options->json)
		print_line(line);
	if (!line_is(line, "end"))
		v->visit(v->arg, line);
}

int
client_ask(const struct options *o, const char *request,
    void (*visit)(void *arg, const struct line *line), void *arg)
{
	struct visitor v = { o, visit, arg };
	char error[512];
	int code = client_try(o, request, visit_line, &v, error, sizeof(error));

	fflush(stdout);
	if (code != EXIT_FINE)
		fprintf(stderr, "webmondctl: %s\n", error);
	return code;
}

const char *
describe_span(double seconds, char out[DURATION_SIZE])
{
	long long s = seconds > 0 ? (long long)seconds : 0;

	if (s < 120)
		snprintf(out, DURATION_SIZE, "%lld s", s);
	else if (s < 7200)
		snprintf(out, DURATION_SIZE, "%lld min %lld s", s / 60, s % 60);
	else if (s < 2 * 86400)
		snprintf(out, DURATION_SIZE, "%lld h %lld min", s / 3600, s / 60 % 60);
	else
		snprintf(out, DURATION_SIZE, "%lld d %lld h", s / 86400, s / 3600 % 24);
	return out;
}
