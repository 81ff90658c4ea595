/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/* Any bytes as a configuration: it is good, or there is at least one mistake to tell. */
#include "fuzz.h"

#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "config.h"

/* libconfig 1.5 forgets a string that a syntax error follows. */
const char *__lsan_default_suppressions(void);

const char *
__lsan_default_suppressions(void)
{
	return "leak:libconfig";
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct config *config;
	char path[64];
	int fd = memfd_create("webmond.conf", MFD_CLOEXEC);

	assert(fd >= 0);
	assert(write(fd, data, size) == (ssize_t)size);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	config = config_load(path);
	if (config->mistakes.count == 0) {
		assert(config->site_count > 0);
		for (size_t i = 0; i < config->site_count; i++) {
			const struct site *site = &config->sites[i];

			assert(config_find_site(config, site->name) == (ssize_t)i);
			assert(config_site_equal(site, site));
			assert(site->timeout_us > 0 && site->timeout_us <= site->interval_us);
			assert(site->max_response_us <= site->timeout_us);
			assert(strlen(site->url) <= CONFIG_URL_MAX);
		}
	}
	config_free(config);
	close(fd);
	return 0;
}
