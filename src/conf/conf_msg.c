/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Owns the list of messages that loading a configuration gives. */
#include "conf/conf_int.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"

/* A configuration may hold any bytes; a message goes to terminals and logs. */
static void make_printable(char *text)
{
	for (unsigned char *p = (unsigned char *)text; *p; p++) {
		if (*p < ' ' || *p == 0x7f)
			*p = '?';
	}
}

static void __attribute__((format(printf, 5, 0)))
add(struct conf_messages *m, bool warning, const char *file, unsigned line, const char *fmt,
    va_list ap)
{
	struct conf_message *msg;

	if (!warning)
		m->error_count++;
	if (!m->items)
		m->items = calloc(CONF_MESSAGES_MAX, sizeof(*m->items));
	if (!m->items || m->count == CONF_MESSAGES_MAX)
		return;
	msg = &m->items[m->count++];
	msg->warning = warning;
	if (line)
		(void)str_format(msg->text, sizeof(msg->text), "%s:%u: ", file, line);
	else
		(void)str_format(msg->text, sizeof(msg->text), "%s: ", file);
	size_t used = strlen(msg->text);

	(void)vsnprintf(msg->text + used, sizeof(msg->text) - used, fmt, ap);
	make_printable(msg->text);
}

void conf_message_add(struct conf_messages *messages, bool warning, const char *file, unsigned line,
		      const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	add(messages, warning, file, line, fmt, ap);
	va_end(ap);
}

const char *conf_setting_file(const config_setting_t *setting)
{
	return CONTAINER_OF(setting->config, struct conf_file, cfg)->path;
}

void conf_error_at(struct conf_loader *l, const config_setting_t *at, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	add(l->messages, false, conf_setting_file(at), config_setting_source_line(at), fmt, ap);
	va_end(ap);
}

void conf_warn_at(struct conf_loader *l, const config_setting_t *at, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	add(l->messages, true, conf_setting_file(at), config_setting_source_line(at), fmt, ap);
	va_end(ap);
}

void conf_messages_clear(struct conf_messages *messages)
{
	free(messages->items);
	memset(messages, 0, sizeof(*messages));
}

void conf_messages_print(const struct conf_messages *messages, FILE *out)
{
	unsigned errors_shown = 0;

	for (unsigned i = 0; i < messages->count; i++) {
		const struct conf_message *m = &messages->items[i];

		if (!m->warning)
			errors_shown++;
		(void)fprintf(out, "%s%s\n", m->warning ? "warning: " : "", m->text);
	}
	if (errors_shown < messages->error_count)
		(void)fprintf(out, "... and %u more errors\n",
			      messages->error_count - errors_shown);
}
