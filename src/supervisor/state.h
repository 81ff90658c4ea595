/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * What the files of the supervisor share: its state, and who does what with it. No other process
 * includes this. Each file calls only those below it, and each part of struct supervisor is written
 * by one file; the others read it.
 *
 *   supervisor.c       the loop: signals, clock, messages; start and stop
 *   wait.c             what it waits for
 *   control.c          the clients of the control socket
 *   control_socket.c   the socket itself
 *   answer.c           what clients are answered, with answer_lines.c
 *   reload.c           from HUP to the new configuration
 *   dispatch.c         what is due: OPEN and a checker, or the record of a slot that never runs
 *   checkers.c         checkers: start, messages, death
 *   publisher_child.c  the publisher: the same
 *   check.c            checks and their frames: OPEN, and the CLOSE that no checker writes
 *   once.c             the table of --once
 *   status.c           the status, for systemd and for USR1
 *   sites.c            all sites: which there are, at a start and after a reload; steps of the clock
 *   metrics_file.c     the process that writes metrics_file
 *   shards.c           in a group: which shards are ours, and until when
 *   history.c          what came of the last checks, for whoever asks
 *   site_state.c       one site: its next slot, its state, and what is logged about it
 *   ordinals.c         the numbers of sites and of their slots
 *   child.c, pool.c, schedule.c   tables of processes, workers and slots
 *
 * Three words for three things: a checker is a process; a worker is a place for one in the pool,
 * with or without a process (pool.h); a child is the supervisor's side of any process (child.h).
 *
 * There is no queue of unwritten records: a site stays in its heap until its frame is in the pipe.
 * From then on there is a struct check in exactly one list: that of the checker that has it, of the
 * checks that wait for another checker, or of the pending closes, which no checker will write.
 * Functions that write frames return false when the pipe has no room; their caller tries again when
 * it has.
 */
#ifndef WEBMOND_SUPERVISOR_STATE_H
#define WEBMOND_SUPERVISOR_STATE_H

#include <signal.h>
#include <sys/queue.h>

#include "child.h"
#include "control.h"
#include "message.h"
#include "payload.h"
#include "pipe.h"
#include "pool.h"
#include "schedule.h"
#include "shards.h"
#include "site_state.h"
#include "status.h"
#include "supervisor.h"
#include "util.h"
#include "wire.h"

/* How long after the longest time of its check the watchdog kills a checker. */
#define WATCHDOG_GRACE_US (2 * US_PER_S)

/* A slot whose OPEN is in the pipe and whose CLOSE is not, as far as is known. */
struct check {
	STAILQ_ENTRY(check) next;
	struct site_state *state;
	const struct site *site; /* as its OPEN names it: that of `state` may be newer */
	struct config *config;   /* what `site` is part of */
	struct wire_job job;
	int64_t expected_us;
	int64_t begun_us; /* monotonic, at the earliest; RESULT_NONE: it did not */
	bool unread;      /* taken out of the socket of its checker */
	bool excused;     /* its watchdog has waited once, since the pipe was full */
	uint64_t taken;   /* bytes that the publisher had read at that time */
	char why[128];    /* the message of the record if no checker writes it */
};

STAILQ_HEAD(checks, check);

/* A checker, or a place for one: of the worker with the same index. Written by checkers.c. */
struct checker {
	struct child child; /* first member, see checker_of() */
	int index;
	int job_fd;            /* its own end of the channel: what it has not read lies there */
	struct config *config; /* which it knows */
	struct checks checks;  /* the running one, then those that are queued */
};

struct supervisor {
	/* supervisor.c */
	const struct supervisor_start *start;
	pid_t self;
	int64_t started_us; /* monotonic */
	enum stage stage;
	struct {
		int64_t since_us;
		bool hurry;        /* a second TERM */
		bool start_failed; /* or was stopped before all were ready */
		int exit_code;
	} stop;
	int64_t next_answer_us; /* to USR1, at the earliest */
	int64_t last_turn_us;   /* of the loop */

