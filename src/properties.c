/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * Kafka's properties. Called by kafka.c; nothing is fatal, every mistake becomes a line.
 */
#include "properties.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

/* A properties file longer than this is none. */
#define FILE_MAX (1024 * 1024)

struct gathering {
	struct mistakes *mistakes;
	void (*set)(void *arg, struct origin at, const char *name, const char *value);
	void *arg;
};

static bool
ends_with(const char *s, const char *end)
{
	size_t n = strlen(s), m = strlen(end);

	return n >= m && strcmp(s + n - m, end) == 0;
}

/* "all" in "broker,all" */
static bool
has_word(const char *list, const char *word)
{
	size_t n = strlen(word);

	for (const char *c = list; *c != '\0'; c += *c != '\0') {
		size_t length = strcspn(c, ", ");

		if (length == n && strncasecmp(c, word, n) == 0)
			return true;
		c += length;
	}
	return false;
}

/* What would break a promise: lost records, foreign code, an unchecked broker. NULL: fine. */
static const char *
why_refused(const char *name, const char *value)
{
	static const struct {
		const char *name, *why;
	} refused[] = {
		{ "enable.idempotence", "webmond needs it as it is: without it records repeat" },
		{ "acks", "webmond needs all: with less, records are lost" },
		{ "request.required.acks", "webmond needs all: with less, records are lost" },
		{ "message.timeout.ms", "the spool decides how long a record is kept" },
		{ "delivery.timeout.ms", "the spool decides how long a record is kept" },
		{ "plugin.library.paths", "webmond loads no code into the process with the keys" },
		{ "interceptors", "webmond loads no code into the process with the keys" },
		{ "ssl.engine.location", "webmond loads no code into the process with the keys" },
		{ "transactional.id", "webmond sends without transactions" },
	};

	for (size_t i = 0; i < ARRAY_LENGTH(refused); i++)
		if (strcmp(name, refused[i].name) == 0)
			return refused[i].why;
	if (strcmp(name, "debug") == 0 && has_word(value, "all"))
		return "\"all\" writes secrets to the log; name single contexts";
	if (strcmp(name, "enable.ssl.certificate.verification") == 0 &&
	    strcasecmp(value, "true") != 0)
		return "an unchecked broker could be anybody; set ssl.ca.location";
	return NULL;
}

bool
property_is_secret(const char *name)
{
	static const char *const endings[] = { "password", "secret", ".key.pem",
		"oauthbearer.config", "sasl.jaas.config", "ssl_key" };

	for (size_t i = 0; i < ARRAY_LENGTH(endings); i++)
		if (ends_with(name, endings[i]))
			return true;
	return false;
}

/* Files that properties name: readable by us, and a key by nobody else. */
static void
check_file(struct gathering *g, struct origin at, const char *name, const char *path)
{
	struct stat st;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);

	if (fd < 0) {
		mistakes_add(
		    g->mistakes, at, "%s: cannot read \"%s\": %s", name, path, strerror(errno));
		return;
	}
	if (fstat(fd, &st) == 0) {
		if (S_ISDIR(st.st_mode) && strcmp(name, "ssl.ca.location") != 0)
			mistakes_add(g->mistakes, at, "%s: \"%s\" is a directory", name, path);
		else if ((st.st_mode & S_IROTH) != 0 &&
			 (strstr(name, "key.") != NULL || strstr(name, "keystore.") != NULL))
			mistakes_add(g->mistakes, at,
			    "%s: everybody can read \"%s\"; do: chmod o-rwx %s", name, path, path);
	}
	close(fd);
}

/* `dir`: what relative file names are relative to, with its slash; "" for none. */
static void
set_property(
    struct gathering *g, struct origin at, const char *dir, const char *name, const char *value)
{
	const char *refusal = why_refused(name, value);
	char *path = NULL;

