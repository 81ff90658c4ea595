/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * The clients of the control socket, see control.h. Nothing is fatal.
 */
#include "control.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "log.h"
#include "state.h"

#define REQUEST_US (5 * US_PER_S)   /* for the whole request */
#define HURRY_US   (US_PER_S / 2)   /* likewise, while most places are taken */
#define RELOAD_US  (300 * US_PER_S) /* for one that runs, and the one after it */

/* So many may wait for a reload: others want an answer meanwhile. */
#define WAITING_MAX (CONTROL_CLIENTS / 2)

#define SPOOL_REQUEST_MAX 64

#define TURN_US   (5 * US_PER_MS) /* for all clients, in one turn of the loop */
#define ACCEPT_US (1 * US_PER_S)  /* after a failure */

static void
drop_client(struct control *c, int i)
{
	struct client *client = c->client[i];

	close(client->reply.fd);
	free(client->question.verdict);
	free(client);
	c->client[i] = c->client[--c->count];
}

void
control_close(struct supervisor *s)
{
	while (s->control.count > 0)
		drop_client(&s->control, s->control.count - 1);
	control_close_socket(&s->control);
}

static void
accept_clients(struct control *c, int64_t now)
{
	while (c->fd >= 0 && c->count < CONTROL_CLIENTS && now >= c->accept_us) {
		int fd = accept4(c->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
		socklen_t size = sizeof(struct ucred);
		struct client *client;

		if (fd < 0) {
			if (errno != EAGAIN && errno != ECONNABORTED && errno != EINTR)
				c->accept_us = now + ACCEPT_US;
			return;
		}
		client = c->client[c->count++] = xcalloc(1, sizeof(*client));
		client->reply.fd = fd;
		client->reply.idle_until_us = client->reply.until_us = now +
								       (c->count > CONTROL_CLIENTS /
										       2
									       ? HURRY_US
									       : REQUEST_US);
		getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &client->peer, &size);
	}
}

static int
count_waiting(const struct control *c)
{
	int count = 0;

	for (int i = 0; i < c->count; i++)
		count += c->client[i]->state == CLIENT_WAITS;
	return count;
}

static void
ask_for_reload(struct supervisor *s, struct client *client, int64_t now)
{
	struct question *q = &client->question;

	if (count_waiting(&s->control) >= WAITING_MAX) {
		snprintf(
		    q->error, sizeof(q->error), "%d others wait for a reload already", WAITING_MAX);
		q->again = true;
		return;
	}
	log_notice("control: user ID %d (PID %d) asks for a reload", (int)client->peer.uid,
	    (int)client->peer.pid);
	request_reload(s);
	q->reload = s->reload.begun + 1; /* one that runs may have read the file already */
	client->state = CLIENT_WAITS;
	client->reply.idle_until_us = client->reply.until_us = now + RELOAD_US;
}

/* A request that the publisher answers. Returns whether it has the client now. */
static bool
pass_on(struct supervisor *s, struct client *client, size_t size, int64_t now)
{
	struct question *q = &client->question;
	char line[128];

	util_clean_text(line, sizeof(line), client->in, size);
	if (strstr(line, "drop") != NULL)
		log_notice("control: user ID %d (PID %d) asks for: %s", (int)client->peer.uid,
		    (int)client->peer.pid, line);
	if (size > SPOOL_REQUEST_MAX) {
		snprintf(q->error, sizeof(q->error),
		    "a request about the spool has at most %d bytes", SPOOL_REQUEST_MAX);
		return false;
	}
	if (ask_publisher(s, client->in, size, client->reply.fd, now))
		return true;
	snprintf(q->error, sizeof(q->error), "the publisher takes no questions now; ask again");
	q->again = true;
	return false;
}

/* Returns false: it has gone, or its request is still incomplete. */
static bool
read_request(struct supervisor *s, struct client *client, bool *gone, int64_t now)
{
	ssize_t n = recv(client->reply.fd, client->in + client->in_size,
	    sizeof(client->in) - client->in_size, MSG_DONTWAIT);
	struct question *q = &client->question;
	const char *end;
	size_t size;

	*gone = n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR);
	if (n <= 0)
		return false;
	client->in_size += (size_t)n;
	end = memchr(client->in, '\n', client->in_size);
	if (end == NULL && client->in_size < sizeof(client->in))
		return false;
	size = end != NULL ? (size_t)(end - client->in) : client->in_size;
	answer_parse(q, client->in, size);
	if (end == NULL)
		snprintf(q->error, sizeof(q->error), "a request has at most %d bytes",
		    CONTROL_REQUEST_MAX);
	client->state = CLIENT_IS_ANSWERED;
	reply_start(&client->reply, now);
	if (q->error[0] == '\0' && q->verb == ASK_SPOOL)
		*gone = pass_on(s, client, size, now);
	else if (q->error[0] == '\0' && q->verb == ASK_RELOAD)
		ask_for_reload(s, client, now);
	else
		log_debug("control: user ID %d (PID %d) asks", (int)client->peer.uid,
		    (int)client->peer.pid);
	return true;
}

