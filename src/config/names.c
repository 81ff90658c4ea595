/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * Names that are no keys: what was probably meant. Keys in the wrong group, the words of other
 * programs, and misspelt ones.
 */
#include "internal.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

/* Keys of later versions; written as the words below. */
static const char reserved[] = " locations maintenance transactional ";

/*
 * What is written here, and what other programs that check web sites, or speak to Kafka, call it:
 * in lower case and without '_' and '-', with a blank on both sides.
 */
static const struct {
	const char *here, *names;
} foreign_words[] = {
	{ "body_regex = \"…\"",
	    " bodycontains bodymatch contains expectbody failifbodynotmatchesregexp keyword mustcontain pattern regex regexp responsestringmatch string " },
	{ "body_limit_kb = 1024", " bodysizelimit " },
	{ "kafka = { properties = [ \"bootstrap.servers=HOST:PORT\" ]; … }",
	    " bootstrapservers broker brokers " },
	{ "interval = 60", " checkinterval every frequency period schedule " },
	{ "expect_status = \"200-299\"; body_regex = \"…\"", " conditions " },
	{ "url = \"…\"", " endpoint host server target uri " },
	{ "sites = ( { name = \"…\"; url = \"…\"; }, { … } )",
	    " endpoints hosts monitors servers services site targets urls websites " },
	{ "expect_status = \"200-299\"",
	    " expectedstatus expectedstatuscode expectedstatuscodes responsestatuscode status statuscode statuscodes statuses validstatuscodes " },
	{ "body_regex_not = \"…\"", " failifbodymatchesregexp mustnotcontain " },
	{ "follow_redirects = 5",
	    " followlocation ignoreredirect maxredirects maxredirs redirects " },
	{ "instance = \"…\", or url = \"…\" in a site", " hostname " },
	{ "method = \"GET\"", " httpmethod " },
	{ "name = \"…\"", " id " },
	{ "sites_dir = \"sites.d\"", " include sitesd " },
	{ "log = { destination = \"syslog\"; level = \"info\"; }", " logfile logging loglevel " },
	{ "body = \"…\"", " postdata " },
	{ "ip_version = \"any\"", " preferredipprotocol " },
	{ "retries = 2", " attempts failurethreshold maxattempts maxretries retry " },
	{ "retry_delay = 1", " retryinterval retrytimeout " },
	{ "timeout = 10", " responsetimeout timeoutms timeouts " },
	{ "verify_tls = true, or false",
	    " insecure insecureskipverify skipverify sslverify tlsverify verify verifyssl " },
	{ "labels = [ \"key=value\" ]", " group tags " },
	{ "workers = { min = 4; max = 256; }", " threads workerprocesses " },
	{ "kafka = { topic = \"…\"; … }", " topics " },
	{ "auth = \"basic\"; username = \"…\"; password_file = \"…\"",
	    " authorization basicauth password " },
	{ "auth = \"bearer\"; token_file = \"…\"",
	    " apikey bearer bearertoken bearertokenfile credentialsfile token " },
	{ "body_json = \"$.status == \\\"ok\\\"\"",
	    " failifbodyjsonnotmatchescel json jsonpath jsonquery jsonvalidator " },
	{ "body_sample = true", " includebody responsebodyfield " },
	{ "ca_file = \"…\"", " cabundle cacert certificateauthorities rootca tlsca " },
	{ "cert_min_days = 14", " certexpiry certificateexpiration sslexpiry " },
	{ "client_cert = \"…\"; client_key = \"…\"",
	    " cert certfile certificate certificatefile key keyfile privatekeyfile tlscert tlskey " },
	{ "header_regex = \"Name: pattern\"", " failifheadernotmatches responseheaders " },
	{ "header_regex_not = \"Name: pattern\"", " failifheadermatches " },
	{ "http_version = \"2\"", " enablehttp2 enablehttp3 http2 validhttpversions " },
	{ "max_response_time = 2", " latency responsetime threshold " },
	{ "proxy = \"http://HOST:PORT\"", " httpproxy httpsproxy proxyurl socksproxy " },
	{ "resolve = \"ADDRESS\"", " address connectto ip ipaddress " },
	{ "server_name = \"…\"", " sni tlsservername " },
	{ "tls_min_version = \"1.2\"", " minversion supportedprotocols tlsversion " },
	{ "vantage = { reference = [ \"https://…\" ]; }", " connectivity connectivitychecker " },
};

