/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Owns the building of connections: explicit ones,
 * meshes, and the full mesh when nothing is given. */
#include "conf/conf_int.h"

#include <stdlib.h>
#include <string.h>

#include "base/assert.h"

#define WHAT_MAX 400
#define PAIRS_MAX (NODES_MAX * (NODES_MAX - 1) / 2)

/* Connections of one resource while they are built. */
struct pairs {
	struct conf_loader *l;
	struct conf_resource *res;
	const struct conf_opts *base;
	/* per connection: what it was made from, NULL = nothing */
	const config_setting_t *mesh[PAIRS_MAX], *connection[PAIRS_MAX];
};

static struct conf_node *node_by_name(struct conf_resource *res, const char *name)
{
	for (unsigned i = 0; i < res->node_count; i++) {
		if (str_eq(res->nodes[i].name, name))
			return &res->nodes[i];
	}
	return NULL;
}

/* "alpha, beta, gamma" of the resource, cut with "..." when long. */
static void names_list(const struct conf_resource *res, char *out, size_t bytes)
{
	out[0] = '\0';
	for (unsigned i = 0; i < res->node_count; i++) {
		if (strlen(out) + NAME_MAX_BYTES + 8 > bytes) {
			(void)str_append(out, bytes, ", ...");
			return;
		}
		(void)str_append(out, bytes, "%s%s", i ? ", " : "", res->nodes[i].name);
	}
}

/* The node that an element of an array of names means; NULL when reported. */
static struct conf_node *node_of(struct pairs *p, const config_setting_t *s, const char *what)
{
	char names[320];
	struct conf_node *node;

	if (!conf_kind_is(s, KEY_TEXT)) {
		conf_error_at(p->l, s, "%s: nodes are given by name, in quotes", what);
		return NULL;
	}
	node = node_by_name(p->res, config_setting_get_string(s));
	if (!node) {
		names_list(p->res, names, sizeof(names));
		conf_error_at(p->l, s, "%s: there is no node '%.80s'; nodes are %s", what,
			      config_setting_get_string(s), names);
	}
	return node;
}

/* The connection of two nodes, made if there is none. NULL only when there is no room. */
static struct conf_connection *pair_get(struct pairs *p, const struct conf_node *a,
					const struct conf_node *b)
{
	struct conf_resource *res = p->res;
	uint8_t lo = a->node_id < b->node_id ? a->node_id : b->node_id;
	uint8_t hi = a->node_id < b->node_id ? b->node_id : a->node_id;
	struct conf_connection *c;

	for (unsigned i = 0; i < res->connection_count; i++) {
		c = &res->connections[i];
		if (c->node_id[0] == lo && c->node_id[1] == hi)
			return c;
	}
	if (res->connection_count == PAIRS_MAX)
		return NULL;
	c = &res->connections[res->connection_count++];
	c->node_id[0] = lo;
	c->node_id[1] = hi;
	return c;
}

static unsigned pair_index(const struct pairs *p, const struct conf_connection *c)
{
	return (unsigned)(c - p->res->connections);
}

static void use_check(struct pairs *p, const config_setting_t *group, const char *what)
{
	const char *use = conf_text(group, "use");

	if (use && !conf_template_find(p->l, use))
		conf_error_at(p->l, conf_member(group, "use", KEY_TEXT),
			      "%s: there is no template '%.80s'", what, use);
}

/* ---- meshes ---- */

static void mesh_build(struct pairs *p, const config_setting_t *mesh)
{
	static const struct conf_key keys[] = {
		{ "nodes", KEY_ARRAY, true }, { "net", KEY_GROUP, false },
		{ "use", KEY_TEXT, false },
	};
	const config_setting_t *nodes = conf_member(mesh, "nodes", KEY_ARRAY);
	struct conf_node *members[NODES_MAX];
	unsigned n = 0;
	char what[WHAT_MAX];

	(void)str_format(what, sizeof(what), "resource '%s', mesh", p->res->name);
	if (!conf_keys_check(p->l, mesh, what, keys, ARRAY_LEN(keys)))
		return;
	use_check(p, mesh, what);
	(void)conf_options_check(p->l, conf_member(mesh, "net", KEY_GROUP), GROUP_NET, what);
	for (unsigned i = 0; i < conf_length(nodes) && n < NODES_MAX; i++) {
		members[n] = node_of(p, conf_elem(nodes, i), what);
		n += members[n] != NULL;
	}
	for (unsigned i = 0; i < n; i++) {
		for (unsigned j = i + 1; j < n; j++) {
			struct conf_connection *c = pair_get(p, members[i], members[j]);

			if (!c || members[i] == members[j] || p->mesh[pair_index(p, c)]) {
				conf_error_at(p->l, mesh,
					      "%s: nodes '%s' and '%s' are paired twice", what,
					      members[i]->name, members[j]->name);
				return;
			}
			c->line = config_setting_source_line(mesh);
			p->mesh[pair_index(p, c)] = mesh;
		}
	}
}

