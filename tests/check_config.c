/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/* The configuration: what is accepted, and every mistake with its line. */
#include "config/internal.h"

#include <check.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "scratch.h"
#include "suite.h"

/* libconfig 1.5 forgets a string that a syntax error follows. */
const char *__lsan_default_suppressions(void);

const char *
__lsan_default_suppressions(void)
{
	return "leak:libconfig";
}

static char path[128];

static void
set_up(void)
{
	make_dir();
	snprintf(path, sizeof(path), "%s/w.conf", dir);
}

static void
write_bytes(const char *name, const char *text, size_t size)
{
	FILE *f = fopen(path_in_dir(name), "w");

	ck_assert_ptr_nonnull(f);
	ck_assert_uint_eq(fwrite(text, 1, size, f), size);
	fclose(f);
}

/* Load what was written; its mistakes, without the directory, one a line, are in `*said`. */
static struct config *
load_file(const char *file, char **said)
{
	struct config *config = config_load(file);
	char *all = xstrdup("");

	for (size_t i = 0; i < config->mistakes.count; i++) {
		const char *line = config->mistakes.line[i];
		char *longer;

		if (strncmp(line, dir, strlen(dir)) == 0)
			line += strlen(dir) + 1;
		longer = xasprintf("%s%s\n", all, line);
		free(all);
		all = longer;
	}
	*said = all;
	return config;
}

static struct config *
load(const char *text, char **said)
{
	write_bytes("w.conf", text, strlen(text));
	return load_file(path, said);
}

static struct config *
load_good(const char *text)
{
	char *said;
	struct config *config = load(text, &said);

	ck_assert_msg(said[0] == '\0', "not accepted: %s", said);
	free(said);
	return config;
}

/* libcheck cannot show long texts */
static void
assert_said(const char *said, const char *expected)
{
	if (strcmp(said, expected) == 0)
		return;
	fprintf(stderr, "expected:\n%ssaid:\n%s", expected, said);
	ck_abort_msg("the mistakes are others");
}

#define SITE "sites = ( { name = \"a\"; url = \"http://a.example/\"; } );\n"

START_TEST(defaults_are_as_documented)
{
	struct config *c = load_good(SITE);
	const struct site *s = &c->sites[0];

	ck_assert_uint_eq(c->site_count, 1);
	ck_assert_int_eq(s->interval_us, 60 * US_PER_S);
	ck_assert_int_eq(s->timeout_us, 10 * US_PER_S);
	ck_assert(s->retries == 0 && s->retry_delay_us == US_PER_S);
	ck_assert_uint_eq(c->reference_count, 0);
	ck_assert_str_eq(s->method, "GET");
	ck_assert_str_eq(s->user_agent, "webmond/" VERSION);
	ck_assert_ptr_null(s->headers[0]);
	ck_assert_ptr_null(s->body);
	ck_assert_uint_eq(s->expect_count, 1);
	ck_assert_int_eq(s->expect[0].first, 200);
	ck_assert_int_eq(s->expect[0].last, 299);
	ck_assert_uint_eq(s->body_limit, 1024 * 1024);
	ck_assert_int_eq(s->max_response_us, 0);
	ck_assert(s->min_body_bytes == 0 && s->max_body_bytes == 0);
	ck_assert_int_eq(s->follow_redirects, 5);
	ck_assert(s->verify_tls && s->decode && !s->keepalive && s->ip_version == IP_ANY);
	ck_assert(!c->has_kafka && c->spool_sync_full == 1 && !config_gives(&c->at, "pid_file"));
	ck_assert_int_eq(c->workers_min, 4);
	ck_assert_int_eq(c->workers_max, 256);
	config_free(c);
}
END_TEST

