/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Configuration files: what a good one becomes, and the message of every kind of mistake. */
#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/str.h"
#include "conf/conf.h"

static char dir[64];

static void make_dir(void)
{
	(void)str_copy(dir, sizeof(dir), "/tmp/drbdfs-conf-XXXXXX");
	cr_assert_not_null(mkdtemp(dir));
}

static void remove_dir(void)
{
	char command[96];

	(void)snprintf(command, sizeof(command), "rm -rf '%s'", dir);
	cr_assert_eq(system(command), 0);
}

static const char *put(const char *name, const char *text)
{
	static char path[128];
	FILE *f;

	(void)snprintf(path, sizeof(path), "%s/%s", dir, name);
	f = fopen(path, "w");
	cr_assert_not_null(f);
	cr_assert_eq(fwrite(text, 1, strlen(text), f), strlen(text));
	cr_assert_eq(fclose(f), 0);
	return path;
}

/* Two nodes, one volume; %s stands for additions to the resource. */
#define NODES                                                                                      \
	"nodes = ( { name = \"alpha\"; node-id = 0; address = \"10.0.0.1:7000\"; },\n"             \
	" { name = \"beta\"; node-id = 1; address = \"10.0.0.2:7000\"; } );\n"
#define VOLUMES "volumes = ( { volume = 0; disk = \"/dev/vg/r0\"; } );\n"
#define RESOURCE(more) "resources = ( { name = \"r0\";\n" VOLUMES NODES more "} );\n"

static struct conf *load_good(const char *text)
{
	struct conf_messages m = { 0 };
	struct conf *conf = conf_load(put("c.conf", text), &m);

	cr_assert_not_null(conf, "%s", m.count ? m.items[0].text : "?");
	cr_assert_eq(m.count, 0, "%s", m.count ? m.items[0].text : "?");
	conf_messages_clear(&m);
	return conf;
}

/* Each expected text must be the part behind "DIR/c.conf" of the message with that number; "@:" in
 * it stands for another mention of that path. */
static void expect(const char *text, const char *const *messages)
{
	struct conf_messages m = { 0 };
	const char *path = put("c.conf", text);
	struct conf *conf = conf_load(path, &m);
	unsigned n = 0;

	cr_assert_null(conf);
	for (; messages[n]; n++) {
		const char *at = strstr(messages[n], "@:");
		int head = at ? (int)(at - messages[n]) : (int)strlen(messages[n]);
		char whole[1024];

		cr_assert_lt(n, m.count, "no message for: %s", messages[n]);
		(void)snprintf(whole, sizeof(whole), "%s%.*s%s%s", path, head, messages[n],
			       at ? path : "", at ? at + 1 : "");
		cr_assert_str_eq(m.items[n].text, whole);
	}
	cr_assert_eq(m.count, n, "one too many: %s", m.items[n < m.count ? n : 0].text);
	conf_messages_clear(&m);
}

#define EXPECT(text, ...) expect(text, (const char *const[]){ __VA_ARGS__, NULL })

TestSuite(conf, .init = make_dir, .fini = remove_dir);

/* ---- good ones ---- */

Test(conf, full_mesh_and_defaults)
{
	struct conf *conf = load_good("version = 1;\n" RESOURCE(""));
	const struct conf_resource *res = conf_resource_find(conf, "r0");
	struct conf_peer_path paths[CONF_PATHS_MAX];
	struct core_conf core;
	struct err err = ERR_INIT;

	cr_assert_eq(res->connection_count, 1);
	cr_assert_eq(conf_to_core(conf, res, 1, &core, &err), 0, "%s", err.text);
	cr_assert_str_eq(core.name, "r0");
	cr_assert_eq(core.node_id, 1);
	cr_assert_eq(core.peer_count, 1);
	cr_assert_str_eq(core.peers[0].name, "alpha");
	cr_assert_eq(core.peers[0].net.protocol, PROTOCOL_C);
	cr_assert_eq(core.peers[0].net.ping_timeout_ds, 5);
	cr_assert_eq(core.peers[0].net.ko_count, 7);
	cr_assert(core.peers[0].has_disk[0]);
	cr_assert(core.auto_promote);
	cr_assert_eq(core.twopc_timeout_ds, 300);
	cr_assert_eq(core.volume_count, 1);
	cr_assert(core.volumes[0].disk.has_disk);
	cr_assert_eq(core.volumes[0].disk.al_extents, AL_EXTENTS_DEFAULT);
	cr_assert_eq(core.volumes[0].disk.c_max_rate_kib, 102400);
	cr_assert_eq(core.requests_max, CONF_REQUESTS_MAX);
	cr_assert_eq(core.peer_requests_max, CONF_PEER_REQUESTS_MAX);
	cr_assert_null(core.log);

	cr_assert_eq(conf_peer_paths(res, 1, 0, paths), 1);
	cr_assert_str_eq(paths[0].local.text, "10.0.0.2:7000");
	cr_assert_str_eq(paths[0].remote.text, "10.0.0.1:7000");
	cr_assert_eq(((struct sockaddr_in *)&paths[0].remote.ss)->sin_port, htons(7000));
	cr_assert_eq(conf_peer_paths(res, 1, 2, paths), 0);
	cr_assert_eq(conf_to_core(conf, res, 5, &core, &err), -ENOENT);
	conf_free(conf);
}

