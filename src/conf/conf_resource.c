/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Owns the building of a resource: its volumes, nodes, and the volumes of each node. */
#include "conf/conf_int.h"

#include <stdlib.h>
#include <string.h>

#include "base/assert.h"

#define META_INDEX_MAX 1023U
#define WHAT_MAX 400

/* One resource while it is built. */
struct build {
	struct conf_loader *l;
	struct conf_resource *res;
	const struct conf_opts *base;                 /* defaults, common, resource */
	const config_setting_t *volumes[VOLUMES_MAX]; /* same order as res->vnr */
};

static const struct conf_key volume_keys[] = {
	{ "volume", KEY_INT, true },
	{ "disk", KEY_TEXT, false },
	{ "meta-disk", KEY_TEXT | KEY_GROUP, false },
	{ "options", KEY_GROUP, false },
	{ "peer-options", KEY_GROUP, false },
};

/* A number that identifies something; false when absent, or out of range and reported. */
static bool get_id(struct build *b, const config_setting_t *group, const char *key, unsigned max,
		   const char *what, unsigned *out)
{
	const config_setting_t *s = conf_member(group, key, KEY_INT);
	long long v;

	if (!s)
		return false;
	v = config_setting_get_int64(s);
	if (v < 0 || v > max) {
		conf_error_at(b->l, s, "%s: %s %lld is out of range [0..%u]", what, key, v, max);
		return false;
	}
	*out = (unsigned)v;
	return true;
}

/* ---- volumes of the resource ---- */

static bool volume_insert(struct build *b, unsigned vnr, const config_setting_t *group,
			  const char *what)
{
	struct conf_resource *res = b->res;
	unsigned i = 0;

	while (i < res->volume_count && res->vnr[i] < vnr)
		i++;
	if (i < res->volume_count && res->vnr[i] == vnr) {
		conf_error_at(b->l, group, "%s: volume %u is there already, at line %u", what, vnr,
			      config_setting_source_line(b->volumes[i]));
		return false;
	}
	if (res->volume_count == VOLUMES_MAX) {
		conf_error_at(b->l, group, "%s: more than %u volumes", what, VOLUMES_MAX);
		return false;
	}
	memmove(&res->vnr[i + 1], &res->vnr[i], (res->volume_count - i) * sizeof(res->vnr[0]));
	memmove(&b->volumes[i + 1], &b->volumes[i],
		(res->volume_count - i) * sizeof(b->volumes[0]));
	res->vnr[i] = (uint16_t)vnr;
	b->volumes[i] = group;
	res->volume_count++;
	return true;
}

static void volumes_build(struct build *b, const config_setting_t *group)
{
	const config_setting_t *list = conf_member(group, "volumes", KEY_LIST);

	for (unsigned i = 0; i < conf_length(list); i++) {
		const config_setting_t *v = conf_elem(list, i);
		char what[WHAT_MAX];
		unsigned vnr = 0;

		(void)str_format(what, sizeof(what), "resource '%s', volumes", b->res->name);
		if (!conf_keys_check(b->l, v, what, volume_keys, ARRAY_LEN(volume_keys)))
			continue;
		(void)conf_options_check(b->l, conf_member(v, "options", KEY_GROUP), GROUP_DISK,
					 "options of a volume");
		(void)conf_options_check(b->l, conf_member(v, "peer-options", KEY_GROUP),
					 GROUP_DISK, "peer-options of a volume");
		if (get_id(b, v, "volume", VNR_MAX, what, &vnr))
			(void)volume_insert(b, vnr, v, what);
	}
	if (list && !conf_length(list))
		conf_error_at(b->l, list, "resource '%s' has no volumes", b->res->name);
}

/* ---- one volume on one node ---- */

static bool take_path(struct build *b, const config_setting_t *s, const char *what,
		      char out[CONF_PATH_MAX])
{
	const char *path = config_setting_get_string(s);

	if (path[0] != '/') {
		conf_error_at(b->l, s, "%s: \"%.80s\" is not an absolute path", what, path);
		return false;
	}
	if (!str_copy(out, CONF_PATH_MAX, path)) {
		conf_error_at(b->l, s, "%s: path longer than %u bytes", what, CONF_PATH_MAX - 1);
		return false;
	}
	return true;
}

