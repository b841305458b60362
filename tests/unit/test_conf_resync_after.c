/* SPDX-License-Identifier: GPL-2.0-or-later */
/* resync-after in a configuration: who is meant, and circles. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "conf/conf.h"

#define NODES(port)                                                                                \
	"nodes = ( { name = \"alpha\"; node-id = 0; address = \"10.0.0.1:" port "\"; },\n"         \
	" { name = \"beta\"; node-id = 1; address = \"10.0.0.2:" port "\"; } );\n"
#define VOLUME(n, disk, after)                                                                     \
	"{ volume = " n "; disk = \"/dev/" disk "\"; options = { resync-after = \"" after "\"; }; }"
#define RESOURCE(name, port, volumes)                                                              \
	"{ name = \"" name "\"; volumes = ( " volumes " );\n" NODES(port) "}"

static struct conf *load(const char *text, struct conf_messages *m)
{
	char path[] = "/tmp/drbdfs-conf-XXXXXX";
	int fd = mkstemp(path);
	struct conf *conf;

	cr_assert_geq(fd, 0);
	cr_assert_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	(void)close(fd);
	memset(m, 0, sizeof(*m));
	conf = conf_load(path, m);
	(void)unlink(path);
	return conf;
}

/* One error, with this in it. */
static void refused(const char *text, const char *expected)
{
	struct conf_messages m;

	cr_assert_null(load(text, &m));
	cr_assert_eq(m.count, 1, "%u messages, the last: %s", m.count, m.items[m.count - 1].text);
	cr_assert_not_null(strstr(m.items[0].text, expected), "%s", m.items[0].text);
	conf_messages_clear(&m);
}

Test(conf_resync_after, across_resources)
{
	struct conf_messages m;
	struct conf *conf = load("resources = ( " RESOURCE("a", "7000", VOLUME("0", "a", "b/1"))
				 ", " RESOURCE("b", "7001", VOLUME("0", "b0", "b/1") ", "
					       VOLUME("1", "b1", "")) " );\n", &m);
	struct core_conf core;

	cr_assert_not_null(conf, "%s", m.count ? m.items[0].text : "");
	cr_assert_eq(conf_to_core(conf, &conf->resources[0], 0, &core, NULL), 0);
	cr_assert_str_eq(core.volumes[0].disk.resync_after, "b/1");
	conf_free(conf);
	conf_messages_clear(&m);
}

Test(conf_resync_after, what_does_not_exist)
{
	refused("resources = ( " RESOURCE("a", "7000", VOLUME("0", "a", "a/b")) " );\n",
		"resync-after: \"a/b\" is not RESOURCE/VOLUME");
	refused("resources = ( " RESOURCE("a", "7000", VOLUME("0", "a", "/0")) " );\n",
		"resync-after: \"/0\" is not RESOURCE/VOLUME");
	/* Of both nodes. */
	struct conf_messages m;

	cr_assert_null(load("resources = ( " RESOURCE("a", "7000", VOLUME("0", "a", "b/0"))
			    " );\n", &m));
	cr_assert_eq(m.count, 2);
	cr_assert_not_null(strstr(m.items[0].text, "resource 'a', node 'alpha', volume 0: "
				  "resync-after: there is no volume 'b/0'"), "%s", m.items[0].text);
	conf_messages_clear(&m);
}

Test(conf_resync_after, circles)
{
	struct conf_messages m;

	cr_assert_null(load("resources = ( " RESOURCE("a", "7000", VOLUME("0", "a", "b/0")) ", "
			    RESOURCE("b", "7001", VOLUME("0", "b", "c/0")) ", "
			    RESOURCE("c", "7002", VOLUME("0", "c", "b/0")) " );\n", &m));
	/* Once for each node; who only comes after the circle is not told. */
	cr_assert_eq(m.count, 2, "%u messages", m.count);
	cr_assert_not_null(strstr(m.items[0].text, "resource 'b', node 'alpha', volume 0: "
				  "resync-after goes in a circle, none would ever begin: "
				  "b/0 after c/0 after b/0"), "%s", m.items[0].text);
	conf_messages_clear(&m);
	cr_assert_null(load("resources = ( " RESOURCE("a", "7000", VOLUME("0", "a", "a/0"))
			    " );\n", &m));
	cr_assert_eq(m.count, 2);
	cr_assert_not_null(strstr(m.items[1].text, "a/0 after a/0"), "%s", m.items[1].text);
	conf_messages_clear(&m);
}
