/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * Kafka's properties. Called by kafka.c; nothing is fatal, every mistake becomes a line.
 */
#include "properties.h"

#include <stdlib.h>

#include "property_file.h"

void
properties_read(const struct config *config, struct mistakes *mistakes,
    void (*set)(void *arg, struct origin at, const char *name, const char *value), void *arg)
{
	struct property_reader r = { mistakes,
		config->kafka_group != NULL ? property_why_refused_in_group : property_why_refused,
		set, arg, false };
	const char *file = config->kafka_properties_file;
	char *dir = util_directory_of(config->file), why[256];

	if (file != NULL && !property_read_file(&r, file, why, sizeof(why))) {
		mistakes_add(mistakes, config_origin(&config->at, "kafka.properties_file"),
		    "properties_file: cannot read \"%s\": %s", file, why);
		r.has_servers = true; /* perhaps: it is not known */
	}
	for (size_t i = 0; i < config->kafka_property_count; i++) {
		struct origin at = config->kafka_properties[i].at;
		char *line = xstrdup(config->kafka_properties[i].value), *value;

		if ((value = property_cut(&r, at, line)) == NULL)
			; /* reported */
		else if (property_is_secret(line))
			mistakes_add(
			    mistakes, at, "%s: is a secret; put it into properties_file", line);
		else
			property_set(&r, at, dir, line, value);
		free(line);
	}
	free(dir);
	if (!r.has_servers)
		mistakes_add(mistakes, config_origin(&config->at, "kafka"),
		    "kafka: no broker: set bootstrap.servers in properties_file or properties");
}