static void take_meta(struct build *b, const config_setting_t *s, const char *what,
		      struct conf_node_volume *out)
{
	static const struct conf_key keys[] = { { "device", KEY_TEXT, true },
						{ "index", KEY_INT, true } };
	char where[WHAT_MAX + 16];

	(void)str_format(where, sizeof(where), "%s, meta-disk", what);
	if (config_setting_is_group(s)) {
		if (!conf_keys_check(b->l, s, where, keys, ARRAY_LEN(keys)) ||
		    !get_id(b, s, "index", META_INDEX_MAX, where, &out->meta_index) ||
		    !take_path(b, conf_member(s, "device", KEY_TEXT), where, out->meta_device))
			return;
		out->meta = CONF_META_INDEXED;
		return;
	}
	if (str_eq(config_setting_get_string(s), "internal"))
		return;
	if (take_path(b, s, where, out->meta_device))
		out->meta = CONF_META_FLEXIBLE;
}

/* The override of volume `vnr` in a node, NULL if the node says nothing about it. */
static const config_setting_t *override_find(const config_setting_t *node, unsigned vnr)
{
	const config_setting_t *list = conf_member(node, "volumes", KEY_LIST);

	for (unsigned i = 0; i < conf_length(list); i++) {
		const config_setting_t *s = conf_member(conf_elem(list, i), "volume", KEY_INT);

		if (s && config_setting_get_int64(s) == vnr)
			return conf_elem(list, i);
	}
	return NULL;
}

static bool is_diskless(const config_setting_t *node)
{
	const config_setting_t *s = conf_member(node, "diskless", KEY_BOOL);

	return s && config_setting_get_bool(s);
}

static void node_volume_build(struct build *b, const config_setting_t *node, unsigned idx,
			      const char *node_what, struct conf_node_volume *out)
{
	const config_setting_t *base = b->volumes[idx];
	const config_setting_t *over = override_find(node, b->res->vnr[idx]);
	const config_setting_t *disk = conf_member(over, "disk", KEY_TEXT);
	const config_setting_t *meta = conf_member(over, "meta-disk", KEY_TEXT | KEY_GROUP);
	struct conf_opts opts = *b->base;
	char what[WHAT_MAX];

	(void)str_format(what, sizeof(what), "%s, volume %u", node_what, b->res->vnr[idx]);
	if (!disk)
		disk = conf_member(base, "disk", KEY_TEXT);
	if (!meta)
		meta = conf_member(base, "meta-disk", KEY_TEXT | KEY_GROUP);
	if (!is_diskless(node) && !disk) {
		conf_error_at(b->l, over ? over : base,
			      "%s: 'disk' is missing (a path or \"none\")", what);
	} else if (!is_diskless(node) && !str_eq(config_setting_get_string(disk), "none")) {
		out->options.has_disk = take_path(b, disk, what, out->disk);
		out->line = config_setting_source_line(disk);
		if (meta)
			take_meta(b, meta, what, out);
	}
	conf_options_apply(conf_member(base, "options", KEY_GROUP), GROUP_DISK, &opts);
	conf_options_apply(conf_member(base, "peer-options", KEY_GROUP), GROUP_DISK, &opts);
	conf_options_apply(conf_member(over, "options", KEY_GROUP), GROUP_DISK, &opts);
	opts.disk.has_disk = out->options.has_disk;
	out->options = opts.disk;
}

/* ---- nodes ---- */

static void overrides_check(struct build *b, const config_setting_t *node, const char *what)
{
	const config_setting_t *list = conf_member(node, "volumes", KEY_LIST);

	for (unsigned i = 0; i < conf_length(list); i++) {
		const config_setting_t *v = conf_elem(list, i);
		bool known = false;
		unsigned vnr = 0;

		/* Without peer-options: those belong to the volume as a whole. */
		if (!conf_keys_check(b->l, v, what, volume_keys, ARRAY_LEN(volume_keys) - 1))
			continue;
		(void)conf_options_check(b->l, conf_member(v, "options", KEY_GROUP), GROUP_DISK,
					 "options of a volume of a node");
		if (!get_id(b, v, "volume", VNR_MAX, what, &vnr))
			continue;
		for (unsigned j = 0; j < b->res->volume_count; j++)
			known |= b->res->vnr[j] == vnr;
		if (!known)
			conf_error_at(b->l, v, "%s: the resource has no volume %u", what, vnr);
		if (override_find(node, vnr) != v)
			conf_error_at(b->l, v, "%s: volume %u is there already", what, vnr);
	}
}

