/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * page: a status page, to standard output or to a file that is always whole; once, or again and
 * again until a signal, for a web server that is there already. A daemon that is away meanwhile is
 * told by the page.
 */
#include "page.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "commands.h"
#include "exit.h"
#include "util.h"
#include "whole_file.h"

/* A reload in the middle of an answer makes it useless; one soon after another is rare. */
#define TRIES 3

/* The answer as a whole, or `answer` stays as it was. */
static int
ask(const struct options *o, struct page_answer *answer, char *error, size_t size)
{
	struct page_answer new;
	int code = CLIENT_AGAIN;

	for (int i = 0; i < TRIES && code == CLIENT_AGAIN; i++) {
		new = (struct page_answer){ .key = o->group };
		code = client_try(o, "status", page_take, &new, error, size);
		if (code == EXIT_FINE)
			code = client_try(o, "sites all", page_take, &new, error, size);
		if (code == EXIT_FINE && new.status.text != NULL) {
			page_release(answer);
			page_sort(&new);
			*answer = new;
			return EXIT_FINE;
		}
		page_release(&new);
	}
	return code != EXIT_FINE ? code : EXIT_UNAVAILABLE;
}

/* --- the file ---------------------------------------------------------------------------- */

/* What is not a file, such as a device, must not be replaced by one. */
static bool
may_be_replaced(const char *file)
{
	struct stat st;

	if (lstat(file, &st) != 0 || S_ISREG(st.st_mode))
		return true;
	fprintf(stderr, "webmondctl: \"%s\" is no regular file\n", file);
	return false;
}

/*
 * It is the old one or the new one at each moment. A signal waits until it is. `failing`: the last
 * time it could not be written, which is said once.
 */
static int
write_file(const struct page *page, const char *file, bool failing)
{
	struct whole_file f;
	sigset_t all, before;
	int code;

	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, &before);
	code = whole_file_open(&f, file);
	if (code == 0) {
		page_write(f.out, page);
		code = whole_file_close(&f);
	}
	if (code < 0 && !failing)
		fprintf(stderr, "webmondctl: \"%s\": %s\n", file, strerror(errno));
	else if (code == 0 && failing)
		fprintf(stderr, "webmondctl: \"%s\" is written again\n", file);
	sigprocmask(SIG_SETMASK, &before, NULL);
	return code == 0 ? EXIT_FINE : EXIT_OS;
}

/* --- again and again --------------------------------------------------------------------- */

static void
on_signal(int number)
{
	(void)number;
	_exit(EXIT_FINE);
}

static void
wait_until(int64_t mono_us)
{
	const struct timespec until = { .tv_sec = mono_us / US_PER_S,
		.tv_nsec = mono_us % US_PER_S * 1000 };

	clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL);
}

/* What may be a mistake of whoever starts it ends it at the first time only. */
static int
write_forever(const struct options *o)
{
	const int64_t every_us = o->every_s * US_PER_S;
	struct sigaction action = { .sa_handler = on_signal };
	struct page_answer answer = { .key = o->group };
	char error[512], said[512] = "";
	int64_t next = util_mono_us();
	int written = EXIT_FINE;

	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGINT, &action, NULL);
	for (bool first = true;; first = false) {
		int asked = ask(o, &answer, error, sizeof(error));
		const struct page page = { .answer = &answer,
			.error = asked != EXIT_FINE ? error : NULL,
			.now = time(NULL),
			.every_s = o->every_s };

		if (asked == EXIT_FINE)
			error[0] = '\0';
		if (strcmp(error, said) != 0)
			fprintf(stderr, "webmondctl: %s\n",
			    asked != EXIT_FINE ? error : "webmond answers again");
		memcpy(said, error, sizeof(said));
		if (first && asked == EXIT_PERMISSION)
			return asked;
		written = write_file(&page, o->argument, written != EXIT_FINE);
		if (first && written != EXIT_FINE)
			return written;
		next += every_us;
		if (next < util_mono_us()) /* it was stopped, or asked for long */
			next = util_mono_us();
		wait_until(next);
	}
}

static int
write_once(const struct options *o)
{
	struct page_answer answer = { .key = o->group };
	const struct page page = { .answer = &answer, .now = time(NULL) };
	char error[512] = "";
	int code = ask(o, &answer, error, sizeof(error));

	if (code != EXIT_FINE)
		fprintf(stderr, "webmondctl: %s\n", error);
	else if (o->argument != NULL)
		code = write_file(&page, o->argument, false);
	else
		page_write(stdout, &page);
	page_release(&answer);
	return code;
}

static void
ignore_line(void *arg, const struct line *line)
{
	(void)arg;
	(void)line;
}

int
command_page(int argc, char **argv)
{
	static const struct usage usage = {
		.arguments = "page [FILE [--every SECONDS]] [--group KEY]",
		.purpose =
		    "Write a status page, one file of HTML, to standard output or to FILE, which is "
		    "always whole.\n"
		    "      --every SECONDS  write it again and again, until a signal\n"
		    "      --group KEY      group the sites by this label, not by the first of each\n",
		.pages = true,
		.argument = ARGUMENT_OPTIONAL
	};
	struct options o;
	int code = options_read(&o, argc, argv, &usage);

	if (code >= 0)
		return code;
	if ((o.every_s > 0 && o.argument == NULL) || (o.json && o.argument != NULL)) {
		fprintf(stderr, "webmondctl: %s\n",
		    o.json ? "--json writes no page: leave out the file"
			   : "--every needs a file: webmondctl page FILE --every SECONDS");
		return EXIT_USAGE;
	}
	if (o.json) {
		code = client_ask(&o, "status", ignore_line, NULL);
		return code == EXIT_FINE ? client_ask(&o, "sites all", ignore_line, NULL) : code;
	}
	if (o.argument != NULL && !may_be_replaced(o.argument))
		return EXIT_USAGE;
	return o.every_s > 0 ? write_forever(&o) : write_once(&o);
}
