/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * Names that are no keys: what was meant. Keys at the wrong place, the words of other programs, and
 * misspelt ones.
 */
#include "internal.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

static const char *const reserved_keys[] = { "allow_private_redirects", "auth", "body_file",
	"ca_file", "cert_min_days", "client_cert", "client_key", "connect_timeout", "header_regex",
	"header_regex_not", "http_version", "max_body_bytes", "min_body_bytes", "no_proxy",
	"password_file", "proxy", "record_query", "resolve", "retries", "retry_delay",
	"server_name", "tls_min_version", "token_file", "username", "vantage", NULL };

#define SITES      "sites = ( { name = \"…\"; url = \"…\"; }, { … } )"
#define URL        "url = \"…\""
#define EXPECT     "expect_status = \"200-299\""
#define MATCH      "body_regex = \"…\""
#define MATCH_NOT  "body_regex_not = \"…\""
#define INTERVAL   "interval = 60"
#define REDIRECTS  "follow_redirects = 5"
#define UNVERIFIED "verify_tls = false"
#define VERIFIED   "verify_tls = true"
#define KAFKA      "kafka = { properties = [ \"bootstrap.servers=HOST:PORT\" ]; … }"

/*
 * What other programs that check web sites, or speak to Kafka, call it, and what is written here;
 * in lower case and without '_' and '-'.
 */
static const struct {
	const char *name, *here;
} foreign_words[] = {
	{ "bodycontains", MATCH },
	{ "bodymatch", MATCH },
	{ "bodysizelimit", "body_limit_kb = 1024" },
	{ "bootstrapservers", KAFKA },
	{ "broker", KAFKA },
	{ "brokers", KAFKA },
	{ "checkinterval", INTERVAL },
	{ "conditions", EXPECT "; " MATCH },
	{ "contains", MATCH },
	{ "endpoint", URL },
	{ "endpoints", SITES },
	{ "every", INTERVAL },
	{ "expectbody", MATCH },
	{ "expectedstatus", EXPECT },
	{ "expectedstatuscode", EXPECT },
	{ "expectedstatuscodes", EXPECT },
	{ "failifbodymatchesregexp", MATCH_NOT },
	{ "failifbodynotmatchesregexp", MATCH },
	{ "followlocation", REDIRECTS },
	{ "frequency", INTERVAL },
	{ "group", "labels = [ \"group=…\" ]" },
	{ "host", URL },
	{ "hosts", SITES },
	{ "hostname", "instance = \"…\", or url = \"…\" in a site" },
	{ "httpmethod", "method = \"GET\"" },
	{ "id", "name = \"…\"" },
	{ "ignoreredirect", "follow_redirects = 0" },
	{ "include", "sites_dir = \"sites.d\"" },
	{ "insecure", UNVERIFIED },
	{ "insecureskipverify", UNVERIFIED },
	{ "keyword", MATCH },
	{ "logfile", "log = { destination = \"syslog\"; }" },
	{ "logging", "log = { destination = \"syslog\"; level = \"info\"; }" },
	{ "loglevel", "log = { level = \"info\"; }" },
	{ "maxredirects", REDIRECTS },
	{ "maxredirs", REDIRECTS },
	{ "monitors", SITES },
	{ "mustcontain", MATCH },
	{ "mustnotcontain", MATCH_NOT },
	{ "pattern", MATCH },
	{ "period", INTERVAL },
	{ "postdata", "body = \"…\"" },
	{ "preferredipprotocol", "ip_version = \"any\"" },
	{ "redirects", REDIRECTS },
	{ "regex", MATCH },
	{ "regexp", MATCH },
	{ "responsestatuscode", EXPECT },
	{ "responsestringmatch", MATCH },
	{ "responsetimeout", "timeout = 10" },
	{ "schedule", INTERVAL },
	{ "server", URL },
	{ "servers", SITES },
	{ "services", SITES },
	{ "site", SITES },
	{ "sitesd", "sites_dir = \"sites.d\"" },
	{ "skipverify", UNVERIFIED },
	{ "sslverify", VERIFIED },
	{ "status", EXPECT },
	{ "statuscode", EXPECT },
	{ "statuscodes", EXPECT },
	{ "statuses", EXPECT },
	{ "string", MATCH },
	{ "tags", "labels = [ \"key=value\" ]" },
	{ "target", URL },
	{ "targets", SITES },
	{ "threads", "workers = { min = 4; max = 256; }" },
	{ "timeoutms", "timeout = 0.5" },
	{ "timeouts", "timeout = 10" },
	{ "tlsverify", VERIFIED },
	{ "topics", "kafka = { topic = \"…\"; … }" },
	{ "uri", URL },
	{ "urls", SITES },
	{ "validstatuscodes", EXPECT },
	{ "verify", VERIFIED },
	{ "verifyssl", VERIFIED },
	{ "websites", SITES },
	{ "workerprocesses", "workers = { min = 4; max = 256; }" },
};

/* Whether `name` is `word` but for case, '_' and '-'. */
static bool
is_word(const char *name, const char *word)
{
	for (; *name != '\0'; name++) {
		if (*name == '_' || *name == '-')
			continue;
		if (tolower((unsigned char)*name) != *word++)
			return false;
	}
	return *word == '\0';
}

/* How many letters must change to make `b` of `a`; both are short. */
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

static bool
holds(const struct key *keys, const char *name)
{
	for (; keys->name != NULL; keys++)
		if (strcmp(name, keys->name) == 0)
			return true;
	return false;
}

/* Where a key belongs that does not stand in `keys`; "": it is none. */
static void
find_home(char *out, size_t size, const char *name, const struct key *keys)
{
	out[0] = '\0';
	for (const struct key *key = config_main_keys; key->name != NULL; key++)
		if (key->keys != NULL && holds(key->keys, name))
			snprintf(out, size,
			    strcmp(key->name, "defaults") == 0 ? "into a site or into %s"
							       : "into %s = { … }",
			    key->name);
	if (out[0] == '\0' && holds(config_site_keys, name))
		snprintf(out, size, "into a site");
	else if (out[0] == '\0' && holds(config_main_keys, name))
		snprintf(out, size, "%s",
		    keys == config_sites_keys
			? "into webmond.conf: a file of sites_dir holds sites only"
			: "outside of all braces");
}

static const char *
name_of_group(const struct key *keys)
{
	for (const struct key *key = config_main_keys; key->name != NULL; key++)
		if (key->keys != NULL && key->keys == keys)
			return key->name;
	return "";
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
	bool kafka = strcmp(name_of_group(keys), "kafka") == 0;
	const char *nearest = find_nearest(keys, name);
	char home[80];

	for (const char *const *reserved = reserved_keys; *reserved != NULL; reserved++)
		if (strcmp(name, *reserved) == 0) {
			config_mistake(r, line, "%s: not supported in this version", name);
			return;
		}
	find_home(home, sizeof(home), name, keys);
	if (home[0] != '\0') {
		config_mistake(r, line, "unknown key \"%s\"; %s belongs %s", name, name, home);
		return;
	}
	for (size_t i = 0; i < ARRAY_LENGTH(foreign_words); i++)
		if (is_word(name, foreign_words[i].name) &&
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
