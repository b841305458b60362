/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Owns what a configuration says about certificates: the group tls, fingerprints, the usual places
 * of the files. What is in the files is not looked at here. */
#include "conf/conf_int.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/assert.h"

void conf_tls_take(struct conf_loader *l, const config_setting_t *group)
{
	static const struct conf_key keys[] = {
		{ "certificate", KEY_TEXT, false },
		{ "private-key", KEY_TEXT, false },
		{ "ca", KEY_TEXT, false },
		{ "verify", KEY_TEXT, false },
	};
	const char *verify = conf_text(group, "verify");
	struct conf_tls *tls = &l->conf->tls;

	if (!group || !conf_keys_check(l, group, "common, tls", keys, ARRAY_LEN(keys)))
		return;
	(void)str_copy(tls->file, sizeof(tls->file), conf_setting_file(group));
	tls->line = config_setting_source_line(group);
	conf_text_take(l, group, "certificate", true, tls->certificate, sizeof(tls->certificate));
	conf_text_take(l, group, "private-key", true, tls->private_key, sizeof(tls->private_key));
	conf_text_take(l, group, "ca", true, tls->ca, sizeof(tls->ca));
	tls->by_fingerprint = verify && str_eq(verify, "fingerprint");
	if (verify && !tls->by_fingerprint && !str_eq(verify, "name"))
		conf_error_at(l, conf_member(group, "verify", KEY_TEXT),
			      "common, tls: verify: \"%.40s\" is not a valid value; allowed are "
			      "\"name\" | \"fingerprint\"", verify);
	if (tls->by_fingerprint && tls->ca[0])
		conf_error_at(l, conf_member(group, "ca", KEY_TEXT),
			      "common, tls: ca: with verify = \"fingerprint\" nobody's signature "
			      "is asked for; leave it out");
}

static int digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool conf_fingerprint_parse(const char *text, uint8_t out[CONF_FINGERPRINT_BYTES])
{
	for (unsigned i = 0; i < CONF_FINGERPRINT_BYTES; i++) {
		if (i > 0 && *text == ':')
			text++;
		if (digit(text[0]) < 0 || digit(text[1]) < 0)
			return false;
		out[i] = (uint8_t)(digit(text[0]) << 4 | digit(text[1]));
		text += 2;
	}
	return !*text;
}

/* ---- rules over the model ---- */

static void fingerprint_check(const struct conf *conf, const struct conf_resource *res,
			      const struct conf_node *node, struct conf_messages *m)
{
	bool encrypted = false;

	for (unsigned i = 0; i < res->connection_count; i++) {
		const struct conf_connection *c = &res->connections[i];

		encrypted |= c->net.tls && (c->node_id[0] == node->node_id ||
					    c->node_id[1] == node->node_id);
	}
	if (node->has_fingerprint && !conf->tls.by_fingerprint)
		conf_message_add(m, false, res->file, node->line,
				 "resource '%s', node '%s': tls-fingerprint is used with "
				 "common.tls.verify = \"fingerprint\" only", res->name,
				 node->name);
	else if (encrypted && conf->tls.by_fingerprint && !node->has_fingerprint)
		conf_message_add(m, false, res->file, node->line,
				 "resource '%s', node '%s': tls-fingerprint is missing "
				 "(common.tls.verify is \"fingerprint\")", res->name, node->name);
}

void conf_tls_check(const struct conf *conf, struct conf_messages *m)
{
	bool encrypted = false;

	for (unsigned r = 0; r < conf->resource_count; r++) {
		const struct conf_resource *res = &conf->resources[r];

		for (unsigned i = 0; i < res->connection_count; i++)
			encrypted |= res->connections[i].net.tls;
		for (unsigned i = 0; i < res->node_count; i++)
			fingerprint_check(conf, res, &res->nodes[i], m);
	}
	if (conf->tls.line && !encrypted && !m->error_count)
		conf_message_add(m, false, conf->tls.file, conf->tls.line,
				 "common.tls is given, but no connection has tls = true in its "
				 "net: nothing would be encrypted");
}

