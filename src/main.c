/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * Options, and the way from a command line to a running supervisor. Everything that can be wrong at
 * a start is fatal here, with an exit code of its own.
 */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "checker.h"
#include "config.h"
#include "daemon.h"
#include "log.h"
#include "proc.h"
#include "publisher.h"
#include "spool.h"
#include "supervisor.h"
#include "validate.h"

#define WARNINGS_LOGGED 10

static struct {
	const char *config_file;
	bool foreground;
	bool test, test_network;
	bool once;
	bool to_stdout;
	bool verbose;
	bool detached;
} options = { .config_file = SYSCONFDIR "/webmond/webmond.conf" };

static void
print_help(void)
{
	printf(
	    "Usage: webmond [-c FILE] [-f] [-t] [-T] [-1 | --once [SITE…]] [--stdout] [-v] [-h] [-V]\n"
	    "Check web sites on a schedule and publish one record per check to Kafka.\n"
	    "\n"
	    "  -c, --config FILE  read FILE instead of %s\n"
	    "  -f, --foreground   do not detach; log to standard error\n"
	    "  -t, --test         test whether the daemon could start, and exit\n"
	    "  -T, --test-kafka   also connect to Kafka, find the topic, ask for rights\n"
	    "  -1, --once         check each site (or each SITE) once, print a table and exit;\n"
	    "                     0 if all are up, 1 if not\n"
	    "      --stdout       print the records as JSON lines instead of publishing them\n"
	    "  -v, --verbose      log more (level debug)\n"
	    "  -h, --help         print this help\n"
	    "  -V, --version      print the version\n"
	    "\n"
	    "SIGHUP reloads the configuration, SIGTERM stops. See webmond(8) and webmond.conf(5).\n",
	    options.config_file);
}

static void
print_version(void)
{
	printf("webmond " VERSION "\n"
	       "Copyright 2026 The webmond authors\n"
	       "Licensed under the Apache License, version 2.0\n"
	       "%s, librdkafka/%s, SQLite/%s, %s\n",
	    checker_library_version(), publisher_library_version(), spool_library_version(),
	    checker_has_jit() ? "PCRE2 with JIT" : "PCRE2 without JIT");
}

static void
parse_options(int argc, char **argv)
{
	enum {
		OPTION_STDOUT = 256
	};
	static const struct option long_options[] = {
		{ "config", required_argument, NULL, 'c' },
		{ "foreground", no_argument, NULL, 'f' },
		{ "test", no_argument, NULL, 't' },
		{ "test-kafka", no_argument, NULL, 'T' },
		{ "once", no_argument, NULL, '1' },
		{ "stdout", no_argument, NULL, OPTION_STDOUT },
		{ "verbose", no_argument, NULL, 'v' },
		{ "help", no_argument, NULL, 'h' },
		{ "version", no_argument, NULL, 'V' },
		{ NULL, 0, NULL, 0 },
	};
	int c;

	while ((c = getopt_long(argc, argv, "c:ftT1vhV", long_options, NULL)) != -1) {
		switch (c) {
		case 'c':
			options.config_file = optarg;
			break;
		case 'f':
			options.foreground = true;
			break;
		case 'T':
			options.test_network = true;
			/* fall through */
		case 't':
			options.test = true;
			break;
		case '1':
			options.once = true;
			break;
		case OPTION_STDOUT:
			options.to_stdout = true;
			break;
		case 'v':
			options.verbose = true;
			break;
		case 'h':
			print_help();
			exit(EXIT_FINE);
		case 'V':
			print_version();
			exit(EXIT_FINE);
		default:
			fprintf(stderr, "Try 'webmond --help'.\n");
			exit(EXIT_USAGE);
		}
	}
	if (optind < argc && !options.once) {
		fprintf(stderr,
		    "webmond: unexpected argument \"%s\"; names of sites go with --once\n",
		    argv[optind]);
		exit(EXIT_USAGE);
	}
}

