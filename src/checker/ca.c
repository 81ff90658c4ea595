/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * The CA certificates that a site's certificate is verified with. libcurl reads their file for a
 * handshake and caches them in the multi handle for later ones, if the same file comes again:
 * without that cache a check over HTTPS costs twenty times as much. So there is a multi handle for
 * each file, up to some number, and a new one when the file was replaced. Nothing is fatal.
 */
#include "probe_internal.h"

#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util.h"

/* For ever: which file it is, is known here. */
#define CACHE_SECONDS (-1L)

/* For sites with keepalive; libcurl's default is four. */
#define KEPT_CONNECTIONS_MAX 1024L

/* A lookup takes two threads. With many more than can leak, no lookup waits for one. */
#define LOOKUP_THREADS_MAX 1000L

/* Certificates take up to five times the memory of their file; those of the system come on top. */
#define AUTHORITIES_BYTES_MAX (2560 * 1024)

/* The system's CA bundle: what libcurl was built with, else where distributions keep it. */
static const char *
find_file(void)
{
	static const char *const known[] = { "/etc/ssl/certs/ca-certificates.crt",
		"/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/ca-bundle.pem", "/etc/ssl/cert.pem" };
	CURL *curl = curl_easy_init();
	const char *built_in = NULL; /* static text */

	if (curl != NULL)
		curl_easy_getinfo(curl, CURLINFO_CAINFO, &built_in);
	curl_easy_cleanup(curl);
	if (built_in != NULL && access(built_in, R_OK) == 0)
		return built_in;
	for (size_t i = 0; i < ARRAY_LENGTH(known); i++)
		if (access(known[i], R_OK) == 0)
			return known[i];
	return built_in;
}

static CURLM *
new_multi(void)
{
	CURLM *multi = curl_multi_init();

	curl_multi_setopt(multi, CURLMOPT_MAXCONNECTS, KEPT_CONNECTIONS_MAX);
#if LIBCURL_VERSION_NUM >= 0x081400
	/*
	 * From 8.20 on it has threads for lookups. Without these two options a few lookups that
	 * hang occupy all threads, later ones wait until the timeout of their site is over, and the
	 * process waits for all of them when it exits.
	 */
	curl_multi_setopt(multi, CURLMOPT_RESOLVE_THREADS_MAX, LOOKUP_THREADS_MAX);
	curl_multi_setopt(multi, CURLMOPT_QUICK_EXIT, 1L);
#endif
	return multi;
}

static void
drop(struct authority *a)
{
	curl_multi_cleanup(a->multi);
	*a = (struct authority){ 0 };
}

/* That of `file`, or an empty place for it, or that of a file which has been unused longest. */
static struct authority *
find_place(struct probe *p, const char *file)
{
	struct authority *oldest = &p->authorities[1];

	if (file == p->ca_file)
		return &p->authorities[0]; /* of the system: it stays */
	for (size_t i = 1; i < PROBE_AUTHORITIES_MAX; i++) {
		struct authority *a = &p->authorities[i];

		if (a->file != NULL && strcmp(a->file, file) == 0)
			return a;
		if (a->used < oldest->used)
			oldest = a;
	}
	return oldest;
}

/* Zeros if there is no such file. */
static void
identify(struct file_identity *out, const char *file)
{
	struct stat st = { 0 };

	if (file != NULL)
		(void)!stat(file, &st);
	memset(out, 0, sizeof(*out)); /* to be compared as bytes */
	out->device = st.st_dev;
	out->inode = st.st_ino;
	out->size = st.st_size;
	out->modified = st.st_mtim;
	out->changed = st.st_ctim;
}

static int64_t
bytes_of_files(const struct probe *p)
{
	int64_t bytes = 0;

	for (size_t i = 1; i < PROBE_AUTHORITIES_MAX; i++)
		bytes += p->authorities[i].identity.size;
	return bytes;
}

/* Let those go that have been unused longest, until the others but `kept` need little memory. */
static void
make_room(struct probe *p, const struct authority *kept)
{
	while (bytes_of_files(p) > AUTHORITIES_BYTES_MAX) {
		struct authority *oldest = NULL;

		for (size_t i = 1; i < PROBE_AUTHORITIES_MAX; i++) {
			struct authority *a = &p->authorities[i];

			if (a != kept && a->multi != NULL &&
			    (oldest == NULL || a->used < oldest->used))
				oldest = a;
		}
		if (oldest == NULL)
			return;
		drop(oldest);
	}
}