/* Rule 1 of 6.2: the most specific place wins. */
Test(conf, levels)
{
	struct conf *conf = load_good(
		"common = { net = { ping-int = 11; timeout = 11; ko-count = 1; max-buffers = 100; "
		"};\n"
		" disk = { al-extents = 100; c-plan-ahead = 1; c-delay-target = 1;\n"
		"  resync-rate = 1; }; options = { twopc-timeout = 60; auto-promote-timeout = 1; "
		"}; };\n"
		"templates = ( { name = \"wan\"; net = { timeout = 33; ko-count = 3;\n"
		"  max-buffers = 300; }; } );\n"
		"resources = ( { name = \"r0\";\n"
		" net = { timeout = 22; ko-count = 2; max-buffers = 200; };\n"
		" disk = { c-plan-ahead = 2; c-delay-target = 2; resync-rate = 2; };\n"
		" options = { auto-promote-timeout = 2; };\n"
		" volumes = ( { volume = 0; disk = \"/dev/a\";\n"
		"  options = { c-delay-target = 3; resync-rate = 3; }; peer-options = { }; } );\n"
		" nodes = ( { name = \"a\"; node-id = 0; address = \"10.0.0.1:1\";\n"
		"   volumes = ( { volume = 0; options = { resync-rate = \"4K\"; }; } ); },\n"
		"  { name = \"b\"; node-id = 1; address = \"10.0.0.2:1\"; },\n"
		"  { name = \"c\"; node-id = 2; address = \"10.0.0.3:1\"; } );\n"
		" mesh = ( { nodes = [ \"a\", \"b\", \"c\" ]; use = \"wan\";\n"
		"   net = { ko-count = 4; max-buffers = 400; }; } );\n"
		" connections = ( { nodes = [ \"b\", \"a\" ]; net = { max-buffers = 500; }; } );\n"
		"} );\n");
	const struct conf_resource *res = conf_resource_find(conf, "r0");
	const struct core_net_conf *ab = &conf_connection_find(res, 0, 1)->net;
	const struct core_net_conf *bc = &conf_connection_find(res, 2, 1)->net;
	const struct core_disk_conf *on_a = &conf_node_find(res, "a")->volumes[0].options;
	const struct core_disk_conf *on_b = &conf_node_find(res, "b")->volumes[0].options;

	cr_assert_eq(ab->ping_int_s, 11);
	cr_assert_eq(ab->timeout_ds, 33);
	cr_assert_eq(ab->ko_count, 4);
	cr_assert_eq(ab->max_buffers, 500);
	cr_assert_eq(bc->max_buffers, 400);
	cr_assert_eq(on_a->al_extents, 100);
	cr_assert_eq(on_a->c_plan_ahead_ds, 2);
	cr_assert_eq(on_a->c_delay_target_ds, 3);
	cr_assert_eq(on_a->resync_rate_kib, 4);
	cr_assert_eq(on_b->resync_rate_kib, 3);
	cr_assert_eq(res->options.twopc_timeout_ds, 60);
	cr_assert_eq(res->options.auto_promote_timeout_ds, 2);
	conf_free(conf);
}

Test(conf, volumes_nodes_and_metadata_places)
{
	struct conf *conf = load_good(
		"resources = ( { name = \"r0\";\n"
		" volumes = ( { volume = 5; disk = \"/dev/five\"; meta-disk = \"/dev/meta5\"; },\n"
		"  { volume = 0; disk = \"/dev/zero0\"; meta-disk = { device = \"/dev/md\"; index "
		"= 3; };"
		" } );\n"
		" nodes = ( { name = \"late\"; node-id = 9; address = \"[2001:DB8::0001]:7000\"; "
		"},\n"
		"  { name = \"client\"; node-id = 2; address = \"ipv6:[2001:db8::2]:7000\";\n"
		"    diskless = true; },\n"
		"  { name = \"third\"; node-id = 4; address = \"[2001:db8::3]:7000\";\n"
		"    volumes = ( { volume = 0; disk = \"/x/0\"; meta-disk = \"internal\"; },\n"
		"     { volume = 5; disk = \"none\"; } ); } ); } );\n");
	const struct conf_resource *res = conf_resource_find(conf, "r0");
	const struct conf_node *late = conf_node_find(res, "late");
	const struct conf_node *third = conf_node_by_id(res, 4);
	const struct conf_node_volume *v = conf_volume_find(res, late, 0);
	struct core_conf core;
	struct err err = ERR_INIT;

	cr_assert_eq(res->nodes[0].node_id, 2, "sorted by id");
	cr_assert_eq(res->vnr[0], 0);
	cr_assert_eq(res->vnr[1], 5);
	cr_assert_str_eq(late->address.text, "[2001:db8::1]:7000");
	cr_assert_eq(v->meta, CONF_META_INDEXED);
	cr_assert_eq(v->meta_index, 3);
	cr_assert_str_eq(v->meta_device, "/dev/md");
	v = conf_volume_find(res, late, 5);
	cr_assert_eq(v->meta, CONF_META_FLEXIBLE);
	cr_assert_str_eq(v->meta_device, "/dev/meta5");
	v = conf_volume_find(res, third, 0);
	cr_assert_eq(v->meta, CONF_META_INTERNAL);
	cr_assert_str_eq(v->disk, "/x/0");
	cr_assert_not(conf_volume_find(res, third, 5)->options.has_disk);
	cr_assert_null(conf_volume_find(res, third, 1));
	cr_assert(conf_node_has_disk(res, third));
	cr_assert_not(conf_node_has_disk(res, conf_node_by_id(res, 2)));
	cr_assert_eq(conf_to_core(conf, res, 2, &core, &err), 0);
	cr_assert_eq(core.peer_requests_max, CONF_PEER_REQUESTS_DISKLESS);
	cr_assert_eq(conf_to_core(conf, res, 9, &core, &err), 0);
	cr_assert_eq(core.peer_count, 2);
	cr_assert_eq(core.peers[0].node_id, 2);
	cr_assert_not(core.peers[0].has_disk[0]);
	cr_assert(core.peers[1].has_disk[0]);
	cr_assert_not(core.peers[1].has_disk[1]);
	conf_free(conf);
}

