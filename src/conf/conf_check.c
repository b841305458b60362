/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Owns the rules between parts of the model, and those that need the machine the node runs on. */
#include "conf/conf_int.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/str.h"

#define DS_PER_S 10U

/* ---- addresses ---- */

/* One use of an address by a node of a resource. */
struct address_use {
	const struct conf_resource *res;
	const struct conf_node *node;
	const struct conf_addr *addr;
	unsigned line;
	unsigned order;
};

struct address_uses {
	unsigned count, room;
	struct address_use *use; /* NULL while they are only counted */
};

static void address_use_add(struct address_uses *u, const struct conf_resource *res,
			    const struct conf_node *node, const struct conf_addr *addr,
			    unsigned line)
{
	if (!addr->len)
		return;
	if (u->use) {
		ASSERT(u->count < u->room);
		u->use[u->count] = (struct address_use){ .res = res, .node = node, .addr = addr,
							 .line = line, .order = u->count };
	}
	u->count++;
}

static void address_uses_collect(const struct conf *conf, struct address_uses *u)
{
	u->count = 0;
	for (unsigned r = 0; r < conf->resource_count; r++) {
		const struct conf_resource *res = &conf->resources[r];

		for (unsigned i = 0; i < res->node_count; i++)
			address_use_add(u, res, &res->nodes[i], &res->nodes[i].address,
					res->nodes[i].line);
		for (unsigned i = 0; i < res->connection_count; i++) {
			const struct conf_connection *c = &res->connections[i];

			for (unsigned k = 0; k < 2 * c->path_count; k++)
				address_use_add(u, res, conf_node_by_id(res, c->node_id[k & 1]),
						&c->paths[k / 2].addr[k & 1], c->line);
		}
	}
}

static int address_use_order(const void *a, const void *b)
{
	const struct address_use *x = a, *y = b;
	int rc = strcmp(x->addr->text, y->addr->text);

	if (rc)
		return rc;
	return x->order < y->order ? -1 : x->order > y->order;
}

/* One message for each further node that uses an address; a node may use its own often. */
static void addresses_check(const struct conf *conf, struct conf_messages *m)
{
	struct address_uses u = { 0 };
	const struct address_use *first = NULL, *reported = NULL;

	address_uses_collect(conf, &u);
	u.room = u.count;
	u.use = calloc(u.room ? u.room : 1, sizeof(*u.use));
	if (!u.use) {
		conf_message_add(m, false, conf->file, 0, "out of memory");
		return;
	}
	address_uses_collect(conf, &u);
	qsort(u.use, u.count, sizeof(*u.use), address_use_order);
	for (unsigned i = 0; i < u.count; i++) {
		const struct address_use *b = &u.use[i];

		if (!first || !str_eq(first->addr->text, b->addr->text)) {
			first = reported = b;
			continue;
		}
		if (b->node == first->node || b->node == reported->node)
			continue;
		reported = b;
		conf_message_add(m, false, b->res->file, b->line,
				 "resource '%s', node '%s': address %s is also used by node '%s' "
				 "of resource '%s', %s:%u",
				 b->res->name, b->node->name, b->addr->text, first->node->name,
				 first->res->name, first->res->file, first->line);
	}
	free(u.use);
}

/* ---- backing stores ---- */

/* One use of a backing store or metadata device on a node. */
struct store_use {
	const struct conf_resource *res;
	const struct conf_node_volume *volume;
	unsigned vnr;
	bool is_meta;
	const char *path;
};

/* Number n of a node: data of volume n/2, or its metadata device. False behind the last. */
static bool store_use_get(const struct conf_resource *res, const struct conf_node *node, unsigned n,
			  struct store_use *use)
{
	if (n / 2 >= res->volume_count)
		return false;
	use->res = res;
	use->volume = &node->volumes[n / 2];
	use->vnr = res->vnr[n / 2];
	use->is_meta = n & 1;
	use->path = use->is_meta ? use->volume->meta_device : use->volume->disk;
	return true;
}

