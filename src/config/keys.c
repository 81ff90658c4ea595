/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * Every key of the configuration with its type and range.
 */
#include "internal.h"

#include <stdlib.h>
#include <string.h>

#define INSTANCE_MAX 64

static const char *
wrong_topic(const char *value)
{
	if (value[strspn(value, LETTERS DIGITS "._-")] != '\0' || strlen(value) > 249 ||
	    strcmp(value, ".") == 0 || strcmp(value, "..") == 0)
		return "must be 1 to 249 of letters, digits, '.', '_' and '-'";
	return NULL;
}

static const char *
wrong_metrics_file(const char *value)
{
	const char *slash = strrchr(value, '/'), *name = slash != NULL ? slash + 1 : value;
	size_t size = strlen(name);

	if (size <= 5 || strcmp(name + size - 5, ".prom") != 0 || name[0] == '.')
		return "must be a file NAME.prom: node_exporter reads no others";
	return NULL;
}

static void
store_properties(struct reader *r, const struct string_list *strings)
{
	struct config *c = r->config;
	size_t size = strings->count * sizeof(*strings->items);

	c->kafka_properties = memcpy(config_alloc(c, size), strings->items, size);
	c->kafka_property_count = strings->count;
}

static const char *
wrong_reference(const char *value)
{
	const char *host = strstr(value, "://");

	if (host != NULL && memchr(host, '@', 3 + strcspn(host + 3, "/?#")) != NULL)
		return "must not contain a user or password; any response will do, a 401 too";
	return config_wrong_url(value);
}

static void
store_references(struct reader *r, const struct string_list *strings)
{
	struct config *c = r->config;
	size_t size = strings->count * sizeof(*strings->items);

	if (strings->given == 0 || strings->given > CONFIG_REFERENCES_MAX)
		config_mistake(
		    r, strings->line, "reference: must be 1 to %d URLs", CONFIG_REFERENCES_MAX);
	c->references = memcpy(config_alloc(c, size), strings->items, size);
	c->reference_count = strings->count;
}

const struct key *
config_find_key(const struct key *keys, const char *name)
{
	for (; keys->name != NULL; keys++)
		if (strcmp(name, keys->name) == 0)
			return keys;
	return NULL;
}

/* --- the tables -------------------------------------------------------------------------- */

#define SITE(member)   .field = offsetof(struct site, member)
#define CONFIG(member) .field = offsetof(struct config, member)

static const char *const auth_words[] = { "none", "basic", "digest", "bearer", NULL };
static const char *const ip_words[] = { "any", "4", "6", NULL };
static const char *const http_words[] = { "any", "1.0", "1.1", "2", "3", NULL };
static const char *const tls_words[] = { "1.0", "1.1", "1.2", "1.3", NULL };
static const char *const destination_words[] = { "stderr", "syslog", NULL };
static const char *const level_words[] = { "error", "warning", "notice", "info", "debug", NULL };
static const char *const format_words[] = { "json", "json-connect", NULL };
static const char *const alone_words[] = { "check", "rest", NULL };
static const char *const sync_words[] = { "normal", "full", NULL };