Test(conf, paths)
{
	struct conf *conf = load_good(RESOURCE(
		"connections = ( { nodes = [ \"alpha\", \"beta\" ]; paths = (\n"
		" { ends = ( { node = \"beta\"; address = \"10.1.0.2:7001\"; },\n"
		"   { node = \"alpha\"; address = \"10.1.0.1:7001\"; } ); },\n"
		" { ends = ( { node = \"alpha\"; address = \"10.2.0.1:7001\"; },\n"
		"   { node = \"beta\"; address = \"10.2.0.2:7001\"; } ); } ); } );\n"));
	struct conf_peer_path paths[CONF_PATHS_MAX];

	cr_assert_eq(conf_peer_paths(&conf->resources[0], 0, 1, paths), 2);
	cr_assert_str_eq(paths[0].local.text, "10.1.0.1:7001");
	cr_assert_str_eq(paths[0].remote.text, "10.1.0.2:7001");
	cr_assert_str_eq(paths[1].local.text, "10.2.0.1:7001");
	conf_free(conf);
}

Test(conf, node_and_security)
{
	struct conf *conf = load_good(
		"node = { name = \"alpha\"; control-socket = \"/run/x.sock\";\n"
		" log = \"syslog\"; disk-threads = 3; max-parallel-resyncs = 0;\n"
		" x-note = \"ignored\"; };\n"
		"security = { allowed-control-users = [ \"root\", \"4711\" ]; };\n"
		RESOURCE(""));
	char name[NAME_MAX_BYTES];
	struct err err = ERR_INIT;

	cr_assert_str_eq(conf->control_socket, "/run/x.sock");
	cr_assert_str_eq(conf->log, "syslog");
	cr_assert_eq(conf->disk_threads, 3);
	cr_assert_eq(conf->parallel_resyncs, 0);
	cr_assert_eq(conf->control_user_count, 2);
	cr_assert_eq(conf->control_users[0], 0);
	cr_assert_eq(conf->control_users[1], 4711);
	cr_assert_eq(conf_node_select(conf, NULL, name, &err), 0);
	cr_assert_str_eq(name, "alpha");
	cr_assert_eq(conf_node_select(conf, "beta", name, &err), 0);
	cr_assert_str_eq(name, "beta");
	cr_assert_eq(conf_node_select(conf, "delta", name, &err), -ENOENT);
	cr_assert_not_null(strstr(err.text, "no resource has a node 'delta' (from the option -n); "
					    "give one with -n out of: alpha, beta"),
			   "%s", err.text);
	conf_free(conf);
}

Test(conf, disk_threads_have_a_range_and_a_default)
{
	static const char *const wrong[] = { "0", "65", "-1" };
	struct conf *conf = load_good("node = { disk-threads = 64; };\n" RESOURCE(""));
	char text[1024], expected[128];

	cr_assert_eq(conf->disk_threads, CONF_DISK_THREADS_MAX);
	conf_free(conf);
	conf = load_good(RESOURCE(""));
	cr_assert_eq(conf->disk_threads, CONF_DISK_THREADS_DEFAULT);
	conf_free(conf);
	for (unsigned i = 0; i < ARRAY_LEN(wrong); i++) {
		struct conf_messages m = { 0 };

		(void)snprintf(text, sizeof(text), "node = { disk-threads = %s; };\n" RESOURCE(""),
			       wrong[i]);
		(void)snprintf(expected, sizeof(expected),
			       "c.conf:1: disk-threads: %s is out of range [1..64]", wrong[i]);
		cr_assert_null(conf_load(put("c.conf", text), &m));
		cr_assert_eq(m.count, 1);
		cr_assert_not_null(strstr(m.items[0].text, expected), "%s", m.items[0].text);
		conf_messages_clear(&m);
	}
}

static void expect_bad_secret(struct conf *conf, const char *expected)
{
	struct conf_messages m = { 0 };

	cr_assert_not(conf_check_node(conf, "nobody", &m));
	cr_assert_geq(m.count, 1);
	cr_assert_not(m.items[0].warning);
	cr_assert_not_null(strstr(m.items[0].text, expected), "%s", m.items[0].text);
	conf_messages_clear(&m);
}

