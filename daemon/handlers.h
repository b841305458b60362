/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Runs the operator's programs for the cores of a shard, apart from its thread. */
#ifndef DAEMON_HANDLERS_H
#define DAEMON_HANDLERS_H

#include "conf/conf.h"

struct ac_handler;
struct handler_set;
struct handler_runner;
struct resource;
struct shard;

/* The handlers of a resource, and what they are told of it. NULL: no memory. */
struct handler_set *handler_set_new(const struct conf *conf, const struct conf_resource *res,
				    uint8_t own_node_id);
void handler_set_free(struct handler_set *set);

struct handler_runner *handler_runner_new(struct shard *shard);
/* What still runs goes on alone. */
void handler_runner_free(struct handler_runner *runner);
/* AC_HANDLER; EV_HANDLER_DONE comes later, also when it cannot be run. */
void handler_run(struct resource *res, const struct ac_handler *call);
/* The ends of what runs for it mean nothing any more. */
void handler_resource_gone(struct resource *res);

#endif
