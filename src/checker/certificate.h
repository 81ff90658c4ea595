/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/* What the certificates of a connection say, for tls.c; see also probe_internal.h. */
#ifndef WEBMOND_CERTIFICATE_H
#define WEBMOND_CERTIFICATE_H

#include <openssl/ssl.h>

struct probe;

/* In the handshake of `ssl`: note what the site's certificate and its chain say. */
void certificate_see(struct probe *p, SSL *ssl, X509 *leaf, const STACK_OF(X509) * chain);

/*
 * Print which certificate it is, whose and a date, as in "an intermediate, CN=Authority, on
 * 2026-11-25". `depth` is where in the chain it stands; 0: at its beginning.
 */
void certificate_print(
    char *out, size_t size, X509 *certificate, int depth, const char *when, const ASN1_TIME *t);

#endif