START_TEST(sites_inherit_and_replace)
{
	struct config *c = load_good(
	    "defaults = { interval = 5.5; headers = [ \"A: 1\", \"B: 2\" ];\n"
	    " body_regex = \"x\"; body_regex_not = \"y\"; enabled = false; };\n"
	    "sites = ( { name = \"a\"; url = \"http://a/\"; enabled = true; },\n"
	    " { name = \"b\"; url = \"http://b/\"; },\n"
	    " { name = \"c\"; url = \"http://c/\"; enabled = true;\n"
	    "   headers = \"C: 3\"; body_regex = ( \"p\", \"q\" ); timeout = 2;\n"
	    "   expect_status = \"200, 300-399\"; labels = [ \"k=v\", \"l=w\" ]; } );\n");
	const struct site *a = &c->sites[0], *third = &c->sites[1];

	ck_assert_uint_eq(c->site_count, 2);
	ck_assert_int_eq(a->interval_us, 5500 * US_PER_MS);
	ck_assert_int_eq(a->timeout_us, 5500 * US_PER_MS);
	ck_assert_str_eq(a->headers[1], "B: 2");
	ck_assert_uint_eq(a->body_patterns.count, 2);
	ck_assert_str_eq(third->headers[0], "C: 3");
	ck_assert_ptr_null(third->headers[1]);
	ck_assert_uint_eq(third->body_patterns.count, 3);
	ck_assert_str_eq(third->body_patterns.items[1].text, "q");
	ck_assert(!third->body_patterns.items[1].negated && third->body_patterns.items[2].negated);
	ck_assert_uint_eq(third->expect_count, 2);
	ck_assert_str_eq(third->labels, "k=v,l=w");
	ck_assert_int_eq(config_find_site(c, "c"), 1);
	ck_assert_int_eq(config_find_site(c, "b"), -1);
	ck_assert(config_site_equal(a, a));
	ck_assert(!config_site_equal(a, third));
	config_free(c);
}
END_TEST

/* Whoever writes it decides whose rights webmond takes, and which files it writes. */
/* Of a key that is not there the line of its group. */
START_TEST(every_key_has_its_line)
{
	struct config *c = load_good("workers = {\n min = 1; };\n"
				     "defaults = {\n keepalive = true; };\n"
				     "sites = (\n"
				     " { name = \"a\";\n   url = \"http://a/\"; },\n"
				     " { name = \"b\";\n   url = \"http://b/\"; },\n"
				     " {\n\n   url = \"http://c/\"; name = \"c\"; } );\n");

	ck_assert_int_eq(config_origin(&c->at, "workers").line, 1);
	ck_assert_int_eq(config_origin(&c->at, "workers.min").line, 2);
	ck_assert_int_eq(config_origin(&c->at, "workers.max").line, 1);
	ck_assert_int_eq(config_origin(&c->at, "sites").line, 5);
	ck_assert(config_gives(&c->at, "workers.min") && !config_gives(&c->at, "workers.max"));
	ck_assert_int_eq(config_origin(&c->defaults.at, "keepalive").line, 4);
	ck_assert_int_eq(config_origin(&c->sites[0].at, "keepalive").line, 6);
	ck_assert_int_eq(config_origin(&c->sites[0].at, "url").line, 7);
	ck_assert_int_eq(config_origin(&c->sites[1].at, "url").line, 9);
	ck_assert_str_eq(config_origin(&c->sites[1].at, "url").file, path);
	/* those two look the same */
	ck_assert_ptr_eq(c->sites[0].at.keys, c->sites[1].at.keys);
	ck_assert_int_eq(config_origin(&c->sites[2].at, "name").line, 12);
	config_free(c);
}
END_TEST

static const char *const other_values[] = {
	"name = \"b\"",
	"url = \"http://b/\"",
	"interval = 61",
	"timeout = 9",
	"retries = 1",
	"retry_delay = 2; retries = 1",
	"method = \"HEAD\"",
	"headers = \"A: 1\"",
	"body = \"x\"",
	"body_file = \"x\"",
	"auth = \"basic\"; username = \"x\"; password_file = \"x\"",
	"username = \"x\"; auth = \"basic\"; password_file = \"x\"",
	"password_file = \"x\"; username = \"x\"; auth = \"basic\"",
	"token_file = \"x\"; auth = \"bearer\"",
	"header_file = \"x\"",
	"ca_file = \"x\"",
	"client_cert = \"x\"",
	"client_key = \"x\"; client_cert = \"x\"",
	"user_agent = \"x\"",
	"expect_status = \"204\"",
	"body_regex = \"x\"",
	"body_regex_not = \"x\"",
	"header_regex = \"A: x\"",
	"header_regex_not = \"A: x\"",
	"body_json = \"$.a\"",
	"body_limit_kb = 1",
	"min_body_bytes = 1",
	"max_body_bytes = 1000",
	"cert_min_days = 14",
	"body_sample = true",
	"max_response_time = 0.5",
	"follow_redirects = 0",
	"verify_tls = false",
	"decode = false",
	"keepalive = true",
	"ip_version = \"6\"",
	"resolve = \"192.0.2.1\"",
	"labels = \"k=v\"",
	"keepalive_lifetime = 120; keepalive = true",
	"http_version = \"1.1\"",
	"server_name = \"b.example\"",
	"tls_min_version = \"1.3\"",
	"allow_private_redirects = true",
	"record_query = false",
	"proxy = \"http://p:1\"",
	"no_proxy = \"b\"; proxy = \"http://p:1\"",
	"proxy_username = \"u\"; proxy_password_file = \"f\"; proxy = \"http://p:1\"",
	"proxy_password_file = \"f\"; proxy_username = \"u\"; proxy = \"http://p:1\"",
	"connect_timeout = 5",
};

