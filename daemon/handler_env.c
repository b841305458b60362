/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the operator's programs are told. The variables are those of drbdadm and the kernel; there
 * are no minors here. A handler that is about one volume gets that one, not a list.
 */
#include "handler_env.h"

#include <inttypes.h>
#include <netdb.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "shard_int.h"

#define VARIABLES_MAX (2 * NODES_MAX + 2 * VOLUMES_MAX + 32)
#define VALUE_MAX 4096

struct handler_peer {
	uint8_t node_id;
	char own[64], peer[64]; /* addresses of the first path, "" = none */
	bool own_v6, peer_v6;
};

struct handler_set {
	char *command[HANDLER_COUNT];
	uint32_t timeout_s;
	char file[CONF_PATH_MAX]; /* the configuration */
	char name[NAME_MAX_BYTES];
	uint8_t own_node_id;
	unsigned node_count, peer_count;
	struct {
		uint8_t id;
		char name[NAME_MAX_BYTES];
	} node[NODES_MAX];
	struct handler_peer peer[NODES_MAX];
};

struct handler_env {
	unsigned count;
	bool failed;
	char *list[VARIABLES_MAX + 1];
};

/* ---- the set ---- */

static void address_of(const struct conf_addr *addr, char out[64], bool *v6)
{
	*v6 = addr->ss.ss_family == AF_INET6;
	if (getnameinfo((const struct sockaddr *)&addr->ss, addr->len, out, 64, NULL, 0,
			NI_NUMERICHOST))
		out[0] = '\0';
}

static void fill_peer(const struct conf_resource *res, uint8_t own, uint8_t peer,
		      struct handler_peer *out)
{
	struct conf_peer_path paths[CONF_PATHS_MAX];

	out->node_id = peer;
	if (!conf_peer_paths(res, own, peer, paths))
		return;
	address_of(&paths[0].local, out->own, &out->own_v6);
	address_of(&paths[0].remote, out->peer, &out->peer_v6);
}

struct handler_set *handler_set_new(const struct conf *conf, const struct conf_resource *res,
				    uint8_t own_node_id)
{
	struct handler_set *set = calloc(1, sizeof(*set));

	if (!set)
		return NULL;
	for (unsigned i = 0; i < HANDLER_COUNT; i++) {
		if (!res->handlers[i].command)
			continue;
		set->command[i] = strdup(res->handlers[i].command);
		if (!set->command[i]) {
			handler_set_free(set);
			return NULL;
		}
	}
	set->timeout_s = res->options.handler_timeout_s;
	set->own_node_id = own_node_id;
	str_copy(set->file, sizeof(set->file), conf->file);
	str_copy(set->name, sizeof(set->name), res->name);
	for (unsigned i = 0; i < res->node_count; i++) {
		uint8_t id = res->nodes[i].node_id;

		set->node[i].id = id;
		str_copy(set->node[i].name, NAME_MAX_BYTES, res->nodes[i].name);
		if (id != own_node_id && conf_connection_find(res, own_node_id, id))
			fill_peer(res, own_node_id, id, &set->peer[set->peer_count++]);
	}
	set->node_count = res->node_count;
	return set;
}

void handler_set_free(struct handler_set *set)
{
	if (!set)
		return;
	for (unsigned i = 0; i < HANDLER_COUNT; i++)
		free(set->command[i]);
	free(set);
}

const char *handler_set_command(const struct handler_set *set, enum handler what)
{
	return set->command[what];
}

uint32_t handler_set_timeout_s(const struct handler_set *set)
{
	return set->timeout_s;
}

/* ---- the environment of one call ---- */