	/* supervisor.c before the first fork, then reload.c */
	struct config *config;

	/* child.c; a time in it by the file whose child it is */
	struct children children;

	/* sites.c; the heaps and removed sites by site_state.c, ordinals by ordinals.c */
	struct {
		struct site_state *
		    *all;      /* in the order of the configuration, or of the command line */
		size_t *index; /* of each in the configuration */
		size_t count;
		struct {
			uint64_t times; /* that a reload did so; what follows is of the last one */
			size_t added, changed, removed;
		} adopted;
		struct schedule lane[2];  /* normal, slow */
		struct site_list removed; /* which have slots left, or a check */
		void *gone;               /* the ordinals of others that were removed, by name */
		uint32_t numbered;        /* how many sites have an ordinal */
		int64_t clock_offset_us;  /* UTC - monotonic */
	} sites;

	struct shards shards; /* shards.c */

	struct recent recent; /* history.c */

	/* check.c */
	struct {
		struct pipe own;      /* our frames to the publisher; nobody else can write there */
		struct pipe checkers; /* the checkers' */
		bool own_full;        /* since the turn of the loop began */
		int64_t full_us;      /* the last time that one of the two was */
		unsigned char token_key[UTIL_KEY_SIZE]; /* see wire_token() */
	} pipes;
	struct {
		char name[WIRE_EPOCH_SIZE];
		uint64_t next_seq;
		uint64_t settled_seq;     /* the publisher knows that all below are over */
		int64_t next_settle_us;   /* when to tell it of more */
		uint64_t missed_takeover; /* slots */
	} epoch;
	struct checks waiting;        /* reclaimed from a checker: they need another one */
	struct checks pending_closes; /* no checker will write their CLOSE */

	/* checkers.c, by the functions of pool.h */
	struct pool pool;
	struct {
		int64_t next_maintenance_us; /* 0: at once */
		int exit_code;               /* one died at the start */
	} checkers;

	/* dispatch.c */
	bool site_waits; /* for a checker, so messages of checkers are read at once */

	/* publisher_child.c */
	struct {
		struct child child;
		struct message_report report;
		int64_t last_report_us;
		bool handing_over;
		int spool_lock_fd; /* -1: no spool has been opened yet */
		bool epoch_stored; /* a spool has been opened for the epoch */
		char lost_epoch[WIRE_EPOCH_SIZE];
		int64_t next_alive_us; /* in a group */
		/* of what it reports */
		int64_t delivering_us; /* since when it is as it is (monotonic); 0: nothing yet */
		struct publisher_sample {
			int64_t at_us; /* monotonic; 0: never */
			uint64_t delivered, queued;
		} sample[2];   /* some seconds ago, and later */
		bool finished; /* it has written everything, or can write nothing any more */
		int exit_code; /* it died at the start, or cannot write */
	} publisher;

	/* reload.c */
	struct {
		struct child child;        /* the validation */
		struct config_share share; /* where it reads the new configuration to */
		char line[1024];
		size_t line_size;
		int lines;             /* that it has written */
		char *complaints;      /* a line each; NULL: none */
		bool requested;        /* by HUP or a client, and not begun */
		uint64_t begun, ended; /* how many there have been */
		char *verdict;         /* of the last one: all complaints, a line each */
		bool accepted;         /* its configuration is in force */
	} reload;

	struct control control; /* control.c */

	/* metrics_file.c */
	struct {
		struct child child;
		const struct config *config; /* by which it was written last */
		char *path;                  /* where it may be; NULL: nowhere */
		int64_t next_us;
		bool failing; /* the last time it could not be written */
	} metrics;

	/* status.c */
	int64_t next_status_us; /* for systemd; 0: at once */

	/* once.c */
	struct {
		int name_width; /* 0: there is no table */
		size_t over; /* sites from the first on whose check is over, and its row printed */
		int exit_code; /* standard output cannot be written */
	} once;
};

