/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Owns the questions asked of a loaded configuration, and its translation for the core. */
#include "conf/conf.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/str.h"

STATIC_ASSERT(CONF_PATHS_MAX > 0, "a connection has a path");

const struct conf_resource *conf_resource_find(const struct conf *conf, const char *name)
{
	for (unsigned i = 0; i < conf->resource_count; i++) {
		if (str_eq(conf->resources[i].name, name))
			return &conf->resources[i];
	}
	return NULL;
}

const struct conf_node *conf_node_find(const struct conf_resource *res, const char *name)
{
	for (unsigned i = 0; i < res->node_count; i++) {
		if (str_eq(res->nodes[i].name, name))
			return &res->nodes[i];
	}
	return NULL;
}

const struct conf_node *conf_node_by_id(const struct conf_resource *res, unsigned node_id)
{
	for (unsigned i = 0; i < res->node_count; i++) {
		if (res->nodes[i].node_id == node_id)
			return &res->nodes[i];
	}
	return NULL;
}

const struct conf_connection *conf_connection_find(const struct conf_resource *res, unsigned node_a,
						   unsigned node_b)
{
	for (unsigned i = 0; i < res->connection_count; i++) {
		const struct conf_connection *c = &res->connections[i];

		if ((c->node_id[0] == node_a && c->node_id[1] == node_b) ||
		    (c->node_id[0] == node_b && c->node_id[1] == node_a))
			return c;
	}
	return NULL;
}

const struct conf_node_volume *conf_volume_find(const struct conf_resource *res,
						const struct conf_node *node, unsigned vnr)
{
	for (unsigned i = 0; i < res->volume_count; i++) {
		if (res->vnr[i] == vnr)
			return &node->volumes[i];
	}
	return NULL;
}

bool conf_node_has_disk(const struct conf_resource *res, const struct conf_node *node)
{
	for (unsigned i = 0; i < res->volume_count; i++) {
		if (node->volumes[i].options.has_disk)
			return true;
	}
	return false;
}

/* ---- which node this is ---- */

static bool node_is_known(const struct conf *conf, const char *name)
{
	for (unsigned i = 0; i < conf->resource_count; i++) {
		if (conf_node_find(&conf->resources[i], name))
			return true;
	}
	return false;
}

/* Appends the names of all nodes, each once, as long as there is room. */
static void node_names_append(const struct conf *conf, struct err *err)
{
	const char *separator = " ";

	for (unsigned r = 0; r < conf->resource_count; r++) {
		const struct conf_resource *res = &conf->resources[r];

		for (unsigned i = 0; i < res->node_count; i++) {
			const char *name = res->nodes[i].name;
			bool seen = false;

			for (unsigned q = 0; q < r && !seen; q++)
				seen = conf_node_find(&conf->resources[q], name) != NULL;
			if (!seen && !str_append(err->text, sizeof(err->text), "%s%s", separator,
						 name))
				return;
			separator = ", ";
		}
	}
}

int conf_node_select(const struct conf *conf, const char *wanted, char out[NAME_MAX_BYTES],
		     struct err *err)
{
	const char *from = "host name";
	char name[NAME_MAX_BYTES] = "";
	char *dot;

	if (wanted || conf->node_name[0]) {
		from = wanted ? "option -n" : "node.name";
		(void)str_copy(name, sizeof(name), wanted ? wanted : conf->node_name);
	} else {
		(void)gethostname(name, sizeof(name) - 1);
		dot = strchr(name, '.');
		if (!node_is_known(conf, name) && dot)
			*dot = '\0';
	}
	if (node_is_known(conf, name)) {
		(void)str_copy(out, NAME_MAX_BYTES, name);
		return 0;
	}
	(void)err_set(err, -ENOENT,
		      "%s: no resource has a node '%s' (from the %s); give one with -n out of:",
		      conf->file, name, from);
	if (err)
		node_names_append(conf, err);
	return -ENOENT;
}

/* ---- for the core ---- */

static void peer_fill(const struct conf *conf, const struct conf_resource *res,
		      const struct conf_connection *c, const struct conf_node *node,
		      struct core_peer_conf *peer)
{
	peer->node_id = node->node_id;
	(void)str_copy(peer->name, sizeof(peer->name), node->name);
	peer->net = c->net;
	for (unsigned v = 0; v < res->volume_count; v++)
		peer->has_disk[v] = node->volumes[v].options.has_disk;
	if (peer->net.cram_hmac_alg[0] && !peer->net.shared_secret[0])
		(void)str_copy(peer->net.shared_secret, sizeof(peer->net.shared_secret),
			       conf->secret);
}