Test(conf, secret_file)
{
	char text[1024], secret[128];
	struct conf_messages m = { 0 };
	struct core_conf core;
	struct err err = ERR_INIT;
	struct conf *conf;

	(void)str_copy(secret, sizeof(secret), put("secret", "swordfish\n"));
	(void)snprintf(text, sizeof(text),
		       "security = { secret-file = \"%s\"; };\n" RESOURCE(
			       "net = { cram-hmac-alg = \"sha1\"; };\n"), secret);
	conf = load_good(text);
	cr_assert_eq(chmod(secret, 0644), 0);
	cr_assert(conf_check_node(conf, "nobody", &m));
	cr_assert_eq(m.count, 1);
	cr_assert(m.items[0].warning);
	conf_messages_clear(&m);
	/* What was read stays, also for those who compare an old configuration with a new one. */
	cr_assert_eq(unlink(secret), 0);
	cr_assert_eq(conf_to_core(conf, &conf->resources[0], 0, &core, &err), 0, "%s", err.text);
	cr_assert_str_eq(core.peers[0].net.shared_secret, "swordfish");
	expect_bad_secret(conf, "cannot read the secret-file: No such file or directory; the user");
	cr_assert_eq(mkdir(secret, 0700), 0);
	expect_bad_secret(conf, "cannot read the secret-file: Is a directory; the user");
	cr_assert_eq(rmdir(secret), 0);
	(void)put("secret", "\nswordfish\n");
	expect_bad_secret(conf, "the secret-file must hold one line of 1 to 63 bytes");
	memset(text, 'x', SHARED_SECRET_MAX);
	text[SHARED_SECRET_MAX] = '\0';
	(void)put("secret", text);
	expect_bad_secret(conf, "the secret-file must hold one line of 1 to 63 bytes");
	conf_free(conf);
}

#define KEY_OF_ALPHA "00:11:22:33:44:55:66:77:88:99:aa:bb:cc:dd:ee:ff:" \
	"00112233445566778899AABBCCDDEEFF"
#define PINNED "resources = ( { name = \"r0\"; net = { tls = true; };\n" VOLUMES              \
	"nodes = ( { name = \"alpha\"; node-id = 0; address = \"10.0.0.1:7000\";\n"              \
	" tls-fingerprint = \"" KEY_OF_ALPHA "\"; },\n"                                           \
	" { name = \"beta\"; node-id = 1; address = \"10.0.0.2:7000\"; } ); } );\n"

/* Where the files are when nobody says, and when somebody does. */
Test(conf, tls)
{
	struct conf *conf = load_good("common = { net = { tls = true; }; };\n" RESOURCE(""));
	struct conf_tls_files files;
	char path[128];

	cr_assert(conf->resources[0].connections[0].net.tls);
	cr_assert(conf_uses_tls(conf, "alpha"));
	cr_assert_not(conf_uses_tls(conf, "gamma"));
	cr_assert(conf_tls_files(conf, "beta", &files));
	(void)snprintf(path, sizeof(path), "%s/tls/beta.pem", dir);
	cr_assert_str_eq(files.certificate, path);
	(void)snprintf(path, sizeof(path), "%s/tls/beta.key", dir);
	cr_assert_str_eq(files.private_key, path);
	(void)snprintf(path, sizeof(path), "%s/tls/ca.pem", dir);
	cr_assert_str_eq(files.ca, path);
	conf_free(conf);

	conf = load_good("common = { tls = { certificate = \"/x/n.pem\";"
			 " private-key = \"/x/n.key\"; ca = \"/x/ca.pem\";"
			 " verify = \"name\"; }; };\n"
			 RESOURCE("connections = ( { nodes = [ \"alpha\", \"beta\" ];"
				  " net = { tls = true; }; } );\n"));
	cr_assert(conf_tls_files(conf, "beta", &files));
	cr_assert_str_eq(files.certificate, "/x/n.pem");
	cr_assert_str_eq(files.private_key, "/x/n.key");
	cr_assert_str_eq(files.ca, "/x/ca.pem");
	conf_free(conf);
}

Test(conf, tls_mistakes)
{
	EXPECT("common = { tls = { ca = \"/x\"; psk-file = \"/y\"; }; };\n" RESOURCE(""),
	       ":1: common, tls: unknown key 'psk-file'");
	EXPECT("common = { net = { tls = true; };\ntls = { verify = \"none\"; }; };\n" RESOURCE(""),
	       ":2: common, tls: verify: \"none\" is not a valid value; allowed are \"name\" | "
	       "\"fingerprint\"");
	EXPECT("common = { net = { tls = true; }; tls = { ca = \"ca.pem\"; }; };\n" RESOURCE(""),
	       ":1: ca: \"ca.pem\" is not an absolute path");
	EXPECT("common = { tls = { ca = \"/x\"; }; };\n" RESOURCE(""),
	       ":1: common.tls is given, but no connection has tls = true in its net: nothing "
	       "would be encrypted");
	EXPECT(PINNED, ":3: resource 'r0', node 'alpha': tls-fingerprint is used with "
		       "common.tls.verify = \"fingerprint\" only");
	EXPECT("common = { tls = { verify = \"fingerprint\"; ca = \"/x\"; }; };" PINNED,
	       ":1: common, tls: ca: with verify = \"fingerprint\" nobody's signature is asked "
	       "for; leave it out",
	       ":5: resource 'r0', node 'beta': tls-fingerprint is missing (common.tls.verify is "
	       "\"fingerprint\")");
	EXPECT("common = { tls = { verify = \"fingerprint\"; }; net = { tls = true; }; };\n"
	       "resources = ( { name = \"r0\";" VOLUMES
	       "nodes = ( { name = \"alpha\"; node-id = 0; address = \"10.0.0.1:7000\";\n"
	       " tls-fingerprint = \"0123\"; } ); } );\n",
	       ":4: resource 'r0', node 'alpha': tls-fingerprint: not 64 hexadecimal digits "
	       "(SHA-256 of the public key)");
}

