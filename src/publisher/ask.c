/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * Questions about the spool. Called by the publisher's loop; nothing is fatal, and what the spool
 * cannot do now is an answer.
 */
#include "ask.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "log.h"
#include "reply.h"
#include "tally.h"

/* Rows that one piece of an answer looks at. */
#define LOOK_AT_ONCE 500

struct ask {
	struct reply reply; /* first member: a test looks at it */
	const struct config *config;
	struct spool *spool; /* while it is served */
	enum verb {
		ASK_WAITING,
		ASK_LIST,
		ASK_SHOW,
		ASK_DROP,
	} verb;
	uint64_t number; /* of the dead letter; 0: all */
	bool begun, over;
	uint64_t after; /* rows up to here were looked at */
	struct tally tally;
	size_t told; /* of the tally */
	bool found;
	bool more_rows;
	struct writer *w; /* while rows are visited */
	char error[128];
	bool again; /* later there may be no error */
};

/* --- questions --------------------------------------------------------------------------- */

/* The number of a dead letter; false: it is none. */
static bool
read_number(const char *text, uint64_t *number)
{
	char *end;

	*number = strtoull(text, &end, 10);
	return end != text && *end == '\0' && *number > 0 && text[0] != '-';
}

static void
parse(struct ask *a, const char *line, size_t size)
{
	char verb[16] = "", argument[24] = "", rest[2] = "";
	char text[64];
	int words;

	snprintf(
	    text, sizeof(text), "%.*s", (int)(size < sizeof(text) ? size : sizeof(text)), line);
	words = sscanf(text, "spool %15s %23s %1s", verb, argument, rest);
	if (words <= 0)
		a->verb = ASK_WAITING;
	else if (words == 1 && strcmp(verb, "list") == 0)
		a->verb = ASK_LIST;
	else if (words == 2 && strcmp(verb, "show") == 0 && read_number(argument, &a->number))
		a->verb = ASK_SHOW;
	else if (words == 2 && strcmp(verb, "drop") == 0 &&
		 (strcmp(argument, "all") == 0 || read_number(argument, &a->number)))
		a->verb = ASK_DROP;
	else
		snprintf(a->error, sizeof(a->error),
		    "ask for: spool, spool list, spool show N, spool drop N or spool drop all");
}

/* --- answers ----------------------------------------------------------------------------- */

static void
fail(struct ask *a, enum spool_status status)
{
	a->again = status != SPOOL_OK;
	if (a->again)
		snprintf(a->error, sizeof(a->error),
		    "the spool cannot be read or written now; the log says why");
}

static bool
count_record(void *arg, uint64_t row, const struct frame *frame)
{
	struct ask *a = arg;

	a->after = row;
	a->more_rows = true;
	tally_add(&a->tally, frame->site, frame->site_size, frame->slot_us, util_utc_us());
	return true;
}

static void
write_waiting(const struct tally_site *site, struct writer *w)
{
	static const char *const ages[TALLY_AGES] = {
		",\"minute\":", ",\"hour\":", ",\"day\":", ",\"older\":"
	};

	reply_begin(w, "waiting");
	write_text(w, ",\"site\":", site->name, CONFIG_NAME_MAX);
	write_integer(w, ",\"records\":", (int64_t)site->records);
	write_time(w, ",\"oldest_at\":", site->oldest_us);
	for (int i = 0; i < TALLY_AGES; i++)
		write_integer(w, ages[i], (int64_t)site->by_age[i]);
	reply_end(w);
}

/* First all rows are counted, then the sites told. Returns whether there is more. */
static bool
more_waiting(struct ask *a, struct writer *w)
{
	if (a->told == 0) {
		a->more_rows = false;
		fail(a, spool_read(a->spool, a->after, LOOK_AT_ONCE, count_record, a));
		if (a->more_rows && a->error[0] == '\0')
			return true;
		tally_sort(&a->tally);
	}
	for (; a->told < a->tally.count && a->error[0] == '\0'; a->told++) {
		if (!reply_has_room(w))
			return true;
		write_waiting(a->tally.site[a->told], w);
	}
	return false;
}

/* Texts in a frame have no NUL behind them. */
static void
write_dead(const struct spool_dead *dead, struct writer *w)
{
	char site[CONFIG_NAME_MAX + 1] = "", reason[512], at[32];

	if (dead->readable)
		util_clean_text(site, sizeof(site), dead->frame.site, dead->frame.site_size);
	util_clean_text(reason, sizeof(reason), dead->reason, strlen(dead->reason));
	snprintf(at, sizeof(at), "%.10sT%.8sZ", dead->at,
	    strlen(dead->at) > 11 ? dead->at + 11 : "00:00:00");
	reply_begin(w, "dead");
	write_integer(w, ",\"number\":", (int64_t)dead->number);
	write_text(w, ",\"site\":", site, CONFIG_NAME_MAX);
	write_text(w, ",\"epoch\":", dead->readable ? dead->frame.epoch : NULL, WIRE_EPOCH_SIZE);
	write_integer(w, ",\"seq\":", dead->readable ? (int64_t)dead->frame.seq : WRITER_NONE);
	write_time(w, ",\"scheduled_at\":", dead->readable ? dead->frame.slot_us : WRITER_NONE);
	write_text(w, ",\"refused_at\":", at, sizeof(at));
	write_text(w, ",\"reason\":", reason, 1024);
	reply_end(w);
}

