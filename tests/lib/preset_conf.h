/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a configuration file without options makes of a resource with one volume. */
#ifndef TEST_PRESET_CONF_H
#define TEST_PRESET_CONF_H

#include <stdio.h>
#include <string.h>

#include "conf/conf_options.h"

static inline void preset_peer(struct core_peer_conf *peer, unsigned id)
{
	struct conf_opts opts;

	conf_opts_preset(&opts);
	peer->node_id = (uint8_t)id;
	snprintf(peer->name, sizeof(peer->name), "n%u", id);
	peer->has_disk[0] = true;
	peer->net = opts.net;
}

/* Without peers, and without what does not come from the file: limits, crypto, log. */
static inline void preset_resource(struct core_conf *conf, unsigned id)
{
	struct conf_opts opts;

	conf_opts_preset(&opts);
	memset(conf, 0, sizeof(*conf));
	snprintf(conf->name, sizeof(conf->name), "r0");
	conf->node_id = (uint8_t)id;
	conf->auto_promote = opts.res.auto_promote;
	conf->auto_promote_timeout_ds = opts.res.auto_promote_timeout_ds;
	conf->twopc_timeout_ds = opts.res.twopc_timeout_ds;
	conf->twopc_retry_timeout_ds = opts.res.twopc_retry_timeout_ds;
	conf->quorum = opts.res.quorum;
	conf->quorum_min_redundancy = opts.res.quorum_min_redundancy;
	conf->on_no_quorum = opts.res.on_no_quorum;
	conf->on_no_data = opts.res.on_no_data;
	conf->on_suspended_primary_outdated = opts.res.on_suspended_primary_outdated;
	conf->verify_interval_s = opts.res.verify_interval_s;
	conf->volume_count = 1;
	conf->volumes[0].disk = opts.disk;
	conf->volumes[0].disk.has_disk = true;
}

#endif