/* ---- explicit connections ---- */

static void path_build(struct pairs *p, const config_setting_t *path, struct conf_connection *c,
		       const char *what)
{
	static const struct conf_key path_keys[] = { { "ends", KEY_LIST, true } };
	static const struct conf_key end_keys[] = { { "node", KEY_TEXT, true },
						    { "address", KEY_TEXT, true } };
	const config_setting_t *ends = conf_member(path, "ends", KEY_LIST);
	struct conf_path *out = &c->paths[c->path_count];

	if (!conf_keys_check(p->l, path, what, path_keys, ARRAY_LEN(path_keys)))
		return;
	memset(out, 0, sizeof(*out)); /* an earlier path in error may have left something */
	for (unsigned i = 0; i < conf_length(ends); i++) {
		const config_setting_t *end = conf_elem(ends, i);
		const struct conf_node *node;
		struct err err = ERR_INIT;
		int side;

		if (!conf_keys_check(p->l, end, what, end_keys, ARRAY_LEN(end_keys)))
			return;
		node = node_of(p, conf_member(end, "node", KEY_TEXT), what);
		if (!node)
			return;
		side = node->node_id == c->node_id[0] ? 0 : node->node_id == c->node_id[1] ? 1 : -1;
		if (side < 0 || out->addr[side].len) {
			conf_error_at(p->l, end, "%s: the ends of a path are the two nodes of "
				      "its connection, each once", what);
			return;
		}
		if (conf_addr_parse(conf_text(end, "address"), &out->addr[side], &err)) {
			conf_error_at(p->l, end, "%s: %s", what, err.text);
			return;
		}
	}
	if (!out->addr[0].len || !out->addr[1].len) {
		conf_error_at(p->l, path, "%s: a path has two ends", what);
		return;
	}
	if (out->addr[0].ss.ss_family != out->addr[1].ss.ss_family)
		conf_error_at(p->l, path, "%s: one end is IPv4, the other IPv6", what);
	c->path_count++;
}

static void paths_build(struct pairs *p, const config_setting_t *group, struct conf_connection *c,
			const char *what)
{
	const config_setting_t *list = conf_member(group, "paths", KEY_LIST);

	for (unsigned i = 0; i < conf_length(list); i++) {
		if (c->path_count == CONF_PATHS_MAX) {
			conf_error_at(p->l, list, "%s: more than %u paths", what, CONF_PATHS_MAX);
			return;
		}
		path_build(p, conf_elem(list, i), c, what);
	}
}

static void connection_build(struct pairs *p, const config_setting_t *group)
{
	static const struct conf_key keys[] = {
		{ "nodes", KEY_ARRAY, true }, { "paths", KEY_LIST, false },
		{ "net", KEY_GROUP, false },  { "use", KEY_TEXT, false },
	};
	const config_setting_t *nodes = conf_member(group, "nodes", KEY_ARRAY);
	const struct conf_node *a, *b;
	struct conf_connection *c;
	char what[WHAT_MAX];

	(void)str_format(what, sizeof(what), "resource '%s', connections", p->res->name);
	if (!conf_keys_check(p->l, group, what, keys, ARRAY_LEN(keys)))
		return;
	use_check(p, group, what);
	(void)conf_options_check(p->l, conf_member(group, "net", KEY_GROUP), GROUP_NET, what);
	if (conf_length(nodes) != 2) {
		conf_error_at(p->l, group, "%s: 'nodes' must name two nodes", what);
		return;
	}
	a = node_of(p, conf_elem(nodes, 0), what);
	b = node_of(p, conf_elem(nodes, 1), what);
	if (!a || !b)
		return;
	(void)str_format(what, sizeof(what), "resource '%s', connection '%s'-'%s'", p->res->name,
			 a->name, b->name);
	c = a == b ? NULL : pair_get(p, a, b);
	if (!c || p->connection[pair_index(p, c)]) {
		conf_error_at(p->l, group, "%s: %s", what,
			      a == b ? "a node is not connected to itself" : "is there already");
		return;
	}
	c->line = config_setting_source_line(group);
	p->connection[pair_index(p, c)] = group;
	paths_build(p, group, c, what);
}

