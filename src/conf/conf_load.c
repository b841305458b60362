/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Owns the way from a configuration file to a checked model. */
#include "conf/conf_int.h"

#include <pwd.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"

const config_setting_t *conf_template_find(const struct conf_loader *l, const char *name)
{
	for (unsigned i = 0; i < l->template_count; i++) {
		const char *other = conf_text(l->templates[i], "name");

		if (other && str_eq(other, name))
			return l->templates[i];
	}
	return NULL;
}

void conf_text_take(struct conf_loader *l, const config_setting_t *group, const char *key,
		    bool absolute, char *out, size_t bytes)
{
	const config_setting_t *s = conf_member(group, key, KEY_TEXT);

	if (!s)
		return;
	if (absolute && config_setting_get_string(s)[0] != '/')
		conf_error_at(l, s, "%s: \"%.80s\" is not an absolute path", key,
			      config_setting_get_string(s));
	else if (!str_copy(out, bytes, config_setting_get_string(s)))
		conf_error_at(l, s, "%s: longer than %zu bytes", key, bytes - 1);
}

static void take_count(struct conf_loader *l, const char *key, int min, int max, unsigned *out)
{
	const config_setting_t *s = conf_member(l->node, key, KEY_INT);
	long long count = s ? config_setting_get_int64(s) : 0;

	if (!s)
		return;
	if (count < min || count > max)
		conf_error_at(l, s, "%s: %lld is out of range [%d..%d]", key, count, min, max);
	else
		*out = (unsigned)count;
}

static void node_take(struct conf_loader *l)
{
	static const struct conf_key keys[] = {
		{ "name", KEY_TEXT, false },
		{ "control-socket", KEY_TEXT, false },
		{ "log", KEY_TEXT, false },
		{ "disk-threads", KEY_INT, false },
		{ "max-parallel-resyncs", KEY_INT, false },
	};
	struct conf *c = l->conf;
	const char *name = conf_text(l->node, "name");
	const char *log = conf_text(l->node, "log");
	bool is_word = log && (str_eq(log, "stderr") || str_eq(log, "syslog"));

	if (!l->node || !conf_keys_check(l, l->node, "node", keys, ARRAY_LEN(keys)))
		return;
	if (name && name_problem(name))
		conf_error_at(l, conf_member(l->node, "name", KEY_TEXT), "node: the name %s",
			      name_problem(name));
	conf_text_take(l, l->node, "name", false, c->node_name, sizeof(c->node_name));
	conf_text_take(l, l->node, "control-socket", true, c->control_socket,
		       sizeof(c->control_socket));
	if (log && !is_word && log[0] != '/')
		conf_error_at(l, conf_member(l->node, "log", KEY_TEXT),
			      "log: must be \"stderr\", \"syslog\" or an absolute path");
	else
		conf_text_take(l, l->node, "log", false, c->log, sizeof(c->log));
	take_count(l, "disk-threads", 1, CONF_DISK_THREADS_MAX, &c->disk_threads);
	take_count(l, "max-parallel-resyncs", 0, CONF_PARALLEL_RESYNCS_MAX, &c->parallel_resyncs);
}

/* A user by name, else by number: an array holds either texts or numbers. */
static bool user_lookup(const config_setting_t *s, uid_t *uid)
{
	struct passwd pw, *found = NULL;
	uint64_t number = UINT64_MAX;
	char buf[4096];

	if (conf_kind_is(s, KEY_INT)) {
		number = (uint64_t)config_setting_get_int64(s);
	} else if (!conf_kind_is(s, KEY_TEXT)) {
		return false;
	} else if (!getpwnam_r(config_setting_get_string(s), &pw, buf, sizeof(buf), &found) &&
		   found) {
		number = found->pw_uid;
	} else if (str_to_u64(config_setting_get_string(s), &number)) {
		return false;
	}
	*uid = (uid_t)number;
	return number < UINT32_MAX;
}

static void security_take(struct conf_loader *l)
{
	static const struct conf_key keys[] = {
		{ "allowed-control-users", KEY_ARRAY, false },
		{ "secret-file", KEY_TEXT, false },
	};
	const config_setting_t *users = conf_member(l->security, "allowed-control-users",
						    KEY_ARRAY);
	struct conf *c = l->conf;

	if (!l->security || !conf_keys_check(l, l->security, "security", keys, ARRAY_LEN(keys)))
		return;
	conf_text_take(l, l->security, "secret-file", true, c->secret_file, sizeof(c->secret_file));
	for (unsigned i = 0; i < conf_length(users); i++) {
		const config_setting_t *s = conf_elem(users, i);

		if (c->control_user_count == CONF_CONTROL_USERS_MAX) {
			conf_error_at(l, users, "allowed-control-users: more than %u",
				      CONF_CONTROL_USERS_MAX);
			return;
		}
		if (user_lookup(s, &c->control_users[c->control_user_count]))
			c->control_user_count++;
		else
			conf_error_at(l, users, "allowed-control-users: no user '%.80s'",
				      conf_kind_is(s, KEY_TEXT) ? config_setting_get_string(s) :
								  "?");
	}
}