/* Each key of a site, but for `enabled`: two that are compared are. */
START_TEST(sites_differ_by_each_key)
{
	for (const struct key *key = config_site_keys; key->name != NULL; key++) {
		const size_t size = strlen(key->name);
		struct config *a, *b;
		const char *other = NULL;
		char *text;

		if (strcmp(key->name, "enabled") == 0)
			continue;
		for (size_t i = 0; i < ARRAY_LENGTH(other_values); i++)
			if (strncmp(other_values[i], key->name, size) == 0 &&
			    other_values[i][size] == ' ')
				other = other_values[i];
		ck_assert_msg(other != NULL, "add another value of %s", key->name);
		text = xasprintf("sites = ( { %s%s%s; } );", other,
		    strcmp(key->name, "name") != 0 ? "; name = \"a\"" : "",
		    strcmp(key->name, "url") != 0 ? "; url = \"http://a.example/\"" : "");
		a = load_good(SITE);
		b = load_good(text);
		ck_assert_msg(!config_site_equal(&a->sites[0], &b->sites[0]), "%s", other);
		config_free(a);
		a = load_good(text);
		ck_assert_msg(config_site_equal(&a->sites[0], &b->sites[0]), "%s", other);
		config_free(a);
		config_free(b);
		free(text);
	}
}
END_TEST

START_TEST(root_takes_only_a_file_of_roots)
{
	struct config *c;
	char *said;

	if (geteuid() != 0)
		return; /* others take what they can read */
	write_bytes("w.conf", SITE, strlen(SITE));
	ck_assert_int_eq(chmod(path, 0664), 0);
	ck_assert_int_eq(chown(path, 65534, 0), 0);
	c = load_file(path, &said);
	ck_assert_uint_eq(c->mistakes.count, 2);
	ck_assert_ptr_nonnull(
	    strstr(said, "w.conf:1: started as root, webmond takes only a file of "
			 "root's; do: chown root "));
	ck_assert_ptr_nonnull(
	    strstr(said, "w.conf:1: started as root, webmond takes no file that a "
			 "group can write; do: chmod g-w "));
	free(said);
	config_free(c);
}
END_TEST

START_TEST(mistakes_are_told_in_one_go)
{
	char *said;

	config_free(load("intervall = 5;\n"
			 "log = { level = \"loud\"; };\n"
			 "workers = { min = 9; max = 2; };\n"
			 "spool = { max_mb = 0; };\n"
			 "sites = (\n"
			 "  { url = \"http://a/\"; },\n"
			 "  { name = \"b b\"; url = \"ftp://b/\"; interval = \"60\"; },\n"
			 "  { name = \"c\"; url = \"http://u:p@c/\"; timeout = 99; },\n"
			 "  { name = \"d\"; url = \"http://d/\"; interval = 4294967306; }\n"
			 ");\n"
			 "kafka = { properties = [ 5 ]; };\n",
	    &said));
	assert_said(said,
	    "w.conf:9: interval: integers have at most 9 digits\n"
	    "w.conf:1: unknown key \"intervall\"\n"
	    "w.conf:2: level: must be \"error\", \"warning\", \"notice\", \"info\" or \"debug\"\n"
	    "w.conf:4: max_mb: must be 1 to 1000000\n"
	    "w.conf:11: properties: must be a string in quotes, or a list of strings\n"
	    "w.conf:11: topic: is missing\n"
	    "w.conf:6: name: is missing\n"
	    "w.conf:7: name: must be 1 to 64 of letters, digits, '.', '_' and '-'\n"
	    "w.conf:7: url: must begin with http:// or https://\n"
	    "w.conf:7: interval: must be a number without quotes\n"
	    "w.conf:8: url: must not contain a user or password; set auth = \"basic\", "
	    "username and password_file instead\n"
	    "w.conf:8: timeout: 99 s is longer than the interval of 60 s\n"
	    "w.conf:9: interval: must be 1 to 86400\n"
	    "w.conf:3: workers: min (9) is greater than max (2)\n");
	free(said);
}
END_TEST

