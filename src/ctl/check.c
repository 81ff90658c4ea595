/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * check: a plugin for Nagios, Icinga and others (Monitoring Plugins Development Guidelines): one
 * line with performance data behind a bar, and an exit code.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "commands.h"
#include "exit.h"
#include "show.h"
#include "util.h"
#include "writer.h"

enum state {
	STATE_OK,
	STATE_WARNING,
	STATE_CRITICAL,
	STATE_UNKNOWN,
};

#define TEXT_SIZE 1200

/* Those who run plugins wait for 10 s, and then say nothing of why. */
#define PATIENCE_S 8

struct check {
	const struct options *options;
	enum state state;
	bool known;           /* there is a verdict */
	char text[TEXT_SIZE]; /* with the performance data */
};

/* A bar begins performance data, wherever it comes from. */
static void
say(struct check *c, enum state state, const char *text)
{
	c->known = true;
	c->state = state;
	snprintf(c->text, sizeof(c->text), "%s", text);
	for (char *bar = c->text; (bar = strchr(bar, '|')) != NULL;)
		*bar = '/';
}

static void append(struct check *c, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void
append(struct check *c, const char *format, ...)
{
	size_t used = strlen(c->text);
	va_list ap;

	va_start(ap, format);
	vsnprintf(c->text + used, sizeof(c->text) - used, format, ap);
	va_end(ap);
}

/* " name=value;warning;critical", with what is known. A plugin's numbers have no exponent. */
static void
append_measure(struct check *c, const char *name, double value, const char *unit, bool limits)
{
	const struct options *o = c->options;

	if (isnan(value))
		return;
	append(c, " %s=%.*f%s", name, unit[0] == 's' ? 6 : 0, value, unit);
	if (!limits || (isnan(o->warning) && isnan(o->critical)))
		return;
	append(c, ";");
	if (!isnan(o->warning))
		append(c, "%.15g", o->warning);
	append(c, ";");
	if (!isnan(o->critical))
		append(c, "%.15g", o->critical);
}

/* The state of a value that is to stay within the limits. */
static enum state
judge(const struct options *o, double value)
{
	if (!isnan(o->critical) && value > o->critical)
		return STATE_CRITICAL;
	return !isnan(o->warning) && value > o->warning ? STATE_WARNING : STATE_OK;
}

static enum state
worse(enum state a, enum state b)
{
	return a > b ? a : b;
}

/* --- a site ------------------------------------------------------------------------------ */

/*
 * Each slot of a site has its result within two intervals: if there is none for longer, the last
 * one tells nothing about now. Returns whether that is so.
 */
static bool
say_silence(struct check *c, const struct line *line, const char *name, const char *status)
{
	time_t last = line_time(line, "scheduled_at");
	double age = difftime(line->now, last);
	char span[DURATION_SIZE], *text;

	if (last == 0 || !(age > 3 * line_number(line, "interval_s") + 2))
		return false;
	text = xasprintf("%s has had no result for %s; the last one was: %s", name,
	    describe_span(age, span), status);
	say(c, STATE_UNKNOWN, text);
	free(text);
	return true;
}

static void
take_site(void *arg, const struct line *line)
{
	static const char *const phases[] = { "dns", "connect", "tls", "wait", "receive" };
	struct check *c = arg;
	double seconds = line_number(line, "elapsed_ms") / 1000;
	char name[80], status[16], word[40], why[TEXT_SIZE], span[DURATION_SIZE];
	enum state state = STATE_UNKNOWN;
	time_t since = line_time(line, "status_since");
	char *text;

	if (!line_is(line, "site"))
		return;
	line_text(line, "site", name, sizeof(name));
	line_text(line, "status", status, sizeof(status));
	if (say_silence(c, line, name, status))
		return;
	line_text(line, "error_type", word, sizeof(word));
	line_text(line, "error_message", why, sizeof(why));
	describe_span(since != 0 ? difftime(line->now, since) : 0, span);
	if (strcmp(status, "up") == 0)
		state = judge(c->options, seconds);
	else if (strcmp(status, "down") == 0)
		state = STATE_CRITICAL;
	text = line_true(line, "elsewhere")
		   ? xasprintf("%s: another member of the group checks it", name)
	       : status[0] == '\0' ? xasprintf("%s: not known yet", name)
	       : word[0] != '\0'
		   ? xasprintf("%s is %s for %s: %s: %s", name, status, span, word, why)
		   : xasprintf("%s is %s for %s, %.3f s", name, status, span, seconds);
	say(c, state, text);
	free(text);
	append(c, " |");
	append_measure(c, "time", seconds, "s", true);
	for (size_t i = 0; i < ARRAY_LENGTH(phases); i++) {
		char member[16];

		snprintf(member, sizeof(member), "%s_ms", phases[i]);
		append_measure(c, phases[i], line_number(line, member) / 1000, "s", false);
	}
}

/* --- the daemon -------------------------------------------------------------------------- */

/* What is wrong with it, but for sites that are down, or NULL. */
static const char *
what_is_wrong(const struct line *line, enum state *state)
{
	char stage[16], kafka[32];
	bool starting;

	line_text(line, "stage", stage, sizeof(stage));
	starting = strcmp(line_text(line, "kafka", kafka, sizeof(kafka)), "starting") == 0;
	*state = STATE_CRITICAL;
	if (!line_kafka_is_well(line) && !starting)
		return "Kafka takes no records";
	*state = STATE_WARNING;
	if (strcmp(stage, "running") != 0)
		return "it is starting or stopping";
	if (starting)
		return "the publisher is starting";
	if (!line_group_is_well(line))
		return "the group cannot be reached";
	if (line_count(line, "dropped") > 0)
		return "records were dropped for want of room";
	if (line_count(line, "dead_letters") > 0)
		return "Kafka has refused records for good";
	if (2 * line_count(line, "unknown") >
	    line_count(line, "sites") - line_count(line, "elsewhere"))
		return "most sites cannot be checked";
	*state = STATE_OK;
	return NULL;
}

static void
take_status(void *arg, const struct line *line)
{
	struct check *c = arg;
	uint64_t sites = line_count(line, "sites"), down = line_count(line, "down");
	uint64_t waiting = line_count(line, "spool_records");
	enum state state;
	const char *wrong;
	char *text;

	if (!line_is(line, "status"))
		return;
	wrong = what_is_wrong(line, &state);
	text = xasprintf("%s%s%llu site%s: %llu up, %llu down, %llu unknown; %llu record%s waiting",
	    wrong != NULL ? wrong : "", wrong != NULL ? "; " : "", (unsigned long long)sites,
	    util_plural(sites), (unsigned long long)line_count(line, "up"),
	    (unsigned long long)down, (unsigned long long)line_count(line, "unknown"),
	    (unsigned long long)waiting, util_plural(waiting));
	say(c, worse(state, judge(c->options, (double)down)), text);
	free(text);
	append(c, " |");
	append_measure(c, "up", line_number(line, "up"), "", false);
	append_measure(c, "down", (double)down, "", true);
	append_measure(c, "unknown", line_number(line, "unknown"), "", false);
	append_measure(c, "checks", line_number(line, "checks"), "c", false);
	append_measure(c, "late_99", line_number(line, "lateness_p99_ms") / 1000, "s", false);
	append_measure(c, "waiting", (double)waiting, "", false);
	append_measure(c, "spool", line_number(line, "spool_bytes"), "B", false);
}

static void
print_json(const char *word, const struct check *c)
{
	char text[2 * TEXT_SIZE];
	struct writer w = { text, text + sizeof(text) };

	write_text(&w, "{\"state\":", word, 16);
	write_integer(&w, ",\"exit_code\":", (int64_t)c->state);
	write_text(&w, ",\"text\":", c->text, sizeof(text) / 2);
	write_literal(&w, "}\n");
	fwrite(text, 1, (size_t)(w.at - text), stdout);
}

/* It does not run, or hangs. */
static bool
is_away(int code)
{
	return code == CLIENT_NOT_RUNNING || code == EXIT_UNAVAILABLE;
}

int
command_check(int argc, char **argv)
{
	static const char *const words[] = { "OK", "WARNING", "CRITICAL", "UNKNOWN" };
	static const struct usage usage = { .arguments = "check [SITE] [-w LIMIT] [-c LIMIT]",
		.purpose =
		    "Check the daemon, or a site by what the daemon knows of it, as a plugin of "
		    "Nagios.\nExits 0: OK, 1: WARNING, 2: CRITICAL, 3: UNKNOWN.\n"
		    "  -w, --warning LIMIT  of a site: seconds; of the daemon: sites that are down\n"
		    "  -c, --critical LIMIT likewise\n",
		.limits = true,
		.argument = ARGUMENT_OPTIONAL };
	struct options o;
	struct check c = { .options = &o };
	char error[512], *request;
	int code = options_read(&o, argc, argv, &usage);

	if (code >= 0)
		return code == EXIT_FINE ? EXIT_FINE : (int)STATE_UNKNOWN;
	o.patience_s = PATIENCE_S;
	request = xasprintf(o.argument != NULL ? "site %s" : "status", o.argument);
	code = client_try(
	    &o, request, o.argument != NULL ? take_site : take_status, &c, error, sizeof(error));
	free(request);
	if (code != EXIT_FINE || !c.known)
		say(&c, is_away(code) && o.argument == NULL ? STATE_CRITICAL : STATE_UNKNOWN,
		    code != EXIT_FINE ? error : "webmond does not say");
	if (o.json)
		print_json(words[c.state], &c);
	else
		printf("WEBMOND %s - %s\n", words[c.state], c.text);
	return (int)c.state;
}
