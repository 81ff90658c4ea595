/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * The control socket, see control.h. Called by the supervisor's loop through control.c, and at its
 * start. Nothing is fatal: without it webmond does its work all the same.
 */
#include "control.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "log.h"
#include "state.h"

#define BACKLOG 128

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

void
control_close_socket(struct control *c)
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

void
control_follow_config(struct supervisor *s)
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
	control_close_socket(c);
	control_open(s);
}