/* Whether `name` is one of `words` but for case, '_' and '-'. */
static bool
is_among(const char *name, const char *words)
{
	char word[40] = " ";
	size_t n = 1;

	for (; *name != '\0' && n < sizeof(word) - 2; name++)
		if (*name != '_' && *name != '-')
			word[n++] = (char)tolower((unsigned char)*name);
	word[n] = ' ';
	word[n + 1] = '\0';
	return *name == '\0' && strstr(words, word) != NULL;
}

/* The edit distance of `a` and `b`; both are short. */
static size_t
distance(const char *a, const char *b)
{
	size_t row[40], n = strlen(b);

	if (n >= ARRAY_LENGTH(row))
		return n;
	for (size_t i = 0; i <= n; i++)
		row[i] = i;
	for (size_t i = 0; a[i] != '\0'; i++) {
		size_t diagonal = row[0]++;

		for (size_t k = 1; k <= n; k++) {
			size_t change = diagonal + (a[i] != b[k - 1]);
			size_t shorter = (row[k] < row[k - 1] ? row[k] : row[k - 1]) + 1;

			diagonal = row[k];
			row[k] = change < shorter ? change : shorter;
		}
	}
	return row[n];
}

/* Where the key `name`, which is not in the table `keys`, belongs; "": there is no such key. */
static void
find_place(char *out, size_t size, const char *name, const struct key *keys)
{
	out[0] = '\0';
	for (const struct key *key = config_main_keys; key->name != NULL; key++)
		if (key->keys != NULL && config_find_key(key->keys, name) != NULL)
			snprintf(out, size,
			    strcmp(key->name, "defaults") == 0 ? "into a site or into %s"
							       : "into %s = { … }",
			    key->name);
	if (out[0] == '\0' && config_find_key(config_site_keys, name) != NULL)
		snprintf(out, size, "into a site");
	else if (out[0] == '\0' && config_find_key(config_main_keys, name) != NULL)
		snprintf(out, size, "%s",
		    keys == config_sites_keys
			? "into webmond.conf: a file of sites_dir holds sites only"
			: "outside of all braces");
}

static const char *
find_nearest(const struct key *keys, const char *name)
{
	const char *nearest = NULL;
	size_t best = strlen(name) > 4 ? 3 : 2;

	for (; keys->name != NULL; keys++) {
		size_t d = distance(name, keys->name);

		if (d < best) {
			best = d;
			nearest = keys->name;
		}
	}
	return nearest;
}

void
config_unknown_key(struct reader *r, int line, const char *name, const struct key *keys)
{
	bool kafka = keys == config_find_key(config_main_keys, "kafka")->keys;
	const char *nearest = find_nearest(keys, name);
	char place[80];

	if (is_among(name, reserved)) {
		config_mistake(r, line, "%s: not supported in this version", name);
		return;
	}
	find_place(place, sizeof(place), name, keys);
	if (place[0] != '\0') {
		config_mistake(r, line, "unknown key \"%s\"; %s belongs %s", name, name, place);
		return;
	}
	for (size_t i = 0; i < ARRAY_LENGTH(foreign_words); i++)
		if (is_among(name, foreign_words[i].names) &&
		    (!kafka || strncmp(foreign_words[i].here, "kafka", 5) == 0)) {
			config_mistake(
			    r, line, "unknown key \"%s\"; write %s", name, foreign_words[i].here);
			return;
		}
	if (nearest != NULL)
		config_mistake(r, line, "unknown key \"%s\"; did you mean \"%s\"?", name, nearest);
	else
		config_mistake(r, line, "unknown key \"%s\"%s", name,
		    kafka
			? "; what librdkafka has to know stands in properties = [ \"name=value\" ]"
			: "");
}