static void node_build(struct build *b, const config_setting_t *group, struct conf_node *node)
{
	static const struct conf_key keys[] = {
		{ "name", KEY_TEXT, true },	{ "node-id", KEY_INT, true },
		{ "address", KEY_TEXT, false }, { "volumes", KEY_LIST, false },
		{ "diskless", KEY_BOOL, false }, { "tls-fingerprint", KEY_TEXT, false },
	};
	const char *name = conf_text(group, "name");
	const char *address = conf_text(group, "address");
	const char *fingerprint = conf_text(group, "tls-fingerprint");
	struct err err = ERR_INIT;
	char what[WHAT_MAX];
	unsigned id = CONF_ID_NONE;

	(void)str_format(what, sizeof(what), "resource '%s', node '%.127s'", b->res->name,
			 name ? name : "?");
	node->node_id = CONF_ID_NONE;
	node->line = config_setting_source_line(group);
	if (!conf_keys_check(b->l, group, what, keys, ARRAY_LEN(keys)))
		return;
	if (name_problem(name))
		conf_error_at(b->l, group, "%s: the name %s", what, name_problem(name));
	else
		(void)str_copy(node->name, sizeof(node->name), name);
	if (address && conf_addr_parse(address, &node->address, &err))
		conf_error_at(b->l, conf_member(group, "address", KEY_TEXT), "%s: %s", what,
			      err.text);
	node->has_fingerprint = fingerprint != NULL;
	if (fingerprint && !conf_fingerprint_parse(fingerprint, node->fingerprint))
		conf_error_at(b->l, conf_member(group, "tls-fingerprint", KEY_TEXT),
			      "%s: tls-fingerprint: not 64 hexadecimal digits (SHA-256 of the "
			      "public key)", what);
	overrides_check(b, group, what);
	for (unsigned i = 0; i < b->res->volume_count; i++)
		node_volume_build(b, group, i, what, &node->volumes[i]);
	if (get_id(b, group, "node-id", NODES_MAX - 1, what, &id))
		node->node_id = (uint8_t)id;
}

static int node_order(const void *a, const void *b)
{
	const struct conf_node *x = a, *y = b;

	return (int)x->node_id - (int)y->node_id;
}

/* Nodes are sorted by id. Ids and names must be unique before connections can refer to them. */
static void nodes_unique(struct build *b)
{
	const struct conf_resource *res = b->res;

	for (unsigned i = 0; i < res->node_count; i++) {
		const struct conf_node *x = &res->nodes[i];

		for (unsigned j = i + 1; j < res->node_count; j++) {
			const struct conf_node *y = &res->nodes[j];
			const struct conf_node *first = x->line <= y->line ? x : y;
			const struct conf_node *second = first == x ? y : x;

			if (x->name[0] && str_eq(x->name, y->name))
				conf_message_add(b->l->messages, false, res->file, second->line,
						 "resource '%s': node '%s' is there already, at "
						 "line %u", res->name, x->name, first->line);
			else if (x->node_id != CONF_ID_NONE && x->node_id == y->node_id)
				conf_message_add(b->l->messages, false, res->file, second->line,
						 "resource '%s', node '%s': node-id %u is that of "
						 "'%s', line %u", res->name, second->name,
						 x->node_id, first->name, first->line);
		}
	}
}

