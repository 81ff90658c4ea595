/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * Messages between supervisor and publisher: what is sent arrives, and what is no message does not.
 */
#include "message.h"

#include <check.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "suite.h"

static int ends[2];
static struct message m;
static int descriptor;

static void
setup(void)
{
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
}

START_TEST(what_is_sent_arrives)
{
	const struct message_report report = { .ready = true, .queued = 7 };
	static unsigned char large[MESSAGE_BODY_MAX];

	memset(large, 'x', sizeof(large));
	ck_assert_int_eq(message_send(ends[0], MESSAGE_NO_FLUSH, NULL, 0, -1), 0);
	ck_assert_int_eq(message_send(ends[0], MESSAGE_REPORT, &report, sizeof(report), -1), 0);
	ck_assert_int_eq(message_send(ends[0], MESSAGE_REPORT, large, sizeof(large), -1), 0);

	ck_assert_int_eq(message_receive(ends[1], &m, &descriptor), 1);
	ck_assert_uint_eq(m.type, MESSAGE_NO_FLUSH);
	ck_assert_uint_eq(m.length, 0);
	ck_assert_ptr_null(message_body(&m, sizeof(report)));
	ck_assert_int_eq(message_receive(ends[1], &m, &descriptor), 1);
	ck_assert_uint_eq(m.type, MESSAGE_REPORT);
	ck_assert_mem_eq(message_body(&m, sizeof(report)), &report, sizeof(report));
	ck_assert_int_eq(message_receive(ends[1], &m, &descriptor), 1);
	ck_assert_ptr_null(message_body(&m, sizeof(report)));
	ck_assert_mem_eq(message_body(&m, sizeof(large)), large, sizeof(large));
	ck_assert_int_eq(descriptor, -1);

	ck_assert_int_eq(message_receive(ends[1], &m, &descriptor), -1);
	ck_assert_int_eq(errno, EAGAIN);
	close(ends[0]);
	ck_assert_int_eq(message_receive(ends[1], &m, &descriptor), 0);
}
END_TEST

START_TEST(a_descriptor_goes_beside_it)
{
	int pipe_ends[2];
	char byte = 0;

	ck_assert_int_eq(pipe(pipe_ends), 0);
	ck_assert_int_eq(message_send(ends[0], MESSAGE_REPORT, "x", 1, pipe_ends[1]), 0);
	close(pipe_ends[1]);
	ck_assert_int_eq(message_receive(ends[1], &m, &descriptor), 1);
	ck_assert_int_ge(descriptor, 0);
	ck_assert_int_eq(write(descriptor, "y", 1), 1);
	ck_assert_int_eq(read(pipe_ends[0], &byte, 1), 1);
	ck_assert_int_eq(byte, 'y');
}
END_TEST

/* We never send two, but a publisher that was taken over can: they must not fill our table. */
START_TEST(a_second_descriptor_does_not_stay)
{
	struct message own = { .type = MESSAGE_REPORT };
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(2 * sizeof(int))] = { 0 };
	struct iovec bytes = { &own, offsetof(struct message, body) };
	struct msghdr header = { .msg_iov = &bytes,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = sizeof(control) };
	struct cmsghdr *c = CMSG_FIRSTHDR(&header);
	int free_ones[] = { dup(0), dup(0) };

	close(free_ones[0]);
	close(free_ones[1]);
	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(2 * sizeof(int));
	memcpy(CMSG_DATA(c), (int[]){ ends[0], ends[1] }, 2 * sizeof(int));
	ck_assert_int_gt(sendmsg(ends[0], &header, 0), 0);
	message_send(ends[0], MESSAGE_HAND_OVER, NULL, 0, -1);
	while (message_receive(ends[1], &m, &descriptor) == 1 && m.type != MESSAGE_HAND_OVER)
		if (descriptor >= 0)
			close(descriptor);
	ck_assert_int_eq(dup(0), free_ones[0]);
	ck_assert_int_eq(dup(0), free_ones[1]);
}
END_TEST

START_TEST(what_is_no_message_is_skipped)
{
	static unsigned char bytes[sizeof(struct message) + 1];
	struct message wrong = { .type = MESSAGE_HAND_OVER, .length = 5 };

	ck_assert_int_eq(send(ends[0], "x", 1, 0), 1);
	ck_assert_int_eq(send(ends[0], &wrong, sizeof(wrong), 0), sizeof(wrong));
	ck_assert_int_eq(send(ends[0], &wrong, offsetof(struct message, body) + 4, 0),
	    offsetof(struct message, body) + 4);
	ck_assert_int_eq(send(ends[0], bytes, sizeof(bytes), 0), sizeof(bytes));
	ck_assert_int_eq(message_send(ends[0], MESSAGE_HAND_OVER, NULL, 0, -1), 0);
	ck_assert_int_eq(message_receive(ends[1], &m, &descriptor), 1);
	ck_assert_uint_eq(m.type, MESSAGE_HAND_OVER);
	ck_assert_uint_eq(m.length, 0);
}
END_TEST

START_TEST(too_much_is_not_sent)
{
	ck_assert_int_eq(
	    message_send(ends[0], MESSAGE_REPORT, m.body, MESSAGE_BODY_MAX + 1, -1), -1);
	ck_assert_int_eq(errno, EMSGSIZE);
	close(ends[1]);
	ck_assert_int_eq(message_send(ends[0], MESSAGE_NO_FLUSH, NULL, 0, -1), -1);
	ck_assert_int_eq(errno, EPIPE);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("message");
	TCase *tcase = tcase_create("message");

	tcase_add_checked_fixture(tcase, setup, NULL);
	tcase_add_test(tcase, what_is_sent_arrives);
	tcase_add_test(tcase, a_descriptor_goes_beside_it);
	tcase_add_test(tcase, a_second_descriptor_does_not_stay);
	tcase_add_test(tcase, what_is_no_message_is_skipped);
	tcase_add_test(tcase, too_much_is_not_sent);
	suite_add_tcase(suite, tcase);
	return run_suite(suite);
}