static void put(struct handler_env *env, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

static void put(struct handler_env *env, const char *fmt, ...)
{
	va_list ap;

	if (env->failed || env->count == VARIABLES_MAX) {
		env->failed = true;
		return;
	}
	va_start(ap, fmt);
	if (vasprintf(&env->list[env->count], fmt, ap) < 0) {
		env->list[env->count] = NULL;
		env->failed = true;
	} else {
		env->count++;
	}
	va_end(ap);
}

static const char *disk_of(const struct volume *vol)
{
	return vol->has_disk ? vol->disk_path : "none";
}

/* All of them, separated by blanks. */
static void put_lists(struct handler_env *env, struct resource *res, const char *suffix)
{
	char numbers[VALUE_MAX] = "", disks[VALUE_MAX * 4] = "";
	const char *blank = "";

	FOR_EACH_VOLUME(res, vol) {
		str_append(numbers, sizeof(numbers), "%s%u", blank, vol->vnr);
		str_append(disks, sizeof(disks), "%s%s", blank, disk_of(vol));
		blank = " ";
	}
	put(env, "DRBD_VOLUME%s=%s", suffix, numbers);
	put(env, "DRBD_LL_DISK%s=%s", suffix, disks);
}

static void put_volumes(struct handler_env *env, struct resource *res, uint32_t vnr)
{
	const struct volume *one = vnr == VNR_NONE ? NULL : resource_volume(res, (uint16_t)vnr);

	if (!one) {
		put_lists(env, res, "");
		FOR_EACH_VOLUME(res, vol) {
			if (vol->has_disk)
				put(env, "DRBD_BACKING_DEV_%u=%s", vol->vnr, vol->disk_path);
		}
		return;
	}
	put(env, "DRBD_VOLUME=%u", one->vnr);
	put(env, "DRBD_LL_DISK=%s", disk_of(one));
	if (one->has_disk)
		put(env, "DRBD_BACKING_DEV=%s", one->disk_path);
	put_lists(env, res, "S");
}

static void put_nodes(struct handler_env *env, const struct handler_set *set, uint8_t peer)
{
	put(env, "DRBD_MY_NODE_ID=%u", set->own_node_id);
	for (unsigned i = 0; i < set->node_count; i++) {
		put(env, "DRBD_NODE_ID_%u=%s", set->node[i].id, set->node[i].name);
		if (set->node[i].id != peer)
			continue;
		put(env, "DRBD_PEER=%s", set->node[i].name);
		put(env, "DRBD_PEERS=%s", set->node[i].name);
	}
}

static void put_peer(struct handler_env *env, const struct handler_set *set,
		     const struct ac_handler *call)
{
	put(env, "DRBD_PEER_NODE_ID=%u", call->peer);
	put(env, "DRBD_CSTATE=%s", conn_state_name(call->conn));
	for (unsigned i = 0; i < set->peer_count; i++) {
		const struct handler_peer *p = &set->peer[i];

		if (p->node_id != call->peer || !p->own[0])
			continue;
		put(env, "DRBD_MY_ADDRESS=%s", p->own);
		put(env, "DRBD_MY_AF=%s", p->own_v6 ? "ipv6" : "ipv4");
		put(env, "DRBD_PEER_ADDRESS=%s", p->peer);
		put(env, "DRBD_PEER_AF=%s", p->peer_v6 ? "ipv6" : "ipv4");
	}
}

struct handler_env *handler_env_new(const struct handler_set *set, struct resource *res,
				    const struct ac_handler *call)
{
	struct handler_env *env = calloc(1, sizeof(*env));

	if (!env)
		return NULL;
	put(env, "HOME=/");
	put(env, "TERM=linux");
	put(env, "PATH=/sbin:/usr/sbin:/bin:/usr/bin");
	put(env, "DRBD_CONF=%s", set->file);
	put(env, "DRBD_RESOURCE=%s", set->name);
	put_nodes(env, set, call->peer);
	put_volumes(env, res, call->vnr);
	if (call->peer < NODES_MAX)
		put_peer(env, set, call);
	if (call->what == HANDLER_FENCE_PEER || call->what == HANDLER_UNFENCE_PEER)
		put(env, "UP_TO_DATE_NODES=0x%08" PRIX64, call->up_to_date & UINT32_MAX);
	if (!env->failed)
		return env;
	handler_env_free(env);
	return NULL;
}

char *const *handler_env_list(const struct handler_env *env)
{
	return env->list;
}

void handler_env_free(struct handler_env *env)
{
	if (!env)
		return;
	for (unsigned i = 0; i < env->count; i++)
		free(env->list[i]);
	free(env);
}
