/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * Files of certificates and keys in PEM form: what is wrong with them. Static sentences, which
 * begin with a verb, as "has no certificate in it"; NULL: nothing. A passphrase is never asked for.
 */
#ifndef WEBMOND_PEM_H
#define WEBMOND_PEM_H

#include <stdbool.h>
#include <stddef.h>

/* All certificates in `text` must be readable, and there must be one. */
const char *pem_wrong_certificates(const char *text, size_t size);

/* The first private key. */
const char *pem_wrong_key(const char *text, size_t size);

/* Whether there is a private key in `text`, of whatever kind. */
bool pem_has_key(const char *text);

/* The first certificate of `text` must be for the private key in `key`. */
const char *pem_wrong_pair(const char *text, size_t size, const char *key, size_t key_size);

#endif
