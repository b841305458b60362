/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Owns the check of keys and kinds of values in a
 * group, and the proposal of the nearest known key. */
#include "conf/conf_int.h"

#include <string.h>

#include "base/assert.h"


bool conf_kind_is(const config_setting_t *s, unsigned kinds)
{
	switch (config_setting_type(s)) {
	case CONFIG_TYPE_GROUP:
		return kinds & KEY_GROUP;
	case CONFIG_TYPE_LIST:
		/* "()" is the empty list whatever was meant. */
		return (kinds & KEY_LIST) ||
		       ((kinds & KEY_ARRAY) && config_setting_length(s) == 0);
	case CONFIG_TYPE_ARRAY:
		return kinds & KEY_ARRAY;
	case CONFIG_TYPE_STRING:
		return kinds & KEY_TEXT;
	case CONFIG_TYPE_INT:
	case CONFIG_TYPE_INT64:
		return kinds & KEY_INT;
	case CONFIG_TYPE_BOOL:
		return kinds & KEY_BOOL;
	default:
		return false;
	}
}

static const char *kinds_text(unsigned kinds)
{
	if (kinds & KEY_GROUP)
		return kinds & KEY_TEXT ? "a text in quotes or a group { ... }" : "a group { ... }";
	if (kinds & KEY_LIST)
		return "a list ( ... )";
	if (kinds & KEY_ARRAY)
		return "an array [ \"...\", \"...\" ]";
	if (kinds & KEY_TEXT)
		return "a text in quotes";
	if (kinds & KEY_INT)
		return "a whole number";
	return "true or false";
}

const config_setting_t *conf_member(const config_setting_t *group, const char *name, unsigned kinds)
{
	const config_setting_t *s;

	if (!group || !config_setting_is_group(group))
		return NULL;
	s = config_setting_get_member(group, name);
	return s && conf_kind_is(s, kinds) ? s : NULL;
}

const char *conf_text(const config_setting_t *group, const char *name)
{
	const config_setting_t *s = conf_member(group, name, KEY_TEXT);

	return s ? config_setting_get_string(s) : NULL;
}

unsigned conf_length(const config_setting_t *list)
{
	return list ? (unsigned)config_setting_length(list) : 0;
}

const config_setting_t *conf_elem(const config_setting_t *list, unsigned i)
{
	return config_setting_get_elem(list, i);
}

static void unknown_key(struct conf_loader *l, const config_setting_t *s, const char *what,
			const struct str_nearest *n)
{
	if (n->best)
		conf_error_at(l, s, "%s: unknown key '%.64s'; did you mean '%s'?", what, n->wanted,
			      n->best);
	else
		conf_error_at(l, s, "%s: unknown key '%.64s'", what, n->wanted);
}

static const struct conf_key *key_find(const struct conf_key *keys, unsigned count,
				       const char *name)
{
	for (unsigned i = 0; i < count; i++) {
		if (str_eq(keys[i].name, name))
			return &keys[i];
	}
	return NULL;
}

static bool is_ignored(const char *name)
{
	return strncmp(name, "x-", 2) == 0;
}

bool conf_keys_check(struct conf_loader *l, const config_setting_t *group, const char *what,
		     const struct conf_key *keys, unsigned key_count)
{
	bool good = true;

	if (!config_setting_is_group(group)) {
		conf_error_at(l, group, "%s: must be a group { ... }", what);
		return false;
	}
	for (unsigned i = 0; i < conf_length(group); i++) {
		const config_setting_t *s = conf_elem(group, i);
		const char *name = config_setting_name(s);
		const struct conf_key *k = key_find(keys, key_count, name);

		if (!k && !is_ignored(name)) {
			struct str_nearest n = { .wanted = name };

			for (unsigned j = 0; j < key_count; j++)
				str_nearest_try(&n, keys[j].name);
			unknown_key(l, s, what, &n);
			good = false;
		} else if (k && !conf_kind_is(s, k->kinds)) {
			conf_error_at(l, s, "%s: '%s' must be %s", what, name,
				      kinds_text(k->kinds));
			good = false;
		}
	}
	for (unsigned j = 0; j < key_count; j++) {
		if (keys[j].required && !config_setting_get_member(group, keys[j].name)) {
			conf_error_at(l, group, "%s: '%s' is missing", what, keys[j].name);
			good = false;
		}
	}
	return good;
}

/* An option of another group is a frequent slip, and worth a precise answer. */
static const struct conf_option *find_elsewhere(enum conf_group kind, const char *name)
{
	for (int g = GROUP_NET; g <= GROUP_OPTIONS; g++) {
		const struct conf_option *o = conf_option_find((enum conf_group)g, name);

		if (o && o->group != kind)
			return o;
	}
	return NULL;
}

static void unknown_option(struct conf_loader *l, const config_setting_t *s, enum conf_group kind,
			   const char *what)
{
	const char *name = config_setting_name(s);
	const struct conf_option *elsewhere = find_elsewhere(kind, name);
	struct str_nearest n = { .wanted = name };
	unsigned count;
	const struct conf_option *o = conf_options(&count);

	if (elsewhere) {
		conf_error_at(l, s, "%s: unknown key '%s'; it belongs into '%s'", what, name,
			      conf_group_name(elsewhere->group));
		return;
	}
	for (unsigned i = 0; i < count; i++) {
		if (o[i].group == kind)
			str_nearest_try(&n, o[i].name);
	}
	unknown_key(l, s, what, &n);
}

bool conf_options_check(struct conf_loader *l, const config_setting_t *group, enum conf_group kind,
			const char *what)
{
	struct conf_opts scratch;
	bool good = true;

	if (!group)
		return true;
	conf_opts_preset(&scratch);
	for (unsigned i = 0; i < conf_length(group); i++) {
		const config_setting_t *s = conf_elem(group, i);
		const char *name = config_setting_name(s);
		const struct conf_option *o = conf_option_find(kind, name);
		struct err err = ERR_INIT;

		if (is_ignored(name))
			continue;
		if (!o) {
			unknown_option(l, s, kind, what);
			good = false;
		} else if (conf_option_set(o, s, &scratch, &err)) {
			conf_error_at(l, s, "%s: %s", what, err.text);
			good = false;
		}
	}
	return good;
}

void conf_options_apply(const config_setting_t *group, enum conf_group kind,
			struct conf_opts *opts)
{
	if (!group)
		return;
	for (unsigned i = 0; i < conf_length(group); i++) {
		const config_setting_t *s = conf_elem(group, i);
		const struct conf_option *o = conf_option_find(kind, config_setting_name(s));
		struct err ignored = ERR_INIT;

		/* A value in error was reported by conf_options_check(); the level above stands. */
		if (o)
			(void)conf_option_set(o, s, opts, &ignored);
	}
}
