/* SPDX-License-Identifier: GPL-2.0-or-later */
/* TLS between two ends: who is believed, what is refused and how it is said, new certificates. */
#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <netinet/in.h>
#include <openssl/ssl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../lib/certs.h"
#include "../lib/net_world.h"
#include "../lib/scratch.h"
#include "net/net_int.h"

#define DAY_S (24L * 3600)

static struct world w;

static void begin(void)
{
	scratch_begin();
	world_open(&w, 2, 1 << 20);
	certs_ca(scratch_path("ca"));
	certs_ca(scratch_path("other"));
	certs_node(scratch_path("ca"), scratch_path("node0"), "node0", -DAY_S, DAY_S);
	certs_node(scratch_path("ca"), scratch_path("node1"), "node1", -DAY_S, DAY_S);
	world_identity(&w, 0, scratch_path("node0"), scratch_path("ca.pem"));
}

static void end(void)
{
	world_close(&w);
	scratch_end();
}

static bool both_told(void *ctx)
{
	(void)ctx;
	for (unsigned i = 0; i < 2; i++) {
		const struct world_end *e = &w.ends[i][!i];

		if (!net_conn_tls_problem(e->conn)[0] && !e->down_count)
			return false;
	}
	return true;
}

/* Why the end of `node` has no connection. */
static const char *why(unsigned node)
{
	const struct world_end *e = &w.ends[node][!node];

	return net_conn_tls_problem(e->conn)[0] ? net_conn_tls_problem(e->conn) : e->reason;
}

/* Neither end gets a packet, and each says what it knows. */
static void refused(const char *at_0, const char *at_1)
{
	world_link(&w, 0, 1);
	net_conn_connect(w.ends[0][1].conn);
	net_conn_connect(w.ends[1][0].conn);
	cr_assert(world_run(&w, both_told, NULL));
	cr_assert(strstr(why(0), at_0), "node 0: %s", why(0));
	cr_assert(strstr(why(1), at_1), "node 1: %s", why(1));
	cr_assert_eq(w.ends[0][1].packet_count + w.ends[1][0].packet_count, 0);
}

Test(net_tls, connects)
{
	struct net_tls_info info;

	begin();
	world_identity(&w, 1, scratch_path("node1"), scratch_path("ca.pem"));
	world_link(&w, 0, 1);
	cr_assert(world_connect(&w, 0, 1));
	cr_assert(world_agree(&w, 0, 1));
	net_conn_tls_info(w.ends[0][1].conn, &info);
	cr_assert(info.on);
	cr_assert_eq(strncmp(info.cipher, "TLS_", 4), 0);
	cr_assert_gt(info.peer_expires_s, 1700000000);
	end();
}

Test(net_tls, another_nodes_certificate)
{
	begin();
	certs_node(scratch_path("ca"), scratch_path("node2"), "node2", -DAY_S, DAY_S);
	/* As its thief would use it: the check of the own name does not stop him. */
	w.tls[1] = true;
	{
		struct net_identity_conf conf = { .own_name = "node2" };
		struct net_identity *identity;

		conf.certificate = scratch_path("node2.pem");
		conf.private_key = scratch_path("node2.key");
		conf.ca = scratch_path("ca.pem");
		cr_assert_eq(net_identity_new(&conf, &identity, NULL), 0);
		net_set_identity(w.nets[1], identity);
	}
	refused("it is for 'node2', not for 'node1'", "refused");
	end();
}

Test(net_tls, another_authority)
{
	begin();
	certs_node(scratch_path("other"), scratch_path("node1"), "node1", -DAY_S, DAY_S);
	world_identity(&w, 1, scratch_path("node1"), scratch_path("ca.pem"));
	refused("certificate is refused", "refused");
	end();
}

Test(net_tls, only_one_has_it)
{
	begin();
	refused("the peer closed the connection during the handshake; is tls set there, too?",
		"TLS; tls must be set on both nodes");
	end();
}