/* Returns whether the reload that it waits for is over, or will never be. */
static bool
has_verdict(const struct supervisor *s, struct client *client, int64_t now)
{
	struct question *q = &client->question;

	if (s->reload.ended >= q->reload) {
		q->verdict = xstrdup(s->reload.verdict);
		q->rest = q->verdict;
		q->accepted = s->reload.accepted;
		q->sites = s->sites.count;
		q->added = s->sites.adopted.added;
		q->changed = s->sites.adopted.changed;
		q->removed = s->sites.adopted.removed;
	} else if (s->stage > STAGE_RUNNING) {
		snprintf(q->error, sizeof(q->error), "webmond is stopping");
		q->again = true;
	} else {
		return false;
	}
	client->state = CLIENT_IS_ANSWERED;
	reply_start(&client->reply, now);
	return true;
}

/* Whether the other side has closed, which is no event that one waits for. */
static bool
has_hung_up(const struct client *client)
{
	struct pollfd p = { .fd = client->reply.fd };

	return poll(&p, 1, 0) > 0;
}

/* What a piece of an answer needs. */
struct asked {
	const struct supervisor *s;
	struct question *question;
};

static bool
write_more(void *arg, struct writer *w, int64_t now)
{
	struct asked *asked = arg;

	return answer_more(asked->s, asked->question, w, now);
}

/* Returns whether the client is through. */
static bool
serve_client(struct supervisor *s, struct client *client, int64_t now)
{
	static const char *const why[] = {
		[REPLY_STUCK] = "it does not read its answer", [REPLY_LATE] = "it takes too long"
	};
	struct asked asked = { s, &client->question };
	enum reply_status status;
	bool gone = false;

	if (client->state == CLIENT_READS)
		(void)read_request(s, client, &gone, now);
	if (client->state == CLIENT_WAITS && !has_verdict(s, client, now))
		gone = has_hung_up(client);
	if (gone)
		return true;
	status = client->state == CLIENT_IS_ANSWERED
		     ? reply_send(&client->reply, write_more, &asked, now)
		     : reply_overdue(&client->reply, now);
	if (status == REPLY_OVER)
		return true;
	if (status == REPLY_WAITS)
		return false;
	log_notice("control: a client of user ID %d (PID %d) is dropped: %s", (int)client->peer.uid,
	    (int)client->peer.pid,
	    client->state == CLIENT_READS ? "it sent no request" : why[status]);
	return true;
}

int
control_polls(const struct supervisor *s, struct pollfd *polls, int64_t now)
{
	static const short events[] = { [CLIENT_READS] = POLLIN, [CLIENT_IS_ANSWERED] = POLLOUT };
	const struct control *c = &s->control;
	int count = 0;

	if (c->fd >= 0 && c->count < CONTROL_CLIENTS && now >= c->accept_us)
		polls[count++] = (struct pollfd){ .fd = c->fd, .events = POLLIN };
	for (int i = 0; i < c->count; i++)
		polls[count++] = (struct pollfd){ .fd = c->client[i]->reply.fd,
			.events = events[c->client[i]->state] };
	return count;
}

/* In the next turn this one comes first, and those before it last. */
static void
begin_with(struct control *c, int first)
{
	struct client *served[CONTROL_CLIENTS];

	memcpy(served, c->client, (size_t)first * sizeof(*served));
	memmove(c->client, c->client + first, (size_t)(c->count - first) * sizeof(*served));
	memcpy(c->client + c->count - first, served, (size_t)first * sizeof(*served));
}

void
control_wake(struct supervisor *s)
{
	s->control.ready = true;
}

int64_t
control_serve(struct supervisor *s, int64_t now)
{
	struct control *c = &s->control;
	int64_t wake = INT64_MAX, begun;

	control_follow_config(s);
	if (c->count == 0 && !c->ready)
		return INT64_MAX; /* nobody asks: the usual case costs nothing */
	c->ready = false;
	begun = util_mono_us();
	accept_clients(c, now);
	for (int i = 0; i < c->count;) {
		if (serve_client(s, c->client[i], now))
			drop_client(c, i);
		else
			i++;
		if (i < c->count && util_mono_us() - begun > TURN_US) {
			begin_with(c, i);
			return now;
		}
	}
	for (int i = 0; i < c->count; i++) {
		int64_t deadline_us = reply_deadline_us(&c->client[i]->reply);

		if (deadline_us < wake)
			wake = deadline_us;
	}
	return wake;
}