static bool
list_dead(void *arg, const struct spool_dead *dead)
{
	struct ask *a = arg;

	if (!reply_has_room(a->w))
		return false;
	a->after = dead->number;
	a->more_rows = true;
	write_dead(dead, a->w);
	return true;
}

/* The record is a flat object, a line as it is. */
static bool
show_dead(void *arg, const struct spool_dead *dead)
{
	struct ask *a = arg;

	a->found = dead->number == a->number;
	if (!a->found)
		return false;
	write_dead(dead, a->w);
	if (dead->readable && dead->frame.payload_size < REPLY_LINE_MAX) {
		write_bytes(a->w, dead->frame.payload, dead->frame.payload_size);
		write_literal(a->w, "\n");
	}
	return false;
}

static void
drop_dead(struct ask *a, struct writer *w)
{
	uint64_t count;

	fail(a,
	    spool_delete_dead(a->spool, a->number, a->number > 0 ? a->number : INT64_MAX, &count));
	if (a->error[0] != '\0')
		return;
	a->found = count > 0 || a->number == 0;
	log_notice("spool: %llu dead letter%s deleted, as asked for", (unsigned long long)count,
	    count == 1 ? " was" : "s were");
	reply_begin(w, "dropped");
	write_integer(w, ",\"records\":", (int64_t)count);
	reply_end(w);
}

/* Returns whether there is more; if not, there may be an error. */
static bool
more_of_verb(struct ask *a, struct writer *w)
{
	a->w = w;
	switch (a->verb) {
	case ASK_WAITING:
		return more_waiting(a, w);
	case ASK_LIST:
		a->more_rows = false;
		fail(a, spool_read_dead(a->spool, a->after, LOOK_AT_ONCE, list_dead, a));
		return a->more_rows && a->error[0] == '\0';
	case ASK_SHOW:
		fail(a, spool_read_dead(a->spool, a->number - 1, 1, show_dead, a));
		break;
	case ASK_DROP:
		drop_dead(a, w);
		break;
	}
	if (!a->found && a->error[0] == '\0')
		snprintf(a->error, sizeof(a->error), "there is no such dead letter");
	return false;
}

static bool
write_more(void *arg, struct writer *w, int64_t now)
{
	struct ask *a = arg;

	(void)now;
	if (!a->begun)
		reply_first(w, a->config);
	a->begun = true;
	if (!a->over && a->error[0] == '\0' && more_of_verb(a, w))
		return true;
	a->over = true;
	if (!reply_has_room(w))
		return true;
	reply_last(w, a->error, a->again);
	return false;
}

/* --- clients ----------------------------------------------------------------------------- */

/* One too many gets no answer, but is told so: nothing else is in its way. */
static void
refuse(const struct config *config, int fd)
{
	char out[REPLY_LINE_MAX];
	struct writer w = { out, out + sizeof(out) };

	reply_first(&w, config);
	reply_last(&w, "too many others ask about the spool; ask again", true);
	send(fd, out, (size_t)(w.at - out), MSG_DONTWAIT | MSG_NOSIGNAL);
	close(fd);
}

void
asks_add(struct asks *asks, const struct config *config, const char *line, size_t size, int fd)
{
	struct ask *a;

	if (fd < 0)
		return;
	if (asks->count == ASKS_MAX) {
		refuse(config, fd);
		return;
	}
	a = asks->ask[asks->count++] = xcalloc(1, sizeof(*a));
	a->reply.fd = fd;
	a->config = config;
	reply_start(&a->reply, util_mono_us());
	parse(a, line, size);
}

int
asks_polls(const struct asks *asks, struct pollfd *polls)
{
	for (int i = 0; i < asks->count; i++)
		polls[i] = (struct pollfd){ .fd = asks->ask[i]->reply.fd, .events = POLLOUT };
	return asks->count;
}

void
asks_serve(struct asks *asks, struct spool *spool)
{
	for (int i = 0; i < asks->count;) {
		struct ask *a = asks->ask[i];

		a->spool = spool;
		if (reply_send(&a->reply, write_more, a, util_mono_us()) == REPLY_WAITS) {
			i++;
			continue;
		}
		close(a->reply.fd);
		tally_release(&a->tally);
		free(a);
		asks->ask[i] = asks->ask[--asks->count];
	}
}
