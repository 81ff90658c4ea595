/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * What the certificates of a connection say. Called by tls.c in a handshake, and by exchange.c for
 * each request; nothing is fatal: what memory is too short for is not known.
 */
#include "certificate.h"

#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "probe_internal.h"
#include "util.h"

/* The site chooses how long the name of a certificate is; a record has room for this. */
#define SUBJECT_MAX (PROBE_CERTIFICATE_MAX - 64)

/* A connection shows its certificates once, and may be kept for many checks: it keeps them. */
struct shown {
	int64_t expires_us, chain_expires_us;
	char sha256[RESULT_SHA256_MAX + 1];
	char issuer[RESULT_ISSUER_MAX + 1];
	X509 *first; /* of the chain to end */
	int depth;   /* where it stands; 0: the site's own */
};

static void
free_shown(void *ssl, void *shown, CRYPTO_EX_DATA *data, int index, long number, void *arg)
{
	(void)ssl, (void)data, (void)index, (void)number, (void)arg;
	if (shown != NULL)
		X509_free(((struct shown *)shown)->first);
	free(shown);
}

/* Under which a connection keeps them. */
static int
shown_index(void)
{
	static int index = -1;

	if (index < 0)
		index = SSL_get_ex_new_index(0, NULL, NULL, NULL, free_shown);
	return index;
}

static int64_t
asn1_time_us(const ASN1_TIME *t)
{
	struct tm tm;

	if (t == NULL || ASN1_TIME_to_tm(t, &tm) != 1)
		return RESULT_NONE;
	return timegm(&tm) * US_PER_S;
}

/* "CN=shop.example,O=Shop", in UTF-8; "": it has no name. */
static void
print_name(char *out, size_t size, const X509_NAME *name)
{
	BIO *bio = BIO_new(BIO_s_mem());
	char *text = NULL;
	long n = 0;

	out[0] = '\0';
	if (bio != NULL && X509_NAME_print_ex(bio, name, 0,
			       XN_FLAG_RFC2253 & ~(unsigned long)ASN1_STRFLGS_ESC_MSB) >= 0)
		n = BIO_get_mem_data(bio, &text);
	if (n > 0)
		util_clean_text(out, size, text, (size_t)n);
	BIO_free(bio);
}

void
certificate_print(
    char *out, size_t size, X509 *certificate, int depth, const char *when, const ASN1_TIME *t)
{
	const char *whose = "the site's certificate";
	char subject[SUBJECT_MAX + 1], date[UTIL_RFC3339_SIZE] = "no date";
	int64_t us = asn1_time_us(t);

	if (depth > 0)
		whose = X509_get_extension_flags(certificate) & EXFLAG_SI ? "the root"
									  : "an intermediate";
	print_name(subject, sizeof(subject), X509_get_subject_name(certificate));
	if (us != RESULT_NONE)
		util_rfc3339(date, us);
	snprintf(out, size, "%s, %s, %s %.10s", whose,
	    subject[0] != '\0' ? subject : "without a subject", when, date);
}

static void
print_sha256(char out[RESULT_SHA256_MAX + 1], const X509 *certificate)
{
	unsigned char digest[EVP_MAX_MD_SIZE];
	unsigned n = 0;

	if (X509_digest(certificate, EVP_sha256(), digest, &n) != 1)
		n = 0;
	for (unsigned i = 0; i < n; i++)
		sprintf(out + 2 * i, "%02x", digest[i]);
}

static void
find_first_to_end(struct shown *shown, const STACK_OF(X509) * chain)
{
	for (int i = 0; i < sk_X509_num(chain); i++) {
		X509 *certificate = sk_X509_value(chain, i);
		int64_t us = asn1_time_us(X509_get0_notAfter(certificate));

		if (us == RESULT_NONE || (shown->first != NULL && us >= shown->chain_expires_us))
			continue;
		X509_free(shown->first);
		X509_up_ref(certificate);
		shown->first = certificate;
		shown->depth = i;
		shown->chain_expires_us = us;
	}
}

static void
note(struct result *r, const struct shown *shown)
{
	r->cert_expires_us = shown->expires_us;
	r->chain_expires_us = shown->chain_expires_us;
	memcpy(r->cert_sha256, shown->sha256, sizeof(r->cert_sha256));
	memcpy(r->cert_issuer, shown->issuer, sizeof(r->cert_issuer));
}

void
certificate_see(struct probe *p, SSL *ssl, X509 *leaf, const STACK_OF(X509) * chain)
{
	struct shown *shown = SSL_get_ex_data(ssl, shown_index());

	if (shown != NULL || leaf == NULL)
		return;
	shown = xcalloc(1, sizeof(*shown));
	shown->chain_expires_us = RESULT_NONE;
	shown->expires_us = asn1_time_us(X509_get0_notAfter(leaf));
	find_first_to_end(shown, chain);
	print_sha256(shown->sha256, leaf);
	print_name(shown->issuer, sizeof(shown->issuer), X509_get_issuer_name(leaf));
	note(p->result, shown);
	if (SSL_set_ex_data(ssl, shown_index(), shown) != 1)
		free_shown(NULL, shown, NULL, 0, 0, NULL);
}

void
probe_certificates_note(struct probe *p, const void *ssl)
{
	const struct shown *shown = SSL_get_ex_data(ssl, shown_index());
	int64_t left_us;

	if (shown == NULL)
		return;
	note(p->result, shown);
	left_us = shown->chain_expires_us - util_utc_us();
	if (shown->first != NULL && left_us < (p->site->cert_min_days + 1) * 86400 * US_PER_S)
		certificate_print(p->first_to_end, sizeof(p->first_to_end), shown->first,
		    shown->depth, left_us < 0 ? "ended on" : "ends on",
		    X509_get0_notAfter(shown->first));
}
