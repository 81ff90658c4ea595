/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * The files of sites. Called by probe_run() and in the validation child; nothing is fatal: what
 * cannot be used becomes a sentence, which never shows what is in a file.
 */
#include "files.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "pem.h"
#include "proc.h"

#define KIB 1024

/* --- what is in a file ------------------------------------------------------------------- */

/* These return what is wrong with a file, or NULL; in `*line`, if it is in a line. */

static bool
has_control(const char *text, size_t size)
{
	for (size_t i = 0; i < size; i++)
		if ((unsigned char)text[i] < 0x20 || text[i] == 0x7f)
			return true;
	return false;
}

static const char *
take_line(struct file *file, int *line)
{
	size_t n = file->size;

	(void)line;
	if (n > 0 && file->text[n - 1] == '\n')
		n -= n > 1 && file->text[n - 2] == '\r' ? 2 : 1;
	file->text[n] = '\0';
	file->size = n; /* what is masked has no line break */
	if (has_control(file->text, n))
		return "must be a single line without control characters";
	return n > 0 ? NULL : "is empty; write the secret into it, as a single line";
}

static const char *
take_bytes(struct file *file, int *line)
{
	(void)line;
	return file->size > 0 ? NULL : "is empty";
}

/* Blank lines and those that begin with # are not headers. */
static const char *
take_headers(struct file *file, int *line)
{
	char *text = file->text, *end = text + file->size;
	size_t n = 0, room = 2;
	const char *why;

	for (const char *c = text; c < end; c++)
		room += *c == '\n';
	file->lines = xcalloc(room, sizeof(*file->lines));
	for (*line = 1; text < end; ++*line) {
		char *stop = memchr(text, '\n', (size_t)(end - text)), *last;

		if (stop == NULL)
			stop = end;
		for (last = stop; last > text && strchr(" \t\r", last[-1]) != NULL;)
			*--last = '\0';
		*stop = '\0';
		if (has_control(text, (size_t)(last - text)))
			return "contains a control character";
		if (last > text && *text != '#') {
			why = config_wrong_header(text);
			if (why != NULL)
				return why;
			file->lines[n++] = text;
		}
		text = stop + 1;
	}
	*line = 0;
	return n > 0 ? NULL : "has no header in it; write lines \"Name: value\"";
}

/* --- the table --------------------------------------------------------------------------- */

/* One key that names a file. */
static const struct row {
	const char *key;
	size_t field; /* of struct site: its path */
	size_t max;   /* bytes */
	const char *(*take)(struct file *file, int *line);
	/* What else is wrong, if that costs too much to be asked for each check. */
	const char *(*check)(const char *text, size_t size);
	int auths; /* only with these words of `auth`; 0: with any */
	bool secret;
	bool by_libcurl; /* it reads the file */
} rows[FILE_COUNT] = {
	[FILE_BODY] = { "body_file", offsetof(struct site, body_file), 1024 * KIB,
	    .take = take_bytes },
	[FILE_HEADERS] = { "header_file", offsetof(struct site, header_file), 64 * KIB,
	    .take = take_headers, .secret = true },
	[FILE_PASSWORD] = { "password_file", offsetof(struct site, password_file), 16 * KIB,
	    .take = take_line, .auths = 1 << AUTH_BASIC | 1 << AUTH_DIGEST, .secret = true },
	[FILE_TOKEN] = { "token_file", offsetof(struct site, token_file), 64 * KIB,
	    .take = take_line, .auths = 1 << AUTH_BEARER, .secret = true },
	[FILE_CA] = { "ca_file", offsetof(struct site, ca_file), 1024 * KIB, .take = take_bytes,
	    .check = pem_wrong_certificates, .by_libcurl = true },
	[FILE_CERT] = { "client_cert", offsetof(struct site, client_cert), 64 * KIB,
	    .take = take_bytes, .check = pem_wrong_certificates },
	[FILE_KEY] = { "client_key", offsetof(struct site, client_key), 64 * KIB,
	    .take = take_bytes, .check = pem_wrong_key, .secret = true },
	[FILE_PROXY_PASSWORD] = { "proxy_password_file", offsetof(struct site, proxy_password_file),
	    16 * KIB, .take = take_line, .secret = true },
};

/* The path of `key`; NULL: `site` has none, or does not use it. */
static const char *
path_of(const struct site *site, enum file_key key)
{
	const struct row *row = &rows[key];

	if (row->auths != 0 && (row->auths & 1 << site->auth) == 0)
		return NULL;
	return *(const char *const *)((const char *)site + row->field);
}