/* ---- one node ---- */

/* An encrypted connection of the node, for messages; NULL: there is none. */
static const struct conf_connection *first_encrypted(const struct conf *conf, const char *name,
						     const struct conf_resource **res)
{
	for (unsigned r = 0; r < conf->resource_count; r++) {
		const struct conf_node *node = conf_node_find(&conf->resources[r], name);

		*res = &conf->resources[r];
		for (unsigned i = 0; node && i < (*res)->connection_count; i++) {
			const struct conf_connection *c = &(*res)->connections[i];

			if (c->net.tls && (c->node_id[0] == node->node_id ||
					   c->node_id[1] == node->node_id))
				return c;
		}
	}
	return NULL;
}

bool conf_uses_tls(const struct conf *conf, const char *node)
{
	const struct conf_resource *res;

	return first_encrypted(conf, node, &res) != NULL;
}

/* `given`, or else tls/NAME.ENDING beside the configuration file. */
static bool usual_place(const struct conf *conf, const char *given, const char *name,
			const char *ending, char out[CONF_PATH_MAX])
{
	const char *slash = strrchr(conf->file, '/');

	if (given[0])
		return str_copy(out, CONF_PATH_MAX, given);
	return str_format(out, CONF_PATH_MAX, "%.*stls/%s.%s",
			  slash ? (int)(slash - conf->file + 1) : 0, conf->file, name, ending);
}

bool conf_tls_files(const struct conf *conf, const char *node, struct conf_tls_files *out)
{
	const struct conf_tls *tls = &conf->tls;

	out->ca[0] = '\0';
	return usual_place(conf, tls->certificate, node, "pem", out->certificate) &&
	       usual_place(conf, tls->private_key, node, "key", out->private_key) &&
	       (tls->by_fingerprint || usual_place(conf, tls->ca, "ca", "pem", out->ca));
}

void conf_tls_error(const struct conf *conf, const char *node, const char *text,
		    struct conf_messages *m)
{
	const struct conf_resource *res;
	const struct conf_connection *c = first_encrypted(conf, node, &res);

	if (conf->tls.line)
		conf_message_add(m, false, conf->tls.file, conf->tls.line, "tls: %s", text);
	else
		conf_message_add(m, false, res->file, c ? c->line : res->line,
				 "resource '%s': tls: %s", res->name, text);
}

static void file_check(const struct conf *conf, const char *node, const char *what,
		       const char *path, const char *next, struct conf_messages *m)
{
	char text[ERR_TEXT_MAX];
	struct stat st;

	if (access(path, R_OK)) {
		(void)str_format(text, sizeof(text), "%s %s: %s%s", what, path,
				 strerrordesc_np(errno), errno == ENOENT ? next : "");
		conf_tls_error(conf, node, text, m);
	} else if (str_eq(what, "private-key") && !stat(path, &st) &&
		   (st.st_mode & (S_IRWXG | S_IRWXO))) {
		conf_message_add(m, true, path, 0,
				 "the private key is accessible to others; chmod 600 it");
	}
}

void conf_tls_check_node(const struct conf *conf, const char *node, struct conf_messages *m)
{
	struct conf_tls_files files;
	char next[NAME_MAX_BYTES + 64];

	if (!conf_uses_tls(conf, node))
		return;
	if (!conf_tls_files(conf, node, &files)) {
		conf_tls_error(conf, node, "the paths of its files are too long", m);
		return;
	}
	(void)str_format(next, sizeof(next), "; 'drbdctl tls issue %s' makes one", node);
	file_check(conf, node, "certificate", files.certificate, next, m);
	file_check(conf, node, "private-key", files.private_key, next, m);
	if (files.ca[0])
		file_check(conf, node, "ca", files.ca, "; 'drbdctl tls init' makes one", m);
}