/* Files that this node would need and cannot read. */
Test(conf, tls_files)
{
	struct conf *conf = load_good("common = { net = { tls = true; }; };\n" RESOURCE(""));
	struct conf_messages m = { 0 };
	char at[128], want[640];

	(void)str_copy(at, sizeof(at), conf->file);
	cr_assert_not(conf_check_node(conf, "alpha", &m));
	(void)snprintf(want, sizeof(want), "%s:2: resource 'r0': tls: certificate "
		       "%s/tls/alpha.pem: No such file or directory; 'drbdctl tls issue alpha' "
		       "makes one", at, dir);
	cr_assert_geq(m.count, 3);
	cr_assert_str_eq(m.items[0].text, want);
	cr_assert(strstr(m.items[1].text, "private-key "));
	cr_assert(strstr(m.items[2].text, "'drbdctl tls init' makes one"));
	conf_messages_clear(&m);
	conf_free(conf);
}

Test(conf, includes)
{
	char sub[96];
	struct conf *conf;

	(void)snprintf(sub, sizeof(sub), "%s/d", dir);
	cr_assert_eq(mkdir(sub, 0755), 0);
	(void)put("d/one.conf", RESOURCE(""));
	(void)put("d/two.conf", "resources = ( { name = \"a1\"; volumes = ( { volume = 0;\n"
				" disk = \"/dev/other\"; } );\n"
				" nodes = ( { name = \"alpha\"; node-id = 0;\n"
				" address = \"10.0.0.1:7001\"; } ); } );\n"
				"include-files = [ \"nothing-*.conf\" ];\n");
	conf = load_good(
		"include-files = [ \"d/*.conf\" ]; common = { net = { ko-count = 9; }; };\n");
	cr_assert_eq(conf->resource_count, 2);
	cr_assert_str_eq(conf->resources[0].name, "a1");
	cr_assert_eq(conf->resources[1].connections[0].net.ko_count, 9);
	conf_free(conf);
}

/* ---- mistakes ---- */

Test(conf, unknown_keys_with_the_nearest)
{
	EXPECT("versoin = 1;\n" RESOURCE("quorum = 1;\n"),
	       ":1: top level: unknown key 'versoin'; did you mean 'version'?",
	       ":6: resource 'r0': unknown key 'quorum'");
	EXPECT(RESOURCE("net = { ping-timout = 3;\n tls-keyring = 1; al-extents = 67; };\n"),
	       ":5: resource 'r0', net: unknown key 'ping-timout'; did you mean 'ping-timeout'?",
	       ":6: resource 'r0', net: unknown key 'tls-keyring'",
	       ":6: resource 'r0', net: unknown key 'al-extents'; it belongs into 'disk'");
	EXPECT("common = { starters = { }; };\ntemplates = ( { name = \"t\"; disk = { }; } );\n"
	       RESOURCE(""),
	       ":1: common: unknown key 'starters'",
	       ":2: template 't': unknown key 'disk'");
}

Test(conf, syntax)
{
	EXPECT("resources = (\n { name = \"r0\" \n", ":3: syntax error");
	EXPECT("common = { };\nresources = ( { }, );\n", ":2: no comma may stand before ')'");
	EXPECT("common = { };\ncommon = { };\n", ":2: duplicate setting name");
	EXPECT("((((((((((((((((((", ":1: nested more than 16 brackets deep");
	EXPECT("# x\n@include \"y\"\n",
	       ":2: @include is not supported; use include-files = [ \"FILE\" ]");
	EXPECT("# a .res file\nresource r0 {\n}\n",
	       ": is in the grammar of DRBD's .res files, which this version does not read; write "
	       "it in the syntax of drbdfs.conf(5)");
	EXPECT("version = 1;\n", ": holds no resources; see drbdfs.conf(5) for an example");
	EXPECT("version = 2;\n" RESOURCE(""),
	       ":1: version 2 is not known; this program reads version 1");
}

Test(conf, kinds_of_values)
{
	EXPECT("resources = { };\n", ":1: top level: 'resources' must be a list ( ... )");
	EXPECT("include-files = \"x\";\nnode = 3;\n" RESOURCE("net = \"C\";\n"),
	       ":1: top level: 'include-files' must be an array [ \"...\", \"...\" ]",
	       ":2: top level: 'node' must be a group { ... }",
	       ":7: resource 'r0': 'net' must be a group { ... }");
	EXPECT("resources = ( 5 );\n", ":1: resource '?': must be a group { ... }");
	EXPECT("resources = ( { name = \"r0\"; } );\n",
	       ":1: resource 'r0': 'volumes' is missing", ":1: resource 'r0': 'nodes' is missing");
	EXPECT("resources = ( { name = \"r0\"; volumes = ( ); nodes = ( ); } );\n",
	       ":1: resource 'r0' has no volumes", ":1: resource 'r0' has no nodes");
}

