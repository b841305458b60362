/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The options of the groups net, disk and options: names,
 * units, ranges, defaults (config-and-utilities 1.7). */
#ifndef CONF_OPTIONS_H
#define CONF_OPTIONS_H

#include <libconfig.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/str.h"
#include "conf/conf.h"

/* Which group of a configuration file an option stands in. */
enum conf_group { GROUP_NET, GROUP_DISK, GROUP_OPTIONS };

enum conf_type {
	TYPE_NUMBER,  /* field uint32_t or uint64_t; or one of `words`, if there are any */
	TYPE_BOOL,    /* field bool */
	TYPE_WORD,    /* field is an enum: one of `words` */
	TYPE_DIGEST,  /* field char[ALG_NAME_MAX]: name of a hash for authentication */
	TYPE_CHECKSUM, /* the same, of a hash or a checksum */
	TYPE_VOLUME,  /* field char[VOLUME_REF_MAX]: "RES/VOL" */
	TYPE_SECRET,  /* field char[SHARED_SECRET_MAX]; never shown in a message */
};

/* All options of all groups: one level of a configuration, or the resolved result. */
struct conf_opts {
	struct core_net_conf net;
	struct core_disk_conf disk;
	struct conf_resource_options res;
};

struct conf_word {
	const char *word;
	unsigned value;
};

struct conf_option {
	const char *name;
	enum conf_group group;
	enum conf_type type;
	enum unit unit;
	uint64_t min, max, preset;
	const struct conf_word *words; /* ends with a NULL word */
	size_t offset, size;           /* of the field in struct conf_opts */
};

const char *conf_group_name(enum conf_group group);
/* All rows of the table; *count of them. */
const struct conf_option *conf_options(unsigned *count);
/* NULL when there is no such option. */
const struct conf_option *conf_option_find(enum conf_group group, const char *name);
void conf_opts_preset(struct conf_opts *opts);
/* 0, or -EINVAL / -ERANGE with a text that begins with the name of the option. */
int conf_option_set(const struct conf_option *option, const config_setting_t *setting,
		    struct conf_opts *opts, struct err *err);
/* Value of a number, bool or word in *opts. */
uint64_t conf_option_get(const struct conf_option *option, const struct conf_opts *opts);

#endif
