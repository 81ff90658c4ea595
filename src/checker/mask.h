/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

#ifndef WEBMOND_MASK_H
#define WEBMOND_MASK_H

#include "files.h"
#include "result.h"

/*
 * Overwrite with '*' what stands in the texts of `r` of the secrets in the files of `site`: a
 * server may send back what it was sent, and the result shows parts of its headers and its body.
 * Found is a secret as it is, or its beginning where the text was cut; long words of a header or a
 * body; also a password in the form in which basic authentication sends it.
 */
void mask_secrets(struct result *r, const struct site *site, const struct file files[FILE_COUNT]);

#endif
