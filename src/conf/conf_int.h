/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the loader's files share: the parsed files, where messages go, and the steps of loading. */
#ifndef CONF_INT_H
#define CONF_INT_H

#include <libconfig.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/types.h>

#include "conf/conf.h"
#include "conf/conf_options.h"

#define CONF_FILE_BYTES_MAX (1U << 20)
#define CONF_NESTING_MAX 16
#define CONF_INCLUDE_DEPTH_MAX 8
#define CONF_FILES_MAX 256
#define CONF_TEMPLATES_MAX 64
#define CONF_ID_NONE 255U /* a node whose id was in error */

/* One file that was read; kept until loading ends because settings point into it. */
struct conf_file {
	config_t cfg;
	char path[CONF_PATH_MAX];
	dev_t dev;
	ino_t ino;
};

struct conf_loader {
	struct conf_messages *messages;
	struct conf *conf;
	unsigned file_count;
	struct conf_file *files[CONF_FILES_MAX];
	/* groups that may occur once over all files; NULL = not given */
	const config_setting_t *node, *common, *security;
	unsigned template_count;
	const config_setting_t *templates[CONF_TEMPLATES_MAX];
	unsigned resource_count;
	const config_setting_t *resources[CONF_RESOURCES_MAX];
	bool limit_reported;
};

/* ---- conf_msg.c ---- */

/* Message at a setting; the file is found through it. */
void conf_error_at(struct conf_loader *l, const config_setting_t *at, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
void conf_warn_at(struct conf_loader *l, const config_setting_t *at, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
const char *conf_setting_file(const config_setting_t *setting);

/* ---- conf_file.c ---- */

/* Reads a file and all it includes; collects the
 * top-level groups. False when messages were added. */
bool conf_files_read(struct conf_loader *l, const char *path);
void conf_files_free(struct conf_loader *l);
/* Parses text that is in memory already, as a file of that name. NULL when messages were added. */
struct conf_file *conf_file_parse(struct conf_loader *l, const char *path, const char *text,
				  size_t bytes);
/* Adds the top-level settings of a parsed file to the collection, without following includes. */
bool conf_file_collect(struct conf_loader *l, struct conf_file *file);

/* ---- conf_keys.c ---- */

#define KEY_GROUP 0x01U
#define KEY_LIST 0x02U
#define KEY_ARRAY 0x04U
#define KEY_TEXT 0x08U
#define KEY_INT 0x10U
#define KEY_BOOL 0x20U

struct conf_key {
	const char *name;
	unsigned kinds; /* KEY_*: what its value may be */
	bool required;
};

/* Unknown keys (with the nearest known one), values of the wrong kind, missing keys: a message
 * each. `what` names the group in messages. False when any was added. */
bool conf_keys_check(struct conf_loader *l, const config_setting_t *group, const char *what,
		     const struct conf_key *keys, unsigned key_count);
/* As above for a group of options; disk groups of
 * volumes stand under another name, hence `what`. */
bool conf_options_check(struct conf_loader *l, const config_setting_t *group, enum conf_group kind,
			const char *what);
/* Puts the options of a checked group (NULL = nothing) over *opts. */
void conf_options_apply(const config_setting_t *group, enum conf_group kind,
			struct conf_opts *opts);
/* Member of a group, NULL if absent or of another kind than KEY_*. */
const config_setting_t *conf_member(const config_setting_t *group, const char *name,
				    unsigned kinds);
/* Text of a member, NULL as conf_member(). */
const char *conf_text(const config_setting_t *group, const char *name);
unsigned conf_length(const config_setting_t *list);
/* Element of a list or array; NULL list: never called. */
const config_setting_t *conf_elem(const config_setting_t *list, unsigned i);
bool conf_kind_is(const config_setting_t *setting, unsigned kinds);

/* ---- conf_addr.c ---- */

/* "[ipv4:|ipv6:]ADDR:PORT", numeric only. 0 or -EINVAL. */
int conf_addr_parse(const char *text, struct conf_addr *out, struct err *err);

/* ---- conf_load.c, conf_resource.c, conf_connection.c ---- */

/* One resources[] entry into *res. Options of the level above are in *base. */
void conf_resource_build(struct conf_loader *l, const config_setting_t *group,
			 const struct conf_opts *base, struct conf_resource *res);
/* Its connections, mesh or full mesh; needs res->nodes. *base: options of the resource. */
void conf_connections_build(struct conf_loader *l, const config_setting_t *group,
			    const struct conf_opts *base, struct conf_resource *res);
/* The template of that name, NULL if there is none. */
const config_setting_t *conf_template_find(const struct conf_loader *l, const char *name);
void conf_resource_free(struct conf_resource *res);

/* Text of a member into out; a message when it is too long, or not absolute. */
void conf_text_take(struct conf_loader *l, const config_setting_t *group, const char *key,
		    bool absolute, char *out, size_t bytes);

/* ---- conf_tls.c ---- */

/* The group common.tls; NULL = not given. */
void conf_tls_take(struct conf_loader *l, const config_setting_t *group);
/* "ab12...", 64 hexadecimal digits, colons between pairs allowed. */
bool conf_fingerprint_parse(const char *text, uint8_t out[CONF_FINGERPRINT_BYTES]);
/* Rules over the whole model. */
void conf_tls_check(const struct conf *conf, struct conf_messages *messages);
/* What needs this machine. */
void conf_tls_check_node(const struct conf *conf, const char *node,
			 struct conf_messages *messages);

/* ---- conf_handlers.c ---- */

/* The group handlers of `common` or of a resource, NULL = not given. */
void conf_handlers_check(struct conf_loader *l, const config_setting_t *group, const char *what);
/* Those of the resource's group, else of `common`. */
void conf_handlers_take(struct conf_loader *l, const config_setting_t *group,
			struct conf_resource *res);

/* ---- conf_check.c ---- */

/* Rules over the whole model: names, ids, addresses, backing stores, authentication. */
void conf_model_check(const struct conf *conf, struct conf_messages *messages);

#endif
