/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fetch.h"

#define WORDS_MAX 64

static posix_spawn_file_actions_t silence;

static void
start(const struct fetch_options *options)
{
	(void)options; /* they are in the command line */
	posix_spawn_file_actions_init(&silence);
	posix_spawn_file_actions_addopen(&silence, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
}

static bool
get(const char *command)
{
	char *line = strdup(command), *rest = line, *argv[WORDS_MAX + 1];
	size_t count = 0;
	int status = -1;
	pid_t pid;

	while (rest != NULL && count < WORDS_MAX)
		argv[count++] = strsep(&rest, " ");
	argv[count] = NULL;
	if (count > 0 && posix_spawn(&pid, argv[0], &silence, NULL, argv, environ) == 0)
		waitpid(pid, &status, 0);
	free(line);
	return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

const struct fetch fetch_exec = { "exec", start, get };
