/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * What the files of the supervisor share: its state, and who does what with it. No other process
 * includes this.
 *
 *   supervisor.c           the loop: signals, clock, messages; start and stop
 *   watch.c                one site: its next slot, its state, what is said about it
 *   check.c                its frames: OPEN, and the CLOSE that no checker writes
 *   dispatch.c             what is due: OPEN and dispatch, or the record of a slot that never runs
 *   supervise_checker.c    checkers: birth, messages, death
 *   supervise_publisher.c  the publisher: the same
 *   reload.c               from HUP to the new configuration
 *   status.c               what it says of itself, to systemd and by USR1
 *   once.c                 the table of --once
 *
 * There is no queue of unwritten records: a site stays in its heap until its frame is in the pipe.
 * From then on there is a struct check in exactly one list: of the checker that has it, of those
 * that wait for another checker, or of those whose CLOSE is owed since their checker died.
 * Functions that write frames return false when the pipe has no room; their caller tries again when
 * it has.
 */
#ifndef WEBMOND_SUPERVISE_H
#define WEBMOND_SUPERVISE_H

#include <sys/queue.h>

#include "claims.h"
#include "payload.h"
#include "pipe.h"
#include "pool.h"
#include "proc.h"
#include "schedule.h"
#include "supervisor.h"
#include "util.h"
#include "wire.h"

/* A checker has so long after its site's timeout before the watchdog kills it. */
#define WATCHDOG_GRACE_US (2 * US_PER_S)

/* A site and what is known of it; lives as long as the site is configured. */
struct watch {
	struct timer timer; /* the next slot; first member, see watch_of() */
	const struct site *site;
	uint32_t index; /* in the configuration */
	uint32_t home;  /* of its tick, see pool_choose() */
	int last;       /* the checker that had it last, by index; -1: none */
	int64_t interval_us, phase_us;
	int64_t busy_until_us; /* slots due until then passed while a check ran (monotonic) */
	int64_t since_us;      /* since when not up (monotonic) */
	struct quarantine quarantine;
	enum status status;
	bool known;         /* `status` means something */
	char *why;          /* it is not up; NULL: it is, or nothing is known */
	int http_status;    /* of the last result; RESULT_NONE: none */
	int64_t elapsed_us; /* likewise */
	bool running;
	bool slow;           /* its last check was */
	int64_t expected_us; /* so long its next check will take; INT64_MAX: not known */
	/* then the grid ended: behind it the site is gone, or goes on by another clock or interval;
	 * slots due before get their records (monotonic; INT64_MAX: it goes on) */
	int64_t jump_us;
	struct config *leaving; /* no longer configured: what its site is part of; else NULL */
};

/* A slot whose OPEN is in the pipe and whose CLOSE is not, as far as is known. */
struct check {
	STAILQ_ENTRY(check) next;
	struct watch *watch;
	const struct site *site; /* as its OPEN names it: that of `watch` may be newer */
	struct config *config;   /* what `site` is part of */
	struct wire_job job;
	int64_t expected_us;
	int64_t begun_us; /* monotonic, at the earliest; RESULT_NONE: it did not */
	bool excused;     /* its watchdog waited once, as the pipe was full */
	uint64_t taken;   /* what the publisher had taken out of it then */
	char why[128];    /* the message of the record if no checker writes it */
};

STAILQ_HEAD(checks, check);

/* The supervisor's side of a checker. */
struct child {
	pid_t pid; /* 0: none */
	int fd;    /* -1: closed, or its end was seen */
	struct claims *claims;
	uint64_t jobs; /* sent so far */
	struct config *config;
	struct proc_backoff backoff;
	struct checks checks; /* the running one, then those in line */
};

enum stage {
	STAGE_STARTING,
	STAGE_RUNNING,
	STAGE_STOPPING, /* checks end, checkers leave */
	STAGE_DRAINING, /* the pipe is closed, the publisher finishes */
	STAGE_OVER,
};

