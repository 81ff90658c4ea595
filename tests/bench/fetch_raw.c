/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

#include <arpa/inet.h>
#include <netinet/in.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fetch.h"

/* Where a URL of the form SCHEME://A.B.C.D:PORT/PATH leads. */
struct target {
	bool tls;
	char host[16];
	unsigned short port;
	const char *path;
};

static struct timeval timeout;
static SSL_CTX *tls;

static void
start(const struct fetch_options *options)
{
	timeout.tv_sec = options->timeout_ms / 1000;
	timeout.tv_usec = options->timeout_ms % 1000 * 1000;
	if (options->ca_file == NULL)
		return;
	tls = SSL_CTX_new(TLS_client_method());
	if (tls == NULL || SSL_CTX_load_verify_file(tls, options->ca_file) != 1) {
		ERR_print_errors_fp(stderr);
		exit(EXIT_FAILURE);
	}
	SSL_CTX_set_verify(tls, SSL_VERIFY_PEER, NULL);
	SSL_CTX_set_session_cache_mode(tls, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_options(tls, SSL_OP_IGNORE_UNEXPECTED_EOF);
}

static bool
parse(const char *url, struct target *t)
{
	char scheme[6];
	int path = 0;

	if (sscanf(url, "%5[a-z]://%15[0-9.]:%hu%n", scheme, t->host, &t->port, &path) != 3)
		return false;
	t->tls = strcmp(scheme, "https") == 0;
	t->path = url + path;
	return true;
}

static int
connect_to(const struct target *t)
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons(t->port) };
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	inet_pton(AF_INET, t->host, &address.sin_addr);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof(timeout));
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0)
		return fd;
	close(fd);
	return -1;
}

static SSL *
shake_hands(const struct target *t, int fd)
{
	SSL *ssl = SSL_new(tls);

	X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), t->host);
	SSL_set_fd(ssl, fd);
	if (SSL_connect(ssl) == 1)
		return ssl;
	SSL_free(ssl);
	return NULL;
}

/* Ask on an open connection, and read until the server closes it. */
static bool
ask(const struct target *t, int fd, SSL *ssl)
{
	char buffer[16384];
	bool good = false, first = true;
	int n = snprintf(buffer, sizeof(buffer),
	    "GET %s HTTP/1.1\r\nHost: %s:%hu\r\nConnection: close\r\n\r\n", t->path, t->host,
	    t->port);

	if ((ssl != NULL ? SSL_write(ssl, buffer, n) : (int)send(fd, buffer, (size_t)n, 0)) != n)
		return false;
	while ((n = ssl != NULL ? SSL_read(ssl, buffer, sizeof(buffer))
				: (int)recv(fd, buffer, sizeof(buffer), 0)) > 0) {
		good = first ? n > 12 && memcmp(buffer + 8, " 200", 4) == 0 : good;
		first = false;
	}
	return good && (n == 0 || (ssl != NULL && SSL_get_error(ssl, n) == SSL_ERROR_ZERO_RETURN));
}

static bool
get(const char *url)
{
	struct target t;
	bool good = false;
	SSL *ssl = NULL;
	int fd;

	if (!parse(url, &t) || (fd = connect_to(&t)) < 0)
		return false;
	if (!t.tls || (ssl = shake_hands(&t, fd)) != NULL)
		good = ask(&t, fd, ssl);
	SSL_free(ssl);
	close(fd);
	return good;
}

const struct fetch fetch_raw = { "raw", start, get };