/*
 * From now on the multi handle is that in which libcurl caches the certificates of `file`; NULL: no
 * memory. `look` whether the file has been replaced, which costs a system call.
 */
static void
use_multi(struct probe *p, const char *file, bool look)
{
	struct authority *a = find_place(p, file);
	bool known = a->multi != NULL && (a->file == file || strcmp(a->file, file) == 0);
	struct file_identity now;

	a->used = ++p->authority_uses;
	if (look || !known) {
		identify(&now, file);
		known = known && memcmp(&a->identity, &now, sizeof(now)) == 0;
	}
	if (!known) {
		drop(a);
		*a = (struct authority){ .file = file, .multi = new_multi() };
		a->number = a->used = p->authority_uses;
		memcpy(&a->identity, &now, sizeof(now));
		make_room(p, a);
	}
	p->multi = a->multi;
	p->authority = a->number;
}

bool
probe_ca_begin(struct probe *p)
{
	p->ca_file = find_file();
	use_multi(p, p->ca_file, true);
	return p->multi != NULL;
}

void
probe_ca_set(struct probe *p, bool verify, const char *file)
{
	CURL *curl = p->curl;
	/*
	 * libcurl looks for the host of the url; for server_name OpenSSL does: probe_tls_listen()
	 */
	bool verify_host = verify && (p->site == NULL || p->site->server_name == NULL);

	if (file == NULL)
		file = p->ca_file;
	use_multi(p, file, p->used_tls || file != p->ca_file);
	/* the cache works only without a directory of certificates */
	curl_easy_setopt(curl, CURLOPT_CAPATH, NULL);
	curl_easy_setopt(curl, CURLOPT_CAINFO, file);
	curl_easy_setopt(curl, CURLOPT_CA_CACHE_TIMEOUT, CACHE_SECONDS);
	curl_easy_setopt(curl, CURLOPT_SSL_VERIFYPEER, verify ? 1L : 0L);
	curl_easy_setopt(curl, CURLOPT_SSL_VERIFYHOST, verify_host ? 2L : 0L);
}

void
probe_ca_free(struct probe *p)
{
	for (size_t i = 0; i < PROBE_AUTHORITIES_MAX; i++)
		drop(&p->authorities[i]);
}

/* A socket whose other end is closed already. */
static curl_socket_t
open_dead_socket(void *arg, curlsocktype purpose, struct curl_sockaddr *address)
{
	int fd[2];

	(void)arg, (void)purpose, (void)address;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd) < 0)
		return CURL_SOCKET_BAD;
	close(fd[1]);
	return fd[0];
}

static int
is_connected(void *arg, curl_socket_t fd, curlsocktype purpose)
{
	(void)arg, (void)fd, (void)purpose;
	return CURL_SOCKOPT_ALREADY_CONNECTED;
}

/* Whether nothing has to go for `file`. */
static bool
has_room(struct probe *p, const char *file)
{
	struct file_identity now;

	identify(&now, file);
	return find_place(p, file)->file == NULL &&
	       bytes_of_files(p) + now.size <= AUTHORITIES_BYTES_MAX;
}

/* By a handshake over such a socket, which makes libcurl read the file and then fails. */
void
probe_load_ca(struct probe *p, const char *file)
{
	p->curl = file == NULL || has_room(p, file) ? curl_easy_init() : NULL;
	if (p->curl == NULL)
		return;
	curl_easy_setopt(p->curl, CURLOPT_URL, "https://127.0.0.1/");
	curl_easy_setopt(p->curl, CURLOPT_PROXY, "");
	curl_easy_setopt(p->curl, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(p->curl, CURLOPT_OPENSOCKETFUNCTION, open_dead_socket);
	curl_easy_setopt(p->curl, CURLOPT_SOCKOPTFUNCTION, is_connected);
	probe_ca_set(p, true, file);
	probe_perform(p);
	curl_easy_cleanup(p->curl);
}