static void common_take(struct conf_loader *l, struct conf_opts *opts)
{
	static const struct conf_key keys[] = {
		{ "net", KEY_GROUP, false },
		{ "disk", KEY_GROUP, false },
		{ "options", KEY_GROUP, false },
		{ "tls", KEY_GROUP, false },
		{ "handlers", KEY_GROUP, false },
	};

	if (!l->common)
		return;
	(void)conf_keys_check(l, l->common, "common", keys, ARRAY_LEN(keys));
	conf_handlers_check(l, conf_member(l->common, "handlers", KEY_GROUP), "common, handlers");
	conf_tls_take(l, conf_member(l->common, "tls", KEY_GROUP));
	for (int g = GROUP_NET; g <= GROUP_OPTIONS; g++) {
		const char *name = conf_group_name((enum conf_group)g);
		const config_setting_t *s = conf_member(l->common, name, KEY_GROUP);
		char what[32];

		(void)str_format(what, sizeof(what), "common, %s", name);
		(void)conf_options_check(l, s, (enum conf_group)g, what);
		conf_options_apply(s, (enum conf_group)g, opts);
	}
}

static void templates_check(struct conf_loader *l)
{
	static const struct conf_key keys[] = {
		{ "name", KEY_TEXT, true },
		{ "net", KEY_GROUP, false },
	};

	for (unsigned i = 0; i < l->template_count; i++) {
		const config_setting_t *t = l->templates[i];
		char what[NAME_MAX_BYTES + 16];
		const config_setting_t *first;

		(void)str_format(what, sizeof(what), "template '%.127s'",
				 conf_text(t, "name") ? conf_text(t, "name") : "?");
		if (!conf_keys_check(l, t, what, keys, ARRAY_LEN(keys)))
			continue;
		(void)conf_options_check(l, conf_member(t, "net", KEY_GROUP), GROUP_NET, what);
		first = conf_template_find(l, conf_text(t, "name"));
		if (first != t)
			conf_error_at(l, t, "%s is there already, at %s:%u", what,
				      conf_setting_file(first), config_setting_source_line(first));
	}
}

static int resource_order(const void *a, const void *b)
{
	const struct conf_resource *x = a, *y = b;

	return strcmp(x->name, y->name);
}

/* Builds l->conf from what the files hold; messages tell whether it is good. */
static void model_build(struct conf_loader *l)
{
	struct conf *conf = l->conf;
	struct conf_opts opts;

	conf_opts_preset(&opts);
	node_take(l);
	security_take(l);
	common_take(l, &opts);
	templates_check(l);
	conf->resources = calloc(l->resource_count ? l->resource_count : 1,
				 sizeof(*conf->resources));
	if (!conf->resources) {
		conf_message_add(l->messages, false, conf->file, 0, "out of memory");
		return;
	}
	for (unsigned i = 0; i < l->resource_count; i++)
		conf_resource_build(l, l->resources[i], &opts,
				    &conf->resources[conf->resource_count++]);
	conf_model_check(conf, l->messages);
	qsort(conf->resources, conf->resource_count, sizeof(*conf->resources), resource_order);
}

struct conf *conf_load(const char *path, struct conf_messages *messages)
{
	struct conf_loader *l = calloc(1, sizeof(*l));
	struct conf *conf = calloc(1, sizeof(*conf));
	unsigned errors_before = messages->error_count;

	if (!l || !conf || !str_copy(conf->file, sizeof(conf->file), path)) {
		conf_message_add(messages, false, path, 0, "path too long, or out of memory");
		free(l);
		free(conf);
		return NULL;
	}
	l->messages = messages;
	l->conf = conf;
	conf->disk_threads = CONF_DISK_THREADS_DEFAULT;
	conf->parallel_resyncs = CONF_PARALLEL_RESYNCS_DEFAULT;
	/* After an error in one file the rest is still
	 * checked, but not when nothing could be read. */
	(void)conf_files_read(l, path);
	if (l->file_count && (l->resource_count || messages->error_count == errors_before)) {
		model_build(l);
		if (!l->resource_count)
			conf_message_add(messages, false, path, 0,
					 "holds no resources; see drbdfs.conf(5) for an example");
	}
	conf_files_free(l);
	free(l);
	if (messages->error_count == errors_before)
		return conf;
	conf_free(conf);
	return NULL;
}

void conf_free(struct conf *conf)
{
	if (!conf)
		return;
	for (unsigned i = 0; i < conf->resource_count; i++)
		conf_resource_free(&conf->resources[i]);
	free(conf->resources);
	free(conf);
}