int conf_to_core(const struct conf *conf, const struct conf_resource *res, unsigned self_node_id,
		 struct core_conf *out, struct err *err)
{
	const struct conf_node *self = conf_node_by_id(res, self_node_id);

	memset(out, 0, sizeof(*out));
	if (!self)
		return err_set(err, -ENOENT, "resource '%s' has no node with node-id %u", res->name,
			       self_node_id);
	(void)str_copy(out->name, sizeof(out->name), res->name);
	out->node_id = self->node_id;
	out->auto_promote = res->options.auto_promote;
	out->auto_promote_timeout_ds = res->options.auto_promote_timeout_ds;
	out->twopc_timeout_ds = res->options.twopc_timeout_ds;
	out->twopc_retry_timeout_ds = res->options.twopc_retry_timeout_ds;
	out->quorum = res->options.quorum;
	out->quorum_min_redundancy = res->options.quorum_min_redundancy;
	out->on_no_quorum = res->options.on_no_quorum;
	out->on_no_data = res->options.on_no_data;
	out->on_suspended_primary_outdated = res->options.on_suspended_primary_outdated;
	out->verify_interval_s = res->options.verify_interval_s;
	for (unsigned i = 0; i < HANDLER_COUNT; i++)
		out->handlers |= (uint32_t)(res->handlers[i].command != NULL) << i;
	out->requests_max = CONF_REQUESTS_MAX;
	out->request_bytes_max = CONF_REQUEST_BYTES_MAX;
	out->peer_requests_max = conf_node_has_disk(res, self) ? CONF_PEER_REQUESTS_MAX :
								 CONF_PEER_REQUESTS_DISKLESS;
	out->volume_count = res->volume_count;
	for (unsigned v = 0; v < res->volume_count; v++) {
		out->volumes[v].vnr = res->vnr[v];
		out->volumes[v].disk = self->volumes[v].options;
	}
	for (unsigned i = 0; i < res->node_count; i++) {
		const struct conf_node *node = &res->nodes[i];
		const struct conf_connection *c =
			conf_connection_find(res, self->node_id, node->node_id);

		if (node != self && c)
			peer_fill(conf, res, c, node, &out->peers[out->peer_count++]);
		for (unsigned v = 0; node != self && !c && v < res->volume_count; v++)
			out->volumes[v].far_disks |= (uint32_t)node->volumes[v].options.has_disk
						     << node->node_id;
	}
	return 0;
}

unsigned conf_peer_paths(const struct conf_resource *res, unsigned self_node_id,
			 unsigned peer_node_id, struct conf_peer_path out[CONF_PATHS_MAX])
{
	const struct conf_connection *c = conf_connection_find(res, self_node_id, peer_node_id);
	unsigned local;

	if (!c)
		return 0;
	local = c->node_id[0] == self_node_id ? 0 : 1;
	for (unsigned i = 0; i < c->path_count; i++) {
		out[i].local = c->paths[i].addr[local];
		out[i].remote = c->paths[i].addr[1 - local];
	}
	return c->path_count;
}

/* ---- where things are ---- */

/* Root's place, else $XDG/..., else $HOME/fallback/...; "/nonexistent" when a user has neither. */
static void default_path(char out[CONF_PATH_MAX], const char *root, const char *xdg,
			 const char *fallback, const char *tail)
{
	const char *dir = getenv(xdg);
	const char *home = getenv("HOME");
	bool good;

	if (geteuid() == 0) {
		(void)str_copy(out, CONF_PATH_MAX, root);
		return;
	}
	if (dir && dir[0] == '/')
		good = str_format(out, CONF_PATH_MAX, "%s/drbdfs%s", dir, tail);
	else
		good = home && home[0] == '/' &&
		       str_format(out, CONF_PATH_MAX, "%s/%s/drbdfs%s", home, fallback, tail);
	if (!good)
		(void)str_format(out, CONF_PATH_MAX, "/nonexistent/drbdfs%s", tail);
}

void conf_default_file(char out[CONF_PATH_MAX])
{
	default_path(out, "/etc/drbdfs/drbdfs.conf", "XDG_CONFIG_HOME", ".config",
		     "/drbdfs.conf");
}

void conf_default_socket(char out[CONF_PATH_MAX])
{
	default_path(out, "/run/drbdfs/control.sock", "XDG_RUNTIME_DIR", ".cache",
		     "/control.sock");
}