struct supervisor {
	const struct supervisor_start *start;
	struct config *config;
	struct watch **watches;
	size_t watch_count;
	struct schedule lane[2]; /* normal, slow */
	struct pool pool;
	struct checks waiting; /* taken back from a checker: they need another one */
	struct checks owed;    /* their checker is dead, or they will never have one */
	bool listening;        /* a site waits for a checker: what they say is read at once */
	struct pipe own;       /* what we tell the publisher; nobody else can write there */
	struct pipe checkers;  /* what the checkers tell it */
	bool own_full;
	int64_t pipe_full_us;                   /* the last time that one of the two was */
	unsigned char token_key[UTIL_KEY_SIZE]; /* see wire_token() */
	char epoch[WIRE_EPOCH_SIZE];
	bool epoch_stored; /* a spool has been opened for it */
	char lost_epoch[WIRE_EPOCH_SIZE];
	int spool_lock_fd; /* -1: no spool has been opened yet */
	uint64_t next_seq;
	uint64_t settled_seq;    /* said to be over: all below */
	int64_t next_settle_us;  /* when to say that of more */
	int64_t clock_offset_us; /* UTC - monotonic */

	struct {
		pid_t pid; /* 0: none */
		int fd;
		struct proc_backoff backoff;
		struct wire_report report;
		int64_t heard_us; /* the last report */
		bool handing_over;
		int64_t patience_us; /* until when it is let work at a hand-over or a stop */
	} publisher;

	struct {
		pid_t pid; /* the validation child; 0: none */
		int fd;
		struct config_share share; /* where it reads the new configuration to */
		char line[1024];
		size_t line_size;
		int lines;  /* it has said so many */
		char *said; /* what there is to complain of, a line each; NULL: nothing */
		int64_t since_us;
		bool again; /* another HUP came meanwhile */
	} reload;

	enum stage stage;
	int64_t stopping_since_us;
	bool hurry;  /* a second TERM */
	bool failed; /* to start, or was stopped before it could */
	int exit_code;
	int64_t next_status_us; /* for systemd */
	int64_t next_answer_us; /* to USR1; until then it waits */
	int64_t next_care_us;   /* of the pool; 0: at once */
	int64_t looked_us;      /* for overdue checkers: the last time */
	pid_t self;
};

/* --- watch.c ----------------------------------------------------------------------------- */

static inline struct watch *
watch_of(struct timer *t)
{
	return (struct watch *)t;
}

/* Has no slot and is in no heap before watch_restart(). */
struct watch *watch_new(const struct site *site, uint32_t index);

/*
 * Continue at the first slot after now, on the grid of the site's interval and the clock as they
 * are now. Slots that are due already get their records first.
 */
void watch_restart(struct supervisor *s, struct watch *w, int64_t now);

/* On to the slot after this one. */
void watch_advance(struct supervisor *s, struct watch *w);

/* Out of the heap of its lane and back, or to its end if it is leaving and no slot is left. */
void watch_dequeue(struct supervisor *s, struct watch *w);
void watch_enqueue(struct supervisor *s, struct watch *w);

/* The site is no longer configured; the caller forgets it. */
void watch_leave(struct supervisor *s, struct watch *w, int64_t now);

/* How much of the URL is logged: its query may hold what is nobody's business. */
int watch_place(const struct watch *w);

/* Note what a slot ended with; a change of state is logged once, with its reason. */
void watch_note(struct supervisor *s, struct watch *w, const struct wire_done *done);

/* A check has ended, in whatever way: the site goes on with its next slot. */
void watch_finished(struct supervisor *s, struct watch *w, const struct wire_done *done);

/* After a step of the clock or a suspend everybody continues at the next slot on the new clock. */
void follow_clock(struct supervisor *s);

/* --- check.c ----------------------------------------------------------------------------- */

/* What runs now ends in the epoch that it was opened in. */
void begin_epoch(struct supervisor *s);

/* Look again when it has room. */
void pipe_is_full(struct supervisor *s);

/* The slot that comes next for `w` never runs: one frame. */
bool put_whole(struct supervisor *s, struct watch *w, enum error_type error, const char *message);

/* The slot that comes next for `w`, with its OPEN in the pipe; NULL if that is full. */
struct check *open_check(struct supervisor *s, struct watch *w);