const struct key config_site_keys[] = {
	{ "name", KEY_STRING, SITE(name), .min = 1, .wrong = config_wrong_name, .required = true },
	{ "url", KEY_STRING, SITE(url), .min = 1, .max = CONFIG_URL_MAX, .wrong = config_wrong_url,
	    .required = true },
	/* `defaults` may have all that follow; in the order of webmond.conf(5) */
	{ "interval", KEY_SECONDS, SITE(interval_us), .min = 1, .max = 86400 },
	{ "timeout", KEY_SECONDS, SITE(timeout_us), .min = 0.1, .max = 86400 },
	{ "connect_timeout", KEY_SECONDS, SITE(connect_timeout_us), .min = 0.1, .max = 86400 },
	{ "retries", KEY_INTEGER, SITE(retries), .min = 0, .max = 5 },
	{ "retry_delay", KEY_SECONDS, SITE(retry_delay_us), .min = 0, .max = 60 },
	{ "enabled", KEY_BOOL, SITE(enabled) },
	{ "labels", KEY_JOINED, SITE(labels), .wrong = config_wrong_label,
	    .store = config_store_labels },
	{ "record_query", KEY_BOOL, SITE(record_query) },
	{ "body_sample", KEY_BOOL, SITE(body_sample) },
	{ "method", KEY_STRING, SITE(method), .min = 1, .wrong = config_wrong_method },
	{ "headers", KEY_STRINGS, SITE(headers), .wrong = config_wrong_header },
	{ "header_file", KEY_PATH, SITE(header_file), .min = 1 },
	{ "body", KEY_STRING, SITE(body), .lines = true },
	{ "body_file", KEY_PATH, SITE(body_file), .min = 1 },
	{ "auth", KEY_WORD, SITE(auth), .words = auth_words },
	{ "username", KEY_STRING, SITE(username), .min = 1, .wrong = config_wrong_username },
	{ "password_file", KEY_PATH, SITE(password_file), .min = 1 },
	{ "token_file", KEY_PATH, SITE(token_file), .min = 1 },
	{ "user_agent", KEY_STRING, SITE(user_agent) },
	{ "decode", KEY_BOOL, SITE(decode) },
	{ "follow_redirects", KEY_INTEGER, SITE(follow_redirects), .min = 0, .max = 20 },
	{ "allow_private_redirects", KEY_BOOL, SITE(allow_private_redirects) },
	{ "expect_status", KEY_STRING, SITE(expect_status), .store = config_store_status },
	{ "body_regex", KEY_PATTERNS, SITE(body_patterns), .min = 1,
	    .store = config_store_patterns },
	{ "body_regex_not", KEY_PATTERNS, SITE(body_patterns), .min = 1,
	    .store = config_store_patterns, .negated = true },
	{ "header_regex", KEY_PATTERNS, SITE(header_patterns), .min = 1,
	    .wrong = config_wrong_header_pattern, .store = config_store_patterns },
	{ "header_regex_not", KEY_PATTERNS, SITE(header_patterns), .min = 1,
	    .wrong = config_wrong_header_pattern, .store = config_store_patterns, .negated = true },
	{ "body_json", KEY_PATTERNS, SITE(body_json), .min = 1, .store = config_store_patterns },
	{ "max_response_time", KEY_SECONDS, SITE(max_response_us), .min = 0.001, .max = 86400 },
	{ "min_body_bytes", KEY_INTEGER, SITE(min_body_bytes), .min = 0, .max = 67108864 },
	{ "max_body_bytes", KEY_INTEGER, SITE(max_body_bytes), .min = 0, .max = 67108864 },
	{ "cert_min_days", KEY_INTEGER, SITE(cert_min_days), .min = 0, .max = 3650 },
	{ "http_version", KEY_WORD, SITE(http_version), .words = http_words },
	{ "body_limit_kb", KEY_KIB, SITE(body_limit), .min = 0, .max = 65536 },
	{ "ip_version", KEY_WORD, SITE(ip_version), .words = ip_words },
	{ "resolve", KEY_STRINGS, SITE(resolve), .wrong = config_wrong_resolve },
	{ "proxy", KEY_STRING, SITE(proxy), .max = CONFIG_URL_MAX, .wrong = config_wrong_proxy },
	{ "proxy_username", KEY_STRING, SITE(proxy_username), .min = 1, .max = 255,
	    .wrong = config_wrong_proxy_username },
	{ "proxy_password_file", KEY_PATH, SITE(proxy_password_file), .min = 1 },
	{ "no_proxy", KEY_STRINGS, SITE(no_proxy), .min = 1, .wrong = config_wrong_no_proxy },
	{ "keepalive", KEY_BOOL, SITE(keepalive) },
	{ "keepalive_lifetime", KEY_SECONDS, SITE(keepalive_lifetime_us), .min = 0, .max = 86400 },
	{ "verify_tls", KEY_BOOL, SITE(verify_tls) },
	{ "ca_file", KEY_PATH, SITE(ca_file), .min = 1 },
	{ "server_name", KEY_STRING, SITE(server_name), .min = 1,
	    .wrong = config_wrong_server_name },
	{ "tls_min_version", KEY_WORD, SITE(tls_min_version), .words = tls_words },
	{ "client_cert", KEY_PATH, SITE(client_cert), .min = 1 },
	{ "client_key", KEY_PATH, SITE(client_key), .min = 1 },
	{ 0 },
};