Test(conf, ranges)
{
	EXPECT(RESOURCE("net = { timeout = 601; protocol = \"D\"; };\n"
			"disk = { c-max-rate = \"0.5M\"; };\n"),
	       ":5: resource 'r0', net: timeout: value is too big, allowed are 1 to 600 tenths of "
	       "a "
	       "second",
	       ":5: resource 'r0', net: protocol: \"D\" is not a valid value; allowed are \"A\" | "
	       "\"B\" | \"C\"",
	       ":6: resource 'r0', disk: c-max-rate: not a number of KiB; whole numbers only, or "
	       "text with a unit such as \"2M\" or \"3s\"");
}

#define ONE_NODE(node) "resources = ( { name = \"r0\";\n" VOLUMES "nodes = ( " node " ); } );\n"

Test(conf, nodes)
{
	EXPECT(ONE_NODE("{ name = \"a\"; node-id = 32; address = \"10.0.0.1:7000\"; }"),
	       ":3: resource 'r0', node 'a': node-id 32 is out of range [0..31]");
	EXPECT(ONE_NODE("{ name = \"a\"; node-id = -1; address = \"10.0.0.1:7000\"; }"),
	       ":3: resource 'r0', node 'a': node-id -1 is out of range [0..31]");
	EXPECT(ONE_NODE("{ name = \"a\"; node-id = 4294967296; address = \"10.0.0.1:7000\"; }"),
	       ":3: number too large: write it in quotes");
	EXPECT(ONE_NODE("{ name = \"a\"; node-id = 0x80000000; address = \"10.0.0.1:7000\"; }"),
	       ":3: number too large: write it in quotes");
	EXPECT(ONE_NODE("{ name = \"a\"; node-id = 4294967296L; address = \"10.0.0.1:7000\"; }"),
	       ":3: resource 'r0', node 'a': node-id 4294967296 is out of range [0..31]");
	EXPECT(ONE_NODE("{ name = \"a/b\"; node-id = 0; address = \"10.0.0.1:0\"; }"),
	       ":3: resource 'r0', node 'a/b': the name contains '/'",
	       ":3: resource 'r0', node 'a/b': address \"10.0.0.1:0\": port out of range "
	       "[1..65535]");
	EXPECT(ONE_NODE("{ name = \"a\"; node-id = 0; address = \"host:7000\"; }"),
	       ":3: resource 'r0', node 'a': address \"host:7000\": not the numeric address of one "
	       "IPv4 or IPv6 host");
	EXPECT(ONE_NODE("{ name = \"a\"; node-id = 0; address = \"10.0.0.1:7000\"; },\n"
			"{ name = \"a\"; node-id = 1; address = \"10.0.0.2:7000\"; },\n"
			"{ name = \"c\"; node-id = 1; address = \"10.0.0.3:7000\"; }"),
	       ":4: resource 'r0': node 'a' is there already, at line 3",
	       ":5: resource 'r0', node 'c': node-id 1 is that of 'a', line 4");
	EXPECT(ONE_NODE("{ name = \"a\"; node-id = 0; },\n"
			"{ name = \"b\"; node-id = 1; address = \"10.0.0.2:7000\"; }"),
	       ":3: resource 'r0', node 'a': 'address' is missing, and the connection to 'b' has "
	       "no "
	       "paths");
}

Test(conf, addresses)
{
	EXPECT(ONE_NODE("{ name = \"a\"; node-id = 0; address = \"10.0.0.1:7000\"; },\n"
			"{ name = \"b\"; node-id = 1; address = \"ipv4:10.0.0.1:7000\"; }"),
	       ":4: resource 'r0', node 'b': address 10.0.0.1:7000 is also used by node 'a' of "
	       "resource 'r0', @:3");
}

Test(conf, volumes)
{
	EXPECT("resources = ( { name = \"r0\"; volumes = (\n"
	       " { volume = 0; disk = \"/dev/a\"; },\n { volume = 0; disk = \"/dev/b\"; },\n"
	       " { volume = 65535; disk = \"/dev/c\"; },\n"
	       " { volume = 1; disk = \"relative\"; },\n"
	       " { volume = 2; } );\n"
	       "nodes = ( { name = \"a\"; node-id = 0; volumes = (\n { volume = 7; } ); } ); } "
	       ");\n",
	       ":3: resource 'r0', volumes: volume 0 is there already, at line 2",
	       ":4: resource 'r0', volumes: volume 65535 is out of range [0..65534]",
	       ":8: resource 'r0', node 'a': the resource has no volume 7",
	       ":5: resource 'r0', node 'a', volume 1: \"relative\" is not an absolute path",
	       ":6: resource 'r0', node 'a', volume 2: 'disk' is missing (a path or \"none\")");
}

