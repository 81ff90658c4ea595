/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * The configuration: files to one immutable struct config, or a list of every mistake.
 *
 * config_load() checks all that can be known from the text: names, types, ranges, duplicates.
 * What needs a library or another user's rights (URLs, patterns, Kafka's files) is checked by
 * validate.h, with the places kept here. Children inherit the configuration by fork.
 */
#ifndef WEBMOND_CONFIG_H
#define WEBMOND_CONFIG_H

#include <stddef.h>
#include <sys/types.h>

#include "log.h"
#include "util.h"

/* What to begin with. */
#define CONFIG_SAMPLE SYSCONFDIR "/webmond/webmond.conf.sample"

/* Where webmondctl finds the daemon, unless they are told otherwise. */
#define CONFIG_CONTROL_SOCKET RUNSTATEDIR "/webmond/control"

/* The longest path of a socket, see unix(7). */
#define CONFIG_SOCKET_MAX 107

/* A line of `mistakes` may be several: those that follow show the place, and begin with this. */
#define CONFIG_SHOWN "    "

#define CONFIG_KEEPALIVE_LIFETIME_US (60 * US_PER_S) /* the default */

/* Longest texts in bytes: what the record has room for. */
#define CONFIG_NAME_MAX   64
#define CONFIG_URL_MAX    1024
#define CONFIG_LABELS_MAX 256

#define CONFIG_REFERENCES_MAX 10

/* Inclusive. */
struct status_range {
	short first;
	short last;
};

/* Of body_json: an assertion, not a pattern. */
struct pattern {
	const char *text; /* as configured, UTF-8 */
	bool negated;     /* from body_regex_not or header_regex_not: must not match */
	struct origin at;
};

struct patterns {
	const struct pattern *items;
	size_t count;
};

/* A key that was given, and how many lines behind the head of its group it stands. */
struct key_line {
	const char *key; /* "url"; in a group of the main file with its name: "spool.dir" */
	int lines;
};

/* Where something was configured: for messages. */
struct origins {
	const char *file;
	int line;
	const struct key_line *keys; /* NULL: none; else the last has no name */
};

enum ip_version {
	IP_ANY,
	IP_4,
	IP_6,
};

/* The order of the words in config/keys.c. */
enum auth {
	AUTH_NONE,
	AUTH_BASIC,
	AUTH_DIGEST,
	AUTH_BEARER,
};

enum http_version {
	HTTP_ANY,
	HTTP_1_0,
	HTTP_1_1,
	HTTP_2, /* and nothing else */
	HTTP_3, /* likewise */
};

enum kafka_format {
	KAFKA_FORMAT_JSON,
	KAFKA_FORMAT_JSON_CONNECT, /* each record with its schema */
};

/* What a member of a group does with its shards while the group cannot be reached. */
enum kafka_alone {
	KAFKA_ALONE_CHECK,
	KAFKA_ALONE_REST,
};

enum tls_version {
	TLS_1_0,
	TLS_1_1,
	TLS_1_2,
	TLS_1_3,
	TLS_OF_SYSTEM, /* what OpenSSL of this host takes */
};

struct site {
	const char *name; /* [A-Za-z0-9._-]{1,64}, unique */
	const char *url;
	int before;          /* by config_compare(): its index in the old configuration; -1: new */
	bool changed;        /* likewise: it was there with other settings */
	int64_t interval_us; /* 1 s … 86,400 s, whole milliseconds */
	int64_t timeout_us;  /* of an attempt: 0.1 s … interval, whole milliseconds */
	int retries;         /* 0 … 5 */
	int64_t retry_delay_us;
	int64_t connect_timeout_us; /* … timeout; 0: no other than timeout */
	const char *method;
	const char *const *headers; /* "Name: value", NULL-terminated; never NULL itself */
	const char *body;           /* NULL: none */
	const char *body_file;      /* NULL: none; so are all files */
	const char *header_file;
	const char *ca_file;
	const char *client_cert;
	const char *client_key;
	enum auth auth;
	const char *username; /* NULL: none */
	const char *password_file;
	const char *token_file;
	const char *user_agent;
	const char *expect_status; /* as configured, for messages */
	const struct status_range *expect;
	size_t expect_count;
	struct patterns header_patterns; /* "Name: pattern": as for the body */
	struct patterns body_patterns;   /* all of body_regex, then all of body_regex_not */
	struct patterns body_json;       /* no patterns, but assertions; none is negated */
	int cert_min_days;               /* 0: not looked at */
	bool body_sample; /* the record has the beginning of the body, if the site is not `up` */
	int min_body_bytes, max_body_bytes; /* 0: no limit */
	int64_t max_response_us;            /* whole milliseconds; 0: no limit */
	size_t body_limit;    /* bytes, 1 KiB … 64 MiB; 0: only the headers are waited for */
	int follow_redirects; /* 0 … 20 */
	bool allow_private_redirects; /* from public addresses */
	bool record_query;            /* of the url and of redirects, in the record and the log */
	bool verify_tls;
	bool decode; /* undo a Content-Encoding */
	bool keepalive;
	int64_t keepalive_lifetime_us; /* 1 s or more; 0: no limit */
	enum ip_version ip_version;
	enum http_version http_version;
	enum tls_version tls_min_version;
	const char *server_name;     /* NULL: that of the url */
	const char *proxy;           /* NULL or "": none */
	const char *const *no_proxy; /* see config_read_network(), or names; NULL: none */
	const char *proxy_username;  /* NULL: none */
	const char *proxy_password_file;
	const char *const *resolve; /* see config_read_resolve(); NULL-terminated; NULL: none */
	bool enabled;
	const char *labels; /* "k=v,k=v" or NULL */