static const struct key vantage_keys[] = {
	{ "reference", KEY_STRINGS, .min = 1, .max = CONFIG_URL_MAX, .wrong = wrong_reference,
	    .store = store_references, .required = true },
	{ "timeout", KEY_SECONDS, CONFIG(vantage_timeout_us), .min = 0.1, .max = 30 },
	{ 0 },
};

static const struct key log_keys[] = {
	{ "destination", KEY_WORD, CONFIG(log_destination), .words = destination_words },
	{ "level", KEY_WORD, CONFIG(log_level), .words = level_words },
	{ 0 },
};

static const struct key workers_keys[] = {
	{ "min", KEY_INTEGER, CONFIG(workers_min), .min = 1, .max = 4096 },
	{ "max", KEY_INTEGER, CONFIG(workers_max), .min = 1, .max = 4096 },
	{ 0 },
};

static const struct key spool_keys[] = {
	{ "dir", KEY_PATH, CONFIG(spool_dir), .min = 1 },
	{ "max_mb", KEY_MIB, CONFIG(spool_max_bytes), .min = 1, .max = 1000000 },
	{ "sync", KEY_WORD, CONFIG(spool_sync_full), .words = sync_words },
	{ 0 },
};

static const struct key kafka_keys[] = {
	{ "topic", KEY_STRING, CONFIG(kafka_topic), .min = 1, .wrong = wrong_topic,
	    .required = true },
	{ "properties_file", KEY_PATH, CONFIG(kafka_properties_file), .min = 1 },
	{ "properties", KEY_STRINGS, .store = store_properties },
	{ "format", KEY_WORD, CONFIG(kafka_format), .words = format_words },
	{ "group", KEY_STRING, CONFIG(kafka_group), .min = 1, .wrong = config_wrong_name },
	{ "alone", KEY_WORD, CONFIG(kafka_alone), .words = alone_words },
	{ 0 },
};

static const struct key control_keys[] = {
	{ "socket", KEY_PATH, CONFIG(control_socket) },
	{ 0 },
};

const struct key config_main_keys[] = {
	{ "instance", KEY_STRING, CONFIG(instance), .min = 1, .max = INSTANCE_MAX },
	{ "location", KEY_STRING, CONFIG(location), .min = 1, .max = INSTANCE_MAX },
	{ "user", KEY_STRING, CONFIG(user), .min = 1, .max = 32 },
	{ "checker_user", KEY_STRING, CONFIG(checker_user), .min = 1, .max = 32 },
	{ "pid_file", KEY_PATH, CONFIG(pid_file), .min = 1 },
	{ "log", KEY_GROUP, .keys = log_keys },
	{ "vantage", KEY_GROUP, .keys = vantage_keys },
	{ "defaults", KEY_DEFAULTS, CONFIG(defaults), .keys = &config_site_keys[2] },
	{ "sites", KEY_SITES, .field = 0 },
	{ "sites_dir", KEY_PATH, CONFIG(sites_dir), .min = 1 },
	{ "workers", KEY_GROUP, .keys = workers_keys },
	{ "spool", KEY_GROUP, .keys = spool_keys },
	{ "kafka", KEY_GROUP, .keys = kafka_keys },
	{ "control", KEY_GROUP, .keys = control_keys },
	{ "metrics_file", KEY_PATH, CONFIG(metrics_file), .min = 1, .wrong = wrong_metrics_file },
	{ 0 },
};

const struct key config_sites_keys[] = {
	{ "sites", KEY_SITES, .field = 0 },
	{ 0 },
};
