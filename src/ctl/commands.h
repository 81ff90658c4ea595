/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * The commands of webmondctl. Each gets its own arguments, its name first, as main() would, and
 * returns the exit code.
 */
#ifndef WEBMOND_COMMANDS_H
#define WEBMOND_COMMANDS_H

/* Exit codes of `verify` beside those of exit.h. */
enum verify_code {
	VERIFY_BROKEN = 1,
	VERIFY_QUESTION = 2,
};

int command_status(int argc, char **argv);
int command_sites(int argc, char **argv);
int command_site(int argc, char **argv);
int command_watch(int argc, char **argv);
int command_reload(int argc, char **argv);
int command_check(int argc, char **argv);
int command_spool(int argc, char **argv);
int command_metrics(int argc, char **argv);
int command_page(int argc, char **argv);
int command_verify(int argc, char **argv);

#endif