static void
forget(struct file *file)
{
	if (file->text != NULL)
		explicit_bzero(file->text, file->size);
	free(file->text);
	free(file->lines);
	*file = (struct file){ 0 };
}

void
files_forget(struct file files[FILE_COUNT])
{
	for (int key = 0; key < FILE_COUNT; key++)
		forget(&files[key]);
}

/* Read the file of `row`. Returns false with the fault noted if it cannot be used. */
static bool
read_file(const struct row *row, const char *path, struct file *file, mode_t *mode,
    struct file_fault *fault)
{
	char reader[128];
	const char *why;

	file->text = util_read_file(path, row->max, &file->size, mode, &why);
	if (file->text != NULL) {
		why = row->take(file, &fault->line);
		if (why != NULL && fault->line > 0)
			snprintf(fault->text, sizeof(fault->text), "%s", why);
		else if (why != NULL)
			snprintf(fault->text, sizeof(fault->text), "\"%s\" %s", path, why);
		return why == NULL;
	}
	fault->walled = errno == EACCES && euidaccess(path, R_OK) == 0;
	if (file->size > row->max)
		snprintf(fault->text, sizeof(fault->text),
		    "\"%s\" is larger than %zu KiB, which is as much as is read", path,
		    row->max / KIB);
	else
		snprintf(fault->text, sizeof(fault->text), "cannot read \"%s\": %s%s", path, why,
		    proc_name_reader(path, reader, sizeof(reader)));
	file->size = 0;
	return false;
}

int
files_read(struct file files[FILE_COUNT], const struct site *site, struct file_fault *fault)
{
	mode_t mode;

	for (int key = 0; key < FILE_COUNT; key++) {
		const char *path = path_of(site, key);

		if (path == NULL || rows[key].by_libcurl ||
		    read_file(&rows[key], path, &files[key], &mode, fault))
			continue;
		fault->key = rows[key].key;
		fault->path = path;
		return -1;
	}
	return 0;
}

/* --- validation -------------------------------------------------------------------------- */

/* As read_file(), and what is in it. */
static bool
check_file(const struct row *row, const char *path, struct file *file, mode_t *mode,
    struct file_fault *fault)
{
	const char *why = NULL;

	fault->key = row->key;
	fault->path = path;
	if (!read_file(row, path, file, mode, fault))
		return false;
	if (row->check != NULL)
		why = row->check(file->text, file->size);
	if (why != NULL)
		snprintf(fault->text, sizeof(fault->text), "\"%s\" %s", path, why);
	return why == NULL;
}

/* The certificate of the client and its key, which may be in the same file. */
static bool
check_pair(const struct site *site, struct file_fault *fault)
{
	const char *cert_path = site->client_cert, *key_path = site->client_key, *why = NULL;
	struct file files[FILE_COUNT] = { 0 };
	struct file *cert = &files[FILE_CERT], *key = &files[FILE_KEY];
	mode_t mode;

	fault->key = rows[key_path != NULL ? FILE_KEY : FILE_CERT].key;
	if (!read_file(&rows[FILE_CERT], cert_path, cert, &mode, fault) ||
	    (key_path != NULL && !read_file(&rows[FILE_KEY], key_path, key, &mode, fault)))
		; /* told already */
	else if (key_path == NULL && !pem_has_key(cert->text))
		why = "has no private key in it; name the file with the key in client_key";
	else if (key_path == NULL && (why = pem_wrong_key(cert->text, cert->size)) != NULL)
		; /* told below */
	else if (key_path == NULL)
		why = pem_wrong_pair(cert->text, cert->size, cert->text, cert->size);
	else
		why = pem_wrong_pair(cert->text, cert->size, key->text, key->size);
	if (why != NULL)
		snprintf(fault->text, sizeof(fault->text), "\"%s\" %s",
		    key_path != NULL ? key_path : cert_path, why);
	files_forget(files);
	return why == NULL;
}

bool
files_find_fault(const struct site *site, struct file_fault *fault)
{
	bool good = true;

	for (int key = 0; good && key < FILE_COUNT; key++) {
		struct file file = { 0 };
		mode_t mode;

		if (path_of(site, key) != NULL)
			good = check_file(&rows[key], path_of(site, key), &file, &mode, fault);
		forget(&file);
	}
	return !good || (site->client_cert != NULL && !check_pair(site, fault));
}