/* --- shards.h ---------------------------------------------------------------------------- */

static inline bool
in_group(const struct supervisor *s)
{
	return s->shards.all != NULL;
}

/* Whether another member checks the site, or nobody. */
static inline bool
site_is_elsewhere(const struct supervisor *s, const struct site_state *state)
{
	return in_group(s) && !site_has_slot(state);
}

/* --- wait.c ------------------------------------------------------------------------------ */

/* Wait for messages, signals and `wake`, and read the messages. */
void wait_and_read(struct supervisor *s, int64_t wake, const sigset_t *open_mask);

/* --- metrics_file.c ---------------------------------------------------------------------- */

/* Write the file, when it is due. Returns when to look again. */
int64_t metrics_file_serve(struct supervisor *s, int64_t now);

void metrics_file_died(struct supervisor *s, struct child *c, int status, int64_t now);
bool metrics_file_is_overdue(struct supervisor *s, struct child *c, int64_t now);

/* At a stop: who writes it is ended, then it is removed. */
void stop_metrics_file(struct supervisor *s, int64_t now);

/* --- once.c ------------------------------------------------------------------------------ */

/*
 * The table of --once: its head; the rows of sites whose check is over, in order; its sum, if it
 * was begun. once_is_over() says whether there is no site left, with a table or without.
 */
void once_begin(struct supervisor *s);
bool once_is_over(struct supervisor *s);
void once_end(struct supervisor *s);

/* --- check.c ----------------------------------------------------------------------------- */

/* Make the pipes and the key of the tokens. Returns 0, or -1 with errno. */
int pipes_open(struct supervisor *s);

/* No more frames: the publisher finds the end of both pipes when all checkers have gone. */
void pipes_close(struct supervisor *s);

/* A turn of the loop begins: who needs room in the own pipe notes it again. */
void pipes_begin_turn(struct supervisor *s);

/* Whether there is room for a frame; that there is none is noted. */
bool own_pipe_has_room(struct supervisor *s, int64_t now);
bool checkers_pipe_has_room(struct supervisor *s, int64_t now);

/* Checks that run now end in the epoch in which they were opened. */
void epoch_begin(struct supervisor *s);

/*
 * The next two functions write nothing, as if the pipe were full, when the lease of a group is
 * over: another member may have the slot.
 */

/* The next slot of `state` never runs: write OPEN and CLOSE as one frame. */
bool write_missed(struct supervisor *s, struct site_state *state, enum error_type error,
    const char *message, int64_t now);

/* The next slot of `state`, with its OPEN in the pipe; NULL if that is full. */
struct check *open_check(struct supervisor *s, struct site_state *state, int64_t now);

/*
 * After a reload: have a check that has not begun follow the new configuration, if what its OPEN
 * says of the site is still true. False: it is not, and no checker could run it.
 */
bool follow_reload(struct supervisor *s, struct check *check);

/* A check, which is in no list, waits for another checker: as the first, or behind the others. */
void wait_first(struct supervisor *s, struct check *check);
void wait_last(struct supervisor *s, struct check *check);

/* The first check that waits, which is taken out of the list. There is one. */
struct check *take_waiting(struct supervisor *s);

/*
 * No checker will run `check`, or end it, which is in no list: it becomes a pending close,
 * `aborted` with this message.
 */
