/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * Files of properties. Called by the publisher, the validation child and webmondctl; nothing is
 * fatal, every mistake becomes a line.
 */
#include "property_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proc.h"

/* A properties file longer than this is none. */
#define FILE_MAX (1024 * 1024)

static bool
ends_with(const char *s, const char *end)
{
	size_t n = strlen(s), m = strlen(end);

	return n >= m && strcmp(s + n - m, end) == 0;
}

bool
property_is_secret(const char *name)
{
	static const char *const endings[] = { "password", "passphrase", "secret", ".key.pem",
		"oauthbearer.config", "sasl.jaas.config", "ssl_key" };

	for (size_t i = 0; i < ARRAY_LENGTH(endings); i++)
		if (ends_with(name, endings[i]))
			return true;
	return false;
}

/* Whether its value is the name of a file that librdkafka reads. */
static bool
names_file(const char *name, const char *value)
{
	if (value[0] == '\0')
		return false;
	if (ends_with(name, "ca.location"))
		return strcmp(value, "probe") != 0; /* look for it where distributions have it */
	return ends_with(name, ".location") || ends_with(name, ".file") ||
	       strcmp(name, "sasl.kerberos.keytab") == 0;
}

/* Files that properties name: readable by us, and a key by nobody else. */
static void
check_file(struct property_reader *r, struct origin at, const char *name, const char *path)
{
	char reader[128];
	struct stat st;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);

	if (fd < 0) {
		const char *why = strerror(errno);

		mistakes_add(r->mistakes, at, "%s: cannot read \"%s\": %s%s", name, path, why,
		    proc_name_reader(path, reader, sizeof(reader)));
		return;
	}
	if (fstat(fd, &st) == 0) {
		if (S_ISDIR(st.st_mode) && !ends_with(name, "ca.location"))
			mistakes_add(r->mistakes, at, "%s: \"%s\" is a directory", name, path);
		else if ((st.st_mode & S_IROTH) != 0 &&
			 (strstr(name, "key.") != NULL || strstr(name, "keystore.") != NULL ||
			     strstr(name, "keytab") != NULL))
			mistakes_add(r->mistakes, at,
			    "%s: everybody can read \"%s\"; do: chmod o-rwx %s", name, path, path);
	}
	close(fd);
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

char *
property_cut(struct property_reader *r, struct origin at, char *line)
{
	char *equals = strchr(line, '=');

	if (equals == NULL || equals == line) {
		mistakes_add(r->mistakes, at, "a property must look like name=value");
		return NULL;
	}
	*equals = '\0';
	trim(line);
	return trim(equals + 1);
}

void
property_set(struct property_reader *r, struct origin at, const char *dir, const char *name,
    const char *value)
{
	const char *refusal = r->why_refused != NULL ? r->why_refused(name, value) : NULL;
	char *path = NULL;

	if (strcmp(name, "bootstrap.servers") == 0 || strcmp(name, "metadata.broker.list") == 0)
		r->has_servers = value[0] != '\0';
	if (refusal != NULL) {
		mistakes_add(r->mistakes, at, "%s: %s", name, refusal);
		return;
	}
	if (names_file(name, value)) {
		path = xasprintf("%s%s", value[0] == '/' ? "" : dir, value);
		check_file(r, at, name, path);
	}
	r->set(r->arg, at, name, path != NULL ? path : value);
	free(path);
}

bool
property_read_file(struct property_reader *r, const char *path, char *why, size_t size)
{
	struct origin at = { path, 1 };
	char *dir = util_directory_of(path), *value;
	const char *reason;
	size_t length;
	mode_t mode;
	char *text = util_read_file(path, FILE_MAX, &length, &mode, &reason), *next = text;
	bool open_to_all = (mode & S_IROTH) != 0, good = text != NULL && strlen(text) == length;
	char reader[128];

	if (!good)
		snprintf(why, size, "%s%s", text == NULL ? reason : "it contains a NUL byte",
		    proc_name_reader(path, reader, sizeof(reader)));
	if ((mode & S_IWOTH) != 0)
		mistakes_add(
		    r->mistakes, at, "everybody can write this file; do: chmod o-w %s", path);
	for (; next != NULL; at.line++) {
		char *line = trim(strsep(&next, "\n"));

		if (line[0] == '\0' || line[0] == '#' ||
		    (value = property_cut(r, at, line)) == NULL)
			continue;
		if (open_to_all && (property_is_secret(line) || strncmp(line, "sasl.", 5) == 0)) {
			mistakes_add(r->mistakes, at,
			    "%s: everybody can read this file; do: chmod o-rwx %s", line, path);
			open_to_all = false; /* once is enough */
		}
		property_set(r, at, dir, line, value);
	}
	free(dir);
	free(text);
	return good;
}
