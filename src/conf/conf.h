/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A loaded configuration: every option is resolved (most specific level wins, defaults filled in),
 * every rule that needs only the text has been checked (config-and-utilities 6.2).
 */
#ifndef CONF_H
#define CONF_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/types.h>

#include "base/err.h"
#include "core/core.h"
#include "proto/proto_limits.h"

#define CONF_PATH_MAX 256          /* any path, with the NUL */
#define CONF_RESOURCES_MAX 256
#define CONF_PATHS_MAX 4           /* paths of one connection */
#define CONF_CONTROL_USERS_MAX 32
#define CONF_DISK_THREADS_DEFAULT 8
#define CONF_DISK_THREADS_MAX 64
#define CONF_PARALLEL_RESYNCS_DEFAULT 8
#define CONF_PARALLEL_RESYNCS_MAX 1000
#define CONF_MESSAGES_MAX 64
#define CONF_FINGERPRINT_BYTES 32U /* SHA-256 of a public key (SPKI) */

/* Bounds given to every core by conf_to_core(). */
#define CONF_REQUESTS_MAX 8192U
#define CONF_REQUEST_BYTES_MAX (UINT64_C(128) << 20)
#define CONF_PEER_REQUESTS_MAX 8192U
/* Without a disk: peers send no writes, and ask for nothing. */
#define CONF_PEER_REQUESTS_DISKLESS 16U

struct conf_addr {
	struct sockaddr_storage ss; /* AF_INET or AF_INET6, with port */
	socklen_t len;              /* 0 = not given */
	char text[64];              /* "10.0.0.1:7000", "[2001:db8::1]:7000" */
};

enum conf_meta {
	CONF_META_INTERNAL,         /* at the end of the backing store */
	CONF_META_FLEXIBLE,         /* all of meta_device */
	CONF_META_INDEXED,          /* the 128 MiB area number meta_index of meta_device */
};

/* One volume on one node. */
struct conf_node_volume {
	char disk[CONF_PATH_MAX];   /* "" = intentionally diskless there */
	enum conf_meta meta;
	char meta_device[CONF_PATH_MAX]; /* "" when internal */
	unsigned meta_index;
	struct core_disk_conf options;   /* has_disk agrees with `disk` */
	unsigned line;              /* where `disk` stands, in the file of the resource */
};

struct conf_node {
	char name[NAME_MAX_BYTES];
	uint8_t node_id;
	struct conf_addr address;   /* may be absent when every connection has paths */
	bool has_fingerprint;       /* tls-fingerprint */
	uint8_t fingerprint[CONF_FINGERPRINT_BYTES];
	/* conf_resource.volume_count of them, same order as vnr[] */
	struct conf_node_volume *volumes;
	unsigned line;
};

struct conf_path {
	struct conf_addr addr[2];   /* of node[0] and node[1] of the connection */
};

struct conf_connection {
	uint8_t node_id[2];
	unsigned path_count;
	struct conf_path paths[CONF_PATHS_MAX];
	struct core_net_conf net;
	unsigned line;
};

struct conf_resource_options {
	bool auto_promote;
	uint32_t auto_promote_timeout_ds;
	uint32_t twopc_timeout_ds;
	uint32_t twopc_retry_timeout_ds;
	uint32_t quorum, quorum_min_redundancy;
	enum on_no_quorum on_no_quorum;
	enum on_no_data on_no_data;
	enum on_outdated on_suspended_primary_outdated;
	uint32_t verify_interval_s;
	uint32_t handler_timeout_s; /* 0 = they may take as long as they like */
};

struct conf_handler {
	char *command;              /* for /bin/sh; NULL = none */
	char file[CONF_PATH_MAX];   /* where it stands */
	unsigned line;
};

struct conf_resource {
	char name[NAME_MAX_BYTES];
	char file[CONF_PATH_MAX];
	unsigned line;
	struct conf_resource_options options;
	unsigned volume_count;
	uint16_t vnr[VOLUMES_MAX];  /* ascending */
	unsigned node_count;
	struct conf_node *nodes;    /* ascending node_id */
	unsigned connection_count;
	struct conf_connection *connections;
	struct conf_handler handlers[HANDLER_COUNT];
};

/* common.tls: who a node is towards its peers, and whom it believes. */
struct conf_tls {
	char file[CONF_PATH_MAX];   /* where it stands; line 0 = nowhere */
	unsigned line;
	bool by_fingerprint;        /* verify = "fingerprint" */
	char certificate[CONF_PATH_MAX], private_key[CONF_PATH_MAX]; /* "" = the usual place */
	char ca[CONF_PATH_MAX];
};

/* The same for one node, complete. */
struct conf_tls_files {
	char certificate[CONF_PATH_MAX], private_key[CONF_PATH_MAX];
	char ca[CONF_PATH_MAX];     /* "" = none is needed: by fingerprint */
};

