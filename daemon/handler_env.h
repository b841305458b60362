/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the operator's programs are told, by their environment (config-and-utilities 4.2). */
#ifndef DAEMON_HANDLER_ENV_H
#define DAEMON_HANDLER_ENV_H

#include "core/core.h"
#include "handlers.h"

struct handler_env;

/* NULL: there is no such handler. */
const char *handler_set_command(const struct handler_set *set, enum handler what);
uint32_t handler_set_timeout_s(const struct handler_set *set);
/* NULL: no memory. */
struct handler_env *handler_env_new(const struct handler_set *set, struct resource *res,
				    const struct ac_handler *call);
char *const *handler_env_list(const struct handler_env *env);
void handler_env_free(struct handler_env *env);

#endif
