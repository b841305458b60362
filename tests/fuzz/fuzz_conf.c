/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Configuration text of any kind: messages or a model that translates, never a crash. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "../../src/conf/conf_load.c"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* libconfig 1.5 loses the text of its last token at a syntax error. */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
	return "leak:libconfig.so";
}

/* Every node of every resource must be translatable. */
static void translate(const struct conf *conf)
{
	static struct core_conf core;

	for (unsigned r = 0; r < conf->resource_count; r++) {
		const struct conf_resource *res = &conf->resources[r];

		ASSERT(res->node_count > 0 && res->volume_count > 0);
		for (unsigned i = 0; i < res->node_count; i++) {
			struct conf_peer_path paths[CONF_PATHS_MAX];
			struct err err = ERR_INIT;
			int rc = conf_to_core(conf, res, res->nodes[i].node_id, &core, &err);

			ASSERT(rc == 0);
			for (unsigned p = 0; p < core.peer_count; p++)
				ASSERT(conf_peer_paths(res, core.node_id, core.peers[p].node_id,
						       paths) > 0);
		}
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct conf_loader l;
	struct conf_messages messages = { 0 };
	char *text = malloc(size + 1);
	struct conf_file *file;

	if (!text)
		return 0;
	memcpy(text, data, size);
	text[size] = '\0';
	memset(&l, 0, sizeof(l));
	l.messages = &messages;
	l.conf = calloc(1, sizeof(*l.conf));
	file = l.conf ? conf_file_parse(&l, "fuzz.conf", text, size) : NULL;
	if (file) {
		(void)conf_file_collect(&l, file);
		model_build(&l);
		if (!messages.error_count && l.conf->resource_count)
			translate(l.conf);
	}
	conf_files_free(&l);
	conf_free(l.conf);
	conf_messages_clear(&messages);
	free(text);
	return 0;
}