START_TEST(the_place_is_shown)
{
	char *said, *text, *fill = xcalloc(1, 1001);
	const char *c;

	/* tabs and letters of several bytes take one column each */
	config_free(load("\tlocation = \"äöü\";\tinstance = 'x';\n" SITE, &said));
	assert_said(said,
	    "w.conf:1: text stands in double quotes, not in single ones: write \"…\"\n"
	    "    location = \"äöü\"; instance = 'x';\n"
	    "                                 ^\n");
	free(said);

	/* of a long line a piece */
	memset(fill, 'x', 1000);
	text = xasprintf("location = \"%s\"; instance = 'x'; user = \"%s\";\n" SITE, fill, fill);
	config_free(load(text, &said));
	c = strstr(said, "\n    …xxx");
	ck_assert_msg(c != NULL && strcspn(c + 1, "\n") < 250, "%s", said);
	ck_assert_ptr_nonnull(strstr(c, "instance = 'x'; user = "));
	free(said);
	free(text);
	free(fill);

	/* bytes that drive a terminal or are no text are not shown, nor is what may be secret */
	config_free(load("location = \"\033[31m\xff\"; instance = 'x';\n" SITE, &said));
	ck_assert(strchr(said, '\033') == NULL && strchr(said, '\xff') == NULL);
	ck_assert_ptr_nonnull(strstr(said, "instance = 'x'"));
	free(said);
	config_free(load("defaults = { headers = 'Authorization: Bearer xyzzy'; };\n" SITE, &said));
	assert_said(
	    said, "w.conf:1: text stands in double quotes, not in single ones: write \"…\"\n");
	free(said);
}
END_TEST

/* What is not wrong is never told, and what works is not refused. */
START_TEST(warnings_are_no_mistakes)
{
	struct config *c = load_good(
	    "sites = ( { name = \"a\"; url = \"http://a/\"; body_regex = [ \"\\d+\\s\\S\",\n"
	    " \"/EUR/i\", \"/cart/\", \"a/b/i\", \"\\\\d\\\\s\" ]; } ); # no line behind this");
	const char *const expected[] = {
		":1: warning: body_regex: \\d has a single backslash; write \\\\d, ",
		":2: warning: body_regex: the slashes round the pattern are looked for",
	};

	ck_assert_uint_eq(c->warnings.count, ARRAY_LENGTH(expected));
	for (size_t i = 0; i < ARRAY_LENGTH(expected); i++)
		ck_assert_msg(
		    strstr(c->warnings.line[i], expected[i]) != NULL, "%s", c->warnings.line[i]);
	ck_assert_str_eq(c->sites[0].body_patterns.items[0].text, "\\d+\\s\\S");
	config_free(c);
}
END_TEST

/* Many mistakes, deep brackets, a file that is nothing else: it ends, and soon. */
START_TEST(hostile_files_cost_little)
{
	static const char *const pieces[] = { "a='b';", "a=30s;", "{", "[{", "(", "a{", "\"x\"y",
		"}", "a=(", "a=1,,", "\"", "/*", "a=\n", "a.b=1;", "- ", "\xe2\x80\x9c", "a a", "=",
		"\\" };

	for (size_t i = 0; i < ARRAY_LENGTH(pieces); i++) {
		size_t size = strlen(pieces[i]), n = 300000 / size;
		char *text = xcalloc(n, size + 1);
		struct config *c;

		for (size_t k = 0; k < n; k++)
			memcpy(text + k * size, pieces[i], size);
		write_bytes("w.conf", text, n * size);
		c = config_load(path);
		ck_assert_msg(c->mistakes.count > 0, "%s", pieces[i]);
		config_free(c);
		free(text);
	}
}
END_TEST

