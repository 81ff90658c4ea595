/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * What a handshake shows: the version, the site's certificate, and which certificate of the chain
 * is to blame when they are refused. Called by OpenSSL and by exchange.c; nothing is fatal.
 */
#include "certificate.h"

#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "probe_internal.h"
#include "util.h"

/* libssl's names are static: "TLSv1.3"; which is what QUIC has in it. */
static void
note_version(struct result *r, const SSL *ssl)
{
	const char *name = SSL_get_version(ssl);

	snprintf(r->tls_version, sizeof(r->tls_version), "%s",
	    strncmp(name, "QUIC", 4) == 0 ? "TLSv1.3" : name);
}

void
probe_tls_note(struct probe *p, const void *ssl)
{
	note_version(p->result, ssl);
	probe_certificates_note(p, ssl);
}

/*
 * The server asks for a certificate of ours. Who is not the site but behind a redirect gets none.
 */
static int
on_client_certificate(SSL *ssl, void *arg)
{
	struct probe *p = arg;

	p->certificate_wanted = true;
	if (p->site != NULL && p->site->client_cert != NULL &&
	    !probe_is_same_origin(p->site->url, probe_current_url(p)))
		SSL_certs_clear(ssl);
	return 1;
}

/* Whether it names hosts where browsers look for them: they ignore the common name. */
static bool
names_hosts(const X509 *leaf)
{
	GENERAL_NAMES *names = X509_get_ext_d2i(leaf, NID_subject_alt_name, NULL, NULL);
	bool found = false;

	for (int i = 0; !found && i < sk_GENERAL_NAME_num(names); i++) {
		int type = sk_GENERAL_NAME_value(names, i)->type;

		found = type == GEN_DNS || type == GEN_IPADD;
	}
	GENERAL_NAMES_free(names);
	return found;
}

/* "certificate has expired: an intermediate, CN=Authority, on 2026-11-25" */
static void
describe(struct probe *p, X509_STORE_CTX *context)
{
	int error = X509_STORE_CTX_get_error(context);
	X509 *certificate = X509_STORE_CTX_get_current_cert(context);
	bool begins = error == X509_V_ERR_CERT_NOT_YET_VALID;
	const char *when = "valid until";
	char which[PROBE_CERTIFICATE_MAX + 1];

	p->refused_by_date = begins || error == X509_V_ERR_CERT_HAS_EXPIRED;
	if (certificate == NULL) {
		snprintf(
		    p->refused, sizeof(p->refused), "%s", X509_verify_cert_error_string(error));
		return;
	}
	if (p->refused_by_date)
		when = begins ? "from" : "on";
	certificate_print(which, sizeof(which), certificate,
	    X509_STORE_CTX_get_error_depth(context), when,
	    begins ? X509_get0_notBefore(certificate) : X509_get0_notAfter(certificate));
	if (error ==
	    X509_V_ERR_HOSTNAME_MISMATCH) /* it is only looked for on server_name's behalf */
		snprintf(p->refused, sizeof(p->refused), "not for the host name %s: %s",
		    X509_VERIFY_PARAM_get0_host(X509_STORE_CTX_get0_param(context), 0), which);
	else
		snprintf(p->refused, sizeof(p->refused), "%s: %s",
		    X509_verify_cert_error_string(error), which);
}

/* The chain is good; libcurl looks later whether the leaf is for this host. */
static int
accept_leaf(struct probe *p, X509_STORE_CTX *context, X509 *leaf)
{
	certificate_print(
	    p->leaf, sizeof(p->leaf), leaf, 0, "valid until", X509_get0_notAfter(leaf));
	if (names_hosts(leaf))
		return 1;
	snprintf(p->refused, sizeof(p->refused),
	    "no host in subjectAltName, without which browsers refuse a certificate: %s", p->leaf);
	X509_STORE_CTX_set_error(context, X509_V_ERR_HOSTNAME_MISMATCH);
	return 0;
}

/* For each certificate of a chain, from its end to the site's, or once for the one that is bad. */
static int
on_verify(int good, X509_STORE_CTX *context)
{
	SSL *ssl = X509_STORE_CTX_get_ex_data(context, SSL_get_ex_data_X509_STORE_CTX_idx());
	struct probe *p = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));
	X509 *leaf = X509_STORE_CTX_get0_cert(context);

	if (p->result->tls_version[0] == '\0') {
		note_version(p->result, ssl);
		certificate_see(p, ssl, leaf, X509_STORE_CTX_get0_chain(context));
	}
	if (!p->site->verify_tls)
		return good;
	if (!good)
		describe(p, context);
	else if (X509_STORE_CTX_get_error_depth(context) == 0)
		return accept_leaf(p, context, leaf);
	return good;
}

/*
 * A handshake begins: with `server_name` instead of the host of the url, but not behind a redirect
 * to another one.
 */
static void
on_handshake(const SSL *const_ssl, int where, int value)
{
	SSL *ssl = (SSL *)const_ssl;
	struct probe *p = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));
	X509_VERIFY_PARAM *wanted = SSL_get0_param(ssl);
	char own[PROBE_HOST_MAX + 1], host[PROBE_HOST_MAX + 1];
	const char *name = host;

	(void)value;
	if ((where & SSL_CB_HANDSHAKE_START) == 0)
		return;
	probe_host(p->site->url, own, sizeof(own));
	probe_host(probe_current_url(p), host, sizeof(host));
	if (strcasecmp(own, host) == 0) {
		name = p->site->server_name;
		SSL_set_tlsext_host_name(ssl, name);
	}
	if (!p->site->verify_tls)
		return;
	X509_VERIFY_PARAM_set_hostflags(
	    wanted, X509_CHECK_FLAG_NEVER_CHECK_SUBJECT | X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
	if (name != host || !probe_host_is_literal(probe_current_url(p))) {
		X509_VERIFY_PARAM_set1_host(wanted, name, 0);
	} else {
		host[strcspn(host, "]")] = '\0';
		X509_VERIFY_PARAM_set1_ip_asc(wanted, host + (host[0] == '['));
	}
}

static void
on_proxy_handshake(const SSL *ssl, int where, int value)
{
	struct probe *p = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));

	(void)value;
	if ((where & SSL_CB_HANDSHAKE_DONE) != 0)
		p->proxy_speaks_tls = true;
}

void
probe_tls_listen_proxy(struct probe *p, void *context)
{
	SSL_CTX_set_app_data(context, p);
	SSL_CTX_set_info_callback(context, on_proxy_handshake);
}

void
probe_tls_listen(struct probe *p, void *context)
{
	p->refused[0] = p->leaf[0] = '\0';
	SSL_CTX_set_app_data(context, p);
	if (p->site->server_name != NULL)
		SSL_CTX_set_info_callback(context, on_handshake);
	SSL_CTX_set_cert_cb(context, on_client_certificate, p);
	/* libcurl's own mode: new versions let the handshake end, and look at the outcome then */
	SSL_CTX_set_verify(context, SSL_CTX_get_verify_mode(context), on_verify);
}