struct conf {
	char file[CONF_PATH_MAX];
	/* node = { ... }; "" where not given */
	char node_name[NAME_MAX_BYTES];
	char control_socket[CONF_PATH_MAX];
	char log[CONF_PATH_MAX];    /* "stderr", "syslog" or an absolute path */
	unsigned disk_threads;      /* 1..CONF_DISK_THREADS_MAX */
	unsigned parallel_resyncs;  /* max-parallel-resyncs; 0 = any number */
	unsigned control_user_count; /* security.allowed-control-users */
	uid_t control_users[CONF_CONTROL_USERS_MAX];
	char secret_file[CONF_PATH_MAX]; /* security.secret-file */
	char secret[SHARED_SECRET_MAX];  /* its line, once conf_check_node() has read it */
	struct conf_tls tls;
	unsigned resource_count;
	struct conf_resource *resources; /* byte order of their names */
};

/* What loading and checking have to say, in the order
 * found. Zero it before use; free with _clear(). */
struct conf_messages {
	unsigned error_count;       /* may exceed what is kept */
	unsigned count;
	struct conf_message {
		bool warning;
		char text[ERR_TEXT_MAX]; /* "FILE:LINE: what" */
	} *items;
};

void conf_message_add(struct conf_messages *messages, bool warning, const char *file, unsigned line,
		      const char *fmt, ...) __attribute__((format(printf, 5, 6)));
void conf_messages_clear(struct conf_messages *messages);
/* "error: FILE:LINE: ..." lines to a stdio stream, with a last line when some were left out. */
void conf_messages_print(const struct conf_messages *messages, FILE *out);

/* Reads the file and what it includes. NULL when any error was found; warnings alone do not fail.
 * A file that cannot be opened is one message. */
struct conf *conf_load(const char *path, struct conf_messages *messages);
void conf_free(struct conf *conf);

/*
 * Which node this is: `wanted` (-n) if not NULL, else node.name of the file, else the host name
 * (whole, then up to its first dot). -ENOENT with the list of names in the file when no resource
 * has it.
 */
int conf_node_select(const struct conf *conf, const char *wanted, char out[NAME_MAX_BYTES],
		     struct err *err);
/* Checks that need this machine: backing stores and metadata devices of `node` exist, are regular
 * files or block devices, none is used twice (also under another name), and the files of TLS are
 * there; reads the secret-file. False when errors were added. */
bool conf_check_node(struct conf *conf, const char *node, struct conf_messages *messages);

/* Whether a connection of `node` is encrypted. */
bool conf_uses_tls(const struct conf *conf, const char *node);
/* False when a path would be too long. */
bool conf_tls_files(const struct conf *conf, const char *node, struct conf_tls_files *out);
/* No handler may need what is under the mount point to be run. False: there are messages. */
bool conf_check_handlers(const struct conf *conf, const char *node, const char *mountpoint,
			 struct conf_messages *messages);
/* What is wrong with the contents of the files: a message at the place that speaks of them. */
void conf_tls_error(const struct conf *conf, const char *node, const char *text,
		    struct conf_messages *messages);

/* NULL when there is none. */
const struct conf_resource *conf_resource_find(const struct conf *conf, const char *name);
const struct conf_node *conf_node_find(const struct conf_resource *res, const char *name);
const struct conf_node *conf_node_by_id(const struct conf_resource *res, unsigned node_id);
const struct conf_connection *conf_connection_find(const struct conf_resource *res, unsigned node_a,
						   unsigned node_b);
/* NULL when the resource has no such volume. */
const struct conf_node_volume *conf_volume_find(const struct conf_resource *res,
						const struct conf_node *node, unsigned vnr);
/* In any volume. */
bool conf_node_has_disk(const struct conf_resource *res, const struct conf_node *node);

/* Takes "RES/VOL" apart; false: it is none. */
bool conf_volume_ref(const char *ref, char name[NAME_MAX_BYTES], uint16_t *vnr);

/* Everything of core_conf except crypto, log and test switches, which are zeroed. Equal
 * configurations give equal memory. -ENOENT when the node is not part of the resource. */
int conf_to_core(const struct conf *conf, const struct conf_resource *res, unsigned self_node_id,
		 struct core_conf *out, struct err *err);

/* Addresses from the view of one node. */
struct conf_peer_path {
	struct conf_addr local, remote;
};
/* Paths between self and peer in the order to be tried; returns their count, 0 = not connected. */
unsigned conf_peer_paths(const struct conf_resource *res, unsigned self_node_id,
			 unsigned peer_node_id, struct conf_peer_path out[CONF_PATHS_MAX]);

/* Where things are when nobody says: /etc and /run for root, XDG directories for others. */
void conf_default_file(char out[CONF_PATH_MAX]);
void conf_default_socket(char out[CONF_PATH_MAX]);

#endif