Test(conf, backing_stores_used_twice)
{
	EXPECT("resources = ( { name = \"r0\"; volumes = (\n"
	       " { volume = 0; disk = \"/dev/a\"; },\n { volume = 1; disk = \"/dev/a\"; } );\n"
	       "nodes = ( { name = \"a\"; node-id = 0; } ); } );\n",
	       ":3: resource 'r0', node 'a', volume 1: disk /dev/a is also used as disk of volume "
	       "0 "
	       "of resource 'r0', @:2");
	EXPECT("resources = ( { name = \"r0\"; volumes = (\n"
	       " { volume = 0; disk = \"/dev/a\"; meta-disk = { device = \"/dev/m\"; index = 1; }; "
	       "},"
	       "\n { volume = 1; disk = \"/dev/b\"; meta-disk = { device = \"/dev/m\"; index = 2; "
	       "}; "
	       "},\n { volume = 2; disk = \"/dev/c\"; meta-disk = { device = \"/dev/m\"; index = "
	       "1; "
	       "}; } );\nnodes = ( { name = \"a\"; node-id = 0; } ); } );\n",
	       ":4: resource 'r0', node 'a', volume 2: meta-disk /dev/m is also used as meta-disk "
	       "of "
	       "volume 0 of resource 'r0', @:2");
}

Test(conf, resources)
{
	EXPECT("resources = ( { name = \"all\"; " VOLUMES NODES "} );\n",
	       ":1: resource 'all': the name means every resource");
	EXPECT("resources = ( { name = \"r@1\"; " VOLUMES NODES "} );\n",
	       ":1: resource 'r@1': the name contains '@' or ':'");
	EXPECT("resources = ( { name = \"r0\"; volumes = ( { volume = 0; disk = \"none\"; } );\n"
	       " nodes = ( { name = \"a\"; node-id = 0; } ); },\n"
	       "{ name = \"r0\"; volumes = ( { volume = 0; disk = \"none\"; } );\n"
	       " nodes = ( { name = \"a\"; node-id = 0; } ); } );\n",
	       ":3: resource 'r0' is there already, at @:1");
}

Test(conf, connections)
{
	EXPECT(RESOURCE("connections = ( { nodes = [ \"alpha\" ]; },\n"
			"{ nodes = [ \"alpha\", \"alpha\" ]; },\n"
			"{ nodes = [ \"alpha\", \"gamma\" ]; },\n"
			"{ nodes = [ \"alpha\", \"beta\" ]; use = \"lan\"; },\n"
			"{ nodes = [ \"beta\", \"alpha\" ]; },\n"
			"{ nodes = [ 1, 2 ]; } );\n"),
	       ":5: resource 'r0', connections: 'nodes' must name two nodes",
	       ":6: resource 'r0', connection 'alpha'-'alpha': a node is not connected to itself",
	       ":7: resource 'r0', connections: there is no node 'gamma'; nodes are alpha, beta",
	       ":8: resource 'r0', connections: there is no template 'lan'",
	       ":9: resource 'r0', connection 'beta'-'alpha': is there already",
	       ":10: resource 'r0', connections: nodes are given by name, in quotes",
	       ":10: resource 'r0', connections: nodes are given by name, in quotes");
	EXPECT(RESOURCE("connections = ( { nodes = [ \"alpha\", \"beta\" ]; paths = (\n"
			"{ ends = ( { node = \"alpha\"; address = \"10.3.0.1:1\"; } ); },\n"
			"{ ends = ( { node = \"alpha\"; address = \"10.3.0.1:1\"; },\n"
			" { node = \"alpha\"; address = \"10.3.0.2:1\"; } ); } ); } );\n"),
	       ":6: resource 'r0', connection 'alpha'-'beta': a path has two ends",
	       ":8: resource 'r0', connection 'alpha'-'beta': the ends of a path are the two nodes "
	       "of its connection, each once");
	EXPECT(RESOURCE("mesh = ( { nodes = [ \"alpha\", \"beta\" ]; },\n"
			" { nodes = [ \"beta\", \"alpha\" ]; } );\n"),
	       ":6: resource 'r0', mesh: nodes 'beta' and 'alpha' are paired twice");
}

Test(conf, authentication)
{
	EXPECT(RESOURCE("net = { cram-hmac-alg = \"sha256\"; };\n"),
	       ":1: resource 'r0', connection 'alpha'-'beta': cram-hmac-alg needs a shared-secret "
	       "(or "
	       "security.secret-file)");
	EXPECT(RESOURCE("net = { shared-secret = \"x\"; };\n"),
	       ":1: resource 'r0', connection 'alpha'-'beta': shared-secret without cram-hmac-alg "
	       "would not authenticate anybody");
	EXPECT(RESOURCE("net = { allow-two-primaries = true; protocol = \"B\"; };\n"),
	       ":1: resource 'r0', connection 'alpha'-'beta': allow-two-primaries needs protocol "
	       "C");
	EXPECT("security = { secret-file = \"/x\"; };\n" RESOURCE(""),
	       ": security.secret-file is given, but no connection has a cram-hmac-alg: nobody "
	       "would "
	       "be authenticated");
	EXPECT("security = { allowed-control-users = [ \"no-such-user-here\" ]; };\n" RESOURCE(""),
	       ":1: allowed-control-users: no user 'no-such-user-here'");
}

