/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Owns the groups `handlers`: which programs of the operator are called, and that they can be. */
#include "conf/conf_int.h"

#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/str.h"

#define COMMAND_MAX 1024U
/* What ends a word of a command, as far as a path may begin or end there. */
#define WORD_ENDS " \t\n;|&<>()\"'=`$"

static const char old_name[] = "outdate-peer";

void conf_handlers_check(struct conf_loader *l, const config_setting_t *group, const char *what)
{
	struct conf_key keys[HANDLER_COUNT + 1];

	if (!group)
		return;
	for (unsigned i = 0; i < HANDLER_COUNT; i++)
		keys[i] = (struct conf_key){ handler_name((enum handler)i), KEY_TEXT, false };
	keys[HANDLER_COUNT] = (struct conf_key){ old_name, KEY_TEXT, false };
	(void)conf_keys_check(l, group, what, keys, ARRAY_LEN(keys));
	if (conf_text(group, old_name))
		conf_error_at(l, conf_member(group, old_name, KEY_TEXT),
			      "%s: %s is the name that fence-peer had in DRBD 8.3: write "
			      "fence-peer", what, old_name);
	for (unsigned i = 0; i < HANDLER_COUNT; i++) {
		const char *command = conf_text(group, keys[i].name);

		if (command && command[0] != '/')
			conf_error_at(l, conf_member(group, keys[i].name, KEY_TEXT),
				      "%s: %s: \"%.80s\" does not begin with the absolute path of "
				      "a program", what, keys[i].name, command);
		else if (command && strlen(command) >= COMMAND_MAX)
			conf_error_at(l, conf_member(group, keys[i].name, KEY_TEXT),
				      "%s: %s: longer than %u bytes", what, keys[i].name,
				      COMMAND_MAX - 1);
	}
}

void conf_handlers_take(struct conf_loader *l, const config_setting_t *group,
			struct conf_resource *res)
{
	const config_setting_t *common = conf_member(l->common, "handlers", KEY_GROUP);

	for (unsigned i = 0; i < HANDLER_COUNT; i++) {
		const char *name = handler_name((enum handler)i);
		const config_setting_t *s = conf_member(group, name, KEY_TEXT);
		struct conf_handler *handler = &res->handlers[i];

		if (!s)
			s = conf_member(common, name, KEY_TEXT);
		if (!s)
			continue;
		handler->command = strdup(config_setting_get_string(s));
		handler->line = config_setting_source_line(s);
		(void)str_copy(handler->file, sizeof(handler->file), conf_setting_file(s));
		if (!handler->command)
			conf_error_at(l, s, "out of memory");
	}
}

/* ---- the own mount ---- */

static bool is_under(const char *path, const char *dir)
{
	size_t n = strlen(dir);

	while (n > 1 && dir[n - 1] == '/')
		n--;
	return strncmp(path, dir, n) == 0 && (path[n] == '/' || path[n] == '\0' || n == 1);
}

/* As written, or where it leads to. */
static bool leads_to(const char *word, const char *mountpoint)
{
	char *real;
	bool under;

	if (is_under(word, mountpoint))
		return true;
	real = realpath(word, NULL);
	under = real && is_under(real, mountpoint);
	free(real);
	return under;
}

/* A word of the command that is a path into the mount; false: there is none. */
static bool finds_mount(const char *command, const char *mountpoint, char word[COMMAND_MAX])
{
	for (const char *p = command; *p; p += strspn(p, WORD_ENDS)) {
		size_t n = strcspn(p, WORD_ENDS);

		if (n >= COMMAND_MAX)
			return false;
		memcpy(word, p, n);
		word[n] = '\0';
		p += n;
		if (word[0] == '/' && leads_to(word, mountpoint))
			return true;
	}
	return false;
}

/* A program that has to be read from there waits for the daemon, and the daemon for it. */
bool conf_check_handlers(const struct conf *conf, const char *node, const char *mountpoint,
			 struct conf_messages *messages)
{
	unsigned errors_before = messages->error_count;
	char word[COMMAND_MAX];

	for (unsigned r = 0; r < conf->resource_count; r++) {
		const struct conf_resource *res = &conf->resources[r];

		for (unsigned i = 0; i < HANDLER_COUNT && conf_node_find(res, node); i++) {
			const struct conf_handler *handler = &res->handlers[i];

			if (!handler->command || !finds_mount(handler->command, mountpoint, word))
				continue;
			conf_message_add(messages, false, handler->file, handler->line,
					 "resource '%s', handler %s: %s is in the mount of this "
					 "daemon, which may be what the handler is called for",
					 res->name, handler_name((enum handler)i), word);
		}
	}
	return messages->error_count == errors_before;
}