START_TEST(strings_at_their_limits)
{
	static const struct {
		const char *before, *after;
		int most;
	} cases[] = {
		{ "instance = \"", "\"; " SITE, 64 },
		{ "location = \"", "\"; " SITE, 64 },
		{ "user = \"", "\"; " SITE, 32 },
		{ "kafka = { topic = \"", "\"; }; " SITE, 249 },
		{ "sites = ( { url = \"http://a/\"; name = \"", "\"; } );", 64 },
		{ "sites = ( { name = \"a\"; url = \"http://a/", "\"; } );", 1024 - 9 },
		{ "defaults = { labels = [ \"k=v\", \"k=", "\" ]; }; " SITE, 256 - 6 },
		{ "defaults = { method = \"", "\"; }; " SITE, 16 },
	};

	for (size_t i = 0; i < ARRAY_LENGTH(cases); i++)
		for (int size = cases[i].most; size <= cases[i].most + 1; size++) {
			char *fill = xcalloc((size_t)size + 1, 1), *text, *said;

			memset(fill, 'X', (size_t)size);
			text = xasprintf("%s%s%s", cases[i].before, fill, cases[i].after);
			config_free(load(text, &said));
			ck_assert_msg((said[0] == '\0') == (size == cases[i].most),
			    "%s: %d bytes: %s", cases[i].before, size, said);
			free(said);
			free(text);
			free(fill);
		}
}
END_TEST

START_TEST(a_directory_of_sites)
{
	char *sub = xasprintf("%s/sites.d", dir);
	static const char b[] = "sites = ( { name = \"b\"; url = \"http://b/\"; } );";
	static const char bad[] =
	    "\nlog = { };\nsites = ( { name = \"b\"; url = \"http://b/\"; } );";
	struct config *c;
	char *said;

	ck_assert_int_eq(mkdir(sub, 0755), 0);
	free(sub);
	write_bytes("sites.d/2.conf", b, sizeof(b) - 1);
	write_bytes("sites.d/1.conf", "", 0);
	write_bytes("sites.d/.hidden.conf", "nonsense", 8);
	write_bytes("sites.d/readme.txt", "nonsense", 8);
	c = load_good("sites_dir = \"sites.d\";\n" SITE);
	ck_assert_uint_eq(c->site_count, 2);
	ck_assert_str_eq(c->sites[1].name, "b");
	config_free(c);
	write_bytes("sites.d/3.conf", bad, sizeof(bad) - 1);
	config_free(load("sites_dir = \"sites.d\";\n" SITE, &said));
	ck_assert_ptr_nonnull(
	    strstr(said, "sites.d/3.conf:2: unknown key \"log\"; log belongs into "));
	ck_assert_ptr_nonnull(strstr(said, "sites.d/3.conf:3: name: \"b\" is used already at "));
	free(said);
}
END_TEST

/* A file of the source tree with the values of this build in it. */
static char *
source_file(const char *name)
{
	static const char *const values[][2] = { { "@VERSION@", VERSION },
		{ "@runstatedir@", RUNSTATEDIR }, { "@localstatedir@", LOCALSTATEDIR } };
	const char *srcdir = getenv("srcdir");
	char *file = xasprintf("%s/%s", srcdir != NULL ? srcdir : ".", name);
	char *text = xcalloc(1, 100000), *found;
	FILE *f = fopen(file, "r");

	ck_assert_msg(f != NULL, "cannot read %s", file);
	ck_assert_uint_lt(fread(text, 1, 90000, f), 90000);
	fclose(f);
	free(file);
	for (size_t i = 0; i < ARRAY_LENGTH(values); i++)
		while ((found = strstr(text, values[i][0])) != NULL) {
			char *rest = xstrdup(found + strlen(values[i][0]));

			sprintf(found, "%s%s", values[i][1], rest);
			free(rest);
		}
	return text;
}

/* The sample with every option: a # without a space behind it goes away. */
static char *
sample_of_everything(void)
{
	char *text = source_file("etc/webmond.conf.in"), *out = text;
	bool line_begins = true;

	for (const char *c = text; *c != '\0'; c++) {
		if (!(line_begins && *c == '#' && c[1] != ' ' && c[1] != '\n'))
			*out++ = *c;
		line_begins = *c == '\n';
	}
	*out = '\0';
	return text;
}

