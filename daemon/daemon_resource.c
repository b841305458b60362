/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the control interface asks of resources: up,
 * down, adjust, commands. The control thread only. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/str.h"
#include "daemon_int.h"
#include "net/net.h"

struct conf_ref *conf_ref_new(struct conf *conf)
{
	struct conf_ref *ref = calloc(1, sizeof(*ref));

	if (!ref)
		return NULL;
	ref->conf = conf;
	ref->user_count = 1;
	return ref;
}

void conf_ref_put(struct conf_ref *ref)
{
	if (!ref || --ref->user_count > 0)
		return;
	conf_free(ref->conf);
	free(ref);
}

struct daemon_resource *daemon_resource_find(struct daemon *d, const char *name)
{
	LIST_FOR_EACH(it, &d->running) {
		struct daemon_resource *r = LIST_ENTRY(it, struct daemon_resource, link);

		if (str_eq(r->name, name))
			return r;
	}
	return NULL;
}

const struct conf_node *daemon_node_in(const struct daemon_options *options,
				       const struct conf_resource *res)
{
	const struct conf_node *node = conf_node_find(res, options->node);

	return node && options->arbiter && conf_node_has_disk(res, node) ? NULL : node;
}

/* As the latest configuration has it for this node; NULL: not at all. */
static const struct conf_resource *configured(const struct daemon *d, const char *name)
{
	const struct conf_resource *res = conf_resource_find(d->conf->conf, name);

	return res && daemon_node_in(&d->options, res) ? res : NULL;
}

static void forget(struct daemon *d, const char *name)
{
	struct daemon_resource *r = daemon_resource_find(d, name);

	if (!r)
		return;
	list_del(&r->link);
	conf_ref_put(r->conf);
	free(r);
}

/* An operation that ends with `done`, after the books of the daemon were brought up to date. */
struct operation {
	struct daemon *d;
	char name[NAME_MAX_BYTES];
	control_done done;
	void *ctx;
};

static struct operation *operation_new(struct daemon *d, const char *name, control_done done,
				       void *ctx)
{
	struct operation *op = calloc(1, sizeof(*op));

	if (!op)
		return NULL;
	op->d = d;
	str_copy(op->name, sizeof(op->name), name);
	op->done = done;
	op->ctx = ctx;
	return op;
}

/* What is published is up: a failed up or a successful down leaves nothing published. */
static void operation_done(void *ctx, int rc, const char *text)
{
	struct operation *op = ctx;

	if (!daemon_is_published(op->d, op->name))
		forget(op->d, op->name);
	op->done(op->ctx, rc, text);
	free(op);
}

int daemon_resource_up(struct daemon *d, const struct conf_resource *res, control_done done,
		       void *ctx)
{
	const struct conf_node *node = daemon_node_in(&d->options, res);
	struct daemon_resource *r;
	struct operation *op;
	int rc;

	if (!node)
		return -ENOENT;
	op = operation_new(d, res->name, done, ctx);
	if (!op)
		return -ENOMEM;
	if (daemon_resource_find(d, res->name)) {
		rc = shard_complete(d->shard, res->name, operation_done, op);
		if (rc)
			free(op);
		return rc;
	}
	r = calloc(1, sizeof(*r));
	rc = r ? shard_up(d->shard, d->conf->conf, res, node->node_id, operation_done, op) :
		 -ENOMEM;
	if (rc) {
		free(r);
		free(op);
		return rc;
	}
	list_init(&r->link);
	str_copy(r->name, sizeof(r->name), res->name);
	r->conf = d->conf;
	r->conf->user_count++;
	list_push_back(&d->running, &r->link);
	return 0;
}

int daemon_resource_down(struct daemon *d, const char *name, bool force, control_done done,
			 void *ctx)
{
	struct operation *op = operation_new(d, name, done, ctx);
	int rc;

	if (!op)
		return -ENOMEM;
	rc = shard_down(d->shard, name, force, operation_done, op);
	if (rc)
		free(op);
	return rc;
}

/* ---- control.h ---- */

int daemon_command(struct daemon *d, const char *resource, const struct ev_command *cmd,
		   control_done done, void *ctx)
{
	if (!daemon_resource_find(d, resource))
		return -ENOENT;
	if (d->options.arbiter && cmd->cmd == CMD_PRIMARY) {
		daemon_reply_later(done, ctx, d, SS_NOT_SUPPORTED,
				   "this is an arbiter, which never becomes Primary");
		return 0;
	}
	return shard_command(d->shard, resource, cmd, done, ctx);
}

int daemon_up(struct daemon *d, const char *resource, control_done done, void *ctx)
{
	const struct conf_resource *res = configured(d, resource);

	return res ? daemon_resource_up(d, res, done, ctx) : -ENOENT;
}

int daemon_down(struct daemon *d, const char *resource, bool force, control_done done, void *ctx)
{
	if (!daemon_resource_find(d, resource) && !configured(d, resource))
		return -ENOENT;
	return daemon_resource_down(d, resource, force, done, ctx);
}

/* ---- adjust ---- */

static bool options_fit(const struct conf *a, const struct conf_resource *ra,
			const struct conf *b, const struct conf_resource *rb, uint8_t id)
{
	struct core_conf *ca = calloc(1, sizeof(*ca)), *cb = calloc(1, sizeof(*cb));
	bool fit = ca && cb && !conf_to_core(a, ra, id, ca, NULL) &&
		   !conf_to_core(b, rb, id, cb, NULL) && core_conf_fits(ca, cb);

	free(ca);
	free(cb);
	return fit;
}

