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

#include "proc.h"

/* A properties file longer than this is none. */
#define FILE_MAX (1024 * 1024)

struct reader {
	struct mistakes *mistakes;
	void (*set)(void *arg, struct origin at, const char *name, const char *value);
	void *arg;
	bool has_servers;
};

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
check_file(struct reader *r, struct origin at, const char *name, const char *path)
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

/* Cut "name = value" in two. Returns the value, or NULL with the mistake noted. */
static char *
cut(struct reader *r, struct origin at, char *line)
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

/* `dir`: what relative file names are relative to, with its slash; "" for none. */
static void
set_property(
    struct reader *r, struct origin at, const char *dir, const char *name, const char *value)
{
	const char *refusal = property_why_refused(name, value);
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

/* name=value lines, as `kcat -F` reads them. */
static void
read_properties_file(struct reader *r, const struct config *config)
{
	const char *path = config->kafka_properties_file, *why;
	struct origin at = { path, 1 };
	char *dir = util_directory_of(path), *value;
	size_t size;
	mode_t mode;
	char *text = util_read_file(path, FILE_MAX, &size, &mode, &why), *next = text;
	bool open_to_all = (mode & S_IROTH) != 0;
	char reader[128];

	if (text == NULL || strlen(text) < size) {
		mistakes_add(r->mistakes, config_origin(&config->at, "kafka.properties_file"),
		    "properties_file: cannot read \"%s\": %s%s", path,
		    text == NULL ? why : "it contains a NUL byte",
		    proc_name_reader(path, reader, sizeof(reader)));
		r->has_servers = true; /* perhaps: it is not known */
	}
	if ((mode & S_IWOTH) != 0)
		mistakes_add(
		    r->mistakes, at, "everybody can write this file; do: chmod o-w %s", path);
	for (; next != NULL; at.line++) {
		char *line = trim(strsep(&next, "\n"));

		if (line[0] == '\0' || line[0] == '#' || (value = cut(r, at, line)) == NULL)
			continue;
		if (open_to_all && (property_is_secret(line) || strncmp(line, "sasl.", 5) == 0)) {
			mistakes_add(r->mistakes, at,
			    "%s: everybody can read this file; do: chmod o-rwx %s", line, path);
			open_to_all = false; /* once is enough */
		}
		set_property(r, at, dir, line, value);
	}
	free(dir);
	free(text);
}

void
properties_read(const struct config *config, struct mistakes *mistakes,
    void (*set)(void *arg, struct origin at, const char *name, const char *value), void *arg)
{
	struct reader r = { mistakes, set, arg, false };
	char *dir = util_directory_of(config->file);

	if (config->kafka_properties_file != NULL)
		read_properties_file(&r, config);
	for (size_t i = 0; i < config->kafka_property_count; i++) {
		struct origin at = config->kafka_properties[i].at;
		char *line = xstrdup(config->kafka_properties[i].value), *value;

		if ((value = cut(&r, at, line)) == NULL)
			; /* reported */
		else if (property_is_secret(line))
			mistakes_add(
			    mistakes, at, "%s: is a secret; put it into properties_file", line);
		else
			set_property(&r, at, dir, line, value);
		free(line);
	}
	free(dir);
	if (!r.has_servers)
		mistakes_add(mistakes, config_origin(&config->at, "kafka"),
		    "kafka: no broker: set bootstrap.servers in properties_file or properties");
}
