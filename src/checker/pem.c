/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * Certificates and keys, as far as OpenSSL can tell before a handshake. Called by files.c; nothing
 * is fatal.
 */
#include "pem.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <string.h>

/* OpenSSL's own would ask at the terminal. */
static int
refuse_passphrase(char *buffer, int size, int writes, void *asked)
{
	(void)buffer, (void)size, (void)writes;
	*(bool *)asked = true;
	return -1;
}

static X509 *
read_certificate(BIO *bio)
{
	bool asked = false;

	return PEM_read_bio_X509(bio, NULL, refuse_passphrase, &asked);
}

static EVP_PKEY *
read_key(const char *text, size_t size, bool *asked)
{
	BIO *bio = BIO_new_mem_buf(text, (int)size);
	EVP_PKEY *key = PEM_read_bio_PrivateKey(bio, NULL, refuse_passphrase, asked);

	BIO_free(bio);
	ERR_clear_error();
	return key;
}

const char *
pem_wrong_certificates(const char *text, size_t size)
{
	BIO *bio = BIO_new_mem_buf(text, (int)size);
	const char *wrong = NULL;
	X509 *certificate;
	int n = 0;

	for (; (certificate = read_certificate(bio)) != NULL; n++)
		X509_free(certificate);
	if (ERR_GET_REASON(ERR_peek_last_error()) != PEM_R_NO_START_LINE)
		wrong = "has a certificate in it that cannot be read";
	else if (n == 0)
		wrong = "has no certificate in PEM form in it (-----BEGIN CERTIFICATE-----)";
	BIO_free(bio);
	ERR_clear_error();
	return wrong;
}

const char *
pem_wrong_key(const char *text, size_t size)
{
	bool asked = false;
	EVP_PKEY *key = read_key(text, size, &asked);

	EVP_PKEY_free(key);
	if (asked)
		return "has a key with a passphrase, which nobody can type; take it away with "
		       "openssl pkey";
	return key != NULL ? NULL
			   : "has no private key in PEM form in it (-----BEGIN PRIVATE KEY-----)";
}

bool
pem_has_key(const char *text)
{
	return strstr(text, "PRIVATE KEY-----") != NULL;
}

const char *
pem_wrong_pair(const char *text, size_t size, const char *key_text, size_t key_size)
{
	BIO *bio = BIO_new_mem_buf(text, (int)size);
	bool asked = false;
	X509 *certificate = read_certificate(bio);
	EVP_PKEY *key = read_key(key_text, key_size, &asked);
	bool fits = certificate == NULL || key == NULL ||
		    X509_check_private_key(certificate, key) == 1;

	EVP_PKEY_free(key);
	X509_free(certificate);
	BIO_free(bio);
	ERR_clear_error();
	return fits ? NULL : "has the key of another certificate";
}
