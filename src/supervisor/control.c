/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * The control socket and its clients, see control.h. Nothing is fatal: without it webmond does its
 * work all the same.
 */
#include "control.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "log.h"
#include "state.h"

#define REQUEST_US (5 * US_PER_S)   /* for the whole request */
#define HURRY_US   (US_PER_S / 2)   /* likewise, while most places are taken */
#define RELOAD_US  (300 * US_PER_S) /* for one that runs, and the one after it */

/* So many may wait for a reload: others want an answer meanwhile. */
#define WAITING_MAX (CONTROL_CLIENTS / 2)

#define SPOOL_REQUEST_MAX 64

#define BACKLOG   128
#define TURN_US   (5 * US_PER_MS) /* for all clients, in one turn of the loop */
#define ACCEPT_US (1 * US_PER_S)  /* after a failure */

/* --- the socket -------------------------------------------------------------------------- */

static struct sockaddr_un
address_of(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };

	memcpy(address.sun_path, path, strnlen(path, sizeof(address.sun_path) - 1));
	return address;
}

/* Why there can be no socket in the directory of `path`, which is made if need be; or NULL. */
static const char *
make_directory(const char *path)
{
	char *directory = util_directory_of(path);
	const char *name = directory[0] != '\0' ? directory : ".", *why = NULL;
	struct stat st;

	if (mkdir(name, 0750) < 0 && errno != EEXIST)
		why = strerror(errno);
	else if (stat(name, &st) < 0)
		why = strerror(errno);
	else if ((st.st_mode & (S_IWOTH | S_ISVTX)) == S_IWOTH)
		why = "everybody could replace it in this directory";
	free(directory);
	return why;
}

/* Why `path` is not free, or NULL. The socket of a dead daemon is removed, and nothing else. */
static const char *
make_free(const char *path)
{
	struct sockaddr_un address = address_of(path);
	struct stat st;
	int fd;
	bool lives;

	if (lstat(path, &st) < 0)
		return errno == ENOENT ? NULL : strerror(errno);
	if (!S_ISSOCK(st.st_mode))
		return "something else has this name";
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return strerror(errno);
	lives = connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0 ||
		errno != ECONNREFUSED;
	close(fd);
	if (lives)
		return "another daemon listens there";
	return unlink(path) < 0 ? strerror(errno) : NULL;
}

static const char *
listen_at(struct control *c, const char *path)
{
	struct sockaddr_un address = address_of(path);
	const char *why = make_directory(path);
	struct stat st;
	mode_t mask;
	int bound;

	if (why == NULL)
		why = make_free(path);
	if (why != NULL)
		return why;
	c->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (c->fd < 0)
		return strerror(errno);
	mask = umask(0117); /* 0660 */
	bound = bind(c->fd, (struct sockaddr *)&address, sizeof(address));
	umask(mask);
	if (bound < 0 || listen(c->fd, BACKLOG) < 0 || lstat(path, &st) < 0) {
		why = strerror(errno);
		close(c->fd);
		c->fd = -1;
		return why;
	}
	c->path = xstrdup(path);
	c->device = st.st_dev;
	c->inode = st.st_ino;
	return NULL;
}

/*
 * As root: directory and socket get the group of the publisher's user by our own group, because our
 * capabilities do not allow chown(2).
 */
void
control_open(struct supervisor *s)
{
	const struct proc_user *user = &s->start->publisher_user;
	const gid_t group = getegid();
	const char *path = s->config->control_socket, *why;

	s->control.config = s->config;
	s->control.fd = -1;
	if (path == NULL || s->start->once)
		return;
	if (user->drop && setegid(user->gid) < 0)
		log_warning("control: only root can use the socket: cannot give it to the group of "
			    "\"%s\": %s",
		    user->name, strerror(errno));
	why = listen_at(&s->control, path);
	if (user->drop)
		(void)!setegid(group);
	if (why != NULL)
		log_warning("control: cannot listen on \"%s\": %s; webmondctl will find no daemon; "
			    "see control in webmond.conf(5)",
		    path, why);
	else
		log_debug("control: listening on \"%s\"", path);
}

static void
close_socket(struct control *c)
{
	struct stat st;

	if (c->fd < 0)
		return;
	if (lstat(c->path, &st) == 0 && st.st_dev == c->device && st.st_ino == c->inode)
		unlink(c->path);
	close(c->fd);
	free(c->path);
	c->fd = -1;
	c->path = NULL;
}

/* A reload may name another path; and it makes the socket anew if somebody has removed it. */
static void
follow_config(struct supervisor *s)
{
	struct control *c = &s->control;
	struct stat st;

	if (c->config == s->config)
		return;
	c->config = s->config;
	if (c->fd >= 0 && s->config->control_socket != NULL &&
	    strcmp(c->path, s->config->control_socket) == 0 && lstat(c->path, &st) == 0 &&
	    st.st_dev == c->device && st.st_ino == c->inode)
		return;
	close_socket(c);
	control_open(s);
}

/* --- clients ----------------------------------------------------------------------------- */

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
	close_socket(&s->control);
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
pass_on(struct supervisor *s, struct client *client, size_t size)
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
	if (ask_publisher(s, client->in, size, client->reply.fd))
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
		*gone = pass_on(s, client, size);
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

	follow_config(s);
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