static void nodes_build(struct build *b, const config_setting_t *group)
{
	const config_setting_t *list = conf_member(group, "nodes", KEY_LIST);
	struct conf_resource *res = b->res;
	unsigned n = conf_length(list);

	if (n > NODES_MAX) {
		conf_error_at(b->l, list, "resource '%s' has more than %u nodes", res->name,
			      NODES_MAX);
		n = NODES_MAX;
	}
	if (list && !n)
		conf_error_at(b->l, list, "resource '%s' has no nodes", res->name);
	res->nodes = calloc(n ? n : 1, sizeof(*res->nodes));
	for (unsigned i = 0; res->nodes && i < n; i++) {
		struct conf_node *node = &res->nodes[i];

		node->volumes = calloc(res->volume_count ? res->volume_count : 1,
				       sizeof(*node->volumes));
		if (!node->volumes)
			break;
		res->node_count++;
		node_build(b, conf_elem(list, i), node);
	}
	if (res->node_count != n)
		conf_error_at(b->l, list, "resource '%s': out of memory", res->name);
	else if (n)
		qsort(res->nodes, n, sizeof(*res->nodes), node_order);
	nodes_unique(b);
}

/* ---- the resource ---- */

static bool name_take(struct conf_loader *l, const config_setting_t *group,
		      struct conf_resource *res)
{
	const char *name = conf_text(group, "name");
	const char *problem = name_problem(name);

	/* "RES@VOL" names a file, "RES:PEER" a connection, "all" every resource. */
	if (!problem && strpbrk(name, "@:"))
		problem = "contains '@' or ':'";
	if (!problem && str_eq(name, "all"))
		problem = "means every resource";
	if (problem) {
		conf_error_at(l, conf_member(group, "name", KEY_TEXT),
			      "resource '%.80s': the name %s", name, problem);
		return false;
	}
	return str_copy(res->name, sizeof(res->name), name);
}

void conf_resource_build(struct conf_loader *l, const config_setting_t *group,
			 const struct conf_opts *base, struct conf_resource *res)
{
	static const struct conf_key keys[] = {
		{ "name", KEY_TEXT, true },	{ "volumes", KEY_LIST, true },
		{ "nodes", KEY_LIST, true },	{ "connections", KEY_LIST, false },
		{ "mesh", KEY_LIST, false },	{ "options", KEY_GROUP, false },
		{ "net", KEY_GROUP, false },	{ "disk", KEY_GROUP, false },
		{ "handlers", KEY_GROUP, false },
	};
	const char *name = conf_text(group, "name");
	struct conf_opts opts = *base;
	struct build b = { .l = l, .res = res, .base = &opts };
	unsigned errors_before;
	char what[WHAT_MAX];

	(void)str_copy(res->file, sizeof(res->file), conf_setting_file(group));
	res->line = config_setting_source_line(group);
	(void)str_format(what, sizeof(what), "resource '%.127s'", name ? name : "?");
	(void)conf_keys_check(l, group, what, keys, ARRAY_LEN(keys));
	if (!name || !name_take(l, group, res))
		return;
	for (int g = GROUP_NET; g <= GROUP_OPTIONS; g++) {
		const config_setting_t *s =
			conf_member(group, conf_group_name((enum conf_group)g), KEY_GROUP);

		(void)str_format(what, sizeof(what), "resource '%s', %s", name,
				 conf_group_name((enum conf_group)g));
		(void)conf_options_check(l, s, (enum conf_group)g, what);
		conf_options_apply(s, (enum conf_group)g, &opts);
	}
	res->options = opts.res;
	(void)str_format(what, sizeof(what), "resource '%s', handlers", name);
	conf_handlers_check(l, conf_member(group, "handlers", KEY_GROUP), what);
	conf_handlers_take(l, conf_member(group, "handlers", KEY_GROUP), res);
	volumes_build(&b, group);
	errors_before = l->messages->error_count;
	nodes_build(&b, group);
	/* Connections refer to nodes; messages about them would only be echoes of earlier ones. */
	if (res->node_count && l->messages->error_count == errors_before)
		conf_connections_build(l, group, &opts, res);
}

void conf_resource_free(struct conf_resource *res)
{
	for (unsigned i = 0; i < res->node_count; i++)
		free(res->nodes[i].volumes);
	free(res->nodes);
	free(res->connections);
	for (unsigned i = 0; i < HANDLER_COUNT; i++)
		free(res->handlers[i].command);
	memset(res, 0, sizeof(*res));
}