/*
 * After a reload: the check begins by the new configuration if what its OPEN says is still true.
 * Else nobody is left who could do it.
 */
bool follow_reload(struct supervisor *s, struct check *check);

/* Nobody will run a check, which is in no list: its record is written here, as `aborted`. */
void owe(struct supervisor *s, struct check *check, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Write the records that are owed. */
bool pay_debts(struct supervisor *s);

/*
 * Tell the publisher up to where all checks are over, so that a slot whose checker said so and
 * wrote nothing gets its record.
 */
bool settle(struct supervisor *s);

/* At a stop: those that wait for a checker get none. */
void owe_waiting(struct supervisor *s);

/* Drop a check whose CLOSE is in the pipe. */
void check_free(struct check *check);

/* --- dispatch.c -------------------------------------------------------------------------- */

/* Start what is due. Returns when to look again (monotonic). */
int64_t dispatch(struct supervisor *s, int64_t now);

/* At a stop: what is due gets its record too; afterwards the heaps are empty. */
bool record_remaining(struct supervisor *s);

/* --- supervise_checker.c ----------------------------------------------------------------- */

/* Every place in the pool has its other side, with a process or without. */
void resize_pool(struct supervisor *s, int min, int max);

/* Start what is missing, dismiss what is too much. Returns when to look again (monotonic). */
int64_t keep_pool(struct supervisor *s, int64_t now);
bool start_checker(struct supervisor *s, struct worker *worker, int64_t now);

/* Tell a checker to leave: it does so when it next looks at its socket. */
void retire_checker(struct supervisor *s, struct worker *worker, int64_t now);

/*
 * Hand it a check, which is in no list. Returns false when its socket takes no more: then the check
 * waits for another one.
 */
bool hand_over(struct supervisor *s, struct check *check, struct worker *worker, int64_t now);

/* Checks behind one that makes no progress go to others. */
void relieve_stalled(struct supervisor *s, int64_t now);

/* Read what a checker says. */
void read_checker(struct supervisor *s, struct worker *worker, int64_t now);
void checker_died(struct supervisor *s, struct worker *worker, int status, int64_t now);

/* The watchdog. */
void kill_overdue(struct supervisor *s, int64_t now);

/* --- supervise_publisher.c --------------------------------------------------------------- */

void start_publisher(struct supervisor *s, int64_t now);
void order_publisher(struct supervisor *s, enum wire_order order);
void read_publisher(struct supervisor *s);
void publisher_died(struct supervisor *s, int status, int64_t now);

/* A publisher that takes too long to leave is killed: its successor finds all that it left. */
void kill_stuck_publisher(struct supervisor *s, int64_t now);

/* --- reload.c ---------------------------------------------------------------------------- */

/* Read the file and have it validated, or remember to do so. */
void begin_reload(struct supervisor *s, int64_t now);
void read_validation(struct supervisor *s);

/* A validation that does not end is killed, as is one that a stop finds running. */
void limit_validation(struct supervisor *s, int64_t now);

/* The validation child has ended: everybody moves over to the new configuration, if it is good. */
void finish_validation(struct supervisor *s, int status, int64_t now);

/* --- status.c ---------------------------------------------------------------------------- */

/* How many sites there are, by what their last check said. */
struct tally {
	size_t sites;
	size_t with[3];   /* by enum status */
	size_t not_known; /* since no check has ended yet */
};

struct tally tally_sites(const struct supervisor *s);

/* The line of systemd, when it is due, and the watchdog's sign of life. */
void tell_status(struct supervisor *s, int64_t now);

/* The same line in the log, and the sites that are not up, with since when and why. */
void log_status(struct supervisor *s, int64_t now);

/* --- once.c ------------------------------------------------------------------------------ */

/*
 * The table of --once: its head; the rows of sites whose check is over, in order; its sum, if it
 * was begun. once_is_over() says whether there is no site left, with a table or without.
 */
void once_begin(struct supervisor *s);
bool once_is_over(struct supervisor *s);
void once_end(struct supervisor *s);

#endif
