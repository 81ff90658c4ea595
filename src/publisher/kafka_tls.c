/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * Certificates on the way to Kafka. librdkafka has one sentence for all that can be wrong with a
 * broker's certificate, and the broker hardly more for ours: this finds out what it is. Called
 * by the other files of the producer; nothing is fatal, and no verdict of OpenSSL is changed.
 */
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "kafka_internal.h"

#define LOOK "; look with: openssl s_client -connect HOST:PORT -verify_hostname HOST -CAfile CA"

/* Written by librdkafka's threads. Of the process, as the causes of an outage are. */
static atomic_int refused_for;      /* OpenSSL's X509_V_ERR_… */
static atomic_llong refused_date_s; /* its end, or its begin if that is yet to come */

/* 0: there is none, or it cannot be read. */
static long long our_end_s;

static long long
seconds_of(const ASN1_TIME *t)
{
	struct tm tm;

	return ASN1_TIME_to_tm(t, &tm) == 1 ? (long long)timegm(&tm) : 0;
}

static const char *
write_date(char out[UTIL_RFC3339_SIZE], long long s)
{
	util_rfc3339(out, s * US_PER_S);
	out[strlen("2026-11-28")] = '\0';
	return out;
}

/* Called for each certificate of the chain, with what OpenSSL thinks of it. That stands. */
static int
on_certificate(rd_kafka_t *rk, const char *broker, int32_t id, int *error, int depth,
    const char *der, size_t size, char *why, size_t why_size, void *arg)
{
	const unsigned char *at = (const unsigned char *)der;
	X509 *certificate;

	(void)rk, (void)broker, (void)id, (void)depth, (void)arg;
	if (*error == X509_V_OK)
		return 1;
	certificate = d2i_X509(NULL, &at, (long)size);
	if (certificate != NULL) {
		refused_date_s = seconds_of(*error == X509_V_ERR_CERT_NOT_YET_VALID
						? X509_get0_notBefore(certificate)
						: X509_get0_notAfter(certificate));
		X509_free(certificate);
	}
	refused_for = *error;
	snprintf(why, why_size, "%s", X509_verify_cert_error_string(*error));
	return 0;
}

static void
look_at_ours(const char *path)
{
	FILE *file = fopen(path, "re");
	X509 *certificate = file != NULL ? PEM_read_X509(file, NULL, NULL, NULL) : NULL;

	our_end_s = certificate != NULL ? seconds_of(X509_get0_notAfter(certificate)) : 0;
	X509_free(certificate);
	if (file != NULL)
		fclose(file);
}

void
kafka_tls_watch(rd_kafka_conf_t *conf)
{
	char path[4096] = "";
	size_t size = sizeof(path);

	refused_for = X509_V_OK;
	rd_kafka_conf_set_ssl_cert_verify_cb(conf, on_certificate);
	our_end_s = 0;
	if (rd_kafka_conf_get(conf, "ssl.certificate.location", path, &size) == RD_KAFKA_CONF_OK &&
	    path[0] != '\0')
		look_at_ours(path);
}

void
kafka_tls_describe_broker(char *out, size_t size)
{
	const char *what;
	char date[UTIL_RFC3339_SIZE];
	int error = refused_for;

	switch (error) {
	case X509_V_ERR_HOSTNAME_MISMATCH:
	case X509_V_ERR_IP_ADDRESS_MISMATCH:
		what =
		    "is not valid for the host name in bootstrap.servers: write one that is in it";
		break;
	case X509_V_ERR_CERT_HAS_EXPIRED:
	case X509_V_ERR_CERT_NOT_YET_VALID:
		snprintf(out, size,
		    "a certificate of the broker %s %s, or the clock of this host is wrong" LOOK,
		    error == X509_V_ERR_CERT_HAS_EXPIRED ? "expired on" : "is not valid before",
		    write_date(date, refused_date_s));
		return;
	case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
	case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
	case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
	case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
	case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
	case X509_V_ERR_CERT_SIGNATURE_FAILURE:
		what = "is not signed by the CA in ssl.ca.location";
		break;
	case X509_V_OK: /* of another connection, or not asked */
		what = "is not signed by the CA in ssl.ca.location, or is not valid for the host "
		       "name in bootstrap.servers";
		break;
	default:
		snprintf(out, size, "the broker's certificate is refused: %s" LOOK,
		    X509_verify_cert_error_string(error));
		return;
	}
	snprintf(out, size, "the broker's certificate %s" LOOK, what);
}

void
kafka_tls_describe_ours(char *out, size_t size)
{
	char date[UTIL_RFC3339_SIZE];

	if (our_end_s != 0 && our_end_s <= util_utc_us() / US_PER_S)
		snprintf(out, size,
		    "our client certificate expired on %s: put a new one into "
		    "ssl.certificate.location",
		    write_date(date, our_end_s));
	else
		snprintf(out, size,
		    "the broker rejects our client certificate (expired, or issued by a CA it does "
		    "not trust); look with: openssl x509 -in FILE -noout -dates -issuer");
}