/* The warnings of a configuration that is in force now; -t prints them all. */
static void
log_warnings(const struct config *config)
{
	for (size_t i = 0; i < config->warnings.count && i < WARNINGS_LOGGED; i++)
		log_warning("%s", config->warnings.line[i]);
	if (config->warnings.count > WARNINGS_LOGGED)
		log_warning("%zu more warnings like these; webmond -t prints them all",
		    config->warnings.count - WARNINGS_LOGGED);
}

/* In the foreground the log goes to the terminal, unless the file says otherwise. */
static void
open_log(const struct config *config)
{
	enum log_destination destination = config->log_destination;
	enum log_level level = config->log_level;

	if (options.once || options.to_stdout ||
	    (options.foreground && !config_gives(&config->at, "log.destination")))
		destination = LOG_TO_STDERR;
	if (options.once && level > LOG_LEVEL_WARNING)
		level = LOG_LEVEL_WARNING; /* the table is the output */
	if (options.verbose)
		level = LOG_LEVEL_DEBUG;
	if (options.detached && destination == LOG_TO_SYSLOG)
		destination = LOG_TO_BOTH;
	options.detached = false; /* at a reload the starter is gone */
	log_open(destination, level);
	log_warnings(config);
}

#define CREATE_USER                                                                                \
	"useradd --system --user-group --home-dir / --no-create-home --shell /usr/sbin/nologin "

/* The default of checker_user: webmond-check, if the installation has created it. */
static const char *
default_checker_user(const char *user)
{
	struct proc_user found;

	return proc_find_user("webmond-check", &found) == 0 ? "webmond-check" : user;
}

/* Checkers with the rights of the publisher are held back by their confinement alone. */
static void
warn_of_users(
    struct config *config, const struct proc_user *publisher, const struct proc_user *checker)
{
	struct origin at = config_origin(&config->at, "checker_user");

	if (checker->uid == publisher->uid)
		mistakes_add(&config->warnings, at,
		    "warning: checker_user: checkers read hostile data, but run as the user that "
		    "can read the keys of Kafka; give them a user of their own: " CREATE_USER
		    "webmond-check");
	else if (checker->gid == publisher->gid)
		mistakes_add(&config->warnings, at,
		    "warning: checker_user: \"%s\" has the group of \"%s\", by which it may read the "
		    "keys of Kafka; give it one of its own",
		    checker->name, publisher->name);
}

/*
 * The user of `key`: `given` or, if that is NULL, `fallback`. False: there is no such user without
 * rights; that is one more mistake.
 */
static bool
find_user(struct config *config, const char *key, const char *given, const char *fallback,
    struct proc_user *user)
{
	const char *name = given != NULL ? given : fallback;
	bool known = given != NULL || (config->parsed && !config_gives(&config->at, key));

	if (proc_find_user(name, user) == 0 && user->uid != 0)
		return true;
	if (user->uid == 0 && user->drop)
		mistakes_add(&config->mistakes, config_origin(&config->at, key),
		    "%s: must be a user without rights, not \"%s\"", key, name);
	else if (known) /* else the mistake in the file has been reported */
		mistakes_add(&config->mistakes, config_origin(&config->at, key),
		    "%s: there is no user \"%s\"; name another one, or create it with: " CREATE_USER
		    "%s",
		    key, name, name);
	/* the rest is validated without rights */
	*user = (struct proc_user){ .drop = true, .uid = 65534, .gid = 65534, .name = "nobody" };
	return false;
}

/* Who the publisher and the checkers become; without root they stay who we are. */
static void
find_users(struct config *config, struct proc_user *publisher, struct proc_user *checker)
{
	const char *user = config->user != NULL ? config->user : "webmond";
	const char *fallback = default_checker_user(user);

	if (geteuid() != 0)
		return;
	if (!find_user(config, "user", config->user, user, publisher))
		config->has_kafka = false; /* nobody knows who must read its files */
	if (config->checker_user == NULL && fallback == user)
		*checker = *publisher;
	else
		find_user(config, "checker_user", config->checker_user, fallback, checker);
	if (config->mistakes.count == 0)
		warn_of_users(config, publisher, checker);
}

/*
 * Nobody reads what a service prints, so it does not start without Kafka; on a terminal the records
 * can be seen.
 */