/* Either accepted, or every mistake has its file and line. */
static void
load_anything(const char *text, size_t size)
{
	struct config *config;

	write_bytes("w.conf", text, size);
	config = config_load(path);
	for (size_t i = 0; i < config->mistakes.count; i++) {
		const char *said = config->mistakes.line[i] + strlen(path);

		ck_assert_int_eq(strncmp(config->mistakes.line[i], path, strlen(path)), 0);
		ck_assert_msg(said[0] == ':' && atoi(said + 1) > 0, "%s", said);
		ck_assert_uint_lt(strlen(said), 2000);
	}
	config_free(config);
}

START_TEST(a_file_cut_anywhere)
{
	char *text = sample_of_everything();

	for (size_t size = strlen(text); size > 0; size--)
		load_anything(text, size);
	free(text);
}
END_TEST

START_TEST(a_file_with_any_byte_changed)
{
	static const char nasty[] = "\0\"\\{)];=#/@9xe\n\x08\x80\xff";
	char *text = sample_of_everything();
	size_t size = strlen(text);

	for (size_t i = 0; i < size; i++) {
		char was = text[i];

		text[i] = nasty[i % (sizeof(nasty) - 1)];
		load_anything(text, size);
		text[i] = nasty[(i * 7 + 3) % (sizeof(nasty) - 1)];
		load_anything(text, size);
		text[i] = was;
	}
	free(text);
}
END_TEST

START_TEST(the_sample_holds_the_defaults)
{
	char *text = sample_of_everything(), *sub = xasprintf("%s/sites.d", dir);
	struct config *plain = load_good(SITE), *full;
	struct site a = plain->sites[0], b;

	ck_assert_int_eq(mkdir(sub, 0755), 0);
	full = load_good(text);
	ck_assert_int_eq(full->log_destination, plain->log_destination);
	ck_assert_int_eq(full->log_level, plain->log_level);
	ck_assert_int_eq(full->workers_min, plain->workers_min);
	ck_assert_int_eq(full->workers_max, plain->workers_max);
	ck_assert_str_eq(full->pid_file, plain->pid_file);
	ck_assert_str_eq(full->spool_dir, plain->spool_dir);
	ck_assert_int_eq(full->spool_max_bytes, plain->spool_max_bytes);
	ck_assert_int_eq(full->spool_sync_full, plain->spool_sync_full);
	ck_assert_int_eq(full->vantage_timeout_us, plain->vantage_timeout_us);
	ck_assert_uint_eq(full->reference_count, 2);
	b = full->sites[0];
	ck_assert(b.headers[0] != NULL && b.body != NULL && b.labels != NULL);
	ck_assert_uint_eq(b.body_patterns.count, 2);
	ck_assert_uint_eq(b.header_patterns.count, 2);
	ck_assert_uint_eq(b.body_json.count, 2);
	ck_assert_int_gt(b.max_response_us, 0);
	ck_assert(b.min_body_bytes > 0 && b.max_body_bytes > 0);
	ck_assert_ptr_nonnull(b.resolve);
	/* which have no default, nor have these; all the others are the same */
	b.headers = a.headers;
	b.header_file = a.header_file;
	b.client_cert = a.client_cert;
	b.client_key = a.client_key;
	b.body = a.body;
	b.labels = a.labels;
	b.body_patterns.count = a.body_patterns.count;
	b.header_patterns.count = a.header_patterns.count;
	b.body_json.count = a.body_json.count;
	b.cert_min_days = a.cert_min_days;
	b.min_body_bytes = a.min_body_bytes;
	b.max_body_bytes = a.max_body_bytes;
	b.max_response_us = a.max_response_us;
	b.resolve = a.resolve;
	b.proxy = a.proxy;
	b.server_name = a.server_name;
	b.tls_min_version = a.tls_min_version;
	b.connect_timeout_us = a.connect_timeout_us;
	b.name = a.name;
	b.url = a.url;
	ck_assert(config_site_equal(&a, &b));
	config_free(full);
	config_free(plain);
	free(sub);
	free(text);
}
END_TEST