	if (refusal != NULL) {
		mistakes_add(g->mistakes, at, "%s: %s", name, refusal);
		return;
	}
	if (ends_with(name, ".location") && value[0] != '\0') {
		path = value[0] == '/' ? xstrdup(value) : xasprintf("%s%s", dir, value);
		check_file(g, at, name, path);
	}
	g->set(g->arg, at, name, path != NULL ? path : value);
	free(path);
}

static char *
trim(char *s)
{
	size_t n;

	s += strspn(s, " \t\r");
	n = strlen(s);
	while (n > 0 && strchr(" \t\r", s[n - 1]) != NULL)
		s[--n] = '\0';
	return s;
}

/* The directory of `path` with its slash, or "". */
static char *
directory_of(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash != NULL ? xasprintf("%.*s", (int)(slash - path + 1), path) : xstrdup("");
}

/* The text, to be freed, or NULL with the reason. */
static char *
read_file(const char *path, struct stat *st, const char **why)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	char *text = NULL;
	ssize_t n = -1;

	*why = NULL;
	if (fd >= 0 && fstat(fd, st) == 0) {
		if (!S_ISREG(st->st_mode))
			*why = "it is not a file";
		else if (st->st_size > FILE_MAX)
			*why = "it is larger than 1 MiB";
		else {
			text = xcalloc(1, (size_t)st->st_size + 1);
			n = read(fd, text, (size_t)st->st_size);
		}
	}
	if (*why == NULL && n < 0)
		*why = strerror(errno);
	else if (*why == NULL && strlen(text) < (size_t)n)
		*why = "it contains a NUL byte";
	if (fd >= 0)
		close(fd);
	if (*why == NULL)
		return text;
	free(text);
	return NULL;
}

/* name=value lines, as `kcat -F` reads them. */
static bool
read_properties_file(struct gathering *g, const struct config *config)
{
	const char *path = config->kafka_properties_file, *why;
	struct origin at = { path, 0 };
	struct stat st = { 0 };
	char *text = read_file(path, &st, &why), *dir = directory_of(path);
	char *next = text;
	bool open_to_all = (st.st_mode & S_IROTH) != 0, read = text != NULL;

	if (!read)
		mistakes_add(g->mistakes,
		    (struct origin){ config->file, config->kafka_properties_file_line },
		    "properties_file: cannot read \"%s\": %s", path, why);
	else if ((st.st_mode & S_IWOTH) != 0)
		mistakes_add(g->mistakes, (struct origin){ path, 1 },
		    "everybody can write this file; do: chmod o-w %s", path);
	while (next != NULL) {
		char *line = strsep(&next, "\n"), *equals;

		at.line++;
		line = trim(line);
		if (line[0] == '\0' || line[0] == '#')
			continue;
		equals = strchr(line, '=');
		if (equals == NULL || equals == line) {
			mistakes_add(g->mistakes, at, "must look like name=value");
			continue;
		}
		*equals = '\0';
		line = trim(line);
		if (open_to_all && (property_is_secret(line) || strncmp(line, "sasl.", 5) == 0)) {
			mistakes_add(g->mistakes, at,
			    "%s: everybody can read this file; do: chmod o-rwx %s", line, path);
			open_to_all = false; /* once is enough */
		}
		set_property(g, at, dir, line, trim(equals + 1));
	}
	free(dir);
	free(text);
	return read;
}

bool
properties_read(const struct config *config, struct mistakes *mistakes,
    void (*set)(void *arg, struct origin at, const char *name, const char *value), void *arg)
{
	struct gathering g = { mistakes, set, arg };
	char *dir = directory_of(config->file);
	bool read = config->kafka_properties_file == NULL || read_properties_file(&g, config);

	for (size_t i = 0; i < config->kafka_property_count; i++) {
		const struct property *p = &config->kafka_properties[i];

		if (property_is_secret(p->name))
			mistakes_add(mistakes, p->at,
			    "%s: is a secret; put it into properties_file", p->name);
		else
			set_property(&g, p->at, dir, p->name, p->value);
	}
	free(dir);
	return read;
}
