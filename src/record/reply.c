/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * Answers to clients of the control socket. Called by the supervisor and the publisher; nothing is
 * fatal.
 */
#include "reply.h"

#include <errno.h>
#include <sys/socket.h>

#define IDLE_US  (10 * US_PER_S)  /* without reading any of it */
#define WHOLE_US (120 * US_PER_S) /* for all of it */
#define PIECES   4                /* at a time */

void
reply_start(struct reply *r, int64_t now)
{
	r->idle_until_us = now + IDLE_US;
	r->until_us = now + WHOLE_US;
}

int64_t
reply_deadline_us(const struct reply *r)
{
	return r->idle_until_us < r->until_us ? r->idle_until_us : r->until_us;
}

enum reply_status
reply_overdue(const struct reply *r, int64_t now)
{
	if (now >= r->until_us)
		return REPLY_LATE;
	return now >= r->idle_until_us ? REPLY_STUCK : REPLY_WAITS;
}

enum reply_status
reply_send(struct reply *r, bool (*more)(void *arg, struct writer *w, int64_t now_us), void *arg,
    int64_t now)
{
	for (int i = 0; i < PIECES; i++) {
		struct writer w = { r->out, r->out + sizeof(r->out) };
		ssize_t n;

		if (r->sent == r->size) {
			if (r->whole)
				return REPLY_OVER;
			r->whole = !more(arg, &w, now);
			r->size = (size_t)(w.at - r->out);
			r->sent = 0;
		}
		if (r->size == 0) {
			r->idle_until_us = now +
					   IDLE_US; /* we have looked at much, and found nothing */
			continue;
		}
		n = send(r->fd, r->out + r->sent, r->size - r->sent, MSG_DONTWAIT | MSG_NOSIGNAL);
		if (n < 0 && errno != EAGAIN && errno != EINTR)
			return REPLY_OVER;
		if (n < 0)
			break;
		r->sent += (size_t)n;
		r->idle_until_us = now + IDLE_US;
	}
	if (r->whole && r->sent == r->size)
		return REPLY_OVER;
	return reply_overdue(r, now);
}

void
reply_begin(struct writer *w, const char *type)
{
	write_text(w, "{\"type\":", type, 16);
}

void
reply_end(struct writer *w)
{
	write_literal(w, "}\n");
}

void
reply_first(struct writer *w, const struct config *config)
{
	reply_begin(w, "webmond");
	write_integer(w, ",\"protocol\":", REPLY_PROTOCOL);
	write_text(w, ",\"version\":", VERSION, 32);
	write_text(w, ",\"instance\":", config->instance, CONFIG_NAME_MAX);
	write_text(w, ",\"location\":", config->location, CONFIG_NAME_MAX);
	write_time(w, ",\"now\":", util_utc_us());
	reply_end(w);
}

void
reply_last(struct writer *w, const char *error, bool again)
{
	reply_begin(w, "end");
	write_literal(w, error[0] == '\0' ? ",\"ok\":true" : ",\"ok\":false");
	write_text(w, ",\"error\":", error, 512);
	write_literal(w, again ? ",\"again\":true" : ",\"again\":false");
	reply_end(w);
}
