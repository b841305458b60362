/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Paths and bodies of control requests: first byte the
 * method, then a line with the path, then the body. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/str.h"
#include "../../src/api/api_request.c"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct resource_status *status(void)
{
	static struct resource_status s;

	s.volume_count = 1;
	s.volumes[0].vnr = 0;
	s.peer_count = 1;
	(void)str_copy(s.peers[0].name, sizeof(s.peers[0].name), "beta");
	s.peers[0].node_id = 1;
	return &s;
}

static void check_error(const struct api_error *e)
{
	json_t *body = api_error_json(e);

	ASSERT(e->hint && e->message[0]);
	ASSERT(body != NULL);
	ASSERT(api_http_status(e->code) >= 400);
	json_decref(body);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct api_request r;
	struct api_error e;
	const uint8_t *newline;
	char *path, *body;
	size_t path_bytes, body_bytes;

	if (size < 1)
		return 0;
	newline = memchr(data + 1, '\n', size - 1);
	path_bytes = newline ? (size_t)(newline - data - 1) : size - 1;
	body_bytes = newline ? size - path_bytes - 2 : 0;
	path = calloc(1, path_bytes + 1);
	/* An exact allocation: reading beyond the body is found. */
	body = malloc(body_bytes ? body_bytes : 1);
	if (!path || !body)
		abort();
	memcpy(path, data + 1, path_bytes);
	if (body_bytes)
		memcpy(body, newline + 1, body_bytes);
	if (!api_request_parse(data[0] & 1 ? API_POST : API_GET, path, body, body_bytes, &r, &e)) {
		check_error(&e);
	} else {
		ASSERT(!r.resource[0] || !name_problem(r.resource));
		if (r.verb == VERB_CORE && !api_request_bind(&r, status(), &e))
			check_error(&e);
	}
	free(path);
	free(body);
	return 0;
}