static enum publisher_output
choose_output(const struct config *config)
{
	if (options.to_stdout)
		return PUBLISH_TO_STDOUT;
	if (options.once)
		return PUBLISH_TO_NOTHING;
	if (options.foreground && !config_gives(&config->at, "kafka") && isatty(STDOUT_FILENO))
		return PUBLISH_TO_STDOUT;
	return PUBLISH_TO_KAFKA;
}

static void
print_summary(const struct config *config, enum publisher_output output, const char *found)
{
	printf("%s: the configuration is good: %zu site%s", config->file, config->site_count,
	    util_plural(config->site_count));
	if (!config->has_kafka)
		printf("; without a group kafka records can only be printed");
	else if (options.test_network)
		printf("; %s", found);
	else if (output != PUBLISH_TO_KAFKA)
		printf("; a start of the daemon was not tested");
	putchar('\n');
}

/* A path given on the command line must survive the change to "/". Links in it stay links. */
static void
make_config_path_absolute(void)
{
	char *cwd = getcwd(NULL, 0);

	if (options.config_file[0] != '/' && cwd != NULL)
		options.config_file = xasprintf("%s/%s", cwd, options.config_file);
	free(cwd);
}

/* Reports all mistakes. Returns EXIT_FINE, or why there is no start. */
static int
validate_all(struct config *config, const struct supervisor_start *start, struct validation *what)
{
	int code;

	what->checker = &start->checker_user;
	what->publisher = &start->publisher_user;
	what->network = options.test_network;
	code = validate_run(config, what);
	if (!options.test)
		return code;
	for (size_t i = 0; i < config->warnings.count; i++)
		fprintf(stderr, "%s\n", config->warnings.line[i]);
	if (code == EXIT_FINE)
		print_summary(config, start->output, what->found);
	return code;
}

/* What is ignored or missing although it was asked for. */
static void
log_limits(const struct config *config)
{
	const char *missing = checker_confinement_missing();

	if (geteuid() != 0 && (config->user != NULL || config->checker_user != NULL))
		log_info("not started as root: user and checker_user are ignored");
	if (missing != NULL)
		log_warning("this kernel has no %s: checkers are confined by the rights of their "
			    "user alone",
		    missing);
}

int
main(int argc, char **argv)
{
	static struct supervisor_start start = { .open_log = open_log };
	struct validation what = { .needed.descriptors = true };
	struct config *config;
	bool daemonise;
	int code;

	daemon_sanitize_descriptors();
	proc_init_title(argc, argv);
	parse_options(argc, argv);
	daemon_sanitize();
	daemonise = !options.foreground && !options.once && !options.to_stdout;
	if (daemonise && !options.test)
		make_config_path_absolute();

	config = start.config = config_load(options.config_file);
	find_users(config, &start.publisher_user, &start.checker_user);
	start.checker_user.exposed = true;
	start.output = choose_output(config);
	start.once = options.once;
	start.only = argv + optind;
	what.needed.metrics = !options.once;
	what.needed.kafka = start.output == PUBLISH_TO_KAFKA;
	what.needed.pid_file = daemonise ||
			       (config_gives(&config->at, "pid_file") && !options.once);
	code = validate_all(config, &start, &what);
	if (code != EXIT_FINE || options.test) {
		config_free(config);
		return code;
	}

	if (daemonise && daemon_detach(config->log_destination == LOG_TO_STDERR) < 0)
		fatal(EXIT_OS, "cannot detach: %s", strerror(errno));
	options.detached = daemonise;
	code = what.needed.pid_file ? pidfile_acquire(config->pid_file) : EXIT_FINE;
	if (code != EXIT_FINE) {
		daemon_tell_starter(code);
		return code;
	}
	open_log(config);
	if (!options.once)
		log_limits(config);
	if (checker_init() < 0)
		fatal(EXIT_OS, "cannot initialise libcurl");
	if (proc_limit_root() < 0)
		log_warning("cannot give up capabilities: %s", strerror(errno));
	code = supervisor_main(&start);
	pidfile_remove();
	/* if it was never ready */
	daemon_tell_starter(code != EXIT_FINE ? code : EXIT_INTERNAL);
	return code;
}