/* Who else may read a secret, or write what we read? */
static void
check_mode(const struct row *row, struct origin at, const struct file *file, const char *path,
    mode_t mode, struct mistakes *mistakes)
{
	bool secret = row->secret ||
		      (row == &rows[FILE_CERT] && file->text != NULL && pem_has_key(file->text));

	if (!S_ISREG(mode))
		return; /* told already */
	if (secret && (mode & S_IROTH) != 0)
		mistakes_add(mistakes, at, "%s: everybody can read \"%s\"; do: chmod o-rwx %s",
		    row->key, path, path);
	else if ((mode & S_IWOTH) != 0)
		mistakes_add(mistakes, at, "%s: everybody can write \"%s\"; do: chmod o-w %s",
		    row->key, path, path);
}

static bool
has_authorization(const struct file *file)
{
	for (size_t i = 0; file->lines != NULL && file->lines[i] != NULL; i++)
		if (strncasecmp(file->lines[i], "Authorization:", strlen("Authorization:")) == 0)
			return true;
	return false;
}

/* Whether a file of `site` is to be told of: one of `defaults` is told of there. */
static bool
is_own(const struct site *site, const struct site *defaults, enum file_key key)
{
	const char *path = path_of(site, key);

	return path != NULL && (site == defaults || path != path_of(defaults, key));
}

/* Returns whether the file of `key` is good. */
static bool
validate_file(const struct site *site, enum file_key key, struct mistakes *mistakes)
{
	const struct row *row = &rows[key];
	const char *path = path_of(site, key);
	struct origin at = config_origin(&site->at, row->key);
	struct file_fault fault = { 0 };
	struct file file = { 0 };
	size_t before = mistakes->count;
	mode_t mode;

	if (!check_file(row, path, &file, &mode, &fault))
		mistakes_add(mistakes, fault.line > 0 ? (struct origin){ path, fault.line } : at,
		    "%s: %s", row->key, fault.text);
	if (site->auth != AUTH_NONE && has_authorization(&file))
		mistakes_add(mistakes, at, "%s: auth sets Authorization too; leave one of them out",
		    row->key);
	check_mode(row, at, &file, path, mode, mistakes);
	forget(&file);
	return mistakes->count == before;
}

/* header_file is that of `defaults`, which has no auth, and is told of there if it is not good. */
static void
check_header_file_of_defaults(const struct site *site, struct mistakes *mistakes)
{
	struct file_fault fault = { 0 };
	struct file file = { 0 };
	mode_t mode;

	if (read_file(&rows[FILE_HEADERS], site->header_file, &file, &mode, &fault) &&
	    has_authorization(&file))
		mistakes_add(mistakes, config_origin(&site->at, "auth"),
		    "auth: header_file (of defaults) has an Authorization too; leave one of them "
		    "out");
	forget(&file);
}

/*
 * A bundle of CA certificates takes 20 ms, and a thousand sites may name the same one: good ones
 * are remembered, in the process that validates once.
 */
static void
validate_ca_file(const struct site *site, struct mistakes *mistakes)
{
	static char *good[256];
	const char *path = path_of(site, FILE_CA);
	char **known = &good[util_hash(path) % ARRAY_LENGTH(good)];

	if ((*known != NULL && strcmp(*known, path) == 0) ||
	    !validate_file(site, FILE_CA, mistakes))
		return;
	free(*known);
	*known = xstrdup(path);
}

void
files_validate(const struct site *site, const struct site *defaults, struct mistakes *mistakes)
{
	size_t before = mistakes->count;
	struct file_fault fault = { 0 };

	for (int key = 0; key < FILE_COUNT; key++)
		if (is_own(site, defaults, key) && key == FILE_CA)
			validate_ca_file(site, mistakes);
		else if (is_own(site, defaults, key))
			validate_file(site, key, mistakes);
		else if (key == FILE_HEADERS && site->header_file != NULL &&
			 site->auth != AUTH_NONE && defaults->auth == AUTH_NONE)
			check_header_file_of_defaults(site, mistakes);
	if (mistakes->count == before && site->client_cert != NULL &&
	    (is_own(site, defaults, FILE_CERT) || is_own(site, defaults, FILE_KEY)) &&
	    !check_pair(site, &fault))
		mistakes_add(
		    mistakes, config_origin(&site->at, fault.key), "%s: %s", fault.key, fault.text);
}
