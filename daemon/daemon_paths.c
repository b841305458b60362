/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The addresses of a running resource, for status. The control thread only. */
#include "daemon_int.h"
#include "http_int.h"

unsigned daemon_peer_paths(struct daemon *d, const char *resource, unsigned peer_node_id,
			   struct conf_peer_path out[CONF_PATHS_MAX])
{
	const struct daemon_resource *running = daemon_resource_find(d, resource);
	const struct conf_resource *res =
		running ? conf_resource_find(running->conf->conf, resource) : NULL;
	const struct conf_node *self = res ? conf_node_find(res, d->options.node) : NULL;

	return self ? conf_peer_paths(res, self->node_id, peer_node_id, out) : 0;
}