	struct origins at;
};

/* A string and where it stands. */
struct config_string {
	const char *value;
	struct origin at;
};

struct config {
	const char *file;         /* as given */
	struct mistakes mistakes; /* with any, this is good for validate.h only */
	struct mistakes warnings; /* what works, but hardly as it was meant */
	bool parsed;              /* `file` was; else values are guessed, or defaults */
	struct origins at;

	const char *instance; /* default: the host name */
	const char *location; /* NULL: not set */
	const char *user;     /* NULL: not set */
	const char *checker_user;
	const char *pid_file;

	enum log_destination log_destination;
	enum log_level log_level;

	int workers_min; /* 1 … workers_max */
	int workers_max; /* … 4,096 */

	const char *control_socket; /* NULL: none */
	const char *metrics_file;   /* NULL: none */

	const char *spool_dir;
	int64_t spool_max_bytes;
	unsigned spool_sync_full; /* 1: full, 0: normal */

	const struct config_string *references; /* URLs; see vantage in webmond.conf(5) */
	size_t reference_count;                 /* 0: no vantage */
	int64_t vantage_timeout_us;             /* for all of them together */

	bool has_kafka; /* the group is there */
	const char *kafka_topic;
	const char *kafka_properties_file; /* absolute or relative to the cwd at load; NULL: none */
	const struct config_string *kafka_properties; /* name=value */
	size_t kafka_property_count;
	enum kafka_format kafka_format;
	const char *kafka_group; /* NULL: none, this daemon checks all sites */
	enum kafka_alone kafka_alone;

	const struct site *sites; /* in the order of the files, but the enabled ones first */
	size_t site_count;        /* enabled */
	size_t disabled_count;    /* behind them, only to be validated */
	struct site defaults;     /* what sites inherit; no name, no url */
	const char *sites_dir;

	const char *const *files;    /* all paths that they name, each once, NULL at the end */
	const char *const *ca_files; /* those of ca_file, likewise */
	bool needs_ca;               /* some of them need the CA certificates of the system */

	/* of config.c only */
	int *holders; /* a page of its own if the rest is read-only */
	struct config_chunk *chunks;
	size_t region_size; /* of the pages in which all of this lies; 0: in chunks */
	size_t region_used, region_room;
	const struct site **by_name;
	size_t named_count;
};

/*
 * Read `path` and the files of its `sites_dir`. Relative names inside are resolved against the
 * directory of the file that holds them. Reads files only; no library but libconfig is touched.
 * Never NULL: what is wrong stands in `mistakes`, and the rest is as good as can be, so that
 * validate.h can name its mistakes too; it may lack names, URLs or the topic. To be freed with
 * config_free().
 */
struct config *config_load(const char *path);
void config_free(struct config *config);

/*
 * A configuration is freed when the last of its holders has released it. The count is not shared:
 * each process has its own.
 */
struct config *config_hold(struct config *config);
void config_release(struct config *config);

/*
 * A configuration that a child reads: a file that is very large or full of mistakes costs the
 * parent nothing.
 */
struct config_share {
	int fd;   /* -1: closed */
	void *at; /* addresses that both keep free for it */
};

/* In the parent, before the fork. Returns 0, or -1 with errno. */
int config_share_open(struct config_share *share);
void config_share_close(struct config_share *share);

/* In the child: as config_load(). NULL with errno: there is not enough memory. */
struct config *config_share_load(const struct config_share *share, const char *path);

/*
 * In the parent, when the child has ended and found no mistakes: the configuration, to be freed
 * with config_free(). NULL with errno. Then `share` is to be closed.
 */
struct config *config_share_take(struct config_share *share);

/* A range of addresses. */
struct network {
	int family; /* AF_INET, AF_INET6 */
	unsigned char address[16];
	int bits; /* how many of them count */
};

/* Read an address, in brackets or not, or a range as in "10.0.0.0/8". Returns whether it is one. */
bool config_read_network(struct network *out, const char *value);

/* Where to connect, whatever a look-up of the name would say. */
struct resolve {
	char host[256]; /* "": that of the url; an IPv6 address has its brackets */
	int port;       /* 0: that of the url */
	char ip[46];
	bool is_v6;
};

/* Read "host:port:address", or an address alone. Returns NULL, or what is wrong with it. */
const char *config_read_resolve(struct resolve *out, const char *value);

/*
 * Whether `key` was given: to a site itself and not by `defaults`, or to the configuration, where
 * that of a group is "spool.dir".
 */
bool config_gives(const struct origins *at, const char *key);

/* The line of `key`; if it was not given that of its group, or the first of the file. */
struct origin config_origin(const struct origins *at, const char *key);

/* What is wrong with "Name: value" as a header of a request, or NULL. */
const char *config_wrong_header(const char *value);

/* The index of the enabled site `name`, or -1. O(log n). */
ssize_t config_find_site(const struct config *config, const char *name);

/*
 * The name of the i-th key that a site can have, NULL behind the last one, and in `value` what it
 * is set to, by the site, by `defaults` or by default; "": not at all. Values that may be secret
 * are not shown: of a URL its query, of headers what follows the name, of a body all but its size.
 */
const char *config_describe_site(const struct site *site, size_t i, char *value, size_t size);

/* Whether two descriptions lead to the same checks (lines do not count). */
bool config_site_equal(const struct site *a, const struct site *b);

/*
 * For each enabled site of `config`, note its index in `before`, and whether it has changed. Slow
 * for many sites, so the child that reads the new file does it. A configuration with mistakes is
 * left alone.
 */
void config_compare(struct config *config, const struct config *before);

#endif
