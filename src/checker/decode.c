/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * Compressed bodies: what libcurl says when it cannot undo a Content-Encoding, in words that are
 * so. Called by probe_run() and probe_fail().
 */
#include "probe_internal.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "util.h"

/* How much of a label a sentence names. */
#define LABEL_MAX 64

/* What the last response says of its coding, as one line, however many headers that took. */
static void
read_label(struct probe *p, char label[LABEL_MAX + 1])
{
	struct curl_header *header;
	char raw[4 * LABEL_MAX] = "";
	size_t used = 0;

	for (size_t i = 0; used < sizeof(raw) && curl_easy_header(p->curl, "Content-Encoding", i,
						     CURLH_HEADER, -1, &header) == CURLHE_OK;
	     i++)
		used += (size_t)snprintf(
		    raw + used, sizeof(raw) - used, "%s%s", i > 0 ? ", " : "", header->value);
	util_clean_text(label, LABEL_MAX + 1, raw, strlen(raw));
}

/*
 * libcurl reads one member of a gzip, and stops with CURLE_WRITE_ERROR when there is more behind
 * it, but only once its checksum was right. With several codings it may have been another one's
 * end, and of brotli libcurl says the same for much that is broken.
 */
bool
probe_decode_is_whole(struct probe *p)
{
	char label[LABEL_MAX + 1];

	if (p->headers_flood || p->result->http_status == RESULT_NONE)
		return false;
	read_label(p, label);
	return strcasecmp(label, "gzip") == 0 || strcasecmp(label, "x-gzip") == 0 ||
	       strcasecmp(label, "deflate") == 0;
}

void
probe_fail_decode(struct probe *p)
{
	static const char unknown[] = "Unrecognized content encoding", general[] = "unencoding: ",
			  chunks[] = "Failed reading the chunked-encoded stream";
	struct result *r = p->result;
	const char *detail = strstr(p->why, general);
	char label[LABEL_MAX + 1];

	read_label(p, label);
	if (detail != NULL)
		result_fail(r, ERROR_PROTOCOL, "the compressed body is broken (%s): %s", label,
		    detail + strlen(general));
	else if (p->error[0] == '\0' || strstr(p->why, chunks) != NULL) /* of brotli and zstd */
		result_fail(r, ERROR_PROTOCOL, "the compressed body is broken (%s)", label);
	else if (strncmp(p->why, unknown, strlen(unknown)) == 0 && label[0] != '\0')
		result_fail(r, ERROR_PROTOCOL,
		    "the body cannot be decoded: its Content-Encoding is \"%s\"; with decode = "
		    "false it is taken as it comes",
		    label);
	else
		result_fail(r, ERROR_PROTOCOL, "%s", p->why);
}

/* libcurl's sentence is about a disk, but only its decoders give up writing here. */
void
probe_fail_write(struct probe *p)
{
	char label[LABEL_MAX + 1];

	read_label(p, label);
	result_fail(p->result, ERROR_PROTOCOL, "the compressed body is broken (%s)", label);
}