/* Somebody at the peer's address who opens a stream and says nothing more. */
static int open_stream(uint16_t kind)
{
	const uint8_t first[] = { 0x83, 0x74, 0x02, 0x67, (uint8_t)(kind >> 8), (uint8_t)kind,
				  0, 0 };
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(w.ports[0]) };
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	cr_assert_eq(connect(fd, (struct sockaddr *)&to, sizeof(to)), 0);
	cr_assert_eq(send(fd, first, sizeof(first), 0), sizeof(first));
	return fd;
}

static bool has_problem(void *ctx)
{
	return net_conn_tls_problem(ctx)[0] != '\0';
}

/* The handshake has a limit, and may be given up before. */
Test(net_tls, silence)
{
	struct net_conn *conn;
	int fds[2];

	begin();
	world_link(&w, 0, 1);
	conn = w.ends[0][1].conn;
	net_conn_connect(conn);
	fds[0] = open_stream(P_INITIAL_DATA);
	cr_assert(world_run(&w, has_problem, conn));
	cr_assert(strstr(net_conn_tls_problem(conn), "no handshake within 1000 ms"), "%s",
		  net_conn_tls_problem(conn));
	fds[1] = open_stream(P_INITIAL_DATA);
	world_idle(&w, 700);
	net_conn_disconnect(conn);
	cr_assert_str_empty(net_conn_tls_problem(conn));
	net_conn_connect(conn);
	world_idle(&w, 100);
	cr_assert_eq(w.ends[0][1].up_count, 0);
	close(fds[0]);
	close(fds[1]);
	end();
}

static int late_fd;
static const uint8_t *late_byte;

/* Called when OpenSSL begins with a handshake, before it reads. */
static void send_late(const SSL *ssl, int where, int result)
{
	(void)ssl;
	(void)result;
	if (!(where & SSL_CB_HANDSHAKE_START) || !late_byte)
		return;
	cr_assert_eq(send(late_fd, late_byte, 1, 0), 1);
	late_byte = NULL;
}

static bool late_sent(void *ctx)
{
	(void)ctx;
	return !late_byte;
}

/* What node 0 says of a peer whose first byte comes only then, the others later, one by one. */
static void first_byte_late(const uint8_t *bytes, size_t count, const char *text)
{
	struct net_conn *conn;
	int data_fd;

	begin();
	world_link(&w, 0, 1);
	conn = w.ends[0][1].conn;
	net_conn_connect(conn);
	SSL_CTX_set_info_callback(w.nets[0]->identity->ctx, send_late);
	late_byte = bytes;
	late_fd = open_stream(P_INITIAL_META);
	data_fd = open_stream(P_INITIAL_DATA);
	cr_assert(world_run(&w, late_sent, NULL));
	for (size_t i = 1; i < count && !has_problem(conn); i++) {
		cr_assert_eq(send(late_fd, bytes + i, 1, 0), 1);
		world_idle(&w, 10);
	}
	cr_assert(world_run(&w, has_problem, conn));
	cr_assert(strstr(net_conn_tls_problem(conn), text), "%s", net_conn_tls_problem(conn));
	close(late_fd);
	close(data_fd);
	end();
}

/* The beginning of a record is one, also when its bytes come one at a time at any moment. */
Test(net_tls, record_in_pieces)
{
	static const uint8_t record[] = { 0x16, 3, 1, 0, 200, 1, 0, 0, 196 };

	first_byte_late(record, sizeof(record), "no handshake within 1000 ms");
}

Test(net_tls, packet_in_pieces)
{
	static const uint8_t packet[] = { 0x83 };

	first_byte_late(packet, sizeof(packet), "speaks without TLS; tls must be set on both");
}

Test(net_tls, fingerprints)
{
	begin();
	certs_fingerprint(scratch_path("node0"), w.fingerprints[0]);
	certs_fingerprint(scratch_path("node1"), w.fingerprints[1]);
	world_identity(&w, 0, scratch_path("node0"), NULL);
	world_identity(&w, 1, scratch_path("node1"), NULL);
	world_link(&w, 0, 1);
	cr_assert(world_connect(&w, 0, 1));
	end();
}