Test(conf, includes_that_fail)
{
	struct conf_messages m = { 0 };
	char expected[512];
	const char *path;

	(void)put("loop.conf", "include-files = [ \"c.conf\" ];\n");
	path = put("c.conf",
		   "include-files = [ \"missing.conf\",\n \"loop.conf\" ];\n" RESOURCE(""));
	cr_assert_null(conf_load(path, &m));
	cr_assert_eq(m.count, 2);
	(void)snprintf(expected, sizeof(expected),
		       "%s/c.conf:1: include-files: cannot read %s/missing.conf: no such file", dir,
		       dir);
	cr_assert_str_eq(m.items[0].text, expected);
	(void)snprintf(expected, sizeof(expected),
		       "%s/loop.conf:1: include-files: cannot read %s/c.conf: it is part of the "
		       "configuration already", dir, dir);
	cr_assert_str_eq(m.items[1].text, expected);
	conf_messages_clear(&m);
}

Test(conf, files_that_are_none)
{
	struct conf_messages m = { 0 };
	char *big = malloc((1 << 20) + 2), path[128];

	cr_assert_null(conf_load("/nonexistent/drbdfs.conf", &m));
	cr_assert_str_eq(m.items[0].text,
			 "/nonexistent/drbdfs.conf: cannot read the configuration: "
			 "No such file or directory");
	cr_assert_null(conf_load("/dev/zero", &m));
	cr_assert_not_null(strstr(m.items[1].text, "not a regular file"));
	cr_assert_null(conf_load(dir, &m));
	memset(big, '#', (1 << 20) + 1);
	big[(1 << 20) + 1] = '\0';
	(void)str_copy(path, sizeof(path), put("c.conf", big));
	cr_assert_null(conf_load(path, &m));
	cr_assert_not_null(strstr(m.items[3].text, "larger than 1 MiB"));
	free(big);
	conf_messages_clear(&m);
}

/* What editors of other systems make of it. */
Test(conf, byte_order_mark_and_line_ends)
{
	struct conf_messages m = { 0 };
	struct conf *conf = conf_load(put("c.conf", "\xef\xbb\xbfversion = 1;\r\n"
				"resources = ( { name = \"r0\"; volumes = ( { volume = 0;\r\n"
				"disk = \"none\"; } ); nodes = ( { name = \"a\";\r\n"
				"node-id = 0; } ); } );\r\n"), &m);

	cr_assert_not_null(conf, "%s", m.items[0].text);
	cr_assert_str_eq(conf->resources[0].name, "r0");
	conf_free(conf);
	conf_messages_clear(&m);
}

Test(conf, more_errors_than_fit)
{
	struct conf_messages m = { 0 };
	char text[8192] = "", *printed = NULL;
	size_t bytes;
	FILE *out = open_memstream(&printed, &bytes);

	for (unsigned i = 0; i < CONF_MESSAGES_MAX + 6; i++)
		cr_assert(str_append(text, sizeof(text), "bad-%u = 1;\n", i));
	cr_assert_null(conf_load(put("c.conf", text), &m));
	cr_assert_eq(m.count, CONF_MESSAGES_MAX);
	conf_messages_print(&m, out);
	(void)fclose(out);
	cr_assert_not_null(strstr(printed, "\n... and 6 more errors\n"), "%s", printed);
	free(printed);
	conf_messages_clear(&m);
}

/* ---- what needs this machine ---- */

Test(conf, backing_stores_exist_once)
{
	char text[1024];
	struct conf_messages m = { 0 };
	struct conf *conf;

	(void)put("disk", "");
	(void)snprintf(text, sizeof(text), "%s/link", dir);
	cr_assert_eq(symlink("disk", text), 0);
	(void)snprintf(
		text, sizeof(text),
		"resources = ( { name = \"r0\"; volumes = (\n"
		" { volume = 0; disk = \"%s/disk\"; },\n { volume = 1; disk = \"%s/gone\"; },\n"
		" { volume = 2; disk = \"%s\"; },\n { volume = 3; disk = \"%s/link\"; } );\n"
		"nodes = ( { name = \"a\"; node-id = 0; }, { name = \"b\"; node-id = 1;\n"
		" diskless = true; } ); connections = ( ); } );\n",
		dir, dir, dir, dir);
	conf = load_good(text);
	cr_assert_not(conf_check_node(conf, "a", &m));
	cr_assert_eq(m.count, 3);
	cr_assert_not_null(strstr(m.items[0].text, "c.conf:3: resource 'r0', node 'a', volume 1: "
						   "disk"));
	cr_assert_not_null(strstr(m.items[0].text, "gone: No such file or directory"));
	cr_assert_not_null(strstr(m.items[1].text, "neither a regular file nor a block device"));
	cr_assert_not_null(strstr(m.items[2].text, "under the name"), "%s", m.items[2].text);
	cr_assert(conf_check_node(conf, "b", &m));
	conf_messages_clear(&m);
	conf_free(conf);
}

Test(conf, the_example_is_good)
{
	struct conf_messages m = { 0 };
	struct conf *conf = conf_load("etc/drbdfs.conf", &m);

	cr_assert_not_null(conf, "%s", m.count ? m.items[0].text : "?");
	cr_assert_eq(m.count, 0, "%s", m.count ? m.items[0].text : "?");
	cr_assert_eq(conf->resources[0].node_count, 3);
	cr_assert_eq(conf->resources[0].connection_count, 3);
	conf_free(conf);
	conf_messages_clear(&m);
}