static bool
has_number(const char *text, double number)
{
	char digits[24];
	size_t n = (size_t)snprintf(digits, sizeof(digits), "%.10g", number);

	for (const char *c = text; (c = strstr(c, digits)) != NULL; c += n)
		if (strchr(" \n", c[-1]) != NULL && strchr(" \n,;.", c[n]) != NULL)
			return true;
	return false;
}

/* `prefix`: of the group, with its dot. */
static void
assert_documented(const char *manual, const char *sample, const char *prefix, const struct key *key)
{
	static const char *const types[] = { [KEY_STRING] = "string",
		[KEY_STRINGS] = "strings",
		[KEY_JOINED] = "strings",
		[KEY_PATTERNS] = "strings",
		[KEY_PATH] = "file",
		[KEY_WORD] = "string",
		[KEY_INTEGER] = "integer",
		[KEY_KIB] = "integer",
		[KEY_MIB] = "integer",
		[KEY_SECONDS] = "seconds",
		[KEY_BOOL] = "boolean" };
	bool directory = strcmp(key->name + strlen(key->name) - 3, "dir") == 0;
	char *title = xasprintf(".It Ic %s%s No = Ar %s\n", prefix, key->name,
	    directory ? "directory" : types[key->kind]);
	char *setting = xasprintf("%s = ", key->name);
	const char *start = strstr(manual, title), *end;
	char *text;

	ck_assert_msg(strstr(sample, setting) != NULL, "the sample lacks %s%s", prefix, key->name);
	ck_assert_msg(start != NULL, "the manual lacks %s", title);
	end = strstr(start + 1, "\n.It ");
	if (end == NULL || end > strstr(start, "\n.El"))
		end = strstr(start, "\n.El");
	text = xasprintf("%.*s", (int)(end - start), start);
	ck_assert_msg(strcasestr(text, "default") != NULL || strstr(text, "Required") != NULL,
	    "the manual does not say what is the default of %s", key->name);
	for (size_t i = 0; key->words != NULL && key->words[i] != NULL; i++)
		ck_assert_msg(
		    strstr(text, key->words[i]) != NULL, "%s: %s", key->name, key->words[i]);
	if (key->kind == KEY_INTEGER || key->kind == KEY_KIB || key->kind == KEY_MIB ||
	    key->kind == KEY_SECONDS)
		ck_assert_msg(has_number(text, key->min), "%s: no %g", key->name, key->min);
	if (key->max > 0 && strcmp(key->name, "timeout") != 0 && strstr(key->name, "user") == NULL)
		ck_assert_msg(has_number(text, key->max), "%s: no %g", key->name, key->max);
	free(text);
	free(setting);
	free(title);
}

START_TEST(every_key_is_documented)
{
	char *manual = source_file("src/webmond.conf.5.in");
	char *sample = source_file("etc/webmond.conf.in");

	for (const struct key *key = config_site_keys; key->name != NULL; key++)
		assert_documented(manual, sample, "", key);
	for (const struct key *key = config_main_keys; key->name != NULL; key++) {
		char *prefix = xasprintf("%s.", key->name);

		if (key->keys != NULL && key->kind != KEY_DEFAULTS)
			for (const struct key *k = key->keys; k->name != NULL; k++)
				assert_documented(manual, sample, prefix, k);
		else if (key->keys == NULL && key->kind != KEY_SITES)
			assert_documented(manual, sample, "", key);
		free(prefix);
	}
	free(manual);
	free(sample);
}
END_TEST

START_TEST(ten_thousand_sites)
{
	FILE *f = fopen(path, "w");
	struct config *c;

	fprintf(f, "sites = (\n");
	for (int i = 0; i < 10000; i++)
		fprintf(f, "%s{ name = \"s%d\"; url = \"http://h%d.example/\"; enabled = %s; }\n",
		    i > 0 ? "," : "", i, i, i % 10 != 9 ? "true" : "false");
	fprintf(f, ");\n");
	fclose(f);
	c = config_load(path);
	ck_assert_uint_eq(c->mistakes.count, 0);
	ck_assert_uint_eq(c->site_count, 9000);
	ck_assert_uint_eq(c->disabled_count, 1000);
	for (int i = 0; i < 10000; i += 37) {
		char name[16];
		ssize_t found;

		snprintf(name, sizeof(name), "s%d", i);
		found = config_find_site(c, name);
		if (i % 10 == 9)
			ck_assert_int_eq(found, -1);
		else
			ck_assert_str_eq(c->sites[found].name, name);
	}
	config_free(c);
}
END_TEST

