/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The certificate of this node: read at the start and when told to, handed to the shard. */
#include <time.h>

#include "base/log.h"
#include "daemon_int.h"
#include "net/net.h"

#define EXPIRY_WARNING_DAYS 30

bool daemon_tls_load(const struct conf *conf, const char *node, struct net_identity **out,
		     struct conf_messages *messages)
{
	struct conf_tls_files files;
	struct net_identity_conf ic = { .own_name = node };
	struct err err = ERR_INIT;

	*out = NULL;
	/* conf_check_node() has found the paths good. */
	if (!conf_uses_tls(conf, node) || !conf_tls_files(conf, node, &files))
		return true;
	ic.certificate = files.certificate;
	ic.private_key = files.private_key;
	ic.ca = files.ca[0] ? files.ca : NULL;
	if (!net_identity_new(&ic, out, &err))
		return true;
	conf_tls_error(conf, node, err.text, messages);
	return false;
}

static void warn_of_expiry(const struct net_identity *identity)
{
	int64_t days = (net_identity_expires_s(identity) - (int64_t)time(NULL)) / (24 * 3600);

	if (days < EXPIRY_WARNING_DAYS)
		log_warning("the certificate of this node expires in %lld days; then no peer "
			    "connects to it any more: issue a new one and send SIGHUP, or "
			    "'drbdctl adjust'", (long long)days);
}

void daemon_tls_use(struct daemon *d, struct net_identity *identity)
{
	if (!identity)
		return;
	warn_of_expiry(identity);
	if (shard_set_identity(d->shard, identity))
		log_err("no memory to take the new certificate into use; the one before stays");
}

void daemon_tls_reload(struct daemon *d)
{
	struct conf_messages messages = { .error_count = 0 };
	struct net_identity *identity;

	if (daemon_tls_load(d->conf->conf, d->options.node, &identity, &messages)) {
		if (identity)
			log_notice("the certificate was read again, for new connections");
		daemon_tls_use(d, identity);
	}
	for (unsigned i = 0; i < messages.count; i++)
		log_err("%s; the certificate read before stays in use", messages.items[i].text);
	conf_messages_clear(&messages);
}