/* ---- all of them ---- */

static void full_mesh_build(struct pairs *p)
{
	struct conf_resource *res = p->res;

	for (unsigned i = 0; i < res->node_count; i++) {
		for (unsigned j = i + 1; j < res->node_count; j++) {
			struct conf_connection *c =
				pair_get(p, &res->nodes[i], &res->nodes[j]);

			/* Nodes with one id; the check of ids reports it. */
			if (c)
				c->line = res->line;
		}
	}
}

static const struct conf_node *node_by_id(const struct conf_resource *res, unsigned id)
{
	const struct conf_node *node = conf_node_by_id(res, id);

	ASSERT(node != NULL);
	return node;
}

/* The addresses of the nodes serve where a connection names no paths. */
static void addresses_fill(struct pairs *p, struct conf_connection *c)
{
	for (unsigned side = 0; side < 2 && !c->path_count; side++) {
		const struct conf_node *node = node_by_id(p->res, c->node_id[side]);

		if (!node->address.len)
			conf_message_add(p->l->messages, false, p->res->file, node->line,
					 "resource '%s', node '%s': 'address' is missing, and the "
					 "connection to '%s' has no paths",
					 p->res->name, node->name,
					 node_by_id(p->res, c->node_id[1 - side])->name);
		c->paths[0].addr[side] = node->address;
	}
	if (c->path_count)
		return;
	c->path_count = 1;
	if (c->paths[0].addr[0].len && c->paths[0].addr[1].len &&
	    c->paths[0].addr[0].ss.ss_family != c->paths[0].addr[1].ss.ss_family)
		conf_message_add(p->l->messages, false, p->res->file, c->line,
				 "resource '%s': nodes '%s' and '%s' have addresses of different "
				 "families",
				 p->res->name, node_by_id(p->res, c->node_id[0])->name,
				 node_by_id(p->res, c->node_id[1])->name);
}

/* Template below mesh below connection (6.2 rule 1);
 * the connection's template replaces the mesh's. */
static void net_resolve(struct pairs *p, struct conf_connection *c)
{
	const config_setting_t *mesh = p->mesh[pair_index(p, c)];
	const config_setting_t *connection = p->connection[pair_index(p, c)];
	const char *use = conf_text(connection, "use");
	struct conf_opts opts = *p->base;

	if (!use)
		use = conf_text(mesh, "use");
	if (use)
		conf_options_apply(conf_member(conf_template_find(p->l, use), "net", KEY_GROUP),
				   GROUP_NET, &opts);
	conf_options_apply(conf_member(mesh, "net", KEY_GROUP), GROUP_NET, &opts);
	conf_options_apply(conf_member(connection, "net", KEY_GROUP), GROUP_NET, &opts);
	c->net = opts.net;
}

void conf_connections_build(struct conf_loader *l, const config_setting_t *group,
			    const struct conf_opts *base, struct conf_resource *res)
{
	struct pairs p = { .l = l, .res = res, .base = base };
	const config_setting_t *meshes = conf_member(group, "mesh", KEY_LIST);
	const config_setting_t *connections = conf_member(group, "connections", KEY_LIST);

	res->connections = calloc(PAIRS_MAX, sizeof(*res->connections));
	if (!res->connections) {
		conf_error_at(l, group, "resource '%s': out of memory", res->name);
		return;
	}
	for (unsigned i = 0; i < conf_length(meshes); i++)
		mesh_build(&p, conf_elem(meshes, i));
	for (unsigned i = 0; i < conf_length(connections); i++)
		connection_build(&p, conf_elem(connections, i));
	if (!meshes && !connections)
		full_mesh_build(&p);
	for (unsigned i = 0; i < res->connection_count; i++) {
		addresses_fill(&p, &res->connections[i]);
		net_resolve(&p, &res->connections[i]);
	}
}