START_TEST(files_that_are_none)
{
	char *said;

	config_free(load_file("/nonexistent/w.conf", &said));
	assert_said(said, "/nonexistent/w.conf: cannot read the file: No such file or directory; "
			  "see " CONFIG_SAMPLE " and webmond.conf(5)\n");
	free(said);
	config_free(load_file(dir, &said));
	ck_assert_ptr_nonnull(strstr(said, ": it is not a file\n"));
	free(said);
	ck_assert_int_eq(mkfifo(path, 0600), 0);
	config_free(load_file(path, &said));
	assert_said(said, "w.conf: cannot read the file: it is not a file\n");
	free(said);
	unlink(path);
	write_bytes("w.conf", SITE, strlen(SITE));
	ck_assert_int_eq(truncate(path, 101 << 20), 0);
	config_free(load_file(path, &said));
	assert_said(said, "w.conf: cannot read the file: it is too large\n");
	free(said);
}
END_TEST

/*
 * A child reads it where the parent finds it: the same words at the same addresses, and read only.
 */
START_TEST(a_child_reads_for_its_parent)
{
	struct config_share share;
	struct config *config;
	char text[64 * 1024] = "workers = { max = 9; };\nsites = (\n";
	size_t n = strlen(text);
	const char *file;
	int status;
	pid_t pid;

	for (int i = 0; i < 500; i++)
		n += (size_t)snprintf(text + n, sizeof(text) - n,
		    "{ name = \"s%d\"; url = \"http://h/%d\"; body_regex = \"a|%d\"; },\n", i, i,
		    i);
	snprintf(text + n - 2, sizeof(text) - n, ");\n");
	file = write_file("shared.conf", text, 0644);
	ck_assert_int_eq(config_share_open(&share), 0);
	pid = fork();
	if (pid == 0) {
		config = config_share_load(&share, file);
		_exit(config != NULL && config->mistakes.count == 0 ? 0 : 1);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(status, 0);
	config = config_share_take(&share);
	ck_assert_ptr_nonnull(config);
	config_share_close(&share);
	ck_assert_uint_eq(config->site_count, 500);
	ck_assert_int_eq(config->workers_max, 9);
	ck_assert_int_eq(config_find_site(config, "s321"), 321);
	ck_assert_str_eq(config->sites[321].url, "http://h/321");
	ck_assert_str_eq(config->sites[321].body_patterns.items[0].text, "a|321");
	pid = fork();
	if (pid == 0) {
		signal(SIGSEGV, SIG_DFL); /* a sanitizer catches it */
		config->workers_max = 1;
		_exit(0);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert(WIFSIGNALED(status));
	config_free(config);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("config");
	TCase *tcase = tcase_create("config");

	tcase_add_test(tcase, defaults_are_as_documented);
	tcase_add_test(tcase, sites_inherit_and_replace);
	tcase_add_test(tcase, every_key_has_its_line);
	tcase_add_test(tcase, sites_differ_by_each_key);
	tcase_add_test(tcase, root_takes_only_a_file_of_roots);
	tcase_add_test(tcase, mistakes_are_told_in_one_go);
	tcase_add_test(tcase, the_place_is_shown);
	tcase_add_test(tcase, warnings_are_no_mistakes);
	tcase_add_test(tcase, hostile_files_cost_little);
	tcase_add_test(tcase, strings_at_their_limits);
	tcase_add_test(tcase, a_directory_of_sites);
	tcase_add_test(tcase, files_that_are_none);
	tcase_add_test(tcase, a_file_cut_anywhere);
	tcase_add_test(tcase, a_file_with_any_byte_changed);
	tcase_add_test(tcase, the_sample_holds_the_defaults);
	tcase_add_test(tcase, every_key_is_documented);
	tcase_add_test(tcase, ten_thousand_sites);
	tcase_add_test(tcase, a_child_reads_for_its_parent);
	tcase_add_checked_fixture(tcase, set_up, remove_dir);
	tcase_set_timeout(tcase, 120); /* thousands of files */
	suite_add_tcase(suite, tcase);
	return run_suite(suite);
}
