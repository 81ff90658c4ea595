/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * Fuzz targets (make check-fuzz), one file each: libFuzzer calls LLVMFuzzerTestOneInput() with
 * bytes, and whatever they are nothing may crash, leak or break an assertion. Seeds are in
 * corpus/TARGET; bytes that once broke something are added there.
 */
#ifndef WEBMOND_TESTS_FUZZ_H
#define WEBMOND_TESTS_FUZZ_H

#undef NDEBUG
#include <assert.h>
#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerInitialize(int *argc, char ***argv);

#endif