void abandon_check(struct supervisor *s, struct check *check, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* The same; its message is there already. */
void add_pending_close(struct supervisor *s, struct check *check);

/* At a stop: checks that wait for a checker become pending closes. */
void abandon_waiting(struct supervisor *s);

/* Write each CLOSE that no checker will write. */
bool flush_pending_closes(struct supervisor *s, int64_t now);

/*
 * Tell the publisher below which seq all checks are over. A slot that is still open there has a
 * checker that reported its end and wrote no CLOSE; the publisher then makes its record.
 */
bool settle(struct supervisor *s, int64_t now);

/* In a new checker: forget the tokens of all open slots, and the key that makes them. */
void forget_tokens(struct supervisor *s);

/* Free a check whose CLOSE is in the pipe. */
void check_free(struct check *check);

/* --- publisher_child.c ------------------------------------------------------------------- */

void start_publisher(struct supervisor *s, int64_t now);
void order_publisher(struct supervisor *s, enum message_type order);

/*
 * Pass on a request about the spool, and a copy of the descriptor of its client, who gets the
 * answer. False: it takes none now.
 */
bool
ask_publisher(struct supervisor *s, const char *request, size_t size, int client_fd, int64_t now);

/* It reports every second; a commit on a slow disk may take a while. */
#define PUBLISHER_SILENT_US (20 * US_PER_S)

/* Whether the one that is up has reported nothing for so long that it, or its disk, must hang. */
bool publisher_hangs(const struct supervisor *s, int64_t now);

/* After a reload: it commits and leaves, and its successor starts. */
void replace_publisher(struct supervisor *s);

/* In a group: a sign of life, and which shards have been given. */
void tell_publisher(struct supervisor *s, int64_t now);

void read_publisher(struct supervisor *s, struct child *c, int64_t now);
void publisher_died(struct supervisor *s, struct child *c, int status, int64_t now);

/* Give it until now + 15 s if it is to leave, or for ever. */
void limit_publisher(struct supervisor *s, int64_t now);
bool publisher_is_overdue(struct supervisor *s, struct child *c, int64_t now);

/* --- checkers.c -------------------------------------------------------------------------- */

static inline struct checker *
checker_of(struct child *c)
{
	return (struct checker *)c;
}

/* Set the limits of the pool; each worker has a struct checker, with a process or without. */
void resize_pool(struct supervisor *s, int min, int max);

/* Start missing checkers, retire surplus ones; when it is due. */
void maintain_pool(struct supervisor *s, int64_t now);
bool start_checker(struct supervisor *s, struct worker *worker, int64_t now);

/* Tell all checkers to leave, which each does when it next reads its socket. */
void retire_all_checkers(struct supervisor *s, int64_t now);

/*
 * Give the checker of `worker` a check that is in no list. Returns false when its socket has no
 * room: then the check waits for another one.
 */
bool assign_check(struct supervisor *s, struct check *check, struct worker *worker, int64_t now);

/* Checks that are queued behind one that makes no progress go to other workers. */
void requeue_stalled(struct supervisor *s, int64_t now);

/* Whether a message of it may come, other than its death. */
bool checker_may_speak(const struct supervisor *s, const struct checker *c);

void read_checker(struct supervisor *s, struct child *c, int64_t now);
void checker_died(struct supervisor *s, struct child *c, int status, int64_t now);

/* The watchdog: whether a checker whose time is over is to be killed. */
bool checker_is_overdue(struct supervisor *s, struct child *c, int64_t now);

/* --- dispatch.c -------------------------------------------------------------------------- */

/* Start what is due. Returns when to look again (monotonic). */
int64_t dispatch(struct supervisor *s, int64_t now);

/*
 * At a stop: write the records of slots that were due at `now`; then the heaps are empty. In a
 * group they are left to the next owner of their shards.
 */
bool record_remaining(struct supervisor *s, int64_t now);

/* --- reload.c ---------------------------------------------------------------------------- */

/* A reload was asked for; begin_reload() begins it when none is under way. */
void request_reload(struct supervisor *s);
void begin_reload(struct supervisor *s, int64_t now);

void read_validation(struct supervisor *s, struct child *c, int64_t now);

/* The validation child has ended: the new configuration comes into force, if it is good. */
void validation_died(struct supervisor *s, struct child *c, int status, int64_t now);

/* A stop ends a validation. */
bool validation_is_overdue(struct supervisor *s, struct child *c, int64_t now);
void stop_validation(struct supervisor *s, int64_t now);

#endif
