/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * Messages between supervisor and publisher. Called by both; nothing is fatal.
 */
#include "message.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define HEADER_SIZE offsetof(struct message, body)

/* Room for a descriptor beside a message. */
union control {
	struct cmsghdr header;
	char room[CMSG_SPACE(sizeof(int))];
};

int
message_send(int fd, enum message_type type, const void *body, size_t length, int descriptor)
{
	union control control = { .header = { .cmsg_len = CMSG_LEN(sizeof(descriptor)),
				      .cmsg_level = SOL_SOCKET,
				      .cmsg_type = SCM_RIGHTS } };
	struct message m = { .type = type, .length = (uint32_t)length };
	struct iovec bytes = { &m, HEADER_SIZE + length };
	struct msghdr header = { .msg_iov = &bytes, .msg_iovlen = 1 };

	if (length > sizeof(m.body)) {
		errno = EMSGSIZE;
		return -1;
	}
	if (length > 0)
		memcpy(m.body, body, length);
	if (descriptor >= 0) {
		memcpy(CMSG_DATA(&control.header), &descriptor, sizeof(descriptor));
		header.msg_control = &control;
		header.msg_controllen = sizeof(control);
	}
	return sendmsg(fd, &header, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 ? -1 : 0;
}

int
message_receive(int fd, struct message *message, int *descriptor)
{
	for (;;) {
		union control control;
		struct iovec bytes = { message, sizeof(*message) };
		struct msghdr header = { .msg_iov = &bytes,
			.msg_iovlen = 1,
			.msg_control = &control,
			.msg_controllen = CMSG_LEN(sizeof(int)) }; /* its space holds two */
		ssize_t n = recvmsg(fd, &header, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
		const struct cmsghdr *c = n > 0 ? CMSG_FIRSTHDR(&header) : NULL;

		*descriptor = -1;
		if (n <= 0)
			return (int)n;
		if (c != NULL && c->cmsg_type == SCM_RIGHTS)
			memcpy(descriptor, CMSG_DATA(c), sizeof(*descriptor));
		if ((size_t)n >= HEADER_SIZE && message->length == (size_t)n - HEADER_SIZE)
			return 1;
		if (*descriptor >= 0)
			close(*descriptor);
	}
}

const void *
message_body(const struct message *message, size_t size)
{
	return message->length == size ? message->body : NULL;
}