Test(net_tls, wrong_fingerprint)
{
	begin();
	certs_fingerprint(scratch_path("node0"), w.fingerprints[0]);
	certs_fingerprint(scratch_path("node0"), w.fingerprints[1]);
	world_identity(&w, 0, scratch_path("node0"), NULL);
	world_identity(&w, 1, scratch_path("node1"), NULL);
	refused("its key is not the one of the tls-fingerprint of 'node1'", "refused");
	end();
}

/* What is connected stays; the next connection has the new certificate. */
Test(net_tls, new_certificate)
{
	struct net_tls_info before, after;

	begin();
	world_identity(&w, 1, scratch_path("node1"), scratch_path("ca.pem"));
	world_link(&w, 0, 1);
	cr_assert(world_connect(&w, 0, 1));
	net_conn_tls_info(w.ends[0][1].conn, &before);
	certs_node(scratch_path("ca"), scratch_path("node1"), "node1", -DAY_S, 2 * DAY_S);
	world_identity(&w, 1, scratch_path("node1"), scratch_path("ca.pem"));
	cr_assert(world_agree(&w, 0, 1));
	net_conn_tls_info(w.ends[0][1].conn, &after);
	cr_assert_eq(before.peer_expires_s, after.peer_expires_s);
	net_conn_disconnect(w.ends[0][1].conn);
	net_conn_disconnect(w.ends[1][0].conn);
	cr_assert(world_connect(&w, 0, 1));
	net_conn_tls_info(w.ends[0][1].conn, &after);
	cr_assert_geq(after.peer_expires_s, before.peer_expires_s + DAY_S - 60);
	end();
}

static int load(const char *name, const char *certificate, const char *key, const char *ca,
		struct err *err)
{
	struct net_identity_conf conf = { .own_name = name };
	struct net_identity *identity = NULL;
	int rc;

	conf.certificate = scratch_path(certificate);
	conf.private_key = scratch_path(key);
	conf.ca = scratch_path(ca);
	rc = net_identity_new(&conf, &identity, err);
	net_identity_free(identity);
	return rc;
}

/* Every file that cannot be used is named, with the reason. */
Test(net_tls, bad_files)
{
	static const struct {
		const char *name, *certificate, *key, *ca, *text;
	} cases[] = {
		{ "node0", "none.pem", "node0.key", "ca.pem", "none.pem: No such file" },
		{ "node0", "node0.pem", "none.key", "ca.pem", "none.key: No such file" },
		{ "node0", "node0.pem", "node0.key", "none.pem", "none.pem: No such file" },
		{ "node0", "junk", "node0.key", "ca.pem", "junk: " },
		{ "node0", "node0.pem", "junk", "ca.pem", "junk: " },
		{ "node0", "node0.pem", "node0.key", "junk", "junk: " },
		{ "node0", "node0.pem", "node1.key", "ca.pem",
		  "node1.key: does not belong to certificate" },
		{ "node1", "node0.pem", "node0.key", "ca.pem",
		  "node0.pem: is not for node 'node1'" },
		{ "node0", "past.pem", "past.key", "ca.pem", "past.pem: expired on " },
		{ "node0", "future.pem", "future.key", "ca.pem", "future.pem: not valid before " },
		{ "node0", "node0.pem", "node0.key", "past.pem", "past.pem: expired on " },
	};

	begin();
	certs_node(scratch_path("ca"), scratch_path("past"), "node0", -2 * DAY_S, -DAY_S);
	certs_node(scratch_path("ca"), scratch_path("future"), "node0", DAY_S, 2 * DAY_S);
	scratch_write(scratch_file("junk", 100), 0, "what is this?", 13);
	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct err err = ERR_INIT;

		cr_assert_neq(load(cases[i].name, cases[i].certificate, cases[i].key, cases[i].ca,
				   &err), 0, "case %u", i);
		cr_assert(strstr(err.text, cases[i].text), "case %u: %s", i, err.text);
	}
	end();
}