static bool same_volume(const struct conf_node_volume *a, const struct conf_node_volume *b)
{
	return str_eq(a->disk, b->disk) && a->meta == b->meta &&
	       str_eq(a->meta_device, b->meta_device) && a->meta_index == b->meta_index;
}

/* Of those that both have. */
static bool same_volumes(const struct conf_resource *ra, const struct conf_node *na,
			 const struct conf_resource *rb, const struct conf_node *nb)
{
	for (unsigned i = 0; i < ra->volume_count; i++) {
		for (unsigned k = 0; k < rb->volume_count; k++) {
			if (ra->vnr[i] == rb->vnr[k] &&
			    !same_volume(&na->volumes[i], &nb->volumes[k]))
				return false;
		}
	}
	return true;
}

/* Whether what runs can take the new configuration over, as far as this node is concerned. */
static bool fits(struct daemon *d, const struct daemon_resource *running,
		 const struct conf_resource *rb)
{
	const struct conf *a = running->conf->conf, *b = d->conf->conf;
	const struct conf_resource *ra = conf_resource_find(a, running->name);
	const struct conf_node *na = conf_node_find(ra, d->options.node);
	const struct conf_node *nb = conf_node_find(rb, d->options.node);

	return na->node_id == nb->node_id && options_fit(a, ra, b, rb, na->node_id) &&
	       same_volumes(ra, na, rb, nb);
}

static int take_over(struct daemon *d, struct daemon_resource *running,
		     const struct conf_resource *res, control_done done, void *ctx)
{
	const struct conf_node *node = conf_node_find(res, d->options.node);
	int rc = shard_configure(d->shard, d->conf->conf, res, node->node_id, done, ctx);

	if (rc)
		return rc;
	conf_ref_put(running->conf);
	running->conf = d->conf;
	running->conf->user_count++;
	return 0;
}

/* The errors in one line, as many as there is room for. */
static void errors_text(const struct conf_messages *messages, char *text, size_t text_bytes)
{
	unsigned said = 0;

	str_copy(text, text_bytes, "the configuration has errors");
	for (unsigned i = 0; i < messages->count; i++) {
		const struct conf_message *m = &messages->items[i];

		if (m->warning)
			continue;
		if (strlen(text) + strlen(m->text) + sizeof("; and 65535 more") >= text_bytes)
			break;
		str_append(text, text_bytes, "%s %s", said++ ? ";" : ":", m->text);
	}
	if (messages->error_count > said)
		str_append(text, text_bytes, "; and %u more", messages->error_count - said);
}

int daemon_reload(struct daemon *d, char *text, size_t text_bytes)
{
	struct conf_messages messages = { .error_count = 0 };
	struct conf *conf = conf_load(d->options.config_file, &messages);
	struct net_identity *identity = NULL;
	struct conf_ref *ref;

	if (!conf || !conf_check_node(conf, d->options.node, &messages) ||
	    (d->options.mountpoint[0] &&
	     !conf_check_handlers(conf, d->options.node, d->options.mountpoint, &messages)) ||
	    !daemon_tls_load(conf, d->options.node, &identity, &messages)) {
		errors_text(&messages, text, text_bytes);
		conf_free(conf);
		conf_messages_clear(&messages);
		return -EINVAL;
	}
	conf_messages_clear(&messages);
	ref = conf_ref_new(conf);
	if (!ref) {
		net_identity_free(identity);
		conf_free(conf);
		str_copy(text, text_bytes, "no memory");
		return -ENOMEM;
	}
	conf_ref_put(d->conf);
	d->conf = ref;
	daemon_tls_use(d, identity);
	if (d->http)
		http_server_allow(d->http, conf->control_users, conf->control_user_count);
	return 0;
}

/* The old configuration is down: the new one goes up. */
static void adjust_went_down(void *ctx, int rc, const char *text)
{
	struct operation *op = ctx;
	const struct conf_resource *res = configured(op->d, op->name);
	char line[ERR_TEXT_MAX];

	if (rc < SS_SUCCESS) {
		str_format(line, sizeof(line),
			   "the changes need the resource to go down and up: %s", text);
		op->done(op->ctx, rc, line);
	} else if (!res) {
		op->done(op->ctx, rc, "down: it is not in the configuration of this node any more");
	} else if (daemon_resource_up(op->d, res, op->done, op->ctx)) {
		op->done(op->ctx, SS_UNKNOWN_ERROR, "it went down, but cannot go up: no memory");
	}
	free(op);
}

int daemon_adjust(struct daemon *d, const char *resource, control_done done, void *ctx)
{
	struct daemon_resource *running = daemon_resource_find(d, resource);
	const struct conf_resource *res;
	char text[ERR_TEXT_MAX] = "";
	struct operation *op;
	int rc;

	if (daemon_reload(d, text, sizeof(text))) {
		daemon_reply_later(done, ctx, d, SS_UNKNOWN_ERROR, text);
		return 0;
	}
	res = configured(d, resource);
	if (!res && !running)
		return -ENOENT;
	if (res && !running)
		return daemon_resource_up(d, res, done, ctx);
	if (res && fits(d, running, res))
		return take_over(d, running, res, done, ctx);
	op = operation_new(d, resource, done, ctx);
	if (!op)
		return -ENOMEM;
	rc = daemon_resource_down(d, resource, false, adjust_went_down, op);
	if (rc)
		free(op);
	return rc;
}