static bool stores_clash(const struct store_use *a, const struct store_use *b)
{
	bool both_indexed = a->is_meta && b->is_meta && a->volume->meta == CONF_META_INDEXED &&
			    b->volume->meta == CONF_META_INDEXED;

	return !both_indexed || a->volume->meta_index == b->volume->meta_index;
}

static const char *store_kind(const struct store_use *use)
{
	return use->is_meta ? "meta-disk" : "disk";
}

static void store_clash_report(const struct store_use *a, const struct store_use *b,
			       const char *node, struct conf_messages *m)
{
	conf_message_add(m, false, b->res->file, b->volume->line,
			 "resource '%s', node '%s', volume %u: %s %s is also used as %s of volume "
			 "%u of resource '%s'%s%s, %s:%u",
			 b->res->name, node, b->vnr, store_kind(b), b->path, store_kind(a), a->vnr,
			 a->res->name, str_eq(a->path, b->path) ? "" : " under the name ",
			 str_eq(a->path, b->path) ? "" : a->path, a->res->file, a->volume->line);
}

typedef bool stores_same_fn(const char *a, const char *b);

static bool same_name(const char *a, const char *b)
{
	return str_eq(a, b);
}

/* Other names of one file, by hard link, symbolic link or device node. Equal names do not count. */
static bool same_object(const char *a, const char *b)
{
	struct stat x, y;

	if (str_eq(a, b) || stat(a, &x) || stat(b, &y))
		return false;
	if (S_ISBLK(x.st_mode) && S_ISBLK(y.st_mode))
		return x.st_rdev == y.st_rdev;
	return x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

/* Compares one use with all that come before it on the node of that name. */
static void store_compare(const struct conf *conf, unsigned r, unsigned n, const char *node,
			  const struct store_use *use, stores_same_fn *same,
			  struct conf_messages *m)
{
	for (unsigned q = 0; q <= r; q++) {
		const struct conf_resource *res = &conf->resources[q];
		const struct conf_node *there = conf_node_find(res, node);
		struct store_use other;

		for (unsigned k = 0; there && (q < r || k < n) &&
				     store_use_get(res, there, k, &other); k++) {
			if (other.path[0] && same(other.path, use->path) &&
			    stores_clash(&other, use))
				store_clash_report(&other, use, node, m);
		}
	}
}

static void stores_check(const struct conf *conf, unsigned r, const struct conf_node *node,
			 stores_same_fn *same, struct conf_messages *m)
{
	struct store_use use;

	for (unsigned n = 0; store_use_get(&conf->resources[r], node, n, &use); n++) {
		if (use.path[0])
			store_compare(conf, r, n, node->name, &use, same, m);
	}
}

/* ---- authentication and timeouts ---- */

static void connection_check(const struct conf *conf, const struct conf_resource *res,
			     const struct conf_connection *c, bool *authenticated,
			     struct conf_messages *m)
{
	const struct core_net_conf *net = &c->net;
	const char *a = conf_node_by_id(res, c->node_id[0])->name;
	const char *b = conf_node_by_id(res, c->node_id[1])->name;

	*authenticated |= net->cram_hmac_alg[0] != '\0';
	if (net->cram_hmac_alg[0] && !net->shared_secret[0] && !conf->secret_file[0])
		conf_message_add(m, false, res->file, c->line,
				 "resource '%s', connection '%s'-'%s': cram-hmac-alg needs a "
				 "shared-secret (or security.secret-file)",
				 res->name, a, b);
	if (!net->cram_hmac_alg[0] && net->shared_secret[0])
		conf_message_add(m, false, res->file, c->line,
				 "resource '%s', connection '%s'-'%s': shared-secret without "
				 "cram-hmac-alg would not authenticate anybody",
				 res->name, a, b);
	if (net->two_primaries && net->protocol != PROTOCOL_C)
		conf_message_add(m, false, res->file, c->line,
				 "resource '%s', connection '%s'-'%s': allow-two-primaries needs "
				 "protocol C", res->name, a, b);
	if (net->fencing != FENCING_DONT_CARE && !res->handlers[HANDLER_FENCE_PEER].command)
		conf_message_add(m, false, res->file, c->line,
				 "resource '%s', connection '%s'-'%s': fencing needs a handler "
				 "fence-peer: nobody would ever be fenced", res->name, a, b);
	if (net->fencing == FENCING_STONITH && net->protocol == PROTOCOL_A)
		conf_message_add(m, false, res->file, c->line,
				 "resource '%s', connection '%s'-'%s': fencing "
				 "resource-and-stonith does not go with protocol A", res->name, a,
				 b);
	if (net->ping_timeout_ds > net->ping_int_s * DS_PER_S)
		conf_message_add(m, true, res->file, c->line,
				 "resource '%s', connection '%s'-'%s': ping-timeout is longer "
				 "than ping-int", res->name, a, b);
}

/* ---- resync-after ---- */

/* A volume, by its place in the resource. */
struct volume_at {
	const struct conf_resource *res;
	unsigned v;
};

/* What it comes after on that node; false: nothing, or there is no such volume. */
static bool volume_before(const struct conf *conf, const struct volume_at *at, const char *node,
			  struct volume_at *out)
{
	const struct conf_node *n = conf_node_find(at->res, node);
	char name[NAME_MAX_BYTES];
	uint16_t vnr;

	if (!n || !conf_volume_ref(n->volumes[at->v].options.resync_after, name, &vnr))
		return false;
	out->res = conf_resource_find(conf, name);
	for (out->v = 0; out->res && out->v < out->res->volume_count; out->v++) {
		if (out->res->vnr[out->v] == vnr)
			return true;
	}
	return false;
}

/* Told at one of its volumes, the one that stands first in memory. */
static void circle_check(const struct conf *conf, const struct volume_at *first,
			 const struct conf_node *node, struct conf_messages *m)
{
	unsigned steps = conf->resource_count * VOLUMES_MAX;
	struct volume_at at = *first, next;
	char chain[ERR_TEXT_MAX / 2];

	(void)str_format(chain, sizeof(chain), "%s/%u", at.res->name, at.res->vnr[at.v]);
	while (steps-- && volume_before(conf, &at, node->name, &next)) {
		(void)str_append(chain, sizeof(chain), " after %s/%u", next.res->name,
				 next.res->vnr[next.v]);
		if (next.res == first->res && next.v == first->v) {
			conf_message_add(m, false, first->res->file,
					 node->volumes[first->v].line,
					 "resource '%s', node '%s', volume %u: resync-after goes "
					 "in a circle, none would ever begin: %s; take it away "
					 "from one of them",
					 first->res->name, node->name, first->res->vnr[first->v],
					 chain);
			return;
		}
		if (next.res < first->res || (next.res == first->res && next.v < first->v))
			return;
		at = next;
	}
}

static void resync_after_check(const struct conf *conf, const struct conf_resource *res,
			       const struct conf_node *node, struct conf_messages *m)
{
	for (unsigned v = 0; v < res->volume_count; v++) {
		const struct conf_node_volume *volume = &node->volumes[v];
		struct volume_at at = { res, v }, before;

		if (!volume->options.resync_after[0])
			continue;
		if (volume_before(conf, &at, node->name, &before))
			circle_check(conf, &at, node, m);
		else
			conf_message_add(m, false, res->file, volume->line,
					 "resource '%s', node '%s', volume %u: resync-after: there "
					 "is no volume '%s'", res->name, node->name, res->vnr[v],
					 volume->options.resync_after);
	}
}

/* ---- all of it ---- */

static void name_unique(const struct conf *conf, unsigned r, struct conf_messages *m)
{
	const struct conf_resource *res = &conf->resources[r];

	for (unsigned q = 0; q < r; q++) {
		const struct conf_resource *first = &conf->resources[q];

		if (res->name[0] && str_eq(res->name, first->name)) {
			conf_message_add(m, false, res->file, res->line,
					 "resource '%s' is there already, at %s:%u", res->name,
					 first->file, first->line);
			return;
		}
	}
}

void conf_model_check(const struct conf *conf, struct conf_messages *m)
{
	bool authenticated = false;

	addresses_check(conf, m);
	for (unsigned r = 0; r < conf->resource_count; r++) {
		const struct conf_resource *res = &conf->resources[r];

		name_unique(conf, r, m);
		for (unsigned i = 0; i < res->node_count; i++) {
			stores_check(conf, r, &res->nodes[i], same_name, m);
			resync_after_check(conf, res, &res->nodes[i], m);
		}
		for (unsigned i = 0; i < res->connection_count; i++)
			connection_check(conf, res, &res->connections[i], &authenticated, m);
	}
	if (conf->secret_file[0] && !authenticated && !m->error_count)
		conf_message_add(m, false, conf->file, 0,
				 "security.secret-file is given, but no connection has a "
				 "cram-hmac-alg: nobody would be authenticated");
	conf_tls_check(conf, m);
}

static void store_exists(const struct conf_resource *res, const struct conf_node *node,
			 const struct store_use *use, struct conf_messages *m)
{
	const char *why = NULL;
	struct stat st;

	if (stat(use->path, &st))
		why = strerrordesc_np(errno);
	else if (!S_ISREG(st.st_mode) && !S_ISBLK(st.st_mode))
		why = "neither a regular file nor a block device";
	if (why)
		conf_message_add(m, false, res->file, use->volume->line,
				 "resource '%s', node '%s', volume %u: %s %s: %s", res->name,
				 node->name, use->vnr, store_kind(use), use->path, why);
}

/* Takes the first line of the secret-file, without its end. */
static void secret_read(struct conf *conf, struct conf_messages *m)
{
	char buf[SHARED_SECRET_MAX + 2];
	int fd = open(conf->secret_file, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	ssize_t n = fd < 0 ? -1 : read(fd, buf, sizeof(buf) - 1);
	int error = errno;
	struct stat st;

	if (n < 0) {
		conf_message_add(m, false, conf->secret_file, 0,
				 "cannot read the secret-file: %s; the user that runs drbdfs needs "
				 "a file with mode 600 of its own", strerror(error));
	} else {
		buf[n] = '\0';
		buf[strcspn(buf, "\r\n")] = '\0';
		if (!buf[0] || !str_copy(conf->secret, sizeof(conf->secret), buf))
			conf_message_add(m, false, conf->secret_file, 0,
					 "the secret-file must hold one line of 1 to %d bytes",
					 SHARED_SECRET_MAX - 1);
		if (!fstat(fd, &st) && st.st_mode & (S_IRWXG | S_IRWXO))
			conf_message_add(m, true, conf->secret_file, 0,
					 "the secret-file is accessible to others; chmod 600 it");
	}
	if (fd >= 0)
		(void)close(fd);
}

bool conf_check_node(struct conf *conf, const char *node, struct conf_messages *messages)
{
	unsigned errors_before = messages->error_count;

	if (conf->secret_file[0])
		secret_read(conf, messages);
	conf_tls_check_node(conf, node, messages);
	for (unsigned r = 0; r < conf->resource_count; r++) {
		const struct conf_resource *res = &conf->resources[r];
		const struct conf_node *self = conf_node_find(res, node);
		struct store_use use;

		if (!self)
			continue;
		for (unsigned n = 0; store_use_get(res, self, n, &use); n++) {
			if (use.path[0])
				store_exists(res, self, &use, messages);
		}
		stores_check(conf, r, self, same_object, messages);
	}
	return messages->error_count == errors_before;
}
